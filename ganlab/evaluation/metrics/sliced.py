"""The sliced Wasserstein distance, of vectors and of the levels of images' Laplacian pyramids."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import correlate1d

from ganlab.evaluation.arguments import Array, count, equal_counts, images, pair
from ganlab.evaluation.metrics.pairs import blocks

_NUMBERS = 2**22  # projections at a time, 32 MB
_BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
_ROUNDING = 1e-12  # of a constant image after the filters, relative to it


def sliced_wasserstein(real: ArrayLike, fake: ArrayLike, directions: int = 512, seed: int = 0) -> float:
    """How far images must move, along a random direction and on average, to turn one set into the other.

    The mean over random unit directions of the mean absolute difference of the sorted projections. Equal sets give 0,
    finite sets of one distribution more; a shift d gives |d| E|u_1|, E|u_1| = Gamma(D/2) / (sqrt(pi) Gamma((D+1)/2)).
    It has the unit of the features. Lower is better; compare values of equal counts only.

    real, fake: features [N, D] both.
    directions: how many, at least 1. Few make it noisy, by 3 % (standard deviation) at D=49 and 512.
    seed: of the directions: the same seed gives the same ones.
    Raises ValueError, naming the argument, for sets that cannot be measured.

    Rabin et al., SSVM 2011; for images Karras et al., arXiv 1710.10196.
    """
    directions, seed = count("directions", directions, least=1), count("seed", seed, least=0)
    real, fake = pair(real, fake)
    equal_counts(real, fake)
    return _mean_over(_units(directions, real.shape[1], seed), real, fake)


def sliced_wasserstein_pyramid(
    real_images: ArrayLike,
    fake_images: ArrayLike,
    *,
    patch: int | None = None,
    smallest: int | None = None,
    patches: int = 128,
    directions: int = 512,
    seed: int = 0,
) -> dict[int, float]:
    """The sliced Wasserstein distance of small patches, for each level of a Laplacian pyramid: {height: value}.

    The level of the images' own size holds their finest detail, what the last stage of a generator adds; the
    smallest level is the blurred image that is left. A level is the image less its blur by a 5x5 binomial filter
    at half the size, enlarged again. From each level `patches` square patches of all channels are taken at random
    places, or all if there are no more. Channels are divided by their standard deviation over the patches
    of both sets, so differences of contrast count. Papers print 1000 times these values. Lower is better; finite sets
    of one distribution give more than 0, so compare with real images against real ones.

    real_images, fake_images: [N,H,W,C], equal in shape.
    patch, smallest: side of the patches, and of the smallest level; by default 7 and 16, for images below 32 pixels
    3 and 4. Memory: 8 N patches patch^2 C bytes for each set.
    directions, seed: as in `sliced_wasserstein`; the seed also places the patches, alike in both sets.
    Raises ValueError, naming the argument: among others for sets that are constant at a level.

    Karras et al., arXiv 1710.10196, who divide each set by its own std; the pyramid is Burt and Adelson's, 1983.
    """
    real, fake = images("real_images", real_images), images("fake_images", fake_images)
    equal_counts(real, fake, names=("real_images", "fake_images"))
    if real.shape != fake.shape:
        one, other = list(fake.shape[1:]), list(real.shape[1:])
        raise ValueError(f"fake_images has images of shape {one}, real_images of {other}; give both the same")
    side = min(real.shape[1:3])
    patch = count("patch", (7 if side >= 32 else 3) if patch is None else patch, least=1)
    smallest = count("smallest", (16 if side >= 32 else 4) if smallest is None else smallest, least=patch)
    if side < smallest:
        raise ValueError(f"real_images has a side of {side}, below the smallest level, {smallest}; give larger images")
    patches, directions = count("patches", patches, least=1), count("directions", directions, least=1)
    seed = count("seed", seed, least=0)

    units, largest = _units(directions, patch**2 * real.shape[3], seed), max(np.abs(real).max(), np.abs(fake).max())
    values = {}
    for levels in zip(_levels(real, smallest), _levels(fake, smallest), strict=True):
        height = levels[0].shape[1]
        first, second = (_descriptors(level, patch, patches, [seed, height]) for level in levels)
        stds = _stds(first, second, real.shape[3])
        if stds.min() <= _ROUNDING * largest:
            problem = f"real_images and fake_images are constant at level {height}"
            raise ValueError(f"{problem}, in at least one channel; give images with detail there")
        values[height] = _mean_over(units / stds, first, second)
    return values


def _units(directions: int, width: int, seed: int) -> Array:
    """Unit vectors [directions, D], uniform over the sphere."""
    vectors = np.random.default_rng(seed).normal(size=(directions, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _mean_over(units: Array, real: Array, fake: Array) -> float:
    total = 0.0
    for part in blocks(len(units), max(1, _NUMBERS // len(real))):
        first, second = units[part] @ real.T, units[part] @ fake.T
        first.sort(axis=1)
        second.sort(axis=1)
        first -= second
        total += float(np.abs(first, out=first).sum())
    return total / (len(units) * len(real))


def _levels(images: Array, smallest: int) -> Iterator[Array]:
    """The levels of the Laplacian pyramid, the finest first; the last is the blurred image."""
    while -(-min(images.shape[1:3]) // 2) >= smallest:
        low = _halve(images)
        yield images - _double(low, images.shape)
        images = low
    yield images


def _halve(images: Array) -> Array:
    return _blur(images)[:, ::2, ::2]


def _double(low: Array, shape: tuple[int, ...]) -> Array:
    """Enlarge to `shape`: zeros between the pixels, then the same filter, four times as strong."""
    sparse = np.zeros(shape)
    sparse[:, ::2, ::2] = low
    return 4 * _blur(sparse)


def _blur(level: Array) -> Array:
    return correlate1d(correlate1d(level, _BINOMIAL, axis=1, mode="mirror"), _BINOMIAL, axis=2, mode="mirror")


def _descriptors(level: Array, patch: int, patches: int, seed: list[int]) -> Array:
    """Patches of each image as vectors, [N * patches, patch * patch * C], channels last."""
    windows = np.lib.stride_tricks.sliding_window_view(level, (patch, patch), axis=(1, 2))  # [N, y, x, C, p, p]
    n, down, across, channels = windows.shape[:4]
    if down * across > patches:
        chosen = np.random.default_rng(seed).integers(down * across, size=(n, patches))
    else:
        chosen = np.broadcast_to(np.arange(down * across), (n, down * across))
    patches_of_images = windows[np.arange(n)[:, None], chosen // across, chosen % across]  # [N, patches, C, p, p]
    return np.moveaxis(patches_of_images, 2, 4).reshape(-1, patch * patch * channels)


def _stds(first: Array, second: Array, channels: int) -> Array:
    """The standard deviation of each channel over the patches of both sets, once for each pixel of a patch."""
    values = [descriptors.reshape(-1, channels) for descriptors in (first, second)]
    mean = sum(channel_values.mean(axis=0) for channel_values in values) / 2
    std = np.sqrt(sum(np.mean((channel_values - mean) ** 2, axis=0) for channel_values in values) / 2)
    return np.tile(std, first.shape[1] // channels)
