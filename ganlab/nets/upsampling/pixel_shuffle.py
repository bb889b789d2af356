"""A convolution at the small size whose channels become pixels: sub-pixel convolution."""

from typing import Any

import keras
import numpy as np

from ganlab.config import Pair
from ganlab.nets.initializers import kernel_initializer
from ganlab.nets.upsampling.base import KernelUpsampling, fill, plain_options
from ganlab.nets.upsampling.fusion import as_pair, fold_pixel_shuffle, require_odd

ops: Any = keras.ops  # type checkers infer the wrong types from its backends


@keras.saving.register_keras_serializable("ganlab")
class Icnr(keras.initializers.Initializer):
    """A sub-pixel kernel whose phases start equal, so that the layer starts as convolution and nearest enlargement.

    `draw` fills one phase [k,k,Ci,Co], which is repeated phase after phase in TensorFlow's channel order.
    Aitken et al. 2017, arXiv:1707.02937.
    """

    def __init__(self, draw: Any, phases: int):
        self.draw: Any = keras.initializers.get(draw)
        self.phases = phases

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Draw and repeat."""
        return ops.tile(self.draw((*shape[:3], shape[3] // self.phases), dtype), (1, 1, 1, self.phases))

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the initializer."""
        return {"draw": keras.initializers.serialize(self.draw), "phases": self.phases}


@keras.saving.register_keras_serializable("ganlab")
class PixelShuffle2D(KernelUpsampling):
    """Convolve to s*s*Co channels at the small size, then lay them out as s x s pixels. Kernel [k,k,Ci,s*s*Co]."""

    fold = staticmethod(fold_pixel_shuffle)

    def __init__(self, filters: int, kernel_size: int | Pair, *, phase_bias: bool = True, **kwargs: Any):
        super().__init__(filters, kernel_size, **kwargs)
        require_odd("kernel_size", kernel_size, "so the image would be shifted by half an input pixel")
        self.phase_bias = phase_bias

    def build(self, input_shape: Any) -> None:
        """Draw the kernel for the channels that come in."""
        channels = self.phases * self.filters
        biases = channels if self.phase_bias else self.filters
        self.add_kernel_and_bias((*self.kernel_size, input_shape[-1], channels), biases)

    @property
    def explained(self) -> str:
        """Its two steps."""
        return "PixelShuffle2D = Conv2D to as many channels for each output pixel, laid out as pixels (depth to space)."

    def call(self, inputs: Any) -> Any:
        """Convolve and shuffle, with the bias before or after."""
        channels = self.convolve(inputs, self.kernel)
        if self.phase_bias:
            return shuffle(self.add_bias(channels), self.scale)
        return self.add_bias(shuffle(channels, self.scale))

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return super().get_config() | {"phase_bias": self.phase_bias}

    def sources(self, axis: int, low: int, high: int) -> Pair:
        """Those of the convolution, at the small size."""
        s, reach = self.scale[axis], self.kernel_size[axis] // 2
        return low // s - reach, high // s + reach

    def taps_as_kernel(self, single: np.ndarray) -> np.ndarray:
        """Phase-major: every phase has each tap once."""
        return np.tile(single, (1, 1, 1, self.phases))

    def common_bias(self) -> Any:
        """One bias for each channel; ValueError if phases have different ones."""
        bias = super().common_bias()
        if bias is None or not self.phase_bias:
            return bias
        phases = bias.reshape(self.phases, self.filters)
        if np.ptp(phases, axis=0).any():
            raise ValueError(f"{self.name} has a bias for each phase, which one transposed convolution does not have; "
                             "use folded=False")  # fmt: skip
        return phases[0]

    def stock(self, *, folded: bool = False) -> Any:
        """Conv2D, Reshape, Permute, Reshape for the height and width it was built with, or one Conv2DTranspose."""
        if folded:
            return self._as_transposed()
        shape, bias = self.known_shape(), self.bias
        if bias is not None and not self.phase_bias:
            bias = np.tile(ops.convert_to_numpy(bias), self.phases)
        channels = self.phases * self.filters
        convolve = keras.layers.Conv2D(channels, self.kernel_size, padding="same", **plain_options(self.use_bias))
        inputs = keras.Input(shape[1:])
        outputs = stock_shuffle(convolve(inputs), self.scale)
        fill(convolve, self.kernel, bias)
        return keras.Model(inputs, outputs, name=self.name)


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

    Without `phase_bias` it can be the same functions as a transposed convolution with kernel k*s, for odd kernels; even
    ones are refused, since they would shift the image by half an input pixel. Shi et al. 2016, arXiv:1609.05158.

    icnr: all phases start with the kernel that `nearest` draws with the same seed, so that the layer starts without a
    checkerboard; training does not keep it. Aitken et al. 2017, arXiv:1707.02937. phase_bias: one bias for each of the
    s*s*filters channels, before the shuffle, as the operator is usually written: a fixed pattern that a transposed
    convolution cannot have. False gives `filters` of them, after it: the default of a run's settings, so that arms
    differ in the operator alone.
    """
    stride, draw = as_pair("scale", scale), kernel_initializer(init, gain=gain, seed=seed)
    if icnr:
        draw = Icnr(draw, stride[0] * stride[1])
    return PixelShuffle2D(filters, kernel_size, phase_bias=phase_bias, scale=stride, kernel_initializer=draw, **layer)


def shuffle(channels: Any, scale: Pair) -> Any:
    """Channels to pixels, phase-major: [B,H,W,sy*sx*C] -> [B,sy*H,sx*W,C], pixel (ry,rx) from block ry*sx+rx."""
    (sy, sx), (_, height, width, depth) = scale, ops.shape(channels)
    depth //= sy * sx
    blocks = ops.transpose(ops.reshape(channels, (-1, height, width, sy, sx, depth)), (0, 1, 3, 2, 4, 5))
    return ops.reshape(blocks, (-1, height * sy, width * sx, depth))


def stock_shuffle(channels: Any, scale: Pair) -> Any:
    """The same in stock Keras layers."""
    (sy, sx), (_, height, width, depth) = scale, channels.shape
    layers = keras.layers
    blocks = layers.Reshape((height, width, sy, sx, depth // (sy * sx)), dtype="float32")(channels)
    blocks = layers.Permute((1, 3, 2, 4, 5), dtype="float32")(blocks)
    return layers.Reshape((height * sy, width * sx, depth // (sy * sx)), dtype="float32")(blocks)
