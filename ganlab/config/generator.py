"""The settings of a generator: its stages, the operator under study, and what fits together."""

import math
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, field_validator

from ganlab.config.base import Channels, Kernel, Length, Pair, Settings, pair

Init = Literal["matched", "keras", "dcgan"]


class Operator(Settings):
    """What every upsampling operator takes; a plugin's settings inherit it and add `name`."""

    kernel_size: Kernel | tuple[Kernel, Kernel]
    init: Init


class Nearest(Operator):
    """Repeat rows and columns, then convolve; `fused` is the same function as one transposed convolution."""

    name: Literal["nearest"]
    implementation: Literal["fused", "plain"] = "fused"


class Bilinear(Operator):
    """Interpolate linearly, then convolve."""

    name: Literal["bilinear"]


class Transpose(Settings):
    """One transposed convolution with the stage's scale as its stride; with `init=resize` it starts as `nearest`."""

    name: Literal["transpose"]
    kernel_size: Kernel | tuple[Kernel, Kernel]
    init: Literal["matched", "keras", "dcgan", "resize"]


class PixelShuffle(Operator):
    """Convolve to s*s times the channels, then lay them out as pixels."""

    name: Literal["pixel_shuffle"]
    icnr: bool = False
    phase_bias: bool = False


class Fir(Operator):
    """Insert zeros, smooth with a binomial filter, convolve."""

    name: Literal["fir"]
    implementation: Literal["fused", "plain"] = "fused"


class Carafe(Operator):
    """Each pixel a weighted mean of its source's neighbourhood, then convolve."""

    name: Literal["carafe"]
    channels: Channels = 64
    encoder_size: Kernel = 3
    neighbourhood: Kernel = 5


Upsampling = Annotated[Nearest | Bilinear | Transpose | PixelShuffle | Fir | Carafe, Field(discriminator="name")]


class Stage(NamedTuple):
    """One enlargement: how many channels come out, and the factor.

    filters: null in the last stage only: the image's channels, or, in a residual body, as many as came in.
    """

    filters: Channels | None
    scale: Length | Pair


def can_name_an_arm(name: str) -> bool:
    """Whether a generator can have this name, which stands in names of folders and in tables."""
    return bool(name.strip()) and name.isprintable() and len(name) <= 100 and "-seed" not in name and "/" not in name


class Generator(Settings):
    """Latents -> dense -> base map -> stages, plain or residual, that enlarge -> tanh."""

    name: str
    latent_size: Channels
    base_filters: Channels
    base_size: Length | Pair | None
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=16)]
    body: Literal["plain", "residual"]
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
        if not can_name_an_arm(name):
            raise ValueError(f"generator.name={name[:40]!r} cannot name an arm; use a word without '/' or '-seed'")
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

    def widths(self, channels: int) -> tuple[int, ...]:
        """How many channels come out of each stage, for images with this many channels."""
        if self.body == "plain":
            return tuple(stage.filters or channels for stage in self.stages)
        filters_by_stage = (self.base_filters, *(stage.filters for stage in self.stages))
        return tuple(filters or before or channels for before, filters in pairwise(filters_by_stage))

    @property
    def scale(self) -> Pair:
        """By how much the stages enlarge the base map together."""
        scales = [pair(stage.scale) for stage in self.stages]
        return math.prod(s[0] for s in scales), math.prod(s[1] for s in scales)

    def check(self, size: Pair, channels: int) -> None:
        """Raise ValueError where the stages cannot make images of this size and channels, or a kernel does not fit."""
        _check_reach(self, size)
        if self.placement == "all_but_last" and len(self.stages) == 1:
            raise ValueError(
                "generator.placement=all_but_last leaves no stage to the operator under study, as there is one stage; "
                "use all or last, or more generator.stages"
            )
        for number, (stage, operator) in enumerate(zip(self.stages, self.operators, strict=True)):
            key = "upsampling" if operator is self.upsampling else "elsewhere"
            _check_kernel(f"generator.{key}", operator, pair(stage.scale), number)
            if self.parity != "none":
                _check_kernel("generator.reference", self.reference, pair(stage.scale), number)
        last = self.stages[-1].filters
        if self.body == "plain" and last not in (None, channels):
            raise ValueError(
                f"generator.stages ends in {last} filters; the images have dataset.channels={channels}: "
                "use that, or null"
            )


