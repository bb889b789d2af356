"""Random numbers are functions of (seed, stream, step), and the same ones inside XLA as outside."""

import numpy as np
import pytest
import tensorflow as tf

from ganlab.training.randomness import Stream, normals, stream_key


@pytest.mark.parametrize(("shape", "step"), [((64, 100), 3), ((7, 3), 2**31 - 1), ((5,), 0), ((64, 7), 2**31 - 1)])
def test_inside_xla_as_outside(shape, step):
    outside, inside = Stream(5, "latents/x"), Stream(5, "latents/x", xla=True)
    at = tf.constant(step, tf.int64)

    def asked(draw, **more):
        return tf.function(lambda at: draw(at, shape), autograph=False, **more)(at)

    np.testing.assert_array_equal(asked(outside.normals), normals(5, "latents/x", at, shape))
    own = tf.random.stateless_uniform(shape, seed=[stream_key(5, "latents/x"), tf.cast(at, tf.int32)])
    np.testing.assert_array_equal(asked(outside.uniforms), own)
    np.testing.assert_array_equal(asked(inside.uniforms, jit_compile=True), asked(outside.uniforms))
    np.testing.assert_allclose(asked(inside.normals, jit_compile=True), asked(outside.normals), atol=5e-6)


def test_streams_seeds_and_steps_have_numbers_of_their_own():
    first = Stream(5, "a").normals(tf.constant(1), (100,))
    for other in (Stream(5, "b"), Stream(6, "a")):
        assert not np.array_equal(first, other.normals(tf.constant(1), (100,)))
    assert not np.array_equal(first, Stream(5, "a").normals(tf.constant(2), (100,)))
    assert abs(float(tf.math.reduce_std(Stream(0, "a", xla=True).normals(tf.constant(0), (100_000,)))) - 1) < 0.01
