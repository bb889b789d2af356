"""The transposed convolution: `Conv2DTranspose`."""

from typing import Any

import keras
import numpy as np

from ganlab.config import Pair
from ganlab.nets.initializers import kernel_initializer
from ganlab.nets.upsampling.base import KernelUpsampling, Macs, insert_zeros, reaching, transposed_twin
from ganlab.nets.upsampling.fusion import as_pair, fold_nearest

ops: Any = keras.ops  # type checkers infer the wrong types from its backends


@keras.saving.register_keras_serializable("ganlab")
class FoldedInitializer(keras.initializers.Initializer):
    """A transposed kernel that starts as nearest enlargement and convolution: draws [k-s+1,...] and folds it."""

    def __init__(self, draw: Any, scale: Pair):
        self.draw: Any = keras.initializers.get(draw)
        self.scale = as_pair("scale", scale)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Draw and fold."""
        ky, kx, co, ci = shape
        return fold_nearest(self.draw((ky - self.scale[0] + 1, kx - self.scale[1] + 1, ci, co), dtype), self.scale)

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the initializer."""
        return {"draw": keras.initializers.serialize(self.draw), "scale": self.scale}


@keras.saving.register_keras_serializable("ganlab")
class TransposedConv2D(KernelUpsampling):
    """One transposed convolution with stride `scale` and 'same' padding: kernel [k,k,Co,Ci].

    With a 1x1 kernel and a stride it is computed as a product at the small size, then zeros in between: the same
    function and gradients. With one thread on a CPU without AVX-512, oneDNN's kernel for it writes out of bounds, and
    the process crashes sooner or later.
    """

    @property
    def written_as(self) -> str:
        """Keras' name for it."""
        return "Conv2DTranspose"

    def build(self, input_shape: Any) -> None:
        """Draw the kernel for the channels that come in."""
        self.add_kernel_and_bias((*self.kernel_size, self.filters, input_shape[-1]), self.filters)

    def call(self, inputs: Any) -> Any:
        """Enlarge and convolve at once."""
        if self.kernel_size != (1, 1) or self.scale == (1, 1):
            return self.add_bias(self.convolve_transposed(inputs, self.kernel))
        points = self.convolve(inputs, ops.transpose(self.kernel, (0, 1, 3, 2)), "valid")
        return self.add_bias(insert_zeros(insert_zeros(points, 1, self.scale[0]), 2, self.scale[1]))

    def transposed_kernel(self) -> np.ndarray:
        """Its own."""
        return np.asarray(ops.convert_to_numpy(self.kernel), np.float64)

    def sources(self, axis: int, low: int, high: int) -> Pair:
        """The input pixels whose kernels reach the output pixels."""
        return reaching(low, high, self.kernel_size[axis], self.scale[axis])

    def taps_as_kernel(self, single: np.ndarray) -> np.ndarray:
        """Out before in."""
        return single.transpose(0, 1, 3, 2)

    def own_tap(self) -> Pair:
        """After what 'same' padding crops."""
        before = [max(k - s, 0) // 2 for k, s in zip(self.kernel_size, self.scale, strict=True)]
        return before[0], before[1]

    def macs(self) -> Macs:
        """Every input pixel through the whole kernel."""
        _, height, width, ci = self.known_shape()
        total = height * width * int(np.prod(self.kernel_size)) * ci * self.filters
        return Macs(total, total)

    def _as_transposed(self) -> Any:
        # Padded with zeros to the scale: ONNX has no kernel below its stride, and oneDNN fails at 1x1.
        padding = [(0, max(s - k, 0)) for k, s in zip(self.kernel_size, self.scale, strict=True)]
        kernel = np.pad(self.transposed_kernel(), (*padding, (0, 0), (0, 0)))
        return transposed_twin(self, kernel, self.common_bias())


def transpose(
    filters: int,
    *,
    kernel_size: int | Pair = 4,
    scale: int | Pair = 2,
    init: str = "matched",
    gain: float = 1.0,
    seed: int | None = None,
    **layer: Any,
) -> keras.Layer:
    """One transposed convolution with stride `scale` and 'same' padding, as Keras' Conv2DTranspose; any kernel.

    A kernel that is not a multiple of the stride covers pixels unevenly; a smaller one leaves gaps of zeros.

    init: also `resize`, which draws what `nearest` draws with kernel kernel_size-scale+1 and the same seed (and init
    matched) and folds it: both start as the same function, and differ in what training can make of it. That size must
    be odd: with scale 2, kernel_size 4, 6, 8.
    """
    size, stride = as_pair("kernel_size", kernel_size), as_pair("scale", scale)
    draw: Any
    if init == "resize":
        drawn_size = size[0] - stride[0] + 1, size[1] - stride[1] + 1
        if min(drawn_size) < 1 or any(k % 2 == 0 for k in drawn_size):
            valid_size = stride[0] + 2, stride[1] + 2
            raise ValueError(
                f"kernel_size={kernel_size!r} with scale={scale!r} leaves init=resize a kernel of "
                f"{drawn_size[0]}x{drawn_size[1]}, which must be odd; use "
                f"kernel_size={valid_size[0] if valid_size[0] == valid_size[1] else valid_size}"
            )
        draw = FoldedInitializer(kernel_initializer("matched", gain=gain, seed=seed), stride)
    else:
        draw = kernel_initializer(init, gain=gain, seed=seed, stride=stride, transposed=True)
    return TransposedConv2D(filters, size, stride, draw, **layer)
