"""Crops of photographs: natural spectra without a download. Also the paths of scikit-learn's files."""

from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from PIL import Image

from ganlab.config import Photos, pair
from ganlab.data.images import Images, Split, fit
from ganlab.errors import ConfigError

NAMES = ("china", "flower")
"""The photographs, in the order of their labels."""

_SOURCE = (
    "scikit-learn's load_sample_images: photographs by danielbuechele (china.jpg) and vultilion (flower.jpg), Flickr"
)


def bundled(name: str) -> Path:
    """The path of one of scikit-learn's data files; `name`: below its folder `datasets`.

    Does not import scikit-learn: importing it takes as long as the first steps of a short run.
    """
    return Path(str(distribution("scikit-learn").locate_file(f"sklearn/datasets/{name}")))


def photos(settings: Photos) -> Split:
    """Different crops of scikit-learn's two photographs (427x640); the label is the photograph.

    All crops are put into one fixed random order: those to train on come first, those held out last. So both are drawn
    from the same distribution, as crops of separate regions would not be; they may overlap without being equal. Raises
    ConfigError if there are fewer different crops than settings ask for.
    """
    _check_crops(settings)
    size, windows = pair(settings.size), []
    for name in NAMES:
        picture = np.asarray(Image.open(bundled(f"images/{name}.jpg")))
        height, width = (side // settings.reduction for side in picture.shape[:2])
        cropped = picture[: height * settings.reduction, : width * settings.reduction]
        reduced = fit(cropped[None], (height, width), settings.channels)[0]
        windows.append(np.lib.stride_tricks.sliding_window_view(reduced, size, axis=(0, 1)))
    order = _order(settings)
    notes = () if settings.channels == 3 else ("2 photographs 427x640x3 -> 427x640x1: grey",)
    return Split(_crops(windows, order[: settings.images]), _crops(windows, order[::-1][: settings.held_out]), notes)


def _check_crops(settings: Photos) -> None:
    """Raise ConfigError if there are fewer different crops than settings ask for."""
    available = sum(_crop_counts(settings))
    if settings.images + settings.held_out > available:
        raise ConfigError(
            f"dataset.images={settings.images} and dataset.held_out={settings.held_out} exceed the number "
            f"of different crops; use at most {available} together"
        )


def photo_labels(settings: Photos) -> np.ndarray:
    """Which photograph each crop to train on is from, without cropping it."""
    _check_crops(settings)
    return np.searchsorted(np.cumsum(_crop_counts(settings)), _order(settings)[: settings.images], side="right")


def counts(settings: Photos) -> tuple[int, int]:
    """How many images to train on, and how many held out."""
    _check_crops(settings)
    return settings.images, settings.held_out


def class_counts(settings: Photos) -> list[int]:
    """How many training images are of each photograph."""
    return np.bincount(photo_labels(settings), minlength=settings.classes).tolist()


def _crop_counts(settings: Photos) -> list[int]:
    """How many different crops each photograph has; only its size is read."""
    counts, (height, width) = [], pair(settings.size)
    for name in NAMES:
        with Image.open(bundled(f"images/{name}.jpg")) as picture:
            across, down = (side // settings.reduction for side in picture.size)
        counts.append(max(0, down - height + 1) * max(0, across - width + 1))
    return counts


def _order(settings: Photos) -> np.ndarray:
    return np.random.default_rng(0).permutation(sum(_crop_counts(settings)))


def _crops(windows: list[np.ndarray], numbers: np.ndarray) -> Images:
    """The crops with these numbers; `windows`: every crop of each photograph, [rows,columns,C,H,W]."""
    counts = np.array([view.shape[0] * view.shape[1] for view in windows])
    labels = np.searchsorted(np.cumsum(counts), numbers, side="right")
    _, _, channels, height, width = windows[0].shape
    pixels = np.empty((len(numbers), height, width, channels), np.uint8)
    for label, view in enumerate(windows):
        chosen = labels == label
        rows, columns = np.divmod(numbers[chosen] - counts[:label].sum(), view.shape[1])
        pixels[chosen] = np.moveaxis(view[rows, columns], 1, -1)
    return Images(pixels, labels.astype(np.int64), "photos", _SOURCE, licence="CC BY 2.0")
