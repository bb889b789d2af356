"""Randomness as a function of (seed, stream, step): step 1200 always gets the numbers of step 1200.

A generator of random numbers has a position that must be saved, restored and kept equal between arms; a function has
none. The bits are those of Philox 4x32-10 (Salmon et al. 2011), which TensorFlow computes alike everywhere. Inside XLA
(2.21) it converts them to floats in another way than outside, so `Stream` does that itself there: uniform numbers are
equal to the bit, normal ones up to rounding.
"""

import math
import zlib
from collections.abc import Sequence

import tensorflow as tf

_PHILOX = 1  # TensorFlow's number for the algorithm


def stream_key(seed: int, stream: str) -> int:
    """A 31-bit whole number that stands for a stream of a seed, such as `init/generator/stage1`."""
    return zlib.crc32(f"{seed}/{stream}".encode()) & 0x7FFFFFFF


def normals(seed: int, stream: str, step: int | tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """Standard normal numbers, such as latents [B,Z]: the same (seed, stream, step) gives the same numbers."""
    return tf.random.stateless_normal(shape, seed=[stream_key(seed, stream), tf.cast(step, tf.int32)])


class Stream:
    """One stream of a seed in training: `normals` as above, and `uniforms`.

    Its key is a variable, so that the compiled programs of two seeds are the same program. xla: whether the numbers are
    drawn inside `jit_compile=True`. reseed_at: steps from which on different numbers are drawn.
    """

    def __init__(self, seed: int, name: str, *, xla: bool = False, reseed_at: Sequence[int] = ()):
        names = [name, *(f"{name}/afresh/{n}" for n in range(1, len(reseed_at) + 1))]
        keys = [stream_key(seed, each) for each in names]
        # int64, as TensorFlow keeps variables of int32 on the host.
        self._keys = tf.Variable(keys, dtype=tf.int64, trainable=False, name=name.replace("/", "_"))
        self._reseed_at, self._xla = tuple(reseed_at), xla

    def normals(self, step: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
        """Standard normal numbers, float32."""
        if not self._xla:
            return tf.random.stateless_normal(shape, seed=self._at(step))
        count = math.prod(shape)
        pairs = tf.reshape(_uniform(self._bits(step, count + count % 2)), [-1, 2])
        length = tf.sqrt(-2 * tf.math.log(tf.maximum(pairs[:, 0], 1e-7)))  # Box and Muller 1958
        angle = 2 * math.pi * pairs[:, 1]
        numbers = tf.stack([tf.sin(angle) * length, tf.cos(angle) * length], axis=1)
        return tf.reshape(tf.reshape(numbers, [-1])[:count], shape)

    def uniforms(self, step: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
        """Numbers in [0, 1), float32."""
        if not self._xla:
            return tf.random.stateless_uniform(shape, seed=self._at(step))
        return tf.reshape(_uniform(self._bits(step, math.prod(shape))), shape)

    def _at(self, step: tf.Tensor) -> list[tf.Tensor]:
        number = tf.add_n([tf.cast(step >= at, tf.int32) for at in self._reseed_at]) if self._reseed_at else 0
        return [tf.cast(tf.convert_to_tensor(self._keys)[number], tf.int32), tf.cast(step, tf.int32)]

    def _bits(self, step: tf.Tensor, count: int) -> tf.Tensor:
        key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=tf.stack(self._at(step)))
        return tf.raw_ops.StatelessRandomUniformFullIntV2(
            shape=[count], key=key, counter=counter, alg=tf.constant(_PHILOX), dtype=tf.uint32
        )


def _uniform(bits: tf.Tensor) -> tf.Tensor:
    """The numbers in [0, 1) that the lower 23 of 32 bits stand for, as TensorFlow takes them."""
    one = tf.constant(127 << 23, tf.uint32)
    return tf.bitcast(tf.bitwise.bitwise_or(tf.bitwise.bitwise_and(bits, (1 << 23) - 1), one), tf.float32) - 1
