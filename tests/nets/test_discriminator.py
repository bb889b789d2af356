"""Discriminators: every body with every way down and every normalisation; classes; minibatch deviation."""

import itertools
import math
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganlab.errors import ConfigError
from ganlab.nets.discriminator import DISCRIMINATORS
from ganlab.nets.initializers import initializer
from ganlab.nets.layers import minibatch_std
from ganlab.nets.spectral_norm import Spectral
from ganlab.run.build import build_gan

BODIES = ("conv", "residual")
DOWNSAMPLINGS = ("strided", "pool", "blur")
NORMALIZATIONS = ("none", "batch", "spectral")
GRID = list(itertools.product(BODIES, DOWNSAMPLINGS, NORMALIZATIONS))
COMPILED = [  # six of the eighteen: each body with each of the others; compiling takes seconds
    pytest.param(body, down, NORMALIZATIONS[(i + j) % 3], marks=pytest.mark.slow)
    for i, body in enumerate(BODIES)
    for j, down in enumerate(DOWNSAMPLINGS)
]


@pytest.fixture
def discriminator(settings):
    """`discriminator("conv", "discriminator.downsampling=pool", size=7, classes=3)`: a built one."""

    def build(body, *overrides, size=8, classes=0):
        config = settings(f"discriminator={body}", "penalty=none", "discriminator.filters=[4,6]", *overrides)
        return DISCRIMINATORS[body](config.discriminator, (size, size, 1), lambda name: len(name), classes)

    return build


def pictures(count, size=8):
    return tf.constant(np.random.default_rng(0).normal(size=(count, size, size, 1)).astype(np.float32))


def penalised(model):
    """images -> scores, and the weights' gradient of a squared gradient at the images, as a penalty needs it."""

    def gradient_norms(images):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(images)
                scores = model(images, training=True)
                total = tf.reduce_sum(scores)
            cost = tf.reduce_sum(tf.square(inner.gradient(total, images)))
        kernels = [weight.value for weight in model.trainable_variables if weight.path.endswith("kernel")]
        return scores, cost, outer.gradient(cost, kernels)

    return gradient_norms


@pytest.mark.parametrize(("body", "downsampling", "normalization"), GRID)
def test_every_kind_scores_and_has_second_gradients(discriminator, body, downsampling, normalization):
    model = discriminator(
        body,
        f"discriminator.downsampling={downsampling}",
        f"discriminator.normalization={normalization}",
        "discriminator.minibatch_std=2",
        size=7,
    )
    images = pictures(4, size=7)
    scores, cost, gradients = penalised(model)(images)
    assert scores.shape == (4, 1) and scores.dtype == "float32"
    assert float(cost) > 0
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)
    assert any(np.abs(gradient).max() > 0 for gradient in gradients)
    spectral = [layer for layer in model.layers if isinstance(layer, Spectral)]
    weighted = [layer for layer in model.layers if hasattr(layer, "kernel")]
    assert spectral == (weighted if normalization == "spectral" else [])
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert bool(norms) == (normalization == "batch")


@pytest.mark.parametrize(("body", "downsampling", "normalization"), COMPILED)
def test_compiled_with_xla_its_second_gradients_are_the_same(discriminator, body, downsampling, normalization):
    ways = f"discriminator.downsampling={downsampling}", f"discriminator.normalization={normalization}"
    model = discriminator(body, *ways, "discriminator.minibatch_std=2", size=7)
    images = pictures(4, size=7)
    scores, _, gradients = penalised(model)(images)
    compiled = tf.function(penalised(model), jit_compile=True)(images)
    np.testing.assert_allclose(compiled[0], scores, atol=1e-4)
    for one, other in zip(compiled[2], gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4 * max(1.0, np.abs(other).max()))


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("downsampling", ["strided", "pool", "blur"])
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_scores_are_float32_and_near_under_every_precision(discriminator, body, downsampling, precision):
    plain = discriminator(body, f"discriminator.downsampling={downsampling}", "discriminator.minibatch_std=2")
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        model = discriminator(body, f"discriminator.downsampling={downsampling}", "discriminator.minibatch_std=2")
    finally:
        keras.config.set_dtype_policy(policy)
    scores = model(pictures(4))
    assert scores.dtype == "float32" and model.dtype_policy.name == precision
    np.testing.assert_allclose(scores, plain(pictures(4)), atol=0.1)


@pytest.mark.parametrize("body", BODIES)
def test_matched_weights_keep_the_size_of_what_goes_through(settings, body):
    config = settings(f"discriminator={body}", "discriminator.filters=[64,64]", "discriminator.kernel_size=3")
    scores = [
        DISCRIMINATORS[body](config.discriminator, (16, 16, 3), lambda name, seed=seed: len(name) + 100 * seed)(
            np.random.default_rng(seed).normal(size=(32, 16, 16, 3)).astype(np.float32)
        )
        for seed in range(6)
    ]
    assert 0.4 < np.sqrt(np.mean(np.square(scores))) < 2.5


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("body", BODIES)
def test_matched_weights_keep_the_size_whatever_the_slope(settings, body, slope):
    """A leaky ReLU keeps (1 + slope^2)/2 of the second moment: with slope 1 it keeps all."""
    config = settings(f"discriminator={body}", "discriminator.filters=[64,64,64,64,64]", "discriminator.kernel_size=3",
                      "discriminator.stride=1", f"discriminator.slope={slope}")  # fmt: skip
    noise = np.random.default_rng(0).normal(size=(16, 12, 12, 64)).astype(np.float32)
    model = DISCRIMINATORS[body](config.discriminator, (12, 12, 64), lambda name: zlib.crc32(name.encode()))
    last = keras.Model(model.inputs[0], model.get_layer("activation5" if body == "conv" else "block5").output)
    inside = last(noise).numpy()[:, 6, 6]  # zeros come in at the border
    assert 0.5 < np.sqrt(np.mean(np.square(inside))) / (1 if body == "residual" else math.sqrt((1 + slope**2) / 2)) < 2


