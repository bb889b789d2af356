"""Features without a network: the pixels themselves, and the directions in which they vary most."""

import time
from typing import Any

import numpy as np
import scipy.linalg

from ganlab.errors import ConfigError
from ganlab.evaluation.cache import cached, fingerprint
from ganlab.evaluation.cores import on_all_cores, one_thread
from ganlab.evaluation.features.base import Features, RealImages, Say, check_pixels, some
from ganlab.evaluation.metrics.pairs import blocks

_COMPONENTS = 64
_WIDEST, _FEW = 4096, 2048
"""Above _WIDEST values per image, where the covariance takes minutes, components come from _FEW images only."""
_WIDTH = 1024  # up to this width, a fixed number of images is processed at a time
_PATIENCE = 5  # seconds between lines for people


def pixel_features(pixels: np.ndarray) -> np.ndarray:
    """Pixels uint8 [N,H,W,C] as vectors in [-1, 1], float64 [N, H*W*C]."""
    vectors = pixels.reshape(len(pixels), -1) / 127.5
    vectors -= 1.0
    return vectors


def pixels(real: RealImages, *, say: Say | None = None) -> Features:
    """The pixels themselves: nothing is hidden, and a shift by one pixel may be as far as another image."""
    shape = real.train.shape[1:]
    return Features(
        name="pixels",
        embed=lambda pixels: [pixel_features(check_pixels(pixels, shape))],
        probabilities=None,
        facts={"dimension": int(np.prod(shape)), "scale": "pixels in [-1, 1]"},
        digest=fingerprint({"features": "pixels", "shape": shape}),
    )


def pca(real: RealImages, *, say: Say | None = None, draws: int = 1) -> Features:
    """The first 64 principal components of the training pixels, or as many as these have, in the pixels' own scale.

    The sign is such that each component's largest entry is positive. Of images of more than 4096 values, the components
    are those of 2048 training images.

    draws: with more than one, as many parts of the training images, drawn at random, give components each.
    """
    shape = real.train.shape[1:]
    parts = [real.train] if draws == 1 else [real.train[np.sort(part)] for part in _parts(len(real.train), draws)]
    bases = [_components(part, say or (lambda line: None)) for part in parts]
    first = bases[0]
    several = draws > 1

    def project(pixels: np.ndarray, basis: dict[str, np.ndarray]) -> np.ndarray:
        mean, components = basis["mean"], basis["components"]

        def extract(pixels: np.ndarray) -> np.ndarray:
            return _centred(pixels, mean) @ components.T

        blocks = np.array_split(check_pixels(pixels, shape), -(-len(pixels) // _fitting(2048, len(mean))))
        if len(blocks) == 1:  # with the threads of BLAS, whose number affects the last bits: keep these as they were
            return extract(pixels)
        return np.concatenate(on_all_cores(extract, blocks))

    explained = [float(basis["explained"]) for basis in bases]
    digests = [
        fingerprint({"features": "pca", "mean": basis["mean"], "components": basis["components"]}) for basis in bases
    ]
    facts: dict[str, Any] = {
        "dimension": len(first["components"]),
        **({"draws": draws} if several else {}),
        "trained_on": f"{int(first['images'])} training images",
        "explained_variance": explained if several else explained[0],
        "scale": "pixels in [-1, 1], projected, not whitened",
    }
    return Features(
        name="pca",
        embed=lambda pixels: [project(pixels, basis) for basis in bases],
        probabilities=None,
        facts=facts,
        digest=fingerprint({"features": "pca", "draws": digests}) if several else digests[0],
    )


def _parts(images: int, draws: int) -> list[np.ndarray]:
    """Places of images, a random part for each draw; ConfigError where a part would hold fewer than two."""
    if images < 2 * draws:
        raise ConfigError(f"metrics.final.draws.pca={draws} parts of {images} training images are too many; use fewer")
    return np.array_split(np.random.default_rng(0).permutation(images), draws)


def _components(train: np.ndarray, say: Say) -> dict[str, np.ndarray]:
    """The components of these images, from the cache if they are there."""
    # Increase `recipe` when code changes the entry by more than rounding: another entry, another protocol.
    key = {"train": train, "components": _COMPONENTS, "recipe": 2}
    return cached("pca", key, lambda: _fit(train, say))


def _fit(train: np.ndarray, say: Say) -> dict[str, np.ndarray]:
    width = int(np.prod(train.shape[1:]))
    wide = width > _WIDEST
    if wide:
        train = some(train, _FEW)
    mean = pixel_features(train.mean(axis=0, dtype=np.float64)[None])[0]
    size, count = (len(train), width) if wide else (width, len(train))
    places = blocks(count, _fitting(4096, size))

    def part(place: slice) -> np.ndarray:
        """Some images, centred, [n,D]; of wide ones some values of all, [d,N]."""
        return (
            _centred(train.reshape(len(train), -1)[:, place], mean[place]).T if wide else _centred(train[place], mean)
        )

    products, started = np.zeros((size, size)), time.perf_counter()
    reported = started
    for number, place in enumerate(places, start=1):
        _add_products(products, part(place))
        if time.perf_counter() - reported > _PATIENCE:
            reported = time.perf_counter()
            share, seconds = 100 * number / len(places), reported - started
            say(f"finding the principal components of the training images, once: {share:.0f} %, {seconds:.0f} s")
    total = np.trace(products)
    with one_thread():
        variances, vectors = _largest(products)
        if wide:  # the components of X'X from those of the smaller XX'
            vectors /= np.sqrt(np.maximum(variances, np.finfo(np.float64).tiny))
            vectors = np.concatenate([part(place) @ vectors for place in places])
    present = variances > width * np.finfo(np.float64).eps * total  # others are rounding
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


def _fitting(most: int, width: int) -> int:
    """How many vectors to take at a time: `most`, or with a width above 1024 as many as fill the same memory."""
    return max(1, most * _WIDTH // max(_WIDTH, width))


def _centred(pixels: np.ndarray, mean: np.ndarray) -> np.ndarray:
    vectors = pixel_features(pixels)
    vectors -= mean
    return vectors


def _add_products(products: np.ndarray, vectors: np.ndarray) -> None:
    """Add the products of all pairs of columns of vectors [n,D] to products [D,D], on and above the diagonal."""

    def add(pair: tuple[slice, slice]) -> None:
        products[pair] += vectors[:, pair[0]].T @ vectors[:, pair[1]]

    sides = blocks(len(products))
    on_all_cores(add, [(rows, columns) for rows in sides for columns in sides if rows.start <= columns.start])


def _largest(products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues, at most 64, in rising order, and their vectors [N,64]; products is overwritten."""
    last = len(products) - 1
    chosen = [max(0, last + 1 - _COMPONENTS), last]
    return scipy.linalg.eigh(products.T, subset_by_index=chosen, overwrite_a=True)  # reads the lower triangle
