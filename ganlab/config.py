"""The settings of a run, frozen and validated. Everything here is checked before TensorFlow is imported.

A group of settings with a `name` is a choice: the name picks the function in the table of that name elsewhere
(`UPSAMPLERS`, `OBJECTIVES`, ...), and the other fields are its keyword arguments.
"""

import hashlib
import json
import math
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ganlab.choose import ConfigError, explain

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Pair = tuple[Count, Count]
Kernel = Annotated[int, Field(ge=1, le=31)]
Init = Literal["matched", "keras", "dcgan"]


def pair(value: int | Pair) -> Pair:
    """A size or scale as (vertical, horizontal)."""
    return (value, value) if isinstance(value, int) else value


class Settings(BaseModel):
    """Strict (no conversion), frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


# --- generator ------------------------------------------------------------------------------------------------------


class _Operator(Settings):
    """What every upsampling operator takes."""

    kernel_size: Kernel | tuple[Kernel, Kernel]
    init: Init


class Nearest(_Operator):
    """Repeat rows and columns, then convolve; `fused` is the same function as one transposed convolution."""

    name: Literal["nearest"]
    implementation: Literal["fused", "plain"] = "fused"


class Bilinear(_Operator):
    """Interpolate linearly, then convolve."""

    name: Literal["bilinear"]


class Transpose(Settings):
    """One transposed convolution with the stage's scale as its stride; `resize` starts it as what `nearest` is."""

    name: Literal["transpose"]
    kernel_size: Kernel | tuple[Kernel, Kernel]
    init: Literal["matched", "keras", "dcgan", "resize"]


class PixelShuffle(_Operator):
    """Convolve to s*s times the channels, then lay them out as pixels."""

    name: Literal["pixel_shuffle"]
    icnr: bool = False
    phase_bias: bool = True


class Fir(_Operator):
    """Insert zeros, smooth with a binomial filter, convolve."""

    name: Literal["fir"]
    implementation: Literal["fused", "plain"] = "fused"


class Carafe(_Operator):
    """Each pixel a weighted mean of its source's neighbourhood, then convolve."""

    name: Literal["carafe"]
    channels: Count = 64
    encoder_size: Kernel = 3
    neighbourhood: Kernel = 5


Upsampling = Annotated[Nearest | Bilinear | Transpose | PixelShuffle | Fir | Carafe, Field(discriminator="name")]


class Stage(NamedTuple):
    """One enlargement: channels that come out (null: the image's channels, in the last stage only), and by how much."""

    filters: Count | None
    scale: Count | Pair


