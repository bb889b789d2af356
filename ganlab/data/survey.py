"""What is known about a data set before its pixels are loaded, and how it becomes images, split and in order.

Every source of files gives a `Survey`; what follows is the same for all of them.
"""

import contextlib
import hashlib
import lzma
import math
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganlab.config import pair
from ganlab.data import cache
from ganlab.data.images import (
    Digests,
    Labels,
    Split,
    counts_held_out,
    describe_change,
    digest,
    draw_held_out,
    fit,
    in_blocks,
    share_for,
)
from ganlab.errors import ConfigError
from ganlab.files import why

IN_MEMORY = 2**30  # bytes of pixels; a larger set is kept on the disk
MOST_CLASSES = 10_000  # for conditional networks: every batch holds a number for each
_CHOICES = {
    "name", "set", "config", "split", "train_split", "held_out_split", "images_key", "labels_key",
    "held_out_images_key", "held_out_labels_key",
}  # fmt: skip
"""Settings that choose images and labels out of the same files."""
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Part:
    """Images in a file, to train on or held out.

    shape: height, width and channels; None if images may differ in size. classes: of each image, 0 ... K-1, or None.
    read: loads the pixels in their order, uint8 [N,H,W,C], some at a time. channels: if there is no shape. file: its
    name, if it is not the file of the images to train on; key: their array in it.
    """

    count: int
    shape: Shape | None
    classes: Labels | None
    read: Callable[[], Iterable[np.ndarray]]
    channels: int = 0
    file: str = ""
    key: str = ""


@dataclass(frozen=True)
class Survey:
    """What files hold, apart from pixels.

    where: the setting, as people type it. held_out: None if it must be drawn from `train`. values: the labels that
    classes stand for, None without labels. class_names: their names, if they have any. files: those that were read,
    by the setting that names them. source, licence: of the images.
    """

    where: str
    train: Part
    held_out: Part | None
    values: Labels | None = None
    class_names: tuple[str, ...] = ()
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    source: str = ""
    licence: str = "unknown"

    @property
    def classes(self) -> int | None:
        """How many classes there are; None without labels."""
        return None if self.values is None else len(self.values)

    def train_counts(self, share: float) -> list[int]:
        """How many images of each class there are to train on, one number without labels.

        share: of those that are drawn to be held out, unless the files say which are. ConfigError if a side is empty.
        """
        classes, count = self.train.classes, self.train.count
        sizes = [count] if classes is None else np.bincount(classes, minlength=self.classes or 0).tolist()
        if self.held_out is not None:
            return sizes
        drawn = counts_held_out(sizes, share)
        if not 0 < drawn.sum() < count:
            raise ConfigError(
                f"dataset.held_out={share} leaves one side of the {count} images empty; {share_for(sizes)}, or "
                "dataset.held_out_path"
            )
        return (sizes - drawn).tolist()

    def counts(self, share: float) -> tuple[int, int]:
        """How many images to train on, and how many held out."""
        train = sum(self.train_counts(share))
        return train, self.train.count - train if self.held_out is None else self.held_out.count

    def class_counts(self, share: float) -> list[int] | None:
        """How many training images each class has; None without labels."""
        return None if self.classes is None else self.train_counts(share)


