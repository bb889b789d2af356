"""The report of a study: what it says first, that it asks for nothing, and that its figures say what is true."""

import csv
import json
import re
import resource
import shutil
import subprocess
import tomllib
from html import escape
from html.parser import HTMLParser
from io import BytesIO, StringIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT
from ganlab.errors import ConfigError
from ganlab.report import figures, page
from ganlab.report.drawing import DARK, LIGHT, THEMES, new_panels, wrap
from ganlab.report.page import Page, Section, Table, Text, compose_page
from ganlab.report.sentences import answer, describe_comparison, verdict_rows
from ganlab.report.terminal import print_report
from ganlab.report.writing import as_html, as_json, as_markdown, write_report
from ganlab.runs import grids
from ganlab.runs.result import ResultError, find_results
from ganlab.runs.status import record_sweep
from ganlab.study.compare import compare_arms, compare_study
from made_study import ARMS, QUICK, Made

QUESTION = "Which operator is better?"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The folder of a report over three arms with six seeds, of which one diverged and one is missing."""
    made = Made(tmp_path_factory.mktemp("study"))
    made.arms(["transpose", "upsample", "fir"], 6, question=QUESTION)
    made.run("fir", 2, status="diverged", question=QUESTION)
    shutil.rmtree(made.directory / "upsample-seed4")
    return write_report(compare_study(made.directory))


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path / "made")


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of titles and headings."""

    def __init__(self, text):
        super().__init__()
        self.found, self.within, self.texts = [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.within.append(tag)

    def handle_endtag(self, tag):
        if tag in self.within:
            del self.within[len(self.within) - 1 - self.within[::-1].index(tag) :]

    def handle_data(self, data):
        if self.within:
            self.texts.setdefault(self.within[-1], []).append(data.strip())


def test_a_page_asks_for_nothing(report):
    text = (report / "report.html").read_text()
    assert not re.findall(r"https?://|//cdn|@import|<script|<link|<iframe|javascript:| on\w+=", text)
    elements = Elements(text).found
    for tag, attributes in elements:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,")), (tag, attributes)
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    (policy,) = [attributes["content"] for tag, attributes in elements if "http-equiv" in attributes]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_the_verdict_comes_first_and_a_title_says_it(report):
    text = (report / "report.html").read_text()
    study = compare_study(report.parent)
    page = Elements(text)
    assert page.texts["title"][0] == page.texts["h1"][0] == answer(study)
    assert text.index(QUESTION) < text.index("<h1>") < text.index("<svg")
    places = [
        text.index(escape(describe_comparison(each))) for e in study.leading for each in study.comparisons[e.metric]
    ]
    assert len(places) == 6
    assert places == sorted(places)
    assert places[-1] < text.index("<svg")
    assert [endpoint.title for endpoint in study.leading] == ["quality", "spectrum", "checkerboard"]


def test_ids_are_used_once_and_references_have_a_target(report):
    text = (report / "report.html").read_text()
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(ids)
    for labels in re.findall(r'aria-labelledby="([^"]+)"', text):
        assert labels in ids


def test_figures_have_colours_of_both_themes_and_none_of_their_own(report):
    text = (report / "report.html").read_text()
    figures = re.findall(r"<svg.*?</svg>", text, re.S)
    assert len(figures) == 3 + 3 + 6 + 3 + 1  # effects, pairs, curves over images and seconds, costs, spectra
    for figure in figures:
        assert not re.findall(r"#[0-9a-f]{6}\b", figure)
        assert set(re.findall(r"var\(--([\w-]+)\)", figure)) <= LIGHT.keys()
        for style in re.findall(r"<text\b[^>]*", figure):
            assert "fill: var(--" in style  # without, it is black in the dark
        assert "DejaVu" not in figure
    assert LIGHT.keys() == DARK.keys()


def test_files_of_figures_are_svg_that_differs_in_colours_only(report):
    light = sorted((report / "figures").glob("*-light.svg"))
    assert len(light) == 16
    for path in light:
        texts = {theme: path.with_name(path.name.replace("light", theme)).read_text() for theme in THEMES}
        assert ElementTree.fromstring(texts["dark"]).tag == "{http://www.w3.org/2000/svg}svg"
        plain = [re.sub(r"#[0-9a-f]{6}\b", "#", text) for text in texts.values()]
        assert plain[0] == plain[1]
        assert texts["light"] != texts["dark"]


def luminance(colour):
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", THEMES)
def test_marks_and_letters_stand_out_from_their_ground(theme):  # WCAG 2.2, 1.4.3 and 1.4.11
    palette = THEMES[theme]

    def contrast(role, ground):
        pair = sorted((luminance(palette[role]), luminance(palette[ground])))
        return (pair[1] + 0.05) / (pair[0] + 0.05)

    for role in palette:
        if role.startswith("arm-"):
            assert contrast(role, "ground") >= 3
    assert contrast("text", "band") >= 4.5
    assert contrast("muted", "ground") >= 4.5


def test_every_value_stands_in_the_page_and_in_a_file(report):
    text = (report / "report.html").read_text()
    for run in find_results(report.parent):
        for metric in ("frechet_distance", "checkerboard_index_2", "recall"):
            assert run.status == "diverged" or f"<td>{run.metrics[metric]:.4g}</td>" in text
    assert "<td>diverged</td>" in text
    assert "<td>no result</td>" in text
    rows = list(csv.DictReader(StringIO((report / "scores.csv").read_text())))
    assert len(rows) == 17
    one = next(row for row in rows if row["arm"] == "upsample" and row["seed"] == "3")
    there = json.loads((report.parent / "upsample-seed3/result.json").read_text())
    assert float(one["recall"]) == there["metrics"]["recall"]
    verdict = json.loads((report / "verdict.json").read_text())
    assert verdict["question"] == QUESTION


def test_the_same_study_gives_the_same_bytes_and_stale_figures_go(report):
    files = {path: path.read_bytes() for path in report.rglob("*") if path.is_file()}
    (report / "figures/effect-of-another-time-light.svg").write_text("")
    assert write_report(compare_study(report.parent)) == report
    assert {path: path.read_bytes() for path in report.rglob("*") if path.is_file()} == files


def test_markdown_shows_files_that_exist_and_tables_that_hold_together(report):
    text = (report / "report.md").read_text()
    for name in re.findall(r'(?:src|srcset)="([^"]+)"', text):
        assert (report / name).exists(), name
    assert text.count("prefers-color-scheme: dark") == 16
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(columns) == 1, table
        assert re.match(r"\|[-:|]+\|$", table.splitlines()[1])
    assert text.count("<details>") == text.count("</details>")
    assert text.startswith(f"# {answer(compare_study(report.parent))}\n\n{QUESTION}")


def test_what_runs_did_not_leave_is_left_out_and_named(made):
    made.arms(["transpose", "upsample"], 2, facts=False, curves=False, samples=False)
    made.run("upsample", 0, status="failed", facts=False)
    shutil.rmtree(made.directory / "transpose-seed0")
    text = (write_report(compare_study(made.directory)) / "report.html").read_text()
    missing = text[text.index('<section id="missing">') :]
    for what in ("metrics.jsonl", "No samples", "profiles", "spectrum.png", "real_against_real", "seconds of training"):
        assert what in missing
    assert "<img" not in text
    assert 'id="samples"' not in text
    assert "upsample, seed 0: failed" in text
    assert "have 1 pair of finished runs" in text


def test_runs_without_metrics_make_a_report_too(made):
    made.arms(["transpose", "upsample"], 1, status="diverged")
    text = (write_report(compare_study(made.directory)) / "report.html").read_text()
    assert "without a partner" not in text
    assert 'id="real"' not in text
    assert "<h1>No finished run has metrics that can be compared.</h1>" in text
    assert "2 of 2 runs did not finish, 2 of them diverged" in text


def test_a_report_says_what_weakens_it(made):
    made.arms(["transpose", "upsample"], 2)
    path = made.directory / "upsample-seed1/result.json"
    result = json.loads(path.read_text()) | {"device": "gpu: made up, mixed_bfloat16"}
    result["metrics"]["spectral_distance_high"] = 0.0
    path.write_text(json.dumps(result))
    study = compare_study(made.directory, metric="recall")
    page = as_markdown(compose_page(study))
    verdict, certainty_, missing = (
        page[page.index(f"## {title}") :] for title in ("Verdict", "What would", "What was not")
    )
    for part in (verdict[: verdict.index("## How large")], certainty_):
        assert "The primary metric recall was chosen after the runs; frechet_distance was stated before them." in part
        assert "Not all runs were made alike: device" in part
    assert "has metrics.spectral_distance_high=0.0, which has no ratio" in missing
    why = "no: no margin for recall; the primary metric recall was chosen after the runs"
    assert f"| endpoints and margins stated before the runs | {why} |" in page
    assert "| endpoints and margins stated before the runs | yes |" in as_markdown(
        compose_page(compare_study(made.directory))
    )


def test_several_arms_have_one_sentence_and_a_table_with_a_row_each(made, undrawn, capsys):
    made.arms(ARMS, 10, question=QUESTION)
    study = compare_study(made.directory)
    head, rows = verdict_rows(study)
    assert head == ("arm", "quality", "effect", "95 % interval", "adjusted p", "spectrum (exploratory)",
                    "checkerboard (exploratory)")  # fmt: skip
    assert [row[0] for row in rows] == [arm.label for arm in study.arms]
    for row in rows:
        if row[0] == "transpose":
            assert set(row[1:]) == {"reference", "–"}
            continue
        quality, spectrum, checkerboard = (
            next(each for each in study.comparisons[endpoint.metric] if each.arm == row[0])
            for endpoint in study.leading
        )
        assert row[1] == quality.verdict
        assert row[2] == f"{100 * np.expm1(quality.effect[0]):+.1f} %"
        assert row[3].split(" % to ")[0] == f"{100 * np.expm1(quality.effect[1]):+.1f}"
        assert float(row[4]) == pytest.approx(quality.p_adjusted, rel=0.01)
        assert row[5].startswith(f"{spectrum.verdict}, ")
        side = "closer" if checkerboard.effect[0] < 0 else "farther"
        assert row[6] == f"{checkerboard.verdict}, {abs(checkerboard.effect[0]):.3g} {side}"
    said = answer(study)
    assert said.count(".") == 1
    assert len(said) < 200
    print_report(study)
    printed = capsys.readouterr().out
    contents = compose_page(study)
    plain, html = as_markdown(contents), as_html(contents)
    for row in rows:
        assert re.search(r" +".join(map(re.escape, row)), printed)
        assert "".join(f"<td>{cell}</td>" for cell in row[1:]) in html
        assert f"| {' | '.join(row)} | " in plain.replace("\\_", "_")
    assert (
        printed.index(said)
        < printed.index(rows[0][3])
        < printed.index(describe_comparison(study.comparisons["frechet_distance"][0]))
    )
    two = compare_arms(
        [arm for arm in study.arms if arm.label in ("transpose", "fir")], study.plan, directory=study.directory
    )
    assert "checkerboard" in answer(two)  # of one arm a sentence has all endpoints
    assert not [block for block in compose_page(two).sections[0].blocks if isinstance(block, Table)]


def test_real_images_stand_beside_samples_where_a_run_left_some(made):
    made.arms(["transpose", "upsample"], 1)
    page = as_markdown(compose_page(compare_study(made.directory)))
    assert "real images" not in page[page.index("## Samples") : page.index("## Spectra")]
    made.run("upsample", 0, real=True)
    contents = compose_page(compare_study(made.directory))
    left = np.asarray(Image.open(made.directory / "upsample-seed0/samples/real.png"))
    assert (np.asarray(Image.open(BytesIO(contents.pictures()["samples-real"]))) == left).all()
    assert "| real images | transpose | upsample |" in as_markdown(contents)
    html = as_html(contents)
    assert html.index("<figcaption>real images") < html.index("<figcaption>transpose")


def test_a_margin_that_was_not_stated_is_named(made):
    made.arms(["transpose", "upsample"], 2, margins={"frechet_distance": 0.05, "checkerboard_index": 0.02})
    ((table,),) = [page.checklist(compare_study(made.directory))]
    told = {what: here for what, here, _ in table.rows}
    assert told["endpoints and margins stated before the runs"] == "no: no margin for spectral_distance"


def test_what_a_run_is_called_is_not_taken_for_what_is_said_of_it(made):
    """A device whose name reads like another caution is only a device."""
    margins = {"frechet_distance": 0.05, "spectral_distance": 0.1, "checkerboard_index": 0.02}
    made.arms(["transpose", "upsample"], 2, margins=margins)
    path = made.directory / "upsample-seed1/result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"device": "cpu: chosen after the runs"}))
    study = compare_study(made.directory)
    ((table,),) = [page.checklist(study)]
    assert {what: here for what, here, _ in table.rows}["endpoints and margins stated before the runs"] == "yes"
    assert "(upsample)" in as_markdown(compose_page(study))


def test_every_row_of_the_checklist_can_be_yes_and_all_but_one_can_be_no(made, tmp_path):
    margins = {"frechet_distance": 0.05, "spectral_distance": 0.1, "checkerboard_index": 0.02}
    made.arms(["transpose", "upsample"], 2, margins=margins)
    ((table,),) = [page.checklist(compare_study(made.directory))]
    assert {here for _, here, _ in table.rows} == {"yes"}
    bare = Made(tmp_path / "bare")
    for arm in ("transpose", "upsample"):
        bare.run(arm, 0, status="diverged", facts=False)
    ((table,),) = [page.checklist(compare_study(bare.directory))]
    assert [what for what, here, _ in table.rows if here == "yes"] == ["failures counted"]


def test_labels_are_shown_as_they_are(made):
    for arm in ("transpose", "upsample"):
        for seed in range(2):
            path = made.run(arm, seed, curves=False, samples=False, facts=False) / "result.json"
            text = path.read_text()
            path.write_text(text.replace('"digits"', '"<i>$a_b$|`x`"') if arm == "transpose" else text)
    for path in made.directory.glob("*/result.json"):  # one generator, two data sets: labels carry what differs
        path.write_text(
            path.read_text().replace('"upsample"', '"transpose"').replace('"kernel_size": 3', '"kernel_size": 4')
        )
    report = write_report(compare_study(made.directory))
    page, plain = (report / "report.html").read_text(), (report / "report.md").read_text()
    assert "<i>" not in page
    assert "name=&lt;i&gt;$a_b$|`x`" in page
    assert "name=\\<i>$a_b$\\|\\`x\\`" in plain
    ElementTree.fromstring(next((report / "figures").glob("effect*light.svg")).read_text())


def test_curves_are_medians_of_equal_steps(made):
    made.arms(["transpose", "upsample"], 3)
    path = made.directory / "upsample-seed1/metrics.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[2:]))  # without its first step
    study = compare_study(made.directory)
    histories = figures.read_histories(study)
    metric, found = figures.curves_of(study, study.leading[0], histories)
    assert metric == "frechet_distance"
    assert found["transpose"].images.tolist() == [16_000, 32_000, 64_000, 128_000, 256_000]
    curve = found["upsample"]
    assert curve.images.tolist() == [32_000, 64_000, 128_000, 256_000]
    assert curve.values.shape == (3, 4)
    last = [study.arms[1].values("frechet_distance")[seed] for seed in range(3)]
    assert curve.values[:, -1].tolist() == last
    assert (
        ": median of 3 seeds, " in figures.draw_curves(study, study.leading[0], metric, found, "images", None).message
    )
    found["upsample"] = curve._replace(values=curve.values[:2])
    assert (
        ": median of 2 to 3 seeds, "
        in figures.draw_curves(study, study.leading[0], metric, found, "images", None).message
    )
    path.write_text('{"step": 1, "metric/')
    with pytest.raises(ConfigError, match=r"upsample-seed1/metrics.jsonl is damaged"):
        figures.read_histories(study)


def test_a_metric_of_the_end_is_followed_by_its_quick_relative(made):
    plan = {"quality": "full/pca/coverage", "spectrum": None, "checkerboard": None}
    metrics = ("coverage", "full/pca/coverage")
    for arm in ("transpose", "upsample"):
        for seed in range(2):
            folder = made.run(arm, seed, metrics=metrics, **plan)
            lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
            lines = [{k: v for k, v in line.items() if "full" not in k} for line in lines]
            (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    study = compare_study(made.directory)
    (endpoint,) = study.leading
    metric, found = figures.curves_of(study, endpoint, figures.read_histories(study))
    assert (metric, set(found)) == ("coverage", {"transpose", "upsample"})
    (comparison,) = study.comparisons[endpoint.metric]  # of coverage, where more is better
    assert comparison.effect[0] == comparison.paired.mean < 0


def test_seeds_are_counted_by_what_is_better(made):
    made.arms(["transpose", "upsample"], 6)
    study = compare_study(made.directory)
    for metric, larger in (("frechet_distance", False), ("recall", True)):
        ours, theirs = (np.array(list(arm.values(metric).values())) for arm in (study.arms[1], study.reference))
        wins = np.sum(ours > theirs) if larger else np.sum(ours < theirs)
        assert figures.better_seeds(study.comparisons[metric][0]) == f"{wins} of 6"


def test_where_ranks_decide_the_page_says_what_rests_on_which_pairs(made):
    made.arms(["transpose"], 10)
    for seed in range(10):
        made.run("fir", seed, status="finished" if seed < 3 else "diverged")
    study = compare_study(made.directory)
    page = as_markdown(compose_page(study))
    (row,) = [line for line in page.splitlines() if line.startswith("| fir | worse | -")][:1]
    assert "| 3 of 10, by ranks |" in row
    assert "Better than transpose: fir in 3 of 10" in page
    assert "needs more seeds" not in page  # of ten pairs it can
    (drawn,) = [each for each in compose_page(study).drawings() if each.name == "effect-frechet-distance"]
    assert "; worse by ranks" in drawn.svg("light")
    assert "By ranks: a run that diverged or collapsed is the worst" in page


def test_no_mean_at_equal_budgets_where_runs_collapsed(made):
    made.arms(["transpose", "upsample"], 8)
    before = as_markdown(compose_page(compare_study(made.directory)))
    for path in sorted(made.directory.glob("*upsample*/result.json"))[:5]:
        tree = json.loads(path.read_text())
        tree["metrics"]["coverage"] = 0.0
        path.write_text(json.dumps(tree))
    after = as_markdown(compose_page(compare_study(made.directory)))
    rows = [
        next(line for line in text.split("| after ")[-1].splitlines() if line.startswith("| upsample |"))
        for text in (before, after)
    ]
    assert "%" in rows[0]
    assert "%" not in rows[1]


def test_pairs_without_any_value_are_not_drawn(made):
    made.arms(["transpose", "upsample"], 2, curves=False, samples=False)
    for path in made.directory.rglob("result.json"):
        found = json.loads(path.read_text())
        path.write_text(json.dumps(found | {"metrics": found["metrics"] | {"coverage": 0.001}}))
    page = as_markdown(compose_page(compare_study(made.directory)))
    assert "frechet_distance of every seed" in page
    assert "pairs of runs with the same seed. Better" not in page
    assert "Each line joins two runs" not in page


def test_the_limits_count_the_arms_that_share_an_error_rate(made):
    made.arms(["transpose", "upsample", "fir", "carafe", "transpose_k3"], 6)
    (said,) = page.limits(compare_study(made.directory))
    assert said.items[0] == (
        "The verdict needs more seeds: p <= 0.05 with 4 arms needs at least 8 pairs, this study has 6. 10 are usual."
    )
    assert "By ranks" not in as_markdown(compose_page(compare_study(made.directory)))


def test_cells_of_a_sweep_that_left_no_result_are_named(made):
    made.arms(["transpose", "upsample"], 2)
    cells = [f"{arm}-seed{seed}" for arm in ("transpose", "upsample", "fir") for seed in range(2)]
    record_sweep(made.directory, "a command", cells)
    (made.directory / "fir-seed0").mkdir()
    (made.directory / "fir-seed0/config.json").write_text("{}")
    study = compare_study(made.directory)
    assert [(cell.name, cell.state) for cell in study.pending] == [
        ("fir-seed0", "interrupted"),
        ("fir-seed1", "missing"),
    ]
    page = as_markdown(compose_page(study))
    assert page.count("No result yet: fir-seed0: interrupted; fir-seed1: not started.") == 1
    assert "These runs have no result yet: fir-seed0: interrupted; fir-seed1: not started." in page
    assert as_json(study)["pending"] == ["fir-seed0: interrupted", "fir-seed1: not started"]


def test_the_limits_say_how_many_seeds_would_do(made):
    made.arms(["transpose", "pixel_shuffle"], 5)
    study = compare_study(made.directory)
    (comparison,) = study.comparisons["frechet_distance"]
    assert comparison.verdict == "inconclusive"
    (said,) = page.limits(study)
    (line,) = [item for item in said.items if "pixel_shuffle is undecided in frechet_distance with 5 pairs" in item]
    assert f"{comparison.robust.seeds_for_power} pairs to find" in line
    assert f"{comparison.robust.seeds_for_equivalence} pairs to show" in line


def test_samples_are_of_one_seed_and_no_pixel_changes(made, monkeypatch, capsys):
    made.arms(["transpose", "upsample"], 3)
    shutil.rmtree(made.directory / "upsample-seed0/samples")
    study = compare_study(made.directory)
    found = figures.last_grids(study)
    assert found is not None
    assert (found.seed, [grid.step for grid in found.grids]) == (1, [4000, 4000])
    whole = np.asarray(Image.open(made.directory / "upsample-seed1/samples/step-00004000.png"))
    assert (np.asarray(Image.open(BytesIO(found.grids[1].png))) == whole).all()
    monkeypatch.setattr(figures, "LARGEST", 2 * len(found.grids[0].png) * 3 // 8)
    fewer = figures.last_grids(study)
    assert fewer is not None
    part = np.asarray(Image.open(BytesIO(fewer.grids[1].png)))
    assert fewer.grids[1].rows == 2
    assert part.shape[0] == (whole.shape[0] - 6) // 4 + 6
    assert (part == whole[: len(part)]).all()
    monkeypatch.setattr(figures, "LARGEST", 100)
    assert figures.last_grids(study) == figures.Samples(1, ())
    assert "The samples of seed 1 are too large for this page: see samples/ of the runs." in as_markdown(
        compose_page(study)
    )
    (made.directory / "upsample-seed1/samples/step-00004000.png").write_bytes(b"no picture")
    assert figures.last_grids(study).seed == 2
    assert "upsample-seed1/samples/step-00004000.png is not a complete PNG" in capsys.readouterr().err


def test_a_damaged_picture_of_a_spectrum_is_named_and_passed_over(made, capsys):
    made.arms(["transpose", "upsample"], 1)
    for path in made.directory.glob("*-seed0"):
        grids.save_png(path / "pictures" / "spectrum.png", np.zeros((8, 8, 1), np.uint8))
    study = compare_study(made.directory)
    assert len(figures.saved_spectra(study, None).grids) == 2
    whole = (made.directory / "upsample-seed0/pictures/spectrum.png").read_bytes()
    for left in (b"", whole[:-20], b"no picture"):
        (made.directory / "upsample-seed0/pictures/spectrum.png").write_bytes(left)
        assert figures.saved_spectra(study, None) is None
        assert re.fullmatch(
            "not in the report: .*upsample-seed0/pictures/spectrum.png is not a complete PNG .*\n",
            capsys.readouterr().err,
        )


def test_a_run_that_failed_says_nothing_about_the_others(made):
    made.arms(["transpose", "upsample"], 2)
    made.run("upsample", 2, status="failed", facts=False)
    made.run("transpose", 2)

    def told(study):
        ((table,), (protocol, *_)) = page.checklist(study), page.protocol(study)
        return {what: here for what, here, _ in table.rows}, dict(protocol.rows)["device"]

    answers, device = told(compare_study(made.directory))
    facts = ["arms with parameters, MACs and time", "scores of real images, and of equal distributions, under the same protocol",
             "versions and device", "a repeated run gives the same numbers to the bit"]  # fmt: skip
    assert {answers[what] for what in facts} == {"yes"}
    assert device == "cpu: made up, float32"
    for path in made.directory.glob("*"):
        arm, _, seed = path.name.partition("-seed")
        made.run(arm, int(seed), status="diverged", facts=False)
    answers, device = told(compare_study(made.directory))
    assert {answers[what] for what in facts} == {"no"}
    assert device == "not recorded"


def test_what_real_images_score_is_that_of_the_runs_that_are_compared(made):
    made.arms(["transpose", "upsample"], 2)
    path = made.run("upsample", 2, status="diverged") / "result.json"  # never measured again, under another protocol
    path.write_text(
        path.read_text().replace("0.36", "0.9").replace('"frechet_distance": 0.3}', '"frechet_distance": 0.7}')
    )
    _, short, _ = page.real_of(compare_study(made.directory), [])
    assert short.rows[0][:3] == ("frechet_distance", "0.36", "0.3")


def test_runs_that_went_astray_are_named(made):
    made.arms(["transpose", "upsample"], 7)
    said = str(page.limits(compare_study(made.directory)))
    assert "with seed" not in said
    assert "one data set (digits), one budget (256,000 images) and" in said
    path = made.directory / "upsample-seed0/result.json"  # it ended at its plateau
    path.write_text(path.read_text().replace("256000", "128000"))
    said = str(page.limits(compare_study(made.directory)))
    assert "one data set (digits), runs of 128,000 to 256,000 images and" in said
    for seed, larger in ((1, 5), (3, 20), (4, 500)):
        path = made.directory / f"upsample-seed{seed}/result.json"
        result = json.loads(path.read_text())
        result["metrics"]["frechet_distance"] *= larger
        path.write_text(json.dumps(result))
    said = str(page.limits(compare_study(made.directory)))
    assert "upsample with seed 3 and 4 ended at more than 10 times the median of its arm in frechet_distance" in said
    assert said.count("with seed") == 1
    study = compare_study(made.directory)
    drawing = figures.against_cost(study, study.endpoints[0], "seconds")
    assert drawing is not None
    low, high = drawing.draw(THEMES["light"]).axes[0].get_xlim()
    assert 0 < low < high < 50  # the middle half: without the run that is 500 times as far


def test_runs_that_went_astray_are_cut_off_and_the_caption_says_so(made):
    made.arms(["transpose", "upsample"], 3)
    path = made.directory / "upsample-seed1/metrics.jsonl"
    far = [json.loads(line) for line in path.read_text().splitlines()]
    far = [line | {"metric/frechet_distance": 900.0} if "metric/frechet_distance" in line else line for line in far]

    def drawn():
        study = compare_study(made.directory)
        endpoint = study.leading[0]
        metric, found = figures.curves_of(study, endpoint, figures.read_histories(study))
        drawing = figures.draw_curves(study, endpoint, metric, found, "images", 0.36)
        return drawing.message, drawing.draw(THEMES["light"]).axes[0].get_ylim()[1], found

    message, top, found = drawn()
    assert "cut off" not in message
    assert "; dashed: transpose; " in message
    assert "what real images score, 0.36" in message
    assert top > max(curve.values.max() for curve in found.values())
    path.write_text("".join(json.dumps(line) + "\n" for line in far))
    message, top, found = drawn()
    assert top == pytest.approx(10 * found["transpose"].values.max())
    assert f"the axis is cut off above {float(f'{top:.2g}'):g}" in message
    for each in made.directory.glob("transpose-*/metrics.jsonl"):
        each.unlink()
    assert "dashed" not in drawn()[0]


def test_spectra_that_are_far_off_do_not_flatten_the_others(made):
    made.arms(["transpose", "upsample"], 3)
    study = compare_study(made.directory)
    drawing = figures.spectra(study)
    assert drawing is not None
    assert "cut off" not in drawing.message
    path = made.directory / "upsample-seed1/result.json"
    result = json.loads(path.read_text())
    result["profiles"]["generated"][2] *= 1e-9
    path.write_text(json.dumps(result))
    drawing = figures.spectra(compare_study(made.directory))
    assert drawing is not None
    assert "cut off where power is more than 1000 times too weak or too strong" in drawing.message
    low, high = drawing.draw(THEMES["light"]).axes[0].get_ylim()
    assert low == -3
    assert high < 3


def test_no_marker_hides_another_where_arms_cost_the_same(made):
    names = ["transpose", "upsample", "fir", "carafe"]
    made.arms(names, 1)
    for arm in names:
        path = made.directory / f"{arm}-seed0/result.json"
        result = json.loads(path.read_text()) | {"seconds": 10.0}
        result["metrics"]["frechet_distance"] = 1.0
        path.write_text(json.dumps(result))
    study = compare_study(made.directory)
    drawing = figures.against_cost(study, study.endpoints[0], "seconds")
    assert drawing is not None
    figure = drawing.draw(THEMES["light"])
    figure.draw_without_rendering()
    for axis in figure.axes:
        marks = [line for line in axis.lines if line.get_marker() != "None"]
        places = sorted(axis.transData.transform(np.column_stack(line.get_data()))[0][1] for line in marks)
        assert len(places) == 4
        tall = max(line.get_markersize() for line in marks) * figure.dpi / 72
        assert min(np.diff(places)) > tall


def test_a_report_tells_what_the_metrics_that_it_has_mean(made):
    names = (*QUICK, "full/factors/kolmogorov_size", "full/random/coverage")
    for arm in ("transpose", "upsample"):
        made.run(arm, 0, metrics=names)
    (fold,) = page.explain(compare_study(made.directory))
    (table,) = fold.blocks
    told = [row[0] for row in table.rows]
    assert {"frechet_distance", "checkerboard_index", "kolmogorov", "full/random/", "arm", "pair", "p"} <= set(told)
    assert not {"precision", "fid", "full/classifier/"} & set(told)
    assert len(told) == len(set(told))


def test_the_protocol_that_decides_is_the_one_that_is_open(made):
    for arm in ("transpose", "upsample"):
        for seed in range(2):
            folder = made.run(arm, seed, metrics=(*QUICK, "full/pca/coverage"), quality="full/pca/coverage")
            path = folder / "result.json"
            result = json.loads(path.read_text())
            result["protocol"] |= {"full": {"n_fake": 10_000}}
            path.write_text(json.dumps(result))
    table, fold, *_ = page.protocol(compare_study(made.directory))
    assert ("full.n_fake", "10000") in table.rows
    assert fold.summary == "Protocol of the quick measures"
    assert ("n_fake", "359") in fold.blocks[0].rows
    table, fold, *_ = page.protocol(compare_study(made.directory, metric="coverage"))
    assert ("n_fake", "359") in table.rows
    assert fold.summary == "Protocol of the measures at the end"


def test_two_endpoints_with_one_curve_have_it_once(made):
    names = (*QUICK, "full/pca/frechet_distance")
    for arm in ("transpose", "upsample"):
        for seed in range(2):
            made.run(arm, seed, metrics=names, spectrum="full/pca/frechet_distance")
    drawn = [
        each.name for each in compose_page(compare_study(made.directory)).drawings() if each.name.startswith("curves")
    ]
    assert len(drawn) == len(set(drawn)) == 4  # of quality and checkerboard, over images and seconds


def test_a_study_may_be_a_link_and_its_cells_may_not(tmp_path):
    made = Made(tmp_path / "disk")
    made.arms(["transpose", "upsample"], 2)
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/mine").symlink_to(made.directory)
    (made.directory / "upsample-seed0/round").symlink_to(made.directory)  # a ring is not walked
    study = compare_study(tmp_path / "outputs/mine")
    assert (study.gaps, study.pending) == ((), ())
    moved = (made.directory / "upsample-seed1").rename(tmp_path / "elsewhere")
    (made.directory / "upsample-seed1").symlink_to(moved)
    with pytest.raises(ResultError, match=r"upsample-seed1 is a link; replace it by what it points to"):
        compare_study(made.directory)


def test_what_a_run_takes_is_told_by_the_median(made):
    made.arms(["transpose", "upsample"], 3)
    path = made.directory / "upsample-seed1/result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": 9999.0}))  # something else ran beside
    table = as_markdown(compose_page(compare_study(made.directory)))
    (row,) = [line for line in table.splitlines() if line.startswith("| upsample | 34,000")]
    assert "| 63.2 |" in row


