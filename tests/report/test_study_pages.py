"""What experiments/upsampling makes of a finished study: rows for its page, and the README's first picture."""

import csv
import importlib.util
import json
import re
from io import BytesIO

import numpy as np
import pytest
import yaml
from PIL import Image

from conftest import ROOT
from ganlab.report.drawing import ARMS, THEMES
from ganlab.report.writing import write_report
from ganlab.study.compare import compare_study
from made_study import Made

FOLDER = ROOT / "experiments" / "upsampling"


def script(name, folder=FOLDER):
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def study(tmp_path):
    made = Made(tmp_path / "made")
    made.arms(["transpose", "upsample", "fir"], 6, real=True, question="Which operator is better?")
    return compare_study(made.directory)


def test_rows_say_what_the_report_says(study):
    answer, _, head, _, *rows = script("make").rows(study)
    assert answer.startswith("Against transpose, ")
    assert [cell.strip() for cell in head.split("|")[1:-1]] == [
        "arm", "frechet_distance", "quality", "spectrum", "checkerboard"
    ]  # fmt: skip
    cells = {row.split("|")[1].strip(" `"): [cell.strip() for cell in row.split("|")[2:-1]] for row in rows}
    assert cells["transpose"][1:] == ["reference"] * 3
    for comparison in study.comparisons["frechet_distance"]:
        summary = next(each for each in study.summaries["frechet_distance"] if each.arm == comparison.arm)
        assert cells[comparison.arm][0] == f"{summary.mean:.3g} ± {summary.sd:.2g}"
        assert cells[comparison.arm][1].startswith(f"**{comparison.verdict}** ")


def test_rows_show_no_mean_difference_where_runs_collapsed(tmp_path):
    made = Made(tmp_path / "made")
    made.arms(["transpose", "upsample"], 6, collapse=0.05)
    for seed in (0, 1):
        path = made.directory / f"upsample-seed{seed}" / "result.json"
        path.write_text(re.sub(r'"coverage": [^,}]*', '"coverage": 0.01', path.read_text(), count=1))
    rows = script("make").rows(compare_study(made.directory))
    (row,) = [row for row in rows if row.startswith("| `upsample` |")]
    assert "(4 of 6 runs)" in row
    assert row.count("by ranks: 2 collapsed, 0 of the reference") == 3
    assert "%" not in row


def test_the_first_picture_shows_real_images_and_both_arms_and_cuts_nothing_off(study, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("ganlab.report.drawing.Drawing._drawn", "<svg></svg>")
        report = write_report(study)
    real = (study.directory / "fir-seed0/samples/real.png").read_bytes()
    assert (report / "figures/samples-real.png").exists()
    drawing = script("hero").hero({"once": report, "twice": report}, "upsample", script("hero").real_images(report, ""))
    svg = drawing.svg("light")
    for text in (
        "real images",
        "transpose",
        "upsample",
        "once",
        "twice",
        "Fréchet distance, smaller is better",
    ):
        assert f">{text}<" in svg
    assert svg.count("<image") == 3
    (comparison,) = [each for each in study.comparisons["frechet_distance"] if each.arm == "upsample"]
    mean, low, high = (abs(100 * np.expm1(value)) for value in comparison.effect)
    sentence = (
        f"upsample against transpose is inconclusive: its Fréchet distance is {mean:.0f} % higher "
        f"(95 % interval: {low:.0f} % to {high:.0f} % higher), over 6 pairs of runs."
    )
    assert drawing.message == f"Once, {sentence} Twice, {sentence}"
    figure = drawing.draw(THEMES["light"])
    shown, whole = figure.axes[0].images[0].get_array(), np.asarray(Image.open(BytesIO(real)))
    assert (np.asarray(shown) == whole[: len(shown), : len(shown)]).all()
    for pairs in figure.axes[3:]:
        marks = {(line.get_color(), line.get_marker()) for line in pairs.lines if line.get_marker() != "None"}
        assert marks == {(ARMS[arm].light, ARMS[arm].marker) for arm in ("transpose", "upsample")}
    for theme in THEMES:
        pixels = np.asarray(Image.open(BytesIO(drawing.png(theme, dpi=110))).convert("L"), int)
        edges = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
        assert [np.ptp(edge) for edge in edges] == [0] * 4  # the ground alone


def test_every_table_of_the_page_says_what_the_committed_verdicts_say():
    page = (FOLDER / "README.md").read_text()
    for file in FOLDER.glob("*/verdict.json"):
        verdict = json.loads(file.read_text())
        table = page[page.index(f"<!-- {file.parent.name} table -->") :].partition("<!-- end -->")[0]
        table = table.partition("| arm | through ")[0]  # of kinds of features: tests/experiments/test_studies.py
        rows = {
            cells[1].strip(" `"): cells for cells in (line.split("|") for line in table.splitlines()) if len(cells) > 2
        }
        for place, title in enumerate(("quality", "spectrum", "checkerboard")):
            (endpoint,) = [each for each in verdict["endpoints"] if each["title"] == title]
            for each in endpoint["verdicts"]:
                cell = rows[each["arm"]][3 + place]
                assert cell.startswith(f" **{each['verdict']}** ")
                if each["estimate"] is None:
                    collapsed = each["collapsed"]
                    assert f"{collapsed['arm']} collapsed, {collapsed['reference']} of the reference" in cell
                    continue
                size = abs(100 * (each["estimate"] - 1)) if endpoint["unit"] == "ratio" else abs(each["estimate"])
                assert float(re.search(r"[\d.e-]*\d", cell)[0].lstrip("-")) == pytest.approx(size, rel=0.01, abs=0.06)
                if endpoint["unit"] == "size":
                    assert f" {'closer' if each['estimate'] < 0 else 'farther'} (" in cell


def test_the_readme_says_what_compare_says_of_the_scores_of_the_demonstration(tmp_path):
    quick = ROOT / "experiments" / "quick"
    plan = yaml.safe_load((ROOT / "conf/experiment/quick.yaml").read_text())["comparison"]
    known = ("arm", "seed", "status", "parameters", "macs", "seconds", "images_per_second", "path")
    for row in csv.DictReader((quick / "scores.csv").read_text().splitlines()):
        config = {"seed": int(row["seed"]), "study": "quick", "generator": {"name": row["arm"]}, "comparison": plan}
        result = {"status": row["status"], "variant": row["arm"], "seed": int(row["seed"]), "config": config,
                  "metrics": {name: float(text) for name, text in row.items() if name not in known}}  # fmt: skip
        folder = tmp_path / f"{row['arm']}-seed{row['seed']}"
        folder.mkdir()
        (folder / "result.json").write_text(json.dumps(result))
    said = script("make", quick).verdict(tmp_path)
    assert f"<!-- comparison -->\n{said}\n<!-- end -->" in (ROOT / "README.md").read_text()
    sentences = {each["sentence"] for endpoint in json.loads((quick / "verdict.json").read_text())["endpoints"][:3]
                 for each in endpoint["verdicts"]}  # fmt: skip
    assert len(sentences) == 3
    assert all(f"  {sentence}\n" in said for sentence in sentences)
