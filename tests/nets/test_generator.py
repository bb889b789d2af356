"""Generators: residual bodies with every operator, classes behind the latents, the stock twin, receptive fields."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganlab.cli.choices import options
from ganlab.errors import ConfigError
from ganlab.exports.portable import portable, save_portable
from ganlab.nets import analysis as anatomy
from ganlab.nets.analysis import multiplications, receptive_field_of
from ganlab.nets.generator import at_parity, build_generator
from ganlab.nets.upsampling import UPSAMPLERS
from ganlab.run.build import make_traces

SMALL = ("generator.latent_size=8", "generator.base_filters=5", "generator.stages=[[4,2],[null,2]]")
RESIDUAL = ("generator.body=residual", *SMALL)


def build(config, size=(8, 8), channels=1, classes=0) -> keras.Model:
    return build_generator(config.generator, (*size, channels), lambda name: len(name), classes)


def latents(model, count=6):
    return np.random.default_rng(0).normal(size=(count, model.input_shape[1])).astype(np.float32)


def stirred(model, seed=1):
    """The model with weights that are all different, biases and moving statistics too."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(weight.numpy() + random.uniform(0.0, 0.1, size=weight.shape))
    return model


@pytest.mark.parametrize("normalization", ["none", "batch"])
@pytest.mark.parametrize("arm", options("generator"))
def test_the_stock_twin_of_a_residual_generator_is_the_same_function(settings, arm, normalization):
    config = settings(f"generator={arm}", *RESIDUAL, f"generator.normalization={normalization}")
    model = stirred(build(config, classes=3))
    z = latents(model)
    images = model(z, training=False)
    assert images.shape == (6, 8, 8, 1) and np.std(images) > 0.01
    twin = portable(model)
    np.testing.assert_allclose(twin(z), images, atol=1e-5)
    assert all(type(layer).__module__.startswith("keras.") for layer in twin.layers)


def test_a_residual_generator_is_a_file_of_stock_layers(settings, tmp_path):
    config = settings("generator=pixel_shuffle", *RESIDUAL, "generator.normalization=batch")
    model = stirred(build(config))
    save_portable(tmp_path / "model.keras", model)
    with keras.saving.custom_object_scope({}):
        again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert not any(type(layer).__module__.startswith("ganlab") for layer in again.layers)
    np.testing.assert_allclose(again(latents(model)), model(latents(model), training=False), atol=1e-5)


@pytest.mark.parametrize("body", ["plain", "residual"])
def test_half_precision_makes_images_in_float32(settings, body):
    config = settings("generator=upsample", *SMALL, f"generator.body={body}", "generator.normalization=batch")
    exact = build(config)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(config)
    finally:
        keras.config.set_dtype_policy(policy)
    images = model(latents(model), training=True)
    assert images.dtype == "float32"
    assert [layer.compute_dtype for layer in model.layers[-2:]] == ["float32", "float32"]  # and what makes the image
    assert model.get_layer("stage1").compute_dtype == "bfloat16"
    np.testing.assert_allclose(images, exact(latents(model), training=True), atol=0.1)


