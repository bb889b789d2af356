"""Convolutions as products of matrices are those of the library, with the same gradients."""

import numpy as np
import pytest
import tensorflow as tf

from ganlab.nets import convolution

SIZES = [(8, 9), (9, 5)]


@pytest.fixture
def both(monkeypatch):
    """`both(function, maps, kernel)`: the outputs and both gradients, by the library and as a product."""

    def compare(function, maps, kernel):
        def answers():
            with tf.GradientTape() as tape:
                tape.watch([maps, kernel])
                outputs = function(maps, kernel)
                loss = tf.reduce_sum(tf.sin(outputs))
            return [outputs, *tape.gradient(loss, [maps, kernel])]

        plain = answers()
        for name in ("conv", "conv_transpose"):
            monkeypatch.setattr(convolution.ops, name, None)
        with convolution.products():
            return plain, answers()

    return compare


def drawn(*shape):
    return tf.constant(np.random.default_rng(sum(shape)).normal(size=shape), tf.float32)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("k", [1, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3, (1, 2)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_convolve(both, size, k, stride, padding):
    maps, kernel = drawn(2, *size, 3), drawn(k, k, 3, 5)
    for one, other in zip(*both(lambda m, w: convolution.convolve(m, w, stride, padding), maps, kernel), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("k", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 2)])
def test_convolve_transposed(both, size, k, stride):
    maps, kernel = drawn(2, *size, 3), drawn(k, k, 5, 3)
    for one, other in zip(*both(lambda m, w: convolution.convolve_transposed(m, w, stride), maps, kernel), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_large_maps_and_unknown_batches_stay_with_the_library():
    small, large = drawn(1, 8, 8, 8), drawn(8, 128, 128, 16)
    kernel, wide = drawn(4, 4, 8, 8), drawn(4, 4, 16, 8)
    with convolution.products():
        assert convolution._is_worth_it(small, kernel, 64)
        assert not convolution._is_worth_it(large, wide, 128 * 128)
        assert convolution._is_worth_it(large, drawn(4, 4, 16, 3), 128 * 128)
    assert not convolution._is_worth_it(small, kernel, 64)
