"""Data sets of other libraries, TensorFlow Datasets and Hugging Face: any of their image sets, as a survey."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ganlab.config import HuggingFace, Tfds
from ganlab.data.huggingface import find_huggingface
from ganlab.data.images import Split
from ganlab.data.survey import Survey, filled, read
from ganlab.data.tfds import find_tfds
from ganlab.errors import ConfigError


def prepared(settings: Tfds | HuggingFace) -> Split:
    """The images of a set of one of the libraries, in memory or, if there are many, on the disk."""
    return read(survey_of(settings), settings)


def survey_of(settings: Tfds | HuggingFace) -> Survey:
    """Look into the set that settings name; it is downloaded if it is missing. Raises ConfigError."""
    if isinstance(settings, Tfds):
        return tfds(settings.set, settings.data_dir, settings.train_split, settings.held_out_split,
                    settings.images_key, settings.labels_key)  # fmt: skip
    return huggingface(settings.path, settings.config, settings.train_split, settings.held_out_split,
                       settings.images_key, settings.labels_key)  # fmt: skip


def fill_in(tree: Mapping[str, Any], conditional: bool) -> dict[str, Any]:
    """Settings with null values filled in from what the library says; raises ConfigError."""
    column_keys = ("train_split", "held_out_split", "images_key", "labels_key")
    source_keys = ("set", "data_dir") if tree.get("name") == "tfds" else ("path", "config")
    if tree.get(source_keys[0]) is None:
        raise ConfigError(f"dataset.{source_keys[0]}=null names no images; give dataset.{source_keys[0]}=NAME")
    values = [tree.get(key) for key in (*source_keys, *column_keys)]
    if not all(isinstance(value, str | None) for value in values):
        return dict(tree)
    return filled(tree, (tfds if source_keys[0] == "set" else huggingface)(*values), conditional)


@lru_cache(4)
def tfds(
    name: str, data_dir: str | None, train: str, held_out: str | None, images_key: str | None, labels_key: str | None
) -> Survey:
    """A set of TensorFlow Datasets."""
    where = f"dataset.set={name}"
    return find_tfds(name, data_dir, train, held_out, where, images_key=images_key, labels_key=labels_key)


@lru_cache(4)
def huggingface(
    path: str, config: str | None, train: str, held_out: str | None, images_key: str | None, labels_key: str | None
) -> Survey:
    """A set of Hugging Face."""
    where = f"dataset.path={path}"
    return find_huggingface(path, config, train, held_out, where, images_key=images_key, labels_key=labels_key)
