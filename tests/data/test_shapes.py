"""Rendered shapes: the factors are what the pixels show, image i is a function of (seed, i), and no lattice of their own."""

import numpy as np
import pytest
from scipy.stats import kstest

from ganlab.cli.hydra import plan
from ganlab.config import Shapes
from ganlab.data.shapes import FACTORS, SHAPES, draw_factors, render, shapes
from ganlab.errors import ConfigError
from ganlab.evaluation.spectrum import phase_variance, power_spectrum

PERIODS = {"disc": 1, "square": 4, "triangle": 3, "cross": 4, "bar": 2}


def shapes_settings(**more):
    plain = {"name": "shapes", "size": 32, "channels": 1, "images": 30, "held_out": 20, "seed": 0}
    return Shapes(**(plain | more))


def factors_of(shape, x=0.5, y=0.5, size=0.17, angle=0.0, colour=0.5):
    return np.stack(np.broadcast_arrays(SHAPES.index(shape), x, y, size, angle, colour), axis=-1).reshape(-1, 6)


def cover(factors, size):
    """How much of each pixel the shape covers, [N,H,W], from the known levels of ground and shape."""
    grey = 0.5 + 0.4 * factors[:, 5]
    return (render(factors, size, 1)[..., 0] / 255 - 0.2) / (grey - 0.2)[:, None, None]


def from_centre(factors, size):
    """Each pixel's centre as seen from the shape's, as complex numbers: right is real, down imaginary."""
    centres = np.arange(size) + 0.5
    return (centres - size * factors[:, 1, None])[:, None, :] + 1j * (centres - size * factors[:, 2, None])[:, :, None]


def test_an_image_depends_on_seed_and_number_and_on_nothing_else():
    whole = draw_factors(3, 0, 50)
    np.testing.assert_array_equal(draw_factors(3, 0, 20), whole[:20])
    np.testing.assert_array_equal(draw_factors(3, 17, 8), whole[17:25])
    assert not np.isclose(draw_factors(4, 0, 50)[:, 1:], whole[:, 1:]).any()
    few, many = shapes(shapes_settings(images=5, held_out=4)), shapes(shapes_settings(images=40, held_out=30))
    np.testing.assert_array_equal(few.train.pixels, many.train.pixels[:5])
    np.testing.assert_array_equal(few.held_out.pixels, many.held_out.pixels[:4])
    np.testing.assert_array_equal(many.train.labels, many.train.factors[:, 0])
    np.testing.assert_array_equal(render(many.train.factors, 32, 1), many.train.pixels)
    other = shapes(shapes_settings(seed=1))
    assert not np.array_equal(other.train.pixels[0], many.train.pixels[0])


def test_no_held_out_image_is_trained_on():
    split = shapes(shapes_settings(images=3000, held_out=2000))
    places = np.concatenate([split.train.factors, split.held_out.factors])[:, 1:]
    assert len(np.unique(places, axis=0)) == 5000


@pytest.mark.parametrize("channels", [1, 3])
def test_factors_follow_their_priors_and_are_independent(channels):
    factors = draw_factors(0, 1000, 20000)
    table = FACTORS[channels]
    np.testing.assert_allclose(np.bincount(factors[:, 0].astype(int)) / 20000, 0.2, atol=0.01)
    for values, factor in zip(factors.T[1:], table[1:], strict=True):
        assert kstest(values, "uniform", (factor.low, factor.high - factor.low)).pvalue > 0.001, factor.name
    assert np.abs(np.corrcoef(factors.T) - np.eye(6)).max() < 0.03


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [16, 32, 64])
def test_area_and_centre_of_mass_are_those_of_the_factors(shape, size):
    random = np.random.default_rng(0)
    x, y = random.uniform(0.375, 0.625, (2, 40))
    factors = factors_of(shape, x, y, random.uniform(0.14, 0.2, 40), random.uniform(0, 1, 40))
    covered, places = cover(factors, size), from_centre(factors, size)
    area = covered.sum(axis=(1, 2))
    np.testing.assert_allclose(area, np.pi * (size * factors[:, 3]) ** 2, rtol=0.02)
    off = (covered * places).sum(axis=(1, 2)) / area
    assert np.abs(off).max() < 0.05  # pixels


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_the_angle_turns_the_shape_clockwise_by_its_share_of_the_period(shape):
    period, angles = PERIODS[shape], np.linspace(0, 1, 9)
    factors = factors_of(shape, x=0.51, y=0.48, angle=angles)
    moment = (cover(factors, 32) * from_centre(factors, 32) ** period).sum(axis=(1, 2))
    turned = np.angle(moment / moment[0] * np.exp(-2j * np.pi * angles))
    np.testing.assert_allclose(turned, 0, atol=0.03)
    images = render(factors, 32, 1)
    np.testing.assert_array_equal(images[0], images[-1])
    assert np.abs(images[0].astype(int) - images[4]).max() > 10


def test_the_angle_of_a_disc_changes_nothing():
    images = render(factors_of("disc", angle=np.linspace(0, 1, 9)), 32, 3)
    assert np.ptp(images.astype(int), axis=0).max() <= 1  # rounding
    (angle,) = [factor for factor in FACTORS[1] if factor.name == "angle"]
    assert [SHAPES[label] for label in angle.visible_on] == list(SHAPES[1:])


