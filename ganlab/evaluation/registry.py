"""Every metric in one table: its name, what computes it, which values are better, how it is compared, what it means.

To add one, write a function and a row here. Nothing is imported to read the table, so settings that name a metric are
checked at once; `Metric.load` imports the function.
"""

import math
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Literal, NamedTuple

Direction = Literal["smaller", "larger", "closer to 0"]
Scale = Literal["ratio", "difference", "size"]
Needs = Literal[
    "features",  # (real [N,D], fake [M,D])
    "equal features",  # (real [N,D], fake [N,D])
    "neighbours",  # (real [N,D], fake [N,D], k)
    "copying",  # (train, held_out, fake [.,D]), through pca alone
    "probabilities",  # (probabilities [N,C])
    "classes",  # (labels [N], shares [C] of the training images)
    "spectra",  # (real, fake), each a Spectrum
    "spectrum",  # (fake), a Spectrum
    "lattices",  # (real, fake, stride), each a Spectrum; the stride ends the name
    "lattice",  # (fake, stride), a Spectrum; the stride ends the name
    "patches",  # (real, fake), uint8 [N,H,W,C], few; gives {height: value}, and the height ends the name
    "pixels",  # (real, fake), uint8 [N,H,W,C], few
    "factor",  # of a data set with known factors: `run.measuring` calls it; one or two factors end the name
    "factors",  # the same, of all factors at once
    "inception",  # another metric, through the features of Inception
]


class Metric(NamedTuple):
    """One metric.

    function: `module:name` below `ganlab.evaluation`; `module:name.field` where it gives a named tuple. direction:
    which values are the better ones; None: neither, so it is shown and not compared. scale: what is subtracted: `ratio`
    the logarithms, `difference` the values, `size` their distances from 0. needs: what the function takes. words: what
    it means, for readers of a report. quick: also measured while a run trains.
    """

    name: str
    function: str
    direction: Direction | None
    scale: Scale
    needs: Needs
    words: str
    quick: bool = False

    @property
    def better(self) -> str:
        """Which values are the better ones: smaller, larger, closer to 0; empty where neither are."""
        return self.direction or ""

    def outcome(self, value: float) -> float:
        """What is subtracted, turned so that more is better; ValueError for a ratio of a number that is not above 0."""
        return self.orient({"ratio": math.log, "difference": float, "size": abs}[self.scale](value))

    def orient(self, difference: float) -> float:
        """Turn a difference so that more is better, or such a one back: below 0 where the values are smaller."""
        return (difference if self.direction == "larger" else -difference) + 0.0  # no -0

    def is_better(self, value: float, than: float) -> bool:
        """Whether a value is better than another; False where they are equal, or the value is not finite."""
        one, other = (abs(value), abs(than)) if self.scale == "size" else (value, than)
        return math.isfinite(one) and self.orient(one) > self.orient(other)

    def load(self) -> tuple[Callable[..., Any], str]:
        """The function, imported now, and the field of what it gives; empty where it gives the value itself."""
        module, _, path = self.function.partition(":")
        name, _, field = path.partition(".")
        return getattr(import_module(f"ganlab.evaluation.{module}"), name), field


