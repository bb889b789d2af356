"""How unevenly an enlarging layer serves the positions between its inputs, in its maps and in finished images."""

import numpy as np
from numpy.typing import ArrayLike

from ganlab.evaluation.spectrum import SILENT, Array, Spectrum, spectrum_of


def phase_variance(maps: np.ndarray, stride: tuple[int, int]) -> float:
    """How unevenly an enlarging layer serves the positions between its inputs; 0 where all are alike.

    maps: what the layer gave, [N,H,W,C]; stride: by how much it enlarged, (vertical, horizontal). The maps' second
    moment about each channel's mean is taken for each of the sv*sh phases, without the outer stride of pixels where
    there is enough inside; the result is the variance of these moments over phases by their squared mean. A
    transposed convolution with kernel 3 and stride 2 starts near 0.23 (moments as 4:2:2:1). Raises ValueError for
    other shapes and for values that are not finite.
    """
    maps = np.asarray(maps, np.float64)
    vertical, horizontal = stride
    if maps.ndim != 4 or 0 in maps.shape or maps.shape[1] % vertical or maps.shape[2] % horizontal:
        raise ValueError(f"maps has shape {list(maps.shape)}; it must be [N,H,W,C] with sides that {stride} divides")
    if not np.isfinite(maps).all():
        raise ValueError("maps has values that are not finite")
    if maps.shape[1] > 2 * vertical and maps.shape[2] > 2 * horizontal:
        maps = maps[:, vertical:-vertical, horizontal:-horizontal]
    moments = _by_phase(np.mean((maps - maps.mean(axis=(0, 1, 2))) ** 2, axis=(0, 3)), stride)
    return _unevenness(moments) if moments.any() else 0.0


def phase_variance_of_detail(images: ArrayLike | Spectrum, stride: int = 2) -> float:
    """How unevenly the fine detail of images is spread over the phases of a stride: see `phase_moments`.

    The variance of the moments over the phases by their squared mean, 0 at best; stride^2 times it is the sum of their
    squared deviations. It detects uneven overlap of kernels, which changes how much the output varies from place to
    place, and leaves no line in the spectrum where the mean stays even. images and errors as there; constant images are
    a ValueError too.
    """
    spectrum = spectrum_of("images", images)
    moments = phase_moments(spectrum, stride)
    if moments.max() <= SILENT * spectrum.power.mean():
        raise ValueError("images has no detail at all; give images that are not constant")
    return _unevenness(moments)


def phase_moments(images: ArrayLike | Spectrum, stride: int = 2) -> Array:
    """The second moment of fine detail at each phase (y mod stride, x mod stride): [N,H,W,C] -> [stride,stride].

    Detail is the luminance less its 3x3 binomial blur; the outer `stride` pixels are left out.
    images: of sides that stride divides into at least 3; or their `Spectrum`.
    Raises ValueError, naming the argument.
    """
    spectrum = spectrum_of("images", images)
    if isinstance(stride, bool) or not isinstance(stride, int | np.integer) or stride < 2:
        raise ValueError(f"stride={stride!r} has no phases; use a whole number of at least 2")
    if any(side % stride for side in spectrum.size) or spectrum.side < 3 * stride:
        height, width = spectrum.size
        sides, divides = (f"side {height}", "it") if height == width else (f"sides {height} and {width}", "both")
        raise ValueError(
            f"stride={stride} does not fit images of {sides}; use one that divides {divides} into at least 3"
        )
    rim = stride - 1  # the outermost pixels are gone already
    return _by_phase(spectrum.detail[rim:-rim, rim:-rim], (stride, stride))


def _by_phase(values: Array, stride: tuple[int, int]) -> Array:
    """The mean over positions of equal phase, [H,W] -> [sv,sh]."""
    (height, width), (down, across) = values.shape, stride
    return values.reshape(height // down, down, width // across, across).mean(axis=(0, 2))


def _unevenness(moments: Array) -> float:
    return float(moments.var() / moments.mean() ** 2)
