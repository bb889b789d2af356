"""An operator of one's own: enlarge by bicubic interpolation, then convolve.

    python -m ganlab.train --plugin examples/bicubic.py generator=bicubic
    python -m ganlab.inspect --plugin examples/bicubic.py generator=bicubic

The settings stand beside the layer, and the YAML that makes it a choice in `conf/generator/bicubic.yaml` here. `call`
is all that an operator must have: what it costs and sees, its kernel and its export are worked out from it.
"""

from typing import Any, Literal

import keras

from ganlab.config import Operator
from ganlab.nets.upsampling import Upsampling, kernel_initializer


class BicubicSettings(Operator):
    """kernel_size and init are those of every operator."""

    name: Literal["bicubic"]


class Bicubic(Upsampling):
    """Cubic interpolation (half-pixel centres), then a convolution: [B,H,W,C] -> [B,sH,sW,filters]."""

    def __init__(self, filters: int, *, kernel_size: Any = 3, scale: Any = 2, init: str = "matched", gain: float = 1.0,
                 seed: int | None = None, use_bias: bool = True, **layer: Any):  # fmt: skip
        super().__init__(filters, scale=scale, **layer)
        self.convolution = keras.layers.Conv2D(
            filters, kernel_size, padding="same", use_bias=use_bias, dtype=self.dtype_policy,
            kernel_initializer=kernel_initializer(init, gain=gain, seed=seed),
        )  # fmt: skip

    def call(self, inputs: Any) -> Any:
        """Enlarge, then convolve."""
        batch, height, width, channels = inputs.shape
        (sy, sx), shift = self.scale, (0.0, 0.0)
        # By matrices: TensorFlow's own bicubic kernel has no gradient in bfloat16, and XLA cannot compile it.
        larger = keras.ops.image.scale_and_translate(
            inputs, (batch, height * sy, width * sx, channels), (float(sy), float(sx)), shift, (1, 2), "cubic",
            antialias=False,
        )  # fmt: skip
        return self.convolution(keras.ops.cast(larger, self.compute_dtype))


UPSAMPLERS = {"bicubic": (BicubicSettings, Bicubic)}
