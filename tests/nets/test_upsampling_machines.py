"""Where the operators run: XLA, deterministic ops, half precision, unknown sizes, files, and a Keras without ganlab."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganlab.nets.upsampling import UPSAMPLERS

# Every operator, its twins, and the starts of its kernel; `programs` are those that differ in what runs.
FORMS = {name: (name, {}) for name in UPSAMPLERS} | {
    "nearest_plain": ("nearest", {"implementation": "plain"}),
    "fir_plain": ("fir", {"implementation": "plain"}),
    "transpose_resize": ("transpose", {"init": "resize"}),
    "pixel_shuffle_icnr": ("pixel_shuffle", {"icnr": True, "phase_bias": False}),
}
forms = pytest.mark.parametrize("form", FORMS)
programs = pytest.mark.parametrize(
    "form", [form for form in FORMS if form not in ("transpose_resize", "pixel_shuffle_icnr")]
)
SHAPE = (2, 4, 5, 3)


def make(form, filters=4, **more):
    name, chosen = FORMS[form]
    return UPSAMPLERS[name](filters, **{"seed": 1, **chosen, **more})


def image_of(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def biased(layer, shape=SHAPE):
    """The layer built, with biases that show where they are added."""
    layer.build(shape)
    for weight in layer.weights:
        if len(weight.shape) == 1:
            weight.assign(image_of(weight.shape, seed=3))
    return layer


def slope(layer, scale=1.0):
    """A function of an image: the layer's output, and the gradients of a loss at the image and all weights."""

    def both(image):
        with tf.GradientTape() as tape:
            tape.watch(image)
            outputs = layer(image)
            loss = scale * tf.reduce_mean(tf.cast(outputs, "float32") ** 2)
        return outputs, tape.gradient(loss, [image, *(weight.value for weight in layer.trainable_variables)])

    return both


def assert_near(ones, others, tolerance):
    ones, others = tf.nest.flatten(ones), tf.nest.flatten(others)
    for one, other in zip(ones, others, strict=True):
        one, other = np.asarray(tf.cast(one, "float32")), np.asarray(tf.cast(other, "float32"))
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(np.abs(other).max(), 1e-6))


@programs
@pytest.mark.slow
def test_xla_compiles_forward_and_backward_to_the_same_numbers(form):
    both = slope(biased(make(form)))
    image = tf.constant(image_of())
    compiled = tf.function(both, jit_compile=True)(image)
    assert_near(compiled, tf.function(both)(image), 1e-4)


@pytest.mark.parametrize(
    "form", ["nearest", "nearest_plain", "transpose", "pixel_shuffle", "fir", "fir_plain", "carafe"]
)
def test_height_and_width_may_be_unknown(form):
    layer = biased(make(form), (None, None, None, 3))
    traced = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 3))])
    for shape in (SHAPE, (1, 3, 2, 3)):
        assert_near(traced(image_of(shape)), layer(image_of(shape)), 1e-6)
    assert tuple(layer.compute_output_shape((None, None, None, 3))) == (None, None, None, 4)


@pytest.fixture
def deterministic():
    from tensorflow.python.framework import config

    tf.config.experimental.enable_op_determinism()
    yield
    config.disable_op_determinism()


@programs
@pytest.mark.usefixtures("deterministic")
def test_deterministic_ops_train_every_operator_to_the_same_bits(form):
    def trained():
        layer = biased(make(form))
        optimizer = keras.optimizers.Adam(0.01)
        both = tf.function(slope(layer))
        for seed in range(3):
            _, (_, *gradients) = both(tf.constant(image_of(seed=seed)))
            optimizer.apply_gradients(zip(gradients, layer.trainable_variables, strict=True))
        return layer.get_weights()

    start = biased(make(form)).get_weights()
    for one, other, before in zip(trained(), trained(), start, strict=True):
        np.testing.assert_array_equal(one, other)
        assert not np.array_equal(one, before)


