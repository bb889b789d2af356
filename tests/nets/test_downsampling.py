"""Convolutions that make smaller: one folded convolution is the two or three plain steps, gradients included."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganlab.nets.analysis import multiplications
from ganlab.nets.layers import DownConv2D, taps_of

SHAPES = [(1, 8, 8), (3, 8, 6), (3, 7, 9), (4, 8, 8), (4, 5, 6), (5, 12, 7)]


def in_steps(images, kernel, downsampling, stride):
    """The image with zeros around it, a convolution of stride 1, and means or weighted sums of its pixels."""
    size, sides = kernel.shape[0], images.shape[1:3]
    more = stride - 1 if downsampling == "blur" else 0  # how far [1,3,3,1] reaches beyond the stride
    edges = [((size - 1) // 2 + more, -n % stride + size // 2 + more) for n in sides]
    maps = tf.nn.conv2d(tf.pad(images, [(0, 0), *edges, (0, 0)]), kernel, 1, "VALID")
    if downsampling == "pool":
        return tf.nn.avg_pool2d(maps, stride, stride, "VALID")
    along = {1: [1.0], 2: [1, 3, 3, 1], 3: [1, 3, 6, 7, 6, 3, 1]}[stride]
    taps = np.outer(along, along) / np.sum(along) ** 2
    each = np.tile(taps[:, :, None, None].astype(np.float32), (1, 1, maps.shape[-1], 1))
    return tf.nn.depthwise_conv2d(maps, each, [1, stride, stride, 1], "VALID")


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("size", "height", "width"), SHAPES)
@pytest.mark.parametrize("downsampling", ["pool", "blur"])
def test_folded_is_what_the_steps_give(downsampling, size, height, width, stride):
    random = np.random.default_rng(0)
    images = tf.constant(random.normal(size=(2, height, width, 3)).astype(np.float32))
    layer = DownConv2D(4, size, stride=stride, downsampling=downsampling, use_bias=False)
    layer.build(images.shape)
    weighted = random.normal(size=(2, -(-height // stride), -(-width // stride), 4)).astype(np.float32)
    results = []
    for function in (layer, lambda x: in_steps(x, layer.kernel.value, downsampling, stride)):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = function(images)
            total = tf.reduce_sum(outputs**2 * weighted)
        results.append([outputs, *tape.gradient(total, [images, layer.kernel.value])])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * max(1, np.abs(other).max()))
    assert layer.compute_output_shape(images.shape) == tuple(results[0][0].shape)


def test_pool_is_stock_convolution_and_pooling_where_the_stride_fits():
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    layer = DownConv2D(4, 3, stride=2, downsampling="pool")
    layer.build(images.shape)
    convolve = keras.layers.Conv2D(4, 3, padding="same")
    stock = keras.Sequential([keras.Input((8, 8, 3)), convolve, keras.layers.AveragePooling2D(2)])
    convolve.set_weights([layer.kernel.numpy(), np.arange(4, dtype=np.float32)])
    layer.bias.assign(np.arange(4))
    np.testing.assert_allclose(layer(images), stock(images), atol=1e-5)


def test_blur_leaves_a_constant_and_removes_what_a_stride_would_alias():
    layer = DownConv2D(1, 1, stride=2, downsampling="blur", kernel_initializer="ones")
    even = np.indices((8, 8)).sum(axis=0) % 2 * 2.0 - 1  # a checkerboard: nothing but the highest frequency
    inside = np.s_[:, 1:-1, 1:-1]
    np.testing.assert_allclose(layer(np.ones((1, 8, 8, 1), np.float32))[inside], 1, rtol=1e-6)
    np.testing.assert_allclose(layer(even[None, :, :, None].astype(np.float32))[inside], 0, atol=1e-6)
    np.testing.assert_allclose(taps_of("blur", 2) * 8, [1, 3, 3, 1])


def test_multiplications_are_counted_as_written_and_as_executed():
    inputs = keras.Input((8, 8, 3))
    costs = {
        way: multiplications(keras.Model(inputs, DownConv2D(4, 3, stride=2, downsampling=way)(inputs)))
        for way in ("strided", "pool", "blur")
    }
    plain = 9 * 3 * 4 * 64
    assert costs["strided"] == (plain // 4, plain // 4)
    assert costs["pool"] == (plain + 4 * 4 * 16, 16 * 3 * 4 * 16)
    assert costs["blur"] == (plain + 16 * 4 * 16, 36 * 3 * 4 * 16)


def test_a_layer_survives_its_config():
    layer = DownConv2D(4, 3, stride=2, downsampling="blur", name="a")
    again = DownConv2D.from_config(layer.get_config())
    assert again.get_config() == layer.get_config() and list(again.taps) == list(layer.taps)
    with pytest.raises(ValueError, match="downsampling='blurr' is unknown; choose one of: strided, pool, blur"):
        DownConv2D(4, 3, downsampling="blurr")
