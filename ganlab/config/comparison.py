"""How a study is judged: its question, its endpoints and margins, fixed in its settings before the first run."""

import math
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import ValidationInfo, field_validator

from ganlab.config.base import Positive, Settings
from ganlab.errors import nearest


class Measure(NamedTuple):
    """How a metric is compared: `ratio` by differences of logarithms, `difference` as it is, `size` by its absolute."""

    scale: Literal["ratio", "difference", "size"]
    larger_is_better: bool = False

    @property
    def better(self) -> str:
        """Which values are the better ones: smaller, larger, closer to 0."""
        if self.scale == "size":
            return "closer to 0"
        return "larger" if self.larger_is_better else "smaller"

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


def better(metric: str) -> str:
    """Which values of a metric are the better ones, `smaller`, `larger` or `closer to 0`; empty where neither are."""
    measure = measure_of(metric)
    return measure.better if measure else ""


def quick_relative(metric: str) -> str:
    """Who follows a metric of the end only while a run trains: full/random/coverage, coverage; of others itself."""
    return metric.rpartition("/")[2]


def names_under(features: Sequence[str] | None, factors: bool, size: tuple[int, int] | None = None) -> list[str]:
    """Every name that an endpoint can have.

    features: through which the thorough measures at the end see, None where there are none. factors: whether they know
    how images were made; of what such measures are called after, the first part stands here. size: height and width of
    the images, whose spectra have what their sides admit; None: of any.
    """
    strides = [stride for stride in _STRIDES if size is None or admits(size, stride)]
    lattice = [f"checkerboard_index_{stride}" for stride in strides]
    spectra = list(_OF_SPECTRA) if size is None or min(size) > 1 else []
    quick = [*list(_OF_FEATURES)[:6], *(n for n in spectra if n != "spectral_distance_high"), *lattice]
    if features is None:
        return quick
    full = [*spectra, *(f"{name}_{stride}" for name in _OF_LATTICES for stride in strides)]
    full += [f"sliced_wasserstein_{height}" for height in (levels(size) if size else range(4, 1025))]
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


def admits(size: tuple[int, int], stride: int) -> bool:
    """Whether images of this height and width show the lattice of a stride.

    It divides both sides and leaves neighbours between lattice bins, as `ganlab.evaluation.spectrum.strides` says.
    """
    apart = 1 if min(size) <= 16 else 2
    return all(side % stride == 0 and side // stride > apart for side in size)


def levels(size: tuple[int, int]) -> list[int]:
    """Heights of the levels of a pyramid of patches, as `ganlab.evaluation.metrics.sliced_wasserstein_pyramid` has."""
    smallest = 16 if min(size) >= 32 else 4
    heights = []
    while min(size) >= smallest:
        heights.append(size[0])
        size = -(-size[0] // 2), -(-size[1] // 2)
    return heights


def is_among(metric: str, names: Sequence[str]) -> bool:
    """Whether a metric is one of these, of a factor too."""
    base = f"{metric.rpartition('/')[0]}/{base_name(metric)}"
    return metric in names or (base.startswith("full/factors/") and base in names)


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
