"""The generator: latents, a dense base map, and stages that enlarge it with the operator under study."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from ganlab.config import Generator, Pair, pair
from ganlab.errors import ConfigError
from ganlab.nets.analysis import multiplications
from ganlab.nets.initializers import gain_of, initializer
from ganlab.nets.layers import BatchNormalization
from ganlab.nets.upsampling import UPSAMPLERS, Upsampling

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
    build_body = _plain if settings.body == "plain" else _residual
    maps = build_body(settings, maps, channels, seed_of)
    images = keras.layers.Activation(settings.output, dtype="float32", name="images")(maps)
    return keras.Model(inputs, images, name="generator")


def _plain(settings: Generator, maps: Any, channels: int, seed_of: SeedOf) -> Any:
    *earlier, last = range(1, len(settings.stages) + 1)
    for number in earlier:
        maps = _activate(settings, maps, f"{number}")
        use_bias = settings.normalization != "batch"
        maps = _enlarge(settings, maps, number, channels, seed_of, gain=_gain(settings), use_bias=use_bias)
    maps = _activate(settings, maps, f"{last}")
    return _enlarge(settings, maps, last, channels, seed_of, gain=1.0, use_bias=True, **_PRECISE)


def _residual(settings: Generator, maps: Any, channels: int, seed_of: SeedOf) -> Any:
    """Blocks of: normalise, activate, enlarge, normalise, activate, 3x3 convolution; and a skip.

    The skip is the same in every arm: a 1x1 convolution at the small size, then every pixel repeated. The sum of both
    paths is divided by sqrt 2. After the last block: normalise, activate, 3x3 convolution to the image.
    """
    gain = _gain(settings)

    def convolve(maps: Any, filters: int, size: int, name: str, *, gain: float, **options: Any) -> Any:
        fan_in, seed = size * size * maps.shape[-1], seed_of(f"generator/{name}")
        options["kernel_initializer"] = initializer(_init_elsewhere(settings), fan_in, gain=gain, seed=seed)
        return keras.layers.Conv2D(filters, size, padding="same", name=name, **options)(maps)

    for number, (stage, filters) in enumerate(zip(settings.stages, settings.widths(channels), strict=True), start=1):
        inner = _activate(settings, maps, f"{number}")
        use_bias = settings.normalization != "batch"
        inner = _enlarge(settings, inner, number, channels, seed_of, gain=gain, use_bias=use_bias)
        inner = _activate(settings, inner, f"{number}b")
        inner = convolve(inner, filters, 3, f"conv{number}", gain=gain)
        skip = convolve(maps, filters, 1, f"skip{number}", gain=1.0, use_bias=False)
        skip = keras.layers.UpSampling2D(pair(stage.scale), interpolation="nearest", name=f"repeat{number}")(skip)
        maps = keras.layers.Add(name=f"sum{number}")([inner, skip])
        maps = keras.layers.Rescaling(math.sqrt(0.5), name=f"block{number}")(maps)
    return convolve(_activate(settings, maps, "_last"), channels, 3, "image", gain=1.0, **_PRECISE)


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
    layer = UPSAMPLERS[name := operator.pop("name")](
        settings.widths(channels)[number - 1],
        scale=pair(settings.stages[number - 1].scale),
        gain=gain,
        seed=seed_of(f"generator/stage{number}"),
        use_bias=use_bias,
        name=f"stage{number}",
        **operator,
        **options,
    )
    if not isinstance(layer, Upsampling):
        kind = type(layer).__name__
        raise ConfigError(f"the operator {name} is a {kind}; make it a subclass of ganlab.nets.upsampling.Upsampling")
    return layer(maps)


def _activate(settings: Generator, maps: Any, name: str) -> Any:
    if settings.normalization == "batch":
        maps = BatchNormalization(name=f"norm{name}")(maps)
    if settings.activation == "relu":
        return keras.layers.ReLU(name=f"activation{name}")(maps)
    return keras.layers.LeakyReLU(_SLOPES["leaky_relu"], name=f"activation{name}")(maps)


def _init_elsewhere(settings: Generator) -> str:
    """How the other layers start: as the operators do, but `resize` is for transposed kernels only."""
    return "matched" if settings.upsampling.init == "resize" else settings.upsampling.init


def _gain(settings: Generator) -> float:
    """What keeps the second moment through an activation."""
    return gain_of(_SLOPES[settings.activation])


# --- arms that cost the same: filters are multiplied by a factor ------------------------------------------------------


TOLERANCE = 0.05
"""How much costs may differ because filters are whole numbers; ConfigError beyond."""


def at_parity(settings: Generator, image_shape: tuple[int, int, int], classes: int = 0) -> Generator:
    """The settings with their filters scaled until the generator costs what it would with `settings.reference`.

    Cost: trainable weights, or multiply-accumulates as executed, of the whole generator. Every count of filters but the
    image's is multiplied by one factor and rounded, then the base map's alone is adjusted until the cost is nearest;
    what remains is the rounding to whole filters. With parity `none` the settings are returned as they are. classes: of
    a conditional generator.
    """
    if settings.parity == "none":
        return settings
    reference = settings.model_copy(update={"upsampling": settings.reference, "elsewhere": settings.reference})

    def measure(candidate: Generator) -> int:
        model = build_generator(candidate, image_shape, seed_of=lambda name: 0, classes=classes)
        if settings.parity == "parameters":
            return sum(math.prod(weight.shape) for weight in model.trainable_weights)
        return multiplications(model).executed

    target = measure(reference)
    low, high = 1 / 16, 16.0
    for _ in range(10):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if measure(_scale_filters(settings, middle)) < target else (low, middle)
    near = _scale_filters(settings, (low * high) ** 0.5)
    bases = range(max(1, near.base_filters - 3), near.base_filters + 4)
    costs = {base: measure(near.model_copy(update={"base_filters": base})) for base in bases}
    best = min(costs, key=lambda base: abs(costs[base] - target))
    if abs(costs[best] / target - 1) > TOLERANCE:
        raise ConfigError(
            f"generator.parity={settings.parity} cannot be reached by {settings.name}: {costs[best]} instead of "
            f"{target}; use wider generator.stages, or parity=none"
        )
    return near.model_copy(update={"base_filters": best})


def _scale_filters(settings: Generator, factor: float) -> Generator:
    def times(filters: int) -> int:
        return max(1, round(filters * factor))

    image_stage = len(settings.stages) if settings.body == "plain" else None  # its filters are the image's channels
    stages = tuple(
        stage if stage.filters is None or number == image_stage else stage._replace(filters=times(stage.filters))
        for number, stage in enumerate(settings.stages, start=1)
    )
    return settings.model_copy(update={"base_filters": times(settings.base_filters), "stages": stages})
