"""The discriminator: images in, one score each out."""

from collections.abc import Callable

import keras

from ganlab.config import Conv
from ganlab.nets.init import LEAKY, initializer


def build_conv(
    settings: Conv, image_shape: tuple[int, int, int], seed_of: Callable[[str], int], classes: int = 0
) -> keras.Model:
    """Images [B,H,W,C] in [-1, 1] -> scores [B, 1], float32: strided convolutions with leaky ReLU, then a dense score.

    Radford et al. 2016, arXiv:1511.06434, without batch normalisation unless asked for (never at the input).
    """
    inputs = maps = keras.Input(image_shape, name="images")
    kernel = settings.kernel_size
    for number, filters in enumerate(settings.filters, start=1):
        fan_in = kernel * kernel * maps.shape[-1]
        seed = seed_of(f"discriminator/conv{number}")
        maps = keras.layers.Conv2D(
            filters,
            kernel,
            strides=settings.stride,
            padding="same",
            kernel_initializer=initializer(settings.init, fan_in, gain=LEAKY, seed=seed),
            name=f"conv{number}",
        )(maps)
        if settings.normalization == "batch" and number > 1:
            maps = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"norm{number}")(maps)
        maps = keras.layers.LeakyReLU(settings.slope, name=f"activation{number}")(maps)
    maps = keras.layers.Flatten(name="flat")(maps)
    scores = keras.layers.Dense(
        1,
        dtype="float32",
        kernel_initializer=initializer(settings.init, maps.shape[-1], gain=1.0, seed=seed_of("discriminator/score")),
        name="score",
    )(maps)
    return keras.Model(inputs, scores, name="discriminator")


DISCRIMINATORS = {"conv": build_conv}


def power_iteration(model):
    pass
