"""How a study is judged: its question, its endpoints and margins, fixed in its settings before the first run."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from ganlab.config.base import Positive, Settings
from ganlab.errors import nearest
from ganlab.evaluation.registry import base_name, compared, with_better_side


class Comparing(Settings):
    """What ganlab.compare does with the runs of a study; decides no run's result."""

    question: str | None = None
    reference: str | None = None
    quality: str = "frechet_distance"
    spectrum: str | None = "spectral_distance"
    checkerboard: str | None = "checkerboard_index_2"
    collapse: Annotated[float, Field(gt=0, lt=1)] | None = 0.05
    margins: dict[str, Positive] = {  # noqa: RUF012  (pydantic copies it)
        "frechet_distance": 0.05,
        "fid": 0.05,
        "spectral_distance": 0.1,
        "checkerboard_index": 0.02,
        "coverage": 0.02,
    }

    @field_validator("quality", "spectrum", "checkerboard")
    @classmethod
    def _known(cls, metric: str | None, info: ValidationInfo) -> str | None:
        if metric is not None and not compared(metric):
            where = f"comparison.{info.field_name}={metric}"
            raise ValueError(
                f"{where} is not a measure with a better side; {nearest(base_name(metric), with_better_side())}"
            )
        return metric

    @field_validator("margins")
    @classmethod
    def _measured(cls, margins: dict[str, float]) -> dict[str, float]:
        for name in margins:
            if name not in with_better_side():
                raise ValueError(f"comparison.margins.{name} is not a measure; {nearest(name, with_better_side())}")
        return margins

    @property
    def endpoints(self) -> dict[str, str]:
        """The endpoints by title, the primary one first."""
        named = {"quality": self.quality, "spectrum": self.spectrum, "checkerboard": self.checkerboard}
        return {title: metric for title, metric in named.items() if metric is not None}
