"""How a study is judged: its question, its endpoints and margins, fixed in its settings before the first run."""

import math
import re
from typing import Literal, NamedTuple

from pydantic import ValidationInfo, field_validator

from ganlab.choose import nearest
from ganlab.config.base import Positive, Settings


class Measure(NamedTuple):
    """How a metric is compared: `ratio` by differences of logarithms, `difference` as it is, `size` by its absolute."""

    scale: Literal["ratio", "difference", "size"]
    larger_is_better: bool = False

    def outcome(self, value: float) -> float:
        """What is subtracted; ValueError for a ratio of a number that is not positive."""
        return {"ratio": math.log, "difference": float, "size": abs}[self.scale](value)


MEASURES = {
    "frechet_distance": Measure("ratio"),
    "frechet_distance_extrapolated": Measure("difference"),
    "fid": Measure("ratio"),
    "kernel_distance": Measure("difference"),
    "kid": Measure("difference"),
    "energy_distance": Measure("difference"),
    "sliced_wasserstein": Measure("ratio"),
    "spectral_distance": Measure("ratio"),
    "spectral_distance_high": Measure("ratio"),
    "high_frequency_bias": Measure("size"),
    "checkerboard_index": Measure("size"),
    "coherent_checkerboard_index": Measure("size"),
    "precision": Measure("difference", larger_is_better=True),
    "recall": Measure("difference", larger_is_better=True),
    "density": Measure("difference", larger_is_better=True),
    "coverage": Measure("difference", larger_is_better=True),
    "classifier_score": Measure("difference", larger_is_better=True),
    "modes": Measure("difference", larger_is_better=True),
    "class_divergence": Measure("difference"),
    "largest_class_error": Measure("difference"),
    "total_variation": Measure("difference"),
    "kolmogorov": Measure("difference"),
    "kuiper": Measure("difference"),
    "mutual_information": Measure("difference"),
    "grid_coverage": Measure("difference", larger_is_better=True),
    "grid_divergence": Measure("difference"),
    "residual_median": Measure("ratio"),
    "residual_mean": Measure("ratio"),
}
_OF_A_FACTOR = re.compile(r"(total_variation|kolmogorov|kuiper|mutual_information)_.*")  # then of which, or which two


def base_name(metric: str) -> str:
    """A metric's name without protocol, features, stride and factors.

    full/random/checkerboard_index_2 is a checkerboard_index, full/factors/kolmogorov_size is kolmogorov.
    """
    name = re.sub(r"_\d+$", "", metric.rpartition("/")[2])
    return _OF_A_FACTOR.sub(r"\1", name)


def measure_of(metric: str) -> Measure | None:
    """How a metric is compared; None where neither side is better."""
    return MEASURES.get(base_name(metric))


def quick_relative(metric: str) -> str:
    """Who follows a metric of the end only while a run trains: full/random/coverage, coverage; of others itself."""
    return metric.rpartition("/")[2]


class Comparing(Settings):
    """What ganlab.compare does with the runs of a study; decides no run's result."""

    question: str | None = None
    reference: str | None = None
    quality: str = "frechet_distance"
    spectrum: str | None = "spectral_distance"
    checkerboard: str | None = "checkerboard_index_2"
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
        if metric is not None and measure_of(metric) is None:
            where = f"comparison.{info.field_name}={metric}"
            raise ValueError(f"{where} is no measure with a better side; {nearest(base_name(metric), MEASURES)}")
        return metric

    @field_validator("margins")
    @classmethod
    def _measured(cls, margins: dict[str, float]) -> dict[str, float]:
        for name in margins:
            if name not in MEASURES:
                raise ValueError(f"comparison.margins.{name} is no measure; {nearest(name, MEASURES)}")
        return margins

    @property
    def endpoints(self) -> dict[str, str]:
        """The endpoints by title, the primary one first."""
        named = {"quality": self.quality, "spectrum": self.spectrum, "checkerboard": self.checkerboard}
        return {title: metric for title, metric in named.items() if metric is not None}
