"""Nearest-neighbour enlargement, then a convolution: `UpSampling2D` + `Conv2D`, plain or fused."""

from typing import Any

import keras

from ganlab.config import Pair
from ganlab.nets.upsampling.base import FoldableUpsampling
from ganlab.nets.upsampling.fusion import fold_nearest

ops: Any = keras.ops  # type checkers infer the wrong types from its backends


@keras.saving.register_keras_serializable("ganlab")
class NearestConv2D(FoldableUpsampling):
    """Repeat rows and columns, then convolve."""

    fold = staticmethod(fold_nearest)

    @property
    def written_as(self) -> str:
        """Keras' names for its steps, and whether they are fused."""
        return f"UpSampling2D + Conv2D{', fused' if self.implementation == 'fused' else ''}"

    @property
    def explained(self) -> str:
        """Its steps, and that they are fused."""
        if self.implementation == "plain":
            return ""
        return (
            "UpSampling2D + Conv2D, fused = UpSampling2D (nearest) and Conv2D at once, as the transposed convolution "
            "that gives the same image and the same gradients."
        )

    def as_written(self, inputs: Any) -> Any:
        """Two repeats and a convolution."""
        rows = ops.repeat(inputs, self.scale[0], axis=1)
        return self.convolve(ops.repeat(rows, self.scale[1], axis=2), self.kernel)

    def stock(self, *, folded: bool = False) -> Any:
        """UpSampling2D and Conv2D, or one Conv2DTranspose."""
        return self._as_transposed() if folded else self.resized_stock("nearest")


def nearest(filters: int, *, kernel_size: int | Pair = 3, implementation: str = "fused", **options: Any) -> keras.Layer:
    """Repeat rows and columns, then convolve: no output pixel is covered by more taps than another.

    implementation: `plain` takes both steps; `fused` folds the kernel in each step into that of the one transposed
    convolution that gives the same image, borders and gradients included, with ((k+s-1)/s)^2 instead of k^2
    multiplications per output pixel. Weights are interchangeable. Only odd kernels can be fused; a plain even one
    shifts the image by half a pixel. Odena, Dumoulin and Olah, Distill 2016, doi:10.23915/distill.00003.
    """
    return NearestConv2D.drawn(filters, kernel_size=kernel_size, implementation=implementation, **options)
