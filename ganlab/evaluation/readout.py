"""A network that reads the factors of rendered images, and how well it does so.

`factors` measures with it. It is trained on rendered images only, from a fixed seed, and never sees a generated image
before it measures one.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganlab.evaluation.factors import Factor

Array = NDArray[np.float64]

_TEST = 5000  # rendered images that its own quality is measured on
_CHUNK = 32  # batches that are rendered at once


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
    (column,) = [column for column, factor in enumerate(table) if factor.classes]
    labels = factors[:, column].astype(np.int32)
    points, visible = [], []
    for place, factor in enumerate(table):
        if not factor.classes:
            points.append(_points(factors[:, place], factor))
            visible.append(np.repeat(np.isin(labels, factor.visible_on)[:, None], points[-1].shape[1], axis=1))
    return labels, np.hstack(points).astype(np.float32), np.hstack(visible).astype(np.float32)


def _decode(outputs: Array, table: Sequence[Factor]) -> Array:
    """Outputs of the network [N,K] -> factors [N,F]: the most likely class, the nearest point of each circle."""
    (total,) = [factor.classes for factor in table if factor.classes]
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
    (column,) = [column for column, factor in enumerate(table) if factor.classes]
    quality = {}
    for place, factor in enumerate(table):
        if factor.classes:
            quality[f"accuracy_{factor.name}"] = float(np.mean(truth[:, place] == read[:, place]))
        else:
            visible = np.isin(truth[:, column], factor.visible_on)
            points, guesses = (_points(values[visible, place], factor) for values in (truth, read))
            error, total = np.sum((points - guesses) ** 2), np.sum((points - points.mean(axis=0)) ** 2)
            quality[f"r2_{factor.name}"] = float(1 - error / total)
    return quality
