"""Measures under a protocol: numbers, what real images score in place of generated ones, and how they were taken.

A protocol says which real images, how many generated ones, and which features. Names of measures depend on it: `quick`
has bare names, `frechet_distance`, and `full` has prefixes, `full/classifier/frechet_distance`.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ganlab.evaluation import metrics, spectrum
from ganlab.evaluation.cache import cached, fingerprint
from ganlab.evaluation.features import Features, RealImages
from ganlab.evaluation.features.base import some
from ganlab.evaluation.ladder import climb, images_of_a_rung
from ganlab.evaluation.metrics.pairs import blocks
from ganlab.evaluation.registry import TABLE, Needs, Rungs, full_name

VERSION = 1  # of the computations: part of every hash
_PATCHED, _TESTED = 500, 2000  # images of either side at most, for slow measures
_AT_A_TIME = 4096  # training images whose features are held in memory
_ON_A_LADDER = 5000  # images of a rung, at most
_AVERAGED = tuple(  # measures whose scale does not depend on the kind of features, or ratios
    row for row in TABLE if row.quick and (row.needs == "neighbours" or (row.needs, row.scale) == ("features", "ratio"))
)
Values = dict[str, float]


class Counts(NamedTuple):
    """How many images of each side at most, how many sets of generated ones, and k for the manifold measures."""

    images: int
    neighbours: int
    sets: int = 1


class ExtraMeasures(NamedTuple):
    """Measures of pixels that use how such images are made.

    facts: plain values for the protocol. nulls: count -> what so many perfect images score, by name.
    """

    measure: Callable[[np.ndarray], Values]
    facts: dict[str, Any]
    nulls: Callable[[int], Values]


class Measured(NamedTuple):
    """Values by name, means over the sets of generated images; their std over sets; the spectrum of the first.

    What images do not have, such as the spectrum of constant ones, has no value. draws: by name, the values through
    each draw of the features, of which `values` are means; empty for features with one draw.
    """

    values: Values
    std: Values
    spectrum: spectrum.Spectrum | None
    draws: dict[str, list[float]] = {}  # noqa: RUF012  (nobody changes it)


class Measures:
    """Compares generated images with held-out ones; the real side is computed once, and cached for other runs.

    Distances use all `n_fake` generated images, at most `counts.images` and as many as there are training images;
    precision, recall, density and coverage need equal counts, and use the first `n_equal` of each side.
    extra: further measures, by group. mean_over: names of features; if there are any, `mean/...` is the mean of the
    values through each of them, in which all draws of a kind count equally.
    """

    def __init__(
        self,
        name: str,
        features: Sequence[Features],
        real: RealImages,
        counts: Counts,
        extra: Mapping[str, ExtraMeasures] | None = None,
        mean_over: Sequence[str] = (),
    ):
        self._features, self._extra, self._k = features, extra or {}, counts.neighbours
        self._mean_over = mean_over
        self._thorough = name == "full"
        self.train = real.train
        self._held_out = some(real.held_out, counts.images)
        self.spectrum = _spectrum(self._held_out)
        n_real, self.n_fake = len(self._held_out), min(counts.images, len(real.train))
        self._equal = min(n_real, self.n_fake)
        self._shares = None if real.train_labels is None else np.bincount(real.train_labels) / len(real.train)
        self.protocol: dict[str, Any] = {
            "name": name,
            "n_real": n_real,
            "n_fake": self.n_fake,
            "n_equal": self._equal,
            "sets": counts.sets,
            "features": {extractor.name: extractor.facts for extractor in features}
            if self._thorough
            else features[0].name,
            "split": "held_out",
            "neighbours": self._k,
            **({"mean_over": list(mean_over)} if mean_over else {}),
            **{group: extractor.facts for group, extractor in self._extra.items()},
        }
        key = self.protocol | {
            "version": VERSION,
            "digests": [extractor.digest for extractor in features],
            "held_out": real.held_out,
            "train": real.train,
            "labels": real.train_labels,
        }
        height, width = real.held_out.shape[1:3]
        if height != width or height % 2 == 1:
            key["spectra"] = 1  # earlier versions had no spectra of such images
        if any(extractor.facts.get("draws", 1) > 10 for extractor in features):
            key["draws"] = 1  # earlier versions compared the draws of one side with others of the other
        whole = fingerprint(key)
        self.protocol["hash"] = whole[:12]
        real_side = cached(f"real-{name}", {"all": whole}, lambda: self._prepare(real))
        parts = sorted(real_side, key=lambda part: (len(part), part))  # pca/2 comes before pca/10
        self._held_out_features = {
            extractor.name: [real_side[part] for part in parts if part.startswith(f"{extractor.name}/")]
            for extractor in features
        }
        self.real_against_real: Values = json.loads(str(real_side["floor"]))
        """What as many real training images score: the floor under this protocol."""
        self.nulls: Values = json.loads(str(real_side["nulls"]))
        """What equal distributions score by formula; most measures have none."""

    def __call__(self, sets: Sequence[np.ndarray]) -> Measured:
        """Sets of generated pixels uint8 [n_fake,H,W,C]; ValueError for any other number of images."""
        for fake in sets:
            if len(fake) != self.n_fake:
                raise ValueError(f"a set has {len(fake)} images; the protocol compares {self.n_fake}, give as many")
        spectra = [_spectrum(fake) for fake in sets]
        measured = [self._measure(fake, power) for fake, power in zip(sets, spectra, strict=True)]
        by_set = [values | self._mean(values, by_draw) for values, by_draw in measured]
        columns = {
            name: [values[name] for values in by_set] for name in by_set[0] if all(name in values for values in by_set)
        }
        std = {name: float(np.std(column, ddof=1)) for name, column in columns.items() if len(sets) > 1}
        names = [name for name in measured[0][0] if name in columns]
        values = {name: float(np.mean(columns[name])) for name in names}
        draws = {
            name: np.mean([by_draw[name] for _, by_draw in measured], axis=0).tolist()
            for name in measured[0][1]
            if name in names
        }
        values |= self._mean(values, draws)
        return Measured(values, std, spectra[0], draws)

    def measure_cheap(self, fake: np.ndarray, without: str = "") -> Values:
        """The measures that are cheap enough to be taken while a run trains, of pixels uint8 [N,H,W,C], any number.

        without: features through which they are not taken.
        """
        values, draws = self._of_all_features(fake, thorough=False, without=without)
        values |= self._named("", _artifacts(self.spectrum, _spectrum(fake), False))
        return values | self._mean(values, draws)

    def ladder(self, labels: np.ndarray | None, say: Callable[[str], None]) -> dict[str, Rungs]:
        """How these measures rate known faults of the training images (`evaluation/ladder.py`); cached.

        labels: of the training images, or None. say: takes a line before slow work.
        """
        count = images_of_a_rung(min(self.n_fake, _ON_A_LADDER), self.train.shape[1:])

        def measure(pixels: np.ndarray) -> Values:
            return self.measure_cheap(pixels, without="inception")  # on a CPU it would take hours

        def compute() -> dict[str, np.ndarray]:
            say("trying which measures find known faults worse than faint grain, once for these images")
            return {"rungs": np.array(json.dumps(climb(measure, self.train, labels, count, say)))}

        entry = cached("ladder", {"all": self.protocol["hash"], "count": count, "recipe": 1}, compute)
        return json.loads(str(entry["rungs"]))

    def _prepare(self, real: RealImages) -> dict[str, np.ndarray]:
        """The real side as arrays: features of the held-out images, the floor, the nulls."""
        self._held_out_features = {features.name: features.embed(self._held_out) for features in self._features}
        train, nulls = some(self.train, self.n_fake), {}
        floor, draws = self._measure(train, _spectrum(train))
        floor |= self._mean(floor, draws)
        for features in self._features:
            expected = [
                metrics.frechet_distance_null(vectors, len(self._held_out), self.n_fake, gaussian=False)
                for vectors in features.embed(real.held_out)
            ]
            # training images are copies of themselves: held-out ones are on both sides
            if features.name == "pca" and self._thorough:
                vectors = self._held_out_features["pca"][0]
                floor |= self._named("pca", self._copying(features, vectors[0::2], vectors[1::2]))
            nulls |= self._named(features.name, {
                "frechet_distance": float(np.mean(expected)),
                "kernel_distance": 0.0,
                "density": 1.0,
                "coverage": metrics.coverage_null(self._equal, self._equal, self._k),
            })  # fmt: skip
        for group, extra in self._extra.items():
            nulls |= self._named(group, extra.nulls(self.n_fake))
        arrays = {
            f"{name}/{draw}": vectors
            for name, draws in self._held_out_features.items()
            for draw, vectors in enumerate(draws)
        }
        return arrays | {"floor": np.array(json.dumps(floor)), "nulls": np.array(json.dumps(nulls))}

    def _measure(self, fake: np.ndarray, power: spectrum.Spectrum | None) -> tuple[Values, dict[str, list[float]]]:
        """Values by name, and the values through each draw of features that have several."""
        values, draws = self._of_all_features(fake, thorough=self._thorough)
        for features in self._features:
            if self._thorough and features.name == "pca":
                held_out, vectors = self._held_out_features[features.name], features.embed(fake)
                values |= self._named("pca", self._copying(features, held_out[0], vectors[0]))
            if self._thorough and features.probabilities:
                shares = self._shares if features.name == "classifier" else None  # others know other classes
                values |= self._named(features.name, _classes(features.probabilities(fake), shares))
        values |= self._named("", _artifacts(self.spectrum, power, self._thorough))
        if self._thorough:
            values |= self._named("", _patches(self._held_out[: self._equal], fake[: self._equal]))
        for group, extra in self._extra.items():
            values |= self._named(group, extra.measure(fake))
        return values, draws

    def _of_all_features(
        self, fake: np.ndarray, *, thorough: bool, without: str = ""
    ) -> tuple[Values, dict[str, list[float]]]:
        values: Values = {}
        draws: dict[str, list[float]] = {}
        for features in self._features:
            if features.name == without:
                continue
            held_out, vectors = self._held_out_features[features.name], features.embed(fake)
            by_draw = [self._of_features(*sides, thorough) for sides in zip(held_out, vectors, strict=True)]
            columns = {name: [draw[name] for draw in by_draw] for name in by_draw[0]}
            values |= self._named(features.name, {name: float(np.mean(column)) for name, column in columns.items()})
            if len(by_draw) > 1:
                draws |= {self._name(features.name, name): column for name, column in columns.items()}
        return values, draws

    def _mean(self, values: Values, draws: Mapping[str, list[float]]) -> Values:
        """The means over `mean_over` of measures that depend on features only; geometric ones for ratios."""
        means: Values = {}
        for row in _AVERAGED if self._mean_over else ():
            names = [self._name(kind, row.name) for kind in self._mean_over]
            columns = [np.array(draws.get(name, [values[name]])) for name in names if name in values]
            if len(columns) < len(names) or (row.scale == "ratio" and min(map(np.min, columns)) <= 0):
                continue
            if row.scale == "ratio":
                mean = math.exp(np.mean([np.log(column).mean() for column in columns]))
            else:
                mean = float(np.mean([column.mean() for column in columns]))
            means |= self._named("mean", {row.name: mean})
        return means

    def _of_features(self, real: np.ndarray, fake: np.ndarray, thorough: bool) -> Values:
        equal = min(len(real), len(fake))
        sides = real[:equal], fake[:equal]
        values = {
            **_take("features", thorough, real, fake),
            **_take("neighbours", thorough, *sides, self._k),
            **_take("equal features", thorough, *sides),
        }
        return {row.name: values[row.name] for row in TABLE if row.name in values}

    def _copying(self, features: Features, held_out: np.ndarray, fake: np.ndarray) -> Values:
        """Whether generated images are closer to training images than held-out ones are."""
        train = (features.embed(self.train[part])[0] for part in blocks(len(self.train), _AT_A_TIME))
        return _take("copying", self._thorough, train, held_out, fake)

    def _named(self, group: str, values: Values) -> Values:
        if not self._thorough:
            return values
        return {self._name(group, name): value for name, value in values.items()}

    def _name(self, group: str, name: str) -> str:
        return full_name(group, name) if self._thorough else name


def _spectrum(pixels: np.ndarray) -> spectrum.Spectrum | None:
    """The spectrum of images; None for lines of pixels, which have none."""
    return spectrum.measure_spectrum(pixels) if min(pixels.shape[1:3]) > 1 else None


def _artifacts(real: spectrum.Spectrum | None, fake: spectrum.Spectrum | None, thorough: bool) -> Values:
    """What the spectra differ in, and what stands out at the lattices of 2, 4 and 8 pixels."""
    if real is None or fake is None:
        return {}
    # Images without any power at some frequency, such as constant ones, have no value.
    values = _take("spectra", thorough, real, fake, or_none=True) | _take("spectrum", thorough, fake, or_none=True)
    for stride in spectrum.strides(*real.size):
        values |= _take("lattices", thorough, real, fake, stride, suffix=stride, or_none=True)
        values |= _take("lattice", thorough, fake, stride, suffix=stride, or_none=True)
    return values


def _patches(real: np.ndarray, fake: np.ndarray) -> Values:
    """Patches at each level of a Laplacian pyramid, and whether images can be told apart by their spectra."""
    # Images that are too small for a pyramid, constant, or lines of pixels have no value.
    return {
        **_take("patches", True, real[:_PATCHED], fake[:_PATCHED], or_none=True),
        **_take("pixels", True, real[:_TESTED], fake[:_TESTED], or_none=True),
    }


def _classes(probabilities: np.ndarray, shares: np.ndarray | None) -> Values:
    """Which classes a classifier predicts, and how surely."""
    values = _take("probabilities", True, probabilities)
    if shares is not None and len(shares) == probabilities.shape[1] and shares.all():
        values |= _take("classes", True, probabilities.argmax(axis=1), shares)
    return values


def _take(needs: Needs, thorough: bool, *arguments: Any, suffix: int | None = None, or_none: bool = False) -> Values:
    """Every metric of the registry that takes such arguments; a function behind several of them is called once.

    thorough: also those that are not quick. suffix: ends the names. or_none: what raises ValueError has no value.
    """
    values: Values = {}
    results: dict[Callable[..., Any], Any] = {}
    for row in TABLE:
        if row.needs != needs or not (row.quick or thorough):
            continue
        function, field = row.load()
        if function not in results:
            try:
                results[function] = function(*arguments)
            except ValueError:
                if not or_none:
                    raise
                results[function] = None
        result = results[function]
        if isinstance(result, dict):
            values |= {f"{row.name}_{key}": float(value) for key, value in result.items()}
        elif result is not None:
            name = row.name if suffix is None else f"{row.name}_{suffix}"
            values[name] = float(getattr(result, field) if field else result)
    return values