TABLE = (
    Metric("frechet_distance", "metrics:frechet_distance", "smaller", "ratio", "features",
           "distance of two normal distributions fitted to the features of real and generated images", quick=True),
    Metric("kernel_distance", "metrics:kernel_distance", "smaller", "difference", "features",
           "squared distance (MMD) of real and generated features with a cubic kernel; around 0 if their "
           "distributions are equal", quick=True),
    Metric("precision", "metrics:precision_recall_density_coverage.precision", "larger", "difference", "neighbours",
           "share of generated images that lie where real ones do", quick=True),
    Metric("recall", "metrics:precision_recall_density_coverage.recall", "larger", "difference", "neighbours",
           "share of real images that lie where generated ones do", quick=True),
    Metric("density", "metrics:precision_recall_density_coverage.density", "larger", "difference", "neighbours",
           "in how many neighbourhoods of real images a generated image lies, on average, divided by the number "
           "of neighbours; 1 if the distributions are equal", quick=True),
    Metric("coverage", "metrics:precision_recall_density_coverage.coverage", "larger", "difference", "neighbours",
           "share of real images whose neighbourhood holds a generated one", quick=True),
    Metric("frechet_distance_extrapolated", "metrics:frechet_distance_extrapolated.value", "smaller", "difference",
           "features", "the Fréchet distance that infinitely many images would have, by extrapolation"),
    Metric("kernel_distance_error", "metrics:kernel_distance_error", None, "difference", "features",
           "standard error of the kernel distance, from the images that were drawn"),
    Metric("energy_distance", "metrics:energy_distance", "smaller", "difference", "features",
           "how much farther real and generated features are from each other than among themselves"),
    Metric("sliced_wasserstein", "metrics:sliced_wasserstein", "smaller", "ratio", "equal features",
           "distance of the distributions of many one-dimensional projections, averaged"),
    Metric("data_copying", "metrics:copying.data_copying", None, "difference", "copying",
           "whether generated images lie nearer to training images than held-out ones do, as a z score; far "
           "below 0: copies"),
    Metric("copying_ratio", "metrics:copying.copying_ratio", None, "difference", "copying",
           "median distance of generated images to the nearest training image, divided by that of held-out "
           "images; near 0: copies"),
    Metric("classifier_score", "metrics:classifier_score", "larger", "difference", "probabilities",
           "how surely a classifier recognises the classes of generated images, and how evenly the classes occur"),
    Metric("modes", "metrics:modes.hit", "larger", "difference", "classes",
           "number of classes among the generated images"),
    Metric("class_divergence", "metrics:modes.divergence", "smaller", "difference", "classes",
           "Kullback-Leibler divergence of the shares of the classes from the true ones, in nats"),
    Metric("largest_class_error", "metrics:largest_class_error", "smaller", "difference", "classes",
           "the largest error of a class's share, relative to that share"),
    Metric("spectral_distance", "spectrum:spectral_distance", "smaller", "ratio", "spectra",
           "mean absolute difference in log10 power over all frequencies; 0.3 is a factor of 2 in power", quick=True),
    Metric("high_frequency_bias", "spectrum:high_frequency_bias", "closer to 0", "size", "spectra",
           "log10 of the power of the finest waves, generated divided by real; above 0: too much, below 0: too "
           "little", quick=True),
    Metric("spectral_distance_high", "spectrum:spectral_distance_high", "smaller", "ratio", "spectra",
           "the same over waves shorter than four pixels"),
    Metric("decay_slope", "spectrum:decay_slope", None, "difference", "spectrum",
           "slope of the power by frequency of generated images, both as logarithms"),
    Metric("checkerboard_index", "spectrum:checkerboard_index", "closer to 0", "size", "lattices",
           "log10 of the power of a pattern that repeats every 2 (4, 8) pixels, divided by the power at the "
           "frequencies around it, and by the same ratio of real images; above 0: a checkerboard, "
           "below 0: too little there", quick=True),
    Metric("coherent_checkerboard_index", "spectrum:coherent_checkerboard_index", "closer to 0", "size", "lattices",
           "the part of that pattern that is the same in all images"),
    Metric("phase_variance", "spectrum:phase_variance_of_detail", None, "difference", "lattice",
           "how unequally detailed the positions within a lattice of 2 (4, 8) pixels are in generated images; "
           "0: all alike"),
    Metric("sliced_wasserstein", "metrics:sliced_wasserstein_pyramid", "smaller", "ratio", "patches",
           "the same of patches, at a level of a pyramid of images"),
    Metric("spectral_two_sample", "spectrum:spectral_two_sample.accuracy", None, "difference", "pixels",
           "share of images that a linear classifier of their spectra tells apart as real or generated; 0.5: chance"),
    Metric("total_variation", "factors:marginals", "smaller", "difference", "factor",
           "half the sum of all errors of the shares of the classes"),
    Metric("kolmogorov", "factors:marginals", "smaller", "difference", "factor",
           "largest difference of a factor's cumulative distribution from the true one"),
    Metric("kuiper", "factors:marginals", "smaller", "difference", "factor",
           "the same for a factor that is an angle or a hue"),
    Metric("mutual_information", "factors:dependences", "smaller", "difference", "factor",
           "how much one factor tells about another, in nats; 0 in the real images"),
    Metric("grid_coverage", "factors:grid_coverage", "larger", "difference", "factors",
           "number of combinations of factors that occur, divided by the number that perfect samples would show"),
    Metric("grid_divergence", "factors:grid_coverage", "smaller", "difference", "factors",
           "Kullback-Leibler divergence of their shares from the true ones, in nats"),
    Metric("residual_median", "factors:residuals", "smaller", "ratio", "factors",
           "share of an image's power that no image of the data set's kind explains, median"),
    Metric("residual_mean", "factors:residuals", "smaller", "ratio", "factors",
           "the same, mean"),
    Metric("fid", "metrics:frechet_distance", "smaller", "ratio", "inception",
           "the Fréchet distance in the features of the Inception network"),
    Metric("kid", "metrics:kernel_distance", "smaller", "difference", "inception",
           "the kernel distance in the features of the Inception network"),
    Metric("inception_score", "metrics:classifier_score", "larger", "difference", "inception",
           "the classifier score of the Inception network"),
)  # fmt: skip
METRICS = {metric.name: metric for metric in reversed(TABLE)}  # of two rows with one name, the first one
KNOWN_AS = {
    row.name: other.name
    for other in TABLE
    for row in TABLE
    if other.needs == "inception" != row.needs and row.function == other.function
}
"""The well-known names of metrics through Inception's features; nothing else may have these names."""


def full_name(group: str, name: str) -> str:
    """The name of a measure at the end: `full/pca/coverage`, `full/inception/fid`, without a group `full/modes`."""
    return "/".join(filter(None, ("full", group, KNOWN_AS.get(name, name) if group == "inception" else name)))


