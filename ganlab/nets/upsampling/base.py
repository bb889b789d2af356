"""What an upsampling operator is, and what it reports about itself.

A new operator subclasses `Upsampling` and implements `call`, with stock Keras layers made in its constructor and
`keras.ops`. Everything else that the lab needs has a default here: the equivalent kernel and the receptive field are
measured, the cost is counted over the layers, the stock form is traced from `call`. An operator can override each
method. What those with one convolution kernel share is `KernelUpsampling`, plain or fused `FoldableUpsampling`.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import keras
import numpy as np

from ganlab.config import Pair
from ganlab.errors import ConfigError
from ganlab.nets import convolution
from ganlab.nets.initializers import kernel_initializer
from ganlab.nets.upsampling.fusion import as_pair, require_odd

ops: Any = keras.ops  # type checkers infer the wrong types from its backends
IMPLEMENTATIONS = ("fused", "plain")
_NOTHING = (0, -1)  # the first and last pixel of none
_SIDES = (
    17,
    33,
)  # of the images to measure an operator with: the first whose border a change at the middle does not reach


class Macs(NamedTuple):
    """Multiply-accumulates for one image: as the operator is usually written, and as this layer executes it."""

    written: int
    executed: int


class Upsampling(keras.Layer):
    """An operator [B,H,W,C] -> [B,sH,sW,filters]; scale is an int or a pair (vertical, horizontal)."""

    def __init__(self, filters: int, *, scale: int | Pair = 2, **kwargs: Any):
        super().__init__(**kwargs)
        self.filters = filters
        self.scale = as_pair("scale", scale)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: Any) -> None:
        """Build the layers that the constructor made, by one `call`; ConfigError if its result has another shape."""
        if self._layers and not all(layer.built for layer in self._layers):
            image = ops.zeros((1, _SIDES[0], _SIDES[0], input_shape[-1]), self.compute_dtype)
            made, expected = tuple(self.call(image).shape), self.compute_output_shape(image.shape)
            if made != expected:
                raise ConfigError(
                    f"the operator {type(self).__name__} makes {made} of {tuple(image.shape)}, not {expected}; "
                    "its `call` must give [B,sH,sW,filters]"
                )

    @property
    def phases(self) -> int:
        """How many output pixels there are for one input pixel."""
        return self.scale[0] * self.scale[1]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """[B,H,W,Ci] -> [B,sH,sW,Co]; unknown sizes stay unknown."""
        height, width = (None if n is None else n * s for n, s in zip(input_shape[1:3], self.scale, strict=True))
        return input_shape[0], height, width, self.filters

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return super().get_config() | {"filters": self.filters, "scale": self.scale}

    # --- what it reports about itself ---------------------------------------------------------------------------------

    @property
    def written_as(self) -> str:
        """Its layers by the names that people search for, such as `UpSampling2D + Conv2D`."""
        return type(self).__name__

    @property
    def explained(self) -> str:
        """What it is in well-known layers, as a sentence; empty if `written_as` says that already."""
        return ""

    @property
    def kernel_text(self) -> str:
        """Its kernel's size, such as `3×3`, and the one that it is folded into; empty if it has none."""
        size = getattr(self, "kernel_size", None)
        return "" if size is None else "×".join(map(str, as_pair("kernel_size", size)))

    def transposed_kernel(self) -> np.ndarray:
        """The kernel of the transposed convolution that it equals far from the border, float64 [K,K,Co,Ci].

        With the scale as stride and 'same' padding; what `lattice_fraction` takes. Measured here by one impulse for
        each input channel. Raises ValueError if it is not a convolution: its response to a sum of images is not the sum
        of its responses, or depends on their position.
        """
        channels, side = self._channels(), self._side
        half = side // 2
        impulses = np.zeros((channels, side, side, channels), np.float32)
        impulses[np.arange(channels), half, half, np.arange(channels)] = 1
        responses = self._respond(impulses)
        moved = self._respond(np.roll(impulses, 1, axis=(1, 2)))
        summed = self._respond(3 * impulses.sum(axis=0, keepdims=True))[0]
        shifts = np.allclose(np.roll(responses, self.scale, axis=(1, 2)), moved, atol=_tolerance(moved))
        if not shifts or not np.allclose(3 * responses.sum(axis=0), summed, atol=_tolerance(summed)):
            raise ValueError(
                f"{self.name} has no kernel of its own: its weights follow the image, "
                f"or it sees further than {_SIDES[-1] // 2 - 1} pixels"
            )
        affected = [np.flatnonzero(np.abs(responses).max(axis=(0, 3, 2 - axis)) > 0) for axis in (0, 1)]
        margins = [
            max(half * s - pixels.min(), pixels.max() - half * s - s + 1, 0) if pixels.size else 0
            for s, pixels in zip(self.scale, affected, strict=True)
        ]
        rows, columns = (slice(half * s - m, half * s + s + m) for s, m in zip(self.scale, margins, strict=True))
        return np.moveaxis(np.asarray(responses)[:, rows, columns], 0, 3)

    def sources(self, axis: int, low: int, high: int) -> Pair:
        """The first and last input pixel that the output pixels low...high are computed from, along one axis.

        Measured here: an input row (axis 0) or column (1) is changed, to see which output pixels change.
        """
        s, reach = self.scale[axis], self._reach[axis]
        pixels = {*range(low, min(low + s, high + 1)), *range(max(high - s + 1, low), high + 1)}
        seen = [(pixel // s, *reach[pixel % s]) for pixel in pixels if reach[pixel % s] != _NOTHING]
        if not seen:
            return low // s, low // s - 1
        return min(own + first for own, first, _ in seen), max(own + last for own, _, last in seen)

    def overlap(self, side: int) -> np.ndarray:
        """How many input pixels reach each output pixel of a side x side image: [s*side,s*side].

        Measured here by changing each in turn; an operator with a kernel may count its taps instead.
        """
        image = np.random.default_rng(0).normal(size=(1, side, side, self._channels())).astype(np.float32)
        changed = np.repeat(image, side * side, axis=0)
        changed.reshape(side * side, side * side, -1)[np.arange(side * side), np.arange(side * side)] += 1
        difference = np.abs(self._run(changed) - self._run(image)).max(axis=-1)
        return np.count_nonzero(difference > _tolerance(difference), axis=0)

    def macs(self) -> Macs:
        """The cost of one image in a built operator whose height and width are known, without borders and biases.

        Counted here over the layers that `call` uses, and for weights of its own at the output's size.
        """
        from ganlab.nets.analysis import multiplications

        try:
            of_layers = multiplications(self._graph()).executed
        except Exception:  # `call` may raise anything
            of_layers = 0
        _, height, width, _ = self.known_shape()
        of_own_weights = sum(int(np.prod(w.shape)) for w in self._trainable_variables if len(w.shape) == 4)
        total = of_layers + of_own_weights * height * width * self.phases
        return Macs(total, total)

    def with_single_one(self) -> bool:
        """Set the weights to change nothing, so that only the enlargement remains; False if no weights do that.

        Here: a kernel with a single 1 at its centre for each of its convolutions, if those are all that it learns.
        """
        learning = [layer for layer in self._flatten_layers(include_self=False) if layer.weights]
        if self._trainable_variables or not all(type(layer) is keras.layers.Conv2D for layer in learning):
            return False
        for layer in learning:
            rows, columns, *_ = shape = tuple(layer.kernel.shape)
            kernel = np.zeros(shape, np.float32)
            kernel[(rows - 1) // 2, (columns - 1) // 2] = 1
            fill(layer, kernel, None if layer.bias is None else np.zeros(layer.bias.shape))
        return True

    def with_all_ones(self) -> None:
        """Set every weight to 1, and every bias to 0."""
        for weight in self.weights:
            weight.assign(np.full(weight.shape, "bias" not in weight.name, np.float32))

    def stock(self, *, folded: bool = False) -> Any:
        """The same function in stock Keras layers with copied weights, float32: one layer, or a small model of layers.

        The result can be saved as `.keras` and opened without ganlab. folded: as one transposed convolution, for
        formats that lack the rest. Here: `call` traced over the layers that it uses. Raises ValueError if there is no
        exact equivalent, or it needs a height and a width that are unknown.
        """
        if folded:
            return self._as_transposed()
        model, why = self._traced()
        if model is None:
            try:
                return self._as_transposed()
            except ValueError:
                raise ValueError(
                    f"{self.name} is not made of stock Keras layers ({why}); create its weights in keras.layers, "
                    "or override `stock`"
                ) from None
        return model

    # --- how it is measured -------------------------------------------------------------------------------------------

    def known_shape(self) -> Any:
        """The shape that it was built for; ValueError if its height or width is unknown."""
        shape = self.built_shape()
        if None in shape[1:3]:
            raise ValueError(f"{self.name} was built for images of unknown size; build it with a height and a width")
        return shape

    def built_shape(self) -> Any:
        """The shape that it was built for, [B,H,W,C]; ValueError if it was not built."""
        if not self.built:
            raise ValueError(f"{self.name} is not built; call it on an image first")
        built: Any = self.get_build_config()
        return tuple(built["input_shape"])

    def _channels(self) -> int:
        return self.built_shape()[-1]

    def _run(self, images: np.ndarray) -> np.ndarray:
        return ops.convert_to_numpy(ops.cast(self(images), "float32")).astype(np.float64)

    def _respond(self, images: np.ndarray) -> np.ndarray:
        """The response to images, less that to zeros."""
        return self._run(images) - self._run(np.zeros_like(images[:1]))

    def _noise(self, side: int) -> np.ndarray:
        return np.random.default_rng(0).normal(size=(1, side, side, self._channels())).astype(np.float32)

    @cached_property
    def _side(self) -> int:
        for side in _SIDES:
            image = self._noise(side)
            changed = image.copy()
            changed[:, side // 2, side // 2] += 1
            difference = np.abs(self._run(changed) - self._run(image))[0].max(axis=-1)
            affected = difference > _tolerance(difference)
            rows, columns = self.scale
            affected[rows:-rows, columns:-columns] = False
            if not affected.any():
                return side
        return _SIDES[0]

    @cached_property
    def _reach(self) -> tuple[list[Pair], list[Pair]]:
        """For each axis and phase: the first and last input pixel that it is computed from, relative to its own."""
        image, side = self._noise(self._side), self._side
        ranges, half = [], side // 2
        for axis, s in enumerate(self.scale):
            changed = np.moveaxis(np.repeat(image, side, axis=0), axis + 1, 1)
            changed[np.arange(side), np.arange(side)] += 1
            difference = np.abs(self._run(np.moveaxis(changed, 1, axis + 1)) - self._run(image)).max(axis=(2 - axis, 3))
            affected = difference > _tolerance(difference)  # [input pixel, output pixel]
            places = [np.flatnonzero(affected[:, half * s + phase]) - half for phase in range(s)]
            ranges.append([(int(pixels.min()), int(pixels.max())) if pixels.size else _NOTHING for pixels in places])
        return ranges[0], ranges[1]

    def _traced(self) -> tuple[Any, str]:
        """`call` as a model of copies of the layers that it uses; None, and why, if it is not made of layers."""
        self.known_shape()
        if self._trainable_variables or self._non_trainable_variables:
            return None, "it has weights of its own"
        try:
            model = self._graph()
            twin = keras.models.clone_model(model, clone_function=_single_precision)
            twin.set_weights(model.get_weights())
            return twin, ""
        except Exception as error:  # `call` may raise anything
            return None, " ".join(str(error).split())[:200]

    def _graph(self) -> Any:
        """`call` as a model."""
        inputs = keras.Input(self.known_shape()[1:], dtype="float32")
        return keras.Model(inputs, self.call(inputs), name=self.name)

    def _as_transposed(self) -> Any:
        """One Conv2DTranspose, if that gives the same image at every pixel."""
        kernel = self.transposed_kernel()
        response = self._run(np.zeros_like(self._noise(self._side)))
        bias: Any = response[0, 0, 0]
        twin = transposed_twin(self, kernel, bias if bias.any() else None)
        image = self._noise(self._side)
        expected = self._run(image)
        if not np.allclose(ops.convert_to_numpy(twin(image)), expected, atol=_tolerance(expected)):
            raise ValueError(f"{self.name} has no exact transposed convolution; use folded=False")
        return twin


# --- operators with one convolution kernel ----------------------------------------------------------------------------


class KernelUpsampling(Upsampling):
    """An operator with a kernel and a bias of its own. A subclass's `call` says how they make an image.

    Kernels stay float32 until they are used, so that folding adds no rounding under mixed precision.
    fold: (kernel, scale) -> the kernel of the equal transposed convolution; None if there is none.
    taps: scale -> the filter that enlarges before the convolution: what one pixel becomes. None: it is repeated, which
    costs nothing.
    """

    fold: Any = None
    taps: Any = None

    def __init__(
        self,
        filters: int,
        kernel_size: int | Pair,
        scale: int | Pair = 2,
        kernel_initializer: Any = "glorot_uniform",
        use_bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(filters, scale=scale, **kwargs)
        self.kernel_size = as_pair("kernel_size", kernel_size)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.use_bias = use_bias

    @classmethod
    def drawn(cls, filters: int, *, init: str = "matched", gain: float = 1.0, seed: int | None = None, **options: Any):
        """The operator with a kernel that `kernel_initializer` draws; options: those of the constructor."""
        return cls(filters, kernel_initializer=kernel_initializer(init, gain=gain, seed=seed), **options)

    def build(self, input_shape: Any) -> None:
        """Draw the kernel for the channels that come in."""
        self.add_kernel_and_bias((*self.kernel_size, input_shape[-1], self.filters), self.filters)

    def add_kernel_and_bias(self, kernel_shape: tuple[int, ...], biases: int) -> None:
        """Create the weights."""
        self.kernel = self.add_kernel("kernel", kernel_shape)
        self.bias = self.add_weight(name="bias", shape=(biases,), initializer="zeros") if self.use_bias else None

    def add_kernel(self, name: str, shape: tuple[int, ...], initializer: Any = None) -> Any:
        """A float32 weight."""
        initializer = self.kernel_initializer if initializer is None else initializer
        return self.add_weight(name=name, shape=shape, initializer=initializer, autocast=False)

    def add_bias(self, outputs: Any) -> Any:
        """Add the bias, if there is one."""
        return outputs if self.bias is None else ops.add(outputs, self.bias)

    def convolve(self, inputs: Any, kernel: Any, padding: str = "same") -> Any:
        """A convolution of stride 1 in the layer's precision."""
        return convolution.convolve(inputs, ops.cast(kernel, self.compute_dtype), padding=padding)

    def convolve_transposed(self, inputs: Any, kernel: Any) -> Any:
        """A transposed convolution with the layer's scale as its stride."""
        return convolution.convolve_transposed(inputs, ops.cast(kernel, self.compute_dtype), self.scale)

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return super().get_config() | {
            "kernel_size": self.kernel_size,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "use_bias": self.use_bias,
        }

    def transposed_kernel(self) -> np.ndarray:
        """Folded in float64, so that a fold adds no rounding of its own; ValueError for an even kernel."""
        if self.fold is None:
            return super().transposed_kernel()
        return self.fold(np.asarray(ops.convert_to_numpy(self.kernel), np.float64), self.scale)

    def sources(self, axis: int, low: int, high: int) -> Pair:
        """Those of the convolution, then those of the enlargement before it."""
        size, s = self.kernel_size[axis], self.scale[axis]
        return self.enlarged_from(low - (size - 1) // 2, high + size // 2, s)

    def enlarged_from(self, low: int, high: int, s: int) -> Pair:
        """The input pixels that the pixels low...high of the enlarged map come from."""
        return reaching(low, high, len(self.taps(s)) if self.taps else s, s)

    def overlap(self, side: int) -> np.ndarray:
        """Counted one tap at a time: a kernel with a single 1 reaches a pixel if it makes it other than 0.

        For operators that enlarge before they convolve, the taps are those of the convolution.
        """
        taps = int(np.prod(self.kernel_size))
        single = np.eye(taps, dtype=np.float32).reshape(*self.kernel_size, 1, taps)
        layer = type(self).from_config(self.get_config() | {"filters": taps, "use_bias": False, "dtype": "float32"})
        layer.build((None, side, side, 1))
        layer.kernel.assign(self.taps_as_kernel(single))
        return np.count_nonzero(np.abs(layer._run(np.ones((1, side, side, 1), np.float32))[0]) > 1e-6, axis=-1)

    def taps_as_kernel(self, single: np.ndarray) -> np.ndarray:
        """A kernel [k,k,1,taps], each channel with one tap, as this operator stores kernels."""
        return single

    def with_single_one(self) -> bool:
        """A kernel of zeros with a single 1, where the pixel meets itself."""
        kernel = np.zeros(self.kernel.shape, np.float32)
        row, column = self.own_tap()
        kernel[row, column] = 1
        self.kernel.assign(kernel)
        return True

    def own_tap(self) -> Pair:
        """Where in the kernel a pixel meets itself."""
        return (self.kernel_size[0] - 1) // 2, (self.kernel_size[1] - 1) // 2

    def macs(self) -> Macs:
        """The convolution at the large size, and a multiplication for each tap and input channel of the enlargement."""
        _, height, width, ci = self.known_shape()
        area = height * width
        enlarge = area * int(np.prod([len(self.taps(s)) for s in self.scale])) * ci if self.taps else 0
        written = area * self.phases * int(np.prod(self.kernel_size)) * ci * self.filters + enlarge
        return Macs(written, written)

    def stock(self, *, folded: bool = False) -> Any:
        """One Conv2DTranspose, folded or not; an operator whose steps are stock layers overrides this."""
        return self._as_transposed()

    def resized_stock(self, interpolation: str) -> Any:
        """UpSampling2D and Conv2D with the layer's weights."""
        up = keras.layers.UpSampling2D(
            self.scale, data_format="channels_last", interpolation=interpolation, dtype="float32"
        )
        convolve = keras.layers.Conv2D(self.filters, self.kernel_size, padding="same", **plain_options(self.use_bias))
        model = keras.Sequential([keras.Input(self.built_shape()[1:]), up, convolve], name=self.name)
        fill(convolve, self.kernel, self.bias)
        return model

    def _as_transposed(self) -> Any:
        if self.fold is None:
            raise ValueError(f"{self.name} has no exact transposed convolution; use folded=False")
        return transposed_twin(self, self.transposed_kernel(), self.common_bias())

    def common_bias(self) -> Any:
        """One bias for each output channel, [Co], or None."""
        return None if self.bias is None else ops.convert_to_numpy(self.bias)


class FoldableUpsampling(KernelUpsampling):
    """An enlargement and a convolution, computed as written (plain) or folded into one transposed convolution (fused).

    Both give the same image and the same gradients. A subclass says what each of them is, by `fold` and
    `as_written`.
    """

    as_written: Callable[[Any], Any]

    def __init__(self, filters: int, kernel_size: int | Pair, *, implementation: str = "fused", **kwargs: Any):
        super().__init__(filters, kernel_size, **kwargs)
        if implementation not in IMPLEMENTATIONS:
            options = ", ".join(IMPLEMENTATIONS)
            raise ValueError(f"implementation={implementation!r} is unknown; choose one of: {options}")
        if implementation == "fused":
            why = "which a transposed convolution reproduces only with a shift"
            require_odd("kernel_size", kernel_size, why, ", or implementation=plain")
        self.implementation = implementation

    def call(self, inputs: Any) -> Any:
        """Enlarge and convolve."""
        if self.implementation == "fused":
            return self.add_bias(self.convolve_transposed(inputs, self.fold(self.kernel, self.scale)))
        return self.add_bias(self.as_written(inputs))

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return super().get_config() | {"implementation": self.implementation}

    @property
    def kernel_text(self) -> str:
        """The kernel as it is stored, and as it is executed."""
        if self.implementation == "plain":
            return super().kernel_text
        folded = self.transposed_kernel().shape
        return f"{super().kernel_text} as {folded[0]}×{folded[1]}"

    def macs(self) -> Macs:
        """Without folding the kernel, which is done once per step, not once per image."""
        written = super().macs().written
        if self.implementation == "plain":
            return Macs(written, written)
        _, height, width, ci = self.known_shape()
        return Macs(written, height * width * int(np.prod(self.transposed_kernel().shape[:2])) * ci * self.filters)


def reaching(low: int, high: int, length: int, scale: int) -> Pair:
    """The first and last input pixel that reach the pixels low...high, if each becomes `length` pixels around its own.

    Along one axis, with 'same' padding.
    """
    before = max(length - scale, 0) // 2
    return -((length - 1 - before - low) // scale), (high + before) // scale


def insert_zeros(image: Any, axis: int, scale: int) -> Any:
    """Zeros after each pixel along one axis: n -> s*n."""
    shape = list(ops.shape(image))
    shape[axis] *= scale
    spaced = ops.pad(ops.expand_dims(image, axis + 1), along(axis + 1, (0, scale - 1), 5))
    return ops.reshape(spaced, (-1, *shape[1:]))


def along(axis: int, edges: tuple[int, int], rank: int) -> list[tuple[int, int]]:
    """Padding for one axis of `rank`."""
    return [edges if a == axis else (0, 0) for a in range(rank)]


# --- stock layers -----------------------------------------------------------------------------------------------------


def transposed_twin(layer: Upsampling, kernel: np.ndarray, bias: Any) -> Any:
    """A stock Conv2DTranspose with this kernel [k,k,Co,Ci], to replace an operator."""
    plain = plain_options(bias is not None, layer.name)
    twin = keras.layers.Conv2DTranspose(layer.filters, kernel.shape[:2], layer.scale, "same", **plain)
    twin.build(layer.built_shape())
    fill(twin, kernel, bias)
    return twin


def plain_options(use_bias: bool, name: str | None = None) -> dict[str, Any]:
    """The options of every stock convolution in an export."""
    return {"use_bias": use_bias, "data_format": "channels_last", "dtype": "float32", "name": name}


def fill(layer: Any, kernel: Any, bias: Any) -> None:
    """Set the weights of a built stock layer; None: no bias."""
    layer.set_weights([ops.convert_to_numpy(value) for value in (kernel, bias) if value is not None])


def _tolerance(values: np.ndarray) -> float:
    """How much rounding may change values of this size."""
    return 1e-5 * float(np.abs(values).max(initial=0.0)) + 1e-12


def _single_precision(layer: Any) -> Any:
    if isinstance(layer, keras.layers.InputLayer):
        return layer.__class__.from_config(layer.get_config())
    if isinstance(layer, keras.Layer):
        if not type(layer).__module__.startswith("keras."):
            raise ValueError(f"{type(layer).__name__} is not one")
        return type(layer).from_config(layer.get_config() | {"dtype": "float32"})
    return layer  # an operation of keras.ops
