"""Your own images in an .npz or .npy file: which of its arrays are used, and their pixels and classes.

Pickles are not read. `where` is what errors call the file: the setting, as people type it, `dataset.path=FILE`.
"""

import math
import re
import zipfile
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from ganlab.config import Arrays
from ganlab.data.images import Labels
from ganlab.data.survey import WANTED, Part, Shape, Stamp, Survey, explain_errors, filled, refuse_bombs, stamp
from ganlab.errors import ConfigError, in_a_line

_TRAIN = {"train", "training", "trn", "tr"}
_HELD_OUT = {"test", "testing", "tst", "val", "valid", "validation", "eval", "dev", "held", "heldout", "holdout"}
_LABELS = {"y", "label", "labels", "target", "targets", "class", "classes", "category", "categories"}
_GLUED = re.compile(r"(x|y|images?|labels?)?(train|test|val|valid)(x|y|images?|labels?|ing)?")
_LAYOUT = "uint8 [N,H,W], [N,H,W,1] or [N,H,W,3]"


class Header(NamedTuple):
    """What an array is, before it is loaded; `key`: its name in an .npz, empty in an .npy."""

    key: str
    shape: tuple[int, ...]
    dtype: np.dtype


class Keys(NamedTuple):
    """The arrays to use. None: chosen by name and shape. An empty key of labels: no labels."""

    images: str | None = None
    labels: str | None = None
    held_out_images: str | None = None
    held_out_labels: str | None = None


class _Side(NamedTuple):
    """Images in a file, to train on or held out, and their labels if any. where: the setting, as people type it."""

    path: Path
    where: str
    images: Header
    labels: Header | None

    @property
    def shape(self) -> Shape:
        """Height, width and channels."""
        _, height, width, *channels = self.images.shape
        return height, width, (channels or [1])[0]

    @property
    def labels_where(self) -> str:
        """What errors call the labels."""
        return f"{self.where} has {self.labels.key if self.labels else 'no labels'}"

    def part(self, classes: Labels | None, train: "_Side") -> Part:
        """This side as a part of a survey; train: the side of the images to train on."""
        file = self.path.name if self.path != train.path else ""
        return Part(self.images.shape[0], self.shape, classes, self._read, file=file, key=self.images.key)

    def _read(self) -> list[np.ndarray]:
        """All at once, uint8 [N,H,W,C]."""
        return [load(self.path, self.images, self.where).reshape(-1, *self.shape)]


def survey(path: str, held_out_path: str | None, keys: Keys) -> Survey:
    """Look into files: headers and labels are read, pixels are not. Raises ConfigError."""
    given = {"path": path} | ({"held_out_path": held_out_path} if held_out_path else {})
    stamps = tuple(stamp(Path(text), f"dataset.{setting}={text}") for setting, text in given.items())
    return _survey(tuple(given.items()), keys, stamps)


def survey_of(settings: Arrays) -> Survey:
    """The files that settings name."""
    keys = Keys(settings.images_key, settings.labels_key, settings.held_out_images_key, settings.held_out_labels_key)
    return survey(settings.path, settings.held_out_path, keys)


def fill_in(tree: Mapping[str, Any], conditional: bool) -> dict[str, Any]:
    """Settings of `dataset=arrays` with null values filled in from the files; raises ConfigError.

    A tree with values of the wrong type is returned unchanged; validation refuses it later.
    """
    path, held_out_path = tree.get("path"), tree.get("held_out_path")
    keys = Keys(*(tree.get(f"{name}_key") for name in Keys._fields))
    if path is None:
        raise ConfigError("dataset.path=null names no images; give dataset.path=FILE.npz or dataset.path=FILE.npy")
    if not isinstance(path, str) or not all(isinstance(value, str | None) for value in (held_out_path, *keys)):
        return dict(tree)
    return {"held_out_sha256": None} | filled(tree, survey(path, held_out_path, keys), conditional)


