"""Images that stay on the disk and are read while a network trains, a few batches ahead."""

import mmap
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from ganlab.data.batches import order

IN_MEMORY = 2**30  # bytes of pixels that are held on the device, where nothing else is asked for
_AHEAD = 4


def stream(pixels: np.ndarray, key: int, batch: int, first: int) -> Callable[[], tf.Tensor]:
    """A function whose calls give the pixels of batch `first`, `first + 1`, ..., uint8 [batch,H,W,C].

    Which images these are is `order`'s to say, so starting at any batch is exact.
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
        found = np.asarray(pixels[places])
        if mapped is not None:  # pages that stay mapped count as memory of this process
            mapped.madvise(mmap.MADV_DONTNEED)
        return found

    def read(places: tf.Tensor) -> tf.Tensor:
        found = tf.numpy_function(rows, [places], tf.uint8)
        return tf.ensure_shape(found, [*places.shape, *pixels.shape[1:]])

    return read