STRIDES = (2, 4, 8)
_OF_A_FACTOR = re.compile(rf"({'|'.join(metric.name for metric in TABLE if metric.needs == 'factor')})_.*")


def base_name(metric: str) -> str:
    """A metric's name without protocol, features, stride and factors.

    full/random/checkerboard_index_2 is a checkerboard_index, full/factors/kolmogorov_size is kolmogorov.
    """
    name = re.sub(r"_\d+$", "", metric.rpartition("/")[2])
    return _OF_A_FACTOR.sub(r"\1", name)


def metric_of(name: str) -> Metric | None:
    """The metric behind a name in results; None for an unknown name."""
    return METRICS.get(base_name(name))


def compared(name: str) -> bool:
    """Whether a metric has a better side."""
    return better(name) != ""


def better(name: str) -> str:
    """Which values of a metric are the better ones, `smaller`, `larger` or `closer to 0`; empty where neither are."""
    metric = metric_of(name)
    return metric.better if metric else ""


def with_better_side() -> list[str]:
    """The names of all metrics that can be compared, and have margins."""
    return [metric.name for metric in METRICS.values() if metric.direction]


def quick_relative(metric: str) -> str:
    """The quick counterpart of a metric that is measured only at the end: full/random/coverage -> coverage."""
    return metric.rpartition("/")[2]


def names_under(
    features: Sequence[str] | None,
    factors: bool,
    size: tuple[int, int] | None = None,
    mean_over: Sequence[str] | None = None,
) -> list[str]:
    """Every name that an endpoint can have.

    features: of the thorough measures at the end, None where there are none. factors: whether these know how images
    were made; of the names of such measures only the first part is listed. size: height and width of the images, on
    which the measures of spectra depend; None: any size.
    """
    strides = [stride for stride in STRIDES if size is None or admits(size, stride)]

    def rows(*needs: Needs, quick: bool = False) -> list[str]:
        return [row.name for row in TABLE if row.direction and row.needs in needs and (row.quick or not quick)]

    def of_images(quick: bool) -> list[str]:
        spectra = rows("spectra", quick=quick) if size is None or min(size) > 1 else []
        return [*spectra, *(f"{name}_{stride}" for name in rows("lattices", quick=quick) for stride in strides)]

    by_features: tuple[Needs, ...] = ("features", "equal features", "neighbours")
    quick = [*rows(*by_features, quick=True), *of_images(quick=True)]
    if features is None:
        return quick
    heights = levels(size) if size else range(4, 1025)
    bare = [*of_images(quick=False), *(f"{name}_{height}" for name in rows("patches") for height in heights)]
    full = [full_name("", name) for name in bare]
    for kind in features:
        scores = rows("probabilities") if kind in ("classifier", "inception") else []
        classes = rows("classes") if kind == "classifier" else []  # Inception knows others
        full += [full_name(kind, name) for name in (*rows(*by_features), *scores, *classes)]
    if mean_over:
        averaged = [name for name in rows("features", "neighbours", quick=True) if name != "kernel_distance"]
        full += [full_name("mean", name) for name in averaged]
    full += [full_name("factors", name) for name in rows("factor", "factors") if factors]
    return [*quick, *full]


def admits(size: tuple[int, int], stride: int) -> bool:
    """Whether images of this height and width show the lattice of a stride.

    It divides both sides and leaves neighbours between lattice bins.
    """
    return all(side % stride == 0 and side // stride > lattice_reach(size) for side in size)


def lattice_reach(size: tuple[int, int]) -> int:
    """How many bins of a spectrum away a lattice bin's neighbours are."""
    return 1 if min(size) <= 16 else 2


def levels(size: tuple[int, int]) -> list[int]:
    """Heights of the levels of a pyramid of patches, as in `ganlab.evaluation.metrics.sliced_wasserstein_pyramid`."""
    smallest = 16 if min(size) >= 32 else 4
    heights = []
    while min(size) >= smallest:
        heights.append(size[0])
        size = -(-size[0] // 2), -(-size[1] // 2)
    return heights


def is_among(metric: str, names: Sequence[str]) -> bool:
    """Whether a metric is one of these names, also with the name of a factor at its end."""
    base = f"{metric.rpartition('/')[0]}/{base_name(metric)}"
    return metric in names or (base.startswith("full/factors/") and base in names)


# --- the rungs of a ladder of known faults, by name -------------------------------------------------------------------


Rungs = dict[str, float]
"""The value of a metric on each rung (`evaluation/ladder.py`)."""

UNTOUCHED = "real images"
GRAIN = ("white noise of 2 grey levels", "lattice grain of 2 grey levels")
FAULTS = ("blur of 3x3", "one image in five malformed", "one image in a hundred, repeated")
WITHOUT_CLASS = "without class "  # and its label
RUNG_NOISE = "deviation over draws"  # the standard deviation over draws of images, not a rung
RUNG_DRAWS = 3  # of images for each rung