def test_spectra_take_the_room_that_samples_leave(made, monkeypatch):
    made.arms(["transpose", "upsample"], 1)
    study = compare_study(made.directory)
    beside = figures.last_grids(study)
    assert figures.saved_spectra(study, beside) is None
    for arm in ("transpose", "upsample"):
        picture = made.directory / f"{arm}-seed0/pictures/spectrum.png"
        picture.parent.mkdir()
        Image.effect_noise((40, 40), 50).save(picture)
    found = figures.saved_spectra(study, beside)
    assert found is not None
    assert len(found.grids) == 2
    monkeypatch.setattr(figures, "LARGEST", found.size + beside.size - 1)
    assert figures.saved_spectra(study, beside) == figures.Samples(0, ())
    assert figures.saved_spectra(study, None) == found
    page = as_markdown(compose_page(study))
    assert "The pictures of spectra are too large for this page: see pictures/ of the runs." in page
    assert "pictures/spectrum.png)" not in page  # among what was not found


def test_figures_can_be_had_as_png(report):
    study = compare_study(report.parent)
    drawing = figures.forest(study, study.leading[0])
    light, dark = (np.asarray(Image.open(BytesIO(drawing.png(theme)))) for theme in THEMES)
    assert light.shape == dark.shape
    assert light.shape[1] == 640
    assert light[0, 0, 0] > 200 > 60 > dark[0, 0, 0]
    assert drawing.png() == drawing.png()


