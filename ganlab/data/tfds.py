"""Image sets of TensorFlow Datasets, prepared already or prepared by that library."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ganlab.config import Tfds
from ganlab.data.libraries import classes, columns, fill_in_from, library, survey_of_parts
from ganlab.data.survey import Part, Survey
from ganlab.errors import ConfigError, expand, in_a_line, nearest

_FEATURES = "tensorflow_datasets.core.features."


@lru_cache(4)
def find_tfds(
    name: str,
    data_dir: str | None,
    train_split: str,
    held_out_split: str | None,
    images_key: str | None = None,
    labels_key: str | None = None,
) -> Survey:
    """A set by its name in the library, such as `oxford_flowers102` or `emnist/letters:3.1.0`, or by its own directory.

    A set already prepared in `data_dir` (null: ~/tensorflow_datasets) is read without its code and without a network;
    any other is downloaded and prepared by the library. Splits are those of the library, including slices such as
    `train[:80%]`. Keys: None for the only image and the only class label; an empty labels_key for no labels. Raises
    ConfigError.
    """
    where = f"dataset.set={name}"
    tfds = library("tensorflow_datasets", "tensorflow-datasets", "tfds")
    place = _find_prepared(name, data_dir, where)
    try:
        if place is not None:
            _refuse_foreign_code(place, where)
            builder = tfds.builder_from_directory(str(place))
        else:
            base, names = re.split("[/:]", name)[0], tfds.list_builders()
            if base not in names:
                close = difflib.get_close_matches(base, names, n=1)
                hint = f"did you mean {close[0]}?" if close else "see its catalogue, or give dataset.data_dir=DIRECTORY"
                raise ConfigError(
                    f"{where} is not a set of TensorFlow Datasets, and is not prepared in its directory; {hint}"
                )
            builder = tfds.builder(name, data_dir=data_dir and str(expand(data_dir, "dataset.data_dir=")))
            builder.download_and_prepare()
    except ConfigError:
        raise
    except Exception as error:  # of any kind, from the set's own code or the network
        failure = f"in {place} cannot be read" if place else "is not prepared and could not be downloaded"
        raise ConfigError(
            f"{where} {failure} ({in_a_line(error, 160)}); prepare it with tfds build where there is a network, "
            "and give dataset.data_dir=DIRECTORY"
        ) from error
    return _read(tfds, builder, (train_split, held_out_split), (images_key, labels_key), where)


def survey_of(settings: Tfds) -> Survey:
    """Look into the set that settings name; it is downloaded if it is missing. Raises ConfigError."""
    return find_tfds(settings.set, settings.data_dir, settings.train_split, settings.held_out_split,
                     settings.images_key, settings.labels_key)  # fmt: skip


def fill_in(tree: Mapping[str, Any], conditional: bool) -> dict[str, Any]:
    """Settings with null values filled in from what the library says; raises ConfigError."""
    return fill_in_from(find_tfds, ("set", "data_dir"), tree, conditional)


def _find_prepared(name: str, data_dir: str | None, where: str) -> Path | None:
    """The directory of a prepared set, its newest version if the name gives none; None if it is missing."""
    if "/" in name and (expand(name, where) / "dataset_info.json").is_file():
        return expand(name, where)
    if not (match := re.fullmatch(r"([\w/.-]+?)(?::(\d+\.\d+\.\d+|\d+\.\*\.\*))?", name)) or ".." in name:
        raise ConfigError(f"{where} is not a name in TensorFlow Datasets; use NAME, NAME/CONFIG or NAME:1.0.0")
    folder = expand(data_dir or "~/tensorflow_datasets", "dataset.data_dir=") / match[1]
    wanted = match[2] or "*"
    versions = [info.parent for info in folder.glob(f"{wanted}/dataset_info.json")]
    return max(versions, key=lambda version: [int(n) for n in re.findall(r"\d+", version.name)], default=None)


def _refuse_foreign_code(place: Path, where: str) -> None:
    """Raise ConfigError if `features.json` names foreign classes, which the library would import."""
    path = place / "features.json"
    if not path.is_file():
        return

    def check(node: Any) -> None:
        if isinstance(node, dict):
            if not str(node.get("pythonClassName", _FEATURES)).startswith(_FEATURES):
                raise ConfigError(
                    f"{where}: features.json names {node['pythonClassName']}, which is foreign code and is not run; "
                    "use a set with features of tensorflow_datasets"
                )
            node = list(node.values())
        for inner in node if isinstance(node, list) else ():
            check(inner)

    check(json.loads(path.read_text("utf-8")))


def _read(
    tfds: Any, builder: Any, splits: tuple[str, str | None], keys: tuple[str | None, str | None], where: str
) -> Survey:
    features, info = builder.info.features, builder.info
    if not hasattr(features, "items"):
        raise ConfigError(f"{where} has no columns; give a set of images")
    image, label = columns(features, tfds.features, keys, where)
    feature = features[image]
    channels = feature.shape[-1]
    if feature.np_dtype != np.uint8 or channels not in (1, 3):
        raise ConfigError(
            f"{where} has {np.dtype(feature.np_dtype)} images of {channels} channels; give a set of uint8 images of 1 "
            "or 3 channels"
        )
    shape = None if None in feature.shape else tuple(feature.shape)

    def part(split: str) -> Part:
        base = split.partition("[")[0]
        if base not in info.splits:
            raise ConfigError(f"{where} has no split {split}; {nearest(base, info.splits)}")
        labels = None
        if label is not None:  # images are not decoded
            numbers = np.fromiter((row[label] for row in _rows(tfds, builder, split, label, where)), np.int64)
            labels = classes(numbers, features[label].num_classes, split, where)
        try:
            count = info.splits[split].num_examples
        except Exception as error:
            raise ConfigError(f"{where}: split {split} cannot be read ({in_a_line(error)}); use train[:80%]") from error
        if not count:
            raise ConfigError(f"{where} has no images in split {split}; {nearest(base, info.splits)}")
        return Part(count, shape, labels, partial(_images, tfds, builder, split, image, where), channels)

    names = [split for split in splits if split is not None]
    parts = [part(split) for split in names]
    files = {Path(file) for split in names for file in info.splits[split].filepaths}
    files = [Path(str(builder.data_dir)) / "dataset_info.json", *sorted(files)]
    class_names = () if label is None else tuple(features[label].names)
    licence = info.redistribution_info and info.redistribution_info.license
    return survey_of_parts(where, parts, class_names, files, f"{info.full_name} of TensorFlow Datasets", licence)


def _images(tfds: Any, builder: Any, split: str, key: str, where: str) -> Iterator[np.ndarray]:
    return (row[key][None] for row in _rows(tfds, builder, split, key, where))


def _rows(tfds: Any, builder: Any, split: str, key: str, where: str) -> Iterator[dict[str, np.ndarray]]:
    """One column of a split, in the order of its files."""
    try:
        yield from tfds.as_numpy(
            builder.as_dataset(
                split=split,
                shuffle_files=False,
                decoders=tfds.decode.PartialDecoding({key: True}),
                read_config=tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1),
            )
        )
    except Exception as error:  # TensorFlow raises many kinds
        raise ConfigError(
            f"{where}: split {split} cannot be read ({in_a_line(error, 200)}); prepare the set again"
        ) from error
