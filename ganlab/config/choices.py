"""The settings of everything beside the networks."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ganlab.config.base import Count, Fraction, Pair, Positive, Settings


class NonSaturating(Settings):
    """Goodfellow's objective with the generator's -log D."""

    name: Literal["non_saturating"]
    label_smoothing: Fraction = 0.0


class Hinge(Settings):
    """Scores beyond 1 on the right side cost nothing."""

    name: Literal["hinge"]


class LeastSquares(Settings):
    """Scores towards 1 and 0."""

    name: Literal["least_squares"]
    label_smoothing: Fraction = 0.0


class Wasserstein(Settings):
    """The difference of the mean scores."""

    name: Literal["wasserstein"]


class Relativistic(Settings):
    """Real scores against fake scores, in pairs."""

    name: Literal["relativistic"]


class RelativisticAverage(Settings):
    """Each score against the mean of the other side."""

    name: Literal["relativistic_average"]


Objective = Annotated[
    NonSaturating | Hinge | LeastSquares | Wasserstein | Relativistic | RelativisticAverage,
    Field(discriminator="name"),
]


class NoPenalty(Settings):
    """The discriminator is left alone."""

    name: Literal["none"]

    @property
    def every_steps(self) -> int:
        """As if it were taken in each update."""
        return 1


class GradientPenalty(Settings):
    """What steep scores cost: at real images, at generated ones, at both, or between them."""

    name: Literal["r1", "r2", "r1_r2", "interpolation", "zero_centred"]
    weight: Positive
    every_steps: Count = 1


Penalty = Annotated[NoPenalty | GradientPenalty, Field(discriminator="name")]


Side = Annotated[int, Field(ge=16, le=128)]


class Digits(Settings):
    """scikit-learn's 1797 handwritten digits, 8x8."""

    name: Literal["digits"]
    classes: ClassVar[int] = 10
    size: Count | Pair
    channels: Literal[1, 3]
    held_out: Annotated[float, Field(gt=0, lt=1)]


class Mnist(Settings):
    """The 70,000 digits of LeCun, Cortes and Burges, 28x28."""

    name: Literal["mnist"]
    classes: ClassVar[int] = 10
    size: Count | Pair
    channels: Literal[1, 3]
    path: str | None


class Shapes(Settings):
    """Rendered shapes whose factors are known: class, place, size, angle and colour."""

    name: Literal["shapes"]
    classes: ClassVar[int] = 5
    size: Side | tuple[Side, Side]
    channels: Literal[1, 3]
    images: Count
    held_out: Count
    seed: Annotated[int, Field(ge=0, lt=2**31)]


class Photos(Settings):
    """Crops of scikit-learn's two photographs; the class is which of them."""

    name: Literal["photos"]
    classes: ClassVar[int] = 2
    size: Side | tuple[Side, Side]
    channels: Literal[1, 3]
    reduction: Annotated[int, Field(ge=1, le=4)]
    images: Count
    held_out: Count
