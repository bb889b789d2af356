"""Spectral normalisation against numpy's singular values, and its gradient against differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganlab.nets.spectral_norm import AT_BUILD, SpectralConv2D, SpectralDense, power_iteration
from ganlab.run.build import build_gan


def dense(scale=1.0, inputs=6, units=4):
    layer = SpectralDense(units)
    layer.build((None, inputs))
    layer.kernel.assign(scale * np.random.default_rng(0).normal(size=(inputs, units)))
    for _ in range(300):
        layer.iterate()
    return layer


def largest(kernel):
    """numpy's largest singular value of [outputs, everything else]."""
    return np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]).T, compute_uv=False)[0]


@pytest.mark.parametrize("downsampling", ["strided", "pool", "blur"])
def test_sigma_converges_to_the_largest_singular_value(downsampling):
    draw = keras.initializers.HeNormal(seed=0)  # of some kernels, few iterations find less than nine tenths
    layer = SpectralConv2D(5, 3, downsampling=downsampling, kernel_initializer=draw)
    layer.build((None, 8, 8, 4))
    kernel = layer.kernel.numpy()
    assert float(layer.sigma()) == pytest.approx(largest(kernel), rel=0.1)  # as it is built
    for _ in range(300):
        layer.iterate()
    assert float(layer.sigma()) == pytest.approx(largest(kernel), rel=1e-5)
    assert largest(layer.weight().numpy()) == pytest.approx(1, rel=1e-5)
    np.testing.assert_array_equal(layer.kernel.numpy(), kernel)  # what is stored stays as it is


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_weights_are_divided_by_sigma_whether_it_is_above_or_below_one(scale):
    layer = dense(scale)
    layer.bias.assign([1, 2, 3, 4])
    expected = layer.kernel.numpy() / largest(layer.kernel.numpy())
    np.testing.assert_allclose(layer.weight(), expected, rtol=1e-4)
    inputs = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32)
    np.testing.assert_allclose(layer(inputs), inputs @ expected + [1, 2, 3, 4], atol=1e-4)


def test_the_gradient_goes_through_sigma():
    layer = dense()
    weighted = np.random.default_rng(1).normal(size=(6, 4))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer.weight() * weighted)
    gradient = tape.gradient(value, layer.kernel.value).numpy()
    kernel = layer.kernel.numpy().astype(np.float64)
    u, v = layer.u.numpy().astype(np.float64), layer.v.numpy().astype(np.float64)

    def by_hand(matrix):
        return np.sum(matrix / (v @ matrix @ u) * weighted)

    for place in np.ndindex(6, 4):
        nudge = np.zeros((6, 4))
        nudge[place] = 1e-5
        slope = (by_hand(kernel + nudge) - by_hand(kernel - nudge)) / 2e-5
        assert gradient[place] == pytest.approx(slope, abs=1e-4)


def test_only_an_iteration_changes_the_vectors_and_each_is_one(settings):
    model = build_gan(settings("discriminator.normalization=spectral")).discriminator
    layers = [model.get_layer(name) for name in ("conv1", "conv2", "score")]
    before = model.get_weights()
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(model(images, training=True), model(images, training=True))
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    expected = []
    for layer in layers:
        matrix = layer.kernel.numpy().reshape(-1, layer.kernel.shape[-1])
        v = matrix @ layer.u.numpy()
        u = v @ matrix
        expected.append((u / np.linalg.norm(u), v / np.linalg.norm(v)))
    tf.function(lambda: power_iteration(model))()
    for layer, (u, v) in zip(layers, expected, strict=True):
        np.testing.assert_allclose(layer.u.numpy(), u, atol=1e-5)
        np.testing.assert_allclose(layer.v.numpy(), v, atol=1e-5)
    assert AT_BUILD == 10
    trained = {variable.path.split("/")[-1] for variable in model.trainable_variables}
    assert trained == {"kernel", "bias"}
    assert sum("/u" in variable.path for variable in model.variables) == len(layers)
