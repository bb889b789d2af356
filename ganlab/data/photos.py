"""Crops of photographs: natural spectra without a download."""

from itertools import pairwise

import numpy as np

from ganlab.choose import ConfigError
from ganlab.config import Pair, Photos, pair
from ganlab.data.images import Images, Split, fit

_FILES = ("china.jpg", "flower.jpg")
_SOURCE = (
    "scikit-learn's load_sample_images: photographs by danielbuechele (china.jpg) and vultilion (flower.jpg), "
    "Flickr, CC BY 2.0"
)


def photos(settings: Photos) -> Split:
    """Different crops of scikit-learn's two photographs (427x640); the label is the photograph.

    A quarter of each photograph's columns is held out, in strips that no training crop touches; reducing happens
    after that cut, so that not even its filter looks across. Crop i is a function of i: the same for every run.
    Raises ConfigError where the strips are narrower than a crop, or have fewer different crops than are asked for.
    """
    from sklearn.datasets import load_sample_image

    size = pair(settings.size)
    train, held_out = [], []
    for label, name in enumerate(_FILES):
        for is_held, strip in _strips(load_sample_image(name), size[1], settings.reduction):
            height, width = (side // settings.reduction for side in strip.shape[:2])
            reduced = fit(strip[None], (height, width), settings.channels)[0]
            (held_out if is_held else train).append((label, reduced))
    if any(strip.shape[0] < size[0] or strip.shape[1] < size[1] for _, strip in held_out):
        rows, columns = held_out[0][1].shape[:2]
        raise ConfigError(
            f"dataset.size={list(size)} is more than the held-out strips of {rows}x{columns} pixels; "
            "use a smaller one, or a smaller dataset.reduction"
        )
    return Split(_crops(train, size, settings.images, "images"), _crops(held_out, size, settings.held_out, "held_out"))


def _strips(picture: np.ndarray, width: int, reduction: int) -> list[tuple[bool, np.ndarray]]:
    """A photograph cut from left to right: (whether held out, pixels [H,W,3]), sides in multiples of the reduction.

    As many held-out strips as can be a quarter wider than a crop, at least one; each is the third quarter of its share.
    """
    rows, columns = (side // reduction for side in picture.shape[:2])
    count = max(1, columns // (5 * width))
    held = columns // (4 * count)
    starts = [(2 * place + 1) * columns // (2 * count) for place in range(count)]
    edges = [0, *(edge for start in starts for edge in (start, start + held)), columns]
    return [
        (place % 2 == 1, picture[: rows * reduction, left * reduction : right * reduction])
        for place, (left, right) in enumerate(pairwise(edges))
    ]


def _crops(strips: list[tuple[int, np.ndarray]], size: Pair, count: int, setting: str) -> Images:
    """So many different crops of labelled strips, in a fixed random order."""
    windows = [np.lib.stride_tricks.sliding_window_view(strip, size, axis=(0, 1)) for _, strip in strips]
    places = np.array([view.shape[0] * view.shape[1] for view in windows])
    ends = np.cumsum(places)
    if count > ends[-1]:
        raise ConfigError(f"dataset.{setting}={count} is more than there are different crops; use at most {ends[-1]}")
    chosen = np.random.default_rng(0).permutation(ends[-1])[:count]
    owner = np.searchsorted(ends, chosen, side="right")
    pixels = np.empty((count, *size, strips[0][1].shape[2]), np.uint8)
    for strip, view in enumerate(windows):
        mine = owner == strip
        rows, columns = np.divmod(chosen[mine] - (ends - places)[strip], view.shape[1])
        pixels[mine] = np.moveaxis(view[rows, columns], 1, -1)
    labels = np.array([label for label, _ in strips], np.int64)[owner]
    return Images(pixels, labels, "photos", _SOURCE)
