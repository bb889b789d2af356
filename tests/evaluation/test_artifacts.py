"""What operators leave behind, on maps whose answer is known."""

import numpy as np
import pytest

from ganlab.evaluation.spectrum import (
    checkerboard_index,
    measure_spectrum,
    phase_moments,
    phase_variance,
    phase_variance_of_detail,
)


def test_even_maps_have_none_and_known_moments_give_their_variance():
    noise = np.random.default_rng(0).normal(size=(400, 8, 8, 16))
    assert phase_variance(noise, (2, 2)) < 1e-3
    noise[:, 0::2] *= np.sqrt(2)
    noise[:, :, 0::2] *= np.sqrt(2)  # moments 4 : 2 : 2 : 1, as an untrained transposed convolution with kernel 3
    assert phase_variance(noise, (2, 2)) == pytest.approx(1.1875 / 2.25**2, rel=0.03)
    assert phase_variance(noise * 7 + 3, (2, 2)) == pytest.approx(phase_variance(noise, (2, 2)))


def test_scales_may_differ_by_axis_and_constant_maps_have_none():
    maps = np.random.default_rng(0).normal(size=(50, 8, 12, 4))
    assert phase_variance(maps, (2, 3)) < 0.01
    assert phase_variance(np.ones((2, 4, 4, 1)), (2, 2)) == 0


def test_the_outer_stride_is_left_out_where_there_is_enough_inside():
    framed = np.random.default_rng(0).normal(size=(50, 8, 12, 4))
    inside = framed[:, 2:-2, 3:-3].copy()  # of two strides a side, with nothing to leave out
    framed[:, 0] *= 10
    framed[:, :, 0] *= 10
    assert phase_variance(framed, (2, 3)) == phase_variance(inside, (2, 3)) < 0.01
    for cut in (framed[:, :4], framed[:, :, :6]):
        assert phase_variance(cut, (2, 3)) > 0.1


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        (np.ones((2, 5, 4, 1)), "shape"),
        (np.ones((2, 4, 4)), "shape"),
        (np.ones((0, 4, 4, 1)), "shape"),
        (np.full((2, 4, 4, 1), np.nan), "finite"),
    ],
)
def test_what_cannot_be_measured_is_refused(maps, words):
    with pytest.raises(ValueError, match=words):
        phase_variance(maps, (2, 2))


def uneven(seed=0, side=16, count=500):
    """Noise of variance 4 on phases of two even coordinates, 2 on one, 1 on none."""
    noise = np.random.default_rng(seed).normal(size=(count, side, side, 1))
    noise[:, 0::2] *= np.sqrt(2)
    noise[:, :, 0::2] *= np.sqrt(2)
    return noise


def test_phase_moments_of_detail_by_hand():
    # Noise less its binomial blur: the pixel weighs 3/4, its 4 sides 1/8, its 4 corners 1/16, all of them squared.
    own, side, corner = 9 / 16, 1 / 64, 1 / 256
    wanted = [
        [own * 4 + side * 2 * (2 + 2) + corner * 4 * 1, own * 2 + side * 2 * (4 + 1) + corner * 4 * 2],
        [own * 2 + side * 2 * (4 + 1) + corner * 4 * 2, own * 1 + side * 2 * (2 + 2) + corner * 4 * 4],
    ]
    moments = phase_moments(uneven(count=3000), 2)
    np.testing.assert_allclose(moments, wanted, rtol=0.02)
    variance = phase_variance_of_detail(uneven(count=3000), 2)
    assert variance == pytest.approx(np.var(wanted) / np.mean(wanted) ** 2, rel=0.05)


def test_unevenness_that_leaves_no_line_in_the_spectrum():
    even, patchy = np.random.default_rng(1).normal(size=(2000, 16, 16, 1)), uneven(2, count=2000)
    assert abs(checkerboard_index(even, patchy)) < 0.1
    assert phase_variance_of_detail(even) < 1e-3 < 0.1 < phase_variance_of_detail(patchy)


def test_the_rim_is_left_out_and_a_spectrum_stands_for_its_images():
    images = uneven(3)
    rim = images.copy()
    rim[:, 0] = rim[:, :, 0] = rim[:, -1] = rim[:, :, -1] = 9
    np.testing.assert_array_equal(phase_moments(rim, 4).shape, (4, 4))
    np.testing.assert_allclose(phase_moments(rim, 4), phase_moments(images, 4))
    assert phase_variance_of_detail(measure_spectrum(images), 2) == phase_variance_of_detail(images, 2)
    rolled = phase_moments(np.roll(images, (1, 0), axis=(1, 2)), 2)
    np.testing.assert_allclose(rolled[::-1], phase_moments(images, 2), rtol=0.1)


@pytest.mark.parametrize(
    ("images", "stride", "words"),
    [
        (np.full((2, 16, 16, 1), 0.1), 2, "images has no detail"),
        (np.broadcast_to(np.linspace(0, 1, 16)[:, None, None], (2, 16, 16, 1)), 2, "images has no detail"),
        (uneven(), 8, "stride=8 does not fit images of side 16"),
        (uneven(), 3, "stride=3 does not fit"),
        (uneven(), 1, "stride=1 has no lattice"),
        (uneven(side=14), 3, "stride=3 does not fit images of side 14"),
        (uneven()[:, :12], 8, "stride=8 does not fit images of sides 12 and 16"),
        (np.full((2, 16, 16, 1), np.nan), 2, "images hold numbers that are not finite"),
    ],
)
def test_images_without_phases_are_named(images, stride, words):
    with pytest.raises(ValueError, match=words):
        phase_variance_of_detail(images, stride)
