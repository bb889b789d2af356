"""The measures of a run under its protocol: a number, what equal distributions would give, and how it was taken."""

import hashlib
from typing import Any, NamedTuple

import numpy as np

from ganlab.config import Metrics
from ganlab.evaluation.metrics import (
    coverage_null,
    frechet_distance,
    frechet_distance_null,
    kernel_distance,
    precision_recall_density_coverage,
)


class Protocol(NamedTuple):
    """Which real images, how many generated ones, seen through which features. Equal digest: comparable numbers."""

    n_real: int
    n_fake: int
    features: str
    split: str
    neighbours: int
    hash: str


class Measures:
    """Compares generated with held-out pixels; the real side is prepared once.

    real: held-out pixels uint8 [N,H,W,C]; at most `settings.images` of them are used, and as many generated ones are
    asked for (precision, recall, density and coverage want equal counts).
    train: pixels of training images, of which as many are measured in the place of generated ones.
    """

    def __init__(self, settings: Metrics, real: np.ndarray, train: np.ndarray):
        count = min(settings.images, len(real), len(train))
        self._real = pixel_features(_some(real, count))
        self._neighbours = settings.neighbours
        digest = hashlib.sha256(self._real.tobytes() + repr((settings.features, self._neighbours)).encode())
        self.protocol = Protocol(
            count, count, settings.features, "held_out", settings.neighbours, digest.hexdigest()[:12]
        )
        self.nulls = {
            "frechet_distance": frechet_distance_null(pixel_features(real), count, count),
            "kernel_distance": 0.0,
            "density": 1.0,
            "coverage": coverage_null(count, count, settings.neighbours),
        }
        """What equal distributions score by formula (the Frechet distance's is for normal ones); two have none."""
        self.real_against_real = self(_some(train, count))
        """What as many real training images score: the floor under this very protocol."""

    def __call__(self, fake: np.ndarray) -> dict[str, float]:
        """Pixels uint8 [n_fake,H,W,C] -> {name: value}."""
        features = pixel_features(fake)
        quartet = precision_recall_density_coverage(self._real, features, self._neighbours)
        return {
            "frechet_distance": frechet_distance(self._real, features),
            "kernel_distance": kernel_distance(self._real, features),
            **quartet._asdict(),
        }


def pixel_features(pixels: np.ndarray) -> np.ndarray:
    """Pixels uint8 [N,H,W,C] as vectors in [-1, 1], float64 [N, H*W*C]."""
    return pixels.reshape(len(pixels), -1) / 127.5 - 1.0


def _some(pixels: np.ndarray, count: int) -> np.ndarray:
    """So many of the images, the same ones every time, from all over the set (files are seldom shuffled)."""
    return pixels[np.sort(np.random.default_rng(0).permutation(len(pixels))[:count])]


def describe(protocol: Protocol) -> dict[str, Any]:
    """The protocol as plain values for result.json."""
    return dict(protocol._asdict())
