"""The settings of training: objective, penalty, optimizers, augmentation, how long, on what, what is written when."""

import math
import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ganlab.config.base import Count, Fraction, NotNegative, Positive, Settings
from ganlab.config.generator import can_name_an_arm

Share = Annotated[float, Field(ge=0, le=1)]


class InitFrom(Settings):
    """The checkpoint whose weights a run starts with: the absolute folder of the other run, the step, and a hash.

    sha256: of the checkpoint's manifest, which holds the hashes of its files.
    """

    run: str
    step: Annotated[int, Field(ge=0)]
    sha256: str


class PlainObjective(Settings):
    """An objective without settings of its own."""

    name: Literal["hinge", "wasserstein", "relativistic", "relativistic_average"]


class SmoothedObjective(Settings):
    """An objective whose label for real images can be below 1."""

    name: Literal["non_saturating", "least_squares"]
    label_smoothing: Fraction = 0.0


Objective = Annotated[PlainObjective | SmoothedObjective, Field(discriminator="name")]


class NoPenalty(Settings):
    """The discriminator is left alone."""

    name: Literal["none"]

    @property
    def every_steps(self) -> int:
        """1, as if it were computed in every update."""
        return 1


class PenaltySettings(Settings):
    """What every penalty takes. every_steps: it is computed in every so many updates, and multiplied by that."""

    every_steps: Count = 1


class GradientPenalty(PenaltySettings):
    """What steep scores cost: at real images, at generated ones, at both, or between them."""

    name: Literal["r1", "r2", "r1_r2", "interpolation", "zero_centred"]
    weight: Positive


Penalty = Annotated[NoPenalty | GradientPenalty, Field(discriminator="name")]


class Adam(Settings):
    """Kingma and Ba 2015, one for each network; rates rise over a warm-up and fall to `final_rate` of their start.

    g_rate_factors: by the generator's name, what `g_learning_rate` is multiplied by; 1 for those that are not named.
    All runs of a study have the same mapping, so each of its arms can have a rate of its own and they still differ in
    one thing.
    """

    g_learning_rate: Positive
    g_rate_factors: dict[str, Positive] = {}  # noqa: RUF012  (pydantic copies it)
    d_learning_rate: Positive
    schedule: Literal["cosine", "linear"]
    final_rate: Annotated[float, Field(ge=0, le=1)]
    warmup_steps: Annotated[int, Field(ge=0, le=10**9)]
    beta_1: Fraction
    beta_2: Fraction
    epsilon: Positive

    @model_validator(mode="after")
    def _rates(self) -> "Adam":
        for name, factor in self.g_rate_factors.items():
            where = "optimizer.g_rate_factors"
            if not can_name_an_arm(name):
                raise ValueError(f"{where} has {name[:40]!r}, which cannot name a generator; use a choice of generator")
            if not 0 < self.g_rate_of(name) < math.inf:
                raise ValueError(
                    f"{where}.{name}={factor:g} times optimizer.g_learning_rate={self.g_learning_rate:g} is no rate; "
                    "use a factor near 1"
                )
        return self

    def g_rate_of(self, generator: str) -> float:
        """The first rate of the generator with this name."""
        return self.g_learning_rate * self.g_rate_factors.get(generator, 1.0)


class Augment(Settings):
    """Changes to images before the discriminator sees them; all 0: none."""

    translation: Share
    cutout: Share
    color: Share
    noise: NotNegative


class Training(Settings):
    """How long, in what portions, on which devices, and how often something is written."""

    steps: Count
    plateau: Fraction | None
    batch_size: Annotated[int, Field(ge=1, le=10**6)]
    discriminator_steps: Annotated[int, Field(ge=1, le=1000)]
    share_fakes: bool
    ema_half_life_images: NotNegative
    ema_rampup: Annotated[float, Field(gt=0, le=1)]
    ema_statistics: Literal["average", "recompute"]
    log_every_steps: Count
    sample_every_steps: Count
    save_every_steps: Count
    keep_checkpoints: Count
    steps_per_call: Annotated[int, Field(ge=1, le=10**6)]
    compile: Literal["auto", "graph", "xla"]
    replicas: Annotated[int, Field(ge=1, le=1024)]
    stream_images: Literal["auto", "always", "never"]
    threads: Annotated[int, Field(ge=0, le=1024)]
    deterministic: bool
    on_divergence: Literal["stop", "rollback"]
    rollbacks: Count
    profile: str | None

    @field_validator("profile")
    @classmethod
    def _steps(cls, profile: str | None) -> str | None:
        if profile is not None and profiled(profile) is None:
            raise ValueError(
                f"training.profile={profile[:40]!r} names no steps; write START:STOP, such as 100:110, with START "
                "below STOP"
            )
        return profile


def profiled(text: str) -> tuple[int, int] | None:
    """The steps between which a profile is taken, or None where the text does not name any."""
    match = re.fullmatch(r"(\d{1,9}):(\d{1,9})", text)
    start, stop = map(int, match.groups()) if match else (0, 0)
    return (start, stop) if start < stop else None
