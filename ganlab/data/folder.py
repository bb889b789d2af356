"""A folder of images, or a .zip or .tar of one: what it holds, which class each image has, and its pixels.

Folders named train and test (or val) are the two parts; below them, or at the top, the first folder is the class.
Nothing is ever extracted to the disk. `where` is what errors call the folder: the setting, as people type it.
"""

import contextlib
import json
import math
import os
import re
import stat
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganlab import errors, files
from ganlab.config import Folder, Pair, pair
from ganlab.data import cache
from ganlab.data.decode import Decoding, Facts, Undecodable, decode, read_header
from ganlab.data.images import Digests, Split, block_rows, digest, draw_held_out, share_for
from ganlab.data.parallel import progress, run_all
from ganlab.data.survey import MOST_CLASSES, UNREADABLE, explain_errors, stamp_of
from ganlab.errors import ConfigError, in_a_line, join_words

_VERSION = 2  # of what a listing holds, and of which part and class an image is in
_NAMED = 5  # files that a note names
_FEW = 256  # files for which no processes are started
_SYSTEM_FILES = re.compile(r"(^|/)(__MACOSX/|\.[^/]*|Thumbs\.db$|desktop\.ini$)", re.IGNORECASE)
_IMAGE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".apng",
    ".heic", ".heif", ".avif", ".jp2", ".svg", ".psd", ".ppm", ".pgm", ".tga", ".ico", ".eps", ".jxl",
)  # fmt: skip
_TRAIN, _TEST, _OTHER = {"train", "training"}, {"test", "testing"}, {"val", "valid", "validation", "held_out", "eval"}


# --- its files: names, sizes, and bytes, block by block --------------------------------------------------------------

_MOST_BYTES = 2**28  # of one file: no picture of at most 100 million pixels has more
_LINK_TO_FOLDER = "a link to a folder"  # a member's problem
_BLOCK = 128  # files in a block
_BLOCK_BYTES = 2**24
_WANTED = "give a folder of images, or a .zip or .tar of one"


class Member(NamedTuple):
    """A file: its name below the folder, with `/`; its bytes; and why it cannot be read, empty if it can."""

    name: str
    size: int
    problem: str = ""


class Content(NamedTuple):
    """A file to read: its number among the members, its name, and its bytes or the path to them.

    problem: why the archive cannot give its bytes, empty if it can.
    """

    number: int
    name: str
    data: bytes
    path: str = ""
    problem: str = ""

    def load(self) -> bytes:
        """The bytes; raises OSError for a file that may not be read, ConfigError where reading fails, now at least."""
        if self.problem:
            raise OSError(0, self.problem)
        if not self.path:
            return self.data
        try:
            with open(self.path, "rb") as file:  # noqa: PTH123 - a tenth faster for 200,000 files
                return file.read(_MOST_BYTES + 1)
        except PermissionError:
            raise
        except OSError as error:  # not the picture's fault: it must not be left out, here and from the cache
            raise ConfigError(
                f"{printable(self.path)} cannot be read ({error.strerror}); try again, or remove it"
            ) from None


