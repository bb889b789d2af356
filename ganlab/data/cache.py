"""Decoded images, kept on the disk and memory-mapped: the two parts of a data set, each in a fixed order.

An entry is a folder whose name is a hash of what determines its content. One process makes it while others wait. It is
written to a temporary folder, renamed into place, and checked against its own hash whenever it is opened. A damaged
entry is replaced. No TensorFlow, no pickle.
"""

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
from numpy.typing import NDArray

from ganlab import files
from ganlab.data.images import Digests, Images, Labels, Split, arrange, block_rows, shared
from ganlab.data.parallel import say
from ganlab.errors import ConfigError

VERSION = f"2, Pillow {PIL.__version__}"  # of how images are decoded, ordered and kept: part of every name
_NAMED = 3  # pairs of equal images that a note names
_FACTS, _HELD_OUT = "facts.json", "held_out.txt"


class Block(NamedTuple):
    """Some images: pixels uint8 [N,H,W,C] and their digests."""

    pixels: np.ndarray
    digests: Digests


class CachedSplit(NamedTuple):
    """What an entry holds: pixels and labels of each part, the names of those held out, and facts, plain values."""

    train: np.ndarray
    held_out: np.ndarray
    train_labels: Labels | None
    held_out_labels: Labels | None
    names: tuple[str, ...]
    facts: dict[str, Any]

    def split(self, name: str, source: str, licence: str, notes: Sequence[str]) -> Split:
        """The entry as a data set; `notes` are followed by those on how the entry was made."""
        train, held_out = (
            Images(pixels, labels, name, source, licence=licence)
            for pixels, labels in ((self.train, self.train_labels), (self.held_out, self.held_out_labels))
        )
        return Split(train, held_out, (*notes, *self.facts["notes"]), self.names)


@dataclass(frozen=True)
class Recipe:
    """What an entry is made of: blocks of images of one shape, `count` at most, and what is decided at the end."""

    count: int
    shape: tuple[int, int, int]
    blocks: Callable[[], Iterable[Block]]
    finish: Callable[[Digests], "Layout"]


class Layout(NamedTuple):
    """What is decided once all digests are known: labels, which images are held out, facts, and names by place."""

    labels: Labels | None
    held: NDArray[np.bool_]
    facts: dict[str, Any]
    name: Callable[[int], str]


def facts_of(key: Mapping[str, Any], make: Callable[[], Recipe]) -> dict[str, Any]:
    """The facts of an entry; it is made if it is missing."""
    path = _path(key)
    facts = _facts(path)
    return facts if facts is not None else _make(path, make, _facts)


def cached(key: Mapping[str, Any], make: Callable[[], Recipe]) -> CachedSplit:
    """An entry, checked against its hash; it is made if it is missing or damaged.

    key: plain values that determine it. Raises ConfigError if it cannot be made.
    """
    path = _path(key)
    entry = _open(path)
    return entry if entry is not None else _make(path, make, _open)


def _path(key: Mapping[str, Any]) -> Path:
    text = json.dumps({"version": VERSION, **key}, sort_keys=True, ensure_ascii=True)
    return files.cache_folder() / f"images-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _facts(path: Path) -> dict[str, Any] | None:
    """The facts of an entry whose files exist and have their sizes; otherwise None."""
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads((path / _FACTS).read_text(encoding="utf-8"))
        if all((path / name).stat().st_size == size for name, size in facts["sizes"].items()):
            return facts
    return None


def _open(path: Path) -> CachedSplit | None:
    """An entry whose files have their hash."""
    if (facts := _facts(path)) is None:
        return None
    with contextlib.suppress(OSError, ValueError, KeyError):
        if _hash(path, facts["sizes"]) != facts["hash"]:
            say(f"{path} is damaged; replacing it")
            return None
        pixels = [np.load(path / f"{part}.npy", mmap_mode="r") for part in ("train", "held_out")]
        labels = [None, None]
        if "train_labels.npy" in facts["sizes"]:
            labels = [np.load(path / f"{part}_labels.npy") for part in ("train", "held_out")]
        names = (path / _HELD_OUT).read_text(encoding="utf-8").splitlines()
        return CachedSplit(*pixels, *labels, tuple(names), facts)
    return None


