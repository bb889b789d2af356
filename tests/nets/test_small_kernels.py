"""Kernels below their stride: the right numbers, and native code that survives them."""

import itertools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from conftest import ROOT
from ganlab.nets.discriminator import build_conv
from ganlab.nets.upsampling import UPSAMPLERS

RANDOM = np.random.default_rng(0)
SCALES = (2, 3, 4, (2, 3), (1, 3))
KERNELS = (1, 2, 3, (1, 2))


def two(value):
    return (value, value) if isinstance(value, int) else value


def pulled(layer, inputs, weights):
    """Output [B,H,W,Co], and the gradients of sum(output * weights) at the input and at the kernel."""
    inputs = tf.constant(inputs, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
        total = tf.reduce_sum(outputs * weights)
    return [np.asarray(each) for each in (outputs, *tape.gradient(total, [inputs, layer.kernel.value]))]


def taps(large, small, size, stride):
    """(tap vertical, horizontal; pixel of the small map y, x; of the large map y, x), as 'same' padding pairs them.

    Pixel p of the small map meets pixels p*stride + tap - before of the large one, whichever way the map goes.
    """
    before = [max((small[axis] - 1) * stride[axis] + size[axis] - large[axis], 0) // 2 for axis in (0, 1)]
    for u, v, i, j in itertools.product(*map(range, (*size, *small))):
        y, x = i * stride[0] + u - before[0], j * stride[1] + v - before[1]
        if 0 <= y < large[0] and 0 <= x < large[1]:
            yield u, v, i, j, y, x


@pytest.mark.parametrize(("size", "scale"), itertools.product(KERNELS, SCALES))
def test_a_transposed_convolution_is_what_loops_give(size, scale):
    layer = UPSAMPLERS["transpose"](3, kernel_size=size, scale=scale, seed=0)
    images = RANDOM.normal(size=(2, 4, 3, 2))
    layer.build(images.shape)
    layer.bias.assign([1, 2, 3])
    kernel, (sy, sx) = np.asarray(layer.kernel, np.float64), two(scale)
    assert kernel.shape == (*two(size), 3, 2)  # what is stored, whatever is computed
    weights = RANDOM.normal(size=(2, 4 * sy, 3 * sx, 3))
    outputs, d_images, d_kernel = (
        np.tile([1.0, 2, 3], (*weights.shape[:3], 1)),
        np.zeros_like(images),
        np.zeros_like(kernel),
    )
    for u, v, i, j, y, x in taps(weights.shape[1:3], images.shape[1:3], two(size), (sy, sx)):
        outputs[:, y, x] += images[:, i, j] @ kernel[u, v].T
        d_images[:, i, j] += weights[:, y, x] @ kernel[u, v]
        d_kernel[u, v] += weights[:, y, x].T @ images[:, i, j]
    for value, wanted in zip(pulled(layer, images, weights), (outputs, d_images, d_kernel), strict=True):
        np.testing.assert_allclose(value, wanted, atol=1e-5)
    np.testing.assert_allclose(layer.stock()(images.astype(np.float32)), outputs, atol=1e-5)


@pytest.mark.parametrize(("size", "stride", "side"), itertools.product((1, 2, 3), (1, 2, 3, 4), (5, 8)))
def test_a_strided_convolution_of_the_discriminator_is_what_loops_give(settings, size, stride, side):
    for norm in ("none", "spectral"):
        own = {"kernel_size": size, "stride": stride, "filters": (3,), "normalization": norm}
        config = settings().discriminator.model_copy(update=own)
        layer = build_conv(config, (side, side, 2), lambda name: 0).get_layer("conv1")
        images = RANDOM.normal(size=(2, side, side, 2))
        kernel = np.asarray(layer.weight() if norm == "spectral" else layer.kernel, np.float64)
        assert layer.kernel.shape == (size, size, 2, 3)
        steps = -(-side // stride)
        weights = RANDOM.normal(size=(2, steps, steps, 3))
        outputs, d_images, d_kernel = np.zeros_like(weights), np.zeros_like(images), np.zeros_like(kernel)
        for u, v, i, j, y, x in taps((side, side), (steps, steps), (size, size), (stride, stride)):
            outputs[:, i, j] += images[:, y, x] @ kernel[u, v]
            d_images[:, y, x] += weights[:, i, j] @ kernel[u, v].T
            d_kernel[u, v] += images[:, y, x].T @ weights[:, i, j]
        values = pulled(layer, images, weights)
        np.testing.assert_allclose(values[0], outputs, atol=1e-5)
        np.testing.assert_allclose(values[1], d_images, atol=1e-5)
        if norm == "none":  # else it goes through sigma too
            np.testing.assert_allclose(values[2], d_kernel, atol=1e-5)


def test_a_point_costs_and_sees_what_the_layer_of_keras_does():
    point = UPSAMPLERS["transpose"](5, kernel_size=1, scale=2)
    theirs = keras.layers.Conv2DTranspose(5, 1, 2, "same")
    for layer in (point, theirs):
        layer.build((None, 4, 4, 3))
    assert point.macs() == (16 * 15, 16 * 15)
    assert [point.sources(0, pixel, pixel) for pixel in range(3)] == [(0, 0), (1, 0), (1, 1)]
    assert [w.path.split("/")[1:] for w in point.weights] == [w.path.split("/")[1:] for w in theirs.weights]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_point_of_unknown_size_under_xla_and_in_half_precision(policy):
    layer = UPSAMPLERS["transpose"](5, kernel_size=1, scale=2, dtype=policy)
    layer.build((None, None, None, 3))
    images = tf.constant(RANDOM.normal(size=(2, 3, 4, 3)), tf.float32)
    wanted = layer(images)
    outputs = tf.function(layer, jit_compile=True, autograph=False)(images)
    assert outputs.shape == (2, 6, 8, 5) and outputs.dtype == wanted.dtype == layer.compute_dtype
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), tf.cast(wanted, tf.float32), atol=1e-5)


EVERY = """
import sys

from ganlab import device
from ganlab.errors import ConfigError
from ganlab.cli.hydra import plan
from ganlab.config import pair, parse

device.start("float32", threads=int(sys.argv[1]))

import tensorflow as tf

from ganlab.nets.analysis import operator
from ganlab.nets.discriminator import DISCRIMINATORS


def tree(*line):
    return plan(list(line), multirun=False).cells[0].config.model_dump(mode="json")


def pull(network, side, channels):
    images = tf.random.stateless_normal((16, side, side, channels), [0, 1])
    weights = [variable.value for variable in network.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(network(images, training=True) ** 2)
    for gradient in tape.gradient(total, [images, *weights]):
        assert bool(tf.reduce_all(tf.math.is_finite(gradient)))


done = refused = 0
sizes, strides = (1, 2, 3, 4, 5, 6, 7), (1, 2, 3, 4)
for arm in ("upsample", "upsample_bilinear", "transpose", "pixel_shuffle", "fir", "carafe"):
    settings = tree(f"generator={arm}", "dataset.size=24")
    for size in (*sizes, (1, 2)):
        for scale in (*strides, (1, 3)):
            print(arm, size, scale, flush=True)
            settings["generator"]["upsampling"]["kernel_size"] = size
            settings["generator"]["stages"] = [[None, scale]]
            try:
                config = parse(settings)
            except ConfigError:
                refused += 1
                continue
            pull(operator(config.generator, 4, 4, scale=pair(scale)), 8, 4)
            done += 1
for body in ("conv", "residual"):
    settings = tree(f"discriminator={body}", "discriminator.filters=[16,8]")
    for size in sizes:
        for stride in strides:
            for way in ("strided", "pool", "blur") if body == "conv" else ("strided",):
                print(body, size, stride, way, flush=True)
                settings["discriminator"] |= {"kernel_size": size, "stride": stride, "downsampling": way}
                pull(DISCRIMINATORS[body](parse(settings).discriminator, (8, 8, 1), lambda name: 0), 8, 1)
                done += 1
print("whole", done, refused)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("threads", "instructions"), [(1, "AVX2"), (2, "DEFAULT")])
def test_native_code_survives_every_kernel_and_stride(threads, instructions):
    """oneDNN chooses its code by the processor's instructions: AVX2 alone is that without AVX-512."""
    environment = {"ONEDNN_MAX_CPU_ISA": instructions, "PYTHONPATH": str(ROOT), "MALLOC_CHECK_": "3"}
    line = [sys.executable, "-c", EVERY, str(threads)]
    done = subprocess.run(line, capture_output=True, text=True, env=os.environ | environment, cwd=ROOT)
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 0, f"status {done.returncode} at: {last}"
    _, tried, refused = last.split()
    assert int(tried) > 250 and 0 < int(refused) < 80


@pytest.mark.parametrize("name", ["transpose", "nearest"])
def test_the_gradient_of_a_grey_image_that_grows_from_one_column(name):
    layer = UPSAMPLERS[name](1, kernel_size=3, scale=(1, 2), use_bias=False)
    images, weights = tf.constant(RANDOM.normal(size=(4, 4, 1, 5)), tf.float32), RANDOM.normal(size=(4, 4, 2, 1))
    with tf.GradientTape() as tape:
        tape.watch(images)
        loss = tf.reduce_sum(layer(images) * weights.astype(np.float32))
    responses = np.asarray(layer(np.eye(20, dtype=np.float32).reshape(20, 4, 1, 5)))  # it is linear
    expected = np.einsum("pyxc,nyxc->np", responses, weights).reshape(images.shape)
    np.testing.assert_allclose(tape.gradient(loss, images), expected, atol=1e-5)
