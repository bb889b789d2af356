"""Features of an untrained convolutional network: they know no classes, and see texture that classifiers ignore."""

from collections.abc import Callable

import numpy as np

from ganlab.evaluation.cache import cached, fingerprint
from ganlab.evaluation.features.base import Features, RealImages, Say, compile_for, some

_MAPS = (16, 16, 8)


def random(real: RealImages, *, say: Say | None = None, draws: int = 3) -> Features:
    """Untrained networks of three 3x3 convolutions at full, half and quarter size: 64 features each.

    The features are the means of 16 rectified maps at full and at half size, where a pattern counts wherever it is, and
    of 8 maps at quarter size in each quadrant, where the layout counts. Kernels of the first two layers sum to zero
    over their window: flat areas give 0, so a faint checkerboard has an effect of first order. Each feature is centred
    and divided by its std over the training images (at most 10,000 of them), or by a tenth of the usual std in its draw
    if that is more: what hardly any image shows must not outweigh everything else.

    draws: how many networks, of seeds 0, 1, ...: the same for every data set and on every machine.
    """
    shape = real.train.shape[1:]
    seeds = range(draws)
    weights = [draw(seed, shape[-1]) for seed in seeds]
    extract = compile_for(shape, _network(weights))

    def measure() -> dict[str, np.ndarray]:
        features = np.stack(extract(some(real.train)))  # [draws, N, D]
        mean, std = features.mean(axis=1), features.std(axis=1)
        usual = np.sqrt(np.mean(std**2, axis=1, keepdims=True))
        constant = usual <= 1e-5 * np.abs(mean).max()  # the same for all images, in float32
        return {"mean": mean, "scale": np.where(constant, 1.0, np.maximum(std, usual / 10))}

    # Increase `recipe` when code that the entry comes from changes.
    entry = cached("random", {"train": real.train, "weights": weights, "recipe": 2}, measure)
    mean, scale = entry["mean"], entry["scale"]
    return Features(
        name="random",
        embed=lambda pixels: [(features - mean[n]) / scale[n] for n, features in enumerate(extract(pixels))],
        probabilities=None,
        facts={
            "dimension": mean.shape[1],
            "draws": draws,
            "seeds": list(seeds),
            "weights": fingerprint(weights)[:12],
            "scale": "variance 1 over training images in each dimension that varies",
        },
        digest=fingerprint({"features": "random", "weights": weights, "mean": mean, "scale": scale}),
    )


def draw(seed: int, channels: int) -> list[np.ndarray]:
    """The kernels [3,3,Ci,Co] of one network, normal with variance 2 / (9 Ci), drawn by numpy's default generator."""
    generator = np.random.default_rng(seed)
    kernels, inputs = [], channels
    for layer, maps in enumerate(_MAPS):
        kernel = generator.standard_normal((3, 3, inputs, maps)) * np.sqrt(2 / (9 * inputs))
        if layer < 2:
            kernel -= kernel.mean(axis=(0, 1))
        kernels.append(kernel.astype(np.float32))
        inputs = channels + maps
    return kernels


def _network(draws: list[list[np.ndarray]]) -> Callable:
    """Pixels uint8 [N,H,W,C] -> float32 [N,64] for each draw; on the CPU, where float32 is float32 on every machine."""
    import tensorflow as tf

    def convolve(maps: tf.Tensor, kernel: np.ndarray) -> tf.Tensor:
        maps = tf.pad(maps, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")  # zeros would draw a frame
        return tf.nn.relu(tf.nn.conv2d(maps, kernel, 1, "VALID"))

    def read(images: tf.Tensor, kernels: list[np.ndarray]) -> tf.Tensor:
        means, maps = [], images
        for kernel in kernels[:2]:
            maps = convolve(maps, kernel)
            means.append(tf.reduce_mean(maps, (1, 2)))
            images = tf.nn.avg_pool2d(images, 2, 2, "SAME")
            maps = tf.concat([images, tf.nn.avg_pool2d(maps, 2, 2, "SAME")], -1)
        maps = convolve(maps, kernels[2])
        height, width = maps.shape[1], maps.shape[2]
        for rows in (slice((height + 1) // 2), slice(height // 2, None)):
            for columns in (slice((width + 1) // 2), slice(width // 2, None)):
                means.append(tf.reduce_mean(maps[:, rows, columns], (1, 2)))
        return tf.concat(means, -1)

    def network(pixels: tf.Tensor) -> list[tf.Tensor]:
        with tf.device("CPU:0"):
            images = tf.cast(pixels, tf.float32) / 127.5 - 1
            return [read(images, kernels) for kernels in draws]

    return network