def test_an_unknown_init_is_refused_by_name():
    with pytest.raises(ValueError, match="init='mached' is unknown; choose one of: matched, keras, dcgan"):
        initializer("mached", 9, gain=1.0, seed=0)


@pytest.mark.parametrize("normalization", ["none", "spectral"])
@pytest.mark.parametrize("body", BODIES)
def test_classes_are_scored_by_their_projection(discriminator, body, normalization):
    model = discriminator(body, f"discriminator.normalization={normalization}", classes=3)
    images = pictures(6)
    labels = tf.one_hot([0, 1, 2, 0, 1, 2], 3)
    scores = model([images, labels])
    features = keras.Model(model.inputs[0], model.get_layer("score").input)(images).numpy()
    score, projection = model.get_layer("score"), model.get_layer("projection")
    kernels = [layer.weight() if normalization == "spectral" else layer.kernel for layer in (score, projection)]
    expected = features @ np.asarray(kernels[0]) + np.sum(
        labels.numpy() @ np.asarray(kernels[1]) * features, 1, keepdims=True
    )
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    one_image_as_three = model([tf.repeat(images[:1], 3, axis=0), tf.eye(3)])
    assert np.unique(np.round(one_image_as_three, 4)).size == 3
    assert isinstance(projection, Spectral) == (normalization == "spectral") and not projection.use_bias


@pytest.mark.parametrize("images", [6, 9])
def test_minibatch_std_is_numpys_over_consecutive_images(images):
    """Nine: as many groups as images in one, which Keras' addition would take for channels."""
    maps = np.random.default_rng(0).normal(size=(images, 3, 2, 4)).astype(np.float32)
    inputs = keras.Input((3, 2, 4))
    model = tf.function(keras.Model(inputs, minibatch_std(inputs, 3)), autograph=False)
    outputs = model(maps).numpy()
    np.testing.assert_array_equal(outputs[..., :4], maps)
    for first in range(0, images, 3):
        expected = np.std(maps[first : first + 3], axis=0).mean()
        np.testing.assert_allclose(outputs[first : first + 3, :, :, 4], expected, rtol=1e-5)
    alike = tf.ones([4, 3, 2, 1])
    with tf.GradientTape() as tape:
        tape.watch(alike)
        value = tf.reduce_sum(minibatch_std(alike, 2))
    assert np.isfinite(tape.gradient(value, alike)).all()


WRONG = {
    "discriminator.minibatch_std=3": "discriminator.minibatch_std=3 does not divide the 64 images of a batch",
    "discriminator.minibatch_std=128": "discriminator.minibatch_std=128 does not divide the 64 images of a batch",
    "discriminator.minibatch_std=1": "discriminator.minibatch_std=1 is a group of one image, which has no standard deviation; use 0 (off)",
    "discriminator.downsampling=blurr": "discriminator.downsampling='blurr' is unknown; did you mean blur?",
    "discriminator.normalization=spectrum": "discriminator.normalization='spectrum' is unknown; did you mean spectral?",
    "discriminator.name=resnet": "discriminator.name='resnet' is unknown",
}


@pytest.mark.parametrize("override", WRONG)
def test_wrong_settings_are_one_line(settings, override):
    with pytest.raises(ConfigError) as caught:
        settings(override)
    assert WRONG[override] in str(caught.value) and "\n" not in str(caught.value)


def test_batch_normalisation_comes_without_a_bias_in_front(settings):
    gan = build_gan(settings("discriminator.normalization=batch", "penalty=none", "generator.normalization=batch"))
    paths = {weight.path for net in (gan.generator, gan.discriminator) for weight in net.weights}
    assert {"stage1/bias", "conv2/bias"}.isdisjoint(paths)
    assert {"base/bias", "stage2/bias", "conv1/bias", "norm2/beta"} <= paths


@pytest.mark.parametrize("body", BODIES)
def test_without_filters_a_discriminator_sees_the_whole_image(settings, body):
    def widths(size, *overrides):
        config = settings(f"discriminator={body}", "penalty=none", *overrides).discriminator
        model = DISCRIMINATORS[body](config, (*size, 1), lambda name: len(name))
        last = "activation_last" if body == "residual" else f"activation{len(config.widths(*size))}"
        return config.widths(*size), tuple(model.get_layer(last).output.shape[1:3])

    assert widths((8, 8)) == ((32, 64), (2, 2))
    assert widths((28, 28)) == ((32, 64, 128), (4, 4))
    assert widths((32, 64)) == ((32, 64, 128, 256), (2, 4))
    assert widths((64, 64))[0] == (32, 64, 128, 256, 256)
    assert widths((2, 2))[0] == (32,)
    assert widths((27, 27), "discriminator.stride=3") == ((32, 64), (3, 3))
    assert widths((64, 64), "discriminator.filters=[5]")[0] == (5,)
