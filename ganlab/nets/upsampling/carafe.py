"""Content-aware reassembly of features, then a convolution."""

import zlib
from typing import Any

import keras
import numpy as np

from ganlab.config import Pair
from ganlab.nets.initializers import kernel_initializer
from ganlab.nets.upsampling.base import KernelUpsampling, Macs, fill, plain_options
from ganlab.nets.upsampling.fusion import require_odd
from ganlab.nets.upsampling.pixel_shuffle import shuffle, stock_shuffle

ops: Any = keras.ops  # type checkers infer the wrong types from its backends
_DECISIVE = 100.0  # a bias that makes a softmax choose: exp(-100) is negligible beside 1


@keras.saving.register_keras_serializable("ganlab")
class Carafe2D(KernelUpsampling):
    """Reassemble each pixel from the neighbourhood of its source with weights read off the features, then convolve."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | Pair,
        *,
        channels: int = 64,
        encoder_size: int = 3,
        neighbourhood: int = 5,
        compressor_initializer: Any = "glorot_uniform",
        encoder_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(filters, kernel_size, **kwargs)
        require_odd("encoder_size", encoder_size, "so the weights would be read next to their pixel")
        require_odd("neighbourhood", neighbourhood, "so it has no central pixel")
        self.channels, self.encoder_size, self.neighbourhood = channels, encoder_size, neighbourhood
        self.compressor_initializer = keras.initializers.get(compressor_initializer)
        self.encoder_initializer = keras.initializers.get(encoder_initializer)

    def build(self, input_shape: Any) -> None:
        """Draw the three kernels for the channels that come in."""
        super().build(input_shape)
        size, weights = self.encoder_size, self.phases * self.neighbourhood**2
        shape = (1, 1, input_shape[-1], self.channels)
        self.compressor = self.add_kernel("compressor", shape, self.compressor_initializer)
        self.compressor_bias = self.add_weight(name="compressor_bias", shape=(self.channels,), initializer="zeros")
        shape = (size, size, self.channels, weights)
        self.encoder = self.add_kernel("encoder", shape, self.encoder_initializer)
        self.encoder_bias = self.add_weight(name="encoder_bias", shape=(weights,), initializer="zeros")

    @property
    def explained(self) -> str:
        """Its three steps."""
        return "Carafe2D = weights read off the image by two Conv2D, weighted means of neighbourhoods, Conv2D."

    def call(self, inputs: Any) -> Any:
        """Reassemble, then convolve."""
        return self.add_bias(self.convolve(self.reassemble(inputs), self.kernel))

    def reassemble(self, inputs: Any) -> Any:
        """The content-aware enlargement alone: [B,H,W,C] -> [B,sH,sW,C]."""
        _, height, width, channels = ops.shape(inputs)
        near = self.neighbourhood**2
        logits = ops.add(self.convolve(inputs, self.compressor), self.compressor_bias)
        logits = ops.add(self.convolve(logits, self.encoder), self.encoder_bias)
        logits = ops.reshape(logits, (-1, height * width, self.phases, near))
        weights = ops.cast(ops.softmax(ops.cast(logits, "float32"), axis=-1), self.compute_dtype)
        places = neighbours(height, width, self.neighbourhood)
        neighbourhoods = ops.take(ops.reshape(inputs, (-1, height * width, channels)), places, axis=1)
        neighbourhoods = ops.reshape(neighbourhoods, (-1, height * width, near, channels))
        pixels = ops.reshape(ops.matmul(weights, neighbourhoods), (-1, height, width, self.phases * channels))
        return shuffle(pixels, self.scale)

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return super().get_config() | {
            "channels": self.channels,
            "encoder_size": self.encoder_size,
            "neighbourhood": self.neighbourhood,
            "compressor_initializer": keras.initializers.serialize(self.compressor_initializer),
            "encoder_initializer": keras.initializers.serialize(self.encoder_initializer),
        }

    def transposed_kernel(self) -> np.ndarray:
        """ValueError: its weights follow the image."""
        raise ValueError(f"{self.name} has no kernel of its own: its weights follow the image")

    def enlarged_from(self, low: int, high: int, s: int) -> Pair:
        """The neighbourhood that is mixed, and the one from which the weights are read."""
        reach = max(self.neighbourhood, self.encoder_size) // 2
        return low // s - reach, high // s + reach

    def with_single_one(self) -> bool:
        """As in the others; and each pixel is made to choose its own source."""
        near = self.neighbourhood**2
        choice = np.zeros((self.phases, near), np.float32)
        choice[:, near // 2] = _DECISIVE
        self.encoder.assign(np.zeros(self.encoder.shape, np.float32))
        self.encoder_bias.assign(choice.ravel())
        return super().with_single_one()

    def macs(self) -> Macs:
        """The convolution, the mixing, and the two convolutions that compute its weights."""
        _, height, width, ci = self.known_shape()
        weights = self.phases * self.neighbourhood**2
        choose = ci * self.channels + self.encoder_size**2 * self.channels * weights
        total = super().macs().written + height * width * (choose + weights * ci)
        return Macs(total, total)

    def stock(self, *, folded: bool = False) -> Any:
        """Two Conv2D, Softmax, `keras.ops.take` and `matmul`, Reshape, Permute, Conv2D; for one size."""
        if folded:
            return self._as_transposed()
        _, height, width, channels = self.known_shape()
        near, layers = self.neighbourhood**2, keras.layers
        compress = layers.Conv2D(self.channels, 1, **plain_options(True))
        encode = layers.Conv2D(self.phases * near, self.encoder_size, padding="same", **plain_options(True))
        convolve = layers.Conv2D(self.filters, self.kernel_size, padding="same", **plain_options(self.use_bias))
        inputs = keras.Input((height, width, channels))
        weights = layers.Reshape((height * width, self.phases, near), dtype="float32")(encode(compress(inputs)))
        weights = layers.Softmax(dtype="float32")(weights)
        neighbourhoods = layers.Reshape((height * width, channels), dtype="float32")(inputs)
        neighbourhoods = ops.take(neighbourhoods, neighbours(height, width, self.neighbourhood), axis=1)
        neighbourhoods = layers.Reshape((height * width, near, channels), dtype="float32")(neighbourhoods)
        pixels = ops.matmul(weights, neighbourhoods)
        pixels = layers.Reshape((height, width, self.phases * channels), dtype="float32")(pixels)
        outputs = convolve(stock_shuffle(pixels, self.scale))
        fill(compress, self.compressor, self.compressor_bias)
        fill(encode, self.encoder, self.encoder_bias)
        fill(convolve, self.kernel, self.bias)
        return keras.Model(inputs, outputs, name=self.name)


def carafe(
    filters: int,
    *,
    kernel_size: int | Pair = 3,
    init: str = "matched",
    seed: int | None = None,
    channels: int = 64,
    encoder_size: int = 3,
    neighbourhood: int = 5,
    **options: Any,
) -> keras.Layer:
    """Make each pixel a weighted mean of its source's neighbourhood, with weights read off the features; convolve.

    channels: what a 1x1 convolution compresses the features to; encoder_size: of the convolution that reads
    s*s*neighbourhood^2 weights from them; a softmax makes each pixel's weights add up to one. Edges are repeated, so a
    constant image stays constant. `kernel_size`, `init` and `use_bias` are those of the last convolution, whose kernel
    equals that of `nearest` with the same seed. With init matched the encoder starts small (std 0.001, as the
    authors' code does), so the layer starts as a mean over the neighbourhood. Wang et al. 2019, arXiv:1905.02188.
    """
    encoder = kernel_initializer(init, gain=1.0, seed=_other_seed(seed, "encoder"))
    if init == "matched":
        encoder = keras.initializers.RandomNormal(0.0, 0.001, seed=_other_seed(seed, "encoder"))
    return Carafe2D.drawn(
        filters,
        kernel_size=kernel_size,
        init=init,
        seed=seed,
        channels=channels,
        encoder_size=encoder_size,
        neighbourhood=neighbourhood,
        compressor_initializer=kernel_initializer(init, gain=1.0, seed=_other_seed(seed, "compressor")),
        encoder_initializer=encoder,
        **options,
    )


def neighbours(height: Any, width: Any, size: int) -> Any:
    """The places in a flattened image of the `size` x `size` pixels around each pixel, edges repeated: [H*W*size^2]."""
    np_or_ops: Any = np if isinstance(height, int) and isinstance(width, int) else ops
    reach = np_or_ops.arange(size) - size // 2
    rows = np_or_ops.clip(np_or_ops.reshape(np_or_ops.arange(height), (-1, 1)) + reach, 0, height - 1)
    columns = np_or_ops.clip(np_or_ops.reshape(np_or_ops.arange(width), (-1, 1)) + reach, 0, width - 1)
    places = rows[:, None, :, None] * width + columns[None, :, None, :]
    return np_or_ops.reshape(places, (-1,))


def _other_seed(seed: int | None, part: str) -> int | None:
    """A seed for another kernel of the same layer; the layer's own seed is for its last kernel."""
    return None if seed is None else zlib.crc32(f"{seed}/{part}".encode()) & 0x7FFFFFFF
