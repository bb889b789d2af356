"""The published matched table in experiments/published_table: its answers by another route, its page, its figure."""

import importlib.util

import numpy as np
import pytest
import scipy.stats
from PIL import Image

from conftest import ROOT

FOLDER = ROOT / "experiments" / "published_table"
PAIRS = [("N", "Z"), ("B", "Z"), ("N", "B"), ("N", "Baseline"), ("Z", "Baseline"), ("B", "Baseline")]

# The published values, typed a second time, by arm and GAN: kernels 3, 5, 7 after one convolution, 5 after three.
PAPER = {
    "N": [[93.54, 87.52, 90.80, 73.63], [74.07, 70.69, 73.09, 78.31], [58.35, 48.69, 60.11, 55.47]],
    "Z": [[65.46, 69.14, 71.45, 68.41], [61.45, 60.29, 59.55, 66.27], [56.91, 47.73, 43.10, 57.59]],
    "B": [[76.04, 84.65, 79.92, 80.89], [81.97, 78.66, 76.33, 72.29], [58.55, 52.18, 55.28, 54.84]],
    "Baseline": [[88.60] * 4, [73.26] * 4, [60.60] * 4],
}


@pytest.fixture(scope="module")
def analyse():
    spec = importlib.util.spec_from_file_location("analyse", FOLDER / "analyse.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("arm", PAPER)
def test_the_table_is_the_published_one(analyse, arm):
    np.testing.assert_array_equal(analyse.blocks(analyse.read_table(), arm), PAPER[arm])


@pytest.mark.parametrize("pair", PAIRS)
def test_an_answer_is_that_of_scipy(analyse, pair):
    family = PAIRS[:3] if pair in PAIRS[:3] else PAIRS[3:]
    (answer,) = [one for one in analyse.compare(analyse.read_table(), family) if (one.arm, one.reference) == pair]
    first, second = (np.log(np.ravel(PAPER[arm])) for arm in pair)
    student = scipy.stats.ttest_rel(first, second)
    interval = student.confidence_interval(0.95)
    c = answer.comparison
    assert (c.mean, c.low, c.high) == pytest.approx((np.mean(first - second), *interval), rel=1e-9)
    assert c.effect_size == pytest.approx(student.statistic / np.sqrt(12))
    exact = scipy.stats.permutation_test(
        (first, second), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples",
        n_resamples=np.inf, vectorized=True,
    )  # fmt: skip
    assert c.p_value == exact.pvalue and c.runs == 12


def test_verdicts_are_those_after_holm(analyse):
    fid = analyse.read_table()
    verdicts = {(one.arm, one.reference): one.verdict for one in analyse.compare(fid, PAIRS)}
    assert [pair for pair, verdict in verdicts.items() if verdict != "inconclusive"] == [
        ("N", "Z"),
        ("B", "Z"),
        ("Z", "Baseline"),
    ]
    assert (verdicts["N", "Z"], verdicts["B", "Z"], verdicts["Z", "Baseline"]) == ("worse", "worse", "better")
    # Eleven of twelve blocks at p = .002 do not survive thirty such questions.
    assert analyse.compare(fid, PAIRS[:1] * 30)[0].verdict == "inconclusive"


def test_the_readme_is_what_the_script_writes(analyse, tmp_path):
    page = (FOLDER / "README.md").read_text()
    (tmp_path / "README.md").write_text(page)
    for name, lines in analyse.results().items():
        analyse.write_into(tmp_path / "README.md", name, lines)
    assert (tmp_path / "README.md").read_text() == page, (
        "experiments/published_table/README.md is not what the code gives; "
        "run python experiments/published_table/analyse.py --write and look at what changed"
    )
    for told in (
        "| 1.18 | 1.25 1.20 1.09 | 11 of 12 |",
        "| 0.0044 | +1.33 | worse |",
        "| 0.82 | 0.77 0.84 0.84 | 12 of 12 |",
    ):
        assert told in page


def test_the_figure_was_drawn_from_this_table():
    with Image.open(FOLDER / "paired.png") as image:
        assert image.text["Description"] == (FOLDER / "fid.csv").read_text()
