"""Traces of upsampling in frequency: spectra, their distances, peaks and notches on the lattice of a stride.

Measures take `images` [N,H,W,C] or the `Spectrum` that `measure_spectrum` made of them, real first; a spectrum that is
used again is measured once. All use the luminance, in float64, and nothing is clipped.
"""

from ganlab.evaluation.spectrum.distances import (
    corner_bias,
    decay_slope,
    high_frequency_bias,
    spectral_distance,
    spectral_distance_high,
)
from ganlab.evaluation.spectrum.lattice import (
    checkerboard_index,
    coherent_checkerboard_index,
    lattice_fraction,
    lattice_peak_ratio,
    strides,
)
from ganlab.evaluation.spectrum.power import (
    Spectrum,
    corner_power,
    measure_spectrum,
    power_spectrum,
    radial_profile,
    rings,
)
from ganlab.evaluation.spectrum.two_sample import SpectralTwoSample, spectral_two_sample

__all__ = [
    "SpectralTwoSample",
    "Spectrum",
    "checkerboard_index",
    "coherent_checkerboard_index",
    "corner_bias",
    "corner_power",
    "decay_slope",
    "high_frequency_bias",
    "lattice_fraction",
    "lattice_peak_ratio",
    "measure_spectrum",
    "power_spectrum",
    "radial_profile",
    "rings",
    "spectral_distance",
    "spectral_distance_high",
    "spectral_two_sample",
    "strides",
]
