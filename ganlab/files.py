"""Files: written whole or not at all, flushed to the disk, moved, locked, and named. Nobody else does these things.

Locks are freed by the system however their process ends; there are file systems that have none.
"""

import contextlib
import errno
import fcntl
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ganlab.errors import ConfigError, expand


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = True, alone: bool = False) -> Iterator[Path]:
    """Where to write what is to stand at `path`, a file or a folder: it takes that name when the block is left.

    After a crash at any moment there is the old one or the new one, never a part; an exception leaves the old one and
    nothing beside it. durable: on the disk before it takes the name, so that this holds for a power failure too.
    alone: no other process writes there, so that what a killed one has left is written over.
    """
    # in the same folder, so that the rename is atomic; the ending stays, for writers that go by it
    beside = path.with_name(f".{'unfinished' if alone else os.getpid()}.{path.name}")
    try:
        yield beside
        if durable:
            for part in sorted(beside.rglob("*")) if beside.is_dir() else ():
                sync(part)
            sync(beside)
        if beside.is_dir() and path.is_dir():  # a rename replaces files only
            shutil.rmtree(path)
        os.replace(beside, path)  # noqa: PTH105  (the rename and the fsyncs around it are one idiom)
    finally:
        remove(beside)
    if durable:
        sync(path.parent)


def write_bytes(path: Path, content: bytes, *, durable: bool = True, alone: bool = False) -> None:
    """Write a file as `replacing` does."""
    with replacing(path, durable=durable, alone=alone) as beside:
        beside.write_bytes(content)


def write_json(path: str | Path, value: Any) -> None:
    """Write plain values as JSON, as `replacing` does. Floats keep every bit.

    A number that JSON does not have (nan, inf) is a ValueError that says where it stands; the caller knows whether to
    leave it out or to stop.
    """
    odd = _not_finite(value)
    if odd:
        raise ValueError(f"{path} cannot hold {odd}; leave it out, or say in words what happened")
    write_bytes(Path(path), (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def _not_finite(value: Any, where: str = "") -> str:
    """The first number that JSON does not have, as `place=value`; empty if there is none."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{where or 'the value'}={value}"
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return next(filter(None, (_not_finite(item, f"{where}.{key}".lstrip(".")) for key, item in items)), "")


def move(source: Path, target: Path) -> None:
    """Give a file or a folder another name on the same file system; a file that has it is replaced."""
    os.replace(source, target)  # noqa: PTH105
    for folder in {source.parent, target.parent}:
        sync(folder)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def flush(file: IO) -> None:
    """What was written to an open file is on the disk from now on."""
    file.flush()
    os.fsync(file.fileno())


def sync(path: Path) -> None:
    """A file, or the names in a folder, are on the disk from now on."""
    if path.is_dir() and os.name != "posix":  # elsewhere a folder cannot be opened, and need not be
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def safe_name(text: str, also: str = "") -> str:
    """A text as part of a file's name: letters, digits, `_`, `-` and what is in `also`; other stretches become `_`."""
    return re.sub(rf"[^\w{re.escape(also)}-]+", "_", text)


_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_NONE = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
_warned: set[int] = set()


def lock(file: IO, *, wait: bool = False, shared: bool = False) -> bool:
    """Lock an open file for this process; False where another holds it.

    wait: until it is free. shared: with others that lock it so. Where the file system has no locks, that is said once
    on stderr, and the answer is True. Raises OSError where locking fails in another way.
    """
    return _try(file, wait=wait, shared=shared) is not False


def held(path: Path) -> bool | None:
    """Whether a process holds a file locked; None where that cannot be known; raises FileNotFoundError."""
    try:
        with path.open() as file:
            free = _try(file, wait=False, shared=True)
    except FileNotFoundError:
        raise
    except OSError:  # another user's
        return None
    return None if free is None else not free


def _try(file: IO, *, wait: bool, shared: bool) -> bool | None:
    """Whether the file is locked now; None where the file system has no locks."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno not in _NONE:
            raise
        _warn(Path(file.name))
        return None
    return True


def _warn(path: Path) -> None:
    device = path.stat().st_dev
    if device not in _warned:
        _warned.add(device)
        print(
            f"the file system of {path.parent} has no locks: two processes that write one folder do not notice each "
            "other, and a run that another process trains looks interrupted",
            file=sys.stderr,
            flush=True,
        )


def cache_folder() -> Path:
    """`$GANLAB_CACHE`, else `ganlab` in `$XDG_CACHE_HOME` or in `~/.cache`; it may not exist yet.

    Raises ConfigError where neither says it and there is no home directory.
    """
    if chosen := os.environ.get("GANLAB_CACHE"):
        return expand(chosen, "GANLAB_CACHE=")
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "ganlab"
    except RuntimeError:
        raise ConfigError("GANLAB_CACHE is not set, and there is no home directory; set it to a folder for computed "
                          "data") from None  # fmt: skip
