"""Features without a network: the pixels themselves, and the directions in which they vary most."""

from typing import Any

import numpy as np
import scipy.linalg

from ganlab.errors import ConfigError
from ganlab.evaluation.cache import cached, fingerprint
from ganlab.evaluation.features.base import Features, RealImages, Say, check_pixels, some

_COMPONENTS = 64
_WIDEST, _FEW = 4096, 2048
"""Images of more values than that, whose covariance would take minutes, are analysed by so many of them alone."""


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

    The sign is such that each component's largest entry is positive. Of images of more than 4096 values, the components
    are those of 2048 training images.
    """
    shape = real.train.shape[1:]
    # Count `recipe` up when code that the entry comes from changes.
    found = cached("pca", {"train": real.train, "components": _COMPONENTS, "recipe": 2}, lambda: _fit(real.train))
    mean, components = found["mean"], found["components"]

    def project(pixels: np.ndarray) -> np.ndarray:
        blocks = np.array_split(check_pixels(pixels, shape), -(-len(pixels) // _FEW))
        return np.concatenate([(pixel_features(block) - mean) @ components.T for block in blocks])

    facts: dict[str, Any] = {
        "dimension": len(components),
        "trained_on": f"{int(found['images'])} training images",
        "explained_variance": float(found["explained"]),
        "scale": "pixels in [-1, 1], projected, not whitened",
    }
    return Features(
        name="pca",
        embed=lambda pixels: [project(pixels)],
        probabilities=None,
        facts=facts,
        digest=fingerprint({"features": "pca", "mean": mean, "components": components}),
    )


def _fit(train: np.ndarray) -> dict[str, np.ndarray]:
    width = int(np.prod(train.shape[1:]))
    wide = width > _WIDEST
    if wide:
        train = some(train, _FEW)
    mean = pixel_features(train.mean(axis=0, dtype=np.float64)[None])[0]
    if wide:  # the components of X'X from those of the smaller XX'
        centred = pixel_features(train) - mean
        variances, vectors = _largest(centred @ centred.T)
        vectors = centred.T @ (vectors / np.sqrt(np.maximum(variances, np.finfo(np.float64).tiny)))
        total = np.einsum("nd,nd->", centred, centred)
    else:
        products = np.zeros((width, width))
        for start in range(0, len(train), 4096):
            block = pixel_features(train[start : start + 4096]) - mean
            products += block.T @ block
        variances, vectors = _largest(products)
        total = np.trace(products)
    present = variances > width * np.finfo(np.float64).eps * total  # else it is rounding
    if not present.any():
        raise ConfigError("metrics.features=pca needs images that differ; the training images are all the same")
    components = np.ascontiguousarray(vectors.T[present][::-1])
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1, keepdims=True), axis=1)
    explained = variances[present].sum() / total
    return {
        "mean": mean,
        "components": components * np.sign(largest),
        "explained": np.array(explained),
        "images": np.array(len(train)),
    }


def _largest(products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues, at most 64, in rising order, and their vectors [N,64]."""
    count = min(_COMPONENTS, len(products))
    return scipy.linalg.eigh(products, subset_by_index=[len(products) - count, len(products) - 1])
