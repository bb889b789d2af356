"""Do generated images have the factors that real ones are made from: one at a time, in pairs, all at once?

Factors are arrays [N, F], a column for each entry of a table that says what is known of their prior: independent,
and uniform from `low` to `high`. One of them is the class. A network reads them off images; it is trained on rendered
images only, from a fixed seed, and never sees a generated image before it reads one. Values mean something only
together with their count and with what held-out rendered images score through the same read-out.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganlab.evaluation.metrics.classes import binomial

Array = NDArray[np.float64]

_BINS, _GRID_BINS = 8, 3  # parts of a factor's range, in pairs and in the grid of all
_TEST = 5000  # rendered images that a read-out's quality is measured on
_CHUNK = 32  # batches that are rendered at once


class Factor(NamedTuple):
    """What a table says of one factor: its prior is uniform from `low` to `high`, of a circular factor the same place.

    unit: in words. classes: how many, from 0; 0: a continuous factor. visible_on: the classes whose images show it.
    """

    name: str
    low: float
    high: float
    unit: str
    circular: bool
    classes: int
    visible_on: tuple[int, ...]


def marginals(factors: ArrayLike, table: Sequence[Factor]) -> dict[str, float]:
    """How far each factor's distribution is from its prior; 0 is best, 1 the most.

    total_variation_<class>: half the sum of |share - 1/classes|.
    kolmogorov_<name>: the largest gap between the distribution functions. kuiper_<name>, for a circular factor: the
    largest gap upwards plus the largest downwards, which does not depend on where the circle is cut.
    Only images whose class shows a factor count; a factor that none shows is left out.

    Raises ValueError for factors that are not a finite [N, F], and for unknown classes.
    """
    factors, classes = _checked(factors, table)
    values = {}
    for column, factor in enumerate(table):
        if factor.classes:
            shares = np.bincount(factors[:, column].astype(int), minlength=factor.classes) / len(factors)
            values[f"total_variation_{factor.name}"] = float(np.abs(shares - 1 / factor.classes).sum() / 2)
        elif (visible := _visible(factor, classes)).any():
            values[_gap_name(factor)] = _gap(_shares(factors[visible, column], factor), factor.circular)
    return values


def dependences(factors: ArrayLike, table: Sequence[Factor], bins: int = _BINS) -> dict[str, float]:
    """How much two factors tell about each other, for every pair: mutual_information_<one>_<other>, in nats.

    Of the shares in `bins` equal parts of each range (a class has its own); 0 under the prior, but the estimate is
    biased upwards: see `factor_nulls`. Only images whose class shows both count; a pair that none shows is left out.
    Raises ValueError as `marginals` does. Panzeri and Treves, Network 7 (1996), for the bias.
    """
    factors, classes = _checked(factors, table)
    values = {}
    for (i, one), (j, other) in itertools.combinations(enumerate(table), 2):
        visible = _visible(one, classes) & _visible(other, classes)
        if visible.any():
            parts = _parts(factors[visible, i], one, bins), _parts(factors[visible, j], other, bins)
            values[f"mutual_information_{one.name}_{other.name}"] = _mutual_information(*parts)
    return values


def grid_coverage(factors: ArrayLike, table: Sequence[Factor], bins: int = _GRID_BINS) -> dict[str, float]:
    """Whether every combination of factors occurs, and as often as it should.

    The space of factors is cut into cells: the classes, times `bins` equal parts of every factor that a class shows.
    grid_coverage: cells that are hit, by the number that as many perfect samples hit on average; 1 for these, though
    even spacing can exceed it. grid_divergence: KL(shares || prior) over the cells, in nats; 0 is best, but finite
    samples give more: see `factor_nulls`. Values outside the prior's range count to the part at that end.

    Raises ValueError as `marginals` does.
    """
    factors, classes = _checked(factors, table)
    cell = np.zeros(len(factors), np.int64)
    for column, factor in enumerate(table):
        part = _parts(factors[:, column], factor, bins)
        cell = cell * (factor.classes or bins) + np.where(_visible(factor, classes), part, 0)
    _, first, counts = np.unique(cell, return_index=True, return_counts=True)
    cells = _cells(table, bins)
    prior = np.array([1 / (len(cells) * cells[int(label)]) for label in classes[first]])
    shares = counts / len(factors)
    return {
        "grid_coverage": len(counts) / _expected_hits(cells, len(factors)),
        "grid_divergence": float(np.sum(shares * np.log(shares / prior))),
    }


def residuals(pixels: np.ndarray, rendered: np.ndarray) -> dict[str, float]:
    """How much of an image is not explained by rendering the factors read from it: |G - R|^2 / |G|^2.

    residual_median and residual_mean over the images; 0 is best. With brightness from 0 to 1, so that a plain ground
    counts in |G|^2. The floor, from errors of the read-out alone, is what held-out rendered images score.

    pixels, rendered: uint8 [N,H,W,C] each. Raises ValueError for other types, unequal shapes, no images or black ones.
    """
    for name, images in (("pixels", pixels), ("rendered", rendered)):
        if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
            raise ValueError(f"{name} is {images.dtype} {list(images.shape)}; it must be uint8 [N,H,W,C]")
    if pixels.shape != rendered.shape:
        raise ValueError(f"rendered has shape {list(rendered.shape)}, pixels has {list(pixels.shape)}; give both alike")
    generated = pixels.reshape(len(pixels), -1).astype(np.float64)
    unexplained = generated - rendered.reshape(len(pixels), -1)
    energy = np.einsum("nd,nd->n", generated, generated)
    if not energy.all():
        raise ValueError(f"pixels[{int(np.argmin(energy))}] is black; a residual needs some brightness to relate to")
    relative = np.einsum("nd,nd->n", unexplained, unexplained) / energy
    return {"residual_median": float(np.median(relative)), "residual_mean": float(relative.mean())}


def factor_nulls(table: Sequence[Factor], count: int) -> dict[str, float]:
    """What `count` perfect samples score on average, read without error; names as in the measures.

    Exact for the class, the coverage and the divergence; the first order in 1/count for mutual information, and the
    limit of large counts for the gaps of distributions: sqrt(pi/2) ln 2 / sqrt(n) and sqrt(pi/2) / sqrt(n).
    """
    total = _class_of(table)[1].classes
    nulls = {}
    for factor in table:
        if factor.classes:
            nulls[f"total_variation_{factor.name}"] = (
                factor.classes * _mean_absolute_deviation(count, 1 / factor.classes) / 2
            )
        else:
            scale = np.sqrt(np.pi / 2 / (count * len(factor.visible_on) / total))
            nulls[_gap_name(factor)] = float(scale * (1 if factor.circular else np.log(2)))
    for one, other in itertools.combinations(table, 2):
        common = len(set(one.visible_on) & set(other.visible_on))
        free = np.prod([(common if factor.classes else _BINS) - 1 for factor in (one, other)])
        nulls[f"mutual_information_{one.name}_{other.name}"] = float(free / (2 * count * common / total))
    cells = _cells(table, _GRID_BINS)
    hits = np.arange(1, count + 1)
    divergence = 0.0
    for cell_count in cells:
        prior = 1 / (len(cells) * cell_count)
        share = hits / count
        divergence += cell_count * float(binomial(hits, count, prior) @ (share * np.log(share / prior)))
    return nulls | {"grid_coverage": 1.0, "grid_divergence": divergence}


def _checked(factors: ArrayLike, table: Sequence[Factor]) -> tuple[Array, Array]:
    """The factors, and the class of each image."""
    factors = np.asarray(factors, np.float64)
    if factors.ndim != 2 or factors.shape[1] != len(table) or not len(factors):
        raise ValueError(f"factors has shape {list(factors.shape)}; it must be [N,{len(table)}], N at least 1")
    if not np.isfinite(factors).all():
        raise ValueError("factors has values that are not finite")
    column, factor = _class_of(table)
    classes = factors[:, column]
    if not np.isin(classes, range(factor.classes)).all():
        raise ValueError(f"factors[:, {column}] has unknown classes; they must be 0 to {factor.classes - 1}")
    return factors, classes


def _class_of(table: Sequence[Factor]) -> tuple[int, Factor]:
    columns = [column for column, factor in enumerate(table) if factor.classes]
    if len(columns) != 1:
        raise ValueError(f"table has {len(columns)} factors with classes; it must have one")
    return columns[0], table[columns[0]]


def _visible(factor: Factor, classes: np.ndarray) -> NDArray[np.bool_]:
    return np.isin(classes, factor.visible_on)


def _shares(values: Array, factor: Factor) -> Array:
    """Values as shares of their range; those of a circular factor are wrapped into it."""
    share = (values - factor.low) / (factor.high - factor.low)
    return share % 1.0 if factor.circular else share


def _parts(values: Array, factor: Factor, bins: int) -> NDArray[np.int64]:
    """Which of the equal parts of its range each value lies in."""
    if factor.classes:
        return values.astype(np.int64)
    return np.clip(np.floor(bins * _shares(values, factor)), 0, bins - 1).astype(np.int64)


def _gap_name(factor: Factor) -> str:
    return f"{'kuiper' if factor.circular else 'kolmogorov'}_{factor.name}"


def _gap(share: Array, circular: bool) -> float:
    """The Kolmogorov-Smirnov or Kuiper statistic against the uniform distribution from 0 to 1."""
    expected = np.clip(np.sort(share), 0, 1)  # the distribution function of the prior
    steps = np.arange(len(share) + 1) / len(share)
    above, below = np.max(steps[1:] - expected), np.max(expected - steps[:-1])
    return float(above + below if circular else max(above, below))


def _mutual_information(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    joint = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(joint, (one, other), 1 / len(one))
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    occurring = joint > 0
    return float(np.sum(joint[occurring] * np.log(joint[occurring] / independent[occurring])))


def _cells(table: Sequence[Factor], bins: int) -> list[int]:
    """How many cells of the grid each class has."""
    total = _class_of(table)[1].classes
    return [
        bins ** sum(label in factor.visible_on and not factor.classes for factor in table) for label in range(total)
    ]


def _expected_hits(cells: list[int], count: int) -> float:
    return sum(n * -np.expm1(count * np.log1p(-1 / (len(cells) * n))) for n in cells)


def _mean_absolute_deviation(count: int, share: float) -> float:
    """The mean of |k/n - p| for k of a binomial distribution: de Moivre's formula."""
    above = int(np.floor(count * share)) + 1
    return float(2 * above * (1 - share) * binomial(above, count, share) / count)


