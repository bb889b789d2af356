"""The operators under study: functions that make an upsampling layer, [B,H,W,Ci] -> [B,sH,sW,filters].

Settings they share: `kernel_size` and `scale`, an int or a pair (vertical, horizontal); `init` and `gain`, how the
kernel is drawn (see `start`); `seed` of that draw, equal seeds and shapes giving equal numbers. `layer` is what Keras
gives every such layer: `use_bias`, `name`, and `dtype`, a precision in place of the global policy. A setting that the
mathematics does not allow raises ValueError in one line that names it. Layers run on every Keras backend, under XLA,
with deterministic ops and in half precision.
"""

from collections.abc import Callable
from typing import Any

import keras

from ganlab.nets.upsampling.folds import (
    Pair,
    as_pair,
    fold_bilinear,
    fold_fir,
    fold_nearest,
    fold_pixel_shuffle,
)
from ganlab.nets.upsampling.layers import (
    BilinearConv2D,
    Carafe2D,
    FirConv2D,
    NearestConv2D,
    PixelShuffle2D,
    PointConv2DTranspose,
    other_seed,
)
from ganlab.nets.upsampling.start import FoldedStart, Icnr, start
from ganlab.nets.upsampling.stock import Macs, macs, stock, transposed_kernel


def nearest(
    filters: int,
    *,
    kernel_size: int | Pair = 3,
    scale: int | Pair = 2,
    init: str = "matched",
    gain: float = 1.0,
    seed: int | None = None,
    implementation: str = "fused",
    **layer: Any,
) -> keras.Layer:
    """Repeat rows and columns, then convolve: no output pixel is covered by more taps than another.

    implementation: `plain` does as it says; `fused` folds the kernel in each step into that of the one transposed
    convolution that gives the same image, borders and gradients included, with ((k+s-1)/s)^2 instead of k^2
    multiplications per output pixel. Weights are interchangeable. Only odd kernels can be fused; a plain even one
    shifts the image by half a pixel. Odena, Dumoulin and Olah, Distill 2016, doi:10.23915/distill.00003.
    """
    draw = start(init, gain=gain, seed=seed)
    return NearestConv2D(
        filters,
        kernel_size,
        implementation=implementation,
        scale=scale,
        kernel_initializer=draw,
        **layer,
    )


def bilinear(
    filters: int,
    *,
    kernel_size: int | Pair = 3,
    scale: int | Pair = 2,
    init: str = "matched",
    gain: float = 1.0,
    seed: int | None = None,
    **layer: Any,
) -> keras.Layer:
    """Interpolate linearly (half-pixel centres, edges repeated), then convolve: smoother, with duller fine detail.

    Not fused: the kernel would grow to k+3, which costs as much, and the repeated edges would be lost. Height and
    width must be known when the layer is traced, as Keras' resize asks.
    """
    draw = start(init, gain=gain, seed=seed)
    return BilinearConv2D(filters, kernel_size, scale=scale, kernel_initializer=draw, **layer)


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
    """One transposed convolution with stride `scale` and 'same' padding: Keras' own layer, any kernel.

    A kernel that is no multiple of the stride covers pixels unevenly, a smaller one leaves gaps of zeros.

    init: also `resize`, which draws what `nearest` draws with kernel kernel_size-scale+1 and the same seed (and init
    matched) and folds it: both start as the same function, and differ in what training may do to it. That size must be
    odd: with scale 2, kernel_size 4, 6, 8.
    """
    size, stride = as_pair("kernel_size", kernel_size), as_pair("scale", scale)
    draw: Any
    if init == "resize":
        drawn = size[0] - stride[0] + 1, size[1] - stride[1] + 1
        if min(drawn) < 1 or any(k % 2 == 0 for k in drawn):
            fits = stride[0] + 2, stride[1] + 2
            raise ValueError(
                f"kernel_size={kernel_size!r} with scale={scale!r} leaves init=resize a kernel of "
                f"{drawn[0]}x{drawn[1]}, which must be odd; use kernel_size={fits[0] if fits[0] == fits[1] else fits}"
            )
        draw = FoldedStart(start("matched", gain=gain, seed=seed), stride)
    else:
        draw = start(init, gain=gain, seed=seed, stride=stride, transposed=True)
    point = size == (1, 1) != stride
    return (PointConv2DTranspose if point else keras.layers.Conv2DTranspose)(
        filters,
        size,
        stride,
        "same",
        data_format="channels_last",
        kernel_initializer=draw,
        **layer,
    )


