import itertools
import math

import numpy as np
import pytest
import scipy.stats

from ganlab.study.statistics import (
    Comparison,
    benjamini_hochberg,
    comparison_over_draws,
    holm,
    paired_comparison,
    sign_test,
    signed_rank_test,
)

# Chandrasegaran, Tran and Cheung 2021, CelebA 128x128, DCGAN: FID of nearest and of bilinear in four last layers.
NEAREST = [93.54, 87.52, 90.80, 73.63]
BILINEAR = [76.04, 84.65, 79.92, 80.89]


def test_by_hand():
    # mean 2, sd 1, error 1/sqrt(3); t(2, .975) = 4.302653; of 4 sums with the first sign fixed, 6 4 2 0, one reaches 6
    result = paired_comparison([1.0, 2.0, 3.0])
    assert result._fields == ("mean", "low", "high", "p_value", "effect_size", "runs", "verdict")
    assert result.mean == 2
    assert result.low == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-6)
    assert result.high == pytest.approx(2 + 4.302653 / math.sqrt(3), abs=1e-6)
    assert (result.p_value, result.effect_size, result.runs, result.verdict) == (0.25, 2, 3, "inconclusive")


@pytest.mark.parametrize("n", range(2, 17))
def test_the_smallest_p_value_is_two_in_all_sign_vectors(n):
    assert paired_comparison(np.linspace(1, 2, n)).p_value == 2 / 2**n


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_the_interval_is_that_of_student(level):
    d = np.random.default_rng(1).normal(0.3, 2, 9)
    result = paired_comparison(d, level=level)
    expected = scipy.stats.ttest_1samp(d, 0).confidence_interval(level)
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


@pytest.mark.parametrize("n", [2, 5, 9])
def test_p_agrees_with_visiting_every_sign_vector(n):
    d = np.random.default_rng(n).normal(0.5, 1, n)
    sums = [abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in itertools.product((1, -1), repeat=n)]
    assert paired_comparison(d).p_value == np.mean(np.array(sums) >= abs(d.sum()) - 1e-9)


def test_sums_that_differ_by_rounding_only_are_equal():
    # |.1 + .2 - .3| is 5.6e-17 in floating point and 0 in arithmetic: all 8 sign vectors reach it, and 2 + 2 reach .6
    assert paired_comparison([0.1, 0.2, -0.3]).p_value == 1
    assert paired_comparison([0.1, 0.2, 0.3]).p_value == 0.25
    assert paired_comparison([0.3, 0.1, 0.7, 0.1, -0.1]).p_value == paired_comparison([3, 1, 7, 1, -1]).p_value


def test_p_ignores_order_and_direction():
    for n in (8, 30):
        d = np.random.default_rng(n).normal(0.4, 1, n)
        p = paired_comparison(d).p_value
        assert 0 < p < 1
        assert p == paired_comparison(-d).p_value == paired_comparison(d[::-1]).p_value


def test_above_sixteen_pairs_random_vectors_come_close_to_the_exact_value_and_repeat():
    d = np.round(np.random.default_rng(4).normal(0.4, 1, 18), 3)
    sums = np.zeros(1)
    for x in d:
        sums = np.concatenate([sums + x, sums - x])
    exact = np.mean(np.abs(sums) >= abs(d.sum()) - 1e-9)
    p = paired_comparison(d).p_value
    assert abs(p - exact) < 4 * math.sqrt(exact * (1 - exact) / 1e5)  # four standard errors of 100,000 draws
    assert (p * 100_001) == pytest.approx(round(p * 100_001), abs=1e-6)
    assert p == paired_comparison(d).p_value
    assert paired_comparison(np.ones(60)).p_value == 1 / 100_001  # never 0