class Generator(Settings):
    """Latents -> dense -> base map -> stages of (activation, enlarge) -> tanh."""

    name: str
    latent_size: Count
    base_filters: Count
    base_size: Count | Pair | None
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    normalization: Literal["none", "batch"]
    activation: Literal["relu", "leaky_relu"]
    output: Literal["tanh", "linear"]
    upsampling: Upsampling
    placement: Literal["all", "last", "all_but_last"]
    elsewhere: Upsampling
    parity: Literal["none", "parameters", "macs"]
    reference: Upsampling

    @field_validator("name")
    @classmethod
    def _arm(cls, name: str) -> str:
        if "-seed" in name or "/" in name or not name:
            raise ValueError(f"generator.name={name!r} cannot name an arm; use a word without '/' or '-seed'")
        return name

    @field_validator("stages")
    @classmethod
    def _only_last(cls, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        for place, stage in enumerate(stages[:-1]):
            if stage.filters is None:
                raise ValueError(
                    f"generator.stages.{place} has no filters; only the last stage may leave them to the image"
                )
        return stages

    @property
    def operators(self) -> tuple[Upsampling, ...]:
        """The operator of each stage: `upsampling` where `placement` says so, `elsewhere` in the others."""
        last = len(self.stages) - 1
        under_study = {"all": range(last + 1), "last": [last], "all_but_last": range(last)}[self.placement]
        return tuple(self.upsampling if stage in under_study else self.elsewhere for stage in range(last + 1))

    @property
    def scale(self) -> Pair:
        """By how much the stages enlarge the base map together."""
        scales = [pair(stage.scale) for stage in self.stages]
        return math.prod(s[0] for s in scales), math.prod(s[1] for s in scales)


# --- discriminator, objective, penalty ------------------------------------------------------------------------------


class Conv(Settings):
    """Strided convolutions, then one dense score."""

    name: Literal["conv"]
    filters: Annotated[tuple[Count, ...], Field(min_length=1)]
    kernel_size: Annotated[int, Field(ge=1, le=31)]
    stride: Annotated[int, Field(ge=1, le=8)]
    normalization: Literal["none", "batch"]
    slope: Annotated[float, Field(ge=0, le=1)]
    init: Init


class NonSaturating(Settings):
    """Goodfellow's objective with the generator's -log D."""

    name: Literal["non_saturating"]


class Relativistic(Settings):
    """Real scores against fake scores, in pairs."""

    name: Literal["relativistic"]


class NoPenalty(Settings):
    """The discriminator is left alone."""

    name: Literal["none"]


class R1(Settings):
    """Squared gradient at real images."""

    name: Literal["r1"]
    weight: Positive


class R1R2(Settings):
    """Squared gradient at real and at generated images."""

    name: Literal["r1_r2"]
    weight: Positive


# --- data -----------------------------------------------------------------------------------------------------------


class Digits(Settings):
    """scikit-learn's 1797 handwritten digits, 8x8."""

    name: Literal["digits"]
    size: Count | Pair
    channels: Literal[1, 3]
    held_out: Annotated[float, Field(gt=0, lt=1)]


class Mnist(Settings):
    """The 70,000 digits of LeCun, Cortes and Burges, 28x28."""

    name: Literal["mnist"]
    size: Count | Pair
    channels: Literal[1, 3]
    path: str | None


# --- training and measures ------------------------------------------------------------------------------------------


class Adam(Settings):
    """Kingma and Ba 2015, one for each network; rates fall along a cosine to `final_rate` of their start."""

    g_learning_rate: Positive
    d_learning_rate: Positive
    final_rate: Annotated[float, Field(gt=0, le=1)]
    beta_1: Fraction
    beta_2: Fraction
    epsilon: Positive


class Training(Settings):
    """How long, in what portions, and how often something is written."""

    steps: Count
    batch_size: Count
    steps_per_call: Count
    half_life_images: NotNegative
    log_every_steps: Count
    sample_every_steps: Count
    save_every_steps: Count
    keep_checkpoints: Count
    threads: Annotated[int, Field(ge=0)]
    deterministic: bool


class Metrics(Settings):
    """Which measures are taken during training, how often, of how many images."""

    name: Literal["quick", "none"]
    every_steps: Count | None
    features: Literal["pixels"]
    images: Count
    neighbours: Count


class RunConfig(Settings):
    """Everything that decides a run's result; equal settings give equal bits on a CPU."""

    seed: Annotated[int, Field(ge=0, lt=2**31)]
    study: str | None
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]
    generator: Generator
    discriminator: Annotated[Conv, Field()]
    dataset: Annotated[Digits | Mnist, Field(discriminator="name")]
    objective: Annotated[NonSaturating | Relativistic, Field(discriminator="name")]
    penalty: Annotated[NoPenalty | R1 | R1R2, Field(discriminator="name")]
    optimizer: Adam
    training: Training
    metrics: Metrics

    @field_validator("study")
    @classmethod
    def _folder(cls, study: str | None) -> str | None:
        if study is not None and (not study.strip("./") or "/" in study or "\\" in study):
            raise ValueError(f"study={study!r} cannot name a folder of outputs/; use a word such as upsampling_digits")
        return study

    @model_validator(mode="after")
    def _together(self) -> "RunConfig":
        _check_reach(self.generator, pair(self.dataset.size))
        for number, (stage, operator) in enumerate(zip(self.generator.stages, self.generator.operators, strict=True)):
            key = "upsampling" if operator is self.generator.upsampling else "elsewhere"
            _check_kernel(f"generator.{key}", operator, pair(stage.scale), number)
        last = self.generator.stages[-1].filters
        if last not in (None, self.dataset.channels):
            raise ValueError(
                f"generator.stages ends in {last} filters; the images have dataset.channels={self.dataset.channels}: "
                "use that, or null"
            )
        if self.discriminator.normalization == "batch" and self.penalty.name != "none":
            raise ValueError(
                f"penalty={self.penalty.name} needs a gradient for each image, which batch normalization mixes; "
                "use penalty=none or discriminator.normalization=none"
            )
        return self

    @property
    def base_size(self) -> Pair:
        """Height and width of the generator's first map."""
        height, width = pair(self.dataset.size)
        return height // self.generator.scale[0], width // self.generator.scale[1]

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that stand for these settings."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


