"""What a network consists of, what it costs, what it sees, and what its operator does. Nothing is trained.

Our own layers report their cost (`macs()`) and what they see (`sources(axis, low, high)`) where the rules for stock
layers, which go by kernels and shapes, do not fit.
"""

import math
from typing import Any, NamedTuple

import keras
import numpy as np

from ganlab.config import Generator, Pair
from ganlab.nets.upsampling import UPSAMPLERS, Macs, Upsampling

ops: Any = keras.ops  # type checkers infer the wrong types from its backends


class Part(NamedTuple):
    """One layer of a generator. What it lacks is empty, None or 0.

    sees: how many pixels of the base map, vertical and horizontal, the best-connected pixel of this layer's output is
    computed from; the base map's border, which may leave fewer, is ignored. std: of all its
    outputs over the given latents.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    kernel: str
    parameters: int
    written: int
    executed: int
    sees: Pair | None
    std: float


class Phases(NamedTuple):
    """What an operator does in its phases, the scale x scale positions that repeat over its output.

    variance: of an output pixel if the input is white noise of variance 1, mean over channels, [sy,sx].
    sums: what each input channel of ones gives in each output channel, far from the border and without the bias,
    [sy,sx,Co,Ci]: a kernel of the size of the scale, as `lattice_fraction` takes it.
    """

    variance: np.ndarray
    sums: np.ndarray


# --- the network ----------------------------------------------------------------------------------------------------


def parts(generator: keras.Model, latents: np.ndarray) -> list[Part]:
    """The layers from the first weights to the image, in order; latents [B,Z] determine the std."""
    layers = [layer for layer in generator.layers if not isinstance(layer, keras.layers.InputLayer)]
    outputs = keras.Model(generator.inputs[0], [layer.output for layer in layers])(latents, training=False)
    rows = []
    for layer, output in zip(layers, outputs, strict=True):
        values = np.asarray(ops.convert_to_numpy(ops.cast(output, "float32")), np.float64)
        sees = receptive_field_of(generator, layer) if values.ndim == 4 else None
        shape, weights, std = tuple(layer.output.shape[1:]), layer.count_params(), float(values.std())
        rows.append(Part(layer.name, _kind(layer), shape, _kernel(layer), weights, *macs_of(layer), sees, std))
    return rows


def stages_of(generator: keras.Model) -> list[Upsampling]:
    """The operators in a generator, first to last."""
    return [layer for layer in generator.layers if isinstance(layer, Upsampling)]


def _kind(layer: Any) -> str:
    if type(layer) is keras.layers.Activation:
        return layer.activation.__name__
    return getattr(layer, "written_as", type(layer).__name__)


def _kernel(layer: Any) -> str:
    size = "×".join(map(str, layer.kernel_size)) if hasattr(layer, "kernel_size") else ""
    return getattr(layer, "kernel_text", size)


# --- what it costs ---------------------------------------------------------------------------------------------------


def multiplications(model: keras.Model) -> Macs:
    """Multiply-accumulates of a network for one image, as written and as executed here, without biases."""
    costs = [macs_of(layer) for layer in model.layers]
    return Macs(sum(cost.written for cost in costs), sum(cost.executed for cost in costs))


def macs_of(layer: Any) -> Macs:
    """The multiply-accumulates of one layer.

    In a layer without `macs`, every number of its kernel is used once at each place of its smaller side: a dense
    layer has one place, a convolution those of its output, a transposed one those of its input.
    """
    if hasattr(layer, "macs"):
        return layer.macs()
    if not hasattr(layer, "kernel"):
        return Macs(0, 0)
    axes = slice(1, len(layer.kernel.shape) - 1)
    places = min(math.prod(tensor.shape[axes]) for tensor in (layer.input, layer.output))
    count = math.prod(layer.kernel.shape) * places
    return Macs(count, count)


# --- what it sees ----------------------------------------------------------------------------------------------------


def receptive_field_of(generator: keras.Model, layer: Any) -> Pair:
    """How many pixels of a generator's base map one pixel of a layer's output sees: (vertical, horizontal).

    Over all paths through convolutions and skips. Computed from kernels and scales, not measured: pixel by pixel over
    one period of the phases, the largest count. That is the distance between the outermost pixels seen, both included;
    a kernel smaller than its scale leaves some in between unseen, and the border of the image is ignored.
    """
    base = generator.get_layer("base_map")
    after_base = generator.layers[generator.layers.index(base) + 1 :]  # each after those that it reads
    makers = {id(each.output): each for each in generator.layers}
    sides = []
    for axis in (0, 1):
        widest = 0
        for pixel in range(layer.output.shape[1 + axis] // base.output.shape[1 + axis]):
            spans = {layer: (pixel, pixel)}  # of the layers on its paths: the first and last pixel that it sees
            for each in reversed(after_base):
                if each not in spans:
                    continue
                low, high = _sources(each, axis, *spans[each])
                if high < low:  # a pixel in a gap between kernels sees nothing on this path
                    continue
                for tensor in _inputs(each):
                    before = makers[id(tensor)]
                    span = spans.get(before, (low, high))
                    spans[before] = min(low, span[0]), max(high, span[1])
            low, high = spans.get(base, (0, -1))
            widest = max(widest, high - low + 1)
        sides.append(widest)
    return sides[0], sides[1]


def _inputs(layer: Any) -> list[Any]:
    return layer.input if isinstance(layer.input, list) else [layer.input]


def _sources(layer: Any, axis: int, low: int, high: int) -> Pair:
    """The first and last input pixel that the output pixels low...high are computed from, along one axis.

    A stock layer repeats pixels, convolves at their size, or goes pixel by pixel.
    """
    if hasattr(layer, "sources"):
        return layer.sources(axis, low, high)
    repeats = layer.output.shape[1 + axis] // _inputs(layer)[0].shape[1 + axis]
    size = layer.kernel_size[axis] if hasattr(layer, "kernel_size") else 1
    return low // repeats - (size - 1) // 2, high // repeats + size // 2


# --- the operator ----------------------------------------------------------------------------------------------------


def operator(settings: Generator, channels: int, filters: int, *, scale: Pair, seed: int = 0) -> Upsampling:
    """The operator of a generator's settings, without bias, for images of any size: [B,H,W,channels] -> filters."""
    options = settings.upsampling.model_dump()
    layer = UPSAMPLERS[options.pop("name")](filters, scale=scale, seed=seed, use_bias=False, **options)
    layer.build((None, None, None, channels))
    return layer


