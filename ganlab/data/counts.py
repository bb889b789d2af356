"""How many images a data set will give, in all and of each class, known before any is loaded. No TensorFlow."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ganlab.config import DatasetSettings, Digits, Mnist, Photos, Shapes, plugins
from ganlab.data import folder, mnist
from ganlab.data.arrays import survey_of
from ganlab.data.photos import check_crops, photo_labels
from ganlab.data.shapes import draw_factors
from ganlab.errors import ConfigError

_DIGITS = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)  # of each class, in scikit-learn's file


def counts(dataset: DatasetSettings) -> tuple[int, int]:
    """How many images to train on and how many held out; ConfigError where they cannot be had, or a side is empty."""
    return _COUNTS.get(dataset.name, _loaded_counts)(dataset)


def class_counts(dataset: DatasetSettings) -> list[int]:
    """How many training images each class has, from class 0 on; empty without labels. Raises ConfigError."""
    known = getattr(dataset, "class_counts", None)
    return list(known) if known is not None else _CLASS_COUNTS.get(dataset.name, _loaded_classes)(dataset)


@lru_cache(1)
def _loaded(dataset: Any) -> Any:
    """The images of a plugin's data set, of which nothing is known before they are loaded."""
    return plugins.builders("datasets")[dataset.name](dataset)


def _loaded_counts(dataset: Any) -> tuple[int, int]:
    return len(_loaded(dataset).train.pixels), len(_loaded(dataset).held_out.pixels)


def _loaded_classes(dataset: Any) -> list[int]:
    labels = _loaded(dataset).train.labels
    return [] if labels is None else np.bincount(labels, minlength=dataset.classes or 0).tolist()


def _digits(settings: Digits) -> list[int]:
    """How many of each class are held out."""
    held = [round(settings.held_out * count) for count in _DIGITS]
    if not 0 < sum(held) < sum(_DIGITS):
        raise ConfigError(f"dataset.held_out={settings.held_out} leaves one side empty; use a share such as 0.2")
    return held


def _digits_counts(settings: Digits) -> tuple[int, int]:
    held = sum(_digits(settings))
    return sum(_DIGITS) - held, held


def _mnist_counts(settings: Mnist) -> tuple[int, int]:
    if settings.path is None:
        return sum(mnist.CLASS_COUNTS), mnist.HELD_OUT
    return mnist.survey(settings.path).counts(0.0)


def _photos_counts(settings: Photos) -> tuple[int, int]:
    check_crops(settings)
    return settings.images, settings.held_out


def _mnist_classes(settings: Mnist) -> list[int]:
    if settings.path is None:
        return list(mnist.CLASS_COUNTS)
    return mnist.survey(settings.path).class_counts(0.0) or []


def _shape_classes(settings: Shapes) -> list[int]:
    labels = draw_factors(settings.seed, 0, settings.images)[:, 0].astype(np.int64)
    return np.bincount(labels, minlength=settings.classes).tolist()


_COUNTS: dict[str, Callable[[Any], tuple[int, int]]] = {
    "arrays": lambda settings: survey_of(settings).counts(settings.held_out),
    "digits": _digits_counts,
    "folder": lambda settings: (sum(folder.facts_of(settings)["train"]), sum(folder.facts_of(settings)["held_out"])),
    "mnist": _mnist_counts,
    "photos": _photos_counts,
    "shapes": lambda settings: (settings.images, settings.held_out),
}
_CLASS_COUNTS: dict[str, Callable[[Any], list[int]]] = {
    "arrays": lambda settings: survey_of(settings).class_counts(settings.held_out) or [],
    "digits": lambda settings: [count - held for count, held in zip(_DIGITS, _digits(settings), strict=True)],
    "folder": lambda settings: folder.facts_of(settings)["train"] if settings.classes else [],
    "mnist": _mnist_classes,
    "photos": lambda settings: np.bincount(photo_labels(settings), minlength=settings.classes).tolist(),
    "shapes": _shape_classes,
}
