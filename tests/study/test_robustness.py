import math

import numpy as np
import pytest
import scipy.stats

from ganlab.study.statistics import (
    correlation,
    equivalence_power,
    hodges_lehmann,
    interquartile_mean,
    paired_comparison,
    paired_power,
    probability_of_improvement,
    robust_statistics,
    seeds_for_equivalence,
    seeds_for_power,
    wilson_interval,
)


@pytest.mark.parametrize("n", [1, 3, 4, 7, 8, 10, 20])
def test_the_interquartile_mean_is_the_trimmed_mean(n):
    values = np.random.default_rng(n).normal(size=n)
    assert interquartile_mean(values) == pytest.approx(scipy.stats.trim_mean(values, 0.25), rel=1e-12)


def test_the_interquartile_mean_by_hand():
    assert interquartile_mean([100, 1, 2, 3, 4, 5, 6, -50]) == 3.5
    assert math.isnan(interquartile_mean([]))


def test_hodges_lehmann_by_hand():
    # of 1 2 9: 1 1.5 5 2 5.5 9
    assert hodges_lehmann([9, 1, 2]) == 3.5
    assert hodges_lehmann([4]) == 4
    assert math.isnan(hodges_lehmann([]))


def test_hodges_lehmann_is_where_the_signed_ranks_balance():
    d = np.random.default_rng(2).normal(1, 1, 11)
    assert scipy.stats.wilcoxon(d - hodges_lehmann(d) - 1e-9).pvalue > 0.95
    assert scipy.stats.wilcoxon(d - hodges_lehmann(d) + 1).pvalue < 0.05


def test_the_probability_of_improvement_is_that_of_mann_and_whitney():
    ours, theirs = np.random.default_rng(0).integers(0, 9, (2, 12))
    won, low, high = probability_of_improvement(ours, theirs)
    assert won == scipy.stats.mannwhitneyu(ours, theirs).statistic / 144
    assert 0 < low < won < high < 1
    mirrored = probability_of_improvement(theirs, ours)
    assert mirrored == pytest.approx((1 - won, 1 - high, 1 - low), abs=1e-9)


def test_the_ends_of_the_interval_lie_a_quantile_of_their_own_standard_errors_away():
    def error(p, n):  # Hanley and McNeil 1982, as they write it
        q1, q2 = p / (2 - p), 2 * p**2 / (1 + p)
        return math.sqrt((p * (1 - p) + (n - 1) * (q1 - p**2) + (n - 1) * (q2 - p**2)) / n**2)

    won, low, high = probability_of_improvement([2.5, 3.5, 5, 6, 8], [1, 2, 3, 4.5, 7])
    assert won == 18 / 25
    assert (won - low) / error(low, 5) == pytest.approx(scipy.stats.norm.ppf(0.975), rel=1e-6)
    assert (high - won) / error(high, 5) == pytest.approx(scipy.stats.norm.ppf(0.975), rel=1e-6)


def test_winning_every_pair_is_not_certainty():
    won, low, high = probability_of_improvement([7, 8, 9, 10, 11, 12], [1, 2, 3, 4, 5, 6])
    assert (won, high) == (1, 1)
    assert 0.6 < low < 0.8
    assert probability_of_improvement([1] * 6, [7] * 6)[:2] == (0, 0)


def test_a_run_that_diverged_loses():
    assert probability_of_improvement([-math.inf, 3], [1, 2])[0] == 0.5
    assert probability_of_improvement([-math.inf], [-math.inf])[0] == 0.5
    assert math.isnan(probability_of_improvement([], [1.0])[0])


def test_the_correlation_is_pearsons():
    x, y = np.random.default_rng(1).normal(size=(2, 9))
    assert correlation(x, x + y) == pytest.approx(scipy.stats.pearsonr(x, x + y).statistic, rel=1e-12)
    assert math.isnan(correlation([1, 2], [2, 1]))
    assert math.isnan(correlation([1, 1, 1], [1, 2, 3]))


@pytest.mark.parametrize(("count", "runs"), [(0, 10), (1, 10), (10, 10), (3, 20), (0, 1)])
def test_the_interval_of_a_share_is_wilsons(count, runs):
    expected = scipy.stats.binomtest(count, runs).proportion_ci(method="wilson")
    assert wilson_interval(count, runs) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert wilson_interval(0, 0) == (0, 1)


EFFECTS = (0.5, 0.8, 1.0, 1.2, 1.5, 2.0)


def test_seeds_for_power_are_those_of_the_protocol():
    assert [seeds_for_power(effect) for effect in EFFECTS] == [34, 15, 10, 8, 6, 5]
    assert [seeds_for_power(-effect, 0.05 / 3) for effect in EFFECTS] == [45, 20, 14, 11, 8, 6]
    assert seeds_for_power(0.0) is None
    assert seeds_for_power(0.001) is None
    assert seeds_for_power(math.inf) == 2


def test_large_effects_take_few_seeds():
    """Where functions for the noncentral t give up; beside it, the same integral by another rule."""

    def slow(effect, n, alpha):
        edge = scipy.stats.t.ppf(1 - alpha / 2, n - 1)
        sd = scipy.stats.chi(n - 1, scale=1 / math.sqrt(n - 1)).isf(np.linspace(1, 0, 40_001)[1:-1])
        return scipy.stats.norm.cdf(effect * math.sqrt(n) - edge * sd).mean()

    for effect, n, alpha in (
        (5, 10, 0.05),
        (5, 8, 0.05 / 6),
        (2.9, 5, 0.05 / 3),
        (9.75, 3, 0.05 / 3),
        (1.7, 8, 0.05 / 8),
    ):
        assert paired_power(effect, n, alpha) == pytest.approx(slow(effect, n, alpha), abs=1e-4)
    for alpha in (0.05, 0.05 / 3, 0.05 / 8):
        asked = [seeds_for_power(effect, alpha) for effect in np.arange(0.5, 12, 0.1)]
        assert asked == sorted(asked, reverse=True)
    assert seeds_for_power(1e16) == 2
    assert max(equivalence_power(margin, n) for margin in (1, 3, 30) for n in (3, 10, 50)) <= 1


