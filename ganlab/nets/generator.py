"""The generator: latents, a dense base map, and stages that enlarge it with the operator under study."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from ganlab.config import Generator, Pair, pair
from ganlab.nets.initializers import gain_of, initializer
from ganlab.nets.layers import BatchNormalization
from ganlab.nets.upsampling import UPSAMPLERS

SeedOf = Callable[[str], int]
_SLOPES = {"relu": 0.0, "leaky_relu": 0.2}  # below zero
_PRECISE = {"dtype": "float32"}  # for the image: the eight bits of a half precision would be noise in its spectrum


def build_generator(
    settings: Generator, image_shape: tuple[int, int, int], seed_of: SeedOf, classes: int = 0
) -> keras.Model:
    """Latents [B, latent_size] -> images [B,H,W,C], float32 under every precision; in [-1, 1] with a tanh output.

    The layer that makes the image computes in float32 too.

    Body plain: every stage is normalise, activate, enlarge. The last one makes the image itself, so nothing hides what
    the operator does. Body residual: see `_residual`. With `classes`, the inputs are [B, latent_size + classes], a
    one-hot class after the latents: the last rows of the dense layer are the classes' embeddings.

    `seed_of(name)` gives each layer its own seed: layers of equal name and shape start with equal weights in every arm.
    """
    height, width, channels = image_shape
    base: Pair = height // settings.scale[0], width // settings.scale[1]
    inputs = keras.Input((settings.latent_size + classes,), name="latents")
    fan_in = settings.latent_size + classes
    gain = _gain(settings) if settings.body == "plain" else 1.0
    dense: Any = keras.layers.Dense(
        base[0] * base[1] * settings.base_filters,
        kernel_initializer=initializer(_init_elsewhere(settings), fan_in, gain=gain, seed=seed_of("generator/base")),
        name="base",
    )
    maps = keras.layers.Reshape((*base, settings.base_filters), name="base_map")(dense(inputs))
    if classes and settings.upsampling.init not in ("keras", "dcgan"):
        # A one-hot entry has second moment 1/classes, a latent 1: this makes them count alike.
        kernel = np.array(dense.kernel)
        kernel[-classes:] *= np.float32(math.sqrt(classes))
        dense.kernel.assign(kernel)
    maps = _BODIES[settings.body](settings, maps, channels, seed_of)
    images = keras.layers.Activation(settings.output, dtype="float32", name="images")(maps)
    return keras.Model(inputs, images, name="generator")


def _plain(settings: Generator, maps: Any, channels: int, seed_of: SeedOf) -> Any:
    for number in range(1, len(settings.stages) + 1):
        last = number == len(settings.stages)
        maps = _activate(settings, maps, f"{number}")
        maps = _enlarge(settings, maps, number, channels, seed_of, gain=1.0 if last else _gain(settings),
                        use_bias=last or settings.normalization != "batch",
                        **(_PRECISE if last else {}))  # fmt: skip
    return maps


def _residual(settings: Generator, maps: Any, channels: int, seed_of: SeedOf) -> Any:
    """Blocks of: normalise, activate, enlarge, normalise, activate, 3x3 convolution; and a skip.

    The skip is the same in every arm: a 1x1 convolution at the small size, then every pixel repeated. The sum of both
    paths is divided by sqrt 2. After the last block: normalise, activate, 3x3 convolution to the image.
    """
    gain = _gain(settings)

    def convolve(maps: Any, filters: int, size: int, name: str, **options: Any) -> Any:
        weights = initializer(
            _init_elsewhere(settings), size * size * maps.shape[-1], gain=options.pop("gain"),
            seed=seed_of(f"generator/{name}"),
        )  # fmt: skip
        return keras.layers.Conv2D(filters, size, padding="same", kernel_initializer=weights, name=name, **options)(
            maps
        )

    for number, (stage, filters) in enumerate(zip(settings.stages, settings.widths(channels), strict=True), start=1):
        inner = _activate(settings, maps, f"{number}")
        inner = _enlarge(settings, inner, number, channels, seed_of, gain=gain,
                         use_bias=settings.normalization != "batch")  # fmt: skip
        inner = _activate(settings, inner, f"{number}b")
        inner = convolve(inner, filters, 3, f"conv{number}", gain=gain)
        skip = convolve(maps, filters, 1, f"skip{number}", gain=1.0, use_bias=False)
        skip = keras.layers.UpSampling2D(pair(stage.scale), interpolation="nearest", name=f"repeat{number}")(skip)
        maps = keras.layers.Add(name=f"sum{number}")([inner, skip])
        maps = keras.layers.Rescaling(math.sqrt(0.5), name=f"block{number}")(maps)
    return convolve(_activate(settings, maps, "_last"), channels, 3, "image", gain=gain, **_PRECISE)


_BODIES = {"plain": _plain, "residual": _residual}


def _enlarge(
    settings: Generator,
    maps: Any,
    number: int,
    channels: int,
    seed_of: SeedOf,
    *,
    gain: float,
    use_bias: bool,
    **options: Any,
) -> Any:
    """The operator of a stage: the layer under study, found by its name."""
    operator = settings.operators[number - 1].model_dump()
    return UPSAMPLERS[operator.pop("name")](
        settings.widths(channels)[number - 1],
        scale=pair(settings.stages[number - 1].scale),
        gain=gain,
        seed=seed_of(f"generator/stage{number}"),
        use_bias=use_bias,
        name=f"stage{number}",
        **operator,
        **options,
    )(maps)


def _activate(settings: Generator, maps: Any, name: str) -> Any:
    if settings.normalization == "batch":
        maps = BatchNormalization(name=f"norm{name}")(maps)
    name = f"activation{name}"
    relu = settings.activation == "relu"
    return (keras.layers.ReLU(name=name) if relu else keras.layers.LeakyReLU(_SLOPES["leaky_relu"], name=name))(maps)


def _init_elsewhere(settings: Generator) -> str:
    """How the other layers start: as the operators do, but `resize` is for transposed kernels only."""
    return "matched" if settings.upsampling.init == "resize" else settings.upsampling.init


def _gain(settings: Generator) -> float:
    """What keeps the second moment through an activation."""
    return gain_of(_SLOPES[settings.activation])