def test_long_labels_break_where_words_end():
    assert wrap("upsample kernel_size=5", 12) == "upsample\nkernel_size=\n5"
    assert wrap("transpose", 9) == "transpose"
    assert wrap("an OperatorOfOneLongWord", 12) == "an\nOperatorOfOn\neLongWord"  # not across its neighbour


def test_the_lowest_panel_of_each_column_has_numbers():
    _, axes = new_panels(["one", "two", "three"], columns=2, height=1, sharex=True)
    assert [axis.xaxis.get_tick_params()["labelbottom"] for axis in axes] == [False, True, True]


def test_endpoints_have_the_order_of_the_plan_everywhere(made):
    made.arms(["transpose", "upsample"], 2, curves=False, samples=False)
    study = compare_study(made.directory)
    assert [end.title for end in study.stated] == ["quality", "spectrum", "checkerboard"]
    assert study.leading == study.stated


def test_what_was_chosen_after_the_runs_is_said(made):
    made.arms(["transpose", "upsample"], 2, curves=False, samples=False, spectrum="spectral_distance_high")
    study = compare_study(made.directory, "coverage", "upsample")
    (said,) = page.limits(study)
    assert (
        "The primary metric coverage was chosen after the runs; frechet_distance was stated before them." in said.items
    )
    assert "The spectrum endpoint spectral_distance_high was not measured: its verdict is open." in said.items
    assert any("p <= 0.05 needs at least 6 pairs, this study has 2. 10 are usual." in item for item in said.items)
    assert answer(study).startswith(
        "Against upsample, transpose is inconclusive in coverage, quality (frechet_distance, exploratory)"
    )


