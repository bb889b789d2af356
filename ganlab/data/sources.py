"""The data sets by name, and before any is loaded how many images each has, in all and by class. No TensorFlow."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any, cast

import numpy as np

from ganlab.config import DatasetSettings, pair, plugins
from ganlab.data import arrays, digits, folder, huggingface, photos, published, shapes, survey, tfds
from ganlab.data.images import Labels, Split
from ganlab.errors import ConfigError

_PUBLISHED = ("cifar10", "cifar100", "emnist", "fashion_mnist", "kmnist", "mnist", "svhn")
_COUNTED: dict[str, ModuleType] = {
    "digits": digits,
    "folder": folder,
    "photos": photos,
    "shapes": shapes,
    **dict.fromkeys(_PUBLISHED, published),
}
_SURVEYED: dict[str, Callable[[Any], survey.Survey]] = {
    "arrays": arrays.survey_of,
    "huggingface": huggingface.survey_of,
    "tfds": tfds.survey_of,
}


def _read(settings: Any) -> Split:
    """The images of a surveyed set, in memory or, if there are many, on the disk."""
    return survey.read(_SURVEYED[settings.name](settings), settings)


DATASETS: dict[str, Callable[..., Split]] = {
    "digits": digits.digits,
    "folder": folder.folder,
    "photos": photos.photos,
    "shapes": shapes.shapes,
    **dict.fromkeys(_SURVEYED, _read),
    **dict.fromkeys(_PUBLISHED, published.published),
}
DATASETS.update(plugins.builders("datasets"))


def counts(dataset: Any) -> tuple[int, int]:
    """How many images to train on and how many held out; ConfigError if they cannot be counted, or a side is empty."""
    if module := _COUNTED.get(dataset.name):
        return module.counts(dataset)
    if survey_of := _SURVEYED.get(dataset.name):
        return survey_of(dataset).counts(dataset.held_out)
    return len(_load(dataset).train.pixels), len(_load(dataset).held_out.pixels)


def class_counts(dataset: Any) -> list[int]:
    """How many training images each class has, from class 0 on; empty without labels. Raises ConfigError."""
    if (counted := getattr(dataset, "class_counts", None)) is not None:
        return list(counted)
    if module := _COUNTED.get(dataset.name):
        return module.class_counts(dataset)
    if survey_of := _SURVEYED.get(dataset.name):
        return survey_of(dataset).class_counts(dataset.held_out) or []
    labels = _load(dataset).train.labels
    return [] if labels is None else np.bincount(labels, minlength=dataset.classes or 0).tolist()


@lru_cache(1)
def _load(dataset: DatasetSettings) -> Split:
    """The images of a plugin's data set, which have to be loaded to be counted.

    ConfigError where they are not what its settings say.
    """
    split, where, settings = DATASETS[dataset.name](dataset), f"dataset={dataset.name}", cast("Any", dataset)
    if not isinstance(split, Split):
        raise ConfigError(f"{where} gives a {type(split).__name__}; its function must give a ganlab.data.images.Split")
    shape, classes = (*pair(settings.size), settings.channels), settings.classes
    for images in (split.train, split.held_out):
        pixels, labels = images.pixels, images.labels
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != shape:
            raise ConfigError(
                f"{where} gives pixels {_kind(pixels)}; they must be uint8 [N,{','.join(map(str, shape))}]"
            )
        if labels is None:
            continue
        if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.shape != pixels.shape[:1]:
            raise ConfigError(f"{where} gives labels {_kind(labels)}; they must be whole numbers [{len(pixels)}]")
        if classes and len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            raise ConfigError(
                f"{where} gives labels from {labels.min()} to {labels.max()}; of {classes} classes they must be from 0 "
                f"to {classes - 1}"
            )
    return split


def _kind(value: Any) -> str:
    array = isinstance(value, np.ndarray)
    return f"{value.dtype} [{','.join(map(str, value.shape))}]" if array else f"that are a {type(value).__name__}"


def class_names(dataset: DatasetSettings) -> tuple[str, ...]:
    """The names of a set's classes in the order of their labels; empty if labels have no other name."""
    if names := getattr(dataset, "class_names", None):
        return tuple(names)
    return {"shapes": shapes.SHAPES, "photos": photos.NAMES}.get(getattr(dataset, "name", ""), ())


def describe_classes(dataset: DatasetSettings, labels: list[int]) -> str:
    """Labels as people read them: `0 to 9`, `0 disc, 3 cross`."""
    names = class_names(dataset)
    if not names and len(labels) > 2 and labels == list(range(labels[0], labels[-1] + 1)):
        return f"{labels[0]} to {labels[-1]}"
    return ", ".join(f"{label} {names[label]}" if label < len(names) else f"{label}" for label in labels)


def class_sequence(counts: Sequence[int], total: int) -> Labels:
    """The classes of a row of images, int64 [total], in the shares of `counts`, each above 0.

    After n images each class has had its share of n, to within one image, whatever n: any stretch of the row has the
    mixture of the whole. Equal counts give 0, 1, ..., K-1, 0, 1, ... in turn. R. Tijdeman, "The chairman assignment
    problem", Discrete Mathematics 32 (1980).
    """
    weights, row = np.array(counts, np.int64), np.zeros(total, np.int64)
    whole, bound = int(weights.sum()), 2 * len(weights) - 2
    if len(weights) < 2:
        return row
    owed = np.zeros_like(weights)  # of each class, in images times `whole`
    for place in range(total):
        owed += weights
        allowed = np.flatnonzero(owed * bound >= whole)
        due = (bound * (whole - owed[allowed]) - whole) / weights[allowed]
        row[place] = chosen = allowed[np.argmin(due)]
        owed[chosen] -= whole
    return row
