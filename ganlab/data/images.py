"""A data set: images with their labels and their source, some to train on and some held out."""

import hashlib
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ganlab.config import Pair

_ROWS = 4096  # images that are in memory at a time, if they are on the disk


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


def in_blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of rows of an array, in order. If the array is on the disk, only one block is in memory."""
    mapped = array._mmap if isinstance(array, np.memmap) else None  # type: ignore[attr-defined]
    for first in range(0, len(array), _ROWS):
        yield array[first : first + _ROWS]
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
