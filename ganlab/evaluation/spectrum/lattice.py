"""Traces of upsampling by a stride at multiples of N/stride: a peak or a notch, in images and in kernels."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganlab.evaluation.spectrum.power import SILENT, Array, Spectrum, pair_of, spectrum_of


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
    real, fake = pair_of(real, fake)
    return float(np.log10(_ratio("fake", fake, fake.power, stride) / _ratio("real", real, real.power, stride)))


def coherent_checkerboard_index(real: ArrayLike | Spectrum, fake: ArrayLike | Spectrum, stride: int = 2) -> float:
    """The part of `checkerboard_index` that all images share: the same, of the power spectrum of the mean image.

    Large where biases and even kernels draw one and the same pattern on every image. Arguments and errors as there.
    """
    real, fake = pair_of(real, fake)
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
    return tuple(stride for stride in (2, 4, 8) if _fits(size, stride))


def _fits(size: tuple[int, int], stride: int) -> bool:
    return all(side % stride == 0 and side // stride > _reach(size) for side in size)


def _ratio(name: str, spectrum: Spectrum, power: Array, stride: int) -> float:
    if spectrum.hann:
        raise ValueError(f"{name} was measured with a Hann window, which spreads peaks; measure it without")
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


def _places(size: tuple[int, int], stride: Any) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The lattice bins of a stride and their neighbours, as masks [H,W]."""
    if isinstance(stride, bool) or not isinstance(stride, int | np.integer) or stride < 2:
        raise ValueError(f"stride={stride!r} has no lattice; use a whole number of at least 2")
    height, width = size
    reach = _reach(size)
    if not _fits(size, int(stride)):
        sides = f"side {height}" if height == width else f"sides {height} and {width}"
        divides = "it" if height == width else "both"
        raise ValueError(
            f"stride={stride} does not fit images of {sides}; use one that divides {divides} into at least {reach + 1}"
        )
    lattice = np.zeros(size, bool)
    lattice[:: height // stride, :: width // stride] = True
    down, across = (2 * side // stride if stride % 2 == 0 else side for side in size)
    lattice[::down, ::across] = False
    steps = range(-reach, reach + 1)
    border = [(y, x) for y in steps for x in steps if max(abs(y), abs(x)) == reach]
    return lattice, np.any([np.roll(lattice, step, axis=(0, 1)) for step in border], axis=0)


def _reach(size: tuple[int, int]) -> int:
    """How many bins away a lattice bin's neighbours are."""
    return 1 if min(size) <= 16 else 2


def lattice_fraction(kernel: np.ndarray, stride: int | tuple[int, int]) -> float:
    """How much of the pattern that a transposed convolution draws on a flat image is checkerboard: 0 ... 1.

    kernel: [k,k,Co,Ci], out before in; kernels of other operators in their transposed form. stride: an int or a pair.

    A flat image comes out as stride x stride values, one for each phase, the sums of the kernel's taps in that phase.
    The lattice fraction is the share of their energy that is not their mean's, averaged over pairs of channels.
    Independent weights give 1 - 1/stride^2 on average, whatever k; kernels whose phases have equal sums give 0, and so
    does a pair of channels without any energy.
    """
    kernel = np.asarray(kernel, np.float64)
    if kernel.ndim != 4:
        raise ValueError(f"kernel of shape {kernel.shape} does not have four axes; use [k,k,Co,Ci]")
    down, across = (stride, stride) if isinstance(stride, int) else stride
    phases = np.stack([kernel[y::down, x::across].sum(axis=(0, 1)) for y in range(down) for x in range(across)])
    energy = np.sum(phases**2, axis=0)
    lattice = np.sum((phases - phases.mean(axis=0)) ** 2, axis=0)
    return float(np.mean(np.divide(lattice, energy, out=np.zeros_like(energy), where=energy != 0)))
