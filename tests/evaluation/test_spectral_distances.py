"""Distances of spectra against factors of power that are put in by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.evaluation.spectrum import (
    decay_slope,
    high_frequency_bias,
    measure_spectrum,
    rings,
    spectral_distance,
    spectral_distance_high,
)

DISTANCES = [spectral_distance, spectral_distance_high, high_frequency_bias]


def noise(seed=0, count=20, side=32):
    return np.random.default_rng(seed).normal(size=(count, side, side, 1))


def filtered(images, gain):
    """Images whose power at each frequency is multiplied by `gain` [N,N]."""
    waves = np.fft.fft2(images[..., 0]) * np.sqrt(gain)
    return np.fft.ifft2(waves).real[..., None]


@pytest.mark.parametrize("factor", [2, 0.5])
def test_a_factor_of_two_in_power(factor):
    real = noise()
    fake = real * np.sqrt(factor)
    sign = 1 if factor == 2 else -1
    assert spectral_distance(real, fake) == pytest.approx(0.30103, abs=1e-5)
    assert spectral_distance_high(real, fake) == pytest.approx(0.30103, abs=1e-5)
    assert high_frequency_bias(real, fake) == pytest.approx(sign * 0.30103, abs=1e-5)


@pytest.mark.parametrize(
    ("ring", "distance", "high", "bias"),
    [(8, 1 / 16, 0, 0), (9, 1 / 16, 1 / 8, 0), (12, 1 / 16, 1 / 8, 0), (13, 1 / 16, 1 / 8, -1 / 4), (17, 0, 0, 0)],
)
def test_each_ring_counts_where_it_belongs(ring, distance, high, bias):
    real = noise()
    fake = filtered(real, np.where(rings(32) == ring, 0.1, 1))
    assert spectral_distance(real, fake) == pytest.approx(distance, abs=1e-9)
    assert spectral_distance_high(real, fake) == pytest.approx(high, abs=1e-9)
    assert high_frequency_bias(real, fake) == pytest.approx(bias, abs=1e-9)


def test_signs_cancel_in_the_bias_alone():
    real = noise()
    gain = np.where(rings(32) == 14, 10, np.where(rings(32) == 15, 0.1, 1))
    assert high_frequency_bias(real, filtered(real, gain)) == pytest.approx(0, abs=1e-9)
    assert spectral_distance(real, filtered(real, gain)) == pytest.approx(2 / 16, abs=1e-9)


@pytest.mark.parametrize("exponent", [0, -2, -3.5])
def test_decay_of_a_power_law(exponent):
    ring = np.maximum(rings(64), 1)
    waves = np.sqrt(ring.astype(float) ** exponent) * np.exp(1j * np.angle(np.fft.fft2(noise(3, 1, 64)[0, ..., 0])))
    image = np.fft.ifft2(waves).real[None, ..., None]
    assert decay_slope(image) == pytest.approx(exponent, abs=1e-9)


def test_the_slope_sees_the_last_quarter_alone():
    image = noise()
    assert decay_slope(filtered(image, np.where(rings(32) < 12, 1e3, 1))) == pytest.approx(decay_slope(image))
    assert decay_slope(filtered(image, np.where(rings(32) < 13, 1e3, 1))) < decay_slope(image) - 1


def test_a_spectrum_stands_for_its_images():
    real, fake = noise(1), noise(2) * np.linspace(0, 2, 32)[:, None]
    for distance in DISTANCES:
        assert distance(measure_spectrum(real), fake) == distance(real, fake)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), half=st.integers(2, 8), scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
def test_common_scale_and_shift_change_nothing(seed, half, scale, shift):
    random = np.random.default_rng(seed)
    real, fake = random.normal(size=(2, 5, 2 * half, 2 * half, 1))
    for distance in DISTANCES:
        assert distance(scale * real + shift, scale * fake - shift) == pytest.approx(distance(real, fake), abs=1e-6)
        assert distance(real, real) == 0
        assert abs(distance(fake, real)) == pytest.approx(abs(distance(real, fake)))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: np.full_like(x, 0.1), "fake has no power"),
        (lambda x: np.full((4, 32, 32, 3), 0.7), "shape"),
        (lambda x: x[:, :16, :16], "fake has images of shape \\[16, 16, 1\\]"),
        (lambda x: x[:, :31, :31], "fake has images of shape \\[31, 31, 1\\]"),
        (lambda x: np.where(x > 3, np.nan, x), "fake hold numbers that are not finite"),
        (lambda x: x[:0], "fake of shape"),
        (lambda x: (x > 0).astype(np.uint8), "fake holds whole numbers, real floats"),
    ],
)
def test_what_cannot_be_compared_is_named(distance, change, words):
    real = noise()
    with pytest.raises(ValueError, match=words):
        distance(real, change(real))
    with pytest.raises(ValueError, match=r"real|shape"):
        distance(change(real), real)


def test_constant_images_of_three_channels_have_exactly_no_power():
    grey = np.broadcast_to(np.array([0.1, 0.7, -0.3]), (50, 32, 32, 3))
    assert not measure_spectrum(grey).power.any()
    with pytest.raises(ValueError, match="images has no power at all"):
        decay_slope(grey)


def test_an_empty_ring_is_named():
    real = noise()
    with pytest.raises(ValueError, match="fake has no power in ring 5"):
        spectral_distance(real, filtered(real, rings(32) != 5))
    with pytest.raises(ValueError, match="too few rings"):
        decay_slope(noise(side=6))
