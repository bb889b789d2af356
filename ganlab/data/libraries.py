"""What the readers of other libraries, `tfds` and `huggingface`, share."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganlab.data.survey import Part, Survey, filled
from ganlab.errors import ConfigError, in_a_line, printable


def library(module: str, package: str, dataset: str) -> Any:
    """An optional library; ConfigError says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"dataset={dataset} needs {package}; pip install 'ganlab-keras[{dataset}]'") from error


def chosen(kind: str, given: str | None, available: list[str], setting: str, where: str) -> str:
    """The column that is given, or the only one of its kind; ConfigError if there is none or more than one."""
    if given is None and len(available) == 1:
        return available[0]
    if given in available:
        return given
    names = ", ".join(sorted(available)) or "none"
    if given is None and available:
        raise ConfigError(f"{where} has several columns of {kind}; give {setting}, one of: {names}")
    fault = f"has no column {given} of {kind}" if given else f"has no column of {kind}"
    remedy = (
        f"cast that column to ClassLabel, or give {setting}=''" if kind == "class labels" else "give a set of images"
    )
    raise ConfigError(f"{where} {fault} (it has {names}); {remedy}")


def columns(
    features: Mapping[str, Any], kinds: Any, keys: tuple[str | None, str | None], where: str
) -> tuple[str, str | None]:
    """The column of images and that of class labels, None if these are not wanted or there is none.

    kinds: the library's module of kinds of features. keys: the columns that are given, the empty one for no labels.
    """
    images = [key for key, feature in features.items() if isinstance(feature, kinds.Image)]
    labels = [key for key, feature in features.items() if isinstance(feature, kinds.ClassLabel)]
    image = chosen("images", keys[0], images, "dataset.images_key", where)
    if keys[1] == "" or not (labels or keys[1]):
        return image, None
    return image, chosen("class labels", keys[1], labels, "dataset.labels_key", where)


def classes(labels: NDArray[Any], count: int, split: str, where: str) -> NDArray[np.int64]:
    """Labels of `count` classes, int64; ConfigError for one out of range, as in a test set without labels."""
    numbers = np.asarray(labels, np.int64)
    if len(wrong := np.flatnonzero((numbers < 0) | (numbers >= count))):
        raise ConfigError(
            f"{where} has label {numbers[wrong[0]]} at place {wrong[0]} of split {split}, but its {count} classes are "
            f"0 to {count - 1}; choose a split with labels, or dataset.labels_key='' to leave them unread"
        )
    return numbers


def survey_of_parts(
    where: str, parts: list[Part], class_names: tuple[str, ...], files: list[Path], source: str, licence: str | None
) -> Survey:
    """A survey of one or two splits: images to train on and, if the second is given, held out."""
    held_out = parts[1] if len(parts) == 2 else None
    values = np.arange(len(class_names)) if class_names else None
    licence = in_a_line(licence, 100) if licence else "unknown"
    return Survey(
        where, parts[0], held_out, values, tuple(map(printable, class_names)), {"path": tuple(files)}, source, licence
    )


def fill_in_from(
    survey: Callable[..., Survey], source_keys: tuple[str, str], tree: Mapping[str, Any], conditional: bool
) -> dict[str, Any]:
    """Settings with null values filled in from what the library says; raises ConfigError.

    source_keys: the settings that name the set, the first of which is required.
    """
    required = f"dataset.{source_keys[0]}"
    if tree.get(source_keys[0]) is None:
        raise ConfigError(f"{required}=null names no images; give {required}=NAME")
    keys = (*source_keys, "train_split", "held_out_split", "images_key", "labels_key")
    values = [tree.get(key) for key in keys]
    if not all(isinstance(value, str | None) for value in values):
        return dict(tree)
    return filled(tree, survey(*values), conditional)
