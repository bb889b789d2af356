"""What an operator says about itself, and what is computed where it says nothing: two routes that agree."""

import itertools

import keras
import numpy as np
import pytest

from ganlab.errors import ConfigError
from ganlab.nets.analysis import measured_phases, phases
from ganlab.nets.upsampling import UPSAMPLERS, Upsampling, kernel_initializer

CASES = [
    (name, size, scale)
    for name, size in [*((n, 3) for n in ("nearest", "bilinear", "transpose", "pixel_shuffle", "fir")), ("transpose", 4)]
    for scale in (2, (2, 3))
]  # fmt: skip
CASES.append(("nearest", 41, 2))  # it sees ten pixels far


def built(name, size, scale, channels=2, filters=3, side=6):
    layer = UPSAMPLERS[name](filters, kernel_size=size, scale=scale, seed=1, use_bias=False)
    layer.build((None, side, side, channels))
    return layer


@pytest.mark.parametrize(("name", "size", "scale"), CASES)
def test_the_kernel_that_is_measured_is_the_one_that_is_told(name, size, scale):
    layer = built(name, size, scale)
    kernel, measured = layer.transposed_kernel(), Upsampling.transposed_kernel(layer)
    larger = np.zeros((max(kernel.shape[0], measured.shape[0]) + 2, max(kernel.shape[1], measured.shape[1]) + 2, 3, 2))

    def centred(kernel):
        """Both so that 'same' padding cuts off alike: before = (k - s) // 2."""
        whole = np.zeros_like(larger)
        at = [(n - s) // 2 - (k - s) // 2 for n, k, s in zip(larger.shape, kernel.shape[:2], layer.scale, strict=False)]
        whole[at[0] : at[0] + kernel.shape[0], at[1] : at[1] + kernel.shape[1]] = kernel
        return whole

    np.testing.assert_allclose(centred(measured), centred(kernel), atol=1e-5)


@pytest.mark.parametrize(("name", "size", "scale"), [*CASES, ("carafe", 3, 2)])
def test_the_pixels_that_are_seen_are_those_that_are_told(name, size, scale):
    layer = built(name, size, scale)
    for axis in (0, 1):
        for low, high in ((0, 0), (1, 1), (5, 5), (4, 9), (2, 3)):
            assert Upsampling.sources(layer, axis, low, high) == layer.sources(axis, low, high), (axis, low, high)


@pytest.mark.parametrize("size", [1, 2])
def test_pixels_in_the_gaps_of_a_small_kernel_see_nothing(size):
    layer = built("transpose", size, 3)
    for low, high in itertools.combinations_with_replacement(range(9), 2):
        measured, told = Upsampling.sources(layer, 0, low, high), layer.sources(0, low, high)
        assert measured == told or (measured[1] < measured[0] and told[1] < told[0]), (low, high)


def test_weights_that_follow_the_image_have_no_kernel():
    layer = built("carafe", 3, 2)
    for weight in layer.weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    with pytest.raises(ValueError, match="its weights follow the image"):
        Upsampling.transposed_kernel(layer)


class OnlyCall(Upsampling):
    """Nearest enlargement and a convolution, made of stock layers."""

    def __init__(self, filters, *, kernel_size=3, scale=2, init="matched", gain=1.0, seed=None, use_bias=True, **layer):
        super().__init__(filters, scale=scale, **layer)
        draw = kernel_initializer(init, gain=gain, seed=seed)
        self.larger = keras.layers.UpSampling2D(self.scale)
        self.convolution = keras.layers.Conv2D(
            filters, kernel_size, padding="same", use_bias=use_bias, kernel_initializer=draw
        )

    def call(self, inputs):
        return self.convolution(self.larger(inputs))


@pytest.fixture
def pair():
    """The same function twice: one that implements `call` alone, and the built-in one."""
    ours = OnlyCall(3, seed=1)
    theirs = UPSAMPLERS["nearest"](3, seed=1, implementation="plain")
    for layer in (ours, theirs):
        layer.build((None, 6, 6, 2))
    image = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype(np.float32)
    np.testing.assert_allclose(ours(image), theirs(image), atol=1e-6)
    return ours, theirs


def test_call_alone_tells_as_much_as_the_built_in_operator(pair):
    ours, theirs = pair
    np.testing.assert_allclose(ours.transposed_kernel(), theirs.transposed_kernel(), atol=1e-6)
    assert ours.macs() == theirs.macs()
    assert [ours.sources(0, n, n) for n in range(6)] == [theirs.sources(0, n, n) for n in range(6)]
    np.testing.assert_allclose(phases(ours).variance, measured_phases(theirs).variance, rtol=0.2)
    np.testing.assert_allclose(phases(ours).sums, measured_phases(theirs).sums, atol=1e-5)
    image = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)
    outputs = []
    for layer in (OnlyCall(1), UPSAMPLERS["nearest"](1, implementation="plain")):
        layer.build((None, 2, 2, 1))
        assert layer.with_single_one()
        outputs.append(np.asarray(layer(image)))
    np.testing.assert_array_equal(outputs[0], outputs[1])


@pytest.mark.parametrize("folded", [False, True])
def test_call_alone_is_exported_in_stock_layers(pair, folded):
    ours, _ = pair
    twin = ours.stock(folded=folded)
    assert (type(twin) is keras.layers.Conv2DTranspose) == folded
    assert all(type(layer).__module__.startswith("keras.") for layer in getattr(twin, "layers", []))
    image = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype(np.float32)
    np.testing.assert_allclose(twin(image), ours(image), atol=1e-5)


class Gated(OnlyCall):
    """The same, and a weight of its own."""

    def build(self, input_shape):
        self.gate = self.add_weight(name="gate", shape=(input_shape[-1],), initializer="ones")
        super().build(input_shape)

    def call(self, inputs):
        return super().call(inputs * self.gate)


def test_a_weight_of_its_own_leaves_the_layers_counted(pair):
    layer = Gated(3, seed=1)
    layer.build((None, 6, 6, 2))
    assert layer.macs() == pair[0].macs()


class Small(OnlyCall):
    """One that forgets to enlarge."""

    def call(self, inputs):
        return self.convolution(inputs)


def test_a_map_of_another_shape_than_promised_is_one_line():
    with pytest.raises(ConfigError, match=r"the operator Small makes \(1, 17, 17, 3\) .* not \(1, 34, 34, 3\)"):
        Small(3).build((None, 6, 6, 2))


class OwnLayer(OnlyCall):
    """One whose convolution is of a class of its own."""

    class Convolution(keras.layers.Conv2D):
        """Not Keras' own."""

    def __init__(self, filters, **layer):
        super().__init__(filters, **layer)
        self.convolution = self.Convolution(filters, 3, padding="same")

    def call(self, inputs):
        return self.convolution(self.larger(inputs) + 1)


def test_a_layer_of_a_class_of_ones_own_is_no_stock_layer():
    layer = OwnLayer(3)
    layer.build((None, 6, 6, 2))
    with pytest.raises(ValueError, match=r"is not made of stock Keras layers .*Convolution"):
        layer.stock()


def test_a_fold_that_would_differ_at_the_border_is_refused():
    layer = built("bilinear", 3, 2)
    with pytest.raises(ValueError, match="no exact transposed convolution"):
        Upsampling._as_transposed(layer)
