"""Is one arm better than another? Answers from differences paired by seed; numpy and scipy only.

`scipy.special` stands here for `scipy.stats`, whose import alone takes longer than the whole comparison.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

EXACT_RUNS = 16  # up to here all 2^n sign vectors are visited
RANDOM_VECTORS = 100_000
ROUNDING = 1e-9  # two sums closer than this part of sum |d| are the same sum, added in another order

Verdict = Literal["better", "worse", "equivalent", "inconclusive"]


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

    The quantity is better when smaller: for one that is better when larger, turn the sign of the differences.

    - `low, high`: t interval of `level`; infinite for one pair.
    - `p_value`: two-sided sign-flip permutation of the mean, exact up to 16 pairs; above, 100,000 random sign
      vectors, the same ones in every call. One pair gives 1, n pairs never less than 2 / 2^n.
    - `effect_size`: d_z = mean / sd; nan for one pair or when all differences are 0, infinite when all are equal.
    - `verdict`, with alpha = 1 - level: `equivalent` if a `margin` is given and two one-sided t tests at alpha put
      the mean inside +-margin, even if it is surely not 0; else `better` or `worse` if p <= alpha and the interval
      leaves 0 out; else `inconclusive`, which is no proof of equality.

    Raises ValueError that names the argument. Phipson and Smyth 2010 for (c + 1) / (R + 1); Schuirmann 1987 for the
    two one-sided tests.
    """
    d = _vector("differences", differences)
    if d.size == 0:
        raise ValueError("differences=[] holds no pair; give at least one difference")
    if margin is not None and not (_is_number(margin) and 0 < margin < math.inf):
        raise ValueError(f"margin={margin!r} is no width; use a number above 0, or None")
    if not (_is_number(level) and 0 < level < 1):
        raise ValueError(f"level={level!r} is no confidence level; use a number between 0 and 1, such as 0.95")

    n = d.size
    if n == 1:
        return Comparison(float(d[0]), -math.inf, math.inf, 1.0, math.nan, 1, "inconclusive")
    # The mean of equal numbers need not round to that number, nor their spread to 0.
    mean, sd = (float(d[0]), 0.0) if np.ptp(d) == 0 else (float(d.mean()), float(d.std(ddof=1)))
    effect = mean / sd if sd else math.copysign(math.inf, mean) if mean else math.nan
    error = sd / math.sqrt(n)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * error
    low, high = mean - half, mean + half
    p = _sign_flip(d)

    verdict: Verdict = "inconclusive"
    one_sided = float(stdtrit(n - 1, level)) * error
    if margin is not None and -margin < mean - one_sided and mean + one_sided < margin:
        verdict = "equivalent"
    elif p <= 1 - level and high < 0:
        verdict = "better"
    elif p <= 1 - level and low > 0:
        verdict = "worse"
    return Comparison(mean, low, high, p, effect, n, verdict)


def holm(p_values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """P values adjusted for being several, [m] in the given order: p_(i) * (m - i + 1), running maximum, at most 1.

    Whoever rejects what is <= alpha afterwards is wrong anywhere among the m with probability alpha at most, however
    the tests depend on each other. Holm 1979. Raises ValueError that names the argument.
    """
    p = _probabilities(p_values)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1)
    return adjusted


def benjamini_hochberg(p_values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """P values adjusted for being several, [m] in the given order: p_(i) * m / i, running minimum from the largest.

    Of what is <= alpha afterwards, a share of alpha at most is wrong in the mean, if the tests are independent or
    depend on each other positively. Benjamini and Hochberg 1995. Raises ValueError that names the argument.
    """
    p = _probabilities(p_values)
    order = np.argsort(-p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate(p[order] * p.size / np.arange(p.size, 0, -1))
    return adjusted


class RankTest(NamedTuple):
    """What the signed ranks of differences say.

    side: -1 if the ranks of the differences below 0 weigh more, 1 if those above do, 0 if neither. pairs: differences
    other than 0.
    """

    p_value: float
    side: int
    pairs: int


def signed_rank_test(differences: ArrayLike) -> RankTest:
    """Wilcoxon's signed-rank test of paired differences, [n]: exact for every n, with ties, two-sided.

    The share of all sign vectors for which the sum of the signed ranks of |difference| lies as far from 0 as the
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
    return RankTest(min(float(shares[reached].sum()), 1.0), int(np.sign(observed)), signs.size)


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
        raise ValueError(f"p_values={p.tolist()} are no probabilities; use numbers from 0 to 1")
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
    odd = ~np.isfinite(array) if finite else np.isnan(array)
    if odd.any():
        at = int(np.flatnonzero(odd)[0])
        remedy = "leave that run out, and say so" if finite else "an infinite one stands for a run that diverged"
        raise ValueError(f"{name}[{at}]={array[at]} is {'not finite' if finite else 'no number'}; {remedy}")
    return array.astype(np.float64)
