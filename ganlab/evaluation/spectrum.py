"""Traces of upsampling in frequency: spectra, their distances, peaks and notches on the lattice of a stride.

Measures take `images` [N,H,W,C] or the `Spectrum` that `measure_spectrum` made of them, real first; a spectrum that is
used again is measured once. All use the luminance, in float64, and nothing is clipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import betaincinv, expit

from ganlab.evaluation.cores import one_thread
from ganlab.evaluation.registry import STRIDES, admits, lattice_reach

Array = NDArray[np.float64]

_LUMINANCE = np.array([0.299, 0.587, 0.114])
SILENT = 1e-24  # of the mean power: far above what rounding leaves in an empty frequency, far below one grey level
_LARGEST = 1e45  # its powers and their sums fit float64
_BLOCK = 2**17  # luminances processed at a time: they and their waves fit the cache


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A summary of a set of images: enough for every measure here except the two-sample test.

    count: how many images. shape: of one, (H,W,C). kind: "pixels" for whole numbers, "images" for floats; their powers
    differ by the square of a scale, so the two are never compared.
    power: see `power_spectrum`, [H,W]. mean: the mean image's luminance, [H,W].
    detail: mean over images of the squared luminance less its 3x3 binomial blur, without the outermost pixels,
    [H-2,W-2]. band: the limits between which the radial profiles of 95 % of the single images lie, ring by ring, [2,R].
    """

    count: int
    shape: tuple[int, int, int]
    kind: str
    power: Array
    mean: Array
    detail: Array
    band: Array

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.shape[:2]

    @property
    def side(self) -> int:
        """Pixels along the shorter edge: what rings are counted by."""
        return min(self.size)