def test_verdicts():
    worse = np.array([1.0, 1.1, 0.9, 1.2, 0.8, 1.05])
    assert paired_comparison(worse).verdict == "worse"
    assert paired_comparison(-worse).verdict == "better"
    assert paired_comparison(worse[:5]).verdict == "inconclusive"  # p = .0625, however far the interval is from 0
    assert paired_comparison(-worse[:5]).verdict == "inconclusive"
    assert paired_comparison(worse[:5], level=0.9).verdict == "worse"
    assert paired_comparison(worse[:5], level=1 - 2 / 32).verdict == "worse"  # p = alpha is small enough
    assert paired_comparison(worse - worse.mean()).verdict == "inconclusive"  # no margin: no proof of equality
    assert paired_comparison(worse, margin=2.0).verdict == "equivalent"  # surely not 0, yet negligible
    assert paired_comparison(worse, margin=0.5).verdict == "worse"
    assert paired_comparison(np.array(NEAREST) - BILINEAR).verdict == "inconclusive"


def test_a_low_p_value_does_not_outweigh_an_interval_around_zero():
    d = [1.0, 1, 1, 1, 1, 40]  # one outlier: p = 2/64, t interval -9 to 24
    result = paired_comparison(d)
    assert result.p_value == 2 / 64
    assert result.low < 0 < result.high
    assert result.verdict == "inconclusive"


def test_equivalence_is_decided_by_the_ninety_per_cent_interval():
    d = np.random.default_rng(3).normal(0.1, 1, 12)
    ninety = scipy.stats.ttest_1samp(d, 0).confidence_interval(0.90)
    edge = max(-ninety.low, ninety.high)
    assert paired_comparison(d, margin=edge * 1.001).verdict == "equivalent"
    assert paired_comparison(d, margin=edge * 0.999).verdict == "inconclusive"
    assert paired_comparison(-d, margin=edge * 1.001).verdict == "equivalent"
    assert paired_comparison(-d, margin=edge * 0.999).verdict == "inconclusive"


def test_one_pair_says_nothing():
    result = paired_comparison([-3.0], margin=10.0)
    assert result._replace(effect_size=0.0) == Comparison(-3.0, -math.inf, math.inf, 1.0, 0.0, 1, "inconclusive")
    assert math.isnan(result.effect_size)


def test_differences_without_spread():
    same = paired_comparison([0.1] * 6)
    assert same == Comparison(0.1, 0.1, 0.1, 2 / 64, math.inf, 6, "worse")
    assert paired_comparison([-0.1] * 6).verdict == "better"
    assert paired_comparison([-0.1] * 6).effect_size == -math.inf
    assert paired_comparison([0.1] * 6, margin=0.2).verdict == "equivalent"
    assert paired_comparison([0.1] * 6, margin=0.1).verdict == "worse"  # on the margin is not inside it
    zero = paired_comparison([0.0] * 6)
    assert zero._replace(effect_size=0.0) == Comparison(0.0, 0.0, 0.0, 1.0, 0.0, 6, "inconclusive")
    assert math.isnan(zero.effect_size)
    assert paired_comparison([0.0] * 20, margin=0.1).verdict == "equivalent"


def test_integers_are_numbers():
    assert paired_comparison([1, 2, 3]) == paired_comparison(np.array([1.0, 2.0, 3.0]))
    assert isinstance(paired_comparison(np.arange(5), margin=np.float64(1)).p_value, float)


@pytest.mark.parametrize("bad", [[], [[1.0, 2.0]], 3.0, [1.0, math.nan], [math.inf], ["a"], [None, 1.0], [[1], [2, 3]]])
def test_bad_differences_are_named(bad):
    with pytest.raises(ValueError, match="differences"):
        paired_comparison(bad)


@pytest.mark.parametrize("bad", [0, -0.1, math.nan, math.inf, "0.1", True])
def test_bad_margins_are_named(bad):
    with pytest.raises(ValueError, match="margin"):
        paired_comparison([1.0, 2.0], margin=bad)


@pytest.mark.parametrize("bad", [0, 1, 95, -0.5, math.nan, None])
def test_bad_levels_are_named(bad):
    with pytest.raises(ValueError, match="level"):
        paired_comparison([1.0, 2.0], level=bad)


