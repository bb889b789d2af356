"""The building blocks of settings."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1, le=10**9)]
Channels = Annotated[int, Field(ge=1, le=8192)]
Length = Annotated[int, Field(ge=1, le=8192)]  # of a side, in pixels
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Pair = tuple[Length, Length]
Kernel = Annotated[int, Field(ge=1, le=31)]


def pair(value: int | Pair) -> Pair:
    """A size or scale as (vertical, horizontal)."""
    return (value, value) if isinstance(value, int) else value


class Settings(BaseModel):
    """Strict (no conversion), frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
