"""Whether generated images are copies of training images: nearest neighbours, and a test."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganlab.evaluation.arguments import Array, alike, features
from ganlab.evaluation.metrics.pairs import neighbours, prepare


class Nearest(NamedTuple):
    """For each image, the index of the nearest other one, int [N], and its distance, [N]."""

    indices: NDArray[np.intp]
    distances: Array


def nearest(images: ArrayLike, others: ArrayLike) -> Nearest:
    """The nearest of `others` for each of `images`, by the distance of features; the first of equally near ones.

    images, others: features [N, D] and [M, D]. Raises ValueError, naming the argument.
    """
    left, right = alike(("others", features("others", others)), ("images", features("images", images)))
    points, queries = prepare(left, right)
    squares, places = neighbours(queries, points, k=1)
    return Nearest(places[:, 0], np.sqrt(squares[:, 0]))


class Copying(NamedTuple):
    """data_copying: see there. copying_ratio: the fakes' median distance to the nearest training image over that of
    held-out images; 1 for fresh images, near 0 for copies.
    """

    data_copying: float
    copying_ratio: float


def data_copying(train: ArrayLike | Iterator[ArrayLike], held_out: ArrayLike, fake: ArrayLike) -> float:
    """Whether fakes lie nearer to the training images than held-out images do: a z score, far below 0 for copies.

    Mann and Whitney's test of the distances to the nearest training image: U counts the pairs in which the fake lies
    farther than the held-out image, ties half; z = (U - nm/2 + 1/2) / sqrt(nm (n+m+1) / 12). About normal, of mean
    0 and std 1, where fakes are as good as fresh images; far above 0 where they miss the training images.

    train, held_out, fake: features [., D]; held_out and fake at least 2; train also as an iterator over parts of it,
    for sets that do not fit the memory. Raises ValueError, naming the argument.

    Meehan, Chaudhuri and Dasgupta, arXiv 2004.05675.
    """
    return _z_score(*_distances(train, held_out, fake))


def copying(train: ArrayLike | Iterator[ArrayLike], held_out: ArrayLike, fake: ArrayLike) -> Copying:
    """How surely, and how closely, fakes copy training images; arguments and errors as those of `data_copying`.

    Raises ValueError also where half of the held-out images are themselves training images.
    """
    of_held_out, of_fakes = _distances(train, held_out, fake)
    if np.median(of_held_out) == 0:
        raise ValueError("held_out has at least half of its images in train; give images that are kept apart")
    return Copying(_z_score(of_held_out, of_fakes), float(np.median(of_fakes) / np.median(of_held_out)))


def _z_score(of_held_out: Array, of_fakes: Array) -> float:
    n, m = len(of_held_out), len(of_fakes)
    ordered = np.sort(of_held_out)
    farther = np.searchsorted(ordered, of_fakes, "left").sum() + np.searchsorted(ordered, of_fakes, "right").sum()
    return float((farther / 2 - n * m / 2 + 0.5) / np.sqrt(n * m * (n + m + 1) / 12))


def _distances(train: ArrayLike | Iterator[ArrayLike], held_out: ArrayLike, fake: ArrayLike) -> tuple[Array, Array]:
    """Distances to the nearest training image: of held-out images, and of fakes."""
    sets = [(name, features(name, value, least=2)) for name, value in (("held_out", held_out), ("fake", fake))]
    of_held_out, of_fakes = (np.full(len(vectors), np.inf) for _, vectors in sets)
    for part in train if isinstance(train, Iterator) else [train]:
        base = features("train", part)
        for least, named in zip((of_held_out, of_fakes), sets, strict=True):
            np.minimum(least, nearest(alike(("train", base), named)[1], base).distances, out=least)
    if np.isinf(of_held_out).any():
        raise ValueError("train has no parts; give at least one image")
    return of_held_out, of_fakes