def read(survey: Survey, settings: Any) -> Split:
    """The images of a survey at the size and channels of settings (with `held_out` and `split_seed`), in order.

    source and licence are from the settings, or else from the survey. Images larger than `IN_MEMORY` are kept on the
    disk in that shape, and read from there.
    """
    source = getattr(settings, "source", None) or survey.source
    licence = getattr(settings, "licence", None) or survey.licence
    shape = (*pair(settings.size), settings.channels)
    parts = [survey.train] if survey.held_out is None else [survey.train, survey.held_out]
    survey.train_counts(settings.held_out if survey.held_out is None else 0.0)  # refuses a share with an empty side
    count = sum(part.count for part in parts)
    labels = None if survey.classes is None else np.concatenate([part.classes for part in parts])

    def blocks() -> Iterator[cache.Block]:
        for pixels in chain.from_iterable(part.read() for part in parts):
            for rows in in_blocks(pixels, math.prod(shape)):
                fitted = fit(rows, shape[:2], shape[2])
                yield cache.Block(fitted, digest(fitted))

    def finish(digests: Digests) -> cache.Layout:
        if survey.held_out is None:
            held_out = draw_held_out(digests, labels, settings.held_out, settings.split_seed)
        else:
            held_out = np.arange(count) >= survey.train.count
        return cache.Layout(labels, held_out, {"notes": []}, name)

    def name(place: int) -> str:
        part, within = (parts[0], place) if place < survey.train.count else (parts[-1], place - survey.train.count)
        return f"{part.key}[{within}]" if part.key else f"{part.file} {within}".lstrip()

    recipe = cache.Recipe(count, shape, blocks, finish)
    if count * math.prod(shape) > IN_MEMORY:
        key = {
            "files": [identify((path,), key).sha256 for key, files in sorted(survey.files.items()) for path in files],
            "chosen": settings.model_dump(mode="json", include=_CHOICES),
            "parts": [(part.key, part.count) for part in parts],
            "labels": None if labels is None else hashlib.sha256(labels.tobytes()).hexdigest(),
            "shape": shape,
            "held_out": None if survey.held_out else [settings.held_out, settings.split_seed],
        }
        entry = cache.cached(key, lambda: recipe)
    else:
        entry = cache.in_memory(recipe)
    notes = [f"{source}: {_describe(survey, len(entry.train), len(entry.held_out))}; licence {licence}"]
    notes += _describe_labels(survey)
    if survey.train.shape is None:
        notes.append(f"{count} images of several sizes -> {shape[0]}x{shape[1]}x{shape[2]}: resized")
    else:
        notes += describe_change(count, survey.train.shape, shape)
    return entry.split(settings.name, source, licence, notes)


def _describe(survey: Survey, train: int, held_out: int) -> str:
    """How many images and classes there are, as a sentence for people."""

    def key(part: Part) -> str:
        return f" [{part.key}]" if part.key else ""

    text = f"{train} images{key(survey.train)} to train on, {held_out}"
    if survey.held_out is None:
        text += " others drawn to be held out"
    else:
        text += f"{f' of {survey.held_out.file}' if survey.held_out.file else ''}{key(survey.held_out)} held out"
    return text + (", no labels" if survey.classes is None else f", {survey.classes} classes")


def _describe_labels(survey: Survey) -> list[str]:
    """A line on what classes stand for, if labels are other numbers."""
    values = survey.values
    if values is None or survey.class_names or np.array_equal(values, np.arange(len(values))):
        return []
    first = ", ".join(map(str, values[:3].tolist()))
    last = f" ... {values[-1]}" if len(values) > 3 else ""
    return [f"labels {first}{last} are classes 0 to {len(values) - 1}"]


# --- what settings are filled in with -------------------------------------------------------------------------------


def filled(tree: Mapping[str, Any], survey: Survey, conditional: bool) -> dict[str, Any]:
    """Settings with null values filled in from the files; ConfigError if the two do not agree."""
    derived: dict[str, Any] = {"source": survey.source, "licence": survey.licence}
    if "size" in tree and tree["size"] is None:
        if survey.train.shape is None:
            raise ConfigError(
                f"dataset.size=null, but images of {survey.where} may differ in size; give one, such as dataset.size=64"
            )
        height, width, _ = survey.train.shape
        derived["size"] = height if height == width else [height, width]
    derived["channels"] = survey.train.channels if survey.train.shape is None else survey.train.shape[2]
    settings = dict(tree) | {key: value for key, value in derived.items() if key in tree and tree[key] is None}
    return settings | _identities(tree, survey) | _class_settings(tree, survey, conditional)


def _identities(tree: Mapping[str, Any], survey: Survey) -> dict[str, Any]:
    """`sha256`, `held_out_sha256` and `bytes` of the files; ConfigError if the tree has others."""
    total: int = 0
    hashes: dict[str, Any] = {}
    for setting, files in survey.files.items():
        key, where = setting.replace("path", "sha256"), f"dataset.{setting}={tree.get(setting)}"
        hashes[key], size = identify(files, where)
        total += size
        if tree.get(key) not in (None, hashes[key]):
            raise ConfigError(
                f"{where} has changed: its sha256 is {hashes[key][:16]}..., not {str(tree[key])[:16]}...; restore that "
                "file, or start another run with this one"
            )
    return hashes | {"bytes": total}


