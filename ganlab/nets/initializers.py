"""How weights start: one scale for every layer, so that operators are compared and not their initialisers."""

import math

import keras

INITS = ("matched", "keras", "dcgan")


def gain_of(slope: float) -> float:
    """What keeps the second moment through a leaky ReLU of this slope below zero: sqrt 2 for 0 (ReLU), 1 for 1.

    He et al. 2015, arXiv:1502.01852, equation 15.
    """
    return math.sqrt(2 / (1 + slope**2))


def initializer(init: str, effective_fan_in: float, *, gain: float, seed: int | None) -> keras.Initializer:
    """Independent normal weights with standard deviation gain/sqrt(effective_fan_in).

    init: `matched` does that; `keras` is Glorot's uniform rule on the kernel's shape; `dcgan` is N(0, 0.02).
    effective_fan_in: products that meet in one output value, on average over positions.
    seed: equal seeds and shapes give equal numbers.
    """
    if init not in INITS:
        raise ValueError(f"init={init!r} is unknown; choose one of: {', '.join(INITS)}")
    if init == "keras":
        return keras.initializers.GlorotUniform(seed=seed)
    deviation = 0.02 if init == "dcgan" else gain / math.sqrt(effective_fan_in)
    return keras.initializers.RandomNormal(stddev=deviation, seed=seed)
