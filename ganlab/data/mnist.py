"""The MNIST family: IDX files, as MNIST, Fashion-MNIST, KMNIST and EMNIST are published, and Keras' mnist.npz.

An IDX file is a header, big-endian sizes, then a byte for each number; gzipped or not, in a zip or not.
"""

import contextlib
import gzip
import hashlib
import math
import struct
import zipfile
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

import numpy as np

from ganlab.data import arrays
from ganlab.data.survey import Part, Stamp, Survey, reading, stamp_of
from ganlab.errors import ConfigError

_GENUINE_SHA256 = "c2069063c1105f2bf96266aef1ff68c6e13bdda7a54e37bf19c16f1db24efc83"  # of pixels and labels
_ADVICE = "use dataset=arrays or dataset=folder for other images"
_BYTES = 8  # the code of unsigned bytes in a header
_MOST_IMAGES = 1_000_000  # the largest split of EMNIST has 697,932
_BLOCK = 1 << 20


class _File(NamedTuple):
    """A file, or a member of a zip."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        return PurePosixPath(self.member).name or self.path.name


def find_idx(path: Path, where: str, title: str, class_names: tuple[str, ...], split: str | None) -> Survey:
    """The four files of a set in a directory, or in a zip such as EMNIST's gzip.zip, or beside the one given.

    title, class_names: of the set. split: of EMNIST, whose images are stored on their sides; they are turned upright.
    Files are gzipped or not. where: how people type the path, which starts every error. Raises ConfigError.
    """
    files = _locate(path, where, title, split)
    parts = [_part(images, labels, where, title, len(class_names), split) for images, labels in (files[:2], files[2:])]
    paths = tuple(dict.fromkeys(file.path for file in files))
    return Survey(where, *parts, np.arange(len(class_names)), class_names, {"path": paths})


def _names(split: str | None) -> list[list[str]]:
    """What the files may be called, the usual name first: images, labels, and those of the test set."""
    train, test = ("train", "t10k") if split is None else (f"emnist-{split}-train", f"emnist-{split}-test")
    kinds = ("images", 3), ("labels", 1)
    return [
        [f"{part}-{kind}{dot}idx{dims}-ubyte{gz}" for gz in (".gz", "") for dot in "-."]
        for part in (train, test)
        for kind, dims in kinds
    ]


def _locate(path: Path, where: str, title: str, split: str | None) -> list[_File]:
    names = _names(split)
    with reading(where, path.name):
        available = _list(path, where, title, [name for spellings in names for name in spellings])
    if path.is_dir():
        for inner in (path / "gzip", path / "gzip.zip"):  # as EMNIST is published
            if split and not any(spellings[0] in available for spellings in names) and inner.exists():
                return _locate(inner, where, title, split)
    files = [next((available[name] for name in spellings if name in available), None) for spellings in names]
    if missing := [spellings[0] for spellings, file in zip(names, files, strict=True) if file is None]:
        raise ConfigError(f"{where} lacks {', '.join(missing)} of {title}; the four files must be in one directory")
    return [file for file in files if file is not None]


def _list(path: Path, where: str, title: str, names: list[str]) -> dict[str, _File]:
    """The files to choose from, by name."""
    if path.is_dir():
        return {file.name: _File(file) for file in path.iterdir() if file.is_file()}
    if not path.is_file():
        raise ConfigError(f"{where} does not exist; give the directory of {names[0]}")
    if path.name in names:
        return {file.name: _File(file) for file in path.parent.iterdir() if file.is_file() and file.name in names}
    if not zipfile.is_zipfile(path):
        raise ConfigError(f"{where} is not one of {title}'s four files; give the directory of {names[0]}")
    with zipfile.ZipFile(path) as archive:
        return {PurePosixPath(member).name: _File(path, member) for member in archive.namelist()}


def _part(images: _File, labels: _File, where: str, title: str, class_count: int, split: str | None) -> Part:
    with _open_file(images, where) as stream:
        count, height, width = _header(stream, 3)
    if (height, width) != (28, 28) or not 0 < count <= _MOST_IMAGES:
        raise ConfigError(
            f"{where}: {images.name} declares {count} images of {height}x{width}, but sets like {title} have "
            f"1 to {_MOST_IMAGES} of 28x28; fetch it again"
        )
    with _open_file(labels, where) as stream:
        (label_count,) = _header(stream, 1)
    if label_count != count:
        raise ConfigError(
            f"{where}: {images.name} has {count} images but {labels.name} has {label_count} labels; fetch both again"
        )
    with reading(where, images.name):
        stamp = stamp_of(images.path.stat())
    _check_content(images, (count, height, width), where, stamp)
    first = 1 if split == "letters" else 0
    classes = _read(labels, (count,), where).astype(np.int64) - first
    if len(wrong := np.flatnonzero((classes < 0) | (classes >= class_count))):
        raise ConfigError(
            f"{where}: {labels.name} has label {classes[wrong[0]] + first} at place {wrong[0]}, but {title}'s are "
            f"{first} to {first + class_count - 1}; fetch it again"
        )
    read = partial(_pixels, images, (count, height, width), where, split is not None)
    return Part(count, (height, width, 1), classes, read)


def _pixels(file: _File, shape: tuple[int, int, int], where: str, on_side: bool) -> list[np.ndarray]:
    pixels = _read(file, shape, where)
    return [np.ascontiguousarray(pixels.transpose(0, 2, 1) if on_side else pixels)[..., None]]


@lru_cache(16)
def _check_content(file: _File, shape: tuple[int, ...], where: str, _stamp: Stamp) -> None:
    """Read a file to its end, without keeping it; ConfigError if it does not hold what its header says."""
    with _open_file(file, where) as stream:
        for _ in _blocks(stream, shape):
            pass


def _read(file: _File, shape: tuple[int, ...], where: str) -> np.ndarray:
    """All numbers of a file whose header states this shape, uint8."""
    with _open_file(file, where) as stream:
        numbers, place = np.empty(math.prod(shape), np.uint8), 0
        for block in _blocks(stream, shape):
            numbers[place : place + len(block)] = np.frombuffer(block, np.uint8)
            place += len(block)
        return numbers.reshape(shape)


def _blocks(stream: IO[bytes], shape: tuple[int, ...]) -> Iterator[bytes]:
    """The bytes after a header; ValueError unless it states this shape, and there are exactly as many as it says."""
    if _header(stream, len(shape)) != shape:
        raise ValueError("it was changed while being read")
    left = math.prod(shape)
    while left and (block := stream.read(min(_BLOCK, left))):
        left -= len(block)
        yield block
    if left or stream.read(1):
        raise ValueError(f"it has {'fewer' if left else 'more'} bytes than the {math.prod(shape)} of its header")


def _header(stream: IO[bytes], dims: int) -> tuple[int, ...]:
    start = stream.read(4 + 4 * dims)
    if len(start) < 4 + 4 * dims or start[:2] != b"\0\0":
        raise ValueError(f"it is not an IDX file: it starts with {start[:4].hex() or 'nothing'}")
    if tuple(start[2:4]) != (_BYTES, dims):
        expected = "images are bytes in 3 dimensions" if dims == 3 else "labels are bytes in 1 dimension"
        raise ValueError(f"its magic number is {start[:4].hex()}; {expected}, {bytes((0, 0, _BYTES, dims)).hex()}")
    return struct.unpack(f">{dims}I", start[4:])


@contextlib.contextmanager
def _open_file(file: _File, where: str) -> Iterator[IO[bytes]]:
    """A file's bytes, unpacked as they are read; ConfigError for whatever goes wrong while it is open."""
    with reading(where, file.name), contextlib.ExitStack() as stack:
        if file.member:
            stream = stack.enter_context(stack.enter_context(zipfile.ZipFile(file.path)).open(file.member))
        else:
            stream = stack.enter_context(file.path.open("rb"))
        if file.name.endswith(".gz"):
            stream = stack.enter_context(gzip.GzipFile(fileobj=stream))
        yield stream  # type: ignore[misc]