# --- the network that reads factors off images ------------------------------------------------------------------------


class Readout:
    """Reads factors: pixels uint8 [N,H,W,C] -> float64 [N,F], classes as whole numbers.

    quality: how well it reads rendered images that it was not trained on: accuracy_<class>, and for each other
    factor r2_<name>, 1 less the squared error by the variance (of the points on the circle, where it is circular),
    on the images that show it.
    """

    def __init__(
        self,
        table: Sequence[Factor],
        shape: tuple[int, int, int],
        level: tuple[float, float],
        weights: Sequence[np.ndarray],
        quality: dict[str, float],
    ):
        import tensorflow as tf

        self._table, self._shape, self._level, self.quality = tuple(table), tuple(shape), tuple(level), dict(quality)
        self._network = _network(self._shape, self._level, _width(self._table))
        self._network.set_weights(weights)
        self._read = tf.function(
            lambda pixels: self._network(tf.cast(pixels, tf.float32), training=False),
            input_signature=[tf.TensorSpec((None, *self._shape), tf.uint8)],
            autograph=False,
        )

    def __call__(self, pixels: np.ndarray) -> Array:
        """Pixels uint8 [N,H,W,C] -> factors [N,F]; values outside a range are not clipped. ValueError for others."""
        if pixels.dtype != np.uint8 or pixels.shape[1:] != self._shape:
            raise ValueError(
                f"pixels are {pixels.dtype} {list(pixels.shape)}; "
                f"this read-out takes uint8 [N,{','.join(map(str, self._shape))}]"
            )
        blocks = [self._read(pixels[start : start + 500]).numpy() for start in range(0, len(pixels), 500)]
        return _decode(np.concatenate(blocks).astype(np.float64), self._table)

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits of everything that determines what it reads."""
        hashed = hashlib.sha256(self._description().encode())
        for weight in self._network.get_weights():
            hashed.update(weight.tobytes())
        return hashed.hexdigest()[:12]

    def arrays(self) -> dict[str, np.ndarray]:
        """Numbers and text from which `from_arrays` builds it again."""
        weights = {f"weight_{place}": weight for place, weight in enumerate(self._network.get_weights())}
        return {"description": np.array(self._description()), **weights}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], table: Sequence[Factor]) -> "Readout":
        """The read-out that gave the arrays; ValueError where it reads other factors."""
        description = json.loads(str(arrays["description"]))
        if description["factors"] != _describe(table):
            raise ValueError("arrays are of a read-out of other factors; train one for these")
        weights = [arrays[f"weight_{place}"] for place in range(len(arrays) - 1)]
        return cls(table, description["shape"], description["level"], weights, description["quality"])

    def _description(self) -> str:
        return json.dumps(
            {"shape": self._shape, "level": self._level, "factors": _describe(self._table), "quality": self.quality}
        )


def train_readout(
    table: Sequence[Factor],
    draw: Callable[[int, int], Array],
    render: Callable[[Array], np.ndarray],
    *,
    steps: int = 2500,
    batch: int = 64,
) -> Readout:
    """Train a read-out on fresh images: every step renders new ones.

    table: what is known of the factors, in the order of their columns.
    draw: (first, count) -> factors [count,F] of images first, first + 1, ...
    render: factors [N,F] -> pixels uint8 [N,H,W,C]; the shape of one decides the network.
    The images are those from 0 on; the next 5000 measure the quality.

    Computes in float32 whatever the run's precision; on a CPU equal arguments give equal bits.
    """
    import keras
    import tensorflow as tf

    shape = render(draw(0, 1)).shape[1:]
    sample = render(draw(0, 1000))
    level = float(sample.mean()), float(sample.std())
    network = _network(shape, level, _width(table))
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(4e-3, steps))
    optimizer.build(network.trainable_variables)
    classes = sum(factor.classes for factor in table)

    @tf.function(autograph=False)
    def step(pixels, labels, targets, mask):
        with tf.GradientTape() as tape:
            outputs = network(tf.cast(pixels, tf.float32), training=True)
            cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs[:, :classes])
            errors = mask * (outputs[:, classes:] - targets) ** 2
            loss = tf.reduce_mean(cross_entropy) + tf.reduce_mean(errors)
        weights = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    for start in range(0, steps, _CHUNK):
        count = min(_CHUNK, steps - start)
        factors = draw(start * batch, count * batch)
        pixels = render(factors)
        labels, targets, mask = _encode(factors, table)
        for place in range(0, count * batch, batch):
            part = slice(place, place + batch)
            step(*(tf.constant(array[part]) for array in (pixels, labels, targets, mask)))

    readout = Readout(table, shape, level, network.get_weights(), {})
    test = draw(steps * batch, _TEST)
    readout.quality = _quality(test, readout(render(test)), table)
    return readout


def _network(shape: tuple[int, ...], level: tuple[float, float], outputs: int) -> Any:
    """Pixels less their mean over their std, convolutions that halve down to 4 to 7 pixels, a hidden layer."""
    import keras

    seeds = itertools.count()

    def weights() -> dict[str, Any]:
        return {"kernel_initializer": keras.initializers.HeNormal(seed=next(seeds)), "dtype": "float32"}

    halvings = int(np.log2(min(shape[:2]) / 4))
    mean, std = level
    layers = [keras.Input(shape), keras.layers.Rescaling(1 / std, -mean / std, dtype="float32")]
    for halvings_left in reversed(range(halvings)):
        maps = max(16, 64 >> halvings_left)
        layers.append(keras.layers.Conv2D(maps, 3, 2, "same", activation="silu", **weights()))
    layers.append(keras.layers.Flatten(dtype="float32"))
    layers.append(keras.layers.Dense(128, "silu", **weights()))
    layers.append(keras.layers.Dense(outputs, **weights()))
    return keras.Sequential(layers)


def _width(table: Sequence[Factor]) -> int:
    return sum(factor.classes or (2 if factor.circular else 1) for factor in table)


def _describe(table: Sequence[Factor]) -> list[list[Any]]:
    return [[f.name, f.low, f.high, f.circular, f.classes, list(f.visible_on)] for f in table]


def _points(values: Array, factor: Factor) -> Array:
    """A continuous factor as numbers of mean 0 and power 1 under its prior: [N] -> [N,1], circular [N,2]."""
    share = (values - factor.low) / (factor.high - factor.low)
    if factor.circular:
        return np.sqrt(2) * np.stack([np.cos(2 * np.pi * share), np.sin(2 * np.pi * share)], axis=1)
    return (np.sqrt(12) * (share - 0.5))[:, None]


def _encode(factors: Array, table: Sequence[Factor]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The class [N], the other factors as points [N,K], and which of these an image shows [N,K]."""
    labels = factors[:, _class_of(table)[0]].astype(np.int32)
    points, visible = [], []
    for place, factor in enumerate(table):
        if not factor.classes:
            points.append(_points(factors[:, place], factor))
            visible.append(np.repeat(_visible(factor, labels)[:, None], points[-1].shape[1], axis=1))
    return labels, np.hstack(points).astype(np.float32), np.hstack(visible).astype(np.float32)


