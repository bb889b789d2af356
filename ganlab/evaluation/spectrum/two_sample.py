"""Whether a linear classifier tells real from generated images by their spectra."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import betaincinv, expit

from ganlab.evaluation.spectrum.power import Array, checked_images, comparable, half_power, kind_of, luminances

_FLOOR = 1e-6  # of the mean power: bounds the logarithm where single images have no power
_RIDGE = 0.1
_LEVEL = 0.95


class SpectralTwoSample(NamedTuple):
    """accuracy: share of held-out images classified correctly, .5 for equal distributions, 1 if always told apart.

    low, high: its exact 95 % interval for so many images (Clopper and Pearson, Biometrika 26, 1934).
    tested: how many images were held out, half of them real.
    """

    accuracy: float
    low: float
    high: float
    tested: int


def spectral_two_sample(real: ArrayLike, fake: ArrayLike, seed: int = 0) -> SpectralTwoSample:
    """How well real and fake images are told apart by their spectra: accuracy on held-out images, null .5.

    Logistic regression with a ridge of .1 on the standardised logarithms of each image's own power, 1e-6 of the mean
    power added, at every frequency but the mean. Equally many of each side, drawn at random, half of them to learn
    from. Low accuracy does not prove equality: it is only what a linear classifier finds with so many images.

    real, fake: images [N,H,W,C], at least 4 a side, as uint8 pixels or as floats, both the same; of the larger set as
    many as of the smaller are used. Memory: some 16 bytes a luminance; 2000 a side are enough for an interval of 4 %.
    seed: of the draw. Raises ValueError, naming the argument.

    As a test, Lopez-Paz and Oquab, arXiv 1610.06545; on spectra, Frank et al., arXiv 2003.08685.
    """
    arrays = checked_images("real", real), checked_images("fake", fake)
    comparable(*((array.shape[1:], kind_of(array)) for array in arrays))
    for name, array in zip(("real", "fake"), arrays, strict=True):
        if len(array) < 4:
            raise ValueError(f"{name} has {len(array)} images, too few to learn from and to test; give at least 4")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed={seed!r} is not a seed; use a whole number from 0")
    random = np.random.default_rng(seed)
    count = min(map(len, arrays))
    powers = [
        _powers(name, array[random.permutation(len(array))[:count]])
        for name, array in zip(("real", "fake"), arrays, strict=True)
    ]
    learned = count // 2
    floor = _FLOOR * np.mean([power[:learned].mean() for power in powers])
    features = [np.log(power + floor) for power in powers]
    signs = np.repeat([-1.0, 1.0], learned)
    training = np.concatenate([side[:learned] for side in features])
    centre, std = training.mean(axis=0), training.std(axis=0)
    std[std == 0] = 1
    weights = _fit((training - centre) / std, signs)
    scores = [(side[learned:] - centre) / std @ weights[:-1] + weights[-1] for side in features]
    right, tested = int((scores[0] < 0).sum() + (scores[1] > 0).sum()), 2 * (count - learned)
    return SpectralTwoSample(right / tested, *_interval(right, tested), tested)


def _powers(name: str, images: np.ndarray) -> Array:
    """Each image's power without the mean's, [N, bins]."""
    powers = np.concatenate([half_power(block).reshape(len(block), -1)[:, 1:] for _, block in luminances(name, images)])
    if not powers.any():
        raise ValueError(f"{name} has no power at all; give images that are not constant")
    return powers


def _fit(features: Array, signs: Array) -> Array:
    """Weights and, last, the intercept that minimise the mean logistic loss with a ridge on the weights."""

    def loss(weights: Array) -> tuple[float, Array]:
        margins = signs * (features @ weights[:-1] + weights[-1])
        pull = -signs * expit(-margins) / len(signs)
        value = np.logaddexp(0, -margins).mean() + _RIDGE / 2 * weights[:-1] @ weights[:-1]
        return float(value), np.append(features.T @ pull + _RIDGE * weights[:-1], pull.sum())

    return minimize(loss, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B").x


def _interval(right: int, tested: int) -> tuple[float, float]:
    tail = (1 - _LEVEL) / 2
    low = betaincinv(right, tested - right + 1, tail) if right else 0.0
    high = betaincinv(right + 1, tested - right, 1 - tail) if right < tested else 1.0
    return float(low), float(high)
