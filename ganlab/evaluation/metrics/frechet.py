"""The Frechet distance of two sets, its bias for finite sets, and its value without that bias."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ganlab.evaluation.arguments import Array, count, features, pair
from ganlab.evaluation.cores import one_thread


def frechet_distance(real: ArrayLike, fake: ArrayLike) -> float:
    """How far two sets are apart if each were Gaussian: the distance of their means and of their covariances.

    |mu1 - mu2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), with unbiased covariances. Zero only for equal moments, else
    above, and biased upwards by finite sets: see `frechet_distance_null`. Lower is better; never compare values
    at different counts.

    real, fake: features [N, D] and [M, D], N and M at least 2 and independent of D.
    Raises ValueError, naming the argument, for sets that cannot be measured.

    Dowson and Landau, J. Multivariate Analysis 12 (1982); for images Heusel et al., arXiv 1706.08500.
    """
    real, fake = pair(real, fake, least=2)
    with one_thread():
        return _distance(real, fake)


def frechet_distance_null(real: ArrayLike, n_real: int, n_fake: int, *, gaussian: bool = True) -> float:
    """The Frechet distance that two finite sets of the same distribution have on average: the floor.

    (1/n_real + 1/n_fake) (sum_i l_i + 1/2 sum_ij v_ij / (l_i + l_j)), the first order in 1/n, with l the eigenvalues of
    the common covariance and v_ij the variance of the product of components i and j: l_i l_j (1 + d_ij) for normal
    features. It grows as D^2/n. Few images in `real` make it some per cent too low, so give all of them, however few
    are compared.

    real: features [N, D], at least 2, from which the covariance is taken.
    n_real, n_fake: how many images are compared, each at least 2.
    gaussian: assume normal features; else their fourth moments are used, which is better for principal components
    of images (digits: 7 to 13 % less).
    Raises ValueError, naming the argument.

    Second-order expansion of the distance around equal covariances; that the bias exists and depends on the
    model: Chong and Forsyth, arXiv 1911.07023.
    """
    real = features("real", real, least=2)
    n_real, n_fake = count("n_real", n_real, least=2), count("n_fake", n_fake, least=2)
    with one_thread():
        _, roots, axes = np.linalg.svd(_covariance_factor(real), full_matrices=False)
        squares = ((real - real.mean(axis=0)) @ axes.T) ** 2
        fourth = squares.T @ squares / len(real)
    eigenvalues = roots**2
    sums = eigenvalues[:, None] + eigenvalues
    normal = eigenvalues[:, None] * eigenvalues * (1 + np.eye(len(eigenvalues)))
    variances = normal if gaussian else fourth - np.diag(eigenvalues**2)
    mixed = np.divide(variances, sums, out=np.zeros_like(sums), where=sums > 0)
    return float((1 / n_real + 1 / n_fake) * (eigenvalues.sum() + mixed.sum() / 2))


class ExtrapolatedFrechetDistance(NamedTuple):
    """value: the distance at infinitely many images; slope: how much each 1/N adds, N images of both."""

    value: float
    slope: float


def frechet_distance_extrapolated(real: ArrayLike, fake: ArrayLike, seed: int = 0) -> ExtrapolatedFrechetDistance:
    """The Frechet distance without the bias of finite sets, to first order: a line in 1/N, followed to 1/N = 0.

    For each of 12 sizes N, from a quarter of the smaller count up to all of it, both sets are cut, in a random order,
    into as many parts of N as they fill; the distances of part to part are averaged, and a line is fitted to the sizes'
    means by least squares. Sizes near D or below bend the line. Equal distributions give about 0, and often less.
    Differing biases of two models no longer decide between them; the price is noise, about a third more, which the
    fit's residuals do not tell: the sizes share their images.

    real, fake: features [N, D] and [M, D], N and M at least 20.
    seed: of the order. Raises ValueError, naming the argument.

    Chong and Forsyth, arXiv 1911.07023.
    """
    real, fake = pair(real, fake, least=20)
    most = min(len(real), len(fake))
    sizes = [int(size) for size in np.linspace(most / 4, most, 12)]
    random = np.random.default_rng(count("seed", seed, least=0))
    real, fake = random.permutation(real), random.permutation(fake)
    with one_thread():
        means = [np.mean([_distance(real[part], fake[part]) for part in _parts(most, size)]) for size in sizes]
    slope, value = np.polyfit(1 / np.array(sizes), means, 1)
    return ExtrapolatedFrechetDistance(float(value), float(slope))


def _parts(count: int, size: int) -> list[slice]:
    return [slice(first, first + size) for first in range(0, count - size + 1, size)]


def _distance(real: Array, fake: Array) -> float:
    shift = real.mean(axis=0) - fake.mean(axis=0)
    first, second = _covariance_factor(real), _covariance_factor(fake)
    # With S = R'R the eigenvalues of S1 S2 are the squared singular values of R1 R2'. Taking these directly
    # leaves an error of eps in empty directions, where roots of eigenvalues would leave the root of eps.
    overlap = np.linalg.svd(first @ second.T, compute_uv=False).sum()
    return float(shift @ shift + np.sum(first**2) + np.sum(second**2) - 2 * overlap)


def _covariance_factor(images: Array) -> Array:
    """R [min(N, D), D] with R'R the unbiased covariance, taken without forming it, which would square errors."""
    return np.linalg.qr(images - images.mean(axis=0), mode="r") / np.sqrt(len(images) - 1)
