"""The settings of everything beside the networks."""

from typing import Annotated, Literal

from pydantic import Field

from ganlab.config.base import Count, Fraction, NotNegative, Pair, Positive, Settings


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
