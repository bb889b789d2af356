"""Receptive fields: which pixels an output pixel is computed from, worked out from kernels and scales."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from ganlab.config import Pair, pair
from ganlab.nets.upsampling.layers import BilinearConv2D, Carafe2D, FirConv2D, PixelShuffle2D


def receptive_field(stages: Sequence[Any]) -> Pair:
    """How many pixels of the first operator's input one pixel of the last one's output sees: (vertical, horizontal).

    Worked out from kernels and scales, not measured: pixel by pixel over one period of the phases, the largest count.
    That is the distance between the outermost pixels seen, both included; a kernel smaller than its scale leaves
    some in between unseen, and the border of the image is not regarded.
    """
    period = np.prod([scale_of(stage) for stage in stages], axis=0, dtype=int) if stages else (1, 1)
    return _widest(list(stages), [[number - 1] for number in range(len(stages))], period)


def seen_by(generator: keras.Model, layer: Any) -> Pair:
    """The same for any layer behind a generator's base map, over all ways through convolutions and skips."""
    base = generator.get_layer("base_map")
    chain = [base, *_between(generator, base, layer)]
    makers = {id(each.output): number for number, each in enumerate(chain)}
    inputs = [[makers[id(each)] - 1 for each in _inputs(maker)] for maker in chain[1:]]
    period = [n // b for n, b in zip(layer.output.shape[1:3], base.output.shape[1:3], strict=True)]
    return _widest(chain[1:], inputs, period)


def _widest(layers: list[Any], inputs: list[list[int]], period: Any) -> Pair:
    """The largest extent at the start (-1) of what one pixel of the last layer sees.

    inputs: for each layer the numbers of those it reads, all of them smaller than its own.
    """
    sides = []
    for axis in (0, 1):
        widest = 0
        for pixel in range(int(period[axis])):
            seen = {len(layers) - 1: (pixel, pixel)}
            for number in reversed(range(len(layers))):
                if number not in seen:
                    continue
                low, high = sources(layers[number], axis, *seen[number])
                if high < low:  # a pixel in a gap between kernels: this way it sees nothing
                    continue
                for before in inputs[number]:
                    known = seen.get(before, (low, high))
                    seen[before] = min(low, known[0]), max(high, known[1])
            low, high = seen.get(-1, (0, -1))
            widest = max(widest, high - low + 1)
        sides.append(widest)
    return sides[0], sides[1]


def _between(generator: keras.Model, base: Any, layer: Any) -> list[Any]:
    """The layers from the base map, without it, to this one, with it, each behind those that it reads."""
    makers = {id(each.output): each for each in generator.layers}
    found: list[Any] = []

    def visit(each: Any) -> None:
        if each is base or each in found:
            return
        for tensor in _inputs(each):
            visit(makers[id(tensor)])
        found.append(each)

    visit(layer)
    return found


def _inputs(layer: Any) -> list[Any]:
    return layer.input if isinstance(layer.input, list) else [layer.input]


def sources(layer: Any, axis: int, low: int, high: int) -> Pair:
    """The first and last input pixel that the output pixels low...high are computed from, along one axis."""
    if isinstance(layer, keras.layers.UpSampling2D):
        return low // layer.size[axis], high // layer.size[axis]
    if not hasattr(layer, "kernel_size"):  # pixel by pixel
        return low, high
    k = layer.kernel_size[axis]
    if isinstance(layer, keras.layers.Conv2D):
        return low - (k - 1) // 2, high + k // 2
    s = scale_of(layer)[axis]
    if isinstance(layer, keras.layers.Conv2DTranspose):
        before = max(k - s, 0) // 2
        return -((k - 1 - before - low) // s), (high + before) // s
    if isinstance(layer, PixelShuffle2D):
        return low // s - k // 2, high // s + k // 2
    low, high = low - (k - 1) // 2, high + k // 2  # the convolution; then the enlargement before it
    if isinstance(layer, BilinearConv2D):
        return (2 * low + 1 - s) // (2 * s), -((s - 2 * high - 1) // (2 * s))
    if isinstance(layer, FirConv2D):
        return -((2 * s - 2 - low) // s), (high + s - 1) // s
    if isinstance(layer, Carafe2D):
        reach = max(layer.neighbourhood, layer.encoder_size) // 2
        return low // s - reach, high // s + reach
    return low // s, high // s


def scale_of(layer: Any) -> Pair:
    """By how much an operator enlarges."""
    return pair(layer.strides if isinstance(layer, keras.layers.Conv2DTranspose) else layer.scale)
