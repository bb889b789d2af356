"""Zero insertion, a binomial filter, then a convolution, as in StyleGAN2, plain or fused."""

from typing import Any

import keras

from ganlab.config import Pair
from ganlab.nets.upsampling.base import FoldableUpsampling, along, insert_zeros
from ganlab.nets.upsampling.fusion import fir_taps, fold_fir

ops: Any = keras.ops  # type checkers infer the wrong types from its backends


@keras.saving.register_keras_serializable("ganlab")
class FirConv2D(FoldableUpsampling):
    """Insert zeros, smooth with `fir_taps`, convolve.

    Both forms keep the `k//2` pixels of the smoothed image beyond the frame until the convolution has used them.
    """

    fold = staticmethod(fold_fir)
    taps = staticmethod(fir_taps)

    @property
    def written_as(self) -> str:
        """Keras has no name for it."""
        return f"FirConv2D, {self.implementation}"

    @property
    def explained(self) -> str:
        """Its three steps."""
        fused = ", fused into one transposed convolution" if self.implementation == "fused" else ""
        return f"FirConv2D = zeros between the pixels, a smoothing filter along both axes, Conv2D{fused}."

    def as_written(self, inputs: Any) -> Any:
        """Zeros and taps along each axis, and a convolution."""
        smooth = inputs
        for axis, (size, scale) in enumerate(zip(self.kernel_size, self.scale, strict=True), start=1):
            smooth = _insert_and_smooth(smooth, axis, scale, (size - 1) // 2, size // 2)
        return self.convolve(smooth, self.kernel, "valid")


def fir(filters: int, *, kernel_size: int | Pair = 3, implementation: str = "fused", **options: Any) -> keras.Layer:
    """Insert zeros, smooth with [1,3,3,1] (times 1/4; see `fir_taps` for other scales), convolve, as in StyleGAN2.

    Inside, scale 2 is bilinear interpolation; towards the border the image fades to zero instead of being repeated.
    The smoothed image reaches one pixel beyond the frame, and the convolution sees that too. Code that crops it
    first, as StyleGAN2's two separate steps would, differs in the outer ring of width k//2, and cannot be fused.

    implementation: `plain` takes the three steps; `fused` folds them into one transposed convolution with kernel
    k+3s-3, exact at every pixel, for odd kernels. Karras et al. 2020, arXiv:1912.04958.
    """
    return FirConv2D.drawn(filters, kernel_size=kernel_size, implementation=implementation, **options)


def _insert_and_smooth(image: Any, axis: int, scale: int, before: int, after: int) -> Any:
    """Zeros between the pixels along one axis, then `fir_taps`: n -> before + s*n + after, not cropped in between."""
    shape = list(ops.shape(image))
    shape[axis] = shape[axis] * scale + before + after
    spaced = ops.pad(insert_zeros(image, axis, scale), along(axis, (before + 2 * scale - 2, after + scale - 1), 4))
    parts = [  # ops.slice: the gradient of indexing takes ten times as long in TensorFlow on a CPU
        ops.multiply(ops.slice(spaced, [first if a == axis else 0 for a in range(4)], shape), float(tap))
        for first, tap in enumerate(fir_taps(scale))
    ]
    return sum(parts[1:], parts[0])
