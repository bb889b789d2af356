"""Operators as other people's Keras knows them, and what they cost."""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from ganlab.nets.upsampling.folds import (
    Pair,
    bilinear_taps,
    fir_taps,
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
    UpConv2D,
    neighbours,
)

ops: Any = keras.ops  # what a type checker infers of it, over all backends, is wrong


class Macs(NamedTuple):
    """Multiply-accumulates for one image: as the operator is usually written, and as this layer executes it."""

    written: int
    executed: int


def stock(layer: Any, *, folded: bool = False) -> Any:
    """The same function in stock Keras layers with copied weights, float32: one layer, or a small model of layers.

    layer: a built operator from `UPSAMPLERS`. What comes back can be saved as `.keras` and opened without ganlab.

    nearest: UpSampling2D and Conv2D. bilinear: the same, interpolating. transpose, fir: one Conv2DTranspose.
    A 1x1 kernel goes on in zeros up to the scale. pixel_shuffle: Conv2D, Reshape, Permute, Reshape. carafe: two
    Conv2D, Softmax, `keras.ops.take` and `matmul`, Reshape, Permute and a Conv2D. The last two hold the height and
    width that the layer was built with.
    With `folded`, nearest and pixel_shuffle become one Conv2DTranspose as well, for formats that lack the rest.

    Raises ValueError where no exact equivalent exists: a fold of an even kernel, of interpolation that repeats edges,
    of a bias that differs by phase, of weights that follow the image; a reshape of an unknown height or width.
    """
    if folded and isinstance(layer, BilinearConv2D | Carafe2D):
        raise ValueError(f"{layer.name} has no exact transposed convolution; use folded=False")
    if isinstance(layer, layers.Conv2DTranspose) or folded or isinstance(layer, FirConv2D):
        return _transposed(layer)
    if isinstance(layer, NearestConv2D):
        return _resized(layer, "nearest")
    if isinstance(layer, BilinearConv2D):
        return _resized(layer, "bilinear")
    if isinstance(layer, PixelShuffle2D):
        return _shuffled(layer)
    if isinstance(layer, Carafe2D):
        return _reassembled(layer)
    raise ValueError(f"{layer.name} is a {type(layer).__name__}; use a layer made by UPSAMPLERS")


def transposed_kernel(layer: Any) -> np.ndarray:
    """The layer's transposed-convolution kernel, float64: [K,K,Co,Ci], with the layer's scale as stride.

    The kernel that `lattice_fraction` takes. For bilinear it is the operator away from the border. Raises ValueError
    for carafe, whose weights follow the image, and for even kernels of the operators that convolve after enlarging.
    """
    if isinstance(layer, Carafe2D):
        raise ValueError(f"{layer.name} has no kernel of its own: its weights follow the image")
    kernel = np.asarray(ops.convert_to_numpy(layer.kernel), np.float64)  # so that a fold adds no rounding of its own
    if isinstance(layer, layers.Conv2DTranspose):
        return kernel
    folds = {
        NearestConv2D: fold_nearest,
        BilinearConv2D: fold_bilinear,
        FirConv2D: fold_fir,
        PixelShuffle2D: fold_pixel_shuffle,
    }
    return folds[type(layer)](kernel, layer.scale)


def macs(layer: Any) -> Macs:
    """What one image costs in a built operator whose height and width are known; borders and biases are left out.

    Interpolation and smoothing count one for each tap and input channel. Folding a kernel costs once a step, not once
    an image, and is left out.
    """
    _, height, width, ci = _known(layer)
    area = height * width
    if isinstance(layer, layers.Conv2DTranspose):
        alone = area * _taps(layer.kernel_size) * ci * layer.filters
        return Macs(alone, alone)
    mix = area * layer.phases * _taps(layer.kernel_size) * ci * layer.filters
    if isinstance(layer, Carafe2D):
        weights = layer.phases * layer.neighbourhood**2
        choose = area * (ci * layer.channels + layer.encoder_size**2 * layer.channels * weights)
        total = choose + area * weights * ci + mix
        return Macs(total, total)
    enlarge = 0
    if isinstance(layer, BilinearConv2D | FirConv2D):
        taps = bilinear_taps if isinstance(layer, BilinearConv2D) else fir_taps
        enlarge = area * _taps((len(taps(layer.scale[0])), len(taps(layer.scale[1])))) * ci
    written = mix + enlarge
    if getattr(layer, "implementation", "plain") == "fused":
        return Macs(written, area * _taps(transposed_kernel(layer).shape[:2]) * ci * layer.filters)
    return Macs(written, written)


