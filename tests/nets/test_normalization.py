"""Batch normalisation by the fused kernel is Keras' own; statistics taken anew are means over batches."""

from contextlib import nullcontext

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganlab.nets.convolution import products
from ganlab.nets.layers import BatchNormalization, recompute_statistics


def trained_once(kind, images, weighted, *, jit=False):
    """Outputs, gradients and moving statistics after two steps of a layer that has weights of its own."""
    layer = kind(momentum=0.9, epsilon=1e-5)
    layer.build(images.shape)
    channels = np.arange(images.shape[-1], dtype=np.float32)
    layer.gamma.assign(1 + channels / 3)
    layer.beta.assign(channels - 1)

    @tf.function(jit_compile=jit)
    def step(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images, training=True)
            total = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2 * weighted)
        return outputs, *tape.gradient(total, [images, layer.gamma.value, layer.beta.value])

    step(images)
    results = step(images * 2)
    return [*results, layer.moving_mean.numpy(), layer.moving_variance.numpy(), layer(images, training=False)]


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(
    ("shape", "tracing"),
    [
        ((6, 4, 5, 3), nullcontext),
        ((2, 1, 2, 3), nullcontext),  # of few values, biased and unbiased lie far apart
        ((9, 12, 11, 3), products),
    ],
)
def test_the_fused_kernel_is_the_stock_layer(shape, tracing, jit):
    random = np.random.default_rng(0)
    images = tf.constant(random.normal(1, 2, size=shape).astype(np.float32))
    weighted = random.normal(size=shape).astype(np.float32)
    with tracing():
        ours = trained_once(BatchNormalization, images, weighted, jit=jit)
    stock = trained_once(keras.layers.BatchNormalization, images, weighted, jit=jit)
    for one, other in zip(ours, stock, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * max(1, np.abs(other).max()))


def test_maps_of_one_large_value_stay_finite():
    layer = BatchNormalization()
    values = tf.linspace(1000.0, 3000.0, 100) * tf.ones([20, 8, 8, 100])  # a value for each channel, without variance
    with products():
        assert np.isfinite(layer(values, training=True)).all()
    assert (layer.moving_variance.numpy() >= 0).all()


def test_the_kernel_in_training_is_fused_and_nothing_else_is():
    layer = BatchNormalization()
    layer.build((None, 4, 4, 3))

    def operations(training, batch=2):
        images = tf.zeros([batch, 4, 4, 3])
        graph = tf.function(lambda x: layer(x, training=training)).get_concrete_function(images).graph
        return {operation.type for operation in graph.get_operations()}

    assert "FusedBatchNormV3" in operations(True)
    assert "FusedBatchNormV3" not in operations(False)
    with products():  # only sums that XLA would give to one block of threads are taken apart
        fused = [batch for batch in (2, 64, 65, 256, 257) if "FusedBatchNormV3" in operations(True, batch)]
    assert fused == [2, 64, 257]


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_has_statistics_in_float32(precision):
    images = np.random.default_rng(0).normal(300, 1, size=(8, 4, 4, 2))
    layer = BatchNormalization(dtype=precision, momentum=0.0)
    half = precision.removeprefix("mixed_")
    outputs = layer(tf.cast(images, half), training=True)
    assert outputs.dtype == half
    rounded = tf.cast(tf.cast(images, half), tf.float64).numpy()
    np.testing.assert_allclose(layer.moving_mean.numpy(), rounded.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), rounded.var(axis=(0, 1, 2)), rtol=1e-3)


def test_statistics_taken_anew_are_means_over_batches():
    inputs = keras.Input((4, 4, 2))
    layer = BatchNormalization()
    model = keras.Model(inputs, layer(inputs))
    batches = np.random.default_rng(0).normal(2, 3, size=(5, 6, 4, 4, 2)).astype(np.float32)
    recompute_statistics(model, batches)
    np.testing.assert_allclose(layer.moving_mean.numpy(), batches.mean(axis=(1, 2, 3)).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), batches.var(axis=(1, 2, 3)).mean(axis=0), rtol=1e-5)
    assert layer.momentum == 0.9


def test_a_model_without_batch_normalisation_is_left_alone():
    inputs = keras.Input((2,))
    batches = iter([np.zeros((1, 2), np.float32)])
    recompute_statistics(keras.Model(inputs, keras.layers.ReLU()(inputs)), batches)
    assert len(list(batches)) == 1  # nothing was put through it