def enlarge(layer: Any, image: np.ndarray) -> np.ndarray:
    """One image through an operator of one channel: [H,W] -> [sH,sW]."""
    return ops.convert_to_numpy(layer(np.asarray(image, np.float32)[None, :, :, None]))[0, :, :, 0]


def reach(layer: Upsampling) -> int:
    """How many input pixels away an output pixel sees: pixels nearer to the border are affected by it."""
    distance = 0
    for axis, s in enumerate(layer.scale):
        for pixel in range(s):
            low, high = layer.sources(axis, pixel, pixel)
            distance = max(distance, -low, high)
    return distance


def inside(values: np.ndarray, scale: Pair) -> np.ndarray:
    """The phases at the middle of a map of an odd number of input pixels: [sH,sW,...] -> [sy,sx,...]."""
    top, left = (n // s // 2 * s for n, s in zip(values.shape[:2], scale, strict=True))
    return values[top : top + scale[0], left : left + scale[1]]


def phases(layer: Upsampling) -> Phases:
    """Exactly, from the kernel, if the operator is a transposed convolution; else measured (carafe, even kernels)."""
    try:
        kernel = layer.transposed_kernel()
    except ValueError:
        return measured_phases(layer)
    scale = layer.scale
    first = [max(k - s, 0) // 2 for k, s in zip(kernel.shape[:2], scale, strict=True)]
    variance, sums = np.zeros(scale), np.zeros((*scale, *kernel.shape[2:]))
    for y, x in np.ndindex(*scale):
        taps = kernel[(y + first[0]) % scale[0] :: scale[0], (x + first[1]) % scale[1] :: scale[1]]
        variance[y, x] = np.mean(np.sum(taps**2, axis=(0, 1, 3)))
        sums[y, x] = taps.sum(axis=(0, 1))
    return Phases(variance, sums)


def measured_phases(layer: Upsampling, images: int = 8) -> Phases:
    """The same by measuring: white noise for the variance, flat images of one channel each for the sums."""
    scale, border = layer.scale, reach(layer)
    channels = layer.built_shape()[-1]

    def respond(inputs: np.ndarray) -> np.ndarray:
        offset = layer(np.zeros_like(inputs[:1]))
        outputs = ops.convert_to_numpy(layer(inputs)) - ops.convert_to_numpy(offset)
        return outputs.astype(np.float64)

    side = 2 * border + 1
    flat = np.zeros((channels, side, side, channels), np.float32)
    flat[np.arange(channels), :, :, np.arange(channels)] = 1
    sums = inside(respond(flat).transpose(1, 2, 3, 0), scale)
    side = 2 * border + 6
    noise = np.random.default_rng(0).normal(size=(images, side, side, channels)).astype(np.float32)
    first, last = np.multiply(border, scale), np.multiply(side - border, scale)
    responses = respond(noise)[:, first[0] : last[0], first[1] : last[1]]
    variance = np.zeros(scale)
    for y, x in np.ndindex(*scale):
        variance[y, x] = np.mean(responses[:, y :: scale[0], x :: scale[1]] ** 2)
    return Phases(variance, sums)
