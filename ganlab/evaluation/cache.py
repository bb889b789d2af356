"""A cache of arrays: results that are costly and always the same are computed once for all runs.

An entry is an .npz whose name is a hash of what determines its content. One process computes it while others wait. It
is written to a temporary file and renamed into place. A damaged entry is computed again. No TensorFlow, no pickle.
"""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ganlab import files
from ganlab.errors import ConfigError

_CHECKSUM = "sha256 of the entry"
_BLOCK = 2**24  # bytes


def cached(kind: str, key: Mapping[str, Any], compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What `compute` returns, from the cache if it is there.

    kind: the first word of the file's name. key: everything that determines the result, as for `fingerprint`; anything
    missing from it leads to wrong results later. compute: returns named arrays, of numbers or texts.
    Raises ConfigError where the folder cannot be written, ValueError for a key or result that cannot be stored.
    """
    path = files.cache_folder() / f"{kind}-{fingerprint(key)[:32]}.npz"
    arrays = _read(path)
    if arrays is None:
        with _claimed(path):
            arrays = _read(path)  # another process may have computed it meanwhile
            if arrays is None:
                arrays = {name: np.asarray(array) for name, array in compute().items()}
                _write(path, arrays)
    return arrays


def fingerprint(value: Any) -> str:
    """The sha256, 64 hexadecimal digits, of plain values and arrays in mappings and lists.

    Arrays count with their bytes, shape and type; the order of a mapping does not. Raises ValueError for anything
    else: an object without fixed bytes has no fingerprint.
    """
    text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, Mapping):
        if invalid := [name for name in value if not isinstance(name, str)]:
            raise ValueError(f"{invalid[0]!r} is not a name for an entry of a fingerprint; use a text")
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufU":
        return {"sha256": _array_digest(np.atleast_1d(value)), "shape": list(value.shape), "dtype": value.dtype.str}
    described = f"array of {value.dtype}" if isinstance(value, np.ndarray) else f"{type(value).__name__} {value!r:.60}"
    raise ValueError(f"the {described} has no fingerprint; use finite plain values, and arrays of numbers or texts")


def _array_digest(array: np.ndarray) -> str:
    """The sha256 of an array's bytes, row after row; an array that is not contiguous is copied a block at a time."""
    digest, rows = hashlib.sha256(), len(array)
    many = max(1, rows if array.flags.c_contiguous else _BLOCK * rows // max(1, array.nbytes))
    for start in range(0, rows, many):
        digest.update(np.ascontiguousarray(array[start : start + many]).reshape(-1).view(np.uint8))
    return digest.hexdigest()


def _seal(path: Path, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The checksum of an entry: of its contents and of the name that they were computed for."""
    return np.array(fingerprint({"entry": path.name, "arrays": arrays}))


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a whole entry; None for one that is absent or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as entry:
            arrays = {name: entry[name] for name in entry.files}
        return arrays if arrays.pop(_CHECKSUM) == _seal(path, arrays) else None
    except Exception:  # a damaged file fails wherever its reader stumbles: zip, header, numbers
        return None


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    sealed = arrays | {_CHECKSUM: _seal(path, arrays)}
    with _cache_errors(path.parent), files.replacing(path, alone=True) as beside, beside.open("wb") as file:
        np.savez(file, **sealed)


@contextlib.contextmanager
def _claimed(path: Path) -> Iterator[None]:
    """Wait until no other process works on this entry; the system frees the lock however the process ends."""
    with _cache_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock").open("w")
    with lock:
        with _cache_errors(path.parent):
            files.lock(lock, wait=True)
        yield


@contextlib.contextmanager
def _cache_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"GANLAB_CACHE={folder} cannot be written ({os.strerror(error.errno or 0)}); set it to a folder that can"
        ) from None