@programs
@pytest.mark.parametrize(("policy", "tolerance"), [("mixed_bfloat16", 0.05), ("mixed_float16", 0.01)])
def test_half_precision_is_near_single(form, policy, tolerance):
    half, single = biased(make(form, dtype=policy)), biased(make(form))
    assert all(weight.dtype == "float32" for weight in half.weights)
    image = tf.constant(image_of())
    outputs, gradients = slope(half, scale=1024.0)(image)  # as a LossScaleOptimizer does: some gradients are tiny
    assert outputs.dtype == half.compute_dtype
    assert all(gradient.dtype == "float32" for gradient in gradients)
    assert_near((outputs, gradients), slope(single, scale=1024.0)(image), tolerance)


@forms
def test_a_layer_survives_its_own_file(form, tmp_path):
    layer = biased(make(form))
    inputs = keras.Input(SHAPE[1:])
    keras.Model(inputs, layer(inputs)).save(tmp_path / "layer.keras")
    loaded = keras.models.load_model(tmp_path / "layer.keras")
    np.testing.assert_array_equal(loaded(image_of()), layer(image_of()))
    again = type(layer).from_config(layer.get_config())
    again.build(SHAPE)
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(again.weights[0], make_built(form).weights[0])  # the draw is part of the config


def make_built(form):
    layer = make(form)
    layer.build(SHAPE)
    return layer


# --- stock Keras layers ---------------------------------------------------------------------------------------------


@forms
@pytest.mark.parametrize("scale", [2, (2, 3)])
def test_stock_layers_compute_the_same(form, scale):
    if form == "transpose_resize" and scale != 2:
        scale = (2, 4)
    layer = biased(make(form, scale=scale))
    twin = layer.stock()
    assert twin.name == layer.name
    assert_near(twin(image_of()), layer(image_of()), 1e-5)


def test_stock_layers_are_float32_whatever_the_precision():
    layer = biased(make("pixel_shuffle", dtype="mixed_bfloat16"))
    single = biased(make("pixel_shuffle"))
    assert layer.stock()(image_of()).dtype == "float32"
    assert_near(layer.stock()(image_of()), single(image_of()), 1e-5)


@pytest.mark.parametrize("form", ["nearest", "nearest_plain", "transpose", "fir", "fir_plain", "pixel_shuffle_icnr"])
def test_folded_stock_is_one_transposed_convolution(form):
    layer = biased(make(form, scale=(2, 3), init="matched"))
    twin = layer.stock(folded=True)
    assert type(twin) is keras.layers.Conv2DTranspose
    assert_near(twin(image_of()), layer(image_of()), 1e-5)


@pytest.mark.parametrize(
    ("form", "line"),
    {
        "bilinear": "no exact transposed convolution",
        "carafe": "no exact transposed convolution",
        "pixel_shuffle": "a bias for each phase",
    }.items(),
)
def test_a_fold_that_would_not_be_exact_is_refused(form, line):
    with pytest.raises(ValueError, match=line):
        biased(make(form)).stock(folded=True)


def test_stock_says_what_it_needs():
    with pytest.raises(ValueError, match="is not built"):
        make("nearest").stock()
    with pytest.raises(ValueError, match="with a height and a width"):
        biased(make("pixel_shuffle"), (None, None, None, 3)).stock()


OPEN = """
import json, sys
import numpy as np
import keras
model = keras.models.load_model("stock.keras")
outputs = model(np.load("image.npy"))
differences = [float(np.abs(np.asarray(one) - np.load(f"{i}.npy")).max()) for i, one in enumerate(outputs)]
print(json.dumps({"differences": differences, "ganlab": any(name.startswith("ganlab") for name in sys.modules)}))
"""


@pytest.mark.slow
def test_stock_files_open_in_a_process_without_ganlab(tmp_path):
    inputs = keras.Input(SHAPE[1:])
    layers = [biased(make(form, name=form)) for form in FORMS]
    keras.Model(inputs, [layer.stock()(inputs) for layer in layers]).save(tmp_path / "stock.keras")
    np.save(tmp_path / "image.npy", image_of())
    for number, layer in enumerate(layers):
        np.save(tmp_path / f"{number}.npy", np.asarray(layer(image_of())))
    line = [sys.executable, "-I", "-c", OPEN]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert not report["ganlab"]
    assert max(report["differences"]) < 1e-5, dict(zip(FORMS, report["differences"], strict=True))
