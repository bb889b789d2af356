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
    n_equal: int
    features: str
    split: str
    neighbours: int
    hash: str


class Measures:
    """Compares generated with held-out pixels; the real side is prepared once.

    real: held-out pixels uint8 [N,H,W,C], of which at most `settings.images` are used. train: pixels of training
    images, of which `n_fake` are measured in the place of generated ones: the floor. Distances see all `n_fake`
    generated images, at most `settings.images` and as many as there are training images; precision, recall, density
    and coverage want equal counts, and see the first `n_equal` of each side.
    """

    def __init__(self, settings: Metrics, real: np.ndarray, train: np.ndarray):
        n_real, n_fake = min(settings.images, len(real)), min(settings.images, len(train))
        self._real = pixel_features(_some(real, n_real))
        self._neighbours, self._equal = settings.neighbours, min(n_real, n_fake)
        digest = hashlib.sha256(self._real.tobytes() + repr((settings.features, n_fake, self._neighbours)).encode())
        self.protocol = Protocol(
            n_real, n_fake, self._equal, settings.features, "held_out", settings.neighbours, digest.hexdigest()[:12]
        )
        self.nulls = {
            "frechet_distance": frechet_distance_null(pixel_features(real), n_real, n_fake),
            "kernel_distance": 0.0,
            "density": 1.0,
            "coverage": coverage_null(self._equal, self._equal, settings.neighbours),
        }
        """What equal distributions score by formula (the Frechet distance's is for normal ones); two have none."""
        self.real_against_real = self(_some(train, n_fake))
        """What as many real training images score: the floor under this very protocol."""

    def __call__(self, fake: np.ndarray) -> dict[str, float]:
        """Pixels uint8 [n_fake,H,W,C] -> {name: value}."""
        features = pixel_features(fake)
        quartet = precision_recall_density_coverage(
            self._real[: self._equal], features[: self._equal], self._neighbours
        )
        return {
            "frechet_distance": frechet_distance(self._real, features),
            "kernel_distance": kernel_distance(self._real, features),
            **quartet._asdict(),
        }


def pixel_features(pixels: np.ndarray) -> np.ndarray:
    """Pixels uint8 [N,H,W,C] as vectors in [-1, 1], float64 [N, H*W*C]."""
    return pixels.reshape(len(pixels), -1) / 127.5 - 1.0


def _some(pixels: np.ndarray, count: int) -> np.ndarray:
    """So many of the images in a fixed random order (files are seldom shuffled)."""
    return pixels[np.random.default_rng(0).permutation(len(pixels))[:count]]


def describe(protocol: Protocol) -> dict[str, Any]:
    """The protocol as plain values for result.json."""
    return dict(protocol._asdict())