@lru_cache(4)
def _survey(given: tuple[tuple[str, str], ...], keys: Keys, _stamps: tuple[Stamp, ...]) -> Survey:
    """given: the path, and that of held-out images if they are in a file of their own, by setting."""
    places = [(Path(text), f"dataset.{setting}={text}") for setting, text in given]
    alone = len(places) == 2  # each file holds one side
    (file, where), (held_out_file, held_out_where) = places[0], places[-1]
    available = headers(file, where)
    images = _choose_train(available, keys.images, where)
    held_out_available = headers(held_out_file, held_out_where)
    held_out_images = _choose_held_out(held_out_available, images, keys.held_out_images, held_out_where, alone)
    train = _Side(file, where, images, _choose_labels(available, images, keys.labels, "labels_key", where, alone))
    sides = [train]
    if held_out_images is not None:
        labels = _choose_labels(
            held_out_available, held_out_images, keys.held_out_labels, "held_out_labels_key", held_out_where, alone
        )
        sides.append(_Side(held_out_file, held_out_where, held_out_images, None if keys.labels == "" else labels))
        _check_agreement(*sides)
    values, classes = None, [None, None]
    if train.labels is not None:
        labels_of_sides = [_labels(side) for side in sides]
        values = np.unique(labels_of_sides[0])
        classes = [
            to_classes(each, values, side.labels_where) for each, side in zip(labels_of_sides, sides, strict=True)
        ]
    parts = [side.part(of_each, train) for side, of_each in zip(sides, classes, strict=False)]
    files = {setting: (Path(text),) for setting, text in given}
    return Survey(where, parts[0], parts[1] if len(parts) == 2 else None, values, files=files, source=file.name)


def _labels(side: _Side) -> Labels:
    """The labels of a side; their shape and type are checked before they are loaded."""
    assert side.labels
    count, (_, shape, dtype) = side.images.shape[0], side.labels
    if shape in ((count,), (count, 1)) and not dtype.hasobject:
        labels = load(side.path, side.labels, side.where)
    else:
        labels = np.broadcast_to(np.zeros((), object if dtype.hasobject else dtype), shape)
    return read_labels(labels, count, side.labels_where)


def _check_agreement(train: _Side, held_out: _Side) -> None:
    names = train.images.key or train.path.name, held_out.images.key or held_out.path.name
    if train.shape != held_out.shape:
        raise ConfigError(
            f"{held_out.where} has {names[0]} and {names[1]} that differ in shape, {list(train.shape)} and "
            f"{list(held_out.shape)}; give images of the same shape"
        )
    if (train.labels is None) != (held_out.labels is None):
        with_labels = train.labels or held_out.labels
        assert with_labels
        raise ConfigError(
            f"{held_out.where} has labels for one part only, {with_labels.key}; give labels for both parts, or "
            "dataset.labels_key='' to leave them unread"
        )


# --- which arrays to use -------------------------------------------------------------------------------------------


def _words(key: str) -> set[str]:
    """The words of an array's name: x_train, trainX, train-images, XTrain, xtrain."""
    words = set[str]()
    for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", key):
        glued = _GLUED.fullmatch(word.lower())
        words |= {part for part in glued.groups() if part} if glued else {word.lower()}
    return words


def _part(key: str) -> str:
    """`train`, `held_out`, or empty if the name says neither."""
    words = _words(key)
    return "held_out" if words & _HELD_OUT else "train" if words & _TRAIN else ""


def _images(available: Mapping[str, Header]) -> list[Header]:
    """The arrays that can be images."""
    return [header for header in available.values() if header.dtype == np.uint8 and _shape_fault(header.shape) is None]


def _choose_train(available: Mapping[str, Header], key: str | None, where: str) -> Header:
    if key is not None:
        return _array_named(available, key, "images_key", where)
    candidates = _candidates(available, where)
    matching = [header for header in candidates if _part(header.key) == "train"] or [
        header for header in candidates if not _part(header.key)
    ]
    if not matching:
        raise ConfigError(
            f"{where} has only held-out images, {_list_arrays(candidates)}; to train on them give "
            f"dataset.images_key={candidates[0].key}"
        )
    return _only(matching, "images", "to train on", "images_key", where)


