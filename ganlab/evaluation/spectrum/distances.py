"""How far two mean spectra are apart, in powers of ten, ring by ring."""

import numpy as np
from numpy.typing import ArrayLike

from ganlab.evaluation.spectrum.power import SILENT, Array, Spectrum, corner_power, pair_of, radial_profile, spectrum_of


def spectral_distance(real: ArrayLike | Spectrum, fake: ArrayLike | Spectrum, *, axes: bool = True) -> float:
    """How far the radial profiles are apart: mean over r = 1 ... N/2 of |log10 S_fake(r) - log10 S_real(r)|.

    N is the shorter side, here and below.

    0 for equal profiles; .3 is a factor of 2 in power, up or down. Finite sets never give 0: split halves of the
    real images show how much they give.

    real, fake: images [N,H,W,C], as uint8 pixels or as floats, both the same; or their `Spectrum`.
    axes: False leaves out the frequencies u=0 and v=0, along which image borders leak.
    Raises ValueError, naming the argument, for images without a spectrum, among them constant ones.
    """
    return float(np.abs(_differences(real, fake, axes)).mean())


def spectral_distance_high(real: ArrayLike | Spectrum, fake: ArrayLike | Spectrum, *, axes: bool = True) -> float:
    """As `spectral_distance`, over N/4 < r <= N/2: waves shorter than four pixels."""
    differences = _differences(real, fake, axes)
    return float(np.abs(differences[len(differences) // 2 :]).mean())


def high_frequency_bias(real: ArrayLike | Spectrum, fake: ArrayLike | Spectrum, *, axes: bool = True) -> float:
    """Whether fine detail is too strong (> 0) or too weak (< 0): mean of log10 S_fake - log10 S_real, 3N/8 < r <= N/2.

    Arguments and errors as for `spectral_distance`.
    """
    differences = _differences(real, fake, axes)
    return float(differences[3 * len(differences) // 4 :].mean())


def corner_bias(real: ArrayLike | Spectrum, fake: ArrayLike | Spectrum) -> float:
    """As `high_frequency_bias`, for the corners r > N/2 that no ring holds: log10 of the ratio of `corner_power`.

    real, fake: as for `spectral_distance`, of side 4 or more.
    """
    real, fake = pair_of(real, fake)
    corners = []
    for name, spectrum in (("real", real), ("fake", fake)):
        corner = corner_power(spectrum.power)
        if corner <= SILENT * spectrum.power.mean():
            raise ValueError(f"{name} has no power in the corners, so its logarithm has no value; give other images")
        corners.append(np.log10(corner))
    return float(corners[1] - corners[0])


def decay_slope(images: ArrayLike | Spectrum, *, axes: bool = True) -> float:
    """How fast power falls towards the finest waves: the slope of log S on log r, least squares, r in [.75, 1] N/2.

    White noise has 0, the law 1/f^2 of natural images -2. images: [N,H,W,C] of side 8 or more, or their `Spectrum`.
    Raises ValueError as `spectral_distance` does.

    Dzanic, Shah and Witherden, arXiv 1911.06465.
    """
    spectrum = spectrum_of("images", images)
    if spectrum.side < 8:
        raise ValueError(f"images of side {spectrum.side} have too few rings for a slope; use a side of at least 8")
    logs = _logs("images", spectrum, axes)
    ring = np.arange(1, len(logs) + 1)
    high = 4 * ring >= 3 * len(logs)
    x, y = np.log10(ring[high]), logs[high]
    x = x - x.mean()
    return float(x @ y / (x @ x))


def _differences(real: ArrayLike | Spectrum, fake: ArrayLike | Spectrum, axes: bool) -> Array:
    """log10 S_fake - log10 S_real for r = 1 ... N/2."""
    real, fake = pair_of(real, fake)
    return _logs("fake", fake, axes) - _logs("real", real, axes)


def _logs(name: str, spectrum: Spectrum, axes: bool) -> Array:
    """log10 S(r), r = 1 ... N/2; no ring may be empty."""
    profile = radial_profile(spectrum.power, axes=axes)[1:]
    silent = profile <= SILENT * spectrum.power.mean()
    if silent.all():
        raise ValueError(f"{name} has no power at all; give images that are not constant")
    if silent.any():
        ring = 1 + int(np.argmax(silent))
        raise ValueError(f"{name} has no power in ring {ring}, so its logarithm has no value; give other images")
    return np.log10(profile)
