"""Which images make up a batch, and how pixels become images."""

import numpy as np
import tensorflow as tf


def order(key: int, step: tf.Tensor, batch: int, images: int) -> tf.Tensor:
    """Which images make up batch `step`, [batch]; each epoch is a new permutation of all.

    The last `images % batch` places of an epoch's permutation are left out. No buffer and no iterator: the place of
    every image is computed from (key, epoch), so going on at any step is exact. Does not compile under XLA.
    """
    per_epoch = images // batch
    epoch, within = step // per_epoch, step % per_epoch
    places = within * batch + tf.range(batch, dtype=tf.int64)
    last = tf.constant(images - 1, tf.int64)
    return tf.random.experimental.index_shuffle(places, [key, tf.cast(epoch, tf.int32)], last)


def to_images(pixels: tf.Tensor) -> tf.Tensor:
    """Pixels uint8 -> images float32 in [-1, 1]."""
    return tf.cast(pixels, tf.float32) / 127.5 - 1.0


def to_pixels(images: np.ndarray) -> np.ndarray:
    """Images in [-1, 1] -> pixels uint8, rounded; what lies outside (a linear output) is cut off, as a screen does."""
    return np.rint((np.clip(images, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)
