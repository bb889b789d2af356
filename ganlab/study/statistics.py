"""Is one arm better than another? Answers from differences paired by seed; numpy and scipy only.

The test that decides, how many seeds an answer takes, and other views of the same pairs. `scipy.special` is used
instead of `scipy.stats`, whose import would make a comparison a sixth slower.
"""

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtrc, gammainc, gammaln, ndtr, ndtri, stdtr, stdtrit

EXACT_RUNS = 16  # up to this many pairs, all 2^n sign vectors are visited
RANDOM_VECTORS = 100_000
ROUNDING = 1e-9  # two sums closer than this part of sum |d| are the same sum, added in another order

Verdict = Literal["better", "worse", "equivalent", "inconclusive", "depends on who looks"]
"""The last one where kinds of features that decide together contradict each other."""


class Comparison(NamedTuple):
    """What the paired differences of one quantity say, in the unit of the differences."""

    mean: float
    low: float
    high: float
    p_value: float
    effect_size: float
    runs: int
    verdict: Verdict


def paired_comparison(differences: ArrayLike, margin: float | None = None, level: float = 0.95) -> Comparison:
    """Compare a candidate with its reference by their paired differences, candidate - reference, [n].

    Smaller is better: if larger values of the quantity are better, turn the sign of the differences.

    - `low, high`: t interval of `level`; infinite for one pair.
    - `p_value`: two-sided sign-flip permutation of the mean, exact up to 16 pairs; above, 100,000 random sign
      vectors, the same ones in every call. One pair gives 1, n pairs never less than 2 / 2^n.
    - `effect_size`: d_z = mean / sd; nan for one pair or when all differences are 0, infinite when all are equal.
    - `verdict`, with alpha = 1 - level: `equivalent` if a `margin` is given and two one-sided t tests at alpha put
      the mean inside +-margin, even if it is surely not 0; else `better` or `worse` if p <= alpha and the interval
      excludes 0; else `inconclusive`, which does not prove equality.

    Raises ValueError that names the argument. Phipson and Smyth 2010 for (c + 1) / (R + 1); Schuirmann 1987 for the
    two one-sided tests.
    """
    d = _vector("differences", differences)
    if d.size == 0:
        raise ValueError("differences=[] holds no pair; give at least one difference")
    if margin is not None and not (_is_number(margin) and 0 < margin < math.inf):
        raise ValueError(f"margin={margin!r} is not a width; use a number above 0, or None")
    if not (_is_number(level) and 0 < level < 1):
        raise ValueError(f"level={level!r} is not a confidence level; use a number between 0 and 1, such as 0.95")

    return comparison_over_draws(d, [], margin, level)[0]


def comparison_over_draws(
    differences: ArrayLike, draws: Sequence[ArrayLike], margin: float | None = None, level: float = 0.95
) -> tuple[Comparison, float]:
    """`paired_comparison` of a quantity measured through drawn features, whose draw is a random effect as well.

    differences: [n], the means over all draws. draws: for each kind of features the differences through each of its
    draws, [n,k]; kinds have equal weight. The squared standard error of the mean is that over seeds, plus that over the
    draws of each kind. What seeds and draws share is in both: intervals are too wide rather than too narrow. Degrees of
    freedom after Satterthwaite 1946, at most n - 1. `p_value` is the larger of that of the permutation over seeds and
    that of the t test with this error.

    Also returns the larger p of the two one-sided tests that put the mean inside the margin; 1 without a margin.
    """
    tables = [np.asarray(table, dtype=np.float64) for table in draws]
    d = _vector("differences", differences)
    for table in tables:
        if table.ndim != 2 or len(table) != d.size or not np.isfinite(table).all():
            raise ValueError(f"draws are of shape {table.shape}; give finite numbers [{d.size}, draws] for each kind")
    n = d.size
    if n == 1:
        return Comparison(float(d[0]), -math.inf, math.inf, 1.0, math.nan, 1, "inconclusive"), 1.0
    # The mean of equal numbers need not round to that number, nor their sd to 0.
    mean, sd = (float(d[0]), 0.0) if np.ptp(d) == 0 else (float(d.mean()), float(d.std(ddof=1)))
    effect = mean / sd if sd else math.copysign(math.inf, mean) if mean else math.nan
    p = _sign_flip(d)
    error, free = sd / math.sqrt(n), float(n - 1)
    draw_means = [table.mean(axis=0) for table in tables if table.shape[1] > 1]
    if draw_means:
        parts = [(error**2, n - 1.0)]
        parts += [
            (float(column.var(ddof=1)) / column.size / len(tables) ** 2, column.size - 1.0) for column in draw_means
        ]
        total = sum(part for part, _ in parts)
        if total > 0:
            free = min(free, total**2 / sum(part**2 / degrees for part, degrees in parts))
            error = math.sqrt(total)
            p = max(p, 2 * float(stdtr(free, -abs(mean) / error)))
    half_width = float(stdtrit(free, (1 + level) / 2)) * error
    low, high = mean - half_width, mean + half_width

    outside, equivalent = 1.0, False
    if margin is not None:
        outside = float(stdtr(free, (abs(mean) - margin) / error)) if error > 0 else float(abs(mean) >= margin)
        equivalent = abs(mean) + float(stdtrit(free, level)) * error < margin
    verdict: Verdict = "inconclusive"
    if equivalent:
        verdict = "equivalent"
    elif p <= 1 - level and not low <= 0 <= high:
        verdict = "better" if high < 0 else "worse"
    return Comparison(mean, low, high, p, effect, n, verdict), outside


