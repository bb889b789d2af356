"""Bilinear enlargement, then a convolution: `UpSampling2D(interpolation="bilinear")` + `Conv2D`."""

from typing import Any

import keras

from ganlab.config import Pair
from ganlab.nets.upsampling.base import KernelUpsampling
from ganlab.nets.upsampling.fusion import bilinear_taps, fold_bilinear

ops: Any = keras.ops  # type checkers infer the wrong types from its backends


@keras.saving.register_keras_serializable("ganlab")
class BilinearConv2D(KernelUpsampling):
    """Interpolate linearly (half-pixel centres, edges repeated), then convolve."""

    fold = staticmethod(fold_bilinear)  # away from the border
    taps = staticmethod(bilinear_taps)

    @property
    def written_as(self) -> str:
        """Keras' names for its steps."""
        return "UpSampling2D (bilinear) + Conv2D"

    def call(self, inputs: Any) -> Any:
        """Interpolate in float32, TensorFlow's result for every type, and convolve in the layer's precision."""
        height, width = ops.shape(inputs)[1:3]
        size = (height * self.scale[0], width * self.scale[1])
        larger = ops.image.resize(ops.cast(inputs, "float32"), size, "bilinear", data_format="channels_last")
        return self.add_bias(self.convolve(ops.cast(larger, self.compute_dtype), self.kernel))

    def stock(self, *, folded: bool = False) -> Any:
        """UpSampling2D, interpolating, and Conv2D."""
        if folded:
            raise ValueError(f"{self.name} has no exact transposed convolution; use folded=False")
        return self.resized_stock("bilinear")


def bilinear(filters: int, *, kernel_size: int | Pair = 3, **options: Any) -> keras.Layer:
    """Interpolate linearly (half-pixel centres, edges repeated), then convolve: smoother, with duller fine detail.

    Not fused: the kernel would grow to k+3, which costs as much, and the repeated edges would be lost. Height and
    width must be known when the layer is traced, as Keras' resize asks.
    """
    return BilinearConv2D.drawn(filters, kernel_size=kernel_size, **options)
