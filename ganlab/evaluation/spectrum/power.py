"""The power of images by frequency, and everything else that one pass over them gives."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from ganlab.evaluation.cores import one_thread

Array = NDArray[np.float64]

LUMINANCE = np.array([0.299, 0.587, 0.114])
SILENT = 1e-24  # of the mean power: far above what rounding leaves in an empty frequency, far below one grey level
_LARGEST = 1e45  # its powers and their sums fit float64
_BLOCK = 2**17  # luminances processed at a time: they and their waves fit the cache


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A summary of a set of images: enough for every measure here except the two-sample test.

    count: how many images. shape: of one, (H,W,C). kind: "pixels" for whole numbers, "images" for floats; their powers
    differ by the square of a scale, so the two are never compared. hann: whether a window was used.
    power: see `power_spectrum`, [H,W]. mean: the mean image's luminance, [H,W].
    detail: mean over images of the squared luminance less its 3x3 binomial blur, without the outermost pixels,
    [H-2,W-2]. band: the limits between which the radial profiles of 95 % of the single images lie, ring by ring, [2,R].
    """

    count: int
    shape: tuple[int, int, int]
    kind: str
    hann: bool
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


def measure_spectrum(images: ArrayLike, *, hann: bool = False) -> Spectrum:
    """Take the `Spectrum` of images [N,H,W,C], in blocks: at most 100 MB beside 50,000 images of 128x128x3.

    hann: weigh each image by a window first, see `power_spectrum`. Raises ValueError as that does.
    """
    return _measured("images", images, hann)


def power_spectrum(images: ArrayLike, *, hann: bool = False) -> Array:
    """How much an image varies at each frequency: [N,H,W,C] -> [H,W], |DFT|^2 averaged over the images.

    Of the luminance (one channel: itself; three: .299, .587, .114), less each image's own mean. No window and no
    factor: white noise of variance v gives H*W*v everywhere but at [0,0], which is 0. Frequencies stand in the order
    of `numpy.fft.fftfreq`. Pixels 0 ... 255 have 127.5^2 times the power of images in [-1, 1].

    hann: weight what is left of each image by a Hann window of root-mean-square 1, so that white noise keeps its power.
    Borders that do not fit together leak along the axes; with the window they do not, but lines are three bins wide.

    Raises ValueError unless the images have sides of at least 2, one or three channels, are finite, and at least one.
    """
    return _measured("images", images, hann).power


def radial_profile(power: ArrayLike, *, axes: bool = True) -> Array:
    """A spectrum by distance from the mean alone: [H,W] -> [R], ring r = 0 ... R-1 = N/2 rounded down, N = min(H,W).

    Each value is the mean over the frequencies (u,v) in ring r, see `rings`: r/N cycles a pixel in every direction, the
    last one Nyquist's where N is even. The corners beyond it are left out, see `corner_power`. axes: False leaves out
    u=0 and v=0 in all rings but the first, which is the mean's. Raises ValueError unless the spectrum is finite and its
    sides are at least 2.
    """
    power = _checked(power)
    ring = rings(*power.shape)
    inside = ring <= min(power.shape) // 2
    if not axes:
        inside[0, 1:] = inside[1:, 0] = False
    return np.bincount(ring[inside], power[inside]) / np.bincount(ring[inside])


def corner_power(power: ArrayLike) -> float:
    """The mean over the frequencies that no ring holds, r > N/2: where a checkerboard of single pixels lies.

    power: [H,W] as `power_spectrum` gives it, of sides of 4 or more. Raises ValueError for others.
    """
    power = _checked(power)
    if min(power.shape) < 4:
        raise ValueError(f"power of size {_times(power.shape)} has no corners; use sides of at least 4")
    return float(power[rings(*power.shape) > min(power.shape) // 2].mean())


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
    return images if isinstance(images, Spectrum) else _measured(name, images)


def pair_of(real: ArrayLike | Spectrum, fake: ArrayLike | Spectrum) -> tuple[Spectrum, Spectrum]:
    """Both spectra, of images that can be compared."""
    first, second = spectrum_of("real", real), spectrum_of("fake", fake)
    comparable((first.shape, first.kind), (second.shape, second.kind))
    if first.hann != second.hann:
        raise ValueError(f"fake was measured with hann={second.hann}, real with hann={first.hann}; measure both alike")
    return first, second


def comparable(real: tuple[tuple[int, ...], str], fake: tuple[tuple[int, ...], str]) -> None:
    """Refuse two sets whose images differ in shape or scale."""
    if real[0] != fake[0]:
        raise ValueError(f"fake has images of shape {list(fake[0])}, real of {list(real[0])}; give both the same")
    if real[1] != fake[1]:
        words = {"pixels": "whole numbers", "images": "floats"}
        raise ValueError(f"fake holds {words[fake[1]]}, real {words[real[1]]}; give both as uint8 or both in [-1, 1]")


def checked_images(name: str, images: ArrayLike) -> np.ndarray:
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


def luminances(name: str, images: np.ndarray) -> Iterator[tuple[Array, Array]]:
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
            yield level[:, 0, 0] @ LUMINANCE, block @ LUMINANCE


def half_power(luminance: Array, hann: bool = False) -> Array:
    """|DFT|^2 of each, [n,H,W/2+1]: the other half mirrors it."""
    luminance = luminance - luminance.mean(axis=(1, 2), keepdims=True)
    if hann:
        down, across = map(_hann, luminance.shape[1:])
        luminance *= down[:, None] * across
    waves = np.asarray(scipy.fft.rfft2(luminance))
    if not hann:
        waves[:, 0, 0] = 0  # already so, except for rounding
    return waves.real**2 + waves.imag**2


def _hann(length: int) -> Array:
    """A window of root-mean-square 1."""
    window = 1 - np.cos(2 * np.pi * np.arange(length) / length)
    return window / np.sqrt(np.mean(window**2))


def kind_of(images: np.ndarray) -> str:
    """Whether these are uint8 pixels (or other whole numbers), or images of floats."""
    return "images" if images.dtype.kind == "f" else "pixels"


def _measured(name: str, images: ArrayLike, hann: bool = False) -> Spectrum:
    images = checked_images(name, images)
    count, height, width, channels = images.shape
    power, mean = np.zeros((height, width // 2 + 1)), np.zeros((height, width))
    detail = np.zeros((height - 2, width - 2))
    average = _half_rings(height, width)
    profiles, done = np.empty((count, average.shape[1])), 0
    with one_thread():
        for level, luminance in luminances(name, images):
            mean += luminance.sum(axis=0) + level.sum()
            inner = luminance[:, 1:-1, 1:-1] - _blurred(luminance)
            detail += np.einsum("nyx,nyx->yx", inner, inner)
            powers = half_power(luminance, hann)
            power += powers.sum(axis=0)
            profiles[done : done + len(powers)] = powers.reshape(len(powers), -1) @ average
            done += len(powers)
    return Spectrum(
        count=count,
        shape=(height, width, channels),
        kind=kind_of(images),
        hann=hann,
        power=_whole(power, width) / count,
        mean=mean / count,
        detail=detail / count,
        band=np.percentile(profiles, [2.5, 97.5], axis=0),
    )


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
        raise ValueError(f"{name} of size {_times(size)} have no rings; use sides of at least 2")


def _times(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))
