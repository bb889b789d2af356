"""How arms stand at equal images and at equal seconds."""

import math

import pytest

from ganlab.config import Comparing
from ganlab.runs.result import RunResult
from ganlab.study.arms import Arm
from ganlab.study.compare import at_equal_budget, compare_arms


def arm(label, finals, coverage=0.9):
    runs = {
        seed: RunResult(status="finished", variant="x", seed=seed, config={},
                        metrics={"frechet_distance": value, "coverage": coverage})
        for seed, value in enumerate(finals)
    }  # fmt: skip
    return Arm(label, {}, runs)


def study_of(ours, theirs):
    study = compare_arms([ours, theirs], Comparing(reference="theirs", margins={}))
    return study, study.endpoints[0]


# Ours takes twice the seconds, ends at 200 images with 2 and had 4 at 100; theirs ends at 100 images with 3.
SERIES = {
    "ours": {seed: [(50, 10.0, 8.0), (100, 20.0, 4.0), (200, 40.0, 2.0)] for seed in range(3)},
    "theirs": {seed: [(50, 5.0, 6.0), (100, 10.0, 3.0)] for seed in range(3)},
}


@pytest.mark.parametrize(("over", "budget", "ratio"), [("images", 100, 4 / 3), ("seconds", 10.0, 8 / 3)])
def test_values_are_taken_where_every_run_has_had_as_much(over, budget, ratio):
    study, endpoint = study_of(arm("ours", [2.0] * 3), arm("theirs", [3.0] * 3))
    found = at_equal_budget(study, endpoint, SERIES, over)
    assert found.budget == budget
    comparison = found.comparisons["ours"]
    assert comparison.runs == 3
    assert math.exp(-comparison.mean) == pytest.approx(ratio)  # more is better


def test_a_run_that_had_nothing_by_then_is_left_out():
    study, endpoint = study_of(arm("ours", [2.0] * 3), arm("theirs", [3.0] * 3))
    late = {"ours": SERIES["ours"] | {1: [(150, 30.0, 2.0)]}, "theirs": SERIES["theirs"]}
    assert at_equal_budget(study, endpoint, late, "images").comparisons["ours"].runs == 2


@pytest.mark.parametrize("value", [0.0, -1e-9, math.nan, math.inf])
def test_a_value_without_a_ratio_is_left_out(value):
    study, endpoint = study_of(arm("ours", [2.0] * 3), arm("theirs", [3.0] * 3))
    odd = {"ours": SERIES["ours"] | {1: [(50, 10.0, 8.0), (100, 20.0, value)]}, "theirs": SERIES["theirs"]}
    assert at_equal_budget(study, endpoint, odd, "images").comparisons["ours"].runs == 2


def test_runs_without_records_have_no_budget():
    study, endpoint = study_of(arm("ours", [2.0] * 3), arm("theirs", [3.0] * 3))
    assert at_equal_budget(study, endpoint, {"ours": SERIES["ours"]}, "images") is None


def test_collapsed_runs_are_the_worst_at_every_budget():
    study, endpoint = study_of(arm("ours", [2.0] * 8, coverage=0.0), arm("theirs", [3.0] * 8))
    series = {label: dict.fromkeys(range(8), SERIES[label][0]) for label in SERIES}
    comparison = at_equal_budget(study, endpoint, series, "images").comparisons["ours"]
    assert (comparison.runs, comparison.verdict) == (0, "worse")
