"""Initial weights: one scale for every layer, so that operators are compared and not their initialisers."""

import math
from typing import Any

import keras

from ganlab.config import Pair

INITS = ("matched", "keras", "dcgan")


def gain_of(slope: float) -> float:
    """What keeps the second moment through a leaky ReLU of this slope below zero: sqrt 2 for 0 (ReLU), 1 for 1.

    He et al. 2015, arXiv:1502.01852, equation 15.
    """
    return math.sqrt(2 / (1 + slope**2))


def initializer(init: str, effective_fan_in: float, *, gain: float, seed: int | None) -> keras.Initializer:
    """Independent normal weights with standard deviation gain/sqrt(effective_fan_in).

    init: `matched` does that; the others are those of `kernel_initializer`.
    effective_fan_in: products that are summed in one output value, on average over positions.
    seed: equal seeds and shapes give equal numbers.
    """
    if init == "matched":
        return keras.initializers.RandomNormal(stddev=gain / math.sqrt(effective_fan_in), seed=seed)
    return kernel_initializer(init, gain=gain, seed=seed)


def kernel_initializer(
    init: str, *, gain: float, seed: int | None, stride: Pair = (1, 1), transposed: bool = False
) -> Any:
    """The initializer of a convolution kernel [k,k,Ci,Co] or, transposed, [k,k,Co,Ci].

    matched: normal with variance gain^2 / (n Ci), where n counts the kernel's taps that an output pixel sees: k*k, and
    k*k divided by the strides for a transposed kernel (the mean over phases). The output then has `gain` times the
    input's root mean square, whatever the operator. Use gain sqrt(2) before a ReLU and 1 for a last layer.
    keras: Glorot uniform as Keras computes it, which gives a transposed kernel s*s times less variance at its output.
    dcgan: normal with std 0.02 (Radford et al. 2016). Both ignore `gain`.

    Equal seeds and shapes give equal numbers, and across operators proportional numbers.
    """
    if init == "keras":
        return keras.initializers.GlorotUniform(seed=seed)
    if init == "dcgan":
        return keras.initializers.RandomNormal(0.0, 0.02, seed=seed)
    if init != "matched":
        raise ValueError(f"init={init!r} is unknown; choose one of: {', '.join(INITS)} (transpose also takes resize)")
    return keras.initializers.VarianceScaling(
        gain**2 * stride[0] * stride[1], "fan_out" if transposed else "fan_in", "untruncated_normal", seed=seed
    )