def _choose_held_out(
    available: Mapping[str, Header], train: Header, key: str | None, where: str, alone: bool
) -> Header | None:
    """The held-out images, if a file names any; alone: whether the file holds nothing else."""
    if key is not None:
        return _array_named(available, key, "held_out_images_key", where)
    if alone:
        candidates = _candidates(available, where)
    else:
        candidates = [header for header in _images(available) if header.key != train.key]
    matching = [header for header in candidates if _part(header.key) == "held_out"] or (candidates if alone else [])
    return _only(matching, "images", "to hold out", "held_out_images_key", where) if matching else None


def _choose_labels(
    available: Mapping[str, Header], images: Header, key: str | None, setting: str, where: str, alone: bool
) -> Header | None:
    """The labels of some images, by their names; alone: whether the file holds these images alone."""
    if key == "":
        return None
    if key is not None:
        if key not in available:
            raise _missing(available, key, setting, where)
        return available[key]
    candidates = [header for header in available.values() if header.key != images.key and _words(header.key) & _LABELS]
    candidates = [header for header in candidates if len(header.shape) < 3]
    matching = [header for header in candidates if _part(header.key) == _part(images.key)]
    if (
        not matching
        and (alone or not any(_part(header.key) for header in candidates))
        and _part(images.key) != "held_out"
    ):
        matching = candidates
    return _only(matching, "labels", "that is meant", setting, where) if matching else None


def _only(candidates: list[Header], kind: str, purpose: str, setting: str, where: str) -> Header:
    if len(candidates) > 1:
        raise ConfigError(
            f"{where} has several arrays of {kind}, {_list_arrays(candidates)}; name the one {purpose} with "
            f"dataset.{setting}={candidates[0].key}"
        )
    return candidates[0]


def _candidates(available: Mapping[str, Header], where: str) -> list[Header]:
    if images := _images(available):
        return images
    likely = sorted(available.values(), key=lambda header: (bool(_words(header.key) & _LABELS), -len(header.shape)))
    if not likely:
        raise ConfigError(f"{where} holds no arrays; give images, {_LAYOUT}")
    raise _not_images(likely[0], where)


def _array_named(available: Mapping[str, Header], key: str, setting: str, where: str) -> Header:
    if key not in available:
        raise _missing(available, key, setting, where)
    if available[key] not in _images(available):
        raise _not_images(available[key], where)
    return available[key]


def _missing(available: Mapping[str, Header], key: str, setting: str, where: str) -> ConfigError:
    return ConfigError(f"dataset.{setting}={key} is not in {where}; it has {_list_arrays(available.values())}")


def _not_images(header: Header, where: str) -> ConfigError:
    """Why an array cannot be images."""
    subject = f"{where} has {header.key or 'an array'}"
    if header.dtype.hasobject:
        return ConfigError(f"{subject} of Python objects, which need a pickle; give images, {_LAYOUT}")
    if (fault := _shape_fault(header.shape)) is not None:
        return ConfigError(f"{subject} of shape {list(header.shape)}{fault}; it must be {_LAYOUT}")
    return ConfigError(f"{subject} of type {in_a_line(header.dtype, 40)}; it must be uint8, 0 to 255")


def _shape_fault(shape: tuple[int, ...]) -> str | None:
    """What is wrong with the shape of images, or None; empty if there is nothing to add."""
    if 0 in shape:
        return ", which is empty"
    if len(shape) == 3:
        return ", a single image" if shape[2] in (3, 4) and shape[0] > 4 and shape[1] > 4 else None
    if len(shape) == 4:
        if shape[3] in (1, 3):
            return None
        if shape[1] in (1, 3):
            return ", channels first: numpy.moveaxis(images, 1, -1) puts them last"
        return ", with transparency: leave out the fourth channel" if shape[3] == 4 else ""
    return ""