def test_holm_by_hand():
    # sorted .01 .02 .03 .04 times 4 3 2 1: .04 .06 .06 .04, and a later one is never below an earlier one
    np.testing.assert_allclose(holm([0.03, 0.01, 0.04, 0.02]), [0.06, 0.04, 0.06, 0.06], rtol=1e-12)
    np.testing.assert_allclose(holm([0.5, 0.6]), [1, 1])
    np.testing.assert_allclose(holm([0.2]), [0.2])
    np.testing.assert_allclose(holm([0.01, 0.01]), [0.02, 0.02])
    assert holm([]).shape == (0,)


def test_seven_pairs_survive_holm_over_three_and_six_do_not():
    for pairs, survives in ((6, False), (7, True)):
        p = paired_comparison(np.linspace(1, 2, pairs)).p_value
        assert (holm([p, 0.9, 0.9])[0] <= 0.05) == survives


@pytest.mark.parametrize("bad", [[-0.1, 0.5], [1.1], [math.nan], ["x"], [[0.1]], 0.1])
@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_bad_p_values_are_named(adjust, bad):
    with pytest.raises(ValueError, match="p_values"):
        adjust(bad)


def test_benjamini_hochberg_by_hand_and_by_scipy():
    # sorted .01 .02 .03 .5 times 4/1 4/2 4/3 4/4: .04 .04 .04 .5, and an earlier one is never above a later one
    np.testing.assert_allclose(benjamini_hochberg([0.03, 0.5, 0.01, 0.02]), [0.04, 0.5, 0.04, 0.04], rtol=1e-12)
    assert benjamini_hochberg([]).shape == (0,)
    for seed in range(5):
        p = np.round(np.random.default_rng(seed).random(7), 1)  # ties too
        np.testing.assert_allclose(benjamini_hochberg(p), scipy.stats.false_discovery_control(p), rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 6, 11, 40])
def test_signed_ranks_are_wilcoxons(n):
    d = np.random.default_rng(n).normal(0.4, 1, n)
    found = signed_rank_test(d)
    assert found.p_value == pytest.approx(scipy.stats.wilcoxon(d, method="exact").pvalue, rel=1e-12)
    assert signed_rank_test(-d) == (found.p_value, -found.side)


def test_signed_ranks_by_hand():
    # sizes 1 2 2 5: ranks 1 2.5 2.5 4, signs + - + +: sum 5; the last sign fixed, 8 sums are left
    sums = [a + b + c + 4 for a in (1, -1) for b in (2.5, -2.5) for c in (2.5, -2.5)]
    share = np.mean([abs(value) >= 5 for value in sums])
    assert signed_rank_test([1, -2, 2, 5]) == (share, 1)
    assert signed_rank_test([1e-12, -2e-12, 2e-12, 5e-12]) == (share, 1)  # whatever the unit
    assert signed_rank_test([0, 1, -2, 0, 2, 5]) == (share, 1)  # a difference of 0 tells nothing
    assert signed_rank_test([0.1 + 0.2 - 0.3, 1, -2, 2 + 1e-15, 5]) == (share, 1)  # nor does what rounding leaves
    assert signed_rank_test([0, 0]) == signed_rank_test([]) == (1, 0)
    assert signed_rank_test([1, -1]) == (1, 0)


def test_an_infinite_difference_is_the_largest():
    assert signed_rank_test([1, -2, 2, math.inf]) == signed_rank_test([1, -2, 2, 1e9])
    assert signed_rank_test([math.inf] * 6) == (2 / 64, 1)
    assert signed_rank_test([-math.inf, math.inf, 1]) == signed_rank_test([-7, 7, 1])  # equally large
    with pytest.raises(ValueError, match=r"differences\[1\]=nan is not a number"):
        signed_rank_test([1.0, math.nan])


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_signed_ranks_with_ties_agree_with_visiting_every_sign_vector(seed):
    d = np.random.default_rng(seed).integers(-4, 5, 9).astype(float)
    d = d[d != 0]
    ranks = scipy.stats.rankdata(np.abs(d))
    sums = [abs(np.dot(signs, ranks)) for signs in itertools.product((1, -1), repeat=d.size)]
    assert signed_rank_test(d).p_value == np.mean(np.array(sums) >= abs((np.sign(d) * ranks).sum()))