def probe(model, layer):
    """The widest extent of base-map pixels that change any pixel in one period of the middle, by gradients."""
    base = model.get_layer("base_map").output
    maps = tf.Variable(np.random.default_rng(0).normal(size=(1, *base.shape[1:])).astype(np.float32))
    with tf.GradientTape(persistent=True) as tape:
        outputs = keras.Model(base, layer.output)(maps)
        period = [n // b for n, b in zip(outputs.shape[1:3], base.shape[1:3], strict=True)]
        first = [base.shape[1 + axis] // 2 * period[axis] for axis in (0, 1)]
        pixels = [tf.reduce_sum(outputs[0, first[0] + y, first[1] + x]) for y, x in np.ndindex(*period)]
    widest = [0, 0]
    for pixel in pixels:
        slope = np.abs(tape.gradient(pixel, maps, unconnected_gradients="zero").numpy())[0].sum(axis=-1)
        for axis in (0, 1):
            places = np.flatnonzero(slope.sum(axis=1 - axis))
            widest[axis] = max(widest[axis], int(places[-1] - places[0] + 1) if places.size else 0)
    return tuple(widest)


@pytest.mark.parametrize("arm", ["upsample", "upsample_bilinear", "transpose", "transpose_k5", "pixel_shuffle", "fir"])
def test_receptive_fields_through_blocks_are_what_gradients_say(settings, arm):
    config = settings(
        f"generator={arm}", *RESIDUAL, "generator.activation=leaky_relu", "generator.output=linear", "dataset.size=44"
    )
    model = stirred(build(config, (44, 44)))
    for name in ("stage1", "conv1", "skip2", "stage2", "block2", "images"):
        assert receptive_field_of(model, model.get_layer(name)) == probe(model, model.get_layer(name)), name


def test_the_parts_of_a_residual_generator_add_up(settings):
    model = build(settings("generator=upsample", *RESIDUAL))
    parts = {part.name: part for part in anatomy.parts(model, latents(model, 20))}
    cost = multiplications(model)
    assert (sum(p.written for p in parts.values()), sum(p.executed for p in parts.values())) == cost
    assert sum(part.parameters for part in parts.values()) == model.count_params()
    assert parts["conv1"].written == 9 * 4 * 4 * 16 and parts["skip1"].written == 5 * 4 * 4
    assert parts["stage2"].shape == parts["conv2"].shape == (8, 8, 4)  # null: as many as came in
    assert parts["base_map"].sees == (1, 1) and parts["base"].sees is None
    assert [stage.name for stage in anatomy.stages_of(model)] == ["stage1", "stage2"]


def test_traces_of_a_residual_generator(settings):
    model = build(settings("generator=transpose", *RESIDUAL))
    values = make_traces(model, latents(model, 32))(0)
    assert sorted(values) == [
        f"artifact/{kind}/stage{n}" for kind in ("lattice_fraction", "phase_variance") for n in (1, 2)
    ]
    assert all(np.isfinite(value) for value in values.values())


def test_matched_weights_keep_the_size_of_what_goes_through(settings):
    config = settings("generator=upsample", "generator.body=residual", "generator.output=linear")
    maps = [
        np.asarray(build_generator(config.generator, (8, 8, 1), lambda name, s=s: len(name) + 50 * s)(
            np.random.default_rng(s).normal(size=(64, 64)).astype(np.float32)))
        for s in range(6)
    ]  # fmt: skip
    assert 0.5 < np.sqrt(np.mean(np.square(maps))) < 2


def test_parity_reaches_a_residual_reference(settings):
    config = settings("generator=upsample", "generator.body=residual", "generator.parity=parameters")
    near = at_parity(config.generator, (8, 8, 1))
    reference = config.generator.model_copy(update={"upsampling": config.generator.reference})
    counts = [build(config.model_copy(update={"generator": each})).count_params() for each in (near, reference)]
    assert counts[0] == pytest.approx(counts[1], rel=0.03)
    fixed = settings("generator=upsample", "generator.body=residual", "generator.stages=[[32,2],[24,2]]")
    assert fixed.generator.widths(1) == (32, 24)
    wider = at_parity(fixed.generator.model_copy(update={"parity": "parameters"}), (8, 8, 1))
    assert wider.stages[-1].filters is not None and wider.stages[-1].filters > 24


@pytest.mark.parametrize("arm", ["transpose", "transpose_resize_init"])
def test_a_class_counts_as_much_as_its_share_of_the_inputs(settings, arm):
    config = settings(f"generator={arm}", "generator.base_filters=64")
    model = build(config, classes=16)
    assert model.input_shape == (None, 64 + 16)
    kernel = model.get_layer("base").kernel.numpy()
    latent, of_class = np.sum(kernel[:64] ** 2, axis=0).mean(), np.mean(kernel[64:] ** 2)
    assert latent + of_class == pytest.approx(2, rel=0.1)  # the gain of a ReLU, squared
    assert of_class / latent == pytest.approx(16 / 64, rel=0.1)
    z = np.concatenate([np.repeat(latents(build(config), 1), 16, axis=0), np.eye(16, dtype=np.float32)], axis=1)
    assert np.unique(np.asarray(model(z))[:, 0, 0, 0]).size == 16
    assert [w.shape for w in build(config).weights] == [w.shape for w in build(config, classes=0).weights]


@pytest.mark.parametrize(("body", "layer"), [("plain", "stage2"), ("residual", "image")])
def test_the_layer_of_the_image_has_no_gain_since_no_relu_follows(settings, body, layer):
    model = build(settings("generator=upsample", f"generator.body={body}", "generator.stages=[[256,2],[null,2]]"))
    kernel = model.get_layer(layer).weights[0].numpy()
    assert kernel.size == 9 * 256
    assert 9 * 256 * kernel.var() == pytest.approx(1, rel=0.1)


def test_an_operator_that_is_a_plain_layer_is_one_line(settings, monkeypatch):
    monkeypatch.setitem(UPSAMPLERS, "nearest", lambda filters, **options: keras.layers.UpSampling2D())
    with pytest.raises(ConfigError, match="the operator nearest is a UpSampling2D; make it a subclass of ganlab"):
        build(settings("generator=upsample", *SMALL))
