"""Measures of sets whose classes are known, or predicted by a classifier."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, rel_entr, xlog1py, xlogy  # scipy.stats alone takes most of a second to import

from ganlab.evaluation.arguments import Array, features

_ROUNDING = 1e-4  # by which probabilities from float16 and float32 miss their sum


def classifier_score(probabilities: ArrayLike) -> float:
    """How sure a classifier is of each image, and how even the classes are: exp(mean KL(p(y|x) || p(y))).

    p(y) is the mean over all images, in one pass without splits. Between 1 and the number of classes; higher is
    better. Blind to collapse inside a class. With Inception's classes it is the Inception score.

    probabilities: [N, C], each row from 0 up and of sum 1.
    Raises ValueError, naming the argument.

    Salimans et al., arXiv 1606.03498.
    """
    rows = features("probabilities", probabilities)
    _distribution("probabilities", rows)
    return float(np.exp(rel_entr(rows, rows.mean(axis=0)).sum(axis=1).mean()))


class Modes(NamedTuple):
    """hit: modes with at least one image; divergence: KL(share of the fakes || true share) over modes, in nats."""

    hit: float
    divergence: float


def modes(labels: ArrayLike, shares: ArrayLike) -> Modes:
    """How many known modes the fakes reach, and how unevenly: 0 divergence for exactly the true shares.

    labels: the mode of each fake image, whole numbers [M] from 0 to C-1, of a classifier or known.
    shares: how probable each mode is, [C], above 0 and of sum 1.
    Raises ValueError, naming the argument.

    Metz et al., arXiv 1611.02163 (stacked digits, 1000 modes).
    """
    counts, shares = _counted(labels, shares)
    return Modes(int(np.count_nonzero(counts)), float(rel_entr(counts / counts.sum(), shares).sum()))


def largest_class_error(labels: ArrayLike, shares: ArrayLike) -> float:
    """The largest |share of the fakes / true share - 1| over modes; 0 for exactly the true shares.

    Arguments and errors as those of `modes`.
    """
    counts, shares = _counted(labels, shares)
    return float(np.max(np.abs(counts / counts.sum() / shares - 1)))


def _counted(labels: ArrayLike, shares: ArrayLike) -> tuple[NDArray[np.intp], Array]:
    """How many fakes each mode has, [C], and the true shares, [C]."""
    shares = _shares(shares)
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0 or labels.dtype.kind not in "iu":
        description = f"{labels.dtype} of shape {labels.shape}"
        raise ValueError(f"labels holds {description}; give whole numbers [M], one for each image")
    if labels.min() < 0 or labels.max() >= len(shares):
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"labels holds {wrong}, but shares has {len(shares)} modes; use 0 to {len(shares) - 1}")
    return np.bincount(labels, minlength=len(shares)), shares


def _shares(value: ArrayLike) -> Array:
    shares = np.asarray(value)
    if shares.ndim != 1:
        raise ValueError(f"shares has shape {shares.shape}; give one share for each mode, [C]")
    shares = features("shares", shares[None])
    _distribution("shares", shares)
    if not shares.all():
        raise ValueError(f"shares[{np.argmin(shares)}]=0.0 makes the measure infinite; leave that mode out")
    return shares[0]


def _distribution(name: str, rows: Array) -> None:
    """Refuse rows that are not probabilities."""
    if rows.min() < 0:
        raise ValueError(f"{name} holds {rows.min()}; probabilities are 0 or more")
    sums = rows.sum(axis=1)
    off = int(np.argmax(np.abs(sums - 1)))
    if abs(sums[off] - 1) > _ROUNDING:
        where = name if len(rows) == 1 else f"{name}[{off}]"
        raise ValueError(f"{where} has the sum {sums[off]:.6g}; probabilities sum to 1")


def binomial(hits: ArrayLike, count: int, share: float) -> NDArray[np.float64]:
    """The probability of so many hits among `count` independent trials that each hit with probability `share`.

    hits: whole numbers from 0 to count, of any shape, which is that of the result.
    """
    hits = np.asarray(hits)
    ways = gammaln(count + 1) - gammaln(hits + 1) - gammaln(count - hits + 1)
    return np.exp(ways + xlogy(hits, share) + xlog1py(count - hits, -share))