def _make(path: Path, make: Callable[[], Recipe], open_: Callable[[Path], Any]) -> Any:
    """Make an entry, unless another process has made it meanwhile."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f"{path.name}.lock").open("w") as lock:
            if not files.lock(lock):
                say("another process is preparing these images; waiting for it")
                files.lock(lock, wait=True)
            entry = open_(path)
            if entry is None:
                with files.replacing(path, durable=False, alone=True) as temporary:
                    files.remove(temporary)
                    temporary.mkdir()
                    _write(temporary, path, make())
                entry = open_(path)
    except OSError as error:
        raise ConfigError(
            f"decoded images cannot be written to {path.parent} ({os.strerror(error.errno or 0)}); set GANLAB_CACHE to "
            "a writable folder"
        ) from error
    if entry is None:
        raise ConfigError(f"decoded images in {path} cannot be read back; set GANLAB_CACHE to another folder")
    return entry


def in_memory(recipe: Recipe) -> CachedSplit:
    """The same in memory, for small data sets."""
    blocks = list(recipe.blocks())
    pixels, digests = (np.concatenate(columns) for columns in zip(*blocks, strict=True))
    labels, held_out, facts, name_of = recipe.finish(digests)
    parts = arrange(digests, labels, held_out)
    part_labels = [None if labels is None else labels[places] for places in parts]
    names = tuple(name_of(int(place)) for place in parts.held_out)
    facts["notes"] += _note_twins(digests, held_out, name_of)
    return CachedSplit(pixels[parts.train], pixels[parts.held_out], *part_labels, names, facts)


def _write(folder: Path, path: Path, recipe: Recipe) -> None:
    size, (height, width, channels) = recipe.count * math.prod(recipe.shape), recipe.shape
    if (free := shutil.disk_usage(folder).free) < 2 * size:  # as decoded, and then in order
        raise ConfigError(
            f"{recipe.count:,} images {height}x{width}x{channels} need {_bytes(2 * size)} in {path.parent}, where "
            f"{_bytes(free)} is free; set GANLAB_CACHE to another folder, or dataset.size to a smaller one"
        )
    say(f"preparing {recipe.count:,} images {height}x{width}x{channels} once: {_bytes(size)} in {path}")
    raw, digests = folder / "decoded", []
    with raw.open("w+b", buffering=0) as file:
        for block in recipe.blocks():
            file.write(np.ascontiguousarray(block.pixels))
            digests.append(block.digests)
        all_digests = np.concatenate(digests)
        labels, held_out, facts, name_of = recipe.finish(all_digests)
        parts = arrange(all_digests, labels, held_out)
        for name, places in zip(("train", "held_out"), parts, strict=True):
            _write_rows(folder / f"{name}.npy", file.fileno(), places, recipe.shape)
            if labels is not None:
                np.save(folder / f"{name}_labels.npy", labels[places])
    raw.unlink()
    (folder / _HELD_OUT).write_text("".join(f"{name_of(int(place))}\n" for place in parts.held_out), encoding="utf-8")
    sizes = {item.name: item.stat().st_size for item in sorted(folder.iterdir())}
    facts["notes"] += _note_twins(all_digests, held_out, name_of)
    files.write_json(folder / _FACTS, facts | {"sizes": sizes, "hash": _hash(folder, sizes)})


def _note_twins(digests: Digests, held_out_mask: NDArray[np.bool_], name_of: Callable[[int], str]) -> list[str]:
    """A note that names held-out images which are also training images; empty if there are none."""
    if not (twins := shared(digests, held_out_mask)):
        return []
    pairs = ", ".join(f"{name_of(held_out)} = {name_of(train)}" for train, held_out in twins[:_NAMED])
    more = f" and {len(twins) - _NAMED} more" if len(twins) > _NAMED else ""
    subject = "1 held-out image is" if len(twins) == 1 else f"{len(twins)} held-out images are"
    return [f"{subject} also among the training images: {pairs}{more}"]


def _write_rows(path: Path, source: int, places: np.ndarray, shape: tuple[int, int, int]) -> None:
    """Some of the images in a file, as an .npy in the order of `places`."""
    size = math.prod(shape)
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(places), *shape)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        count = block_rows(size)
        for start in range(0, len(places), count):
            file.write(b"".join(os.pread(source, size, int(place) * size) for place in places[start : start + count]))


def _hash(folder: Path, names: Iterable[str]) -> str:
    """The sha256 over the files of an entry, read without mapping them: mapped pages count as memory of a process."""
    digest = hashlib.sha256()
    for name in names:
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _bytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
