"""The sliced Wasserstein distance against closed forms, SciPy and loops; its pyramid against the published filter."""

import numpy as np
import pytest
import scipy.stats
from scipy.special import gamma
from sets import two_sets

from ganlab.evaluation import registry
from ganlab.evaluation.metrics import sliced_wasserstein, sliced_wasserstein_pyramid
from ganlab.evaluation.metrics.sliced import _double, _halve


def equal_sets():
    real, fake = two_sets()
    return real[:41], fake


def test_acceptance_11_identical_sets_and_a_shift():
    real = np.random.default_rng(0).normal(size=(20, 49))
    assert sliced_wasserstein(real, real[::-1]) == 0
    shift = np.eye(49)[7]
    assert sliced_wasserstein(real, real + shift, directions=20_000) == pytest.approx(0.11457, rel=0.02)
    assert gamma(49 / 2) / (np.sqrt(np.pi) * gamma(25)) == pytest.approx(0.11457, rel=1e-4)


def test_on_a_line_it_is_the_wasserstein_distance():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=30), rng.normal(1, 2, size=30)
    expected = scipy.stats.wasserstein_distance(real, fake)
    assert sliced_wasserstein(real[:, None], fake[:, None], directions=3) == pytest.approx(expected, rel=1e-12)


def test_it_agrees_with_a_loop_over_random_directions():
    """Other directions, and so within their noise."""
    real, fake = equal_sets()
    rng = np.random.default_rng(1)
    distances = []
    for _ in range(4000):
        direction = rng.normal(size=6)
        direction /= np.sqrt(direction @ direction)
        distances.append(scipy.stats.wasserstein_distance(real @ direction, fake @ direction))
    distance = sliced_wasserstein(real, fake, directions=4000)
    assert distance == pytest.approx(np.mean(distances), rel=5 * np.std(distances) / np.mean(distances) / 4000**0.5)


def test_directions_are_the_seeds():
    real, fake = equal_sets()
    first, again, other = (sliced_wasserstein(real, fake, directions=9, seed=seed) for seed in (0, 0, 1))
    assert first == again != other


def test_it_grows_with_the_features_and_knows_no_order():
    real, fake = equal_sets()
    plain = sliced_wasserstein(real, fake)
    assert sliced_wasserstein(2 * real + 1, 2 * fake + 1) == pytest.approx(2 * plain, rel=1e-12)
    assert sliced_wasserstein(fake[::-1], real) == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize(("name", "value"), [("directions", 0), ("directions", 2.0), ("seed", -1), ("seed", None)])
def test_settings_are_checked(name, value):
    with pytest.raises(ValueError, match=f"^{name}={value} is "):
        sliced_wasserstein(*equal_sets(), **{name: value})
    with pytest.raises(ValueError, match=f"^{name}={value} is "):
        sliced_wasserstein_pyramid(IMAGES, IMAGES, **{name: value})


def test_sets_of_different_count_are_refused():
    with pytest.raises(ValueError, match=r"^fake has 41 images, real has 53; give as many of both"):
        sliced_wasserstein(*two_sets())
    with pytest.raises(ValueError, match=r"^fake_images has 5 images, real_images has 6; give as many of both"):
        sliced_wasserstein_pyramid(IMAGES, IMAGES[:5])


# Pyramids.

IMAGES = np.random.default_rng(5).normal(size=(6, 16, 16, 2))


@pytest.mark.parametrize(
    ("height", "width", "levels"),
    [
        (8, 8, [8, 4]), (28, 28, [28, 14, 7, 4]), (32, 32, [32, 16]), (128, 128, [128, 64, 32, 16]),
        (16, 24, [16, 8, 4]), (8, 24, [8, 4]), (24, 8, [24, 12]),
    ],
)  # fmt: skip
def test_levels_go_down_to_the_smallest(height, width, levels):
    images = np.random.default_rng(0).normal(size=(2, height, width, 1))
    pyramid = sliced_wasserstein_pyramid(images, images + 1, directions=4, patches=8)
    assert list(pyramid) == levels == registry.levels((height, width))
    patch = 7 if min(height, width) >= 32 else 3
    assert pyramid == sliced_wasserstein_pyramid(images, images + 1, patch=patch, directions=4, patches=8)


@pytest.mark.parametrize("side", [7, 8, 14])
def test_halving_and_doubling_keep_a_constant_and_match_a_dense_filter(side):
    """Blur and enlargement written as one matrix along each axis, the border mirrored about its pixel."""
    ones = np.ones((1, side, side, 1))
    np.testing.assert_allclose(_double(_halve(ones), ones.shape), ones, rtol=1e-12)
    blur = np.zeros((side, side))
    for row in range(side):
        for offset, weight in zip(range(-2, 3), (1, 4, 6, 4, 1), strict=True):
            place = abs(row + offset)
            blur[row, place if place < side else 2 * (side - 1) - place] += weight / 16
    image = np.random.default_rng(0).normal(size=(side, side))
    low = (blur @ image @ blur.T)[::2, ::2]
    sparse = np.zeros((side, side))
    sparse[::2, ::2] = low
    np.testing.assert_allclose(_halve(image[None, :, :, None])[0, :, :, 0], low, rtol=1e-12)
    high = _double(low[None, :, :, None], ones.shape)[0, :, :, 0]
    np.testing.assert_allclose(high, 4 * blur @ sparse @ blur.T, rtol=1e-12)


