"""Convolutions that make maps smaller: [B,H,W,Ci] -> [B,ceil(H/s),ceil(W/s),Co], filtered before pixels are left out.

Convolving, smoothing with a filter h and keeping every s-th pixel is one convolution of stride s whose kernel is the
product of the two. Beyond the border an image goes on as zeros, and the convolution sees it there until the filter has
had its part, so that the two ways agree at every pixel.
"""

import math
from typing import Any

import keras
import numpy as np

from ganlab.nets.upsampling.base import Macs
from ganlab.nets.upsampling.fusion import fir_taps

ops: Any = keras.ops  # what a type checker infers of it, over all backends, is wrong


def taps_of(downsampling: str, stride: int) -> np.ndarray:
    """The filter along each axis, which adds up to 1.

    strided: none. pool: the mean over the stride. blur: [1,3,3,1]/8 for stride 2, `fir_taps` for any (Karras et al.
    2019, arXiv:1812.04948; Zhang 2019, arXiv:1904.11486).
    """
    if downsampling == "strided":
        return np.ones(1)
    if downsampling == "pool":
        return np.ones(stride) / stride
    if downsampling == "blur":
        return fir_taps(stride) / stride
    raise ValueError(f"downsampling={downsampling!r} is unknown; choose one of: strided, pool, blur")


def fold_filter(kernel: Any, taps: np.ndarray) -> Any:
    """The kernel of a convolution and of the filter behind it: [k,k,Ci,Co] -> [k+L-1,k+L-1,Ci,Co], L taps an axis."""
    ky, kx, ci, co = kernel.shape
    down, across = (np.array([np.convolve(one, taps) for one in np.eye(k)]).T for k in (ky, kx))
    both = ops.convert_to_tensor(np.kron(down, across), keras.backend.standardize_dtype(kernel.dtype))
    flat = ops.matmul(both, ops.reshape(kernel, (ky * kx, ci * co)))
    return ops.reshape(flat, (down.shape[0], across.shape[0], ci, co))


@keras.saving.register_keras_serializable("ganlab")
class DownConv2D(keras.Layer):
    """A convolution, a filter and a stride in one, kernel [k,k,Ci,Co], bias [Co]; height and width must be known.

    The kernel stays float32 until it is used, so that folding adds no rounding under mixed precision.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        *,
        stride: int = 2,
        downsampling: str = "pool",
        kernel_initializer: Any = "glorot_uniform",
        use_bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.stride = filters, kernel_size, stride
        self.downsampling, self.use_bias = downsampling, use_bias
        self.taps = taps_of(downsampling, stride)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: Any) -> None:
        """Draw the kernel for the channels that come in."""
        shape = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=self.kernel_initializer, autocast=False)
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros") if self.use_bias else None

    def weight(self) -> Any:
        """The kernel as it is used, float32."""
        return self.kernel

    def call(self, inputs: Any) -> Any:
        """One convolution of stride s."""
        if self.downsampling == "strided":
            outputs = self._convolve(inputs, self.weight(), "same")
        else:
            edges = [self._edges(n) for n in inputs.shape[1:3]]
            around = ops.pad(inputs, [(0, 0), *edges, (0, 0)])
            outputs = self._convolve(around, fold_filter(self.weight(), self.taps), "valid")
        return outputs if self.bias is None else ops.add(outputs, self.bias)

    def _convolve(self, inputs: Any, kernel: Any, padding: str) -> Any:
        stride = self.stride
        if kernel.shape[0] == 1 < stride:  # oneDNN writes beyond its memory; see `upsampling.transpose`
            inputs, stride = inputs[:, ::stride, ::stride], 1
        return ops.conv(inputs, ops.cast(kernel, self.compute_dtype), stride, padding, "channels_last")

    def _edges(self, size: int) -> tuple[int, int]:
        """Zeros before and after `size` pixels: those of 'same', those of the filter, and up to a whole last step."""
        length = len(self.taps)
        before = (self.kernel_size - 1) // 2 + (length - self.stride) // 2
        reached = (self._steps(size) - 1) * self.stride + self.kernel_size + length - 1
        return before, reached - size - before

    def _steps(self, size: int) -> int:
        return -(-size // self.stride)

    def macs(self) -> Macs:
        """Written: a convolution at the large size, then the filter; executed: their product at the small size."""
        area, taps = math.prod(self.output.shape[1:3]), len(self.taps)
        channels = math.prod(self.kernel.shape[2:])
        executed = area * (self.kernel_size + taps - 1) ** 2 * channels
        if self.downsampling == "strided":
            return Macs(executed, executed)
        return Macs(area * ((self.stride * self.kernel_size) ** 2 * channels + taps**2 * self.filters), executed)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """[B,H,W,Ci] -> [B,ceil(H/s),ceil(W/s),Co]."""
        return input_shape[0], self._steps(input_shape[1]), self._steps(input_shape[2]), self.filters

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "downsampling": self.downsampling,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "use_bias": self.use_bias,
        }
