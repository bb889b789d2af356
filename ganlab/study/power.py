"""How many seeds does an answer take? Power of the paired t test and of two one-sided tests; numpy and scipy only."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.special import gammainc, gammaln, ndtr, stdtrit

MOST_SEEDS = 10_000  # who would need more will not get them


def paired_power(effect: float, seeds: int, alpha: float = 0.05) -> float:
    """Chance of p <= alpha in a two-sided t test of paired differences whose true mean / sd is `effect`.

    Given the sd that is seen, the mean is normal; averaged over the distribution of that sd, which is the noncentral t
    distribution, also where library functions of that give up. The exact test that decides has less where few pairs
    leave few p values: 4 points with 8 pairs, 20 with 6, all of it below (experiments/statistics).
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

    margin: in standard deviations of the paired difference. Given the sd that is seen, the mean must lie within the
    margin less what the tests ask for; averaged over the distribution of that sd by Gauss and Legendre's rule.
    """
    asked = float(stdtrit(seeds - 1, 1 - alpha))
    widest = margin * math.sqrt(seeds) / asked  # with a larger sd nothing can pass
    return min(1.0, _over_sd(lambda sd: 2 * ndtr(margin * math.sqrt(seeds) - asked * sd) - 1, seeds - 1, 0.0, widest))


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


def seeds_for_power(effect: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """The fewest seeds with which `paired_power` reaches `power`; None for no effect, or more than 10,000 seeds."""
    return _fewest(lambda seeds: paired_power(effect, seeds, alpha) >= power) if effect else None


def seeds_for_equivalence(margin: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """The fewest seeds with which `equivalence_power` reaches `power`; None for more than 10,000."""
    return _fewest(lambda seeds: equivalence_power(margin, seeds, alpha) >= power)


@cache
def _gauss_legendre() -> tuple[np.ndarray, np.ndarray]:
    """Nodes in [-1, 1] and weights."""
    return np.polynomial.legendre.leggauss(200)


def _fewest(enough: Callable[[int], bool]) -> int | None:
    """The smallest number from 2 for which it holds, if it holds for all larger ones too."""
    low, high = 1, 2
    while not enough(high):
        if high == MOST_SEEDS:
            return None
        low, high = high, min(2 * high, MOST_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
