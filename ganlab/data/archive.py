"""The files of a folder, or of a .zip or .tar of one: their names, their sizes, and their bytes, block by block.

Nothing is ever extracted to the disk. `where` is what errors call the folder: the setting, as people type it. All
errors are ConfigErrors.
"""

import os
import stat
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from ganlab.data.survey import UNREADABLE, explain_errors, stamp_of
from ganlab.errors import ConfigError, in_a_line

MOST_BYTES = 2**28  # of one file: no picture of at most 100 million pixels has more
LINK_TO_FOLDER = "a link to a folder"  # a member's problem
BLOCK = 128  # files in a block
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
        """The bytes; raises OSError."""
        if self.problem:
            raise OSError(0, self.problem)
        if not self.path:
            return self.data
        with open(self.path, "rb") as file:  # noqa: PTH123 - a tenth faster for 200,000 files
            return file.read(MOST_BYTES + 1)


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
            elif zipfile.is_zipfile(path):
                self.kind, self.members = "zip", self._list_zip()
            elif tarfile.is_tarfile(path):
                self.kind, self.members = "tar", self._list_tar()
            else:
                raise ConfigError(f"{where} is neither a folder nor a .zip or .tar; {_WANTED}")
        self.stamp = sha256("\n".join(stamps).encode("utf-8", "surrogateescape")).hexdigest()
        """Changes when a file is rewritten, added or removed."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Archive) and (self.path, self.stamp) == (other.path, other.stamp)

    def __hash__(self) -> int:
        return hash((self.path, self.stamp))

    def blocks(self, numbers: Sequence[int]) -> Iterator[list[Content]]:
        """The files with these numbers, block by block, in the order of the archive."""
        block: list[Content] = []
        size = 0
        with explain_errors(self.where, "cannot be read", _WANTED):
            for content in self._contents(numbers):
                block.append(content)
                size += len(content.data)
                if len(block) == BLOCK or size > _BLOCK_BYTES:
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
                            yield Content(number, self.members[number].name, file.read(MOST_BYTES + 1))
                    except UNREADABLE as error:  # of this file; the others may be intact
                        problem = f"damaged: {in_a_line(error, 80)}"
                        yield Content(number, self.members[number].name, b"", problem=problem)
        else:
            wanted = set(numbers)
            with tarfile.open(self.path) as archive:
                for number, info in enumerate(info for info in archive if not info.isdir()):
                    if number in wanted:
                        file = archive.extractfile(info)
                        assert file
                        yield Content(number, self.members[number].name, file.read(MOST_BYTES + 1))

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
                        members.append(Member(name, 0, LINK_TO_FOLDER))
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
                members.append(_member(name, info.file_size, problem))
        return members

    def _list_tar(self) -> list[Member]:
        with tarfile.open(self.path) as archive:
            return [
                _member(info.name, info.size, "" if info.isfile() else "a link" if info.islnk() or info.issym() else
                        "not a regular file")
                for info in archive if not info.isdir()
            ]  # fmt: skip


def _text(state: os.stat_result) -> str:
    return " ".join(map(str, stamp_of(state)))


def _member(name: str, size: int, problem: str = "") -> Member:
    if not problem and size > MOST_BYTES:
        problem = f"{size / 2**20:.0f} MiB is too large for a picture"
    return Member(name.removeprefix("./"), size, problem)
