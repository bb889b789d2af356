"""How far two sets overlap, where each set is represented by the neighbourhoods of its images."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganlab.evaluation.arguments import Array, count, pair
from ganlab.evaluation.metrics.pairs import (
    Points,
    blocks,
    each_row_of_blocks,
    exact_squares_at,
    neighbours,
    positions,
    prepare,
    squared_distances,
)


class PrecisionRecallDensityCoverage(NamedTuple):
    """Four overlaps of two sets; higher is better, and equal distributions give 1 only for density.

    precision: share of fake images inside the ball of some real image, in [0, 1].
    recall: share of real images inside the ball of some fake image, in [0, 1]; one stray fake inflates it.
    density: how many real balls hold a fake image, on average and over k; 1 for equal distributions, may exceed it.
    coverage: share of real images whose ball holds a fake image, in [0, 1]; `coverage_null` for equal distributions.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall_density_coverage(real: ArrayLike, fake: ArrayLike, k: int = 5) -> PrecisionRecallDensityCoverage:
    """How many fakes look real (precision, density), and how many real images have fakes nearby (recall, coverage).

    An image's ball reaches to its k-th nearest neighbour in its own set, itself not counted; what lies exactly on
    the border is outside, so an image with k copies in its own set has an empty ball. Precision and recall have
    no known value for equal distributions and fall with D: compare with real against real as a floor. Use equal
    counts. Ties are decided by differences taken coordinate by coordinate, never by rounding.

    real, fake: features [N, D] and [M, D], N and M above k. Memory: both sets four times, and 30 MB a core.
    k: neighbours, at least 1.
    Raises ValueError, naming the argument, for sets that cannot be measured: among them real ones of which each has
    k copies, so that every ball is empty. Fakes with such copies are measured; their recall is 0.

    Kynkaanniemi et al., arXiv 1904.06991 (precision, recall); Naeem et al., arXiv 2002.09797 (density, coverage,
    and the strict border).
    """
    k = count("k", k, least=1)
    real, fake = pair(real, fake)
    for name, images in (("real", real), ("fake", fake)):
        if len(images) <= k:
            raise ValueError(f"{name} has {len(images)} images, too few for k={k} neighbours; give at least {k + 1}")

    reals, fakes = prepare(real, fake)
    real_radius, fake_radius = _radii(reals, k), _radii(fakes, k)
    if real_radius.max() < 0:
        raise ValueError(
            f"real has {k} copies of each of its images, so that no ball holds anything; give different ones"
        )

    def compare(rows: slice) -> tuple[int, NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """How many fakes are in the rows' balls; which fakes, which rows hold one, and which are in a fake's ball."""
        inside, plausible = 0, np.zeros(len(fake), dtype=bool)
        covered, recalled = np.zeros((2, rows.stop - rows.start), dtype=bool)
        for columns in blocks(len(fake)):
            closer_than = _comparison(reals, fakes, rows, columns)
            in_real_ball = closer_than(real_radius[rows, None])
            inside += int(np.count_nonzero(in_real_ball))
            plausible[columns] = in_real_ball.any(axis=0)
            covered |= in_real_ball.any(axis=1)
            recalled |= closer_than(fake_radius[None, columns]).any(axis=1)
        return inside, plausible, covered, recalled

    inside, plausible, covered, recalled = zip(*each_row_of_blocks(compare, len(real)), strict=True)
    return PrecisionRecallDensityCoverage(
        precision=float(np.any(plausible, axis=0).mean()),
        recall=float(np.concatenate(recalled).mean()),
        density=float(sum(inside) / (k * len(fake))),
        coverage=float(np.concatenate(covered).mean()),
    )


def coverage_null(n_real: int, n_fake: int, k: int = 5) -> float:
    """The coverage that equal, continuous distributions have on average: 1 - prod_{j<k} (N-1-j) / (N+M-1-j).

    Exact in every dimension: a ball is missed when its image's k nearest among all others are all real. It tends
    to 1 - 2^-k for equal counts. The same for density is 1; precision and recall have no such value. Where
    distances tie, as those of pixels do, the strict border makes both a little smaller.

    n_real, n_fake: counts, n_real above k and n_fake at least 1.
    k: neighbours, at least 1.
    Raises ValueError, naming the argument. Naeem et al., arXiv 2002.09797.
    """
    k = count("k", k, least=1)
    n_real, n_fake = count("n_real", n_real, least=k + 1), count("n_fake", n_fake, least=1)
    nearer = np.arange(k)
    return float(1 - np.prod((n_real - 1 - nearer) / (n_real + n_fake - 1 - nearer)))


def _comparison(left: Points, right: Points, rows: slice, columns: slice) -> Callable[[Array], NDArray[np.bool_]]:
    """Squared radii, [rows, 1] or [1, columns] -> which pairs of a block are strictly closer."""
    squared, error = squared_distances(left, right, rows, columns)

    def closer_than(radii: Array) -> NDArray[np.bool_]:
        surely, perhaps = squared < radii - error, squared <= radii + error
        if np.count_nonzero(surely) < np.count_nonzero(perhaps):
            row, column = positions(surely != perhaps)
            exact = exact_squares_at(left, right, row + rows.start, column + columns.start)
            surely[row, column] = exact < np.broadcast_to(radii, surely.shape)[row, column]
        return surely

    return closer_than


def _radii(points: Points, k: int) -> Array:
    """The squared distance of each image to its k-th nearest neighbour in the same set, [N]; of an empty ball, -inf."""
    squares = neighbours(points, points, k, own=True)[0][:, -1]
    return np.where(squares > 0, squares, -np.inf)
