"""Augmentation: what it does to images, alike on both sides, with every derivative that penalties need."""

import numpy as np
import pytest
import tensorflow as tf

from ganlab.config import Augment
from ganlab.training import augment
from ganlab.training.randomness import Stream

IMAGES = tf.constant(np.random.default_rng(0).uniform(-1, 1, (64, 8, 6, 3)), tf.float32)
STREAMS = Stream(0, "augment/x"), Stream(0, "noise/x")
NONE = {"translation": 0.0, "cutout": 0.0, "color": 0.0, "noise": 0.0}


def changed(images=IMAGES, done=0.0, step=7, **more):
    settings = Augment(**(NONE | more))
    return augment.apply(
        settings, images, augment.draw(settings, *STREAMS, tf.constant(step), IMAGES.shape, done)
    ).numpy()


def test_nothing_asked_is_nothing_drawn_and_nothing_changed():
    assert augment.draw(Augment(**NONE), *STREAMS, tf.constant(1), IMAGES.shape, 0.0) == {}
    np.testing.assert_array_equal(changed(), IMAGES)


def test_translation_moves_by_whole_pixels_up_to_its_share_and_lets_zeros_in():
    moved, whole, all_shifts = changed(translation=0.25), IMAGES.numpy(), set()
    for image, original in zip(moved, whole, strict=True):
        shifts = [
            (dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if np.allclose(_moved(original, dy, dx), image)
        ]
        assert len(shifts) == 1
        all_shifts.add(shifts[0])
    assert {dy for dy, _ in all_shifts} == {-2, -1, 0, 1, 2}
    assert {dx for _, dx in all_shifts} == {-2, -1, 0, 1, 2}
    assert len(all_shifts) > 15  # of 25: rows and columns move independently


def _moved(image, dy, dx):
    out = np.zeros_like(image)
    h, w, _ = image.shape
    out[max(dy, 0) : h + min(dy, 0), max(dx, 0) : w + min(dx, 0)] = (
        image[max(-dy, 0) : h + min(-dy, 0), max(-dx, 0) : w + min(-dx, 0)]
    )  # fmt: skip
    return out


def test_cutout_leaves_a_square_of_zeros_and_the_rest_as_it_was():
    cut, sizes, corners = changed(cutout=0.5), [], set()
    for image, original in zip(cut, IMAGES.numpy(), strict=True):
        hole = (image == 0).all(axis=2)
        rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
        assert hole.sum() == len(rows) * len(columns)
        np.testing.assert_array_equal(image[~hole], original[~hole])
        sizes.append((len(rows), len(columns)))
        corners.add((rows[0], columns[0]))
    assert max(sizes) == (4, 3)
    assert all(2 <= h <= 4 and 1 <= w <= 3 for h, w in sizes)
    assert len(corners) > 20
    assert {row for row, _ in corners} == set(range(7)) and {column for _, column in corners} == set(range(5))


def test_colour_moves_brightness_within_its_share():
    grey = tf.fill([64, 8, 6, 1], 0.25)
    means = changed(grey, color=0.5).mean(axis=(1, 2, 3))
    assert -0.25 <= means.min() < -0.1
    assert 0.6 < means.max() <= 0.75


@pytest.mark.parametrize("share", [0.5, 0.3, 0.8])
def test_colour_is_the_published_one(share):
    """DiffAugment's is that of 0.5. No colour is ever turned into its opposite."""
    settings = Augment(**NONE | {"color": share})
    places = augment.draw(settings, *STREAMS, tf.constant(7), IMAGES.shape, 0.0)["places"].numpy()
    brightness, saturation, contrast = (2 * places[:, 4 + i, None, None, None] - 1 for i in range(3))
    wanted = IMAGES.numpy() + share * brightness
    grey = wanted.mean(axis=3, keepdims=True)
    wanted = grey + (1 + min(2 * share, 1) * saturation) * (wanted - grey)
    mean = wanted.mean(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(changed(color=share), mean + (1 + share * contrast) * (wanted - mean), atol=1e-5)


def test_instance_noise_has_its_std_and_is_gone_at_the_end():
    assert (changed(noise=0.3) - IMAGES.numpy()).std() == pytest.approx(0.3, rel=0.02)
    assert (changed(noise=0.3, done=0.75) - IMAGES.numpy()).std() == pytest.approx(0.075, rel=0.02)
    np.testing.assert_array_equal(changed(noise=0.3, done=1.0), IMAGES)


def test_draws_are_a_function_of_the_step_and_both_halves_are_changed_alike():
    everything = {"translation": 0.2, "cutout": 0.4, "color": 0.3, "noise": 0.1}
    once = changed(**everything)
    np.testing.assert_array_equal(once, changed(**everything))
    assert np.abs(once - changed(step=8, **everything)).max() > 0.1
    twice = changed(tf.concat([IMAGES, IMAGES], axis=0), **everything)
    np.testing.assert_allclose(twice, np.concatenate([once, once]), atol=1e-6)


def test_second_derivatives_exist_and_match_finite_differences():
    settings = Augment(translation=0.25, cutout=0.5, color=0.4, noise=0.1)
    draws = augment.draw(settings, *STREAMS, tf.constant(3), IMAGES.shape, 0.0)

    def gradient_norms(scale):
        x = IMAGES * scale
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(augment.apply(settings, x, draws) ** 3)
        return tf.reduce_sum(tape.gradient(total, x) ** 2)

    scale = tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch(scale)
        cost = gradient_norms(scale)
    numeric = (gradient_norms(1.001) - gradient_norms(0.999)) / 0.002
    assert float(tape.gradient(cost, scale)) == pytest.approx(float(numeric), rel=1e-2)
