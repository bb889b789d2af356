"""How a study is judged: its question, its endpoints and margins, fixed in its settings before the first run."""

import math
import re
from collections.abc import Sequence
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

    def is_better(self, value: float, than: float) -> bool:
        """Whether a value is better than another; False where they are equal, or the value is not finite."""
        one, other = (abs(value), abs(than)) if self.scale == "size" else (value, than)
        return math.isfinite(one) and (one > other if self.larger_is_better else one < other)


_OF_FEATURES = {  # full/pca/...; the first two of Inception's have names of their own
    "frechet_distance": Measure("ratio"),
    "kernel_distance": Measure("difference"),
    "precision": Measure("difference", larger_is_better=True),
    "recall": Measure("difference", larger_is_better=True),
    "density": Measure("difference", larger_is_better=True),
    "coverage": Measure("difference", larger_is_better=True),
    "frechet_distance_extrapolated": Measure("difference"),
    "energy_distance": Measure("difference"),
    "sliced_wasserstein": Measure("ratio"),
}
_OF_INCEPTION = {
    "fid": Measure("ratio"),
    "kid": Measure("difference"),
    "inception_score": Measure("difference", larger_is_better=True),
}
_OF_CLASSES = {  # full/classifier/...
    "classifier_score": Measure("difference", larger_is_better=True),
    "modes": Measure("difference", larger_is_better=True),
    "class_divergence": Measure("difference"),
    "largest_class_error": Measure("difference"),
}
_OF_SPECTRA = {
    "spectral_distance": Measure("ratio"),
    "spectral_distance_high": Measure("ratio"),
    "high_frequency_bias": Measure("size"),
}
_OF_LATTICES = {  # each with its stride
    "checkerboard_index": Measure("size"),
    "coherent_checkerboard_index": Measure("size"),
}
_OF_FACTORS = {  # full/factors/..., with the factor or the two
    "total_variation": Measure("difference"),
    "kolmogorov": Measure("difference"),
    "kuiper": Measure("difference"),
    "mutual_information": Measure("difference"),
    "grid_coverage": Measure("difference", larger_is_better=True),
    "grid_divergence": Measure("difference"),
    "residual_median": Measure("ratio"),
    "residual_mean": Measure("ratio"),
}
MEASURES = {**_OF_FEATURES, **_OF_INCEPTION, **_OF_CLASSES, **_OF_SPECTRA, **_OF_LATTICES, **_OF_FACTORS}
_STRIDES = (2, 4, 8)
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


def names_under(features: Sequence[str] | None, factors: bool) -> list[str]:
    """Every name that an endpoint can have.

    features: through which the thorough measures at the end see, None where there are none. factors: whether they know
    how images were made; of what such measures are called after, the first part stands here.
    """
    lattice = [f"checkerboard_index_{stride}" for stride in _STRIDES]
    quick = [*list(_OF_FEATURES)[:6], "spectral_distance", "high_frequency_bias", *lattice]
    if features is None:
        return quick
    full = [*_OF_SPECTRA, *(f"{name}_{stride}" for name in _OF_LATTICES for stride in _STRIDES)]
    for each in features:
        own = [*_OF_FEATURES, *(_OF_CLASSES if each in ("classifier", "inception") else ())]
        if each == "inception":
            own = [
                *_OF_INCEPTION,
                *(n for n in own if n not in ("frechet_distance", "kernel_distance", "classifier_score")),
            ]
        full += [f"{each}/{name}" for name in own]
    full += [f"factors/{name}" for name in _OF_FACTORS if factors]
    return [*quick, *(f"full/{name}" for name in full)]


def is_among(metric: str, names: Sequence[str]) -> bool:
    """Whether a metric is one of these, of a factor or of a level of patches too."""
    base = f"{metric.rpartition('/')[0]}/{base_name(metric)}"
    of_patches = re.fullmatch(r"full/sliced_wasserstein_\d+", metric) and any("/" in name for name in names)
    return metric in names or (base.startswith("full/factors/") and base in names) or bool(of_patches)


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
