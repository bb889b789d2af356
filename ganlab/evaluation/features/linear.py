"""Features without a network: the pixels themselves, and the directions in which they vary most."""

from typing import Any

import numpy as np
import scipy.linalg

from ganlab.choose import ConfigError
from ganlab.evaluation.cache import cached, fingerprint
from ganlab.evaluation.features.base import Features, RealImages, Say, check_pixels

_COMPONENTS = 64
_WIDEST = 4096
"""Pixel values of an image; beyond, the covariance would take minutes and gigabytes."""


def pixel_features(pixels: np.ndarray) -> np.ndarray:
    """Pixels uint8 [N,H,W,C] as vectors in [-1, 1], float64 [N, H*W*C]."""
    return pixels.reshape(len(pixels), -1) / 127.5 - 1.0


def pixels(real: RealImages, *, say: Say | None = None) -> Features:
    """The pixels as they are: nothing is hidden, and a shift by one pixel is as far as another image."""
    shape = real.train.shape[1:]
    return Features(
        name="pixels",
        embed=lambda pixels: [pixel_features(check_pixels(pixels, shape))],
        probabilities=None,
        facts={"dimension": int(np.prod(shape)), "scale": "pixels in [-1, 1]"},
        digest=fingerprint({"features": "pixels", "shape": shape}),
    )


def pca(real: RealImages, *, say: Say | None = None) -> Features:
    """The first 64 principal components of the training pixels, or as many as these have, in the pixels' own scale.

    The sign is such that each component's largest entry is positive. Raises ConfigError for images of more than 4096
    values.
    """
    shape = real.train.shape[1:]
    width = int(np.prod(shape))
    if width > _WIDEST:
        raise ConfigError(
            f"metrics.features=pca is for images of at most {_WIDEST} values, these have {width}; use random"
        )
    found = cached("pca", {"train": real.train, "components": _COMPONENTS, "recipe": 1}, lambda: _fit(real.train))
    mean, components = found["mean"], found["components"]
    facts: dict[str, Any] = {
        "dimension": len(components),
        "trained_on": f"{len(real.train)} training images",
        "explained_variance": float(found["explained"]),
        "scale": "pixels in [-1, 1], projected, not whitened",
    }
    return Features(
        name="pca",
        embed=lambda pixels: [(pixel_features(check_pixels(pixels, shape)) - mean) @ components.T],
        probabilities=None,
        facts=facts,
        digest=fingerprint({"features": "pca", "mean": mean, "components": components}),
    )


def _fit(train: np.ndarray) -> dict[str, np.ndarray]:
    width = int(np.prod(train.shape[1:]))
    mean = pixel_features(train.mean(axis=0, dtype=np.float64)[None])[0]
    products = np.zeros((width, width))
    for start in range(0, len(train), 4096):
        block = pixel_features(train[start : start + 4096]) - mean
        products += block.T @ block
    count = min(_COMPONENTS, width)
    variances, vectors = scipy.linalg.eigh(products, subset_by_index=[width - count, width - 1])
    present = variances > width * np.finfo(np.float64).eps * np.trace(products)  # else it is rounding
    if not present.any():
        raise ConfigError("metrics.features=pca needs images that differ; the training images are all the same")
    components = np.ascontiguousarray(vectors.T[present][::-1])
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1, keepdims=True), axis=1)
    explained = variances[present].sum() / np.trace(products)
    return {"mean": mean, "components": components * np.sign(largest), "explained": np.array(explained)}