def test_coverage_of_the_interval_and_rate_of_false_positives():
    # 1000 experiments of 8 pairs: the share has a standard error of .7 %, so 3 of them are 2 %. A normal quantile in
    # place of Student's covers 91 %, a one-sided p rejects 10 %: both fail. Exactly 12 of 256 p values are <= .05.
    rng = np.random.default_rng(0)
    results = [paired_comparison(rng.normal(5, 2, 8) - rng.normal(5, 2, 8)) for _ in range(1000)]
    covered = np.mean([r.low <= 0 <= r.high for r in results])
    rejected = np.mean([r.p_value <= 0.05 for r in results])
    assert covered == pytest.approx(0.95, abs=0.02)
    assert rejected == pytest.approx(12 / 256, abs=0.02)
    assert np.mean([r.verdict in ("better", "worse") for r in results]) <= 0.05 + 0.02


def test_power_reaches_the_planned_value():
    # d_z = 1.2 with 8 pairs is planned for 80 % in a t test
    rng = np.random.default_rng(1)
    found = np.mean([paired_comparison(rng.normal(-1.2, 1, 8)).verdict == "better" for _ in range(500)])
    assert found == pytest.approx(0.8, abs=0.06)


def test_the_sign_test_is_the_binomial_one():
    for one, other in ((0, 0), (3, 0), (6, 1), (5, 5), (2, 9)):
        expected = scipy.stats.binomtest(one, one + other).pvalue if one + other else 1
        assert sign_test(one, other) == pytest.approx(expected)


def test_draws_that_agree_leave_an_interval_as_it_is():
    d = np.array([0.1, 0.3, -0.2, 0.4, 0.25, 0.1])
    same = np.repeat(d[:, None], 5, axis=1)
    found, outside = comparison_over_draws(d, [same, same], margin=0.3)
    alone = paired_comparison(d, margin=0.3)
    assert (found.low, found.high, found.verdict) == (
        pytest.approx(alone.low),
        pytest.approx(alone.high),
        alone.verdict,
    )
    sides = [
        scipy.stats.ttest_1samp(d, edge, alternative=way).pvalue for edge, way in ((-0.3, "greater"), (0.3, "less"))
    ]
    assert outside == pytest.approx(max(sides))


def test_the_error_over_draws_is_that_of_their_means():
    random = np.random.default_rng(0)
    table = 0.5 + 0.1 * random.standard_normal((8, 1)) + 0.3 * random.standard_normal((1, 5))
    d = table.mean(axis=1)
    found, _ = comparison_over_draws(d, [table])
    seeds, draws = d.var(ddof=1) / 8, table.mean(axis=0).var(ddof=1) / 5
    free = min(7, (seeds + draws) ** 2 / (seeds**2 / 7 + draws**2 / 4))
    half = scipy.stats.t.ppf(0.975, free) * math.sqrt(seeds + draws)
    assert (found.low, found.high) == pytest.approx((d.mean() - half, d.mean() + half))
    assert found.p_value == pytest.approx(2 * scipy.stats.t.sf(d.mean() / math.sqrt(seeds + draws), free))


@pytest.mark.parametrize("seed", range(20))
def test_an_interval_over_draws_is_never_the_narrower_one(seed):
    random = np.random.default_rng(seed)
    table = random.standard_normal((random.integers(2, 12), 1)) + random.uniform(0, 2) * random.standard_normal(
        (1, random.integers(2, 8))
    )
    d = table.mean(axis=1)
    (found, _), alone = comparison_over_draws(d, [table]), paired_comparison(d)
    assert found.low <= alone.low and found.high >= alone.high and found.p_value >= alone.p_value


@pytest.mark.parametrize("draws", [[[1.0, 2.0]], [[[1.0], [2.0]]], [[[math.nan]] * 3]])
def test_draws_of_another_shape_are_refused(draws):
    with pytest.raises(ValueError, match=r"draws are of shape"):
        comparison_over_draws([1.0, 2.0, 3.0], draws)
