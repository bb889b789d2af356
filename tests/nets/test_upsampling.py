"""What the operators compute: against numbers worked by hand or published."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from ganlab.evaluation.spectrum import lattice_fraction
from ganlab.nets.upsampling import (
    UPSAMPLERS,
    fold_bilinear,
    fold_fir,
    fold_nearest,
    fold_pixel_shuffle,
)

SQUARE = np.array([[1, 2], [3, 4]], "float32")[None, :, :, None]
SCALES = (2, 3, 4, (2, 3))
# Name, settings.
ARMS = {
    "N3": ("nearest", {"kernel_size": 3}),
    "B3": ("bilinear", {"kernel_size": 3}),
    "F3": ("fir", {"kernel_size": 3}),
    "T2": ("transpose", {"kernel_size": 2}),
    "T3": ("transpose", {"kernel_size": 3}),
    "T4": ("transpose", {"kernel_size": 4}),
    "T5": ("transpose", {"kernel_size": 5}),
    "T6": ("transpose", {"kernel_size": 6}),
    "PS3": ("pixel_shuffle", {"kernel_size": 3}),
    "ICNR": ("pixel_shuffle", {"kernel_size": 3, "icnr": True}),
    "CARAFE": ("carafe", {"kernel_size": 3}),
}


def make(arm, filters=1, **more):
    name, chosen = ARMS[arm]
    return UPSAMPLERS[name](filters, **{"seed": 0, **chosen, **more})


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def built(layer, shape):
    layer.build(shape)
    return layer


def filled(layer, kernel, shape):
    """The layer with this kernel and no bias."""
    built(layer, shape)
    layer.kernel.assign(kernel)
    return layer


def identity(layer):
    """The layer with a kernel that passes one channel through: 1 in its middle."""
    built(layer, (None, 2, 2, 1))
    kernel = np.zeros(layer.kernel.shape, "float32")
    kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
    layer.kernel.assign(kernel)
    return layer


def picture(layer, image=SQUARE):
    return ops.convert_to_numpy(layer(image))[0, :, :, 0]


def pull(layer, image, weights_of_loss):
    """Image, and gradients of sum(image * weights_of_loss) at the input and at the kernel."""
    import tensorflow as tf

    image = tf.constant(image)
    with tf.GradientTape() as tape:
        tape.watch(image)
        outputs = layer(image)
        loss = tf.reduce_sum(outputs * weights_of_loss)
    return [value.numpy() for value in (outputs, *tape.gradient(loss, [image, layer.kernel.value]))]


def assert_same(ones, others, tolerance=1e-5):
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(1.0, np.abs(other).max()))


# --- worked examples ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("implementation", ["plain", "fused"])
def test_nearest_doubles_rows_and_columns(implementation):
    layer = identity(UPSAMPLERS["nearest"](1, kernel_size=1, implementation=implementation))
    np.testing.assert_array_equal(picture(layer), [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]])
    np.testing.assert_array_equal(picture(layer), picture(keras.layers.UpSampling2D()))


def test_nearest_takes_a_scale_for_each_axis():
    layer = identity(UPSAMPLERS["nearest"](1, kernel_size=3, scale=(2, 3)))
    np.testing.assert_array_equal(picture(layer)[::2], [[1, 1, 1, 2, 2, 2], [3, 3, 3, 4, 4, 4]])


def test_a_transposed_1x1_kernel_leaves_zeros_between():
    layer = identity(UPSAMPLERS["transpose"](1, kernel_size=1))
    np.testing.assert_array_equal(picture(layer), [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]])


def test_transposed_kernels_of_ones():
    # Worked by hand.
    for arm, expected in {
        "T3": [[1, 1, 3, 2], [1, 1, 3, 2], [4, 4, 10, 6], [3, 3, 7, 4]],
        "T4": [[1, 3, 3, 2], [4, 10, 10, 6], [4, 10, 10, 6], [3, 7, 7, 4]],
    }.items():
        layer = built(make(arm), SQUARE.shape)
        layer.kernel.assign(np.ones(layer.kernel.shape))
        np.testing.assert_allclose(picture(layer), expected, rtol=1e-5)


def test_bilinear_interpolates_between_pixel_centres():
    # and the squares of section 1.1.
    expected = [[1, 1.25, 1.75, 2], [1.5, 1.75, 2.25, 2.5], [2.5, 2.75, 3.25, 3.5], [3, 3.25, 3.75, 4]]
    layer = identity(UPSAMPLERS["bilinear"](1, kernel_size=1))
    np.testing.assert_allclose(picture(layer), expected, rtol=1e-5)
    row = picture(layer, (np.arange(6, dtype="float32") ** 2)[None, None, :, None])[0]
    np.testing.assert_allclose(row[:5], [0, 0.25, 0.75, 1.75, 3.25], rtol=1e-5)
    np.testing.assert_allclose(row[-2:], [22.75, 25], rtol=1e-5)


def test_fir_is_bilinear_inside_and_fades_at_the_edge():
    image = normal(1, 6, 7, 1)
    bilinear = picture(identity(UPSAMPLERS["bilinear"](1)), image)
    fir = picture(identity(UPSAMPLERS["fir"](1)), image)
    np.testing.assert_allclose(fir[1:-1, 1:-1], bilinear[1:-1, 1:-1], atol=1e-6)
    np.testing.assert_allclose(fir[0, 1:-1], 0.75 * bilinear[0, 1:-1], atol=1e-6)


def test_pixel_shuffle_lays_out_channels_as_tensorflow_does():
    import tensorflow as tf

    image = normal(2, 3, 4, 5)
    layer = UPSAMPLERS["pixel_shuffle"](3, kernel_size=1, seed=1, use_bias=False)
    expected = tf.nn.depth_to_space(tf.nn.conv2d(image, built(layer, image.shape).kernel, 1, "SAME"), 2)
    np.testing.assert_allclose(layer(image), expected, atol=1e-6)


def test_transposed_convolution_is_the_sum_it_is_defined_as():
    # y[o] = sum of x[i] K[t] over s i + t - q = o, with q = max(k-s,0)//2 and no flip.
    for size, stride in ((1, 2), (2, 2), (3, 2), (4, 2), (5, 2), (6, 2), (3, 3), (5, 3), (4, 4), (7, 4)):
        image, kernel = normal(4, seed=size), normal(size, seed=stride)
        expected = np.zeros(4 * stride)
        before = max(size - stride, 0) // 2
        for i in range(4):
            for t in range(size):
                if 0 <= stride * i + t - before < len(expected):
                    expected[stride * i + t - before] += image[i] * kernel[t]
        layer = UPSAMPLERS["transpose"](1, kernel_size=(1, size), scale=(1, stride))
        filled(layer, kernel[None, :, None, None], (None, 1, 4, 1))
        np.testing.assert_allclose(picture(layer, image[None, None, :, None])[0], expected, atol=1e-5)


# --- parameters and cost --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arm", "parameters"),
    {
        "N3": 73792,
        "B3": 73792,
        "F3": 73792,
        "T3": 73792,
        "T4": 131136,
        "T5": 204864,
        "T6": 294976,
        "PS3": 295168,
    }.items(),
)
def test_parameters(arm, parameters):
    # 128 -> 64 with bias.
    assert built(make(arm, 64), (None, 8, 8, 128)).count_params() == parameters


def test_multiplications():
    # 8x8 -> 16x16, 128 -> 64.
    cost = {arm: built(make(arm, 64), (None, 8, 8, 128)).macs() for arm in ARMS}
    assert cost["N3"] == (18_874_368, 8_388_608)
    assert cost["T4"] == (8_388_608, 8_388_608)
    assert cost["T3"] == (4_718_592, 4_718_592)
    assert cost["PS3"] == (18_874_368, 18_874_368)
    assert cost["T6"] == (18_874_368, 18_874_368)
    assert cost["B3"].written == cost["F3"].written == 18_874_368 + 4 * 256 * 128
    assert cost["F3"].executed == cost["T6"].executed
    plain = built(make("N3", 64, implementation="plain"), (None, 8, 8, 128))
    assert plain.macs() == (18_874_368, 18_874_368)


def test_carafe_costs_what_its_paper_says():
    # without the convolution that follows, C=256.
    layer = built(make("CARAFE", 1, kernel_size=1), (None, 1, 1, 256))
    last = 4 * 256
    biases = 64 + 100
    assert 2 * (layer.macs().written - last + biases) == 199_496
    assert layer.count_params() - biases - 256 - 1 == 73_984


# --- identities -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
@pytest.mark.parametrize("operator", ["nearest", "fir"])
def test_fused_equals_plain_everywhere(operator, kernel_size, scale):
    # I1: outputs and gradients, borders included.
    image = normal(2, 4, 5, 3)
    fused, plain = (
        UPSAMPLERS[operator](2, kernel_size=kernel_size, scale=scale, implementation=implementation, seed=1)
        for implementation in ("fused", "plain")
    )
    push = normal(*built(plain, image.shape).compute_output_shape(image.shape), seed=2)
    assert_same(pull(fused, image, push), pull(plain, image, push))


sizes = st.integers(1, 4)


@settings(max_examples=15, deadline=None)
@given(
    st.tuples(sizes, sizes, sizes, sizes),
    st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([1, 3, 5])),
    st.tuples(sizes, sizes),
    sizes,
)
def test_fused_nearest_is_keras_own_layers(shape, kernel_size, scale, filters):
    image = normal(*shape)
    layer = UPSAMPLERS["nearest"](filters, kernel_size=kernel_size, scale=scale, seed=1)
    convolve = keras.layers.Conv2D(filters, kernel_size, padding="same")
    enlarged = keras.layers.UpSampling2D(scale)(image)
    convolve(enlarged)
    convolve.set_weights(built(layer, shape).get_weights())
    assert_same([layer(image)], [convolve(enlarged)])


def test_fold_nearest_is_the_matrix_of_science():
    A = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
    kernel = normal(3, 3, 5, 4).astype("float64")
    folded = fold_nearest(kernel, 2)
    assert folded.shape == (4, 4, 4, 5)
    np.testing.assert_allclose(folded, np.einsum("ia,jb,abco->ijoc", A, A, kernel), atol=1e-12)
    np.testing.assert_allclose(fold_nearest(ops.convert_to_tensor(kernel.astype("float32")), 2), folded, atol=1e-5)
    signs = np.array([1, -1, 1, -1])
    np.testing.assert_allclose(np.einsum("i,ijoc->joc", signs, folded), 0, atol=1e-12)
    np.testing.assert_allclose(np.einsum("j,ijoc->ioc", signs, folded), 0, atol=1e-12)


def test_fold_fir_is_the_matrix_of_science():
    B = np.array([[0, 0, 1], [0, 1, 3], [1, 3, 3], [3, 3, 1], [3, 1, 0], [1, 0, 0]]) / 4
    kernel = normal(3, 3, 2, 4).astype("float64")
    expected = np.einsum("ia,jb,abco->ijoc", B, B, kernel)
    np.testing.assert_allclose(fold_fir(kernel, 2), expected, atol=1e-12)
    np.testing.assert_allclose(fold_bilinear(kernel, 2), expected, atol=1e-12)


def test_folds_keep_the_type_of_a_kernel_and_calculate_whole_numbers_exactly():
    assert fold_fir(np.ones((1, 1, 1, 1), "float32"), 2).dtype == np.float32
    np.testing.assert_array_equal(fold_fir(np.ones((1, 1, 1, 1), int), 2)[0, :, 0, 0] * 16, [1, 3, 3, 1])


@pytest.mark.parametrize("scale", SCALES)
def test_folded_bilinear_is_bilinear_inside(scale):
    # I2, for any scale: exact but for the border, where bilinear repeats the edge.
    image = normal(2, 5, 6, 3)
    layer = built(UPSAMPLERS["bilinear"](2, kernel_size=3, scale=scale, seed=1), image.shape)
    folded = filled(
        UPSAMPLERS["transpose"](2, kernel_size=layer.transposed_kernel().shape[:2], scale=scale),
        layer.transposed_kernel(),
        image.shape,
    )
    edge = np.max(scale)
    one, other = (np.asarray(x)[:, edge:-edge, edge:-edge] for x in (layer(image), folded(image)))
    assert_same([one], [other])


def test_folded_bilinear_differs_in_two_rings_and_cut_off_fir_in_one():
    # I2, scale 2: the rings in which the forms part.
    image = normal(1, 5, 6, 2)
    kernel = normal(3, 3, 2, 1)
    folded = picture(filled(UPSAMPLERS["fir"](1), kernel, image.shape), image)
    bilinear = picture(filled(UPSAMPLERS["bilinear"](1), kernel, image.shape), image)
    smooth = UPSAMPLERS["fir"](2, kernel_size=1, use_bias=False)
    filled(smooth, np.eye(2)[None, None], image.shape)
    cut = ops.convert_to_numpy(ops.conv(smooth(image), kernel, 1, "same"))[0, :, :, 0]
    for other, ring in ((bilinear, 2), (cut, 1)):
        inside = (slice(ring, -ring), slice(ring, -ring))
        np.testing.assert_allclose(folded[inside], other[inside], atol=1e-5)
        outermost = (slice(ring - 1, ring), slice(ring, -ring))
        assert np.abs(folded[outermost] - other[outermost]).max() > 1e-2


def test_fir_is_upfirdn_as_stylegan2_defines_it():
    # Zero insertion, padding p0=2, p1=1, convolution with [1,3,3,1]/8 times 2 along each axis.
    row = normal(6)
    inserted = np.zeros(12)
    inserted[::2] = row
    padded = np.pad(inserted, (2, 1))
    expected = np.convolve(padded, np.array([1, 3, 3, 1]) / 4, "valid")
    layer = filled(UPSAMPLERS["fir"](1, kernel_size=1, scale=(1, 2)), np.ones((1, 1, 1, 1)), (None, 1, 6, 1))
    np.testing.assert_allclose(picture(layer, row[None, None, :, None])[0], expected, atol=1e-6)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_pixel_shuffle_is_a_transposed_convolution(kernel_size, scale):
    # I3, borders included.
    image = normal(2, 4, 5, 3)
    layer = UPSAMPLERS["pixel_shuffle"](2, kernel_size=kernel_size, scale=scale, seed=1)
    kernel = fold_pixel_shuffle(ops.convert_to_numpy(built(layer, image.shape).kernel), scale)
    twin = filled(UPSAMPLERS["transpose"](2, kernel_size=kernel.shape[:2], scale=scale), kernel, image.shape)
    assert kernel.size == np.prod(layer.kernel.shape)
    assert_same([layer(image)], [twin(image)])


def test_a_bias_for_all_phases_makes_pixel_shuffle_and_transpose_one_family():
    layer = built(make("PS3", 64, phase_bias=False), (None, 8, 8, 128))
    assert layer.count_params() == built(make("T6", 64), (None, 8, 8, 128)).count_params() == 294_976
    layer.bias.assign(np.arange(64))
    np.testing.assert_allclose(layer(np.zeros((1, 2, 2, 128)))[0, :, :, 5], np.full((4, 4), 5.0))


def test_icnr_starts_as_nearest_after_a_convolution():
    # I4. The one kernel that all phases share is nearest's, drawn with the same seed.
    image = normal(2, 4, 5, 3)
    layer = built(UPSAMPLERS["pixel_shuffle"](6, seed=7, icnr=True), image.shape)
    one = built(UPSAMPLERS["nearest"](6, seed=7), image.shape).kernel
    np.testing.assert_array_equal(layer.kernel, np.tile(one, (1, 1, 1, 4)))
    small = ops.conv(image, one, 1, "same")
    assert_same([layer(image)], [np.repeat(np.repeat(small, 2, axis=1), 2, axis=2)])


# --- the pattern on a flat image ------------------------------------------------------------------------------------


def phases_of(arm, flat, filters=32):
    """The four values in the middle of the image that a flat input makes: [N, 2, 2, filters]."""
    return middle_of(make(arm, filters, use_bias=False), flat)


def middle_of(layer, flat):
    return np.asarray(layer(np.broadcast_to(flat[:, None, None], (len(flat), 8, 8, flat.shape[1]))))[:, 8:10, 8:10]


def energies(phases):
    """Of the lattice, and of all, for each input and channel."""
    phases = phases.astype("float64")
    lattice = phases - phases.mean(axis=(1, 2), keepdims=True)
    return np.sum(lattice**2, axis=(1, 2)), np.sum(phases**2, axis=(1, 2))


@pytest.mark.parametrize("arm", ["T2", "T3", "T4", "T5", "T6", "PS3"])
def test_independent_phases_draw_a_lattice(arm):
    # The kernel's own share, by channel pair, is the same number.
    lattice, energy = energies(phases_of(arm, normal(200, 64), filters=128))
    assert np.mean(lattice / energy) == pytest.approx(0.75, abs=0.02)
    layer = built(make(arm, 128), (None, 4, 4, 64))
    assert lattice_fraction(layer.transposed_kernel(), 2) == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("arm", ["N3", "B3", "F3", "ICNR", "CARAFE"])
def test_equal_phases_draw_none(arm):
    # Over all inputs together: where an output happens to be near 0, rounding is a large part of its own energy.
    lattice, energy = energies(phases_of(arm, normal(200, 16)))
    assert lattice.sum() / energy.sum() < 1e-10
    if arm != "CARAFE":
        layer = built(make(arm, 8), (None, 4, 4, 16))
        assert lattice_fraction(layer.transposed_kernel(), 2) < 1e-10


def test_no_scale_leaves_fir_or_nearest_a_lattice():
    for operator in ("nearest", "fir", "bilinear"):
        for scale in SCALES:
            layer = built(UPSAMPLERS[operator](4, scale=scale, seed=3), (None, 4, 4, 5))
            assert lattice_fraction(layer.transposed_kernel(), scale) < 1e-10


@pytest.mark.parametrize(("arm", "expected"), {"T3": [1, 1 / 2, 1 / 2, 1 / 4], "T5": [4 / 9, 2 / 3, 2 / 3, 1]}.items())
def test_uneven_overlap_gives_phases_different_energy(arm, expected):
    # Worked by hand.
    moments = np.mean(phases_of(arm, normal(200, 64), filters=512) ** 2, axis=(0, 3)).ravel()
    np.testing.assert_allclose(moments / moments.max(), expected, atol=0.06)


# --- how kernels start ----------------------------------------------------------------------------------------------


def output_variance(layer, channels, filters, seed=5):
    """Variance of the middle of the image under a white input, with weights of variance 1, over Ci."""
    image = normal(32, 12, 12, channels)
    kernel = normal(*built(layer, image.shape).kernel.shape, seed=seed)
    layer.kernel.assign(kernel)
    return np.var(np.asarray(layer(image))[:, 6:-6, 6:-6]) / channels


@pytest.mark.parametrize(
    ("arm", "variance"),
    {"T3": 2.25, "T4": 4, "T5": 6.25, "T6": 9, "N3": 9, "B3": 9 * 0.625**2, "F3": 9 * 0.625**2, "PS3": 9}.items(),
)
def test_output_variance_of_unit_weights(arm, variance):
    # Worked by hand.
    assert output_variance(make(arm, 64), 64, 64) == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("gain", [1.0, 2**0.5])
def test_matched_start_passes_the_input_at_its_size(arm, gain):
    # The same second moment, gain^2 times the input's, whatever the operator; on a flat image.
    phases = middle_of(make(arm, 256, gain=gain, use_bias=False), normal(64, 64))
    assert np.sqrt(np.mean(phases**2)) == pytest.approx(gain, rel=0.04)


def test_glorot_gives_nearest_four_times_the_variance_of_transpose():
    # Worked by hand.
    image = normal(8, 12, 12, 64)
    one, other = (
        np.var(np.asarray(make(arm, 64, init="keras")(image))[:, 6:-6, 6:-6]) for arm in ("N3", "T4")
    )  # fmt: skip
    assert one / other == pytest.approx(4, rel=0.05)


def test_keras_start_is_what_keras_draws():
    image = normal(1, 4, 4, 3)
    kernel = built(UPSAMPLERS["nearest"](8, init="keras", seed=3), image.shape).kernel
    np.testing.assert_array_equal(kernel, keras.initializers.GlorotUniform(seed=3)((3, 3, 3, 8)))
    kernel = built(UPSAMPLERS["transpose"](8, init="keras", seed=3), image.shape).kernel
    np.testing.assert_array_equal(kernel, keras.initializers.GlorotUniform(seed=3)((4, 4, 8, 3)))


@pytest.mark.parametrize("operator", UPSAMPLERS)
def test_dcgan_start_has_one_deviation_for_all(operator):
    layer = built(UPSAMPLERS[operator](64, init="dcgan", seed=3, gain=9.0), (None, 4, 4, 64))
    kernel = next(weight for weight in layer.weights if len(weight.shape) == 4)
    assert np.std(kernel) == pytest.approx(0.02, rel=0.02)
    assert np.mean(kernel) == pytest.approx(0, abs=0.001)


@pytest.mark.parametrize("operator", UPSAMPLERS)
@pytest.mark.parametrize("init", ["matched", "keras", "dcgan"])
def test_equal_seeds_give_equal_numbers_and_others_do_not(operator, init):
    def draw(seed):
        return built(UPSAMPLERS[operator](4, init=init, seed=seed), (None, 4, 4, 3)).get_weights()

    for one, same, other in zip(draw(1), draw(1), draw(2), strict=True):
        np.testing.assert_array_equal(one, same)
        assert one.ndim == 1 or not np.array_equal(one, other)
    assert not np.array_equal(draw(None)[0], draw(None)[0])


def test_operators_that_convolve_after_enlarging_draw_the_same_kernel():
    one, *others = (
        built(UPSAMPLERS[operator](4, seed=1), (None, 4, 4, 3)).kernel.numpy()
        for operator in ("nearest", "bilinear", "fir", "carafe")
    )
    for other in others:
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("kernel_size", "scale"), [(4, 2), (6, 2), (2, 2), (5, 3), ((4, 5), (2, 3))])
def test_resize_start_is_the_function_of_nearest(kernel_size, scale):
    image = normal(2, 4, 5, 3)
    drawn = tuple(k - s + 1 for k, s in zip(np.broadcast_to(kernel_size, 2), np.broadcast_to(scale, 2), strict=True))
    drawn = tuple(int(k) for k in drawn)
    transpose = UPSAMPLERS["transpose"](2, kernel_size=kernel_size, scale=scale, init="resize", gain=1.4, seed=9)
    nearest = UPSAMPLERS["nearest"](2, kernel_size=drawn, scale=scale, gain=1.4, seed=9)
    assert_same([transpose(image)], [nearest(image)])


def test_the_encoder_of_carafe_starts_as_a_mean():
    image = normal(1, 7, 7, 3)
    layer = built(UPSAMPLERS["carafe"](4, seed=1), image.shape)
    assert np.std(layer.encoder) == pytest.approx(0.001, rel=0.05)
    middle = np.asarray(layer.reassemble(image))[0, 6:8, 6:8]
    np.testing.assert_allclose(middle, np.broadcast_to(image[0, 1:6, 1:6].mean(axis=(0, 1)), (2, 2, 3)), atol=0.05)


# --- carafe ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
def test_carafe_keeps_a_flat_image_flat_to_the_border(scale):
    # with weights far from their start.
    layer = built(UPSAMPLERS["carafe"](2, scale=scale, seed=1, init="keras"), (None, 5, 4, 3))
    layer.encoder.assign(normal(*layer.encoder.shape))
    image = np.broadcast_to(normal(3), (2, 5, 4, 3))
    flat = np.asarray(layer.reassemble(image))
    np.testing.assert_allclose(flat, np.broadcast_to(image[0, 0, 0], flat.shape), rtol=1e-5)


def test_carafe_is_the_sum_it_is_defined_as():
    image = normal(1, 4, 5, 3)
    layer = built(UPSAMPLERS["carafe"](2, scale=(2, 3), channels=7, neighbourhood=3, seed=1, init="keras"), image.shape)
    logits = np.asarray(ops.conv(ops.conv(image, layer.compressor, 1, "same"), layer.encoder, 1, "same"))[0]
    expected = np.zeros((8, 15, 3))
    for y in range(8):
        for x in range(15):
            row, column = y // 2, x // 3
            phase = (y % 2) * 3 + x % 3
            scores = np.exp(logits[row, column, 9 * phase : 9 * phase + 9])
            for near, weight in enumerate(scores / scores.sum()):
                there = np.clip(row + near // 3 - 1, 0, 3), np.clip(column + near % 3 - 1, 0, 4)
                expected[y, x] += weight * image[0][there]
    np.testing.assert_allclose(np.asarray(layer.reassemble(image))[0], expected, atol=1e-5)


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "chosen", "line"),
    [
        ("nearest", {"kernel_size": 4}, r"kernel_size=4 is even.*; use an odd kernel_size, or implementation=plain"),
        ("fir", {"kernel_size": (3, 2)}, r"kernel_size=\(3, 2\) is even"),
        ("pixel_shuffle", {"kernel_size": 2}, r"kernel_size=2 is even.*; use an odd kernel_size"),
        ("carafe", {"neighbourhood": 4}, r"neighbourhood=4 is even"),
        ("carafe", {"encoder_size": 2}, r"encoder_size=2 is even"),
        ("transpose", {"init": "resize", "kernel_size": 5}, r"kernel_size=5 with scale=2 .*; use kernel_size=4"),
        ("transpose", {"init": "resize", "kernel_size": 2, "scale": 4}, r"use kernel_size=6"),
        ("transpose", {"init": "resize", "scale": (2, 3)}, r"use kernel_size=\(4, 5\)"),
        ("nearest", {"init": "resize"}, r"init='resize' is unknown; choose one of: matched, keras, dcgan"),
        ("nearest", {"implementation": "folded"}, r"implementation='folded' is unknown; choose one of: fused, plain"),
    ],
)
def test_what_the_mathematics_does_not_allow_is_refused_in_one_line(operator, chosen, line):
    with pytest.raises(ValueError, match=line) as error:
        UPSAMPLERS[operator](2, **chosen)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("operator", UPSAMPLERS)
@pytest.mark.parametrize("where", ["kernel_size", "scale"])
def test_sizes_are_whole_numbers_or_pairs(operator, where):
    for value in (0, -2, 1.5, True, (2,), (2, 0), "2", None):
        with pytest.raises(ValueError, match=rf"^{where}=.*; use a whole number from 1, or a pair of them$"):
            UPSAMPLERS[operator](2, **{where: value})


def test_folds_refuse_what_they_cannot_reproduce():
    with pytest.raises(ValueError, match=r"kernel_size=.* is even"):
        fold_nearest(np.ones((4, 4, 1, 1)), 2)
    with pytest.raises(ValueError, match="four axes"):
        fold_nearest(np.ones((3, 3)), 2)
    with pytest.raises(ValueError, match="multiple of 4"):
        fold_pixel_shuffle(np.ones((3, 3, 1, 6)), 2)


@pytest.mark.parametrize("operator", UPSAMPLERS)
@pytest.mark.parametrize("scale", [1, 2, (1, 3), (3, 2), [2, 2]])
def test_every_operator_takes_every_scale(operator, scale):
    layer = UPSAMPLERS[operator](4, scale=scale)
    vertical, horizontal = np.broadcast_to(scale, 2)
    expected = (2, 3 * vertical, 5 * horizontal, 4)
    assert tuple(layer(np.zeros((2, 3, 5, 2))).shape) == tuple(layer.compute_output_shape((2, 3, 5, 2))) == expected


@pytest.mark.parametrize("operator", ["nearest", "bilinear", "fir", "transpose", "carafe"])
def test_even_kernels_where_the_mathematics_allows_them(operator):
    more = {"implementation": "plain"} if operator in ("nearest", "fir") else {}
    layer = UPSAMPLERS[operator](4, kernel_size=2, **more)
    assert layer(np.zeros((2, 3, 5, 2))).shape == (2, 6, 10, 4)
