"""Locks on files, which the system frees however their process ends; and file systems that have none."""

import errno
import fcntl
import sys
from pathlib import Path
from typing import IO

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
