"""The generator: latents, a dense base map, and stages that enlarge it with the operator under study."""

from collections.abc import Callable

import keras

from ganlab.config import Generator, Pair, pair
from ganlab.nets.init import LEAKY, RELU, initializer
from ganlab.nets.upsampling import UPSAMPLERS


def build_generator(
    settings: Generator, image_shape: tuple[int, int, int], seed_of: Callable[[str], int], classes: int = 0
) -> keras.Model:
    """Latents [B, latent_size] -> images [B,H,W,C], float32 under every precision; in [-1, 1] with a tanh output.

    Every stage is: normalise, activate, enlarge. The last one makes the image itself, so nothing hides what the
    operator does. `seed_of(name)` gives each layer its own seed: layers of equal name and shape start equal in every
    arm.
    """
    height, width, channels = image_shape
    gain = RELU if settings.activation == "relu" else LEAKY
    base: Pair = height // settings.scale[0], width // settings.scale[1]
    inputs = keras.Input((settings.latent_size,), name="latents")
    dense = keras.layers.Dense(
        base[0] * base[1] * settings.base_filters,
        kernel_initializer=initializer(
            settings.upsampling.init, settings.latent_size, gain=gain, seed=seed_of("generator/base")
        ),
        name="base",
    )
    maps = keras.layers.Reshape((*base, settings.base_filters), name="base_map")(dense(inputs))
    for number, stage in enumerate(settings.stages, start=1):
        last = number == len(settings.stages)
        if settings.normalization == "batch":
            maps = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"norm{number}")(maps)
        maps = _activation(settings.activation, f"activation{number}")(maps)
        operator = settings.operators[number - 1].model_dump()
        maps = UPSAMPLERS[operator.pop("name")](
            stage.filters or channels,
            scale=pair(stage.scale),
            gain=1.0 if last else gain,
            seed=seed_of(f"generator/stage{number}"),
            name=f"stage{number}",
            **operator,
        )(maps)
    images = keras.layers.Activation(settings.output, dtype="float32", name="images")(maps)
    return keras.Model(inputs, images, name="generator")


def _activation(kind: str, name: str) -> keras.Layer:
    return keras.layers.ReLU(name=name) if kind == "relu" else keras.layers.LeakyReLU(0.2, name=name)
