"""Distances of distributions as means over pairs: by a kernel, with its standard error, and by the distances alone."""

import numpy as np
from numpy.typing import ArrayLike

from ganlab.evaluation.arguments import Array, pair
from ganlab.evaluation.metrics.pairs import (
    Points,
    blocks,
    each_row_of_blocks,
    prepare,
    squared_distances,
    sum_over_pairs,
)


def kernel_distance(real: ArrayLike, fake: ArrayLike) -> float:
    """How far two sets differ in their first three moments: the squared MMD of the kernel (x'y/D + 1)^3.

    The unbiased estimate over all pairs of different images, without subsets: equal distributions give 0 on
    average and so often less than 0; a set against itself never gives more. Lower is better. It grows as the
    sixth power of the features' scale, so it compares only values of one feature extractor.

    real, fake: features [N, D] and [M, D], N and M at least 2.
    Raises ValueError, naming the argument, for sets that cannot be measured.

    Gretton et al., JMLR 13 (2012), equation 3; for images Binkowski et al., arXiv 1801.01401.
    """
    real, fake = pair(real, fake, least=2)
    n, m = len(real), len(fake)
    within_real, within_fake = _sum(real) / (n * (n - 1)), _sum(fake) / (m * (m - 1))
    return float(within_real + within_fake - 2 * _sum(real, fake) / (n * m))


def kernel_distance_error(real: ArrayLike, fake: ArrayLike) -> float:
    """The standard error of `kernel_distance`: how much it would vary over other images of the same distributions.

    The variance of a two-sample U-statistic by its Hoeffding decomposition: a part that is linear in the images, which
    vanishes for equal distributions, and a part of pairs, which does not. Each is estimated from all images; a
    linear part below 0 counts as 0, so the error is never below that of equal distributions. (The jackknife takes
    the second part double.)

    real, fake: features [N, D] and [M, D], N and M at least 4.
    Raises ValueError, naming the argument, for sets that cannot be measured.

    Hoeffding, Ann. Math. Stat. 19 (1948); Gretton et al., JMLR 13 (2012).
    """
    real, fake = pair(real, fake, least=4)
    n, m = len(real), len(fake)
    unit = max(np.einsum("nd,nd->n", images, images).max() for images in (real, fake)) / real.shape[1] + 1
    rows, columns, squares = _moments(real, fake, unit)
    rows, columns = rows / m, columns / n
    mixed = max(0.0, squares / (n * m) - rows.mean() ** 2 - rows.var() - columns.var())
    real_means, real_pairs = _parts_within(real, unit)
    fake_means, fake_pairs = _parts_within(fake, unit)
    linear = (np.var(real_means - rows, ddof=1) - real_pairs / n - mixed / m) / n
    linear += (np.var(fake_means - columns, ddof=1) - fake_pairs / m - mixed / n) / m
    of_pairs = 2 * real_pairs / (n * (n - 1)) + 2 * fake_pairs / (m * (m - 1)) + 4 * mixed / (n * m)
    return float(unit**3 * np.sqrt(max(0.0, 4 * linear) + of_pairs))


def _sum(left: Array, right: Array | None = None) -> float:
    """The sum of the kernel over all pairs of two sets; or of one set, over all pairs of different images."""
    if right is not None:
        return sum_over_pairs(lambda i, j: float(_kernel(left[i], right[j]).sum()), len(left), len(right))
    return sum_over_pairs(lambda i, j: float(_kernel(left[i], None if i == j else left[j]).sum()), len(left))


def _moments(left: Array, right: Array | None, unit: float) -> tuple[Array, Array, float]:
    """The kernel's sums over rows [N] and columns [M], and of its squares; over the same pairs as `_sum`."""
    others = left if right is None else right

    def add(rows: slice) -> tuple[Array, Array, float]:
        down, across, squares = np.zeros(rows.stop - rows.start), np.empty(len(others)), 0.0
        for columns in blocks(len(others)):
            itself = right is None and columns == rows
            block = _kernel(left[rows], None if itself else others[columns], unit)
            down += block.sum(axis=1)
            across[columns] = block.sum(axis=0)
            squares += float(np.vdot(block, block))
        return down, across, squares

    down, across, squares = zip(*each_row_of_blocks(add, len(left)), strict=True)
    return np.concatenate(down), np.sum(across, axis=0), sum(squares)


def _kernel(left: Array, right: Array | None, unit: float = 1.0) -> Array:
    """(x'y/D + 1)^3 of all pairs, in units of unit^3; within one set, 0 for an image with itself."""
    base = (left / (left.shape[1] * unit)) @ (left if right is None else right).T
    base += 1 / unit
    cubes = base * base
    cubes *= base
    if right is None:
        np.fill_diagonal(cubes, 0)
    return cubes


def _parts_within(images: Array, unit: float) -> tuple[Array, float]:
    """Within one set, in units of unit^3: each image's mean over the others [N], and the variance not due to those."""
    n = len(images)
    sums, _, squares = _moments(images, None, unit)
    means = sums / (n - 1)
    variance = squares / (n * (n - 1)) - means.mean() ** 2
    return means, max(0.0, (variance - 2 * float(means.var())) * (n - 1) / (n - 3))


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
    across = _sum_of_distances(reals, fakes)
    return float(
        2 * across / (n * m) - _sum_of_distances(reals) / (n * (n - 1)) - _sum_of_distances(fakes) / (m * (m - 1))
    )


def _sum_of_distances(left: Points, right: Points | None = None) -> float:
    """The sum of the distances of all pairs of two sets; or of one set, of all pairs of different images."""

    def distances(rows: slice, columns: slice) -> float:
        squared, _ = squared_distances(left, left if right is None else right, rows, columns)
        if right is None and rows == columns:
            np.fill_diagonal(squared, 0)
        np.maximum(squared, 0, out=squared)  # rounding may take the product below the 0 of two copies
        return float(np.sqrt(squared, out=squared).sum())

    return sum_over_pairs(distances, len(left), None if right is None else len(right))
