"""A study's runs in one file: what `compare` reads of them, without networks. The same runs give the same bytes.

A `.tar.xz` of STUDY/CELL/config.json and its like. One that is opened may come from somebody else: it is read header by
header, within bounds of memory, files and bytes, and nothing but plain files of these names is written.
"""

import contextlib
import io
import lzma
import os
import re
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from ganlab import files
from ganlab.errors import in_a_line, printable
from ganlab.runs.records import METRICS
from ganlab.runs.result import CONFIG, RESULT, ResultError, find_files
from ganlab.runs.status import SWEEP

ENDING = ".tar.xz"
MOST_FILES, MOST_BYTES = 10_000, 2**28
"""What an archive may hold, unpacked: a hundred times what forty runs leave here."""

_NAME = re.compile(
    r"[^/]+/"  # the study, then a cell, in whose folder others may be; then what `compare` reads
    rf"({re.escape(SWEEP)}|([^/]+/){{0,8}}({'|'.join(map(re.escape, (CONFIG, RESULT, METRICS)))}"
    r"|samples/(real|step-\d+)\.png|pictures/spectrum\.png))"
)
_LONGEST = 2000  # characters of a name
_MEMORY = 2**27  # bytes that unpacking takes; twice what the strongest of xz's presets asks for
_BLOCK = 2**16
_WANTED = "give one that `python -m ganlab.compare DIR --archive FILE.tar.xz` has written"


def is_archive(path: Path) -> bool:
    """Whether a path is to be read as an archive: by its name, unless that is a folder's."""
    return path.name.endswith(ENDING) and not path.is_dir()


# --- to write ---------------------------------------------------------------------------------------------------------


def write_archive(folder: Path, target: Path, pictures: Iterable[Path] = ()) -> None:
    """Pack the runs under a folder, each with its settings, its result and its records, and the record of the sweep.

    pictures: those of the runs' pictures that go with them. Raises ResultError where there are no runs, or more files
    than an archive holds; OSError where one cannot be read, or the archive cannot be written.
    """
    chosen = _chosen(folder, list(pictures))
    if len(chosen) > MOST_FILES:
        raise ResultError(f"{folder} has {len(chosen):,} files of runs; an archive holds at most {MOST_FILES:,}")
    study, left = folder.resolve().name, MOST_BYTES
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(target) as beside, tarfile.open(beside, "w:xz", preset=9, format=tarfile.PAX_FORMAT) as packed:
        for path in chosen:
            name = f"{study}/{path.relative_to(folder).as_posix()}"
            if problem := _problem(name):
                raise ResultError(f"{path} cannot be put into an archive: {problem}")
            content = files.read_bytes(path, left)
            left -= len(content)
            entry = tarfile.TarInfo(name)  # without whose it was, and when
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))


def _chosen(folder: Path, pictures: list[Path]) -> list[Path]:
    """The files that are packed, in the order in which they are."""
    runs = sorted({path.parent for name in (CONFIG, RESULT) for path in find_files(folder, name)})
    if not runs:
        raise ResultError(f"{folder} holds no runs; give the folder of a study, such as outputs/STUDY")
    found = []
    for run in runs:
        found += [run / name for name in (CONFIG, RESULT, METRICS)]
        found += [picture for picture in pictures if picture.parents[1] == run]
    return [path for path in [*found, folder / SWEEP] if os.path.lexists(path)]


# --- to open ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[Path]:
    """The study that an archive holds, as a folder which is there until the block is left.

    Raises ResultError where it holds none, or anything else. One that is raised in the block, of a file in that
    folder, names the archive instead of the folder.
    """
    with tempfile.TemporaryDirectory(prefix="ganlab-") as folder:
        try:
            yield _unpack(path, Path(folder))
        except ResultError as error:
            raise ResultError(str(error).replace(folder, str(path))) from None


