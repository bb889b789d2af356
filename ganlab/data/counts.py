"""How many images a data set has, in all and of each class, before any is loaded. No TensorFlow."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ganlab.config import Arrays, DatasetSettings, Digits, HuggingFace, Photos, Shapes, Tfds, plugins
from ganlab.data import arrays, folder, prepared, published
from ganlab.data.photos import check_crops, photo_labels
from ganlab.data.shapes import draw_factors
from ganlab.errors import ConfigError

_DIGITS = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)  # of each class, in scikit-learn's file


class _Counter(NamedTuple):
    """How to count the images of settings: (to train on, held out), and those to train on of each class."""

    images: Callable[[Any], tuple[int, int]]
    classes: Callable[[Any], list[int]]


def counts(dataset: DatasetSettings) -> tuple[int, int]:
    """How many images to train on and how many held out; ConfigError if they cannot be counted, or a side is empty."""
    return _counter(dataset).images(dataset)


def class_counts(dataset: DatasetSettings) -> list[int]:
    """How many training images each class has, from class 0 on; empty without labels. Raises ConfigError."""
    counted = getattr(dataset, "class_counts", None)
    return list(counted) if counted is not None else _counter(dataset).classes(dataset)


def _counter(dataset: Any) -> _Counter:
    return _COUNTERS.get(dataset.name, _Counter(_loaded_counts, _loaded_classes))


@lru_cache(1)
def _load(dataset: Any) -> Any:
    """The images of a plugin's data set, which have to be loaded to be counted."""
    return plugins.builders("datasets")[dataset.name](dataset)


def _loaded_counts(dataset: Any) -> tuple[int, int]:
    return len(_load(dataset).train.pixels), len(_load(dataset).held_out.pixels)


def _loaded_classes(dataset: Any) -> list[int]:
    labels = _load(dataset).train.labels
    return [] if labels is None else np.bincount(labels, minlength=dataset.classes or 0).tolist()


def _digits(settings: Digits) -> list[int]:
    """How many of each class are held out."""
    held_out = [round(settings.held_out * count) for count in _DIGITS]
    if not 0 < sum(held_out) < sum(_DIGITS):
        raise ConfigError(f"dataset.held_out={settings.held_out} leaves one side empty; use a share such as 0.2")
    return held_out


def _digits_counts(settings: Digits) -> tuple[int, int]:
    held = sum(_digits(settings))
    return sum(_DIGITS) - held, held


def _digits_classes(settings: Digits) -> list[int]:
    return [count - held for count, held in zip(_DIGITS, _digits(settings), strict=True)]


def _photos_counts(settings: Photos) -> tuple[int, int]:
    check_crops(settings)
    return settings.images, settings.held_out


def _photos_classes(settings: Photos) -> list[int]:
    return np.bincount(photo_labels(settings), minlength=settings.classes).tolist()


def _shapes_classes(settings: Shapes) -> list[int]:
    labels = draw_factors(settings.seed, 0, settings.images)[:, 0].astype(np.int64)
    return np.bincount(labels, minlength=settings.classes).tolist()


def _folder_counts(settings: Any) -> tuple[int, int]:
    facts = folder.facts_of(settings)
    return sum(facts["train"]), sum(facts["held_out"])


def _folder_classes(settings: Any) -> list[int]:
    return folder.facts_of(settings)["train"] if settings.classes else []


def _survey_counter(survey_of: Callable[[Any], Any]) -> _Counter:
    def classes(settings: Arrays | Tfds | HuggingFace) -> list[int]:
        return survey_of(settings).class_counts(settings.held_out) or []

    return _Counter(lambda settings: survey_of(settings).counts(settings.held_out), classes)


def _count_published(count: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda settings: count(settings.name, settings.path, getattr(settings, "split", None))


_COUNTERS: dict[str, _Counter] = {
    "arrays": _survey_counter(arrays.survey_of),
    "digits": _Counter(_digits_counts, _digits_classes),
    "folder": _Counter(_folder_counts, _folder_classes),
    "photos": _Counter(_photos_counts, _photos_classes),
    "shapes": _Counter(lambda settings: (settings.images, settings.held_out), _shapes_classes),
    **dict.fromkeys(("huggingface", "tfds"), _survey_counter(prepared.survey_of)),
    **dict.fromkeys(
        ("cifar10", "cifar100", "emnist", "fashion_mnist", "kmnist", "mnist", "svhn"),
        _Counter(_count_published(published.counts), _count_published(published.class_counts)),
    ),
}
