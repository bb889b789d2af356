"""How far generated images are from real ones: distances and overlaps of two sets of feature vectors.

Every function takes features, one image a row, real first, and computes in float64; nothing is clipped.
A value means something only beside its count of images and its null: what equal distributions give.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]

_SIDE = 1024  # pairs are taken in squares of this side, 8 MB: near the cache, yet worth the threads of BLAS
_LARGEST = 1e45  # the sixth power, which the kernel takes, still fits float64


def frechet_distance(real: ArrayLike, fake: ArrayLike) -> float:
    """How far two sets are apart if each were Gaussian: the distance of their means and of their covariances.

    |mu1 - mu2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), with unbiased covariances. Zero only for equal moments, else
    above, and biased upwards by finite sets: see `frechet_distance_null`. Lower is better; never compare values
    at different counts.

    real, fake: features [N, D] and [M, D], N and M at least 2 and independent of D.
    Raises ValueError, naming the argument, for sets that cannot be measured.

    Dowson and Landau, J. Multivariate Analysis 12 (1982); for images Heusel et al., arXiv 1706.08500.
    """
    real, fake = _pair(real, fake, least=2)
    shift = real.mean(axis=0) - fake.mean(axis=0)
    first, second = _covariance_factor(real), _covariance_factor(fake)
    # With S = R'R the eigenvalues of S1 S2 are the squared singular values of R1 R2'. Taking these directly
    # leaves an error of eps in empty directions, where roots of eigenvalues would leave the root of eps.
    overlap = np.linalg.svd(first @ second.T, compute_uv=False).sum()
    return float(shift @ shift + np.sum(first**2) + np.sum(second**2) - 2 * overlap)


def frechet_distance_null(real: ArrayLike, n_real: int, n_fake: int) -> float:
    """The Frechet distance that two finite sets of equal, Gaussian distribution have on average: the floor.

    (1/n_real + 1/n_fake) (sum_i l_i + 1/2 sum_ij l_i l_j (1 + d_ij) / (l_i + l_j)) with l the eigenvalues of the
    common covariance, the first order in 1/n. It grows as D^2/n. Few images in `real` make it some per cent too
    low, so give it all there are, however few are compared.

    real: features [N, D], at least 2, from which the covariance is taken.
    n_real, n_fake: how many images are compared, each at least 2.
    Raises ValueError, naming the argument.

    Second-order expansion of the distance around equal covariances; that the bias exists and depends on the
    model: Chong and Forsyth, arXiv 1911.07023.
    """
    real = _features("real", real, least=2)
    n_real, n_fake = _count("n_real", n_real, least=2), _count("n_fake", n_fake, least=2)
    spread = np.linalg.svd(_covariance_factor(real), compute_uv=False) ** 2
    sums = spread[:, None] + spread
    products = spread[:, None] * spread * (1 + np.eye(len(spread)))
    mixed = np.divide(products, sums, out=np.zeros_like(sums), where=sums > 0)
    return float((1 / n_real + 1 / n_fake) * (spread.sum() + mixed.sum() / 2))


def kernel_distance(real: ArrayLike, fake: ArrayLike) -> float:
    """How far two sets differ in their first three moments: the squared MMD of the kernel (x'y/D + 1)^3.

    The unbiased estimate over all pairs of different images, without subsets: equal distributions give 0 on
    average and so often less than 0; a set against itself never gives more. Lower is better. It grows as the
    sixth power of the features' scale, so it compares only values of one feature extractor.

    real, fake: features [N, D] and [M, D], N and M at least 2.
    Raises ValueError, naming the argument, for sets that cannot be measured.

    Gretton et al., JMLR 13 (2012), equation 3; for images Binkowski et al., arXiv 1801.01401.
    """
    real, fake = _pair(real, fake, least=2)
    n, m = len(real), len(fake)
    within_real = _kernel_sum(real) / (n * (n - 1))
    within_fake = _kernel_sum(fake) / (m * (m - 1))
    return float(within_real + within_fake - 2 * _kernel_sum(real, fake) / (n * m))


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
    """How much of the fakes looks real (precision, density), and how much of the real is met (recall, coverage).

    An image's ball reaches to its k-th nearest neighbour in its own set, itself not counted; what lies exactly on
    the border is outside, so an image with k copies in its own set has an empty ball. Precision and recall have
    no known value for equal distributions and fall with D: give them real against real as a floor. Use equal
    counts. Ties are decided by differences taken coordinate by coordinate, never by rounding.

    real, fake: features [N, D] and [M, D], N and M above k. Memory: both sets twice, and about 100 MB.
    k: neighbours, at least 1.
    Raises ValueError, naming the argument, for sets that cannot be measured.

    Kynkaanniemi et al., arXiv 1904.06991 (precision, recall); Naeem et al., arXiv 2002.09797 (density, coverage,
    and the strict border).
    """
    k = _count("k", k, least=1)
    real, fake = _pair(real, fake)
    for name, images in (("real", real), ("fake", fake)):
        if len(images) <= k:
            raise ValueError(f"{name} has {len(images)} images, too few for k={k} neighbours; give at least {k + 1}")

    centre = real.mean(axis=0)  # far from the origin products cancel, and too many pairs need the slow path
    real_product, fake_product = _right_factor(real - centre), _right_factor(fake - centre)
    real_radius, fake_radius = _radii(real, real_product, k), _radii(fake, fake_product, k)
    inside = 0  # pairs of a fake and a real ball that holds it
    plausible = np.zeros(len(fake), dtype=bool)
    covered, recalled = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    for rows in _slices(len(real), _SIDE):
        for columns in _slices(len(fake), _SIDE):
            pairs = _Pairs(real[rows], fake[columns], real_product[rows], fake_product[columns])
            in_real_ball = pairs.closer_than(real_radius[rows, None])
            inside += np.count_nonzero(in_real_ball)
            plausible[columns] |= in_real_ball.any(axis=0)
            covered[rows] |= in_real_ball.any(axis=1)
            recalled[rows] |= pairs.closer_than(fake_radius[None, columns]).any(axis=1)
    return PrecisionRecallDensityCoverage(
        precision=float(plausible.mean()),
        recall=float(recalled.mean()),
        density=float(inside / (k * len(fake))),
        coverage=float(covered.mean()),
    )


def coverage_null(n_real: int, n_fake: int, k: int = 5) -> float:
    """The coverage that equal, continuous distributions have on average: 1 - prod_{j<k} (N-1-j) / (N+M-1-j).

    Exact in every dimension: a ball is missed when its image's k nearest among all others are all real. It tends
    to 1 - 2^-k for equal counts. The same for density is 1; precision and recall have no such value.

    n_real, n_fake: counts, n_real above k and n_fake at least 1.
    k: neighbours, at least 1.
    Raises ValueError, naming the argument. Naeem et al., arXiv 2002.09797.
    """
    k = _count("k", k, least=1)
    n_real, n_fake = _count("n_real", n_real, least=k + 1), _count("n_fake", n_fake, least=1)
    nearer = np.arange(k)
    return float(1 - np.prod((n_real - 1 - nearer) / (n_real + n_fake - 1 - nearer)))


def _covariance_factor(images: Array) -> Array:
    """R [min(N, D), D] with R'R the unbiased covariance, taken without forming it, which would square errors."""
    return np.linalg.qr(images - images.mean(axis=0), mode="r") / np.sqrt(len(images) - 1)


def _kernel_sum(left: Array, right: Array | None = None) -> float:
    """The sum of (x'y/D + 1)^3 over all pairs of two sets, or over all pairs of different images of one."""
    total = 0.0
    for rows in _slices(len(left), _SIDE):
        scaled = left[rows] / left.shape[1]
        start = rows.start if right is None else 0  # within one set the pairs of earlier blocks count twice
        others = left if right is None else right
        for columns in _slices(len(others), _SIDE, start):
            base = scaled @ others[columns].T
            base += 1
            cubes = base * base
            cubes *= base
            if right is None and columns == rows:
                np.fill_diagonal(cubes, 0)
            total += float(cubes.sum()) * (2 if right is None and columns != rows else 1)
    return total


def _right_factor(centred: Array) -> Array:
    """[y, 1, |y|^2] for each row: its product with [-2x, |x|^2, 1] is |x - y|^2."""
    squares = np.einsum("nd,nd->n", centred, centred)
    return np.column_stack([centred, np.ones_like(squares), squares])


class _Pairs:
    """Squared distances of a block of pairs: fast by a matrix product, exact where a comparison hangs on it."""

    def __init__(self, left: Array, right: Array, left_product: Array, right_product: Array):
        self.left, self.right = left, right
        squares = left_product[:, -1:]
        ones = np.ones_like(squares)
        self.squared = np.hstack([-2 * left_product[:, :-2], squares, ones]) @ right_product.T
        # The bound of Higham's "Accuracy and Stability", 3.1, for the product and for the direct sum together.
        unit = 2 * (left.shape[1] + 8) * np.finfo(np.float64).eps
        self.row_error = unit * (squares + right_product[:, -1].max())
        self.column_error = unit * (right_product[None, :, -1] + squares.max())

    def direct(self, row: int, columns: NDArray[np.intp]) -> Array:
        """Squared distances as sums of squared differences: the same bits whatever block the pair is in."""
        return cdist(self.left[row : row + 1], self.right[columns], "sqeuclidean")[0]

    def closer_than(self, radii: Array) -> NDArray[np.bool_]:
        """Which pairs are strictly closer than `radii`, squared; [rows, 1] or [1, columns]."""
        error = self.row_error if radii.shape[1] == 1 else self.column_error
        surely, perhaps = self.squared < radii - error, self.squared <= radii + error
        if np.count_nonzero(surely) < np.count_nonzero(perhaps):
            unsure = surely != perhaps
            limits = np.broadcast_to(radii, unsure.shape)
            for row in np.flatnonzero(unsure.any(axis=1)):
                columns = np.flatnonzero(unsure[row])
                surely[row, columns] = self.direct(int(row), columns) < limits[row, columns]
        return surely


def _radii(images: Array, product: Array, k: int) -> Array:
    """The squared distance of each image to its k-th nearest neighbour in the same set, [N]."""
    radii = np.empty(len(images))
    for rows in _slices(len(images), max(1, 4 * _SIDE**2 // len(images))):
        pairs = _Pairs(images[rows], images, product[rows], product)
        itself = np.arange(rows.start, rows.stop)
        pairs.squared[itself - rows.start, itself] = np.inf
        reach = np.partition(pairs.squared, k - 1, axis=1)[:, k - 1 : k] + 2 * pairs.row_error
        candidates = pairs.squared <= reach
        for row in range(len(itself)):
            distances = pairs.direct(row, np.flatnonzero(candidates[row]))
            radii[rows.start + row] = np.partition(distances, k - 1)[k - 1]
    return radii


def _slices(count: int, size: int, start: int = 0) -> list[slice]:
    return [slice(first, min(first + size, count)) for first in range(start, count, size)]


def _features(name: str, value: ArrayLike, least: int = 1) -> Array:
    """The features as float64 [N, D], or a ValueError that says what is wrong with the argument `name`."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} has rows of different widths; give features [N, D]") from None
    if array.ndim != 2:
        raise ValueError(f"{name} has shape {array.shape}; give features [N, D], one image a row")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape} and is empty; give features [N, D], one image a row")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds {array.dtype}; give real numbers")
    array = np.ascontiguousarray(array, dtype=np.float64)
    if not (array.min() >= -_LARGEST and array.max() <= _LARGEST):  # a NaN fails both
        row, column = np.argwhere(~(np.abs(array) <= _LARGEST))[0]
        bad = array[row, column]
        raise ValueError(f"{name}[{row}, {column}]={bad} cannot be measured; values must be finite, at most {_LARGEST}")
    if len(array) < least:
        raise ValueError(f"{name} has {len(array)} images; give at least {least}")
    return array


def _pair(real: ArrayLike, fake: ArrayLike, least: int = 1) -> tuple[Array, Array]:
    """Both sets, checked, and of the same width."""
    first, second = _features("real", real, least), _features("fake", fake, least)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"fake has {second.shape[1]} features an image, real has {first.shape[1]}; give both the same")
    return first, second


def _count(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(f"{name}={value!r} is not a whole number; use one of at least {least}")
    if value < least:
        raise ValueError(f"{name}={value} is too small; use at least {least}")
    return int(value)
