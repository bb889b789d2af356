"""The operators as Keras layers: [B,H,W,Ci] -> [B,sH,sW,Co]. `ganlab.nets.upsampling` is the way in."""

import zlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from ganlab.nets.upsampling.folds import Pair, as_pair, fir_taps, fold_fir, fold_nearest, require_odd

ops: Any = keras.ops  # what a type checker infers of it, over all backends, is wrong
IMPLEMENTATIONS = ("fused", "plain")


class UpConv2D(keras.Layer):
    """What the operators share: kernel [k,k,Ci,Co], bias [Co], scale. A subclass's `call` says how they make an image.

    Kernels stay float32 until they are used, so that folding adds no rounding under mixed precision.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Pair,
        scale: int | Pair = 2,
        kernel_initializer: Any = "glorot_uniform",
        use_bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = as_pair("kernel_size", kernel_size)
        self.scale = as_pair("scale", scale)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.use_bias = use_bias
        self.input_spec = keras.layers.InputSpec(ndim=4)

    @property
    def phases(self) -> int:
        """How many output pixels stand for one input pixel."""
        return self.scale[0] * self.scale[1]

    def build(self, input_shape: Any) -> None:
        """Draw the kernel for the channels that come in."""
        self.kernel = self.add_kernel("kernel", (*self.kernel_size, input_shape[-1], self.filters))
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros") if self.use_bias else None

    def add_kernel(self, name: str, shape: tuple[int, ...], initializer: Any = None) -> Any:
        """A float32 weight."""
        initializer = self.kernel_initializer if initializer is None else initializer
        return self.add_weight(name=name, shape=shape, initializer=initializer, autocast=False)

    def shift(self, outputs: Any) -> Any:
        """Add the bias, if there is one."""
        return outputs if self.bias is None else ops.add(outputs, self.bias)

    def convolve(self, inputs: Any, kernel: Any, padding: str = "same") -> Any:
        """A convolution of stride 1 in the layer's precision."""
        return ops.conv(inputs, ops.cast(kernel, self.compute_dtype), 1, padding, "channels_last")

    def convolve_transposed(self, inputs: Any, kernel: Any) -> Any:
        """A transposed convolution with the layer's scale as its stride."""
        kernel = ops.cast(kernel, self.compute_dtype)
        return ops.conv_transpose(inputs, kernel, self.scale, "same", data_format="channels_last")

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """[B,H,W,Ci] -> [B,sH,sW,Co]; unknown sizes stay unknown."""
        height, width = (None if n is None else n * s for n, s in zip(input_shape[1:3], self.scale, strict=True))
        return input_shape[0], height, width, self.filters

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "scale": self.scale,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "use_bias": self.use_bias,
        }


@keras.saving.register_keras_serializable("ganlab")
class PointConv2DTranspose(keras.layers.Conv2DTranspose):
    """A transposed convolution with a 1x1 kernel and a stride: a product at the small size, then zeros in between.

    The same function and gradients as Keras' own layer. Computed by one thread on a CPU without AVX-512, oneDNN's
    kernel for it writes beyond its memory, and the process dies sooner or later.
    """

    def call(self, inputs: Any) -> Any:
        """Multiply, spread, and add the bias everywhere."""
        points = ops.conv(inputs, ops.transpose(self.kernel, (0, 1, 3, 2)), 1, "valid", "channels_last")
        outputs = _spread(_spread(points, 1, self.strides[0]), 2, self.strides[1])
        return self.activation(outputs if self.bias is None else ops.add(outputs, self.bias))


class _FoldedConv2D(UpConv2D):
    """An enlargement and a convolution, taken as written (plain) or folded into one transposed convolution (fused).

    Both give the same image and the same gradients. A subclass says what each of them is.
    """

    fold: Callable[[Any, Pair], Any]
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
            return self.shift(self.convolve_transposed(inputs, self.fold(self.kernel, self.scale)))
        return self.shift(self.as_written(inputs))

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return super().get_config() | {"implementation": self.implementation}


@keras.saving.register_keras_serializable("ganlab")
class NearestConv2D(_FoldedConv2D):
    """Repeat rows and columns, then convolve."""

    fold = staticmethod(fold_nearest)

    def as_written(self, inputs: Any) -> Any:
        """Two repeats and a convolution."""
        rows = ops.repeat(inputs, self.scale[0], axis=1)
        return self.convolve(ops.repeat(rows, self.scale[1], axis=2), self.kernel)


