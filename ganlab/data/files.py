"""Files of arrays, .npz and .npy: their headers, what identifies them, and one array at a time. Pickles are not read.

`where` is what errors call the file: the setting, as people type it, `dataset.path=FILE`. All errors are ConfigErrors.
"""

import contextlib
import hashlib
import math
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from ganlab.errors import ConfigError, in_a_line

_WANTED = "give an .npz or .npy file of images"
_UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)


class Header(NamedTuple):
    """What an array is, before it is loaded; `key`: its name in an .npz, empty in an .npy."""

    key: str
    shape: tuple[int, ...]
    dtype: np.dtype


class Identity(NamedTuple):
    """What tells one file from another: the sha256 of its bytes, 64 hexadecimal digits, and its size in bytes."""

    sha256: str
    bytes: int


Stamp = tuple[int, ...]


def stamp(path: Path, where: str) -> Stamp:
    """Changes when the file is rewritten; ConfigError if it is missing or not a file."""
    try:
        state = path.stat()
        if stat.S_ISREG(state.st_mode):
            with path.open("rb"):
                return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
    except FileNotFoundError:
        raise ConfigError(f"{where} does not exist; {_WANTED}") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{where} cannot be read ({why}); {_WANTED}") from None
    raise ConfigError(f"{where} is {'a directory' if path.is_dir() else 'not a regular file'}; {_WANTED}")


def identify(path: Path, where: str) -> Identity:
    """The identity of a file; the checksums of its parts are verified too."""
    return _identify(path, where, stamp(path, where))


def identify_all(paths: tuple[Path, ...], where: str) -> Identity:
    """The identity of several files together; of one alone, its own."""
    identities = [identify(path, where) for path in paths]
    if len(identities) == 1:
        return identities[0]
    combined = hashlib.sha256("".join(identity.sha256 for identity in identities).encode()).hexdigest()
    return Identity(combined, sum(identity.bytes for identity in identities))


def headers(path: Path, where: str) -> dict[str, Header]:
    """The headers of the arrays in a file, by key, in their order."""
    return _headers(path, where, stamp(path, where))


def load(path: Path, header: Header, where: str) -> np.ndarray:
    """One array of a file; an .npy stays on the disk, memory-mapped."""
    with _explain_errors(where), _open_array(path, header.key) as file:
        if not header.key:
            return npy.open_memmap(path, mode="r")
        return npy.read_array(file, allow_pickle=False)


@lru_cache(8)
def _identify(path: Path, where: str, _stamp: Stamp) -> Identity:
    with _explain_errors(where):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                _refuse_bombs(archive)
                if (bad := archive.testzip()) is not None:
                    raise ValueError(f"{bad} does not have its checksum")
        return Identity(digest, path.stat().st_size)


@lru_cache(8)
def _headers(path: Path, where: str, _stamp: Stamp) -> dict[str, Header]:
    with _explain_errors(where):
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                if file.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
                    raise ConfigError(f"{where} is not an .npz or .npy file; {_WANTED}")
                file.seek(0)
                return {"": _header("", file, path.stat().st_size)}
        arrays = {}
        with zipfile.ZipFile(path) as archive:
            _refuse_bombs(archive)
            for member in archive.infolist():
                if member.filename.endswith(".npy"):
                    key = member.filename.removesuffix(".npy")
                    with archive.open(member) as file:
                        arrays[key] = _header(key, file, member.file_size)
        return arrays


_MOST_COMPRESSION, _HARMLESS_BYTES = 200, 2**26  # a ratio that pixels never reach, and a size that does no harm


def _refuse_bombs(archive: zipfile.ZipFile) -> None:
    """Raise ValueError for a member that unpacks to hundreds of times its size, as no images do."""
    for member in archive.infolist():
        if member.file_size > max(_HARMLESS_BYTES, _MOST_COMPRESSION * member.compress_size):
            raise ValueError(
                f"{member.filename} has {member.file_size:,} bytes, compressed to {member.compress_size:,}"
            )


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


@contextlib.contextmanager
def _open_array(path: Path, key: str) -> Iterator[IO[bytes]]:
    if not key:
        with path.open("rb") as file:
            yield file
    else:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            yield file  # type: ignore[misc]


@contextlib.contextmanager
def _explain_errors(where: str) -> Iterator[None]:
    try:
        yield
    except ConfigError:
        raise
    except MemoryError:
        raise ConfigError(f"{where} does not fit into memory; give fewer or smaller images") from None
    except _UNREADABLE as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else in_a_line(error)
        raise ConfigError(
            f"{where} is damaged or not what it seems ({why}); write it again with numpy.savez"
        ) from error
