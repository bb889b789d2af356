"""What a network costs: multiply-accumulates for one image; biases, activations and borders are left out."""

import math

import keras

from ganlab.nets.upsampling import Macs, macs


def multiplications(model: keras.Model) -> Macs:
    """A whole network: as its layers are usually written, and as they are executed here."""
    costs = [_of_layer(layer) for layer in model.layers]
    return Macs(sum(cost.written for cost in costs), sum(cost.executed for cost in costs))


def _of_layer(layer: keras.Layer) -> Macs:
    if layer.name.startswith("stage"):
        return macs(layer)
    alone = 0
    if isinstance(layer, keras.layers.Dense):
        alone = math.prod(layer.kernel.shape)
    elif isinstance(layer, keras.layers.Conv2D):
        alone = math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
    return Macs(alone, alone)
