"""What the readers of other libraries, `tfds` and `huggingface`, share."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganlab.data.survey import Survey, filled
from ganlab.errors import ConfigError


def library(module: str, package: str, dataset: str) -> Any:
    """An optional library; ConfigError says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"dataset={dataset} needs {package}; pip install 'ganlab-keras[{dataset}]'") from error


def chosen(kind: str, given: str | None, columns: list[str], setting: str, where: str) -> str:
    """The column that is given, or the only one of its kind; ConfigError if there is none or more than one."""
    if given is None and len(columns) == 1:
        return columns[0]
    if given in columns:
        return given
    available = ", ".join(sorted(columns)) or "none"
    if given is None and columns:
        raise ConfigError(f"{where} has several columns of {kind}; give {setting}, one of: {available}")
    fault = f"has no column {given} of {kind}" if given else f"has no column of {kind}"
    raise ConfigError(f"{where} {fault} (it has {available}); give a set of images")


def classes(labels: NDArray[Any], count: int, split: str, where: str) -> NDArray[np.int64]:
    """Labels of `count` classes, int64; ConfigError for one out of range, as in a test set without labels."""
    numbers = np.asarray(labels, np.int64)
    if (out_of_range := (numbers < 0) | (numbers >= count)).any():
        place = int(np.flatnonzero(out_of_range)[0])
        raise ConfigError(
            f"{where} has label {numbers[place]} at place {place} of split {split}, but its {count} classes are 0 to "
            f"{count - 1}; choose a split with labels, or dataset.labels_key='' to leave them unread"
        )
    return numbers


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