def _transposed(layer: Any) -> Any:
    kernel = transposed_kernel(layer)
    bias = None if layer.bias is None else ops.convert_to_numpy(layer.bias)
    if isinstance(layer, PixelShuffle2D) and bias is not None and layer.phase_bias:
        phases = bias.reshape(layer.phases, layer.filters)
        if np.ptp(phases, axis=0).any():
            raise ValueError(f"{layer.name} has a bias for each phase, which one transposed convolution lacks; "
                             "use folded=False")  # fmt: skip
        bias = phases[0]
    scale = layer.scale if isinstance(layer, UpConv2D) else layer.strides
    if kernel.shape[:2] == (1, 1):  # which not every machine computes right: see `PointConv2DTranspose`
        kernel = np.pad(kernel, ((0, scale[0] - 1), (0, scale[1] - 1), (0, 0), (0, 0)))
    return _filled(
        layers.Conv2DTranspose(layer.filters, kernel.shape[:2], scale, "same", **_plain(bias is not None, layer.name)),
        _built(layer),
        kernel,
        bias,
    )


def _resized(layer: Any, interpolation: str) -> Any:
    up = layers.UpSampling2D(layer.scale, data_format="channels_last", interpolation=interpolation, dtype="float32")
    convolve = layers.Conv2D(layer.filters, layer.kernel_size, padding="same", **_plain(layer.use_bias))
    shape = _built(layer)
    _filled(convolve, up.compute_output_shape(shape), layer.kernel, layer.bias)
    return keras.Sequential([keras.Input(shape[1:]), up, convolve], name=layer.name)


def _shuffled(layer: PixelShuffle2D) -> Any:
    shape = _known(layer)
    bias = layer.bias
    if bias is not None and not layer.phase_bias:
        bias = np.tile(ops.convert_to_numpy(bias), layer.phases)
    channels = layer.phases * layer.filters
    convolve = layers.Conv2D(channels, layer.kernel_size, padding="same", **_plain(layer.use_bias))
    inputs = keras.Input(shape[1:])
    outputs = _shuffle(convolve(inputs), layer.scale)
    _fill(convolve, layer.kernel, bias)
    return keras.Model(inputs, outputs, name=layer.name)


def _reassembled(layer: Carafe2D) -> Any:
    _, height, width, channels = _known(layer)
    near = layer.neighbourhood**2
    compress = layers.Conv2D(layer.channels, 1, **_plain(True))
    encode = layers.Conv2D(layer.phases * near, layer.encoder_size, padding="same", **_plain(True))
    convolve = layers.Conv2D(layer.filters, layer.kernel_size, padding="same", **_plain(layer.use_bias))
    inputs = keras.Input((height, width, channels))
    weights = layers.Reshape((height * width, layer.phases, near), dtype="float32")(encode(compress(inputs)))
    weights = layers.Softmax(dtype="float32")(weights)
    around = layers.Reshape((height * width, channels), dtype="float32")(inputs)
    around = ops.take(around, neighbours(height, width, layer.neighbourhood), axis=1)
    around = layers.Reshape((height * width, near, channels), dtype="float32")(around)
    pixels = ops.matmul(weights, around)
    pixels = layers.Reshape((height, width, layer.phases * channels), dtype="float32")(pixels)
    outputs = convolve(_shuffle(pixels, layer.scale))
    _fill(compress, layer.compressor, layer.compressor_bias)
    _fill(encode, layer.encoder, layer.encoder_bias)
    _fill(convolve, layer.kernel, layer.bias)
    return keras.Model(inputs, outputs, name=layer.name)


def _shuffle(channels: Any, scale: Pair) -> Any:
    (sy, sx), (_, height, width, depth) = scale, channels.shape
    blocks = layers.Reshape((height, width, sy, sx, depth // (sy * sx)), dtype="float32")(channels)
    blocks = layers.Permute((1, 3, 2, 4, 5), dtype="float32")(blocks)
    return layers.Reshape((height * sy, width * sx, depth // (sy * sx)), dtype="float32")(blocks)


def _plain(use_bias: bool, name: str | None = None) -> dict[str, Any]:
    return {"use_bias": use_bias, "data_format": "channels_last", "dtype": "float32", "name": name}


def _filled(layer: Any, shape: Any, kernel: Any, bias: Any) -> Any:
    layer.build(shape)
    return _fill(layer, kernel, bias)


def _fill(layer: Any, kernel: Any, bias: Any) -> Any:
    layer.set_weights([ops.convert_to_numpy(value) for value in (kernel, bias) if value is not None])
    return layer


def _taps(size: Any) -> int:
    return int(size[0]) * int(size[1])


def _built(layer: Any) -> Any:
    if not layer.built:
        raise ValueError(f"{layer.name} is not built; call it on an image first")
    return tuple(layer.get_build_config()["input_shape"])


def _known(layer: Any) -> Any:
    shape = _built(layer)
    if None in shape[1:3]:
        raise ValueError(f"{layer.name} was built for images of unknown size; build it with a height and a width")
    return shape