def measure_spectrum(images: ArrayLike, name: str = "images") -> Spectrum:
    """Take the `Spectrum` of images [N,H,W,C], in blocks: at most 100 MB beside 50,000 images of 128x128x3.

    name: of the argument in errors. Raises ValueError as `power_spectrum` does.
    """
    images = _checked_images(name, images)
    count, height, width, channels = images.shape
    power, mean = np.zeros((height, width // 2 + 1)), np.zeros((height, width))
    detail = np.zeros((height - 2, width - 2))
    average = _half_rings(height, width)
    profiles, done = np.empty((count, average.shape[1])), 0
    with one_thread():
        for level, luminance in _luminances(name, images):
            mean += luminance.sum(axis=0) + level.sum()
            inner = luminance[:, 1:-1, 1:-1] - _blurred(luminance)
            detail += np.einsum("nyx,nyx->yx", inner, inner)
            powers = _half_power(luminance)
            power += powers.sum(axis=0)
            profiles[done : done + len(powers)] = powers.reshape(len(powers), -1) @ average
            done += len(powers)
    return Spectrum(
        count=count,
        shape=(height, width, channels),
        kind=_kind_of(images),
        power=_whole(power, width) / count,
        mean=mean / count,
        detail=detail / count,
        band=np.percentile(profiles, [2.5, 97.5], axis=0),
    )


def power_spectrum(images: ArrayLike) -> Array:
    """How much an image varies at each frequency: [N,H,W,C] -> [H,W], |DFT|^2 averaged over the images.

    Of the luminance (one channel: itself; three: .299, .587, .114), less each image's own mean. No window and no
    factor: white noise of variance v gives H*W*v everywhere but at [0,0], which is 0. Frequencies stand in the order
    of `numpy.fft.fftfreq`. Pixels 0 ... 255 have 127.5^2 times the power of images in [-1, 1].

    Raises ValueError unless the images have sides of at least 2, one or three channels, are finite, and at least one.
    """
    return measure_spectrum(images).power


def radial_profile(power: ArrayLike) -> Array:
    """A spectrum by distance from the mean alone: [H,W] -> [R], ring r = 0 ... R-1 = N/2 rounded down, N = min(H,W).

    Each value is the mean over the frequencies (u,v) in ring r, see `rings`: r/N cycles a pixel in every direction, the
    last one Nyquist's where N is even. The corners beyond it are left out. Raises ValueError unless the spectrum is
    finite and its sides are at least 2.
    """
    power = _checked(power)
    ring = rings(*power.shape)
    inside = ring <= min(power.shape) // 2
    return np.bincount(ring[inside], power[inside]) / np.bincount(ring[inside])


def rings(height: int, width: int | None = None) -> NDArray[np.intp]:
    """Which ring each frequency of a spectrum lies in: whole numbers [height,width]; a square without a width.

    By cycles a pixel, so that a ring is a circle whatever the sides: r = rint(sqrt((u/H)^2 + (v/W)^2) * N),
    where N is the shorter side; in a square rint(sqrt(u^2+v^2)).
    """
    width = height if width is None else width
    side = min(height, width)
    down, across = (np.fft.fftfreq(length, 1 / length) * (side / length) for length in (height, width))
    return np.rint(np.hypot(down[:, None], across[None, :])).astype(int)


def spectrum_of(name: str, images: ArrayLike | Spectrum) -> Spectrum:
    """The spectrum of images, or the given spectrum; a ValueError says what is wrong with the argument `name`."""
    return images if isinstance(images, Spectrum) else measure_spectrum(images, name)


def _pair_of(real: ArrayLike | Spectrum, fake: ArrayLike | Spectrum) -> tuple[Spectrum, Spectrum]:
    """Both spectra, of images that can be compared."""
    first, second = spectrum_of("real", real), spectrum_of("fake", fake)
    _comparable((first.shape, first.kind), (second.shape, second.kind))
    return first, second


def _comparable(real: tuple[tuple[int, ...], str], fake: tuple[tuple[int, ...], str]) -> None:
    """Refuse two sets whose images differ in shape or scale."""
    if real[0] != fake[0]:
        raise ValueError(f"fake has images of shape {list(fake[0])}, real of {list(real[0])}; give both the same")
    if real[1] != fake[1]:
        words = {"pixels": "whole numbers", "images": "floats"}
        raise ValueError(f"fake holds {words[fake[1]]}, real {words[real[1]]}; give both as uint8 or both in [-1, 1]")


def _checked_images(name: str, images: ArrayLike) -> np.ndarray:
    """The array, of a shape and type that has a spectrum; whether it is finite is checked block by block."""
    try:
        array = np.asarray(images)
    except ValueError:
        raise ValueError(f"{name} are of different shapes; give [N,H,W,C]") from None
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise ValueError(f"{name} of shape {array.shape} cannot be used; give [N,H,W,C], at least one, C = 1 or 3")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} hold {array.dtype}; give real numbers")
    _refuse_without_rings(array.shape[1:3], name)
    return array


def _luminances(name: str, images: np.ndarray) -> Iterator[tuple[Array, Array]]:
    """Blocks of luminance [n,H,W] above that of each image's first pixel, and the latter, [n].

    A constant image is exactly 0 then, which it would not be above its rounded mean.
    """
    count, height, width = images.shape[:3]
    step = max(1, _BLOCK // (height * width))
    for start in range(0, count, step):
        block = images[start : start + step].astype(np.float64)
        if not (block.min() >= -_LARGEST and block.max() <= _LARGEST):  # a NaN fails both
            first = start + int(np.argmax(~(np.abs(block) <= _LARGEST).all(axis=(1, 2, 3))))
            raise ValueError(f"{name} hold numbers that are not finite, first in {name}[{first}]; give finite ones")
        level = block[:, :1, :1].copy()
        block -= level
        if images.shape[3] == 1:
            yield level[:, 0, 0, 0], block[..., 0]
        else:
            yield level[:, 0, 0] @ _LUMINANCE, block @ _LUMINANCE


def _half_power(luminance: Array) -> Array:
    """|DFT|^2 of each, [n,H,W/2+1]: the other half mirrors it."""
    luminance = luminance - luminance.mean(axis=(1, 2), keepdims=True)
    waves = np.asarray(scipy.fft.rfft2(luminance))
    waves[:, 0, 0] = 0  # already so, except for rounding
    return waves.real**2 + waves.imag**2


def _kind_of(images: np.ndarray) -> str:
    """Whether these are uint8 pixels (or other whole numbers), or images of floats."""
    return "images" if images.dtype.kind == "f" else "pixels"


def _blurred(luminance: Array) -> Array:
    """The 3x3 binomial blur where its window is inside: [n,H,W] -> [n,H-2,W-2]."""
    down = luminance[:, :-2] + 2 * luminance[:, 1:-1] + luminance[:, 2:]
    return (down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]) / 16


def _half_rings(height: int, width: int) -> Array:
    """The matrix from half a spectrum, as a row, to its radial profile: [H*(W/2+1), R]."""
    ring = rings(height, width)[:, : width // 2 + 1]
    multiplicity = np.full_like(ring, 2)
    multiplicity[:, 0] = 1  # their mirror images are in this half too
    if width % 2 == 0:
        multiplicity[:, -1] = 1
    matrix = (ring.ravel()[:, None] == np.arange(min(height, width) // 2 + 1)) * multiplicity.reshape(-1, 1)
    return matrix / matrix.sum(axis=0)


def _whole(half: Array, width: int) -> Array:
    """[H,W/2+1] -> [H,W]: power at (-u,-v) is that at (u,v)."""
    height, columns = half.shape
    whole = np.empty((height, width))
    whole[:, :columns] = half
    whole[:, columns:] = half[-np.arange(height), 1 : width - columns + 1][:, ::-1]
    return whole


def _checked(power: ArrayLike) -> Array:
    power = np.asarray(power, np.float64)
    if power.ndim != 2 or 0 in power.shape:
        raise ValueError(f"power of shape {power.shape} cannot be used; give [H,W]")
    _refuse_without_rings(power.shape, "power")
    if not np.isfinite(power).all():
        raise ValueError(f"power holds {np.count_nonzero(~np.isfinite(power))} numbers that are not finite")
    return power


def _refuse_without_rings(size: tuple[int, ...], name: str) -> None:
    if min(size) < 2:
        raise ValueError(f"{name} of size {'x'.join(map(str, size))} have no rings; use sides of at least 2")


# --- distances in powers of ten, ring by ring -------------------------------------------------------------------------


def spectral_distance(real: ArrayLike | Spectrum, fake: ArrayLike | Spectrum) -> float:
    """How far the radial profiles are apart: mean over r = 1 ... N/2 of |log10 S_fake(r) - log10 S_real(r)|.

    N is the shorter side, here and below.

    0 for equal profiles; .3 is a factor of 2 in power, up or down. Finite sets never give 0: split halves of the
    real images show how much they give.

    real, fake: images [N,H,W,C], as uint8 pixels or as floats, both the same; or their `Spectrum`.
    Raises ValueError, naming the argument, for images without a spectrum, among them constant ones.
    """
    return float(np.abs(_differences(real, fake)).mean())


def spectral_distance_high(real: ArrayLike | Spectrum, fake: ArrayLike | Spectrum) -> float:
    """As `spectral_distance`, over N/4 < r <= N/2: waves shorter than four pixels."""
    differences = _differences(real, fake)
    return float(np.abs(differences[len(differences) // 2 :]).mean())


def high_frequency_bias(real: ArrayLike | Spectrum, fake: ArrayLike | Spectrum) -> float:
    """Whether fine detail is too strong (> 0) or too weak (< 0): mean of log10 S_fake - log10 S_real, 3N/8 < r <= N/2.

    Arguments and errors as for `spectral_distance`.
    """
    differences = _differences(real, fake)
    return float(differences[3 * len(differences) // 4 :].mean())


def decay_slope(images: ArrayLike | Spectrum) -> float:
    """How fast power falls towards the finest waves: the slope of log S on log r, least squares, r in [.75, 1] N/2.

    White noise has 0, the law 1/f^2 of natural images -2. images: [N,H,W,C] of side 8 or more, or their `Spectrum`.
    Raises ValueError as `spectral_distance` does.

    Dzanic, Shah and Witherden, arXiv 1911.06465.
    """
    spectrum = spectrum_of("images", images)
    if spectrum.side < 8:
        raise ValueError(f"images of side {spectrum.side} have too few rings for a slope; use a side of at least 8")
    logs = _logs("images", spectrum)
    ring = np.arange(1, len(logs) + 1)
    high = 4 * ring >= 3 * len(logs)
    x, y = np.log10(ring[high]), logs[high]
    x = x - x.mean()
    return float(x @ y / (x @ x))


def _differences(real: ArrayLike | Spectrum, fake: ArrayLike | Spectrum) -> Array:
    """log10 S_fake - log10 S_real for r = 1 ... N/2."""
    real, fake = _pair_of(real, fake)
    return _logs("fake", fake) - _logs("real", real)


def _logs(name: str, spectrum: Spectrum) -> Array:
    """log10 S(r), r = 1 ... N/2; no ring may be empty."""
    profile = radial_profile(spectrum.power)[1:]
    silent = profile <= SILENT * spectrum.power.mean()
    if silent.all():
        raise ValueError(f"{name} has no power at all; give images that are not constant")
    if silent.any():
        ring = 1 + int(np.argmax(silent))
        raise ValueError(f"{name} has no power in ring {ring}, so its logarithm has no value; give other images")
    return np.log10(profile)


# --- peaks and notches at multiples of N/stride, in images and in kernels ---------------------------------------------


def checkerboard_index(real: ArrayLike | Spectrum, fake: ArrayLike | Spectrum, stride: int = 2) -> float:
    """How much stronger a stride's pattern is in fake than in real images: log10(LPR_fake / LPR_real), sign kept.

    LPR is `lattice_peak_ratio`. Above 0: peaks, as uneven overlap of kernels makes them. Below 0: notches, as nearest
    and other smooth enlargement makes them; one is no better than the other, so the absolute value counts. 0 for
    equal distributions, with noise that split halves of the real images show.

    real, fake: images [N,H,W,C], as uint8 pixels or as floats, both the same; or their `Spectrum`.
    stride: from the stage in question to the output, one that `strides` gives.
    Raises ValueError, naming the argument, for images without a spectrum and for strides that they do not admit.

    Odena, Dumoulin and Olah, Distill 2016, doi:10.23915/distill.00003, describe the pattern.
    """
    real, fake = _pair_of(real, fake)
    return float(np.log10(_ratio("fake", fake, fake.power, stride) / _ratio("real", real, real.power, stride)))


def coherent_checkerboard_index(real: ArrayLike | Spectrum, fake: ArrayLike | Spectrum, stride: int = 2) -> float:
    """The part of `checkerboard_index` that all images share: the same, of the power spectrum of the mean image.

    Large where biases and even kernels draw one and the same pattern on every image. Arguments and errors as there.
    """
    real, fake = _pair_of(real, fake)
    fake_ratio = _ratio("fake", fake, _coherent_power("fake", fake), stride)
    return float(np.log10(fake_ratio / _ratio("real", real, _coherent_power("real", real), stride)))


def lattice_peak_ratio(images: ArrayLike | Spectrum, stride: int = 2) -> float:
    """The mean power of a stride's lattice bins by that of their neighbours; 1 for white noise, 0 for a full notch.

    The bins are the multiples of H/stride and W/stride, without those of half the stride if it is even, without
    the mean if it is odd: 3, 12 and 48 of them for 2, 4 and 8. The neighbours lie two steps away in either direction
    (the border of the 5x5 block), where a side has at most 16 pixels one step, around the edge if need be; each counts
    once. 1e-6 of the spectrum's mean is added to both. The bins of stride 2 are real, so their power is noisy: white
    noise of side 32 has a standard deviation of .04 over sets of 500 images.

    images: [N,H,W,C] or their `Spectrum`. stride: one that `strides` gives, or another that divides both sides and
    leaves room.
    Raises ValueError, naming the argument.
    """
    spectrum = spectrum_of("images", images)
    return _ratio("images", spectrum, spectrum.power, stride)


def strides(height: int, width: int | None = None) -> tuple[int, ...]:
    """Those of 2, 4 and 8 that images of these sides admit: they divide both and leave neighbours between lattice bins.

    Without a width the images are square.
    """
    size = (height, height if width is None else width)
    return tuple(stride for stride in STRIDES if admits(size, stride))


def _ratio(name: str, spectrum: Spectrum, power: Array, stride: int) -> float:
    if not power.any():
        raise ValueError(f"{name} has no power at all; give images that are not constant")
    lattice, neighbours = _places(spectrum.size, stride)
    epsilon = 1e-6 * power.mean()
    return float((power[lattice].mean() + epsilon) / (power[neighbours].mean() + epsilon))


def _coherent_power(name: str, spectrum: Spectrum) -> Array:
    power = np.abs(np.fft.fft2(spectrum.mean - spectrum.mean.mean())) ** 2
    power[0, 0] = 0
    if power.mean() <= SILENT * spectrum.power.mean():
        raise ValueError(f"{name} has a constant mean image, which has no spectrum; give other images")
    return power


def _places(size: tuple[int, int], stride: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The lattice bins of a stride and their neighbours, as masks [H,W]."""
    height, width = size
    reach = lattice_reach(size)
    _check_stride(stride, size, reach + 1)
    lattice = np.zeros(size, bool)
    lattice[:: height // stride, :: width // stride] = True
    down, across = (2 * side // stride if stride % 2 == 0 else side for side in size)
    lattice[::down, ::across] = False
    steps = range(-reach, reach + 1)
    border = [(y, x) for y in steps for x in steps if max(abs(y), abs(x)) == reach]
    return lattice, np.any([np.roll(lattice, step, axis=(0, 1)) for step in border], axis=0)


def _check_stride(stride: int, size: tuple[int, int], parts: int) -> None:
    """A ValueError unless it divides both sides into at least so many parts."""
    if isinstance(stride, bool) or not isinstance(stride, int | np.integer) or stride < 2:
        raise ValueError(f"stride={stride!r} has no lattice; use a whole number of at least 2")
    if any(side % stride or side // stride < parts for side in size):
        height, width = size
        sides, divides = (f"side {height}", "it") if height == width else (f"sides {height} and {width}", "both")
        raise ValueError(
            f"stride={stride} does not fit images of {sides}; use one that divides {divides} into at least {parts}"
        )


def lattice_fraction(kernel: np.ndarray, stride: int | tuple[int, int]) -> float:
    """How much of the pattern that a transposed convolution draws on a flat image is checkerboard: 0 ... 1.

    kernel: [k,k,Co,Ci], out before in; kernels of other operators in their transposed form. stride: an int or a pair.
    Raises ValueError, naming the argument, for another shape or stride; a kernel that is not finite gives nan.

    A flat image comes out as stride x stride values, one for each phase, the sums of the kernel's taps in that phase.
    The lattice fraction is the share of their energy that is not their mean's, averaged over pairs of channels.
    Independent weights give 1 - 1/stride^2 on average, whatever k; kernels whose phases have equal sums give 0, and so
    does a pair of channels without any energy.
    """
    kernel = np.asarray(kernel, np.float64)
    if kernel.ndim != 4:
        raise ValueError(f"kernel of shape {kernel.shape} does not have four axes; use [k,k,Co,Ci]")
    strides = np.asarray(stride if np.ndim(stride) else (stride, stride))
    if strides.shape != (2,) or strides.dtype.kind not in "iu" or strides.min() < 1:
        raise ValueError(f"stride={stride!r} is no stride; use a whole number from 1, or a pair of them")
    down, across = strides
    phases = np.stack([kernel[y::down, x::across].sum(axis=(0, 1)) for y in range(down) for x in range(across)])
    energy = np.sum(phases**2, axis=0)
    lattice = np.sum((phases - phases.mean(axis=0)) ** 2, axis=0)
    return float(np.mean(np.divide(lattice, energy, out=np.zeros_like(energy), where=energy != 0)))


# --- how unevenly the positions between the inputs of an enlarging layer are served, in its maps and in images --------


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
    _check_stride(stride, spectrum.size, 3)
    rim = stride - 1  # the outermost pixels are gone already
    return _by_phase(spectrum.detail[rim:-rim, rim:-rim], (stride, stride))


def _by_phase(values: Array, stride: tuple[int, int]) -> Array:
    """The mean over positions of equal phase, [H,W] -> [sv,sh]."""
    (height, width), (down, across) = values.shape, stride
    return values.reshape(height // down, down, width // across, across).mean(axis=(0, 2))


def _unevenness(moments: Array) -> float:
    return float(moments.var() / moments.mean() ** 2)


# --- a linear classifier of spectra -----------------------------------------------------------------------------------

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
    arrays = _checked_images("real", real), _checked_images("fake", fake)
    _comparable(*((array.shape[1:], _kind_of(array)) for array in arrays))
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
    powers = np.concatenate(
        [_half_power(block).reshape(len(block), -1)[:, 1:] for _, block in _luminances(name, images)]
    )
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