def holm(p_values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """P values adjusted for multiple tests, [m] in the given order: p_(i) * (m - i + 1), running maximum, at most 1.

    If all that is <= alpha afterwards is rejected, the probability of any error among the m is at most alpha, however
    the tests depend on each other. Holm 1979. Raises ValueError that names the argument.
    """
    p = _probabilities(p_values)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1)
    return adjusted


def benjamini_hochberg(p_values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """P values adjusted for multiple tests, [m] in the given order: p_(i) * m / i, running minimum from the largest.

    Of what is <= alpha afterwards, a share of at most alpha is wrong on average, if the tests are independent or
    depend on each other positively. Benjamini and Hochberg 1995. Raises ValueError that names the argument.
    """
    p = _probabilities(p_values)
    order = np.argsort(-p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate(p[order] * p.size / np.arange(p.size, 0, -1))
    return adjusted


class RankTest(NamedTuple):
    """What the signed ranks of differences say.

    side: -1 if the ranks of the differences below 0 weigh more, 1 if those above do, 0 if neither.
    """

    p_value: float
    side: int


def signed_rank_test(differences: ArrayLike) -> RankTest:
    """Wilcoxon's signed-rank test of paired differences, [n]: exact for every n, with ties, two-sided.

    The share of all sign vectors for which the sum of the signed ranks of |difference| is as far from 0 as the
    observed one. Equal sizes share their mean rank. An infinite difference is larger than every finite one; a 0 is
    left out. Wilcoxon 1945. Raises ValueError that names the argument.
    """
    d = _vector("differences", differences, finite=False)
    sizes = np.abs(d)
    largest = sizes[np.isfinite(sizes)].max(initial=0) or 1.0
    sizes = np.round(sizes / largest / ROUNDING)  # what differs by rounding only is a tie
    signs = np.sign(d)[sizes > 0]
    _, place, count = np.unique(sizes[sizes > 0], return_inverse=True, return_counts=True)
    ranks = (2 * np.cumsum(count) - count + 1)[place]  # doubled, so that mean ranks are whole numbers
    total = int(ranks.sum())
    shares = np.zeros(total + 1)  # of sign vectors, by the sum of the ranks that have a plus
    shares[0] = 1
    for rank in ranks:
        shares[rank:] = (shares[rank:] + shares[:-rank]) / 2
        shares[:rank] /= 2
    observed = int((signs * ranks).sum())
    reached = np.abs(2 * np.arange(total + 1) - total) >= abs(observed)
    return RankTest(min(float(shares[reached].sum()), 1.0), int(np.sign(observed)))


def sign_test(one: int, other: int) -> float:
    """Two-sided exact p, under equal expected counts, of how many pairs go one way and how many the other.

    For pairs in which only one run failed this is the test of McNemar 1947, exact by the binomial distribution.
    """
    pairs, more = one + other, max(one, other)
    return 1.0 if pairs == 0 else min(1.0, 2 * float(bdtrc(more - 1, pairs, 0.5)))


def _sign_flip(d: NDArray[np.float64]) -> float:
    """Share of sign vectors whose |sum| reaches the observed one; the identity is one of them."""
    sizes = np.sort(np.abs(d))  # sorted, so that neither the order of the seeds nor the sign changes the p value
    reached = abs(math.fsum(d)) - ROUNDING * sizes.sum()
    if d.size <= EXACT_RUNS:
        sums = sizes[:1]  # the first sign is fixed: the other half of the sums are these with their sign turned
        for size in sizes[1:]:
            sums = np.concatenate([sums + size, sums - size])
        return float(np.mean(np.abs(sums) >= reached))
    eights = np.pad(sizes, (0, -d.size % 8)).reshape(-1, 8)
    sums = np.zeros(RANDOM_VECTORS)
    for eight, signs in zip(eights, _random_signs(len(eights)), strict=True):
        sums += (_SIGNS @ eight)[signs]
    count = np.count_nonzero(np.abs(sums) >= reached)
    return float((count + 1) / (RANDOM_VECTORS + 1))


_SIGNS = 1.0 - 2.0 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)  # [256, 8]: a byte is eight signs


@cache
def _random_signs(eights: int) -> NDArray[np.uint8]:
    """The same sign vectors in every call: [eights, RANDOM_VECTORS], a byte for eight signs."""
    return np.random.default_rng(0).integers(0, 256, (eights, RANDOM_VECTORS), dtype=np.uint8)


def _probabilities(p_values: ArrayLike) -> NDArray[np.float64]:
    p = _vector("p_values", p_values)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p_values={p.tolist()} are not probabilities; use numbers from 0 to 1")
    return p


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _vector(name: str, values: ArrayLike, finite: bool = True) -> NDArray[np.float64]:
    """Numbers, [n], or a ValueError that names the argument."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} is ragged; give one list of numbers") from None
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise ValueError(f"{name} has shape {array.shape} and type {array.dtype}; give one list of numbers")
    invalid = ~np.isfinite(array) if finite else np.isnan(array)
    if invalid.any():
        at = int(np.flatnonzero(invalid)[0])
        remedy = "leave that run out, and say so" if finite else "an infinite one stands for a run that diverged"
        raise ValueError(f"{name}[{at}]={array[at]} is {'not finite' if finite else 'not a number'}; {remedy}")
    return array.astype(np.float64)


# --- how many seeds an answer takes -----------------------------------------------------------------------------------


POWER = 0.8  # that a study should have
MOST_SEEDS = 10_000  # a study that needs more is out of reach


def paired_power(effect: float, seeds: int, alpha: float = 0.05) -> float:
    """Chance of p <= alpha in a two-sided t test of paired differences whose true mean / sd is `effect`.

    Given the observed sd, the mean is normal; this is averaged over the distribution of that sd, which gives the
    noncentral t distribution, also where library functions for it give up. The exact test that decides has less power
    where few pairs leave few p values: 4 points less with 8 pairs, 20 less with 6, and no power with fewer
    (experiments/statistics).
    """
    if math.isinf(effect):
        return 1.0
    free, centre, edge = seeds - 1, abs(effect) * math.sqrt(seeds), float(stdtrit(seeds - 1, 1 - alpha / 2))
    surely, never = max(0.0, (centre - 9) / edge), (centre + 9) / edge  # an sd below, above

    def passing(sd: np.ndarray) -> np.ndarray:
        return ndtr(centre - edge * sd) + ndtr(-centre - edge * sd)

    return min(1.0, float(gammainc(free / 2, free * surely**2 / 2)) + _over_sd(passing, free, surely, never))


def equivalence_power(margin: float, seeds: int, alpha: float = 0.05) -> float:
    """Chance that two one-sided t tests at alpha find equivalence where the true difference is 0.

    margin: in standard deviations of the paired difference. Given the observed sd, the mean must lie within the margin
    less what the tests require; averaged over the distribution of that sd by Gauss and Legendre's rule.
    """
    critical, reach = float(stdtrit(seeds - 1, 1 - alpha)), margin * math.sqrt(seeds)
    widest = reach / critical  # with a larger sd nothing can pass
    return min(1.0, _over_sd(lambda sd: 2 * ndtr(reach - critical * sd) - 1, seeds - 1, 0.0, widest))


def _over_sd(passing: Callable[[np.ndarray], np.ndarray], free: int, low: float, high: float) -> float:
    """The integral of `passing` over the distribution of a sample's sd from low to high, the true one being 1."""
    nodes, weights = _gauss_legendre()
    low = max(low, 1 - 9 / math.sqrt(2 * free))  # a chi's sd is about 1 / sqrt(2 free) of its mean: nothing below
    high = min(high, 1 + 9 / math.sqrt(2 * free) + 9 / free)
    if high <= low:
        return 0.0
    sd = low + (high - low) * (nodes + 1) / 2
    log_density = (
        math.log(2) + free / 2 * math.log(free / 2) - gammaln(free / 2) + (free - 1) * np.log(sd) - free * sd**2 / 2
    )
    return float((high - low) / 2 * (weights * np.exp(log_density) * passing(sd)).sum())


def seeds_for_power(effect: float, alpha: float = 0.05) -> int | None:
    """The fewest seeds with which `paired_power` reaches 80 %; None for no effect, or more than 10,000 seeds."""
    return _fewest(lambda seeds: paired_power(effect, seeds, alpha) >= POWER) if effect else None


def seeds_for_equivalence(margin: float, alpha: float = 0.05) -> int | None:
    """The fewest seeds, 5 at least, with which `equivalence_power` reaches 80 %; None for more than 10,000."""
    seeds = _fewest(lambda seeds: equivalence_power(margin, seeds, alpha) >= POWER)
    return seeds and max(seeds, FEWEST_FOR_EQUIVALENCE)


FEWEST_FOR_EQUIVALENCE = 5
"""Pairs; with fewer, a small difference proves nothing."""


@cache
def _gauss_legendre() -> tuple[np.ndarray, np.ndarray]:
    """Nodes in [-1, 1] and weights."""
    return np.polynomial.legendre.leggauss(200)


def _fewest(enough: Callable[[int], bool]) -> int | None:
    """The smallest number of seeds, 2 to 10,000, for which it holds, if it holds for all larger ones too."""
    seeds = 2 + bisect.bisect_left(range(2, MOST_SEEDS + 1), True, key=enough)
    return seeds if seeds <= MOST_SEEDS else None


# --- other views of the same pairs ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RobustStatistics:
    """Other views of the pairs behind a comparison; None where something is not defined. More is better.

    wilcoxon_p: exact signed-rank test; a diverged run is the worst. interquartile_mean, hodges_lehmann: of the
    differences of finished pairs. improvement: P(a run of ours is better than one of theirs) over all pairs of seeds,
    with a score interval; a diverged run is the worst. correlation: of the paired outcomes, over seeds.

    For planning, from the observed sd and effect, which few seeds estimate only roughly, with the same draws of
    features and at the level of several arms: seeds_for_power: for an 80 %
    chance of a significant difference, if the true effect is the observed one. equivalence_power: the chance that these
    seeds would have shown equivalence, if there is no difference at all. seeds_for_equivalence: for 80 % of it.
    """

    wilcoxon_p: float | None
    interquartile_mean: float | None
    hodges_lehmann: float | None
    improvement: float | None
    improvement_low: float | None
    improvement_high: float | None
    correlation: float | None
    seeds_for_power: int | None
    equivalence_power: float | None
    seeds_for_equivalence: int | None


def robust_statistics(
    ours: dict[int, float], theirs: dict[int, float], comparison: Comparison, margin: float | None, alpha: float
) -> RobustStatistics:
    """Every other view of two arms.

    ours, theirs: outcomes by seed, more is better, -inf where the run diverged. comparison: of their finished
    pairs. margin: that of the comparison. alpha: what p must not exceed; divided where several arms are compared.
    """
    pairs = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    finished = [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]
    differences = [x - y for x, y in finished]
    improvement, low, high = probability_of_improvement(list(ours.values()), list(theirs.values()))
    effect, seeds = comparison.effect_size, None
    if not math.isnan(effect):
        seeds = seeds_for_power(effect, alpha)
        least = fewest_pairs(alpha) + 2 * math.isfinite(effect)  # with fewer the exact test has much less power than t
        seeds = None if seeds is None else max(seeds, least)
    power = seeds_needed = None
    if margin is not None and comparison.runs > 1:
        sd = float(np.std(differences, ddof=1))
        width = margin / sd if sd else math.inf
        seeds_needed = seeds_for_equivalence(width, alpha)
        power = equivalence_power(width, comparison.runs, alpha) if comparison.runs >= FEWEST_FOR_EQUIVALENCE else 0.0
    return RobustStatistics(
        wilcoxon_p=signed_rank_test([difference(x, y) for x, y in pairs]).p_value if pairs else None,
        interquartile_mean=_defined(interquartile_mean(differences)),
        hodges_lehmann=_defined(hodges_lehmann(differences)),
        improvement=_defined(improvement),
        improvement_low=None if math.isnan(improvement) else low,
        improvement_high=None if math.isnan(improvement) else high,
        correlation=_defined(correlation([x for x, _ in finished], [y for _, y in finished])),
        seeds_for_power=seeds,
        equivalence_power=power,
        seeds_for_equivalence=seeds_needed,
    )


def difference(ours: float, theirs: float) -> float:
    """The difference of two outcomes, -inf where a run diverged: two diverged runs are equally bad."""
    return 0.0 if ours == theirs else ours - theirs


def fewest_pairs(alpha: float) -> int:
    """The fewest pairs whose smallest p value, 2 / 2^n, reaches alpha."""
    return math.ceil(1 - math.log2(alpha))


def smallest_p(pairs: int) -> float:
    """The smallest p value that so many pairs can have: 2 / 2^n, if all differences have one sign; 1 for no pair."""
    return 2.0 ** (1 - max(pairs, 1))


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None


def interquartile_mean(values: ArrayLike) -> float:
    """Mean without the lowest and the highest quarter, each rounded down to whole values, [n]; nan for none.

    Agarwal et al. 2021 recommend it for few runs: less moved by one run than the mean, less wasteful than the median.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    cut = ordered.size // 4
    return float(ordered[cut : ordered.size - cut].mean()) if ordered.size else math.nan


def hodges_lehmann(differences: ArrayLike) -> float:
    """The shift that belongs to Wilcoxon's signed-rank test: the median of all (d_i + d_j) / 2, i <= j; nan for none.

    Hodges and Lehmann 1963.
    """
    d = np.asarray(differences, np.float64)
    first, second = np.triu_indices(d.size)
    return float(np.median((d[first] + d[second]) / 2)) if d.size else math.nan


def probability_of_improvement(ours: ArrayLike, theirs: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """P(ours > theirs) + P(ours = theirs) / 2 for a run of each, whatever their seeds: estimate, low, high.

    ours [n], theirs [m]: more is better; -inf is a run that diverged. The estimate is the share of all
    n * m pairs (Agarwal et al. 2021). The interval holds every p whose distance to it is within z standard errors, with
    the variance that Hanley and McNeil 1982 give for p: a score interval (Newcombe 2006, method 5), which unlike a
    bootstrap leaves room where one arm won every pair. It treats the arms as independent, so it is too wide where the
    outcomes of equal seeds are correlated.
    """
    x, y = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if not (x.size and y.size):
        return math.nan, 0.0, 1.0
    share_won = np.mean((x[:, None] > y) + (x[:, None] == y) / 2)
    extra = (x.size + y.size) / 2 - 1
    z = ndtri((1 + level) / 2)

    def inside(p: float) -> bool:
        variance = p * (1 - p) * (1 + extra * ((1 - p) / (2 - p) + p / (1 + p))) / (x.size * y.size)
        return (share_won - p) ** 2 <= z**2 * variance

    return float(share_won), _edge(inside, float(share_won), 0.0), _edge(inside, float(share_won), 1.0)


def _edge(inside: Callable[[float], bool], start: float, end: float) -> float:
    """Where `inside` ends on the way from a point that is inside to one that is not, to 1e-12."""
    while abs(end - start) > 1e-12:
        middle = (start + end) / 2
        start, end = (middle, end) if inside(middle) else (start, middle)
    return start


def correlation(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Pearson's r of paired outcomes, [n] each: pairing gains 1 / (1 - r) in runs; nan where it is undefined."""
    x, y = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if x.size < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])


def wilson_interval(count: int, runs: int, level: float = 0.95) -> tuple[float, float]:
    """Interval for a share, from `count` of `runs`; 0 to 1 for no run. Wilson 1927."""
    if not runs:
        return 0.0, 1.0
    z2, share = float(ndtri((1 + level) / 2)) ** 2, count / runs
    middle = (share + z2 / (2 * runs)) / (1 + z2 / runs)
    half = math.sqrt(z2 * (share * (1 - share) / runs + z2 / (4 * runs**2))) / (1 + z2 / runs)
    return (middle - half if count else 0.0), (middle + half if count < runs else 1.0)