def _decode(outputs: Array, table: Sequence[Factor]) -> Array:
    """Outputs of the network [N,K] -> factors [N,F]: the most likely class, the nearest point of each circle."""
    total = _class_of(table)[1].classes
    factors, place = np.empty((len(outputs), len(table))), total
    for column, factor in enumerate(table):
        if factor.classes:
            factors[:, column] = outputs[:, :total].argmax(axis=1)
            continue
        if factor.circular:
            share = np.arctan2(outputs[:, place + 1], outputs[:, place]) / (2 * np.pi) % 1.0
        else:
            share = outputs[:, place] / np.sqrt(12) + 0.5
        factors[:, column] = factor.low + share * (factor.high - factor.low)
        place += 2 if factor.circular else 1
    return factors


def _quality(truth: Array, read: Array, table: Sequence[Factor]) -> dict[str, float]:
    classes, quality = truth[:, _class_of(table)[0]], {}
    for place, factor in enumerate(table):
        if factor.classes:
            quality[f"accuracy_{factor.name}"] = float(np.mean(truth[:, place] == read[:, place]))
        else:
            visible = _visible(factor, classes)
            points, guesses = (_points(values[visible, place], factor) for values in (truth, read))
            error, total = np.sum((points - guesses) ** 2), np.sum((points - points.mean(axis=0)) ** 2)
            quality[f"r2_{factor.name}"] = float(1 - error / total)
    return quality
