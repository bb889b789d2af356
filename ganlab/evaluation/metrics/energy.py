"""The energy distance: a distance of distributions without a scale or a kernel to choose."""

import numpy as np
from numpy.typing import ArrayLike

from ganlab.evaluation.arguments import pair
from ganlab.evaluation.metrics.pairs import Points, prepare, squared_distances, sum_over_pairs


def energy_distance(real: ArrayLike, fake: ArrayLike) -> float:
    """How much farther images of different sets are apart than images of one: 2 E|x-y| - E|x-x'| - E|y-y'|.

    The unbiased estimate over all pairs of different images: equal distributions give 0 on average and so often less
    than 0. 0 for equal distributions only, whatever their moments. It has the unit of the features. Lower is better.

    real, fake: features [N, D] and [M, D], N and M at least 2.
    Raises ValueError, naming the argument, for sets that cannot be measured.

    Szekely and Rizzo, J. Statistical Planning and Inference 143 (2013).
    """
    real, fake = pair(real, fake, least=2)
    n, m = len(real), len(fake)
    reals, fakes = prepare(real, fake)
    across = _sum(reals, fakes)
    return float(2 * across / (n * m) - _sum(reals) / (n * (n - 1)) - _sum(fakes) / (m * (m - 1)))


def _sum(left: Points, right: Points | None = None) -> float:
    """The sum of the distances of all pairs of two sets; or of one set, of all pairs of different images."""

    def distances(rows: slice, columns: slice) -> float:
        squared, _ = squared_distances(left, left if right is None else right, rows, columns)
        if right is None and rows == columns:
            np.fill_diagonal(squared, 0)
        np.maximum(squared, 0, out=squared)  # rounding may take the product below the 0 of two copies
        return float(np.sqrt(squared, out=squared).sum())

    return sum_over_pairs(distances, len(left), None if right is None else len(right))
