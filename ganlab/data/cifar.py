"""CIFAR-10 and CIFAR-100 in their binary version, whole or as the .tar.gz, which is not unpacked to disk.

A record is a label, or a coarse label and a fine one, and 3072 bytes: the red plane, the green one, the blue one.
"""

import contextlib
import gzip
import tarfile
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import IO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganlab.data.survey import Part, Stamp, Survey, reading, stamp_of
from ganlab.errors import ConfigError

_PIXELS = 3 * 32 * 32
_MOST_NAMES = 10_000  # bytes of a list of class names
_MOST_UNPACKED = 1 << 28  # bytes of an archive: the authors' have 184 million


CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100 = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip
"""The classes by label, the fine ones of CIFAR-100."""


class _Layout(NamedTuple):
    """A set's files of records and of names, the labels per record, the most records per file, and their folders."""

    title: str
    class_names: tuple[str, ...]
    train: tuple[str, ...]
    held_out: str
    names: str
    labels: int
    most: int
    folder: str
    archive: str

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.train, self.held_out)

    @property
    def record(self) -> int:
        """Bytes of a record."""
        return self.labels + _PIXELS


_LAYOUTS = {
    10: _Layout("CIFAR-10", CIFAR10, tuple(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin",
                "batches.meta.txt", 1, 10_000, "cifar-10-batches-bin", "cifar-10-binary.tar.gz"),
    100: _Layout("CIFAR-100", CIFAR100, ("train.bin",), "test.bin", "fine_label_names.txt",
                 2, 50_000, "cifar-100-binary", "cifar-100-binary.tar.gz"),
}  # fmt: skip
_PICKLES = {"data_batch_1", "test_batch", "batches.meta", "train", "test", "meta",
            "cifar-10-python.tar.gz", "cifar-100-python.tar.gz"}  # fmt: skip
_MATLAB = {"data_batch_1.mat", "test_batch.mat", "batches.meta.mat", "train.mat", "test.mat", "meta.mat",
           "cifar-10-matlab.tar.gz", "cifar-100-matlab.tar.gz"}  # fmt: skip


class _Content(NamedTuple):
    """The content of a directory or archive: every name, the labels of each file of records, the names of classes."""

    names: frozenset[str]
    labels: dict[str, NDArray[np.uint8]]
    class_names: tuple[str, ...] | None


def find_cifar(path: Path, where: str, *, classes: Literal[10, 100]) -> Survey:
    """The binary version: its directory, one of the files in it, or its .tar.gz. Labels of CIFAR-100 are the fine ones.

    Files may have fewer records than the published ones. The versions for Python, which are pickles, and for MATLAB are
    refused. where: how people type the path, which starts every error. Raises ConfigError.
    """
    layout = _LAYOUTS[classes]
    place = _locate(path, where, layout)
    content = _content(place, where, layout)
    _refuse_others(content.names, where, layout)
    if missing := [name for name in layout.files if name not in content.labels]:
        raise ConfigError(f"{where} lacks {', '.join(missing)} of {layout.title}; {_advice(layout)}")
    for name, labels in content.labels.items():
        if len(wrong := np.flatnonzero(labels >= classes)):
            raise ConfigError(
                f"{where}: {name} has label {labels[wrong[0]]} in record {wrong[0]}, but {layout.title}'s are 0 to "
                f"{classes - 1}; fetch it again"
            )
    if content.class_names is not None and len(content.class_names) != classes:
        raise ConfigError(
            f"{where}: {layout.names} has {len(content.class_names)} names, but {layout.title} has {classes} classes; "
            "fetch it again"
        )

    def part(names: tuple[str, ...]) -> Part:
        labels = np.concatenate([content.labels[name] for name in names]).astype(np.int64)
        counts = {name: len(content.labels[name]) for name in names}
        return Part(len(labels), (32, 32, 3), labels, partial(_read, place, counts, where, layout))

    names = content.class_names or layout.class_names
    files = {"path": _files(place, layout)}
    return Survey(where, part(layout.train), part((layout.held_out,)), np.arange(classes), names, files)


def _advice(layout: _Layout) -> str:
    return f"give the directory {layout.folder}, or {layout.archive} as it is"


def _locate(path: Path, where: str, layout: _Layout) -> Path:
    """The directory or the archive to read."""
    if path.is_file():
        return path.parent if path.name in (*layout.files, layout.names) else path
    if not path.is_dir():
        raise ConfigError(f"{where} does not exist; {_advice(layout)}")
    if not (path / layout.held_out).exists():
        for inner in (path / layout.folder, path / layout.archive):
            if inner.exists():
                return inner
    return path


def _refuse_others(names: frozenset[str], where: str, layout: _Layout) -> None:
    """Raise ConfigError for another version, or the other set."""
    if layout.held_out in names:
        return
    if names & _PICKLES:
        raise ConfigError(
            f"{where} is {layout.title}'s Python version, which consists of pickles: they can run any code and are not "
            f"read; get {layout.archive} from the same page"
        )
    if names & _MATLAB:
        raise ConfigError(f"{where} is {layout.title}'s MATLAB version; get {layout.archive} from the same page")
    for classes, other in _LAYOUTS.items():
        if other.held_out in names:
            raise ConfigError(f"{where} holds {other.title}; use dataset=cifar{classes}")


def _files(place: Path, layout: _Layout) -> tuple[Path, ...]:
    if place.is_file():
        return (place,)
    return tuple(file for name in (*layout.files, layout.names) if (file := place / name).is_file())


def _content(place: Path, where: str, layout: _Layout) -> _Content:
    if place.is_file() and place.name in _PICKLES | _MATLAB:
        return _Content(frozenset({place.name}), {}, None)
    with reading(where, place.name):
        stamps = tuple(stamp_of(file.stat()) for file in _files(place, layout))
        return _read_content(place, where, layout, stamps)


@lru_cache(4)
def _read_content(place: Path, where: str, layout: _Layout, _stamps: tuple[Stamp, ...]) -> _Content:
    names, labels, class_names = set(), {}, None
    for name, size, file in _members(place):
        names.add(name)
        with reading(where, name):
            if name == layout.names:
                class_names = tuple(file().read(_MOST_NAMES).decode("ascii").split())
            elif name in layout.files and name not in labels:
                labels[name] = _records(file(), size, layout)[:, layout.labels - 1].copy()
    return _Content(frozenset(names), labels, class_names)


def _read(place: Path, counts: dict[str, int], where: str, layout: _Layout) -> list[np.ndarray]:
    """The pixels of some files, one after the other in the order of `counts`, uint8 [N,32,32,3]."""
    with reading(where, place.name):
        pixels: dict[str, np.ndarray] = {}
        for name, size, file in _members(place):
            if name in counts and name not in pixels:
                with reading(where, name):
                    records = _records(file(), size, layout)
                    if len(records) != counts[name]:
                        raise ValueError("it was changed while being read")
                    pixels[name] = records[:, layout.labels :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
            if len(pixels) == len(counts):
                return [np.concatenate([pixels[name] for name in counts])]
        raise ValueError(f"{min(counts.keys() - pixels.keys())} is no longer in it")


def _records(file: IO[bytes], size: int, layout: _Layout) -> np.ndarray:
    """The records of a file of `size` bytes, uint8 [n,record]; ValueError if these are not records."""
    if size % layout.record or not 0 < size <= layout.most * layout.record:
        raise ValueError(f"its {size} bytes are not 1 to {layout.most} records of {layout.record} bytes")
    content = file.read(size)
    if len(content) != size:
        raise ValueError("it is cut short")
    return np.frombuffer(content, np.uint8).reshape(-1, layout.record)


class _Unpacked(gzip.GzipFile):
    """A .gz that refuses to unpack to more than the memory should hold, at once or in all."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _MOST_UNPACKED or self.tell() > _MOST_UNPACKED:
            raise ValueError(f"it unpacks to more than {_MOST_UNPACKED} bytes")
        return super().read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        if offset > _MOST_UNPACKED:
            raise ValueError(f"it unpacks to more than {_MOST_UNPACKED} bytes")
        return super().seek(offset, whence)


def _members(place: Path) -> Iterator[tuple[str, int, Callable[[], IO[bytes]]]]:
    """Each file of a directory or archive: its name, its size, and what opens it; to be read before the next one."""
    with contextlib.ExitStack() as stack:
        if place.is_dir():
            for path in sorted(place.iterdir()):
                if path.is_file():
                    yield path.name, path.stat().st_size, lambda path=path: stack.enter_context(path.open("rb"))
            return
        packed = stack.enter_context(place.open("rb"))
        gzipped = packed.read(2) == b"\x1f\x8b"
        packed.seek(0)
        stream = _Unpacked(fileobj=packed) if gzipped else packed
        archive = stack.enter_context(tarfile.open(fileobj=stream, mode="r:"))
        for member in archive:
            if member.isreg() and not member.issparse():
                yield PurePosixPath(member.name).name, member.size, partial(archive.extractfile, member)  # type: ignore
        while stream.read(1 << 20):  # to the checksum at the end
            pass
