"""How far the moments of two sets are apart: the kernel distance, and its standard error."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from ganlab.evaluation.arguments import Array, pair
from ganlab.evaluation.metrics.pairs import blocks


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
    within_real, within_fake = (_sum_within(images) / (len(images) * (len(images) - 1)) for images in (real, fake))
    across = sum(float(block.sum()) for _, _, block in _kernel(real, fake))
    return float(within_real + within_fake - 2 * across / (n * m))


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
    rows, columns, squares = np.zeros(n), np.zeros(m), 0.0
    for row, column, block in _kernel(real, fake, unit):
        rows[row] += block.sum(axis=1)
        columns[column] += block.sum(axis=0)
        squares += float(np.vdot(block, block))
    rows, columns = rows / m, columns / n
    mixed = max(0.0, squares / (n * m) - rows.mean() ** 2 - rows.var() - columns.var())
    real_means, real_pairs = _parts_within(real, unit)
    fake_means, fake_pairs = _parts_within(fake, unit)
    linear = (np.var(real_means - rows, ddof=1) - real_pairs / n - mixed / m) / n
    linear += (np.var(fake_means - columns, ddof=1) - fake_pairs / m - mixed / n) / m
    of_pairs = 2 * real_pairs / (n * (n - 1)) + 2 * fake_pairs / (m * (m - 1)) + 4 * mixed / (n * m)
    return float(unit**3 * np.sqrt(max(0.0, 4 * linear) + of_pairs))


def _kernel(left: Array, right: Array, unit: float = 1.0) -> Iterator[tuple[slice, slice, Array]]:
    """(x'y/D + 1)^3 in units of unit^3, for all pairs of two sets, block by block: rows, columns, values."""
    for rows in blocks(len(left)):
        scaled = left[rows] / (left.shape[1] * unit)
        for columns in blocks(len(right)):
            yield rows, columns, _cubes(scaled, right[columns], 1 / unit)


def _cubes(scaled: Array, others: Array, one: float = 1.0) -> Array:
    base = scaled @ others.T
    base += one
    cubes = base * base
    cubes *= base
    return cubes


def _sum_within(images: Array) -> float:
    """The sum of the kernel over all pairs of different images of one set."""
    total = 0.0
    for rows in blocks(len(images)):
        scaled = images[rows] / images.shape[1]
        for columns in blocks(len(images), start=rows.start):  # the pairs of earlier blocks count twice
            cubes = _cubes(scaled, images[columns])
            if columns == rows:
                np.fill_diagonal(cubes, 0)
            total += float(cubes.sum()) * (1 if columns == rows else 2)
    return total


def _parts_within(images: Array, unit: float) -> tuple[Array, float]:
    """The kernel within one set, in units of unit^3: each image's mean over the others [N], and the variance that no
    such means explain."""
    n = len(images)
    sums, squares = np.zeros(n), 0.0
    for rows, columns, block in _kernel(images, images, unit):
        if rows == columns:
            np.fill_diagonal(block, 0)
        sums[rows] += block.sum(axis=1)
        squares += float(np.vdot(block, block))
    means = sums / (n - 1)
    variance = squares / (n * (n - 1)) - means.mean() ** 2
    return means, max(0.0, (variance - 2 * float(means.var())) * (n - 1) / (n - 3))
