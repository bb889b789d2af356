"""What a network costs to run."""

import math

import keras


def multiplications(model: keras.Model) -> int:
    """Multiply-accumulates for one image, as the layers are executed; biases, activations and borders left out."""
    return sum(_of_layer(layer) for layer in model.layers)


def _of_layer(layer: keras.Layer) -> int:
    if hasattr(layer, "multiplications"):  # the operators that are not one stock layer say it themselves
        return layer.multiplications
    if isinstance(layer, keras.Model | keras.Sequential):
        return multiplications(layer)
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.kernel.shape)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return math.prod(layer.kernel.shape) * math.prod(layer.input.shape[1:3])
    if isinstance(layer, keras.layers.Conv2D):
        return math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
    return 0
