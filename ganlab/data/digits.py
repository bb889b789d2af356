"""scikit-learn's 1797 handwritten digits."""

import numpy as np

from ganlab.config import Digits, pair
from ganlab.data.images import Images, Split, describe_change, fit
from ganlab.data.photos import bundled
from ganlab.errors import ConfigError

_COUNTS = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)  # of each class, in scikit-learn's file


def digits(settings: Digits) -> Split:
    """8x8 images, values 0 to 16 spread over 0 to 255.

    The file is ordered by writer, so its halves differ: the held-out share is drawn at random within each class, by a
    generator whose seed is part of the code (the split is the same for every run).
    """
    counts_held_out = _counts_held_out(settings)
    table = np.loadtxt(bundled("data/digits.csv.gz"), np.int64, delimiter=",")
    values, labels = table[:, :-1], table[:, -1]
    pixels = np.rint(values.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    random = np.random.default_rng(0)
    held = np.zeros(len(pixels), bool)
    for digit, count in enumerate(counts_held_out):
        held[random.permutation(np.flatnonzero(labels == digit))[:count]] = True
    source = "scikit-learn's load_digits: UCI optical recognition of handwritten digits"
    size, channels = pair(settings.size), settings.channels
    fitted = fit(pixels[..., None], size, channels)

    def part(mask: np.ndarray) -> Images:
        return Images(fitted[mask], labels[mask], "digits", source, licence="CC BY 4.0")

    return Split(part(~held), part(held), tuple(describe_change(len(pixels), (8, 8, 1), (*size, channels))))


def counts(settings: Digits) -> tuple[int, int]:
    """How many images to train on, and how many held out."""
    held_out = sum(_counts_held_out(settings))
    return sum(_COUNTS) - held_out, held_out


def class_counts(settings: Digits) -> list[int]:
    """How many training images each class has."""
    return [count - held_out for count, held_out in zip(_COUNTS, _counts_held_out(settings), strict=True)]


def _counts_held_out(settings: Digits) -> list[int]:
    """How many of each class are held out; ConfigError if one side is left empty."""
    held_out = [round(settings.held_out * count) for count in _COUNTS]
    if not 0 < sum(held_out) < sum(_COUNTS):
        raise ConfigError(f"dataset.held_out={settings.held_out} leaves one side empty; use a share such as 0.2")
    return held_out