def _unpack(path: Path, folder: Path) -> Path:
    """Write what is in an archive into an empty folder; the study's own folder in it. Raises ResultError."""
    try:
        with files.open_regular(path) as file:
            seen, left = set[str](), MOST_BYTES
            tar = _Unpacked(file)
            for name, size in _headers(tar):
                left -= size
                if len(seen) == MOST_FILES or left < 0:
                    raise ValueError(f"it holds more than {MOST_FILES:,} files or {MOST_BYTES:,} bytes")
                if problem := "it is there twice" if name in seen else _problem(name):
                    raise ValueError(f"{in_a_line(name, 100)}: {problem}")
                seen.add(name)
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("xb") as out:
                    for part in tar.parts(size):
                        out.write(part)
                tar.take(-size % tarfile.BLOCKSIZE)
            tar.end()
    except FileNotFoundError:
        raise ResultError(f"{path} does not exist; {_WANTED}") from None
    except OSError as error:
        raise ResultError(f"{path} cannot be opened ({files.why(error)}); {_WANTED}") from None
    except (ValueError, EOFError, lzma.LZMAError, tarfile.HeaderError) as error:
        raise ResultError(f"{path} is no archive of runs ({in_a_line(error)}); {_WANTED}") from None
    studies = {name.partition("/")[0] for name in seen}
    if len(studies) != 1:
        what = "several studies" if studies else "no runs"
        raise ResultError(f"{path} is no archive of runs (it holds {what}); {_WANTED}")
    return folder / studies.pop()


def _problem(name: str) -> str:
    """Why a file of that name has no place in an archive; empty where it has."""
    if len(name) > _LONGEST or name != printable(name) or "\n" in name:
        return "a name that is too long, or cannot be shown"
    if not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        return "no file of a run that `compare` reads"
    return ""


def _headers(tar: "_Unpacked") -> Iterator[tuple[str, int]]:
    """Name and size of each file, whose bytes are to be read before the next; ValueError for what is no plain file.

    Only the two kinds of header are known that `write_archive` writes, the second for names that have no room in the
    first: `tarfile` itself reads all kinds that there ever were, some of them without bounds.
    """
    longer = ""
    while any(block := tar.take(tarfile.BLOCKSIZE)):
        entry = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        if entry.type == tarfile.XHDTYPE and not longer and 0 < entry.size <= 5 * _LONGEST:
            content = tar.take(entry.size)
            tar.take(-entry.size % tarfile.BLOCKSIZE)
            match = re.fullmatch(rb"\d+ path=([^\0\n]+)\n", content)
            longer = match[1].decode() if match else ""
            if not longer:
                raise ValueError("it has a header of another kind than those of its writer")
            continue
        name = longer or entry.name
        if entry.type != tarfile.REGTYPE or entry.size < 0:
            raise ValueError(f"{in_a_line(name, 100)}: no regular file")
        yield name, entry.size
        longer = ""


class _Unpacked:
    """The bytes of an open .xz file, of which never more than a block is held.

    All that read raise EOFError where it is cut short, LZMAError where it is damaged or asks for too much memory.
    """

    def __init__(self, file: IO[bytes]) -> None:
        """Raises ValueError where it is none, or larger than anything that it may hold."""
        self._file, self._xz = file, lzma.LZMADecompressor(lzma.FORMAT_XZ, _MEMORY)
        if file.read(6) != b"\xfd7zXZ\0":
            raise ValueError("it is no .xz file")
        if file.seek(0, os.SEEK_END) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
        file.seek(0)

    def _some(self, most: int) -> bytes:
        """Some bytes; none at the end."""
        while not self._xz.eof:
            packed = self._file.read(_BLOCK) if self._xz.needs_input else b""
            if self._xz.needs_input and not packed:
                raise EOFError("it is cut short")
            if part := self._xz.decompress(packed, most):
                return part
        return b""

    def parts(self, size: int) -> Iterator[bytes]:
        """So many bytes, some at a time."""
        while size:
            if not (part := self._some(min(size, _BLOCK))):
                raise EOFError("it is cut short")
            yield part
            size -= len(part)

    def take(self, size: int) -> bytes:
        """So many bytes at once."""
        return b"".join(self.parts(size))

    def end(self) -> None:
        """Read the zeros that fill the last record; ValueError where anything else follows."""
        left = tarfile.RECORDSIZE
        while part := self._some(left + 1):
            left -= len(part)
            if any(part) or left < 0:
                raise ValueError("something follows its last file")
        if self._xz.unused_data or self._file.read(1):
            raise ValueError("something follows its end")
