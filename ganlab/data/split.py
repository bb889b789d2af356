"""Which images are trained on and which are held out, and in which order: decided by what the images are.

So a run is the same from a folder, an archive, an array or an official file of the same images, in whatever order they
are stored.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganlab.data.labels import Labels, apportion

Digests = NDArray[np.uint64]
Places = NDArray[np.int64]


class Arrangement(NamedTuple):
    """Places of images, those to train on and those held out, each in the order of their digests."""

    train: Places
    held_out: Places


def digest(pixels: np.ndarray) -> Digests:
    """128 bits per image that stand for its pixels: uint8 [N,H,W,C] -> [N,2]."""
    digests = b"".join(blake2b(np.ascontiguousarray(image), digest_size=16).digest() for image in pixels)
    return np.frombuffer(digests, ">u8").reshape(-1, 2).astype(np.uint64)


def arrange(digests: Digests, labels: Labels | None, held: NDArray[np.bool_]) -> Arrangement:
    """Images in the order of their digests, ties by label; held: which are held out, bool [N]."""
    keys = (digests[:, 1], digests[:, 0])
    order = np.lexsort(keys if labels is None else (labels, *keys))
    return Arrangement(order[~held[order]], order[held[order]])


def counts_held_out(counts: Sequence[int], share: float) -> NDArray[np.int64]:
    """How many of each class are held out: a share of all, rounded, in the proportion of the classes.

    At least one image of every class is left to train on.
    """
    sizes = np.array(counts, np.int64)
    wanted = apportion(sizes, round(share * int(sizes.sum())))
    return np.minimum(wanted, np.maximum(sizes - 1, 0))


def draw_held_out(digests: Digests, labels: Labels | None, share: float, seed: int) -> NDArray[np.bool_]:
    """Which images are held out, bool [N]: of each class those that a seed puts first, by their content.

    Images with the same content are neighbours in that order, so at most one such group of a class is divided.
    """
    key = seed.to_bytes(8, "little", signed=True)
    drawn = b"".join(blake2b(row.tobytes(), digest_size=8, key=key).digest() for row in digests)
    order = np.argsort(np.frombuffer(drawn, "<u8"), kind="stable")
    groups = (
        [np.arange(len(digests))] if labels is None else [np.flatnonzero(labels == n) for n in range(labels.max() + 1)]
    )
    held_out = np.zeros(len(digests), bool)
    place = np.empty(len(digests), np.int64)
    place[order] = np.arange(len(digests))
    for group, count in zip(groups, counts_held_out([len(group) for group in groups], share), strict=True):
        held_out[group[np.argsort(place[group])[:count]]] = True
    return held_out


def shared(digests: Digests, held: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Places of equal images, (to train on, held out), a pair for each held-out image that has such a twin."""
    twin = {row.tobytes(): place for place, row in enumerate(digests) if not held[place]}
    pairs = [(twin.get(digests[place].tobytes()), int(place)) for place in np.flatnonzero(held)]
    return [(train, held_out) for train, held_out in pairs if train is not None]
