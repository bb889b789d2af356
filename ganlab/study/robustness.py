"""Do other ways of looking at the same runs say the same? Checks beside the test that decides; numpy and scipy only."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from ganlab.study.power import equivalence_power, seeds_for_equivalence, seeds_for_power
from ganlab.study.statistics import Comparison, signed_rank_test


@dataclass(frozen=True)
class Robust:
    """Other views of the pairs behind a comparison; None where something is not defined. More is better.

    wilcoxon_p: exact signed-rank test; a diverged run is the worst. interquartile_mean, hodges_lehmann: of the
    differences of finished pairs. improvement: P(a run of ours is better than one of theirs) over all pairs of seeds,
    with a score interval; a diverged run is the worst. correlation: of the paired outcomes, over seeds.

    For planning, from the sd and the effect that were seen, which few seeds tell but roughly: seeds_for_power: for an
    80 % chance of a significant difference, if the effect is what was seen. equivalence_power: the chance that these
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


def look_again(
    ours: dict[int, float], theirs: dict[int, float], comparison: Comparison, margin: float | None, alpha: float
) -> Robust:
    """Every other view of two arms.

    ours, theirs: outcomes by seed, more is better, -inf where the run diverged. comparison: of their finished
    pairs. margin: as that comparison had it. alpha: what p must not exceed; shared out where several arms are compared.
    """
    pairs = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    finished = [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]
    differences = [x - y for x, y in finished]
    won, low, high = probability_of_improvement(list(ours.values()), list(theirs.values()))
    effect, seeds = comparison.effect_size, None
    if math.isfinite(effect) or math.isinf(effect):
        seeds = seeds_for_power(effect, alpha)
        least = fewest_pairs(alpha) + 2 * math.isfinite(effect)  # with fewer the exact test has much less power than t
        seeds = None if seeds is None else max(seeds, least)
    passing = asked = None
    if margin is not None and comparison.runs > 1:
        sd = float(np.std(differences, ddof=1))
        width = margin / sd if sd else math.inf
        passing, asked = equivalence_power(width, comparison.runs), seeds_for_equivalence(width)
    return Robust(
        wilcoxon_p=signed_rank_test([difference(x, y) for x, y in pairs]).p_value if pairs else None,
        interquartile_mean=_defined(interquartile_mean(differences)),
        hodges_lehmann=_defined(hodges_lehmann(differences)),
        improvement=_defined(won),
        improvement_low=None if math.isnan(won) else low,
        improvement_high=None if math.isnan(won) else high,
        correlation=_defined(correlation([x for x, _ in finished], [y for _, y in finished])),
        seeds_for_power=seeds,
        equivalence_power=passing,
        seeds_for_equivalence=asked,
    )


def difference(ours: float, theirs: float) -> float:
    """Of outcomes, more is better, -inf where a run diverged: two diverged runs are equally bad."""
    return 0.0 if ours == theirs else ours - theirs


def fewest_pairs(alpha: float) -> int:
    """The fewest pairs whose smallest p value, 2 / 2^n, reaches alpha."""
    return math.ceil(1 - math.log2(alpha))


def smallest_p(pairs: int) -> float:
    """The smallest p value that so many pairs can have: 2 / 2^n, of differences of one sign; 1 for none."""
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
    """The shift that Wilcoxon's signed-rank test goes with: the median of all (d_i + d_j) / 2, i <= j; nan for none.

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
    bootstrap leaves room where one arm won every pair. It takes the arms as independent, so it is too wide where equal
    seeds go together.
    """
    x, y = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if not (x.size and y.size):
        return math.nan, 0.0, 1.0
    won = np.mean((x[:, None] > y) + (x[:, None] == y) / 2)
    extra = (x.size + y.size) / 2 - 1
    z = ndtri((1 + level) / 2)

    def inside(p: float) -> bool:
        variance = p * (1 - p) * (1 + extra * ((1 - p) / (2 - p) + p / (1 + p))) / (x.size * y.size)
        return (won - p) ** 2 <= z**2 * variance

    return float(won), _edge(inside, float(won), 0.0), _edge(inside, float(won), 1.0)


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
    """Interval for a share of which `count` in `runs` was seen; 0 to 1 for no run. Wilson 1927."""
    if not runs:
        return 0.0, 1.0
    z2, share = float(ndtri((1 + level) / 2)) ** 2, count / runs
    middle = (share + z2 / (2 * runs)) / (1 + z2 / runs)
    half = math.sqrt(z2 * (share * (1 - share) / runs + z2 / (4 * runs**2))) / (1 + z2 / runs)
    return (middle - half if count else 0.0), (middle + half if count < runs else 1.0)