class Archive:
    """A folder of files, or an archive of one."""

    def __init__(self, path: Path, where: str):
        self.path, self.where = path, where
        with explain_errors(where, "cannot be read", _WANTED):
            try:
                state = path.stat()
            except FileNotFoundError:
                raise ConfigError(f"{where} does not exist; {_WANTED}") from None
            stamps = [f"{state.st_dev} {_text(state)}"]
            if stat.S_ISDIR(state.st_mode):
                self.kind = "folder"
                self.members, stamps = self._walk()
            elif not stat.S_ISREG(state.st_mode):
                raise ConfigError(f"{where} is not a regular file; {_WANTED}")
            elif tarfile.is_tarfile(path):  # before zip: a .zip at the end of a .tar looks like the end of a .zip
                self.kind, self.members = "tar", _without_replaced(_list_tar(path, stamps[0]))
            elif zipfile.is_zipfile(path):
                self.kind, self.members = "zip", _without_replaced(self._list_zip())
            else:
                raise ConfigError(f"{where} is neither a folder nor a .zip or .tar; {_WANTED}")
        self.stamp = sha256("\n".join(stamps).encode("utf-8", "surrogateescape")).hexdigest()
        """Changes when a file is rewritten, added or removed."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and (self.path, self.stamp) == (other.path, other.stamp)

    def __hash__(self) -> int:
        return hash((self.path, self.stamp))

    def blocks(self, numbers: Sequence[int], most: int = _BLOCK) -> Iterator[list[Content]]:
        """The files with these numbers, block by block, `most` at a time, in the order of the archive."""
        block: list[Content] = []
        size = 0
        with explain_errors(self.where, "cannot be read", _WANTED):
            for content in self._contents(numbers):
                block.append(content)
                size += len(content.data)
                if len(block) == most or size > _BLOCK_BYTES:
                    yield block
                    block, size = [], 0
        if block:
            yield block

    def _contents(self, numbers: Sequence[int]) -> Iterator[Content]:
        if self.kind == "folder":
            for number in numbers:
                name = self.members[number].name
                yield Content(number, name, b"", os.path.join(self.path, name))  # noqa: PTH118 - as above
        elif self.kind == "zip":
            with zipfile.ZipFile(self.path) as archive:
                infos = [info for info in archive.infolist() if not info.is_dir()]
                for number in numbers:
                    try:
                        with archive.open(infos[number]) as file:
                            yield Content(number, self.members[number].name, file.read(_MOST_BYTES + 1))
                    except UNREADABLE as error:  # of this file; the others may be intact
                        if isinstance(error, OSError) and error.errno:  # of the disk: it may be read later
                            raise
                        problem = f"damaged: {in_a_line(error, 80)}"
                        yield Content(number, self.members[number].name, b"", problem=problem)
        else:
            wanted = set(numbers)
            with tarfile.open(self.path) as archive:
                for number, info in enumerate(info for info in archive if not info.isdir()):
                    if number in wanted:
                        file = archive.extractfile(info)
                        assert file
                        yield Content(number, self.members[number].name, file.read(_MOST_BYTES + 1))

    def _walk(self) -> tuple[list[Member], list[str]]:
        """Files of a folder by name; links to files are followed, links to folders are not."""
        members, stamps = [], []
        folders = [("", self.path)]
        while folders:
            prefix, folder = folders.pop()
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda item: item.name):
                    name = prefix + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((f"{name}/", Path(entry.path)))
                        continue
                    try:
                        status = entry.stat()
                    except OSError:
                        members.append(Member(name, 0, "a broken link"))
                        stamps.append(f"{name}\0a broken link")
                        continue
                    stamps.append(f"{name}\0{_text(status)}")
                    if stat.S_ISDIR(status.st_mode):
                        members.append(Member(name, 0, _LINK_TO_FOLDER))
                    elif not stat.S_ISREG(status.st_mode):
                        members.append(Member(name, 0, "not a regular file"))
                    else:
                        members.append(_member(name, status.st_size))
        return sorted(members), sorted(stamps)

    def _list_zip(self) -> list[Member]:
        with zipfile.ZipFile(self.path) as archive:
            members = []
            for info in archive.infolist():
                if info.is_dir():
                    continue
                problem = "encrypted" if info.flag_bits & 1 else ""
                if stat.S_ISLNK(info.external_attr >> 16):
                    problem = "a link"
                name = info.filename if "/" in info.filename else info.filename.replace("\\", "/")  # as Windows writes
                if not info.flag_bits & 0x800:  # not marked as UTF-8, which a Mac's are all the same
                    with contextlib.suppress(UnicodeError):
                        name = name.encode("cp437").decode()
                members.append(_member(name, info.file_size, problem))
        return members


def _text(state: os.stat_result) -> str:
    return " ".join(map(str, stamp_of(state)))


def _member(name: str, size: int, problem: str = "") -> Member:
    if not problem and size > _MOST_BYTES:
        problem = f"{size / 2**20:.0f} MiB is too large for a picture"
    return Member(name.removeprefix("./"), size, problem)


@lru_cache(4)
def _list_tar(path: Path, _stamp: str) -> list[Member]:
    with tarfile.open(path) as archive:
        members = [
            _member(info.name, info.size, "" if info.isfile() else "a link" if info.islnk() or info.issym() else
                    "not a regular file")
            for info in archive if not info.isdir()
        ]  # fmt: skip
        # tarfile takes a damaged header for the end, and does not read as far as the checksum of a .gz
        assert archive.fileobj
        archive.fileobj.seek(archive.offset)
        while rest := archive.fileobj.read(2**20):
            if any(rest):
                raise tarfile.ReadError(f"from byte {archive.offset} on it is damaged, or another archive follows")
        return members


def _without_replaced(members: list[Member]) -> list[Member]:
    """Members of an archive, of which those with the name of a later one cannot be read: unpacking replaces them."""
    last = {member.name: number for number, member in enumerate(members)}
    return [
        member if last[member.name] == number else member._replace(problem="replaced by a later file of that name")
        for number, member in enumerate(members)
    ]


# --- what it holds ---------------------------------------------------------------------------------------------------


class Picture(NamedTuple):
    """A file that is an image, or should be one.

    sha256: of its bytes. format to remarks: from its header. problem: why it is left out, empty if it is not.
    """

    number: int
    name: str
    held_out: bool
    label: str
    sha256: str
    format: str
    height: int
    width: int
    channels: int
    frames: int
    remarks: tuple[str, ...]
    problem: str


Scan = tuple[tuple[Picture, ...], int, dict[str, int]]
"""What is read from an archive: `pictures`, `ignored` and `unread` of a `Listing`."""


class Listing(NamedTuple):
    """The images in a folder, how many other files there are, and how many images of each part that is not used."""

    archive: Archive
    pictures: tuple[Picture, ...]
    ignored: int
    unread: dict[str, int]
    bytes: int

    @property
    def where(self) -> str:
        """The folder or archive, as people type it."""
        return self.archive.where

    @property
    def good(self) -> list[Picture]:
        """Those whose header can be read."""
        return [picture for picture in self.pictures if not picture.problem]

    @property
    def has_parts(self) -> bool:
        """Whether some are held out by the folder they are in."""
        return any(picture.held_out for picture in self.pictures)

    @property
    def sha256(self) -> str:
        """Of names and contents, wherever the folder is and whatever the kind of archive."""
        paths = [picture.name.split("/") for picture in self.pictures]
        depth = _shared_folders(paths)
        names = ["/".join(path[depth:]) for path in paths]
        lines = sorted(f"{name}\0{picture.sha256}" for name, picture in zip(names, self.pictures, strict=True))
        return sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def list_images(path: str) -> Listing:
    """The images in a folder or archive: every file is read once for its header; cached until files change.

    Raises ConfigError if there is no image.
    """
    return _list_images(Archive(Path(path), f"dataset.path={path}"))


@lru_cache(4)
def _list_images(archive: Archive) -> Listing:
    name = sha256(f"{_VERSION} {cache.VERSION} {archive.stamp}".encode()).hexdigest()[:32]
    listing_file, where = files.cache_folder() / f"listing-{name}.json", archive.where
    scan = _load_scan(listing_file)
    if scan is None:
        scan = _scan(archive)
        _save_scan(listing_file, scan)
    if not scan[0]:
        linked = any(member.problem == _LINK_TO_FOLDER for member in archive.members)
        raise ConfigError(
            f"{where} holds no images{', and links to folders are not followed' if linked else ''}; give a folder of "
            "PNG, JPEG, WebP, BMP, GIF or TIFF files"
        )
    return Listing(archive, *scan, sum(member.size for member in archive.members))


def _scan(archive: Archive) -> Scan:
    """Look at every file that is named as an image, supported or not, or has no suffix."""
    wanted = {
        number: member
        for number, member in enumerate(archive.members)
        if not _SYSTEM_FILES.search(member.name) and member.problem != _LINK_TO_FOLDER
        and (_has_image_suffix(member.name) or "." not in member.name.rpartition("/")[2])
    }  # fmt: skip
    headers: dict[int, tuple[str, Facts | None, str]] = {
        number: ("", None, member.problem) for number, member in wanted.items() if member.problem
    }
    readable = [number for number in wanted if number not in headers]
    alone = len(readable) <= _FEW
    with progress("looking at images", len(readable)) as report:
        for block in run_all(_read_headers, archive.blocks(readable), alone=alone):
            headers |= block
            report(len(block))
    numbers = [number for number, member in wanted.items() if _has_image_suffix(member.name) or not headers[number][2]]
    placed, unread = _layout([wanted[number].name for number in numbers], archive.where)
    rows = []
    for number, place in zip(numbers, placed, strict=True):
        if place is not None:
            digest, facts, problem = headers[number]
            header = ("", 0, 0, 0, 0, ()) if facts is None else facts
            rows.append(Picture(number, wanted[number].name, *place, digest, *header, problem))
    return tuple(rows), len(archive.members) - sum(unread.values()) - len(rows), unread


def _has_image_suffix(name: str) -> bool:
    """Whether a file's suffix is that of an image."""
    return name.lower().endswith(_IMAGE_SUFFIXES)


