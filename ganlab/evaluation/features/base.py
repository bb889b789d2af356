"""What every feature extractor takes and returns; TensorFlow is imported only by networks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ganlab.evaluation.cache import fingerprint

_BLOCK_PIXELS = 256 * 128 * 128  # of a block of images; a network takes some 300 bytes for each
Say = Callable[[str], None]
"""Takes a line of text for people, such as progress of a slow step."""


class RealImages(NamedTuple):
    """A data set as arrays: pixels uint8 [N,H,W,C] and, where there are classes, labels int [N]."""

    train: np.ndarray
    held_out: np.ndarray
    train_labels: np.ndarray | None = None
    held_out_labels: np.ndarray | None = None


@dataclass(frozen=True)
class Features:
    """A fixed mapping of images to vectors.

    embed: pixels uint8 [N,H,W,C] -> one float64 [N,D] for each draw of the features; most have one. Measures are
    averaged over draws. probabilities: pixels -> float64 [N,K] over classes; None for features without classes.
    facts: plain values for the protocol. digest: equal digests mean equal vectors up to rounding.
    """

    name: str
    embed: Callable[[np.ndarray], list[np.ndarray]]
    probabilities: Callable[[np.ndarray], np.ndarray] | None
    facts: dict[str, Any]
    digest: str


def check_pixels(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels, or a ValueError if they are not uint8 [N, *shape] with at least one image."""
    wanted = "uint8 [N, " + ", ".join(str(side) for side in shape) + "]"
    if pixels.dtype != np.uint8 or pixels.shape[1:] != shape:
        raise ValueError(f"pixels are {pixels.dtype} {list(pixels.shape)}; give {wanted}")
    if not len(pixels):
        raise ValueError(f"pixels hold no image; give {wanted}")
    return pixels


def some(pixels: np.ndarray, count: int = 10_000) -> np.ndarray:
    """At most `count` of the images, in a fixed random order, since files are seldom shuffled."""
    return pixels[np.random.default_rng(0).permutation(len(pixels))[:count]]


def compile_for(shape: tuple[int, ...], network: Callable) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Compile `network`, pixels [N, *shape] -> list of tensors [N,...]: arrays in, float64 out, a block at a time."""
    import tensorflow as tf

    images = tf.TensorSpec((None, *shape), tf.uint8)
    compiled = tf.function(network, autograph=False).get_concrete_function(images)

    def extract(pixels: np.ndarray, size: int = 256) -> list[np.ndarray]:
        check_pixels(pixels, shape)
        size = max(1, min(size, _BLOCK_PIXELS // (shape[0] * shape[1])))
        blocks = [compiled(tf.constant(pixels[start : start + size])) for start in range(0, len(pixels), size)]
        return [
            np.concatenate([part.numpy() for part in parts]).astype(np.float64) for parts in zip(*blocks, strict=True)
        ]

    return extract


def keep_last(extract: Callable[[np.ndarray], list[np.ndarray]]) -> Callable[[np.ndarray], list[np.ndarray]]:
    """The same function, which computes once for repeated calls on the same pixels (vectors, then probabilities)."""
    last: dict[str, list[np.ndarray]] = {}

    def extract_once(pixels: np.ndarray) -> list[np.ndarray]:
        digest = fingerprint(pixels)
        if digest not in last:
            last.clear()
            last[digest] = extract(pixels)
        return last[digest]

    return extract_once
