"""Features of a small classifier that is trained on the data set itself, once, in a minute or less.

Its weights are one vector that is passed through functions: without variables, layers or global random numbers, the
training is the same under any strategy, precision policy or seed, and changes no state of the process. It computes
on the CPU in float32, where the same machine gives the same bits.
"""

import math
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import NamedTuple

import numpy as np

from ganlab.errors import ConfigError
from ganlab.evaluation.cache import cached, fingerprint
from ganlab.evaluation.features.base import Features, RealImages, Say, compile_for, keep_last, some


class Recipe(NamedTuple):
    """Everything that determines the training besides the data; `edition` counts changes of the code below.

    images: how many are seen, at least `passes` times each, but no more than `multiplications` of forward passes allow.
    rate: of Adam at its highest, after a tenth of the steps; it falls to 0 as a cosine. shift: images are moved at
    random by up to 1/shift of their side, in whole pixels. dropout: of the inputs of the hidden layer.
    """

    edition: int = 1
    width: int = 64
    batch: int = 128
    passes: int = 4
    images: int = 100_000
    multiplications: float = 6e11
    rate: float = 3e-3
    shift: int = 14
    dropout: float = 0.4
    seed: int = 0


RECIPE = Recipe()


def classifier(real: RealImages, *, say: Say | None = None, recipe: Recipe = RECIPE, draws: int = 1) -> Features:
    """The last hidden layer, after its ReLU, of a classifier of the training images: 64 features.

    They are shifted and divided by one number, so that training images (at most 10,000 of them) have mean 0 and
    variance 1 per dimension on average: what the classifier finds important keeps its weight. Blind to what the
    classes do not need. The facts hold its accuracy on the held-out images.

    draws: how many classifiers, each from a seed of its own; probabilities are those of the first. Raises ConfigError
    for images without labels, or of one class only.
    """
    classes = _classes(real)
    seeds = range(recipe.seed, recipe.seed + draws)
    classifiers = [_TrainedClassifier(real, classes, recipe._replace(seed=seed), say) for seed in seeds]
    first, accuracies = classifiers[0], [trained.accuracy for trained in classifiers]
    digests = [trained.digest for trained in classifiers]
    several = draws > 1
    return Features(
        name="classifier",
        embed=lambda pixels: [trained.embed(pixels) for trained in classifiers],
        probabilities=first.probabilities,
        facts={
            "dimension": recipe.width,
            "trained_on": f"{len(real.train)} training images of {len(classes)} classes",
            **({"draws": draws, "seeds": list(seeds)} if several else {"seed": recipe.seed}),
            "test_accuracy": accuracies if several else first.accuracy,
            "tested_on": len(real.held_out),
            "weights": fingerprint([trained.weights for trained in classifiers] if several else first.weights)[:12],
            "scale": "mean variance 1 over dimensions and training images",
        },
        digest=fingerprint({"features": "classifier", "draws": digests}) if several else first.digest,
    )


class _TrainedClassifier:
    """One trained classifier: its features and its probabilities of pixels uint8 [N,H,W,C]."""

    def __init__(self, real: RealImages, classes: np.ndarray, recipe: Recipe, say: Say | None):
        key = {**real._asdict(), **recipe._asdict(), "tensorflow": version("tensorflow"), "numpy": version("numpy")}
        entry = cached("classifier", key, lambda: _train(real, classes, recipe, say))
        self.weights, self.accuracy = entry["weights"], float(entry["accuracy"])
        self._centre, self._scale = entry["centre"], float(entry["scale"])
        network = Network(real.train.shape[1:], len(classes), recipe.width)
        self._extract = keep_last(network.make_extractor(self.weights))
        self.digest = fingerprint(
            {"features": "classifier", "weights": self.weights, "centre": self._centre, "scale": self._scale}
        )

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """Features float64 [N,width]."""
        return (self._extract(pixels)[0] - self._centre) / self._scale

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """The probability of each class, float64 [N,K]."""
        logits = self._extract(pixels)[1]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)