def test_identical_sets_are_at_no_distance():
    """With patches at equal places in both; in another order, where every patch is taken."""
    assert list(sliced_wasserstein_pyramid(IMAGES, IMAGES).values()) == [0, 0, 0]
    assert list(sliced_wasserstein_pyramid(IMAGES, IMAGES[::-1], patches=196).values()) == [0, 0, 0]


def test_the_finest_level_alone_sees_a_checkerboard():
    """A lattice of the finest frequency is blurred away before the first halving; a flat shift reaches the last alone."""
    board = np.indices((16, 16)).sum(axis=0) % 2 * 2.0 - 1
    pyramid = sliced_wasserstein_pyramid(IMAGES, IMAGES + board[:, :, None], patches=196)
    assert pyramid[16] > 0.1
    assert pyramid[8] < 0.05 * pyramid[16]
    assert pyramid[4] < 0.05 * pyramid[16]
    moved = sliced_wasserstein_pyramid(IMAGES, IMAGES + 1, patches=196)
    assert moved[16] < 1e-9 > moved[8]
    assert moved[4] > 0.1


def test_contrast_counts_and_a_common_scale_of_a_channel_does_not():
    plain = sliced_wasserstein_pyramid(IMAGES, 1.3 * IMAGES, patches=196)
    assert min(plain.values()) > 0.03
    scale = np.array([5.0, 0.1])
    other = sliced_wasserstein_pyramid(scale * IMAGES, 1.3 * scale * IMAGES, patches=196)
    assert list(other.values()) == pytest.approx(list(plain.values()), rel=1e-9)


def test_the_last_level_of_one_patch_an_image_is_the_plain_distance():
    """Images of the size of a patch, already the smallest level: pixels divided by each channel's deviation."""
    real, fake = IMAGES[:, :3, :3], IMAGES[:, 5:8, 5:8] + 0.5
    both = np.concatenate([real, fake])
    expected = sliced_wasserstein(*((x / both.std(axis=(0, 1, 2))).reshape(6, 18) for x in (real, fake)))
    pyramid = sliced_wasserstein_pyramid(real, fake, smallest=3)
    assert pyramid == {3: pytest.approx(expected, rel=1e-12)}


def test_random_patches_stand_for_all():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(200, 16, 16, 1)), 1.5 * rng.normal(size=(200, 16, 16, 1))
    some, every = (sliced_wasserstein_pyramid(real, fake, patches=n, directions=64) for n in (40, 196))
    assert list(some.values()) == pytest.approx(list(every.values()), rel=0.1)
    assert some == sliced_wasserstein_pyramid(real, fake, patches=40, directions=64)


def test_the_seed_also_places_the_patches():
    """Patches of one grey pixel have no direction but up and down."""
    real, fake = IMAGES[..., :1], IMAGES[..., 1:]
    first, again, other = (
        sliced_wasserstein_pyramid(real, fake, patch=1, smallest=16, patches=3, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (IMAGES[..., 0], r" has shape \(6, 16, 16\); give images \[N, H, W, C\]"),
        (IMAGES[:0], r" has shape \(0, 16, 16, 2\) and is empty; give images"),
        (IMAGES * np.nan, r"\[0, 0, 0, 0\]=nan cannot be measured"),
        (IMAGES.astype(complex), r" holds complex128; give real numbers"),
    ],
)
def test_bad_images_are_refused_by_name(bad, message):
    with pytest.raises(ValueError, match="^real_images" + message):
        sliced_wasserstein_pyramid(bad, IMAGES)
    with pytest.raises(ValueError, match="^fake_images" + message):
        sliced_wasserstein_pyramid(IMAGES, bad)


def test_shapes_and_constant_levels_are_refused():
    with pytest.raises(
        ValueError, match=r"^fake_images has images of shape \[16, 16, 1\], real_images of \[16, 16, 2\]"
    ):
        sliced_wasserstein_pyramid(IMAGES, IMAGES[..., :1])
    with pytest.raises(ValueError, match=r"^real_images has a side of 3, below the smallest level, 4; give larger"):
        sliced_wasserstein_pyramid(IMAGES[:, :3], IMAGES[:, :3])
    with pytest.raises(ValueError, match=r"^smallest=2 is too small; use at least 3"):
        sliced_wasserstein_pyramid(IMAGES, IMAGES, smallest=2)
    with pytest.raises(
        ValueError, match=r"^real_images and fake_images are constant at level 16, in at least one channel"
    ):
        sliced_wasserstein_pyramid(np.full((6, 16, 16, 1), 0.1), np.full((6, 16, 16, 1), 0.3))
    with pytest.raises(ValueError, match=r"constant at level 16, in at least one channel"):
        sliced_wasserstein_pyramid(IMAGES * [0, 1], IMAGES * [0, 1])