def _class_settings(tree: Mapping[str, Any], survey: Survey, conditional: bool) -> dict[str, Any]:
    """`classes` and their names, and `class_counts` for conditional networks; ConfigError if the tree has others."""
    count, share = survey.classes, tree.get("held_out")
    if tree.get("classes") not in (None, count):
        raise ConfigError(f"dataset.classes={tree['classes']}, but {survey.where} has {count or 'no'} labels; "
                          "leave it null")  # fmt: skip
    if conditional and count and count > MOST_CLASSES:
        raise ConfigError(
            f"conditional=true, but {survey.where} has {count} different labels; conditional networks take at most "
            f"{MOST_CLASSES}: use conditional=false, or other labels"
        )
    can_draw = isinstance(share, float) and 0 < share < 1
    class_counts = survey.class_counts(share) if conditional and (can_draw or survey.held_out) else None
    return {"classes": count, "class_counts": class_counts, "class_names": list(survey.class_names) or None}


# --- what identifies files -------------------------------------------------------------------------------------------

WANTED = "give an .npz or .npy file of images"
UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, struct.error, zlib.error, lzma.LZMAError,
              zipfile.BadZipFile, tarfile.TarError)  # fmt: skip


class Identity(NamedTuple):
    """What tells one file from another: the sha256 of its bytes, 64 hexadecimal digits, and its size in bytes."""

    sha256: str
    bytes: int


Stamp = tuple[int, ...]
"""Changes when a file is rewritten."""


def stamp_of(state: os.stat_result) -> Stamp:
    """The stamp of a file in this state."""
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def stamp(path: Path, where: str) -> Stamp:
    """The stamp of a file; ConfigError if it is missing or not a file."""
    try:
        state = path.stat()
        if stat.S_ISREG(state.st_mode):
            with path.open("rb"):
                return stamp_of(state)
    except FileNotFoundError:
        raise ConfigError(f"{where} does not exist; {WANTED}") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise ConfigError(f"{where} cannot be read ({why(error)}); {WANTED}") from None
    raise ConfigError(f"{where} is {'a directory' if path.is_dir() else 'not a regular file'}; {WANTED}")


def identify(paths: tuple[Path, ...], where: str) -> Identity:
    """The identity of several files together; of one alone, its own. The checksums in a zip are verified too."""
    identities = [_identify(path, where, stamp(path, where)) for path in paths]
    if len(identities) == 1:
        return identities[0]
    combined = hashlib.sha256("".join(identity.sha256 for identity in identities).encode()).hexdigest()
    return Identity(combined, sum(identity.bytes for identity in identities))


@lru_cache(4096)  # sets of libraries have hundreds of files
def _identify(path: Path, where: str, _stamp: Stamp) -> Identity:
    with explain_errors(where, remedy="fetch it or write it again"):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                refuse_bombs(archive)
                if (bad := archive.testzip()) is not None:
                    raise ValueError(f"{bad} does not have its checksum")
        return Identity(digest, path.stat().st_size)


_MOST_COMPRESSION = 200  # a ratio that pixels reach only if nearly all are equal, as those of strokes are
_HARMLESS_BYTES = IN_MEMORY  # what such members may unpack to, all together


def refuse_bombs(archive: zipfile.ZipFile) -> None:
    """Raise ValueError for members that unpack to hundreds of times their size, and to more than fits into memory."""
    dense = [item for item in archive.infolist() if item.file_size > _MOST_COMPRESSION * item.compress_size]
    if sum(item.file_size for item in dense) > _HARMLESS_BYTES:
        largest = max(dense, key=lambda item: item.file_size)
        times = largest.file_size // max(largest.compress_size, 1)
        raise ValueError(
            f"{largest.filename} is compressed {times} times, and more than {_MOST_COMPRESSION} times is taken of "
            f"{_HARMLESS_BYTES // 2**20} MiB at most"
        )


@contextlib.contextmanager
def explain_errors(
    where: str,
    fault: str = "is damaged or not what it seems",
    remedy: str = "write it again with numpy.savez",
    too_large: str = "does not fit into memory; give fewer or smaller images",
) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into a ConfigError of one line."""
    try:
        yield
    except ConfigError:
        raise
    except MemoryError:
        raise ConfigError(f"{where} {too_large}") from None
    except UNREADABLE as error:
        raise ConfigError(f"{where} {fault} ({why(error)}); {remedy}") from error


def reading(where: str, name: str) -> contextlib.AbstractContextManager[None]:
    """`explain_errors` for the file `name` of a published set."""
    too_large = "needs more memory than is available; use a smaller set"
    return explain_errors(f"{where}: {name}", "cannot be read", "fetch it again", too_large)
