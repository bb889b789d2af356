"""Peaks and notches on the lattice, on images where both are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.evaluation.spectrum import (
    _places,
    checkerboard_index,
    coherent_checkerboard_index,
    lattice_peak_ratio,
    measure_spectrum,
    power_spectrum,
    strides,
)


def noise(seed=0, count=200, side=32, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1, (count, side, side, 1))


def by_nearest(images, stride):
    return images.repeat(stride, axis=1).repeat(stride, axis=2)


def by_zeros(images, stride):
    count, height, width, channels = images.shape
    large = np.zeros((count, stride * height, stride * width, channels))
    large[:, ::stride, ::stride] = images
    return large


def test_nearest_makes_a_notch_and_zeros_keep_full_power():
    small = noise(1, 600, 16)
    nearest, zeros = power_spectrum(by_nearest(small, 2)), power_spectrum(by_zeros(small, 2))
    for place in ((16, 0), (0, 16), (16, 16)):
        assert nearest[place] < 1e-20
        assert zeros[place] == pytest.approx(256, rel=0.2)  # that of the small noise, which has 16 * 16
    real = noise(2, 600)
    assert lattice_peak_ratio(by_nearest(small, 2)) < 1e-4
    assert checkerboard_index(real, by_nearest(small, 2)) < -4
    assert abs(checkerboard_index(real, by_zeros(small, 2))) < 0.1  # white remains white
    assert checkerboard_index(real, by_zeros(small + 1, 2)) > 1  # a brightness is a line at every multiple of N/2
    assert coherent_checkerboard_index(real, by_zeros(small + 1, 2)) > 2


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_a_line_belongs_to_its_stride_alone(stride):
    real = noise(3, 500)
    y, x = np.indices((32, 32))
    fake = real + 0.5 * np.cos(2 * np.pi * (x + y) / stride)[..., None]
    for other in (2, 4, 8):
        index = checkerboard_index(real, fake, other)
        assert index > 0.3 if other == stride else abs(index) < 0.05


def test_by_hand_on_eight_pixels():
    y, x = np.indices((8, 8))
    image = np.cos(np.pi * x) + 2 * np.cos(np.pi * y) + np.cos(2 * np.pi * 3 * x / 8)  # at (0,4), (4,0); (0,3), (0,5)
    power = 64**2 * np.array([1, 4, 1 / 4, 1 / 4])
    epsilon = 1e-6 * power.sum() / 64
    wanted = (power[:2].sum() / 3 + epsilon) / (power[2:].sum() / 24 + epsilon)  # three bins, each with the 8 around it
    assert lattice_peak_ratio(image[None, ..., None]) == pytest.approx(wanted)


@pytest.mark.parametrize(("side", "stride", "bins"), [(32, 2, 3), (32, 4, 12), (32, 8, 48), (24, 3, 8), (18, 6, 27)])
def test_lattices_have_their_sizes_and_neighbours_are_two_away(side, stride, bins):
    lattice, neighbours = _places((side, side), stride)
    assert lattice.sum() == bins
    grid = np.zeros((side, side), bool)
    grid[:: side // stride, :: side // stride] = True
    assert not (neighbours & grid).any()
    wanted = np.zeros((side, side), bool)
    for y, x in np.argwhere(lattice):
        for dy in range(-2, 3):
            for dx in range(-2, 3):
                if abs(dy) == 2 or abs(dx) == 2:
                    wanted[(y + dy) % side, (x + dx) % side] = True
    np.testing.assert_array_equal(neighbours, wanted)


def test_small_images_have_the_next_bins_as_neighbours():
    neighbours = _places((16, 16), 2)[1]
    assert neighbours.sum() == 3 * 8 and neighbours[7, 7] and neighbours[0, 9] and not neighbours[6, 8]
    assert _places((18, 18), 2)[1].sum() == 3 * 16


def test_strides_of_sides():
    sides = {8: (2, 4), 16: (2, 4, 8), 20: (2, 4), 24: (2, 4, 8), 28: (2, 4), 32: (2, 4, 8), 18: (2,), 4: (2,), 2: ()}
    assert {side: strides(side) for side in sides} == sides
    for side, admitted in sides.items():
        for stride in (2, 4, 8):
            if stride in admitted:
                assert np.isfinite(lattice_peak_ratio(noise(side=side), stride))
            else:
                with pytest.raises(ValueError, match=f"stride={stride} does not fit images of side {side}"):
                    lattice_peak_ratio(noise(side=side), stride)


@pytest.mark.parametrize("size", [(16, 32), (32, 16), (24, 40), (24, 16)])
@pytest.mark.parametrize("stride", [2, 4])
def test_a_pattern_shows_at_its_stride_in_rectangles(size, stride):
    random = np.random.default_rng(8)
    real = random.normal(size=(400, *size, 1))
    down, across = (np.arange(side) % stride == 0 for side in size)
    fake = random.normal(size=(400, *size, 1)) + np.outer(down, across)[..., None]
    assert stride in strides(*size)
    assert checkerboard_index(real, fake, stride) > 0.2
    assert abs(checkerboard_index(real, random.normal(size=real.shape), stride)) < 0.2
    turned = [np.rot90(images, axes=(1, 2)) for images in (real, fake)]
    assert checkerboard_index(*turned, stride) == pytest.approx(checkerboard_index(real, fake, stride))


def test_strides_of_rectangles_and_odd_sides():
    sizes = {
        (16, 32): (2, 4, 8),
        (8, 12): (2, 4),
        (28, 32): (2, 4),
        (9, 9): (),
        (15, 10): (),
        (20, 18): (2,),
        (2, 64): (),
    }
    assert {size: strides(*size) for size in sizes} == sizes
    with pytest.raises(ValueError, match="stride=4 does not fit images of sides 20 and 18; use one that divides both"):
        lattice_peak_ratio(np.random.default_rng(0).normal(size=(4, 20, 18, 1)), 4)


@pytest.mark.parametrize("stride", [0, 1, -2, 2.0, True, "2", None])
def test_strides_that_are_none(stride):
    with pytest.raises(ValueError, match=r"stride=.* whole number of at least 2"):
        checkerboard_index(noise(), noise(), stride)


def test_the_noise_of_white_noise():
    values = [lattice_peak_ratio(noise(seed, 500)) for seed in range(40)]
    assert np.mean(values) == pytest.approx(1, abs=0.02)
    assert np.std(values, ddof=1) == pytest.approx(0.04, rel=0.3)  # 3 bins of variance 2, averaged over 500 images


def test_the_coherent_part_is_what_all_images_share():
    real = noise(4, 500)
    pattern = np.indices((32, 32)).sum(axis=0)[..., None] % 2 - 0.5
    signs = np.random.default_rng(5).permutation(np.repeat([-1.0, 1.0], 250))[:, None, None, None]
    alike, apart = real + 0.2 * pattern, real + 0.2 * signs * pattern
    assert checkerboard_index(real, alike) == pytest.approx(checkerboard_index(real, apart), abs=0.1)
    assert coherent_checkerboard_index(real, alike) > 2 > 1 > abs(coherent_checkerboard_index(real, apart))


def test_a_spectrum_stands_for_its_images():
    real, fake = noise(6), noise(7, mean=1)
    for index in (checkerboard_index, coherent_checkerboard_index):
        assert index(measure_spectrum(real), measure_spectrum(fake)) == index(real, fake)
        assert index(fake, real) == pytest.approx(-index(real, fake))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), side=st.sampled_from([4, 8, 12, 18, 20]), scale=st.floats(1e-3, 1e3))
def test_scale_and_rolls_change_nothing(seed, side, scale):
    real, fake = np.random.default_rng(seed).normal(size=(2, 6, side, side, 1))
    rolled = np.roll(scale * fake + 3, (1, 2), axis=(1, 2))
    for index in (checkerboard_index, coherent_checkerboard_index):
        assert index(real, rolled) == pytest.approx(index(real, fake), abs=1e-6)
        assert index(real, real) == 0


@pytest.mark.parametrize("index", [checkerboard_index, coherent_checkerboard_index])
def test_what_has_no_lattice_is_named(index):
    real = noise()
    for fake, words in (
        (np.full((4, 32, 32, 1), 0.1), "fake has (no power|a constant mean)"),
        (np.full((4, 31, 31, 1), 0.1), "fake has images of shape"),
        (noise(side=16), "fake has images of shape"),
        (np.where(real > 3, np.nan, real), "fake hold numbers"),
    ):
        with pytest.raises(ValueError, match=words):
            index(real, fake)
        with pytest.raises(ValueError, match=words.replace("fake", "real") if "shape" not in words else "shape"):
            index(fake, real)
    with pytest.raises(ValueError, match="fake has a constant mean image"):
        coherent_checkerboard_index(real, np.concatenate([real, -real]))
