"""A data set: images with their labels and their source, some to train on and some held out.

Which are held out, and their order, is decided by what the images are. So a run is the same from a folder, an archive,
an array or an official file of the same images, in whatever order they are stored.
"""

import hashlib
import math
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganlab.config import Pair

Labels = NDArray[np.int64]
Digests = NDArray[np.uint64]
Places = NDArray[np.int64]
_ROWS, _BLOCK_BYTES = 4096, 2**24  # images, and their bytes, that are worked on at a time


@dataclass(frozen=True)
class Images:
    """Pixels uint8 [N,H,W,C], their labels int [N] or none, their source, their factors or none, their licence.

    labels: classes 0 ... K-1. factors: what each image was rendered from, float64 [N,F], a column for each of
    `shapes.FACTORS`.
    """

    pixels: np.ndarray
    labels: np.ndarray | None
    name: str
    source: str
    factors: np.ndarray | None = None
    licence: str = "unknown"


@dataclass(frozen=True)
class Split:
    """Images to train on and images held out to measure with; no image is in both.

    notes: for people, one line each, such as that images were resized. held_out_names: of the images held out,
    if files or places in a file name them.
    """

    train: Images
    held_out: Images
    notes: tuple[str, ...] = ()
    held_out_names: tuple[str, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """What `result.json` says of the data; the sha256 is of pixels and labels as they were used."""
        digest = hashlib.sha256()
        for part in (self.train, self.held_out):
            for array in (part.pixels, part.labels):
                if array is not None:
                    digest.update(f"{array.dtype.str}{array.shape}".encode())
                    for rows in in_blocks(array):
                        digest.update(np.ascontiguousarray(rows))
        labels = self.train.labels
        return {
            "name": self.train.name,
            "source": self.train.source,
            "licence": self.train.licence,
            "train": len(self.train.pixels),
            "held_out": len(self.held_out.pixels),
            "classes": None if labels is None else len(np.unique(labels)),
            "sha256": digest.hexdigest(),
            "notes": list(self.notes),
        }


def block_rows(size: int) -> int:
    """How many images of `size` bytes are worked on at a time."""
    return max(1, min(_ROWS, _BLOCK_BYTES // max(size, 1)))


def in_blocks(array: np.ndarray, becomes: int = 0) -> Iterator[np.ndarray]:
    """Blocks of rows of an array, in order. If the array is on the disk, only one block is in memory.

    becomes: bytes that each row is made into, if these are more than it has.
    """
    mapped = array._mmap if isinstance(array, np.memmap) else None  # type: ignore[attr-defined]
    count = block_rows(max(math.prod(array.shape[1:]) * array.itemsize, becomes))
    for first in range(0, len(array), count):
        yield array[first : first + count]
        if mapped is not None:
            mapped.madvise(mmap.MADV_DONTNEED)


def fit(pixels: np.ndarray, size: Pair, channels: int) -> np.ndarray:
    """Pixels at the requested size and channels: bicubic with antialiasing; grey from RGB by luminance (ITU-R 601)."""
    if pixels.shape[3] == 3 and channels == 1:
        pixels = np.rint(pixels @ np.array([0.299, 0.587, 0.114]))[..., None].astype(np.uint8)
    elif pixels.shape[3] == 1 and channels == 3:
        pixels = np.repeat(pixels, 3, axis=3)
    if pixels.shape[1:3] == size:
        return np.ascontiguousarray(pixels)
    resized = np.empty((len(pixels), *size, channels), np.uint8)
    for place, image in enumerate(pixels):
        picture = Image.fromarray(image[..., 0] if channels == 1 else image)
        resized[place] = np.asarray(picture.resize(size[::-1], Image.Resampling.BICUBIC)).reshape(*size, channels)
    return resized


def describe_change(count: int, before: tuple[int, int, int], after: tuple[int, int, int]) -> list[str]:
    """A note on what `fit` changed in so many images, (height, width, channels) before and after; empty if nothing."""
    changes = ["resized"] if before[:2] != after[:2] else []
    if before[2] != after[2]:
        changes.append("grey" if after[2] == 1 else "grey repeated to three channels")
    sizes = ["x".join(map(str, shape)) for shape in (before, after)]
    return [f"{count} images {sizes[0]} -> {sizes[1]}: {', '.join(changes)}"] if changes else []


# --- which are held out, and in which order --------------------------------------------------------------------------


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

    By the largest remainders, ties to the first. At least one image of every class is left to train on.
    """
    sizes = np.array(counts, np.int64)
    total = round(share * int(sizes.sum()))
    wanted, remainders = np.divmod(sizes * total, sizes.sum())
    wanted[np.argsort(-remainders, kind="stable")[: total - wanted.sum()]] += 1
    return np.minimum(wanted, np.maximum(sizes - 1, 0))


def share_for(sizes: Sequence[int]) -> str:
    """What leaves no side empty, of classes with so many images, as advice."""
    return "use a share such as 0.5" if max(sizes) > 1 else "give at least two images of one class"


def draw_held_out(digests: Digests, labels: Labels | None, share: float, seed: int) -> NDArray[np.bool_]:
    """Which images are held out, bool [N]: of each class those that a seed puts first, by their content.

    Images with the same content are neighbours in that order, so at most one such group of a class is divided.
    """
    key = seed.to_bytes(8, "little", signed=True)
    drawn = b"".join(blake2b(row.tobytes(), digest_size=8, key=key).digest() for row in digests)
    order = np.argsort(np.frombuffer(drawn, "<u8"), kind="stable")
    classes = np.zeros(len(digests), np.int64) if labels is None else labels
    held_out = np.zeros(len(digests), bool)
    for label, count in enumerate(counts_held_out(np.bincount(classes).tolist(), share)):
        held_out[order[classes[order] == label][:count]] = True
    return held_out


def shared(digests: Digests, held: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Places of equal images, (to train on, held out), a pair for each held-out image that has such a twin."""
    twin = {row.tobytes(): place for place, row in enumerate(digests) if not held[place]}
    pairs = [(twin.get(digests[place].tobytes()), int(place)) for place in np.flatnonzero(held)]
    return [(train, held_out) for train, held_out in pairs if train is not None]