def test_a_hue_is_a_direction_in_the_colour_circle_and_keeps_the_mean():
    hue = np.linspace(0, 1, 13)
    middle = render(factors_of("square", colour=hue), 64, 3)[:, 32, 32] / 255
    np.testing.assert_allclose(middle.mean(axis=1), 0.6, atol=0.003)
    direction = middle @ np.exp(2j * np.pi * np.arange(3) / 3)
    np.testing.assert_allclose(np.angle(direction * np.exp(-2j * np.pi * hue)), 0, atol=0.02)
    assert middle[0].argmax() == 0  # red
    assert middle[4].argmax() == 1  # green, a third of the circle on


def test_a_grey_is_a_level_between_half_and_nine_tenths_of_white():
    grey = np.linspace(0, 1, 5)
    middle = render(factors_of("disc", colour=grey), 64, 1)[:, 32, 32, 0]
    np.testing.assert_allclose(middle / 255, 0.5 + 0.4 * grey, atol=0.002)


@pytest.mark.parametrize("shape", SHAPES)
def test_brightness_does_not_depend_on_where_between_pixels_a_shape_lies(shape):
    factors = factors_of(shape, x=0.5 + np.linspace(0, 2, 41) / 32, y=0.5)
    covered = cover(factors, 32)
    brightness = covered.sum(axis=(1, 2))
    assert np.ptp(brightness) / brightness.mean() < 0.003
    hard = (covered > 0.5).sum(axis=(1, 2))  # without antialiasing it would
    assert np.ptp(hard) / hard.mean() > 0.01 or shape == "square"
    steps = np.abs(np.diff(render(factors, 32, 1)[..., 0].astype(float), axis=0)).max()
    assert steps < 12  # of a contrast of 128, for a twentieth of a pixel


def lattice(images):
    """The power of a checkerboard, of columns and of rows, by that of the frequencies around; the largest."""
    power, half = power_spectrum(images), images.shape[1] // 2
    near = np.arange(-2, 3)
    return max(
        power[row, column] / np.median(power[np.ix_((row + near) % len(power), (column + near) % len(power))])
        for row, column in ((0, half), (half, 0), (half, half))
    )


@pytest.mark.parametrize("size", [16, 32])
def test_images_have_no_lattice_of_their_own(size):
    images = render(draw_factors(0, 0, 2000), size, 1)
    assert phase_variance(images, (2, 2)) < 1e-3
    assert lattice(images) < 1.25
    rows, columns = np.mgrid[:size, :size]
    assert lattice(images + ((rows + columns) % 2)[..., None]) > 100  # one grey level more on every other pixel


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [16, (16, 40), 32])
def test_no_shape_leaves_the_frame(shape, size):
    height, width = size if isinstance(size, tuple) else (size, size)
    low, high = FACTORS[1][1].low, FACTORS[1][1].high
    ends = [(x, y) for x in (low, high) for y in (low, high)]
    for x, y in ends:
        images = render(factors_of(shape, x, y, FACTORS[1][3].high, np.linspace(0, 1, 24), 1.0), size, 1)[..., 0]
        border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
        assert border.max() - 51 <= 0.12 * 179  # a tip may touch the outermost pixels
        area = (images / 255 - 0.2).sum(axis=(1, 2)) / 0.7
        np.testing.assert_allclose(area, np.pi * (min(height, width) * 0.2) ** 2, rtol=0.02)


def test_bad_arguments_are_one_line_that_names_them():
    good = draw_factors(0, 0, 3)
    for call, what in (
        (lambda: render(good[:, :5], 32, 1), "factors of shape [3, 5]"),
        (lambda: render(good * np.nan, 32, 1), "factors of shape"),
        (lambda: render(good + np.array([0.5, 0, 0, 0, 0, 0]), 32, 1), "factors[:, 0]"),
        (lambda: render(good, 32, 2), "channels=2"),
        (lambda: draw_factors(0, -1, 3), "first=-1"),
    ):
        with pytest.raises(ValueError, match="; ") as caught:
            call()
        assert what in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "what"),
    {
        "dataset.size=8": "dataset.size=8 is out of range; use a number at least 16",
        "dataset.size=132": "dataset.size=132 is out of range; use a number at most 128",
        "dataset.size=[32,8]": "dataset.size.1=8 is out of range",
        "dataset.channels=2": "dataset.channels=2 is unknown; choose one of: 1, 3",
        "dataset.images=0": "dataset.images=0 is out of range; use a number at least 1",
        "dataset.held_out=0.2": "dataset.held_out=0.2 is not a whole number",
        "dataset.seed=-1": "dataset.seed=-1 is out of range; use a number at least 0",
        "+dataset.path=x": "dataset.path is not a setting of shapes",
    }.items(),
)
def test_bad_settings_are_one_line(override, what):
    with pytest.raises(ConfigError) as caught:
        plan(["dataset=shapes", override], multirun=False)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_networks_can_be_told_the_shape(settings):
    assert settings("dataset=shapes", "conditional=true").classes == len(SHAPES)
