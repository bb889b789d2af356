"""What experiments/upsampling makes of a finished study: rows for its page, and the README's first picture."""

import importlib.util
import json
import tarfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from reporting_study import Made

from conftest import ROOT
from ganlab.reporting.judge import judge
from ganlab.reporting.pages import curves
from ganlab.reporting.pages.contents import write_contents
from ganlab.reporting.pages.drawing import THEMES
from ganlab.reporting.pages.samples import last_grids
from ganlab.reporting.pages.writing import as_markdown
from ganlab.reporting.verdict import as_json, scores
from ganlab.reporting.words import answer

FOLDER = ROOT / "experiments" / "upsampling"


def script(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def study(tmp_path):
    made = Made(tmp_path / "made")
    made.arms(["transpose", "upsample", "fir"], 6, question="Which operator is better?")
    return judge(made.directory)


def test_rows_say_what_the_report_says(study):
    answer, _, head, _, *rows = script("make").rows(study)
    assert answer.startswith("Against transpose, ")
    assert [cell.strip() for cell in head.split("|")[1:-1]] == [
        "arm", "frechet_distance", "quality", "spectrum", "checkerboard"
    ]  # fmt: skip
    cells = {row.split("|")[1].strip(" `"): [cell.strip() for cell in row.split("|")[2:-1]] for row in rows}
    assert cells["transpose"][1:] == ["reference"] * 3
    for judgement in study.judgements["frechet_distance"]:
        summary = next(each for each in study.summaries["frechet_distance"] if each.arm == judgement.arm)
        assert cells[judgement.arm][0] == f"{summary.mean:.3g} ± {summary.sd:.2g}"
        assert cells[judgement.arm][1].startswith(f"**{judgement.verdict}** ")


def unpacked(file, folder):
    with tarfile.open(file) as packed:
        packed.extractall(folder, filter="data")
    (study,) = folder.iterdir()
    return study


def test_the_runs_that_are_kept_make_the_same_report(study, tmp_path):
    file = tmp_path / "runs.tar.xz"
    script("make").keep_runs(study.directory, study, file)
    again = judge(unpacked(file, tmp_path / "again"))
    assert (as_json(again), scores(again)) == (as_json(study), scores(study))
    assert write_contents(again).pictures() == write_contents(study).pictures() != {}
    one, other = (curves.read_histories(each) for each in (study, again))
    assert list(one.values()) == list(other.values())
    assert as_markdown(write_contents(again)) == as_markdown(write_contents(study))


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*/runs.tar.xz")), ids=lambda file: file.parent.name)
def test_a_committed_verdict_is_what_its_committed_runs_say(file, tmp_path):
    study = judge(unpacked(file, tmp_path))
    found = json.dumps({"answer": answer(study), **as_json(study)})
    said, found = (
        json.loads(text, parse_float=lambda number: f"{float(number):.6g}")  # the last bits are the machine's
        for text in ((file.parent / "verdict.json").read_text(), found)
    )
    assert found == said, f"unpack {file}, run experiments/upsampling/make.py on it, and look at what changed"


def test_the_first_picture_shows_both_arms_and_cuts_nothing_off(study):
    drawing = script("hero").hero(study, "upsample", last_grids(study))
    assert drawing.message.startswith("upsample is ") or drawing.message.startswith("upsample against ")
    svg = drawing.svg("light")
    for text in ("transpose", "upsample", "Which operator is better?", "power, generated over real (log10)"):
        assert f">{text}<" in svg
    for theme in THEMES:
        pixels = np.asarray(Image.open(BytesIO(drawing.png(theme, dpi=110))).convert("L"), int)
        edges = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
        assert [np.ptp(edge) for edge in edges] == [0] * 4  # the ground alone
