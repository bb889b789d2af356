"""Order and pixels: functions of (key, step), and back again without loss."""

import numpy as np
import tensorflow as tf

from ganlab.data.batches import order, to_images, to_pixels


def places(key, step, batch=8, images=50):
    return order(key, tf.constant(step, tf.int64), batch, images).numpy()


def test_each_epoch_is_a_permutation_without_its_last_places():
    for epoch in (0, 1, 7):
        epoch_places = np.concatenate([places(3, 6 * epoch + within) for within in range(6)])
        assert len(set(epoch_places)) == 48
        assert epoch_places.min() >= 0
        assert epoch_places.max() < 50


def test_order_depends_on_key_and_epoch_and_on_nothing_else():
    np.testing.assert_array_equal(places(3, 4), places(3, 4))
    assert not np.array_equal(places(3, 4), places(4, 4))
    assert not np.array_equal(places(3, 4), places(3, 10))  # the same place of the next epoch


def test_all_places_are_equally_likely():
    counts = np.zeros(50)
    for step in range(600):
        counts[places(1, step)] += 1
    assert counts.min() / counts.mean() > 0.7
    assert counts.max() / counts.mean() < 1.3


def test_pixels_survive_the_way_to_images_and_back():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    images = to_images(tf.constant(pixels)).numpy()
    assert (images.min(), images.max()) == (-1, 1)
    np.testing.assert_array_equal(to_pixels(images), pixels)
    np.testing.assert_array_equal(to_pixels(np.array([-3.0, 0.0, 3.0])), [0, 128, 255])
