"""The simulations of experiments/statistics: few repeats by default, the promised ones as slow tests."""

import importlib.util
import math

import pytest

from conftest import ROOT
from ganlab.study.statistics import paired_power


@pytest.fixture(scope="module")
def simulated():
    spec = importlib.util.spec_from_file_location("simulations", ROOT / "experiments/statistics/simulations.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def errors(share, repeats, several=3):
    """So many standard errors of a share."""
    return several * math.sqrt(share * (1 - share) / repeats)


def test_the_interval_covers(simulated):
    for pairs in (6, 10):
        held = simulated.coverage(600, pairs, simulated.NORMAL)
        assert held == pytest.approx(0.95, abs=errors(0.95, 600))


@pytest.mark.slow
def test_equal_arms_are_seldom_told_apart(simulated):
    # seven arms, ten seeds: a raw p <= 0.05 somewhere in a fifth of all studies, which is what Holm is for
    raw, wrong = simulated.false_positives(150, 10)
    assert 0.12 < raw < 0.32
    assert wrong <= 0.05 + errors(0.05, 150)


def test_equal_arms_are_seldom_told_apart_where_runs_diverge(simulated):
    raw, wrong = simulated.false_positives(150, 10, lost=0.2, arms=3)
    assert 0.02 < raw < 0.22
    assert wrong <= 0.05 + errors(0.05, 150)


@pytest.mark.parametrize("seeds", [6, 10])
@pytest.mark.slow
def test_an_arm_that_collapses_now_and_then_is_seldom_called_better_or_worse(simulated, seeds):
    better, worse = simulated.unlike_arms(300, seeds, collapse=0.2)
    assert better + worse <= 0.05 + errors(0.05, 300)


def test_an_arm_that_collapses_often_is_called_worse(simulated):
    better, worse = simulated.unlike_arms(100, 10, collapse=0.9)
    assert (better, worse > 0.7) == (0, True)


@pytest.mark.slow
def test_any_of_six_arms_at_the_margin_is_seldom_called_equivalent(simulated):
    alone, wrong = simulated.false_equivalents(150, 10, 2.0)
    assert alone > 0.1
    assert wrong <= 0.05 + errors(0.05, 150)


def test_the_interval_over_draws_covers(simulated):
    alone, both = simulated.coverage_over_draws(300, 10, 5, 1.0)
    assert alone < 0.9
    assert both >= 0.95 - errors(0.95, 300)


def test_power_is_as_computed(simulated):
    by_interval, by_verdict = simulated.power(500, 8, 1.2)
    expected = paired_power(1.2, 8)
    assert by_interval == pytest.approx(expected, abs=errors(expected, 500))
    assert by_verdict <= by_interval


def test_equivalence_is_as_computed(simulated):
    assert simulated.equivalence(500, 12, 1.0) == pytest.approx(0.89, abs=errors(0.89, 500))
    assert simulated.equivalence(500, 12, 1.0, true=1.0) <= 0.05 + errors(0.05, 500)


def test_the_interval_of_the_probability_of_improvement_covers(simulated):
    held = simulated.improvement_coverage(400, 10, 1.0, 0.0)
    assert 0.95 - errors(0.95, 400) <= held < 1


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [6, 10, 20])
def test_the_interval_covers_as_promised(simulated, pairs):
    assert simulated.coverage(2000, pairs, simulated.NORMAL) == pytest.approx(0.95, abs=0.015)


@pytest.mark.slow
@pytest.mark.parametrize("case", [{"seeds": 10}, {"seeds": 10, "lost": 0.2}])
def test_false_positives_are_as_few_as_promised(simulated, case):
    assert simulated.false_positives(1000, **case)[1] <= 0.055


@pytest.mark.slow
def test_power_is_as_tabulated(simulated):
    for effect, pairs in zip((0.5, 0.8, 1.0, 1.2, 1.5, 2.0), (34, 15, 10, 8, 6, 5), strict=True):
        expected = paired_power(effect, pairs)
        assert expected >= 0.8 > paired_power(effect, pairs - 1)
        assert simulated.power(2000, pairs, effect)[0] == pytest.approx(expected, abs=errors(expected, 2000))


@pytest.mark.slow
def test_equivalence_is_as_tabulated(simulated):
    table = [(1.0, 10, 0.80), (1.0, 12, 0.89), (1.0, 16, 0.97), (0.8, 12, 0.66), (0.8, 16, 0.84), (0.8, 20, 0.93),
             (0.5, 30, 0.69), (0.5, 40, 0.86)]  # fmt: skip
    for margin, pairs, tabulated in table:
        found = simulated.equivalence(2000, pairs, margin)
        assert found == pytest.approx(tabulated, abs=0.01 + errors(tabulated, 2000))
        wrong = simulated.equivalence(2000, pairs, margin, true=margin)
        assert wrong <= 0.05 + errors(0.05, 2000)
