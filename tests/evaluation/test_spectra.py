"""The two spectrum functions against values that need no code of ours."""

import numpy as np
import pytest

from ganlab.evaluation.spectrum import power_spectrum, radial_profile, rings


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
        (np.zeros((2, 8, 6, 1)), "8x6 have no rings"),
        (np.zeros((2, 7, 7, 1)), "even side"),
        (np.zeros((0, 8, 8, 1)), "at least one"),
        (np.zeros((2, 8, 8, 2)), "C = 1 or 3"),
        (np.zeros((8, 8)), "give \\[N,H,W,C\\]"),
        (np.full((2, 8, 8, 1), np.nan), "128 numbers that are not finite"),
        (np.full((1, 8, 8, 1), np.inf), "not finite"),
    ],
)
def test_images_that_have_no_spectrum(images, message):
    with pytest.raises(ValueError, match=message):
        power_spectrum(images)


@pytest.mark.parametrize(
    "power", [np.ones((8, 6)), np.ones((7, 7)), np.ones(8), np.ones((0, 0)), np.full((4, 4), np.nan)]
)
def test_spectra_that_have_no_profile(power):
    with pytest.raises(ValueError, match="power"):
        radial_profile(power)