def _classes(real: RealImages) -> np.ndarray:
    if real.train_labels is None or real.held_out_labels is None:
        raise ConfigError(
            "metrics.final.features=[classifier] needs labels, and this dataset has none; use random or pca"
        )
    classes = np.unique(real.train_labels)
    if len(classes) < 2:
        raise ConfigError(
            "metrics.final.features=[classifier] needs two classes, this dataset has one; use random or pca"
        )
    return classes


class Network:
    """3x3 convolutions with ReLU, 2x2 maxima between them down to 4 to 7 pixels, a hidden layer, and logits.

    Weights are one vector float32 [P]. Built without TensorFlow's global state: see the module.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, width: int):
        height, cross, inputs = shape
        self._shape, self.multiplications = shape, 0
        self._kernels: list[tuple[int, ...]] = []
        for stage in reversed(range(min(height, cross).bit_length() - 2)):
            maps = max(width >> stage, 16)
            self._kernels.append((3, 3, inputs, maps))
            self.multiplications += height * cross * 9 * inputs * maps
            inputs = maps
            if stage:
                height, cross = height // 2, cross // 2
        self._kernels += [(height * cross * inputs, width), (width, classes)]
        self.multiplications += height * cross * inputs * width + width * classes
        self._sizes = [size for kernel in self._kernels for size in (math.prod(kernel), kernel[-1])]

    def draw(self, random: np.random.Generator) -> np.ndarray:
        """Weights to start from: kernels normal with variance 2 / fan-in, biases 0."""
        parts = []
        for kernel in self._kernels:
            std = math.sqrt(2 / math.prod(kernel[:-1]))
            parts += [random.standard_normal(math.prod(kernel)) * std, np.zeros(kernel[-1])]
        return np.concatenate(parts).astype(np.float32)

    def forward(self, weights, pixels, drop=lambda maps: maps):
        """Tensors of weights [P] and pixels uint8 [N,H,W,C] -> hidden [N,width] and logits [N,K].

        drop: applied in training to the inputs [N,Q] of the hidden layer.
        """
        import tensorflow as tf

        parts = tf.split(weights, self._sizes)
        layers = [(tf.reshape(parts[2 * n], kernel), parts[2 * n + 1]) for n, kernel in enumerate(self._kernels)]
        maps = tf.cast(pixels, tf.float32) / 127.5 - 1
        for number, (kernel, bias) in enumerate(layers[:-2], start=1):
            maps = tf.nn.conv2d(maps, kernel, 1, "SAME")
            if number < len(layers) - 2:
                maps = tf.nn.max_pool2d(maps, 2, 2, "VALID")  # before the bias and ReLU, which commute with it: cheaper
            maps = tf.nn.relu(maps + bias)
        flat = drop(tf.reshape(maps, (-1, self._kernels[-2][0])))
        hidden = tf.nn.relu(flat @ layers[-2][0] + layers[-2][1])
        return hidden, hidden @ layers[-1][0] + layers[-1][1]

    def make_extractor(self, weights: np.ndarray) -> Callable[[np.ndarray], list[np.ndarray]]:
        """Compile: pixels uint8 [N,H,W,C] -> hidden [N,width] and logits [N,K], float64."""
        import tensorflow as tf

        def forward(pixels):
            with tf.device("CPU:0"):
                return self.forward(tf.constant(weights), pixels)

        return compile_for(self._shape, forward)

    def make_step(self, recipe: Recipe) -> Callable:
        """Compile one step of Adam: (weights, mean, square, pixels, targets, rate, number) -> the first three."""
        import tensorflow as tf

        def step(weights, mean, square, pixels, targets, rate, number):
            def drop(maps):
                chance = tf.random.stateless_uniform(tf.shape(maps), [recipe.seed, tf.cast(number, tf.int32)])
                return tf.where(chance < recipe.dropout, 0.0, maps / (1 - recipe.dropout))

            with tf.GradientTape() as tape:
                tape.watch(weights)
                logits = self.forward(weights, pixels, drop)[1]
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits))
            gradient = tape.gradient(loss, weights)
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient**2 - square)
            unbiased = tf.sqrt(square / (1 - 0.999**number)) + 1e-8
            return weights - rate * mean / (1 - 0.9**number) / unbiased, mean, square

        vector, number = tf.TensorSpec((sum(self._sizes),)), tf.TensorSpec(())
        pixels, targets = tf.TensorSpec((None, *self._shape), tf.uint8), tf.TensorSpec((None,), tf.int32)
        compiled = tf.function(step, autograph=False)
        return compiled.get_concrete_function(vector, vector, vector, pixels, targets, number, number)


def _train(real: RealImages, classes: np.ndarray, recipe: Recipe, say: Say | None) -> dict[str, np.ndarray]:
    import tensorflow as tf

    say = say or (lambda line: None)
    network = Network(real.train.shape[1:], len(classes), recipe.width)
    random = np.random.default_rng(recipe.seed)
    weights = network.draw(random)
    batch = min(recipe.batch, len(real.train))
    images_to_see = max(recipe.passes * len(real.train), recipe.images)
    steps = math.ceil(min(images_to_see, recipe.multiplications / network.multiplications) / batch)
    targets = np.searchsorted(classes, real.train_labels).astype(np.int32)
    batches = _batches(real.train, targets, batch, recipe.shift, random)
    started = reported = time.perf_counter()
    with tf.device("CPU:0"):
        step = network.make_step(recipe)
        state = [tf.constant(weights), tf.zeros_like(weights), tf.zeros_like(weights)]
        for number, (pixels, labels) in zip(range(1, steps + 1), batches, strict=False):
            rate = tf.constant(recipe.rate * _rise_and_fall(number / steps), tf.float32)
            state = step(*state, tf.constant(pixels), tf.constant(labels), rate, tf.constant(number, tf.float32))
            if time.perf_counter() - reported > 5:
                reported = time.perf_counter()
                share, seconds = 100 * number / steps, reported - started
                say(f"training the classifier for features, once: {share:.0f} %, {seconds:.0f} s")
        weights = state[0].numpy()
    extract = network.make_extractor(weights)
    predicted = classes[extract(real.held_out)[1].argmax(axis=1)]
    accuracy = np.mean(predicted == real.held_out_labels)
    hidden = extract(some(real.train))[0]
    scale = np.sqrt(hidden.var(axis=0).mean())
    if not scale > 0:
        raise ConfigError("metrics.final.features=[classifier] could not learn this dataset; use random or pca")
    say(f"trained the classifier for features in {time.perf_counter() - started:.0f} s; it is right about "
        f"{100 * accuracy:.2f} % of {len(predicted)} held-out images")  # fmt: skip
    return {"weights": weights, "centre": hidden.mean(axis=0), "scale": scale, "accuracy": accuracy}


def _rise_and_fall(share: float) -> float:
    rise = 0.1
    return share / rise if share < rise else 0.5 + 0.5 * math.cos(math.pi * (share - rise) / (1 - rise))


def _batches(
    images: np.ndarray, targets: np.ndarray, batch: int, shift: int, random: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless batches, each pass in a new order; each image is shifted at random, and its border fills the gap."""
    height, width = images.shape[1:3]
    down, right = height // shift, width // shift
    border = (0, 0), (down, down), (right, right), (0, 0)
    while True:
        order = random.permutation(len(images))
        for start in range(0, len(images) - batch + 1, batch):
            places = order[start : start + batch]
            moved = random.integers(0, 2 * down + 1, batch), random.integers(0, 2 * right + 1, batch)
            padded = np.pad(images[places], border, "edge")
            windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), (1, 2))  # [n,2d+1,2r+1,C,H,W]
            yield np.moveaxis(windows[np.arange(batch), *moved], 1, -1), targets[places]
