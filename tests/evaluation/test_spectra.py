"""Power by frequency and all that one pass gives, against values that need no code of ours."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.evaluation import spectrum
from ganlab.evaluation.spectrum import measure_spectrum, power_spectrum, radial_profile, rings


def test_white_noise_is_flat_at_side_squared_times_variance():
    images = np.random.default_rng(0).normal(0, 2, (3000, 16, 16, 1))
    power = power_spectrum(images)
    assert power[0, 0] == pytest.approx(0, abs=1e-20)
    rest = np.delete(power.ravel(), 0)
    np.testing.assert_allclose(rest, 16 * 16 * 4, rtol=0.15)
    np.testing.assert_allclose(radial_profile(power)[1:], 16 * 16 * 4, rtol=0.06)


def test_a_sine_lies_in_its_two_bins():
    x = np.arange(32)
    image = np.cos(2 * np.pi * (3 * x[:, None] + 5 * x[None, :]) / 32) + 7
    power = power_spectrum(image[None, :, :, None])
    wanted = np.zeros((32, 32))
    wanted[3, 5] = wanted[-3, -5] = (32 * 32 / 2) ** 2
    np.testing.assert_allclose(power, wanted, atol=1e-6)
    assert np.argmax(radial_profile(power)) == 6  # sqrt(34) = 5.83


def test_a_checkerboard_lies_at_the_corner_which_no_ring_holds():
    image = np.indices((8, 8)).sum(axis=0) % 2
    power = power_spectrum(image[None, :, :, None])
    assert power[4, 4] == pytest.approx((64 / 2) ** 2)
    assert power.sum() == pytest.approx(power[4, 4])
    np.testing.assert_allclose(radial_profile(power), 0, atol=1e-20)


def test_colour_is_weighed_and_each_image_loses_its_own_mean():
    grey = np.random.default_rng(1).normal(size=(5, 8, 8, 1))
    np.testing.assert_allclose(power_spectrum(np.repeat(grey, 3, axis=3)), power_spectrum(grey), atol=1e-9)
    green = np.concatenate([np.zeros_like(grey), grey, np.zeros_like(grey)], axis=3)
    np.testing.assert_allclose(power_spectrum(green), 0.587**2 * power_spectrum(grey), atol=1e-9)
    shifted = grey + np.arange(5)[:, None, None, None]
    np.testing.assert_allclose(power_spectrum(shifted), power_spectrum(grey), atol=1e-9)


def test_parseval():
    images = np.random.default_rng(2).normal(size=(4, 10, 10, 1))
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    assert power_spectrum(images).sum() == pytest.approx(100 * np.sum(centred**2) / 4)


def test_rings_have_their_sizes():
    assert np.bincount(rings(32).ravel())[:9].tolist() == [1, 8, 12, 16, 32, 28, 40, 40, 48]
    # The mean over a ring, not the sum; and as many rings as half the side, with the mean's.
    np.testing.assert_allclose(radial_profile(np.ones((32, 32))), np.ones(17))
    np.testing.assert_allclose(radial_profile(rings(32)), np.arange(17))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 8, 1, 1)), "8x1 have no rings"),
        (np.zeros((0, 8, 8, 1)), "at least one"),
        (np.zeros((2, 8, 8, 2)), "C = 1 or 3"),
        (np.zeros((8, 8)), "give \\[N,H,W,C\\]"),
        (np.full((2, 8, 8, 1), np.nan), "images hold numbers that are not finite, first in images\\[0\\]"),
        (np.full((3, 8, 8, 1), [[[[0]]], [[[-np.inf]]], [[[0]]]]), "not finite, first in images\\[1\\]"),
        (np.full((1, 8, 8, 1), 1e100), "not finite"),
        (np.full((1, 8, 8, 1), 1j), "real numbers"),
        ([np.zeros((8, 8, 1)), np.zeros((4, 4, 1))], "different shapes"),
    ],
)
def test_images_that_have_no_spectrum(images, message):
    with pytest.raises(ValueError, match=message):
        power_spectrum(images)


@pytest.mark.parametrize("power", [np.ones((8, 1)), np.ones(8), np.ones((0, 0)), [[1, 1], [1, np.nan]]])
def test_spectra_that_have_no_profile(power):
    with pytest.raises(ValueError, match="power"):
        radial_profile(power)


SIZES = [(8, 12), (12, 8), (16, 32), (9, 9), (15, 10), (7, 16), (2, 3), (5, 2)]


@pytest.mark.parametrize("side", [2, 4, 8, 10, 28, 32, 64, 128])
def test_squares_of_even_side_keep_every_bit(side):
    """Rings by frequency are rings by wave number there, and the profile is the mean over them as it was."""
    along = np.fft.fftfreq(side, 1 / side)
    ring = np.rint(np.sqrt(along[:, None] ** 2 + along[None, :] ** 2)).astype(int)
    assert (rings(side) == ring).all() and (rings(side, side) == ring).all()
    values = np.random.default_rng(side).uniform(size=(side, side))
    inside = ring <= side // 2
    wanted = np.bincount(ring[inside], values[inside]) / np.bincount(ring[inside])
    assert (radial_profile(values) == wanted).all()


@pytest.mark.parametrize("size", SIZES)
def test_a_quarter_turn_changes_no_profile(size):
    images = np.random.default_rng(4).normal(size=(6, *size, 3)).cumsum(axis=1).cumsum(axis=2)
    turned = np.rot90(images, axes=(1, 2))
    one, other = measure_spectrum(images), measure_spectrum(turned)
    wanted = radial_profile(one.power)
    np.testing.assert_allclose(radial_profile(other.power), wanted, rtol=1e-9)
    np.testing.assert_allclose(other.band, one.band, rtol=1e-9, atol=1e-9)
    assert len(wanted) == min(size) // 2 + 1


@pytest.mark.parametrize("size", [(16, 48), (15, 40), (21, 21)])
def test_isotropic_noise_is_flat_in_any_shape(size):
    """White noise, and noise of a law of frequency alone: of each ring what the law says, whatever the shape."""
    images = np.random.default_rng(5).normal(size=(800, *size, 1))
    height, width = size
    np.testing.assert_allclose(radial_profile(power_spectrum(images))[1:], height * width, rtol=0.06)
    cycles = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    law = 1 / (0.1 + cycles) ** 2
    waves = np.fft.fft2(images, axes=(1, 2)) * np.sqrt(law)[..., None]
    profile = radial_profile(power_spectrum(np.fft.ifft2(waves, axes=(1, 2)).real))
    middle = np.arange(len(profile)) / min(size)
    np.testing.assert_allclose(profile[1:] / (height * width), 1 / (0.1 + middle[1:]) ** 2, rtol=0.15)


@pytest.mark.parametrize("size", SIZES)
def test_slow_twin_of_any_shape(size):
    images = np.random.default_rng(6).uniform(-1, 1, (5, *size, 1))
    total = np.zeros(size)
    for image in images[..., 0]:
        total += np.abs(dft(size[0]) @ (image - image.mean()) @ dft(size[1])) ** 2
    spectrum = measure_spectrum(images)
    np.testing.assert_allclose(np.delete(spectrum.power.ravel(), 0), np.delete((total / 5).ravel(), 0), atol=1e-9)
    each = np.array([radial_profile(power_spectrum(image[None])) for image in images])
    np.testing.assert_allclose(spectrum.band, np.percentile(each, [2.5, 97.5], axis=0), atol=1e-9)


def dft(side):
    return np.exp(-2j * np.pi * np.outer(np.arange(side), np.arange(side)) / side)


@pytest.mark.parametrize("channels", [1, 3])
def test_slow_twin(channels):
    images = np.random.default_rng(3).uniform(-1, 1, (7, 12, 12, channels))
    total = np.zeros((12, 12))
    for image in images:
        grey = image[..., 0] if channels == 1 else 0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2]
        total += np.abs(dft(12) @ (grey - grey.mean()) @ dft(12)) ** 2
    np.testing.assert_allclose(power_spectrum(images), total / 7, rtol=1e-9, atol=1e-9)


def test_blocks_make_no_difference(monkeypatch):
    images = np.random.default_rng(4).integers(0, 256, (11, 8, 8, 3)).astype(np.uint8)
    whole = measure_spectrum(images)
    monkeypatch.setattr(spectrum, "_BLOCK", 3 * 64)
    parts = measure_spectrum(images)
    for name in ("power", "mean", "detail", "band"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-12, atol=1e-9)
    assert (parts.count, parts.shape, parts.kind, parts.side) == (11, (8, 8, 3), "pixels", 8)
    with pytest.raises(ValueError, match="first in images\\[7\\]"):
        power_spectrum(np.where(np.arange(11)[:, None, None, None] == 7, np.inf, images))


def test_a_spectrum_has_the_mean_image_detail_and_a_band():
    random = np.random.default_rng(5)
    images = random.normal(3, 1, (4000, 8, 8, 1)) + np.linspace(0, 1, 8)[:, None]
    spectrum = measure_spectrum(images)
    np.testing.assert_allclose(spectrum.mean, images.mean(axis=0)[..., 0], atol=1e-12)
    # White noise less its binomial blur: (1 - 1/4)^2 + (4 (1/8)^2 + 4 (1/16)^2) = 41/64; a ramp has no detail.
    np.testing.assert_allclose(spectrum.detail, 41 / 64, rtol=0.15)
    assert spectrum.detail.mean() == pytest.approx(41 / 64, rel=0.02)
    each = np.array([radial_profile(power_spectrum(image[None])) for image in images[:500]])
    below, above = each < spectrum.band[0], each > spectrum.band[1]
    assert below[:, 1:].mean() == pytest.approx(0.025, abs=0.01) and above[:, 1:].mean() == pytest.approx(
        0.025, abs=0.01
    )


@pytest.mark.parametrize("side", [2, 4, 10, 32])
def test_the_band_of_one_image_is_its_profile(side):
    image = np.random.default_rng(side).normal(size=(1, side, side, 1))
    spectrum = measure_spectrum(image)
    np.testing.assert_allclose(spectrum.band, [radial_profile(spectrum.power)] * 2, atol=1e-12)


def test_input_is_left_alone():
    images = np.random.default_rng(6).normal(size=(3, 8, 8, 3))
    before = images.copy()
    measure_spectrum(images)
    np.testing.assert_array_equal(images, before)


def test_the_axes_count_to_their_rings():
    power = np.zeros((8, 8))
    power[0, :] = power[:, 0] = 1
    np.testing.assert_allclose(radial_profile(power), [1, 4 / 8, 4 / 12, 4 / 16, 2 / np.sum(rings(8) == 4)])


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32), half=st.integers(1, 9), scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100))
def test_scale_squares_and_shifts_vanish(seed, half, scale, shift):
    images = np.random.default_rng(seed).normal(size=(3, 2 * half, 2 * half, 1))
    rolled = np.roll(images * scale + shift, (1, 3), axis=(1, 2))
    wanted = scale**2 * power_spectrum(images)
    np.testing.assert_allclose(power_spectrum(rolled), wanted, rtol=1e-6, atol=1e-9 * wanted.mean())


def test_memory_stays_bounded():
    images = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None], (400, 64, 64, 3))
    tracemalloc.start()
    measure_spectrum(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15e6  # all at once would be 39 MB as float64, several times over