def _read_headers(block: list[Content]) -> dict[int, tuple[str, Facts | None, str]]:
    """The sha256, the header and the problem of each file."""
    headers = {}
    for content in block:
        digest = ""
        try:
            data = content.load()
            digest = sha256(data).hexdigest()[:32]
            headers[content.number] = (digest, read_header(data, content.name), "")
        except (OSError, Undecodable) as error:
            headers[content.number] = (digest, None, _problem(error))
    return headers


def _problem(error: OSError | Undecodable) -> str:
    """Why a file cannot be used, in a few words."""
    return (error.strerror or "cannot be read").lower() if isinstance(error, OSError) else str(error)


def _layout(names: list[str], where: str) -> tuple[list[tuple[bool, str] | None], dict[str, int]]:
    """For each file whether it is held out, and the folder that is its class; None if its part is not used.

    Folders that all files share are dropped, at the top and below the parts. Also the names of parts that are not used,
    with their numbers of files. Raises ConfigError if there is something beside two parts.
    """
    paths = [name.split("/") for name in names]
    depth = _shared_folders(paths)
    paths = [path[depth:] for path in paths]
    tops = {path[0].lower() for path in paths if len(path) > 1}
    parts = tops & (_TRAIN | _TEST | _OTHER)
    chosen = next(iter(sorted(tops & _TEST) + sorted(tops & _OTHER)), None)
    beside = [name for name, path in zip(names, paths, strict=True) if len(path) == 1 or path[0].lower() not in parts]
    if tops & _TRAIN and chosen and beside:
        several = "them" if len(beside) > 1 else "it"
        raise ConfigError(
            f"{where} has folders {join_words(sorted(parts))}, and beside them {_example(beside)}; move {several} "
            "elsewhere, or rename the folders if they are classes"
        )
    if not (tops & _TRAIN) or beside:
        return [(False, path[0] if len(path) > 1 else "") for path in paths], {}
    used = _TRAIN | {chosen}
    unread = Counter(path[0] for path in paths if path[0].lower() not in used)
    depth = 1 + _shared_folders([path[1:] for path in paths if path[0].lower() in used])
    placed = [
        (path[0].lower() == chosen, path[depth] if len(path) > depth + 1 else "") if path[0].lower() in used else None
        for path in paths
    ]
    return placed, dict(unread)