def test_a_command_for_every_run(report):
    text = (report / "report.html").read_text()
    assert len(re.findall(r"<code>python -m ganlab.train resume=\S+</code>", text)) == 17
    assert f"resume={report.parent.name}/fir-seed2</code>" in text


def test_the_commands_of_runs_with_plugins_name_their_files(made):
    made.arms(["transpose", "upsample"], 1)
    for path in made.directory.glob("upsample-*/result.json"):
        result = json.loads(path.read_text())
        plugins = [{"name": "mine.py", "digest": "0" * 64}, {"name": "package", "digest": "1.0"}]
        path.write_text(json.dumps(result | {"config": result["config"] | {"plugins": plugins}}))
    text = as_markdown(compose_page(compare_study(made.directory)))
    assert "Add --plugin with the path of each file that it needs: mine.py." in text


def test_a_report_names_no_place_on_the_machine_that_made_it(tmp_path):
    made = Made(tmp_path / "outputs/mine")
    made.arms(["transpose", "upsample"], 1)
    page = as_markdown(compose_page(compare_study(made.directory)))
    assert str(tmp_path) not in page
    assert "resume=outputs/mine/upsample-seed0" in page
    assert "where the folder outputs is" in page


def test_templates_are_part_of_the_wheel():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["ganlab"]  # with everything that git does not ignore
    names = {path.name for path in (ROOT / "ganlab/report/templates").iterdir()}
    assert names == {"report.html.jinja", "report.md.jinja", "style.css"}


