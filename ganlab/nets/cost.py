"""What a network costs: multiply-accumulates for one image; biases, activations and borders are left out."""

import math

import keras

from ganlab.nets.downsampling import DownConv2D
from ganlab.nets.spectral import SpectralDense
from ganlab.nets.upsampling import Macs, macs


def multiplications(model: keras.Model) -> Macs:
    """A whole network: as its layers are usually written, and as they are executed here."""
    costs = [_of_layer(layer) for layer in model.layers]
    return Macs(sum(cost.written for cost in costs), sum(cost.executed for cost in costs))


def _of_layer(layer: keras.Layer) -> Macs:
    if layer.name.startswith("stage"):
        return macs(layer)
    alone = 0
    if isinstance(layer, DownConv2D):
        return _of_downsampling(layer)
    if isinstance(layer, keras.layers.Dense | SpectralDense):
        alone = math.prod(layer.kernel.shape)
    elif isinstance(layer, keras.layers.Conv2D):
        alone = math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
    return Macs(alone, alone)


def _of_downsampling(layer: DownConv2D) -> Macs:
    """Written: a convolution at the large size, then the filter; executed: their product at the small size."""
    area, taps = math.prod(layer.output.shape[1:3]), len(layer.taps)
    size, _, ci, co = layer.kernel.shape
    executed = area * (size + taps - 1) ** 2 * ci * co
    if layer.downsampling == "strided":
        return Macs(executed, executed)
    return Macs(area * layer.stride**2 * size**2 * ci * co + area * taps**2 * co, executed)
