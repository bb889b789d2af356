"""The studies of experiments/upsampling from the runs that are kept: each figure and sentence that is told of them."""

import csv
import importlib.util
import json
import lzma
import re
import shutil

import pytest

from conftest import ROOT
from ganlab.report import figures
from ganlab.report.sentences import answer
from ganlab.report.writing import as_json, scores
from ganlab.study.archive import open_archive, write_archive
from ganlab.study.compare import compare_study
from ganlab.study.tuning import tune_study
from made_study import Made

FOLDER = ROOT / "experiments" / "upsampling"
KEPT = sorted(path.parent.name for path in FOLDER.glob("*/runs.tar.xz"))
TUNED = sorted(path.parent.name for path in FOLDER.glob("*/trials.tar.xz"))
REMEDY = "python experiments/upsampling/make.py {folder}/runs.tar.xz {name} writes them anew: look at what changed"


def script(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def make():
    return script("make")


@pytest.fixture(scope="module", params=KEPT)
def kept(request):
    """The name of a study, and the study."""
    with open_archive(FOLDER / request.param / "runs.tar.xz") as folder:
        yield request.param, compare_study(folder)


def table_of(page, name):
    """The lines of a page that stand at the place of a study."""
    return re.search(rf"<!-- {name} table -->\n(.*?)\n<!-- end -->", page, re.DOTALL)[1]


def rounded(text):
    """Values of JSON without the last bits, which are the machine's; -0 is 0."""
    return json.loads(text, parse_float=lambda number: f"{float(number) + 0.0:.6g}")


def differing(make, name, study, folder, page):
    """Which of what is told of a study does not follow from its runs."""
    found = {
        "the table": (table_of(page, name), "\n".join(make.rows(study))),
        "scores.csv": (
            list(csv.DictReader((folder / "scores.csv").read_text().splitlines())),
            [{key: "" if value is None else str(value) for key, value in row.items()} for row in scores(study)],
        ),
        "verdict.json": (
            rounded((folder / "verdict.json").read_text()),
            rounded(json.dumps({"answer": answer(study), **as_json(study)})),
        ),
    }
    return [what for what, (told, follows) in found.items() if told != follows]


def test_studies_are_kept():
    assert {"same_function"} <= set(KEPT)


def test_all_that_is_told_of_a_study_follows_from_its_runs(make, kept):
    name, study = kept
    page = (FOLDER / "README.md").read_text()
    assert differing(make, name, study, FOLDER / name, page) == [], REMEDY.format(folder=FOLDER / name, name=name)


def with_another_figure(text, after):
    """A text in which the second decimal of the first number behind a mark is another one."""
    place = re.compile(r"\d\.\d\d").search(text, text.index(after)).end() - 1
    return text[:place] + ("3" if text[place] != "3" else "5") + text[place + 1 :]


def test_a_figure_that_was_changed_is_noticed(make, kept, tmp_path):
    name, study = kept
    page = (FOLDER / "README.md").read_text()
    for file in ("scores.csv", "verdict.json"):
        shutil.copy(FOLDER / name / file, tmp_path)
    assert differing(make, name, study, tmp_path, with_another_figure(page, f"<!-- {name} table")) == ["the table"]
    for file, mark in {"scores.csv": "finished", "verdict.json": "estimate"}.items():
        text = (tmp_path / file).read_text()
        (tmp_path / file).write_text(with_another_figure(text, mark))
        assert differing(make, name, study, tmp_path, page) == [file]
        (tmp_path / file).write_text(text)


@pytest.mark.parametrize("name", ["retuned_cifar10", "shapes"])  # what the others hold: the tests above
def test_what_is_kept_is_packed_again_to_the_same_bytes(name, tmp_path):
    before = FOLDER / name / "runs.tar.xz"
    with open_archive(before) as folder:
        write_archive(folder, tmp_path / "again.tar.xz", figures.shown_files(compare_study(folder)))
    one, other = (lzma.decompress(path.read_bytes()) for path in (before, tmp_path / "again.tar.xz"))
    assert one == other  # xz itself may get better


@pytest.mark.slow
def test_a_study_is_made_from_its_archive_as_from_its_folder(make, tmp_path, monkeypatch):
    made = Made(tmp_path / "made")
    made.arms(["transpose", "upsample", "fir"], 6, real=True, question="Which operator is better?")
    monkeypatch.setattr(make, "HERE", tmp_path)
    page = "<!-- kept table -->\n<!-- end -->\n"
    found = []
    for source in (made.directory, tmp_path / "kept" / "runs.tar.xz"):
        (tmp_path / "README.md").write_text(page)
        monkeypatch.setattr("sys.argv", ["make.py", str(source), "kept"])
        make.main()
        files = {path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "kept").rglob("*.*")}
        found.append(files | {"README.md": (tmp_path / "README.md").read_bytes()})
    assert found[0] == found[1]
    assert b"| `upsample` |" in found[0]["README.md"]
    assert {"runs.tar.xz", "report.html", "samples-real.png"} <= {path.name for path in list(found[0])[:-1]}


@pytest.mark.parametrize("name", TUNED)
def test_the_table_of_rates_follows_from_the_trials(name):
    page = (FOLDER / "README.md").read_text()
    with open_archive(FOLDER / name / "trials.tar.xz") as folder:
        told = "\n".join(script("tuning").rows(tune_study(folder)))
    assert table_of(page, name) == told, f"python experiments/upsampling/tuning.py {FOLDER / name}/trials.tar.xz {name}"
    assert table_of(with_another_figure(page, f"<!-- {name} table"), name) != told
