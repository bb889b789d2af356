"""Randomness as a function of (seed, stream, step): whoever asks for step 1200 gets what step 1200 had.

A generator of random numbers has a position that must be saved, restored and kept equal between arms; a function has
none. Ask outside XLA: inside `jit_compile=True` TensorFlow 2.21 gives other numbers.
"""

import zlib

import tensorflow as tf


def stream_key(seed: int, stream: str) -> int:
    """A 31-bit whole number that stands for a stream of a seed, such as `init/generator/stage1`."""
    return zlib.crc32(f"{seed}/{stream}".encode()) & 0x7FFFFFFF


def normals(seed: int, stream: str, step: int | tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """Standard normal numbers, such as latents [B,Z]: the same (seed, stream, step) gives the same numbers."""
    return tf.random.stateless_normal(shape, seed=[stream_key(seed, stream), tf.cast(step, tf.int32)])


def uniforms(seed: int, stream: str, step: int | tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """Numbers in [0, 1), drawn in the same way."""
    return tf.random.stateless_uniform(shape, seed=[stream_key(seed, stream), tf.cast(step, tf.int32)])