def test_power_is_that_of_the_noncentral_t():
    for effect, n, alpha in ((0.5, 34, 0.05), (1.2, 8, 0.01), (0.1, 3, 0.05)):
        edge, t = scipy.stats.t.ppf(1 - alpha / 2, n - 1), scipy.stats.nct(n - 1, effect * math.sqrt(n))
        assert paired_power(effect, n, alpha) == pytest.approx(t.sf(edge) + t.cdf(-edge), rel=1e-9)


def test_power_of_equivalence_is_that_of_the_protocol():
    table = {(1.0, 10): 0.80, (1.0, 12): 0.89, (1.0, 16): 0.97, (0.8, 12): 0.66, (0.8, 16): 0.84, (0.8, 20): 0.93,
             (0.5, 30): 0.69, (0.5, 40): 0.86}  # fmt: skip
    for (margin, n), tabulated in table.items():
        assert equivalence_power(margin, n) == pytest.approx(tabulated, abs=0.01)


@pytest.mark.parametrize(("margin", "n"), [(1.0, 10), (2.0, 3), (5.0, 2), (0.3, 10), (0.05, 400)])
def test_power_of_equivalence_agrees_with_simulation(margin, n):
    random = np.random.default_rng(0)  # the mean and the sd of normal values are independent, and this their law
    mean = random.normal(0, 1 / math.sqrt(n), 200_000)
    error = np.sqrt(random.chisquare(n - 1, 200_000) / (n - 1) / n)
    found = np.mean(np.abs(mean) + scipy.stats.t.ppf(0.95, n - 1) * error < margin)
    assert equivalence_power(margin, n) == pytest.approx(found, abs=0.005)


def test_seeds_for_equivalence():
    for margin in (0.3, 0.5, 1.0):
        for alpha in (0.05, 0.05 / 6):
            seeds = seeds_for_equivalence(margin, alpha)
            assert equivalence_power(margin, seeds, alpha) >= 0.8 > equivalence_power(margin, seeds - 1, alpha)
    assert seeds_for_equivalence(math.inf) == 5  # with fewer it is never shown
    assert seeds_for_equivalence(1e-6) is None


def test_all_views_of_two_arms():
    ours = {0: 1.0, 1: 2.0, 2: 3.5, 3: -math.inf, 4: 1.0, 6: 1.5}
    theirs = {0: 2.0, 1: 2.5, 2: 3.0, 3: 2.0, 4: -math.inf, 5: 2.2}
    differences = [-1.0, -0.5, 0.5]
    comparison = paired_comparison(differences, 2.0)
    found = robust_statistics(ours, theirs, comparison, 2.0, 0.05)
    sd = np.std(differences, ddof=1)
    # sizes 1 .5 .5 inf inf, ranks 3 1.5 1.5 4.5 4.5, signs - - + - +: the sum is -3
    assert (
        found.wilcoxon_p
        == scipy.stats.permutation_test(
            ([-3, -1.5, 1.5, -4.5, 4.5],), np.sum, permutation_type="samples", n_resamples=np.inf
        ).pvalue
    )
    assert found.interquartile_mean == pytest.approx(-1 / 3)
    assert found.hodges_lehmann == hodges_lehmann(differences)
    assert found.improvement == scipy.stats.mannwhitneyu([1, 2, 3.5, -99, 1, 1.5], [2, 2.5, 3, 2, -99, 2.2])[0] / 36
    assert found.improvement_low < found.improvement < found.improvement_high
    assert found.correlation == pytest.approx(scipy.stats.pearsonr([1, 2, 3.5], [2, 2.5, 3]).statistic)
    assert found.seeds_for_power == seeds_for_power(comparison.effect_size)
    assert found.equivalence_power == 0  # of three pairs it is never shown
    assert found.seeds_for_equivalence == seeds_for_equivalence(2 / sd)
    values = {seed: float(seed % 3) for seed in range(6)}
    several = robust_statistics(
        values, dict.fromkeys(values, 0.5), paired_comparison([-0.5, 0.5, 1.5] * 2), 2.0, 0.05 / 6
    )
    assert several.equivalence_power == pytest.approx(equivalence_power(2 / np.std([0, 1, 2] * 2, ddof=1), 6, 0.05 / 6))


def test_views_that_there_are_not():
    lone = robust_statistics({0: 1.0}, {0: 2.0}, paired_comparison([-1.0]), 0.5, 0.05)
    assert (lone.correlation, lone.seeds_for_power, lone.equivalence_power) == (None, None, None)
    assert lone.wilcoxon_p == 1
    assert robust_statistics({}, {1: 1.0}, paired_comparison([-1.0]), None, 0.05).improvement is None


def test_no_fewer_seeds_than_the_deciding_test_needs():
    equal = paired_comparison([-1.0] * 4)  # infinitely many standard deviations
    values = dict.fromkeys(range(4), 1.0)
    for alpha, seeds in ((0.05, 6), (0.05 / 6, 8)):
        assert robust_statistics(values, values, equal, None, alpha).seeds_for_power == seeds
