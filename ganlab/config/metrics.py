"""The settings of measuring: which protocols, how often, of how many images."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ganlab.config.base import Count, Settings
from ganlab.errors import expand

LEAST = 50  # images of either side; with fewer, extrapolations and held-out tests say nothing
FeatureName = Literal["pixels", "pca", "classifier", "random", "inception"]
USUAL_FEATURES: tuple[FeatureName, ...] = ("classifier", "random", "pca")
"""Those of `metrics.final.features=null`; `classifier` where images have classes."""


def _check_images(where: str, images: int, neighbours: int) -> None:
    if images <= neighbours:
        raise ValueError(
            f"{where}.images={images} is too few for each image to have {neighbours} neighbours; "
            f"use at least {neighbours + 1}, or fewer {where}.neighbours"
        )


class Quick(Settings):
    """Cheap measures, every so many steps and at the end; `none`: at the end only."""

    name: Literal["quick", "none"]
    every_steps: Count | None
    features: Literal["pca", "pixels"]
    images: Count
    neighbours: Count

    @model_validator(mode="after")
    def _enough(self) -> "Quick":
        _check_images("metrics", self.images, self.neighbours)
        return self


class Draws(Settings):
    """How many draws of each kind of features: as many seeds, or parts of the training images."""

    classifier: Annotated[int, Field(ge=1, le=100)]
    random: Annotated[int, Field(ge=1, le=100)]
    pca: Annotated[int, Field(ge=1, le=100)]

    def of(self, features: str) -> dict[str, int]:
        """The keyword argument for the function that makes these features; empty for features that never vary."""
        return {"draws": getattr(self, features)} if features in type(self).model_fields else {}


class Final(Settings):
    """The thorough measures at the end, and which of them are also taken while a run trains."""

    features: list[FeatureName] | None
    draws: Draws
    mean_over: list[FeatureName] | None
    every_steps: Count | None
    ladder: bool
    inception_weights: str | None
    images: Annotated[int, Field(ge=LEAST, le=10**9)]
    sets: Annotated[int, Field(ge=1, le=1000)]
    neighbours: Count

    @field_validator("inception_weights")
    @classmethod
    def _path(cls, weights: str | None) -> str | None:
        return weights and str(expand(weights, "metrics.final.inception_weights="))

    @model_validator(mode="after")
    def _enough(self) -> "Final":
        _check_images("metrics.final", self.images, self.neighbours)
        missing = [name for name in self.mean_over or [] if self.features is not None and name not in self.features]
        if missing:
            raise ValueError(
                f"metrics.final.mean_over has {missing[0]}, and metrics.final.features={self.features} does not; add it"
            )
        return self

    @field_validator("features", "mean_over")
    @classmethod
    def _different(cls, kinds: list[str] | None, info: ValidationInfo) -> list[str] | None:
        least, rest = {
            "features": (1, "at least one kind, and none twice; use null for all"),
            "mean_over": (2, "at least two kinds of features, and none twice; use null for no mean"),
        }[str(info.field_name)]
        if kinds is not None and (len(kinds) < least or len(set(kinds)) < len(kinds)):
            raise ValueError(f"metrics.final.{info.field_name}={kinds} must name {rest}")
        return kinds


class Full(Quick):
    """The quick measures, and at the end the thorough ones as well."""

    name: Literal["full"]  # pyright: ignore[reportIncompatibleVariableOverride]
    final: Final


Metrics = Annotated[Quick | Full, Field(discriminator="name")]