def _check_reach(generator: Generator, size: Pair) -> None:
    """Refuse an image size that the stages cannot make, and say which ones they can."""
    scale = generator.scale
    if generator.base_size is None:
        if all(n % s == 0 for n, s in zip(size, scale, strict=True)):
            return
        smaller = tuple(max(n // s, 1) * s for n, s in zip(size, scale, strict=True))
        larger = tuple(-(-n // s) * s for n, s in zip(size, scale, strict=True))
        options = [_size(each) for each in sorted({smaller, larger})]
        raise ValueError(
            f"dataset.size={_size(size)} cannot be reached by the generator's stages, which enlarge {_size(scale)} "
            f"times; use {' or '.join(options)}, or other generator.stages"
        )
    base = pair(generator.base_size)
    made = base[0] * scale[0], base[1] * scale[1]
    if made != size:
        fits = all(n % s == 0 for n, s in zip(size, scale, strict=True))
        wanted = f", or generator.base_size={_size((size[0] // scale[0], size[1] // scale[1]))}" if fits else ""
        raise ValueError(
            f"dataset.size={_size(size)} cannot be reached from generator.base_size={_size(base)} by the generator's "
            f"stages, which enlarge {_size(scale)} times; use dataset.size={_size(made)}{wanted}"
        )


def _check_kernel(where: str, operator: Upsampling, scale: Pair, stage: int) -> None:
    """Refuse a kernel that an operator cannot have at a scale, with the ones it can."""
    sizes = pair(operator.kernel_size)
    even = any(k % 2 == 0 for k in sizes)
    shown = f"{where}.kernel_size={_size(sizes)}"
    if isinstance(operator, PixelShuffle) and even:
        raise ValueError(f"{shown} shifts the image of pixel_shuffle by half a pixel; use an odd one")
    if isinstance(operator, Nearest | Fir) and even and operator.implementation == "fused":
        raise ValueError(f"{shown} cannot be fused; use an odd one, or {where}.implementation=plain")
    if isinstance(operator, Carafe) and (operator.neighbourhood % 2 == 0 or operator.encoder_size % 2 == 0):
        raise ValueError(f"{where}.neighbourhood and encoder_size must be odd; use 5 and 3")
    if isinstance(operator, Transpose) and operator.init == "resize":
        drawn = [k - s + 1 for k, s in zip(sizes, scale, strict=True)]
        if any(k < 1 or k % 2 == 0 for k in drawn):
            fits = _size(tuple(s + 2 for s in scale))
            raise ValueError(
                f"{shown} leaves init=resize no odd kernel at scale {_size(scale)} of stage {stage}; "
                f"use {where}.kernel_size={fits}"
            )


def _size(size: tuple[int, ...]) -> str:
    return str(size[0]) if size[0] == size[1] else f"[{size[0]},{size[1]}]"


def parse(tree: dict[str, Any]) -> RunConfig:
    """Settings from plain values, as YAML or JSON give them; raises ConfigError with one line."""
    try:
        return RunConfig.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        raise explain(error, tree) from None


def differences(one: RunConfig, other: RunConfig) -> dict[str, tuple[Any, Any]]:
    """Which settings differ, by dotted name: {name: (value in one, value in other)}."""
    a, b = flatten(one.model_dump(mode="json")), flatten(other.model_dump(mode="json"))
    return {key: (a.get(key), b.get(key)) for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)}


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as {dotted name: value}; lists stay whole."""
    flat = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


__all__ = ["ConfigError", "RunConfig", "differences", "flatten", "pair", "parse"]
