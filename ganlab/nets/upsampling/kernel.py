"""What the operators with one convolution kernel share: kernel [k,k,Ci,Co], bias [Co]; plain or fused."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from ganlab.nets import convolution
from ganlab.nets.upsampling.base import Macs, Upsampling, filled, plain_options, transposed_twin
from ganlab.nets.upsampling.fusion import Pair, as_pair, require_odd

ops: Any = keras.ops  # type checkers infer the wrong types from its backends
IMPLEMENTATIONS = ("fused", "plain")


class KernelUpsampling(Upsampling):
    """An operator with a kernel and a bias of its own. A subclass's `call` says how they make an image.

    Kernels stay float32 until they are used, so that folding adds no rounding under mixed precision.
    fold: (kernel, scale) -> the kernel of the equal transposed convolution; None if there is none.
    taps: scale -> the filter that enlarges before the convolution, for the cost; None if that costs nothing.
    """

    fold: Callable[[Any, Pair], Any] | None = None
    taps: Callable[[int], np.ndarray] | None = None

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

    def build(self, input_shape: Any) -> None:
        """Draw the kernel for the channels that come in."""
        self.kernel = self.add_kernel("kernel", (*self.kernel_size, input_shape[-1], self.filters))
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros") if self.use_bias else None

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
        return self.folded(np.asarray(ops.convert_to_numpy(self.kernel), np.float64))

    def folded(self, kernel: Any) -> Any:
        """A kernel of this operator as that of a transposed convolution."""
        fold = type(self).fold
        assert fold is not None
        return fold(kernel, self.scale)

    def sources(self, axis: int, low: int, high: int) -> Pair:
        """Those of the convolution, then those of the enlargement before it: every pixel repeated."""
        size, s = self.kernel_size[axis], self.scale[axis]
        return self.enlarged_from(low - (size - 1) // 2, high + size // 2, s)

    def enlarged_from(self, low: int, high: int, s: int) -> Pair:
        """The input pixels that the pixels low...high of the enlarged map come from."""
        return low // s, high // s

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
        taps = type(self).taps
        enlarge = area * int(np.prod([len(taps(s)) for s in self.scale])) * ci if taps else 0
        written = area * self.phases * int(np.prod(self.kernel_size)) * ci * self.filters + enlarge
        return Macs(written, written)

    def resized_stock(self, interpolation: str) -> Any:
        """UpSampling2D and Conv2D with the layer's weights."""
        up = keras.layers.UpSampling2D(
            self.scale, data_format="channels_last", interpolation=interpolation, dtype="float32"
        )
        convolve = keras.layers.Conv2D(self.filters, self.kernel_size, padding="same", **plain_options(self.use_bias))
        shape = self.built_shape()
        filled(convolve, up.compute_output_shape(shape), self.kernel, self.bias)
        return keras.Sequential([keras.Input(shape[1:]), up, convolve], name=self.name)

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
    `as_written`. steps: its layers by their usual names.
    """

    steps: str = ""
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
            return self.add_bias(self.convolve_transposed(inputs, self.folded(self.kernel)))
        return self.add_bias(self.as_written(inputs))

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return super().get_config() | {"implementation": self.implementation}

    @property
    def written_as(self) -> str:
        """The layers that it equals, and whether they are fused."""
        return f"{self.steps}{', fused' if self.implementation == 'fused' else ''}"

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


def insert_zeros(image: Any, axis: int, scale: int) -> Any:
    """Zeros after each pixel along one axis: n -> s*n."""
    shape = list(ops.shape(image))
    shape[axis] *= scale
    spaced = ops.pad(ops.expand_dims(image, axis + 1), along(axis + 1, (0, scale - 1), 5))
    return ops.reshape(spaced, (-1, *shape[1:]))


def along(axis: int, edges: tuple[int, int], rank: int) -> list[tuple[int, int]]:
    """Padding for one axis of `rank`."""
    return [edges if a == axis else (0, 0) for a in range(rank)]