def _shared_folders(paths: list[list[str]]) -> int:
    """How many leading folders all files share; a folder that names a part is not counted."""
    depth = 0
    while paths and all(len(path) > depth + 1 and path[depth] == paths[0][depth] for path in paths):
        if paths[0][depth].lower() in _TRAIN:
            break
        depth += 1
    return depth


def _load_scan(path: Path) -> Scan | None:
    """A scan from the cache; None if it is missing or malformed."""
    try:
        pictures, ignored, unread = json.loads(path.read_text(encoding="utf-8"))
        return tuple(Picture(*row[:10], tuple(row[10]), row[11]) for row in pictures), ignored, unread
    except (OSError, ValueError, TypeError, IndexError):
        return None


def _save_scan(path: Path, scan: Scan) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, json.dumps(scan, ensure_ascii=True).encode(), durable=False)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); set GANLAB_CACHE to another folder") from error


# --- what settings are filled in with -------------------------------------------------------------------------------


def fill_in(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with null values filled in from the headers: size, channels, classes, sha256; raises ConfigError."""
    path = tree.get("path")
    if path is None:
        raise ConfigError("dataset.path=null names no images; give dataset.path=FOLDER, or a .zip or .tar of one")
    if not isinstance(path, str):
        return dict(tree)
    listing = list_images(path)
    if tree.get("sha256") is not None:
        check(listing, tree["sha256"])
    good = listing.good
    _refuse_empty(listing, good, {picture.name: picture.problem for picture in listing.pictures})
    derived: dict[str, Any] = {"source": Path(path).name, "licence": "unknown"}
    if tree.get("size") is None:
        derived["size"] = _common_size(listing)
    if tree.get("channels") is None:
        derived["channels"] = max(picture.channels for picture in good)
    settings = dict(tree) | {key: value for key, value in derived.items() if tree.get(key) is None}
    names = class_names(listing.where, good, tree.get("labels", "none"))
    identity = {"sha256": listing.sha256, "bytes": listing.bytes}
    return settings | identity | {"classes": len(names) or None, "class_names": names or None}


def check(listing: Listing, sha256: object) -> None:
    """Raise ConfigError if a folder does not hold the images that it should."""
    if sha256 != listing.sha256:
        raise ConfigError(
            f"{listing.where} has changed: the sha256 of its names and contents is {listing.sha256[:16]}..., not "
            f"{str(sha256)[:16]}...; restore those images, or start another run with these"
        )


def settle(settings: Folder, conditional: bool) -> dict[str, Any]:
    """The classes and their counts, known only once the images are decoded; decodes them if needed.

    settings: with their sha256, as `fill_in` leaves them.
    """
    facts = _facts_of(settings)
    names = facts["class_names"]
    if conditional and len(names) > MOST_CLASSES:
        raise ConfigError(
            f"conditional=true, but dataset.path={settings.path} has {len(names)} folders; conditional networks "
            f"take at most {MOST_CLASSES} classes: use conditional=false"
        )
    return {
        "classes": len(names) or None,
        "class_names": names or None,
        "class_counts": facts["train"] if conditional and names else None,
    }


def class_names(where: str, pictures: Sequence[Picture], labels: str) -> list[str]:
    """The folders of classes, sorted; empty if all images are in one folder, or `labels` is `none`."""
    folders = {picture.label for picture in pictures if not picture.held_out}
    if labels == "none" or folders <= {""}:
        return []
    if unnamed := sorted(name for name in folders if name != errors.printable(name)):  # config.json would change it
        raise ConfigError(
            f"{where} has a class whose name cannot be printed, {printable(unnamed[0])}; rename that folder, or ignore "
            "the folders with dataset.labels=none"
        )
    loose = [picture.name for picture in pictures if not picture.label]
    if loose:
        raise ConfigError(
            f"{where} has {_count_files(len(loose))} beside folders of classes, {_example(loose)}; put them into a "
            "folder, or ignore the folders with dataset.labels=none"
        )
    untrained = sorted({picture.label for picture in pictures if picture.held_out} - folders)
    if untrained:
        raise ConfigError(
            f"{where} has held-out images of a class without any to train on, {_example(untrained)}; remove them, or "
            "ignore the folders with dataset.labels=none"
        )
    return sorted(folders)


def _common_size(listing: Listing) -> int | list[int]:
    sizes = {(picture.height, picture.width) for picture in listing.good}
    if len(sizes) > 1:
        small, large = _extremes(sizes)
        raise ConfigError(
            f"dataset.size=null, but {listing.where} has images of {len(sizes)} sizes, {small[0]}x{small[1]} to "
            f"{large[0]}x{large[1]}; give one, such as dataset.size=64"
        )
    height, width = next(iter(sizes))
    return height if height == width else [height, width]


def _extremes(sizes: set[Pair]) -> tuple[Pair, Pair]:
    """The smallest and the largest size, by area."""
    small, *_, large = sorted([*sizes, *sizes], key=lambda size: (size[0] * size[1], size))
    return small, large


# --- decoded --------------------------------------------------------------------------------------------------------


def folder(settings: Folder) -> Split:
    """The images of a folder, decoded once and cached; unchanged unless the settings ask for another size."""
    entry = cache.cached(*_recipe_of(settings))
    source, licence = settings.source or Path(settings.path).name, settings.licence or "unknown"
    names = entry.facts["class_names"]
    summary = f"{source}: {len(entry.train)} images to train on, {len(entry.held_out)} "
    summary += "held out" if entry.facts["has_parts"] else "others drawn to be held out"
    summary += f", {len(names)} classes" if names else ", no labels"
    return entry.split("folder", source, licence, [f"{summary}; licence {licence}"])


def counts(settings: Folder) -> tuple[int, int]:
    """How many images to train on, and how many held out; decodes them if needed."""
    facts = _facts_of(settings)
    return sum(facts["train"]), sum(facts["held_out"])


def class_counts(settings: Folder) -> list[int]:
    """How many training images each class has, empty without labels; decodes them if needed."""
    return _facts_of(settings)["train"] if settings.classes else []


def _facts_of(settings: Folder) -> dict[str, Any]:
    """The facts of the decoded images; decodes them if needed.

    class_names; train, held_out: how many images of each class, or one number without labels; notes.
    """
    return cache.facts_of(*_recipe_of(settings))


def _recipe_of(settings: Folder) -> tuple[dict[str, Any], Callable[[], cache.Recipe]]:
    """What determines the decoded images, and how they are made; only making them opens the folder."""
    decoding = Decoding(pair(settings.size), settings.channels, settings.crop, settings.background, settings.frames)
    key = {
        "sha256": settings.sha256 or list_images(settings.path).sha256,
        "listing": _VERSION,
        "decoding": list(decoding),
        "labels": settings.labels,
        "unreadable": settings.unreadable,
        "held_out": [settings.held_out, settings.split_seed],
    }

    def make() -> cache.Recipe:
        listing = list_images(settings.path)
        check(listing, key["sha256"])
        return _make(listing, settings, decoding)

    return key, make


def _make(listing: Listing, settings: Folder, decoding: Decoding) -> cache.Recipe:
    pictures = {picture.number: picture for picture in listing.good}
    failed = {picture.name: picture.problem for picture in listing.pictures if picture.problem}
    used = list[Picture]()
    count = sum(picture.frames if decoding.frames == "all" else 1 for picture in pictures.values())
    shape = (*decoding.size, decoding.channels)
    size = math.prod(shape) * count // max(1, len(pictures))  # bytes that a file becomes

    def blocks() -> Iterator[cache.Block]:
        _refuse_unreadable(listing, settings, failed)
        contents = listing.archive.blocks(sorted(pictures), min(_BLOCK, block_rows(size)))
        with progress("decoding images", len(pictures)) as report:
            for decoded in run_all(partial(_decode, decoding=decoding), contents, alone=len(pictures) <= _FEW):
                failed.update({pictures[number].name: problem for number, problem in decoded.failed.items()})
                used.extend(pictures[number] for number in decoded.numbers)
                report(decoded.files)
                yield cache.Block(decoded.pixels, decoded.digests)
        _refuse_unreadable(listing, settings, failed)

    def finish(digests: Digests) -> cache.Layout:
        _refuse_empty(listing, used, failed)
        names = class_names(listing.where, used, settings.labels)
        place = {name: number for number, name in enumerate(names)}
        labels = np.array([place[picture.label] for picture in used], np.int64) if names else None
        if listing.has_parts:
            held_out = np.array([picture.held_out for picture in used], bool)
        else:
            held_out = draw_held_out(digests, labels, settings.held_out, settings.split_seed)
        if held_out.all() or not held_out.any():
            raise ConfigError(
                f"dataset.held_out={settings.held_out} leaves one side of the {len(used)} images of {listing.where} "
                f"empty; {share_for([len(used)] if labels is None else np.bincount(labels).tolist())}"
            )
        counts = [
            np.bincount(labels[side], minlength=len(names)).tolist() if labels is not None else [int(side.sum())]
            for side in (~held_out, held_out)
        ]
        facts = {
            "class_names": names, "train": counts[0], "held_out": counts[1],
            "notes": _notes(listing, used, failed, settings), "has_parts": listing.has_parts,
        }  # fmt: skip
        return cache.Layout(labels, held_out, facts, lambda number: printable(used[number].name))

    return cache.Recipe(count, shape, blocks, finish)


class _Decoded(NamedTuple):
    """Images of a block of files: pixels, digests, the file of each; how many files there were, and why some failed."""

    pixels: np.ndarray
    digests: Digests
    numbers: list[int]
    files: int
    failed: dict[int, str]


def _decode(block: list[Content], decoding: Decoding) -> _Decoded:
    pixels, numbers, failed = [], [], {}
    for content in block:
        try:
            frames = decode(content.load(), content.name, decoding)
        except (OSError, Undecodable) as error:
            failed[content.number] = _problem(error)
        else:
            pixels.append(frames)
            numbers += [content.number] * len(frames)
    none = np.empty((0, *decoding.size, decoding.channels), np.uint8)
    all_pixels = np.concatenate([none, *pixels])
    return _Decoded(all_pixels, digest(all_pixels), numbers, len(block), failed)


def _refuse_empty(listing: Listing, used: Sequence[Picture], problems: Mapping[str, str]) -> None:
    """Raise ConfigError if no image can be used, or none of one part. problems: of the others, by name."""
    parts = {"": listing.pictures}
    if used and listing.has_parts:
        parts[" to train on"] = tuple(picture for picture in listing.pictures if not picture.held_out)
        parts[" held out"] = tuple(picture for picture in listing.pictures if picture.held_out)
    readable = {picture.name for picture in used}
    for which, part in parts.items():
        if readable.isdisjoint(picture.name for picture in part):
            failed = {picture.name: problems[picture.name] for picture in part}
            raise ConfigError(f"{listing.where} holds no image{which} that can be read: {_list_problems(failed)}")


def _refuse_unreadable(listing: Listing, settings: Folder, failed: Mapping[str, str]) -> None:
    if failed and settings.unreadable == "refuse":
        raise ConfigError(
            f"{listing.where} has {_count_files(len(failed))} that cannot be read: {_list_problems(failed)}; repair or "
            "remove them, or leave them out with dataset.unreadable=skip"
        )


def _notes(listing: Listing, used: Sequence[Picture], failed: Mapping[str, str], settings: Folder) -> list[str]:
    """Notes for people: what was left out, and what was changed."""
    lines = []
    if failed:
        lines.append(f"{_count_files(len(failed))} left out: {_list_problems(failed)}")
    for name, count in listing.unread.items():
        lines.append(f"{_count_files(count)} of {printable(name)} not used: another part is held out")
    sizes = {(picture.height, picture.width) for picture in used}
    size = pair(settings.size)
    if sizes != {size}:
        small, large = _extremes(sizes)
        span = "x".join(map(str, small)) + (f" to {'x'.join(map(str, large))}" if len(sizes) > 1 else "")
        crop = {"none": "whole", "centre": "cropped in the middle", "random": "cropped at random"}[settings.crop]
        lines.append(f"{len(used)} images of {span} -> {size[0]}x{size[1]}: resized, {crop}")
    if settings.channels == 1 and any(picture.channels == 3 for picture in used):
        lines.append("colours are made grey")
    if settings.channels == 3 and (grey := sum(picture.channels == 1 for picture in used)):
        lines.append(f"{'1 grey image is' if grey == 1 else f'{grey:,} grey images are'} repeated to three channels")
    remarks: dict[str, list[str]] = {}
    for picture in {picture.number: picture for picture in used}.values():
        for remark in picture.remarks:
            remarks.setdefault(remark, []).append(picture.name)
    if transparent := remarks.pop("transparent", []):
        colour = "white" if settings.background == (255, 255, 255) else str(settings.background)
        lines.append(f"{_count_files(len(transparent))}: transparent, laid on {colour}, {_example(transparent)}")
    lines += [f"{_count_files(len(names))}: {remark}, {_example(names)}" for remark, names in sorted(remarks.items())]
    several = [picture for picture in used if picture.frames > 1]
    if several:
        lines.append(
            "of files with several frames " + ("every one" if settings.frames == "all" else "the first") + " is used"
        )
    return lines


def _list_problems(problems: Mapping[str, str]) -> str:
    """Files and what is wrong with them, by name, as many as fit into a line."""
    texts = [f"{printable(name)} ({problem})" for name, problem in sorted(problems.items())]
    return ", ".join(texts[:_NAMED]) + (f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else "")


def _example(names: Sequence[str]) -> str:
    return printable(min(names)) if len(names) == 1 else f"such as {printable(min(names))}"


def _count_files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def printable(name: str) -> str:
    """A file's name as it can be printed in a line."""
    text = name.encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
