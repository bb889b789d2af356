"""Files: read with a limit, written whole or not at all, moved, locked, and named. All of this is done only here.

A folder of runs may come from other people. So only regular files are opened, no links, of a size that can be read,
and their content is checked; anything else is an error of one line with the file's name. Changes to a folder while a
command reads it are not guarded against. The system frees locks however their process ends; some file systems have
none.
"""

import contextlib
import errno
import fcntl
import json
import math
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from ganlab.errors import ConfigError, expand, in_a_line, printable


class FileError(OSError):
    """A file or folder cannot be used. The text names it and says why; `strerror` is the reason alone."""

    def __init__(self, path: Path, why: str, number: int = errno.EINVAL) -> None:
        super().__init__(number, why, str(path))

    def __str__(self) -> str:
        return f"{self.filename} {self.strerror}"


# --- to read ----------------------------------------------------------------------------------------------------------

JSON_BYTES = 2**22
"""The largest JSON file to read; those of runs have a hundredth of it."""
_DEPTH = 50  # of nested lists and objects; settings have five


def open_regular(path: Path, mode: str = "rb") -> IO[bytes]:
    """Open a file as `open` does, in a binary mode; raises FileError for a link, a pipe, a device or a folder.

    It never waits for the other end of a pipe, and "w" does not truncate: the caller does that.
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, (flags & ~os.O_TRUNC) | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)

    try:
        file = open(path, mode, opener=opener)  # noqa: SIM115 - Path.open takes no opener; the caller closes
    except IsADirectoryError:
        raise FileError(path, "is a folder, not a file", errno.EISDIR) from None
    except ValueError:  # a null byte in the name
        raise FileError(path, "is not a valid file name") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileError(path, LINK, errno.ELOOP) from None
        if error.errno == errno.ENXIO:  # a pipe without a reader, a socket
            raise FileError(path, "is not a regular file") from None
        raise
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise FileError(path, "is not a regular file")
    return file


def why(error: Exception) -> str:
    """The reason in an error, for use in brackets; of a system error without the file's name."""
    if isinstance(error, FileError):
        return f"it {error.strerror}"
    return (isinstance(error, OSError) and error.strerror) or in_a_line(error)


LINK = "is a link; replace it by what it points to"


def refuse_link(path: Path, below: Path) -> None:
    """Raise FileError if a path, or a folder between it and `below`, is a link; `below` itself may be one."""
    for part in reversed([path, *path.parents]):
        if part != below and part.is_relative_to(below) and part.is_symlink():
            raise FileError(part, LINK, errno.ELOOP)


def make_folder(path: Path) -> None:
    """Make a folder in an existing one, durably, unless it exists; raises FileError if it is a link."""
    refuse_link(path, path.parent)
    if not path.is_dir():
        path.mkdir(exist_ok=True)
        sync(path.parent)


def walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Each folder from a root down, its subfolders and its files, by name; the caller may remove subfolders.

    A link to a folder within the root is skipped: the folder itself is visited. Raises FileError for a link to the
    outside, for a name that cannot be printed, and for deeply nested folders.
    """
    place = os.path.realpath(root)
    for folder, subfolders, names in os.walk(root):
        if len(Path(folder).parts) - len(root.parts) > _DEPTH:
            raise FileError(Path(folder), f"is more than {_DEPTH} folders deep; move it up")
        for name in subfolders:
            path = Path(folder, name)
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(place):
                raise FileError(path, LINK, errno.ELOOP)
            letters = os.fsencode(name).decode(errors="surrogateescape")  # whatever the terminal's encoding is
            if printable(letters) != letters or "\n" in letters:
                raise FileError(Path(in_a_line(path)), "has a name that cannot be printed; rename it")
        subfolders[:] = sorted(name for name in subfolders if not Path(folder, name).is_symlink())
        yield Path(folder), subfolders, sorted(names)


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a file; raises FileError if it has more than `most` bytes, and as `open_regular` does."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > most else file.read(most + 1)
    if (size := max(size, len(content))) > most:
        raise FileError(path, f"has {size:,} bytes, more than the {most:,} that are read")
    return content


def read_text(path: Path) -> str:
    """As `read_bytes`, of a file in UTF-8 with at most `JSON_BYTES`."""
    try:
        return read_bytes(path, JSON_BYTES).decode()
    except UnicodeDecodeError as error:
        raise FileError(path, f"is not UTF-8 from byte {error.start:,} on") from None


def read_json(path: Path) -> Any:
    """The values in a JSON file, with texts made printable (`errors.printable`).

    Raises FileError as `read_text` does, and if it is not JSON, which has no NaN and no infinities.
    """
    text = read_text(path)
    try:
        return parse_json(text)
    except ValueError as error:
        raise FileError(path, f"is not usable JSON: {in_a_line(error, 100)}") from None


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """As `read_json`, of a text; raises ValueError. finite: refuse NaN and infinities."""
    try:
        return _checked(json.loads(text), finite, _DEPTH)
    except RecursionError:
        raise ValueError(f"it is nested more than {_DEPTH} deep") from None


def _checked(value: Any, finite: bool, depth: int) -> Any:
    if depth < 0:
        raise ValueError(f"it is nested more than {_DEPTH} deep")
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_checked(item, finite, depth - 1) for item in value]
    if isinstance(value, dict):
        return {printable(key): _checked(item, finite, depth - 1) for key, item in value.items()}
    if finite and isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a JSON number")
    return value


# --- to write ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = True, alone: bool = False) -> Iterator[Path]:
    """A temporary path to write to, a file or a folder: it is renamed to `path` when the block is left.

    After a crash at any moment there is the old one or the new one, never a part; an exception leaves only the old one.
    durable: flush it to the disk before the rename, so that this holds for a power failure too. alone: no other process
    writes there, so the remains of a killed one are overwritten. An OSError names the file.
    """
    # in the same folder, so that the rename is atomic; with the same suffix, for writers that depend on it
    temporary = path.with_name(f".{'unfinished' if alone else os.getpid()}.{path.name}")
    try:
        remove(temporary)  # so that no link is followed
        yield temporary
        if durable:
            for part in sorted(temporary.rglob("*")) if temporary.is_dir() else ():
                sync(part)
            sync(temporary)
        if temporary.is_dir() and path.is_dir():  # a rename replaces files only
            remove(path)
        os.replace(temporary, path)  # noqa: PTH105  (the rename and the fsyncs around it are one idiom)
        if durable:
            sync(path.parent)
    except FileError:
        raise
    except OSError as error:  # errors of writing name no file, others the temporary one
        if not error.errno or error.filename not in (None, str(temporary), str(path)):
            raise
        raise FileError(path, f"cannot be written ({error.strerror})", error.errno) from error
    finally:
        with contextlib.suppress(OSError):  # the disk may be read-only by now
            remove(temporary)


def remove_unfinished(folder: Path, names: Iterable[str] = ()) -> None:
    """Remove what killed processes left of files with these names, or any, in a folder without other writers."""
    only = set(names)
    for path in folder.iterdir() if folder.is_dir() else ():
        target = unfinished(path.name)
        if target and (not only or target in only):
            remove(path)


def unfinished(name: str) -> str:
    """The file that a temporary one of `replacing` was to become; empty for any other name."""
    match = re.fullmatch(r"\.(?:unfinished|\d+)\.(.+)", name, re.DOTALL)
    return match[1] if match else ""


def write_bytes(path: Path, content: bytes, *, durable: bool = True, alone: bool = False) -> None:
    """Write a file as `replacing` does."""
    with replacing(path, durable=durable, alone=alone) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write plain values as JSON, as `replacing` does. Floats keep every bit.

    A number that JSON does not have (nan, inf) is a ValueError that says where it is; the caller decides whether to
    leave it out or to stop.
    """
    if bad_number := _not_finite(value):
        raise ValueError(f"{path} cannot hold {bad_number}; leave it out, or describe it in words")
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def _not_finite(value: Any, where: str = "") -> str:
    """The first number that JSON does not have, as `place=value`; empty if there is none."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{where or 'the value'}={value}"
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return next(filter(None, (_not_finite(item, f"{where}.{key}".lstrip(".")) for key, item in items)), "")


def move(source: Path, target: Path) -> None:
    """Rename a file or a folder on the same file system; an existing file is replaced."""
    os.replace(source, target)  # noqa: PTH105
    for folder in {source.parent, target.parent}:
        sync(folder)


def remove(path: Path) -> None:
    """Remove a file, or a folder with its content, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def flush(file: IO) -> None:
    """Flush what was written to an open file to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})", error.errno or 0) from error
    finally:
        os.close(descriptor)


def safe_name(text: str, also: str = "") -> str:
    """A text as a file name: letters, digits, `_`, `-` and the characters in `also`; runs of others become `_`."""
    return re.sub(rf"[^\w{re.escape(also)}-]+", "_", text)


# --- locks ------------------------------------------------------------------------------------------------------------

LOCK = ".lock"
"""The file in a folder that its only writer locks."""
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_NONE = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
_warned: set[int] = set()


def open_lock(path: Path) -> IO[bytes]:
    """Open a file to lock, create it if missing, and set its time to now; raises FileError as `open_regular` does."""
    file = open_regular(path, "ab")
    os.utime(file.fileno())
    return file


@contextlib.contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Be the only one that writes to a folder, made if missing: wait for another process that does.

    What killed ones left there, and in folders below, is removed.
    """
    make_folder(folder)
    with open_lock(folder / LOCK) as file:
        lock(file, wait=True)
        for below, _, _ in walk(folder):
            remove_unfinished(below)
        yield


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """While inside, no other process is inside for that folder, if its file system has locks; leaves nothing there."""
    place = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def lock(file: IO, *, wait: bool = False) -> bool:
    """Lock an open file for this process; False if another process has locked it.

    wait: until it is free. If the file system has no locks, that is reported once on stderr, and the result is True.
    Raises OSError if locking fails in another way.
    """
    return _try(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB) is not False


def held(path: Path) -> bool | None:
    """Whether a process has locked a file, which need not exist; None if that cannot be known."""
    try:
        with open_regular(path) as file:
            free = _try(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:  # another user's
        return None
    return None if free is None else not free


def _try(file: IO, operation: int) -> bool | None:
    """Whether the file is locked now; None if the file system has no locks."""
    try:
        fcntl.flock(file, operation)
        return True
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno not in _NONE:
            raise
    if (device := os.fstat(file.fileno()).st_dev) not in _warned:
        _warned.add(device)
        line = (
            f"the file system of {Path(file.name).parent} has no locks: two processes that write to one folder do not "
            "notice each other, and a run that another process trains looks interrupted"
        )
        print(line, file=sys.stderr, flush=True)
    return None


def cache_folder() -> Path:
    """`$GANLAB_CACHE`, else `ganlab` in `$XDG_CACHE_HOME` or in `~/.cache`; it may not exist yet.

    Raises ConfigError if neither is set and there is no home directory.
    """
    if chosen := os.environ.get("GANLAB_CACHE"):
        return expand(chosen, "GANLAB_CACHE=")
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "ganlab"
    except RuntimeError:
        raise ConfigError("GANLAB_CACHE is not set, and there is no home directory; set it to a folder for computed "
                          "data") from None  # fmt: skip
