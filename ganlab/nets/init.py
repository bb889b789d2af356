"""How weights start: one scale for every layer, so that operators are compared and not their initialisers."""

import math

import keras

LEAKY = math.sqrt(2 / 1.04)  # keeps the second moment through leaky ReLU of slope 0.2
RELU = math.sqrt(2)


def initializer(init: str, effective_fan_in: float, *, gain: float, seed: int | None) -> keras.Initializer:
    """Independent normal weights with standard deviation gain/sqrt(effective_fan_in).

    init: `matched` does that; `keras` is Glorot's uniform rule on the kernel's shape; `dcgan` is N(0, 0.02).
    effective_fan_in: products that meet in one output value, on average over positions.
    seed: equal seeds and shapes give equal numbers.
    """
    if init == "keras":
        return keras.initializers.GlorotUniform(seed=seed)
    deviation = 0.02 if init == "dcgan" else gain / math.sqrt(effective_fan_in)
    return keras.initializers.RandomNormal(stddev=deviation, seed=seed)
