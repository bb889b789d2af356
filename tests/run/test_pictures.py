"""Pictures of spectra: sizes, and that they show differences."""

from dataclasses import replace

import numpy as np
import pytest

from ganlab.evaluation.spectrum import measure_spectrum
from ganlab.run import pictures
from ganlab.runs import grids


def noise(seed, side=16):
    return np.random.default_rng(seed).normal(size=(40, side, side, 1))


REAL, FAKE = measure_spectrum(noise(0)), measure_spectrum(noise(1).cumsum(axis=1))


def test_a_picture_fits_a_card_shows_a_difference_and_is_not_cut_off(tmp_path):
    drawn, same = pictures.draw_spectrum(REAL, FAKE), pictures.draw_spectrum(REAL, REAL)
    assert drawn.dtype == np.uint8 and drawn.shape[2] == 3 and drawn.shape[1] <= 1000 and drawn.shape[0] >= 300
    assert same.shape == drawn.shape and (same != drawn).any(axis=2).mean() > 0.005
    for edge in (drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]):
        assert (edge == 255).all()
    grids.save_png(tmp_path / "picture.png", drawn)
    assert (tmp_path / "picture.png").stat().st_size > 5000


def test_marks_stand_at_the_lattice():
    half = [-0.5, 0, 0.5]
    assert sorted(pictures._lattice(2).T.tolist()) == sorted([y, x] for y in half for x in half if (y, x) != (0, 0))
    centred = pictures._centred(np.arange(16).reshape(4, 4))
    assert centred[2, 2] == 0 and centred[0, 2] == centred[4, 2] == 8
    assert (pictures.draw_spectrum(REAL, FAKE, (2, 4, 8)) != pictures.draw_spectrum(REAL, FAKE, ())).any()


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_no_power_or_flat_power_can_be_drawn(power):
    flat = replace(REAL, count=1, shape=(8, 8, 1), power=np.full((8, 8), power), band=np.full((2, 5), power))
    assert pictures.draw_spectrum(flat, flat).std() > 0


def test_means_and_phases():
    moments = {2: (np.ones((2, 2)), np.array([[4, 2], [2, 1]])), 4: (np.eye(4), np.ones((4, 4)))}
    mean = noise(0)[0, ..., 0]
    drawn = pictures.draw_means(mean, mean + 0.1, moments)
    assert drawn.dtype == np.uint8 and drawn.shape[1] == 760
    assert pictures.draw_means(mean, mean, {}).shape[0] < drawn.shape[0]
    assert (pictures.draw_means(mean, -mean, moments) != drawn).any()
    assert (pictures.draw_means(mean, mean + 0.1, moments | {2: (np.ones((2, 2)), np.ones((2, 2)))}) != drawn).any()


def test_neighbours_keep_their_pixels():
    samples = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    nearest = np.random.default_rng(1).integers(0, 256, (3, 4, 8, 8, 3)).astype(np.uint8)
    drawn = pictures.draw_neighbours(samples, nearest, np.ones((3, 4)))
    shown = np.lib.stride_tricks.sliding_window_view(drawn, (64, 64, 3))[:, :, 0]
    for image in (samples[0], samples[2], nearest[1, 3]):
        large = image.repeat(8, axis=0).repeat(8, axis=1)
        corner = np.argwhere((drawn[: 1 - 64, : 1 - 64] == image[0, 0]).all(axis=2))
        assert any((shown[tuple(place)] == large).all() for place in corner)
    assert (pictures.draw_neighbours(samples, nearest, np.full((3, 4), 2.5)) != drawn).any()
    grey = pictures.draw_neighbours(samples[..., :1], nearest[..., :1], np.ones((3, 4)))
    assert grey.shape == drawn.shape


@pytest.mark.parametrize("size", [(16, 32), (15, 9)])
def test_spectra_of_rectangles_and_odd_sides_are_drawn(size):
    images = np.random.default_rng(2).normal(size=(20, *size, 1))
    one, other = measure_spectrum(images), measure_spectrum(images.cumsum(axis=1))
    assert pictures.draw_spectrum(one, other).std() > 10
    assert pictures.draw_raster(one.power, other.power).shape[1] > 300
    assert pictures.draw_means(images.mean(axis=0)[..., 0], images[0, ..., 0], {}).std() > 10
    centred = pictures._centred(one.power)
    assert centred.shape == tuple(side + 1 - side % 2 for side in size)
    assert centred[tuple(side // 2 for side in size)] == one.power[0, 0] == 0


def test_a_raster_is_the_log_of_both():
    powers = np.full((8, 8), 1.0)
    stronger = powers * 1e3
    powers[4, 4] = 0
    drawn = pictures.draw_raster(powers, stronger)
    assert drawn.shape == (256 + 12, 512 + 18, 3) and drawn.dtype == np.uint8
    assert (drawn[6:262, 268:524] == 255).all() and drawn[6, 6].tolist() == [0] * 3
    assert drawn[6 + 32, 6 + 32].tolist() == [128] * 3