# --- Keras' mnist.npz ------------------------------------------------------------------------------------------------


def find_npz(path: str | None) -> Survey:
    """Look into an .npz in the layout of keras.datasets.mnist, or, without a path, Keras' own, which it may download.

    Any other file raises ConfigError.
    """
    if path is None:
        return _download_npz()
    where = f"dataset.path={path}"
    available = arrays.headers(Path(path), where)
    missing = [key for key in ("x_train", "x_test") if key not in available]
    if missing:
        names = ", ".join(key or "one array without a name" for key in available) or "nothing"
        raise ConfigError(f"{where} lacks {' and '.join(missing)} of Keras' mnist.npz (it has {names}); {_ADVICE}")
    for key in ("x_train", "x_test"):
        shape, kind = available[key].shape, available[key].dtype
        if kind != np.uint8 or shape[1:] not in ((28, 28), (28, 28, 1)) or not shape[0]:
            raise ConfigError(f"{where} has {key} {kind} {list(shape)}, but MNIST has uint8 [N,28,28]; {_ADVICE}")
    labels = [key if key in available else "" for key in ("y_train", "y_test")]
    if "" in labels and labels != ["", ""]:
        raise ConfigError(f"{where} has labels for one part only; give y_train and y_test, or neither")
    return arrays.survey(path, None, arrays.Keys("x_train", labels[0], "x_test", labels[1]))


def is_genuine(survey: Survey) -> bool:
    """Whether pixels and labels are those of LeCun, Cortes and Burges, whatever the file around them."""
    assert survey.held_out
    digest = hashlib.sha256()
    for part in (survey.train, survey.held_out):
        for pixels in part.read():
            digest.update(np.ascontiguousarray(pixels))
    for labels in (survey.train.classes, survey.held_out.classes):
        digest.update(b"" if labels is None else labels.astype(np.uint8))
    return digest.hexdigest() == _GENUINE_SHA256


def _download_npz() -> Survey:
    """MNIST as Keras has it in its cache, or downloads it."""
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises plain Exception if the network fails
        raise ConfigError(
            "dataset=mnist could not be downloaded; fetch Keras' mnist.npz where there is a network, "
            "and give dataset.path=FILE.npz"
        ) from error

    def part(pixels: np.ndarray, labels: np.ndarray) -> Part:
        return Part(len(pixels), (28, 28, 1), labels.astype(np.int64), lambda: [pixels[..., None]])

    return Survey("dataset=mnist", part(x_train, y_train), part(x_test, y_test), np.arange(10))