BETWEEN = 32
"""Channels between the stages that are chosen by the size of the image."""


def with_stages(tree: dict[str, Any]) -> dict[str, Any]:
    """Plain settings of a run, with stages that fit the images where `generator.stages` is null.

    Each stage enlarges by 2. There are two of them; where these would leave a base map with a side above 8, there are
    as many as make its smaller side 4 to 7, as far as the image's sides can be halved. With `generator.base_size` the
    stages lead from there to the image, if any do. Other mistakes in the tree are left for validation.
    """
    generator, dataset = tree.get("generator"), tree.get("dataset")
    if not isinstance(generator, dict) or not isinstance(dataset, dict) or generator.get("stages", ()) is not None:
        return tree
    doublings, size, base = 2, _sides(dataset.get("size")), _sides(generator.get("base_size"))
    if size and base:
        fitting = [n for n in range(1, 32) if (base[0] << n, base[1] << n) == size]
        doublings = fitting[0] if fitting else doublings
    elif size and max(size) > 8 << doublings:
        while all(n % (2 << doublings) == 0 and n >> doublings >= 8 for n in size):
            doublings += 1
    stages = [[BETWEEN, 2]] * (doublings - 1) + [[None, 2]]
    return tree | {"generator": generator | {"stages": stages}}


def _sides(value: Any) -> Pair | None:
    """A size from plain values; None if it is not one."""
    sides = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, list | tuple) else ()
    return (sides[0], sides[1]) if len(sides) == 2 and all(isinstance(n, int) and n > 0 for n in sides) else None


def _check_reach(generator: Generator, size: Pair) -> None:
    """Refuse an image size that the stages cannot make, and name those that they can."""
    scale = generator.scale
    if generator.base_size is None:
        if all(n % s == 0 for n, s in zip(size, scale, strict=True)):
            return
        smaller = tuple(max(n // s, 1) * s for n, s in zip(size, scale, strict=True))
        larger = tuple(-(-n // s) * s for n, s in zip(size, scale, strict=True))
        options = [_size(reachable) for reachable in sorted({smaller, larger})]
        raise ValueError(
            f"dataset.size={_size(size)} cannot be reached by the generator's stages, which enlarge {_size(scale)} "
            f"times; use {' or '.join(options)}, or other generator.stages"
        )
    base = pair(generator.base_size)
    reached = base[0] * scale[0], base[1] * scale[1]
    if reached != size:
        divides = all(n % s == 0 for n, s in zip(size, scale, strict=True))
        alternative = f", or generator.base_size={_size((size[0] // scale[0], size[1] // scale[1]))}" if divides else ""
        raise ValueError(
            f"dataset.size={_size(size)} cannot be reached from generator.base_size={_size(base)} by the generator's "
            f"stages, which enlarge {_size(scale)} times; use dataset.size={_size(reached)}{alternative}"
        )


def _check_kernel(where: str, operator: Upsampling, scale: Pair, stage: int) -> None:
    """Refuse a kernel that an operator cannot have at a scale, and name one that it can."""
    sizes = pair(operator.kernel_size)
    even = any(k % 2 == 0 for k in sizes)
    setting = f"{where}.kernel_size={_size(sizes)}"
    if isinstance(operator, PixelShuffle) and even:
        raise ValueError(f"{setting} shifts the image of pixel_shuffle by half a pixel; use an odd one")
    if isinstance(operator, Nearest | Fir) and even and operator.implementation == "fused":
        raise ValueError(f"{setting} cannot be fused; use an odd one, or {where}.implementation=plain")
    if isinstance(operator, Carafe) and (operator.neighbourhood % 2 == 0 or operator.encoder_size % 2 == 0):
        raise ValueError(f"{where}.neighbourhood and encoder_size must be odd; use 5 and 3")
    if isinstance(operator, Transpose) and operator.init == "resize":
        drawn_sizes = [k - s + 1 for k, s in zip(sizes, scale, strict=True)]
        if any(k < 1 or k % 2 == 0 for k in drawn_sizes):
            fitting_size = _size(tuple(s + 2 for s in scale))
            raise ValueError(
                f"{setting} leaves init=resize no odd kernel at scale {_size(scale)} of stage {stage}; "
                f"use {where}.kernel_size={fitting_size}"
            )


def _size(size: tuple[int, ...]) -> str:
    return str(size[0]) if size[0] == size[1] else f"[{size[0]},{size[1]}]"