def test_markdown_of_a_page_needs_no_study(report):
    page = Page("a*b", "c_d e_", (Section("x", "y", (Text("<z> 1 < 2"),)),))
    assert as_markdown(page) == "# a\\*b\n\nc_d e\\_\n\n## y\n\n\\<z> 1 < 2\n"


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

MEASURE = """<!doctype html><body><script>
const widths = [390, 1400], found = [];
function measure() {
  if (!widths.length) { document.body.textContent = JSON.stringify(found); return; }
  const frame = document.createElement("iframe"), width = widths.shift();
  frame.style = `width:${width}px;height:900px;border:0`;
  frame.onload = () => {
    const page = frame.contentDocument;
    page.querySelectorAll("details").forEach(each => each.open = true);
    const beyond = [...page.querySelectorAll("body *")].filter(each =>
      !each.closest(".scroll, svg") && each.getBoundingClientRect().right > width + 1);
    const scale = box => Math.hypot(box.a, box.b);
    const letters = [...page.querySelectorAll("svg text")].map(each =>
      scale(each.getScreenCTM()) * parseFloat(frame.contentWindow.getComputedStyle(each).fontSize));
    const cut = [...page.querySelectorAll("svg text")].filter(each => {
      const box = each.getBoundingClientRect(), whole = each.closest("svg").getBoundingClientRect();
      return box.left < whole.left - 3 || box.right > whole.right + 3; });
    const empty = [...page.querySelectorAll("svg, img")].filter(each => each.getBoundingClientRect().height < 50);
    found.push({width, scroll: page.documentElement.scrollWidth, beyond: beyond.map(each => each.outerHTML.slice(0, 80)),
      letters: Math.min(...letters), cut: cut.map(each => each.textContent), empty: empty.length});
    frame.remove(); measure();
  };
  frame.src = "report.html"; document.body.append(frame);
}
measure();
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_nothing_is_wider_than_a_telephone_or_too_small_to_read(report):
    (report / "measure.html").write_text(MEASURE)
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--no-first-run",
             "--disable-background-networking", "--virtual-time-budget=20000", "--dump-dom"]  # fmt: skip
    profile = report.parent / "profile"
    line = [CHROMIUM, *flags, f"--user-data-dir={profile}", (report / "measure.html").as_uri()]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True)
    (report / "measure.html").unlink()
    found = json.loads(re.search(r"\[\{.*\}\]", done.stdout)[0])
    assert [each["width"] for each in found] == [390, 1400]
    for each in found:
        assert each["scroll"] <= each["width"]
        assert each["beyond"] == []
        assert each["cut"] == []
        assert each["empty"] == 0
        assert each["letters"] >= 10  # CSS pixels


@pytest.mark.slow
def test_seven_arms_with_twenty_seeds_are_small_and_soon_done(made, command):
    names = [
        f"full/{f}/{n}"
        for f in ("a", "b", "c", "d")
        for n in (*QUICK[:4], "density", "precision", "energy_distance", "x")
    ]
    made.arms(ARMS, 20, metrics=(*QUICK, *names, "odd"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = command("compare", made.directory)
    assert done.returncode == 0, done.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 20
    assert (made.directory / "report/report.html").stat().st_size < 3_000_000
    assert "--all prints them" in done.stdout
    assert Path(made.directory / "report/verdict.json").exists()