@keras.saving.register_keras_serializable("ganlab")
class FirConv2D(_FoldedConv2D):
    """Insert zeros, smooth with `fir_taps`, convolve.

    Both forms keep the `k//2` pixels of the smoothed image that lie outside the frame until the convolution has seen
    them.
    """

    fold = staticmethod(fold_fir)

    def as_written(self, inputs: Any) -> Any:
        """Zeros and taps along each axis, and a convolution."""
        smooth = inputs
        for axis, (size, scale) in enumerate(zip(self.kernel_size, self.scale, strict=True), start=1):
            smooth = _insert_and_smooth(smooth, axis, scale, (size - 1) // 2, size // 2)
        return self.convolve(smooth, self.kernel, "valid")


@keras.saving.register_keras_serializable("ganlab")
class BilinearConv2D(UpConv2D):
    """Interpolate linearly (half-pixel centres, edges repeated), then convolve."""

    def call(self, inputs: Any) -> Any:
        """Interpolate in float32, TensorFlow's result for every type, and convolve in the layer's precision."""
        height, width = ops.shape(inputs)[1:3]
        size = (height * self.scale[0], width * self.scale[1])
        larger = ops.image.resize(ops.cast(inputs, "float32"), size, "bilinear", data_format="channels_last")
        return self.shift(self.convolve(ops.cast(larger, self.compute_dtype), self.kernel))


@keras.saving.register_keras_serializable("ganlab")
class PixelShuffle2D(UpConv2D):
    """Convolve to s*s*Co channels at the small size, then lay them out as s x s pixels. Kernel [k,k,Ci,s*s*Co]."""

    def __init__(self, filters: int, kernel_size: int | Pair, *, phase_bias: bool = True, **kwargs: Any):
        super().__init__(filters, kernel_size, **kwargs)
        require_odd("kernel_size", kernel_size, "so the image would be shifted by half an input pixel")
        self.phase_bias = phase_bias

    def build(self, input_shape: Any) -> None:
        """Draw the kernel for the channels that come in."""
        channels = self.phases * self.filters
        self.kernel = self.add_kernel("kernel", (*self.kernel_size, input_shape[-1], channels))
        biases = channels if self.phase_bias else self.filters
        self.bias = self.add_weight(name="bias", shape=(biases,), initializer="zeros") if self.use_bias else None

    def call(self, inputs: Any) -> Any:
        """Convolve and shuffle, with the bias before or after."""
        channels = self.convolve(inputs, self.kernel)
        if self.phase_bias:
            return shuffle(self.shift(channels), self.scale)
        return self.shift(shuffle(channels, self.scale))

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return super().get_config() | {"phase_bias": self.phase_bias}


@keras.saving.register_keras_serializable("ganlab")
class Carafe2D(UpConv2D):
    """Reassemble each pixel from the neighbourhood of its source with weights read off the features, then convolve."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | Pair,
        *,
        channels: int = 64,
        encoder_size: int = 3,
        neighbourhood: int = 5,
        compressor_initializer: Any = "glorot_uniform",
        encoder_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(filters, kernel_size, **kwargs)
        require_odd("encoder_size", encoder_size, "so the weights would be read beside their pixel")
        require_odd("neighbourhood", neighbourhood, "so it has no pixel in its middle")
        self.channels, self.encoder_size, self.neighbourhood = channels, encoder_size, neighbourhood
        self.compressor_initializer = keras.initializers.get(compressor_initializer)
        self.encoder_initializer = keras.initializers.get(encoder_initializer)

    def build(self, input_shape: Any) -> None:
        """Draw the three kernels for the channels that come in."""
        super().build(input_shape)
        size, weights = self.encoder_size, self.phases * self.neighbourhood**2
        shape = (1, 1, input_shape[-1], self.channels)
        self.compressor = self.add_kernel("compressor", shape, self.compressor_initializer)
        self.compressor_bias = self.add_weight(name="compressor_bias", shape=(self.channels,), initializer="zeros")
        shape = (size, size, self.channels, weights)
        self.encoder = self.add_kernel("encoder", shape, self.encoder_initializer)
        self.encoder_bias = self.add_weight(name="encoder_bias", shape=(weights,), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        """Reassemble, then convolve."""
        return self.shift(self.convolve(self.reassemble(inputs), self.kernel))

    def reassemble(self, inputs: Any) -> Any:
        """The content-aware enlargement alone: [B,H,W,C] -> [B,sH,sW,C]."""
        _, height, width, channels = ops.shape(inputs)
        near = self.neighbourhood**2
        logits = ops.add(self.convolve(inputs, self.compressor), self.compressor_bias)
        logits = ops.add(self.convolve(logits, self.encoder), self.encoder_bias)
        logits = ops.reshape(logits, (-1, height * width, self.phases, near))
        weights = ops.cast(ops.softmax(ops.cast(logits, "float32"), axis=-1), self.compute_dtype)
        places = neighbours(height, width, self.neighbourhood)
        around = ops.take(ops.reshape(inputs, (-1, height * width, channels)), places, axis=1)
        around = ops.reshape(around, (-1, height * width, near, channels))
        pixels = ops.reshape(ops.matmul(weights, around), (-1, height, width, self.phases * channels))
        return shuffle(pixels, self.scale)

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return super().get_config() | {
            "channels": self.channels,
            "encoder_size": self.encoder_size,
            "neighbourhood": self.neighbourhood,
            "compressor_initializer": keras.initializers.serialize(self.compressor_initializer),
            "encoder_initializer": keras.initializers.serialize(self.encoder_initializer),
        }


def shuffle(channels: Any, scale: Pair) -> Any:
    """Channels to pixels, phase-major: [B,H,W,sy*sx*C] -> [B,sy*H,sx*W,C], pixel (ry,rx) from block ry*sx+rx."""
    (sy, sx), (_, height, width, depth) = scale, ops.shape(channels)
    depth //= sy * sx
    blocks = ops.transpose(ops.reshape(channels, (-1, height, width, sy, sx, depth)), (0, 1, 3, 2, 4, 5))
    return ops.reshape(blocks, (-1, height * sy, width * sx, depth))


def neighbours(height: Any, width: Any, size: int) -> Any:
    """Where the `size` x `size` pixels around each pixel stand in a flattened image, edges repeated: [H*W*size^2]."""
    on: Any = np if isinstance(height, int) and isinstance(width, int) else ops
    reach = on.arange(size) - size // 2
    rows = on.clip(on.reshape(on.arange(height), (-1, 1)) + reach, 0, height - 1)
    columns = on.clip(on.reshape(on.arange(width), (-1, 1)) + reach, 0, width - 1)
    places = rows[:, None, :, None] * width + columns[None, :, None, :]
    return on.reshape(places, (-1,))


def _spread(image: Any, axis: int, scale: int) -> Any:
    """Zeros behind each pixel along one axis: n -> s*n."""
    shape = list(ops.shape(image))
    shape[axis] *= scale
    apart = ops.pad(ops.expand_dims(image, axis + 1), _along(axis + 1, (0, scale - 1), 5))
    return ops.reshape(apart, (-1, *shape[1:]))


def _insert_and_smooth(image: Any, axis: int, scale: int, before: int, after: int) -> Any:
    """Zeros between the pixels along one axis, then `fir_taps`: n -> before + s*n + after, nothing cut off inside."""
    shape = list(ops.shape(image))
    shape[axis] = shape[axis] * scale + before + after
    apart = ops.pad(_spread(image, axis, scale), _along(axis, (before + 2 * scale - 2, after + scale - 1), 4))
    parts = [  # ops.slice, not indexing, whose gradient takes TensorFlow ten times as long on a CPU
        ops.multiply(ops.slice(apart, [first if a == axis else 0 for a in range(4)], shape), float(tap))
        for first, tap in enumerate(fir_taps(scale))
    ]
    return sum(parts[1:], parts[0])


def _along(axis: int, edges: tuple[int, int], rank: int) -> list[tuple[int, int]]:
    """Padding for one axis of `rank`."""
    return [edges if a == axis else (0, 0) for a in range(rank)]


def other_seed(seed: int | None, part: str) -> int | None:
    """A seed for another kernel of the same layer; the layer's own seed stays with its last kernel."""
    return None if seed is None else zlib.crc32(f"{seed}/{part}".encode()) & 0x7FFFFFFF
