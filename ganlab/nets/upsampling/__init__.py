"""The operators under study: functions that make an upsampling layer, [B,H,W,Ci] -> [B,sH,sW,filters].

Settings they share: `kernel_size` and `scale`, an int or a pair (vertical, horizontal); `init` and `gain`, how the
kernel is drawn (see `kernel_initializer`); `seed` of that draw, equal seeds and shapes giving equal numbers; and what
Keras takes for every such layer: `use_bias`, `name`, and `dtype`, a precision instead of the global policy. Where a
signature ends in `options` or `layer`, it takes the rest of them. A setting that the mathematics does not allow raises
ValueError in one line that names it. Layers run on every Keras backend, under XLA, with deterministic ops and in half
precision.
"""

from collections.abc import Callable

import keras

from ganlab.config import plugins
from ganlab.nets.initializers import kernel_initializer
from ganlab.nets.upsampling.base import Macs, Upsampling
from ganlab.nets.upsampling.bilinear import bilinear
from ganlab.nets.upsampling.carafe import carafe
from ganlab.nets.upsampling.fir import fir
from ganlab.nets.upsampling.fusion import fold_bilinear, fold_fir, fold_nearest, fold_pixel_shuffle
from ganlab.nets.upsampling.nearest import nearest
from ganlab.nets.upsampling.pixel_shuffle import pixel_shuffle
from ganlab.nets.upsampling.transpose import transpose

UPSAMPLERS: dict[str, Callable[..., keras.Layer]] = {
    "nearest": nearest,
    "bilinear": bilinear,
    "transpose": transpose,
    "pixel_shuffle": pixel_shuffle,
    "fir": fir,
    "carafe": carafe,
}
UPSAMPLERS.update(plugins.builders("upsamplers"))

__all__ = [
    "UPSAMPLERS",
    "Macs",
    "Upsampling",
    "bilinear",
    "carafe",
    "fir",
    "fold_bilinear",
    "fold_fir",
    "fold_nearest",
    "fold_pixel_shuffle",
    "kernel_initializer",
    "nearest",
    "pixel_shuffle",
    "transpose",
]