def pixel_shuffle(
    filters: int,
    *,
    kernel_size: int | Pair = 3,
    scale: int | Pair = 2,
    init: str = "matched",
    gain: float = 1.0,
    seed: int | None = None,
    icnr: bool = False,
    phase_bias: bool = True,
    **layer: Any,
) -> keras.Layer:
    """Convolve to s*s times the channels at the small size, then lay them out as pixels (sub-pixel convolution).

    Without `phase_bias` the same functions as a transposed convolution with kernel k*s, for odd kernels; even ones
    are refused, since they would shift the image by half an input pixel. Shi et al. 2016, arXiv:1609.05158.

    icnr: all phases start with the one kernel that `nearest` draws with the same seed, so that the layer starts
    without a checkerboard; training does not keep it. Aitken et al. 2017, arXiv:1707.02937.
    phase_bias: one bias for each of the s*s*filters channels, before the shuffle, as the operator is usually written:
    a fixed pattern that a transposed convolution cannot have. False gives `filters` of them, after it: what a run's
    settings say unless told otherwise, so that arms differ in the operator alone.
    """
    stride, draw = as_pair("scale", scale), start(init, gain=gain, seed=seed)
    if icnr:
        draw = Icnr(draw, stride[0] * stride[1])
    return PixelShuffle2D(
        filters,
        kernel_size,
        phase_bias=phase_bias,
        scale=stride,
        kernel_initializer=draw,
        **layer,
    )


def fir(
    filters: int,
    *,
    kernel_size: int | Pair = 3,
    scale: int | Pair = 2,
    init: str = "matched",
    gain: float = 1.0,
    seed: int | None = None,
    implementation: str = "fused",
    **layer: Any,
) -> keras.Layer:
    """Insert zeros, smooth with [1,3,3,1] (times 1/4; see `fir_taps` for other scales), convolve: StyleGAN2's way.

    Inside, scale 2 is bilinear interpolation; towards the border the image fades to zero instead of being repeated.
    The smoothed image reaches one pixel beyond the frame, and the convolution sees it there. Code that cuts it off
    first, as StyleGAN2's two separate steps would, differs in the outer ring of width k//2, and cannot be fused.

    implementation: `plain` takes the three steps; `fused` folds them into one transposed convolution with kernel
    k+3s-3, exact at every pixel, for odd kernels. Karras et al. 2020, arXiv:1912.04958.
    """
    draw = start(init, gain=gain, seed=seed)
    return FirConv2D(
        filters,
        kernel_size,
        implementation=implementation,
        scale=scale,
        kernel_initializer=draw,
        **layer,
    )


def carafe(
    filters: int,
    *,
    kernel_size: int | Pair = 3,
    scale: int | Pair = 2,
    init: str = "matched",
    gain: float = 1.0,
    seed: int | None = None,
    channels: int = 64,
    encoder_size: int = 3,
    neighbourhood: int = 5,
    **layer: Any,
) -> keras.Layer:
    """Make each pixel a weighted mean of its source's neighbourhood, with weights read off the features; convolve.

    channels: to which a 1x1 convolution compresses the features; encoder_size: the convolution that reads
    s*s*neighbourhood^2 weights from them; a softmax makes each pixel's weights add up to one. Edges are repeated, so a
    constant image stays constant. `kernel_size`, `init` and `use_bias` are those of the last convolution, whose kernel
    equals that of `nearest` with the same seed. With init matched the encoder starts small (deviation 0.001, as the
    authors' code does), so the layer starts as a mean over the neighbourhood. Wang et al. 2019, arXiv:1905.02188.
    """
    encoder = start(init, gain=1.0, seed=other_seed(seed, "encoder"))
    if init == "matched":
        encoder = keras.initializers.RandomNormal(0.0, 0.001, seed=other_seed(seed, "encoder"))
    return Carafe2D(
        filters,
        kernel_size,
        channels=channels,
        encoder_size=encoder_size,
        neighbourhood=neighbourhood,
        compressor_initializer=start(init, gain=1.0, seed=other_seed(seed, "compressor")),
        encoder_initializer=encoder,
        scale=scale,
        kernel_initializer=start(init, gain=gain, seed=seed),
        **layer,
    )


UPSAMPLERS: dict[str, Callable[..., keras.Layer]] = {
    "nearest": nearest,
    "bilinear": bilinear,
    "transpose": transpose,
    "pixel_shuffle": pixel_shuffle,
    "fir": fir,
    "carafe": carafe,
}

__all__ = [
    "UPSAMPLERS",
    "Macs",
    "bilinear",
    "carafe",
    "fir",
    "fold_bilinear",
    "fold_fir",
    "fold_nearest",
    "fold_pixel_shuffle",
    "macs",
    "nearest",
    "pixel_shuffle",
    "stock",
    "transpose",
    "transposed_kernel",
]