def _list_arrays(arrays: Iterable[Header]) -> str:
    return in_a_line(", ".join(f"{header.key or 'one array'} {header.dtype} {list(header.shape)}" for header in arrays))


# --- labels ----------------------------------------------------------------------------------------------------------


def read_labels(array: np.ndarray, images: int, where: str) -> Labels:
    """Whole numbers of at least 0, int64 [N], from an array of [N] or [N,1] numbers.

    where: the array, as in `dataset.path=FILE has y_train`. Raises ConfigError, which names the first bad place.
    """
    if array.shape not in ((images,), (images, 1)):
        hint = "; for one-hot labels use argmax(axis=1)" if array.ndim == 2 and len(array) == images else ""
        raise ConfigError(
            f"{where} of shape {list(array.shape)}; it must be one label per image, [{images}] or [{images},1]{hint}"
        )
    if array.dtype.kind not in "biuf":
        raise ConfigError(
            f"{where} of type {array.dtype}; labels are whole numbers, 0, 1, 2 and so on; numpy.unique("
            "labels, return_inverse=True)[1] makes them, and dataset.labels_key='' leaves labels unread"
        )
    flat = array.reshape(-1)
    if flat.dtype.kind in "bf":
        flat = flat.astype(np.float64)
    with np.errstate(invalid="ignore"):
        good = (flat >= 0) & (flat == np.floor(flat)) & (flat < 2.0**63)
    if len(wrong := np.flatnonzero(~good)):
        raise ConfigError(
            f"{where}[{wrong[0]}]={flat[wrong[0]]!s}; labels are whole numbers of at least 0 (dataset=arrays "
            "dataset.labels_key='' leaves them unread)"
        )
    return flat.astype(np.int64)


def to_classes(labels: Labels, values: Labels, where: str) -> Labels:
    """The places of labels among `values`, the sorted labels of the training images; ConfigError for any other."""
    places = np.minimum(np.searchsorted(values, labels), len(values) - 1)
    if len(wrong := np.flatnonzero(values[places] != labels)):
        raise ConfigError(
            f"{where}[{wrong[0]}]={labels[wrong[0]]}, a label that no training image has; leave such images out"
        )
    return places.astype(np.int64)


# --- arrays of a file ------------------------------------------------------------------------------------------------


def headers(path: Path, where: str) -> dict[str, Header]:
    """The headers of the arrays in a file, by key, in their order."""
    return _headers(path, where, stamp(path, where))


def load(path: Path, header: Header, where: str) -> np.ndarray:
    """One array of a file; an .npy stays on the disk, memory-mapped."""
    with explain_errors(where):
        if not header.key:
            return npy.open_memmap(path, mode="r")
        with zipfile.ZipFile(path) as archive, archive.open(f"{header.key}.npy") as file:
            return npy.read_array(file, allow_pickle=False)


@lru_cache(8)
def _headers(path: Path, where: str, _stamp: Stamp) -> dict[str, Header]:
    with explain_errors(where):
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                if file.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
                    raise ConfigError(f"{where} is not an .npz or .npy file; {WANTED}")
                file.seek(0)
                return {"": _header("", file, path.stat().st_size)}
        arrays = {}
        with zipfile.ZipFile(path) as archive:
            refuse_bombs(archive)
            for member in archive.infolist():
                if member.filename.endswith(".npy"):
                    key = member.filename.removesuffix(".npy")
                    with archive.open(member) as file:
                        arrays[key] = _header(key, file, member.file_size)
        return arrays


def _header(key: str, file: IO[bytes], size: int) -> Header:
    """The header of a file of `size` bytes; ValueError if it declares more or fewer."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{key} is in a version of the .npy format that is not supported")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    if not dtype.hasobject and size - file.tell() != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{key or 'it'} does not hold the {math.prod(shape)} numbers that its header declares")
    return Header(key, shape, dtype)
