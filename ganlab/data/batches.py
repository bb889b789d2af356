"""Which images make up a batch, how they are read from the disk during training, and how pixels become images."""

import mmap
from collections.abc import Callable

import numpy as np
import tensorflow as tf

IN_MEMORY = 2**30  # bytes of pixels that are held on the device, unless settings say otherwise
_SHUFFLE = 498247692  # what TensorFlow pads the seeds of its index shuffle with
_AHEAD = 4  # batches that are read ahead


def order(key: int, steps: tf.Tensor, batch: int, images: int) -> tf.Tensor:
    """Which images make up the batches of these steps, [] or [n] -> [batch] or [n*batch]; each epoch is a permutation.

    The last `images % batch` places of an epoch's permutation are left out. No buffer and no iterator: the place of
    every image is computed from (key, epoch), so resuming at any step is exact. Does not compile under XLA.
    """
    per_epoch = images // batch
    steps = tf.reshape(steps, [-1, 1])
    places = tf.reshape(steps % per_epoch * batch + tf.range(batch, dtype=tf.int64), [-1])
    epochs = tf.repeat(tf.cast(steps // per_epoch, tf.int32), batch)
    # `tf.random.experimental.index_shuffle` puts its constant in the wrong dimension if there are several seeds.
    constant, keys = (tf.fill(tf.shape(epochs), number) for number in (_SHUFFLE, key))
    seeds = tf.stack([constant, keys, epochs], axis=1)
    return tf.raw_ops.RandomIndexShuffle(
        index=places, seed=seeds, max_index=tf.constant(images - 1, tf.int64), rounds=4
    )


def stream(pixels: np.ndarray, key: int, batch: int, first: int) -> Callable[[], tf.Tensor]:
    """A function whose calls give the pixels of batch `first`, `first + 1`, ..., uint8 [batch,H,W,C].

    `order` decides which images these are, so starting at any batch is exact.
    """
    read = reader(pixels)
    batches = tf.data.Dataset.range(first, np.iinfo(np.int64).max)
    batches = batches.map(lambda step: read(order(key, step, batch, len(pixels))), num_parallel_calls=2)
    iterator = iter(batches.prefetch(_AHEAD))
    return lambda: next(iterator)


def reader(pixels: np.ndarray) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function of places [B] that gives the pixels there, uint8 [B,H,W,C], from the disk."""
    mapped = pixels._mmap if isinstance(pixels, np.memmap) else None  # type: ignore[attr-defined]

    def rows(places: np.ndarray) -> np.ndarray:
        batch = np.asarray(pixels[places])
        if mapped is not None:  # pages that stay mapped count as memory of this process
            mapped.madvise(mmap.MADV_DONTNEED)
        return batch

    def read(places: tf.Tensor) -> tf.Tensor:
        batch = tf.numpy_function(rows, [places], tf.uint8)
        return tf.ensure_shape(batch, [*places.shape, *pixels.shape[1:]])

    return read


def to_images(pixels: tf.Tensor) -> tf.Tensor:
    """Pixels uint8 -> images float32 in [-1, 1]."""
    return tf.cast(pixels, tf.float32) / 127.5 - 1.0


def to_pixels(images: np.ndarray) -> np.ndarray:
    """Images in [-1, 1] -> pixels uint8, rounded; values outside (from a linear output) are clipped, as on a screen."""
    return np.rint((np.clip(images, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)
