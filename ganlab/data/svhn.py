"""SVHN's cropped digits: train_32x32.mat and test_32x32.mat, MATLAB 5 files of X [32,32,3,N] and y [N,1]."""

import string
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganlab.data.survey import Part, Survey, explain_errors, reading, stamp_of
from ganlab.errors import ConfigError, in_a_line

_NAMES = "train_32x32.mat", "test_32x32.mat"
_MOST_IMAGES = 600_000  # extra_32x32.mat, the largest of the authors' files, has 531,131
_FULL_NUMBERS = {"digitStruct.mat", "train.tar.gz", "test.tar.gz", "extra.tar.gz"}
_ADVICE = "give the directory of train_32x32.mat and test_32x32.mat"


def find_svhn(path: Path, where: str) -> Survey:
    """The cropped digits: the directory of the two files, or one of them with the other beside it.

    The label 10 of the files stands for the digit 0, and is class 0. where: how people type the path, which starts
    every error. Raises ConfigError.
    """
    folder = _locate(path, where)
    files = tuple(folder / name for name in _NAMES)
    if missing := [file.name for file in files if not file.is_file()]:
        raise ConfigError(f"{where} lacks {' and '.join(missing)} of SVHN; {_ADVICE}")
    parts = [_part(file, where) for file in files]
    return Survey(where, *parts, np.arange(10), tuple(string.digits), {"path": files})


def _locate(path: Path, where: str) -> Path:
    if path.is_dir():
        with explain_errors(where, "cannot be read", _ADVICE):
            names = {file.name for file in path.iterdir()}
        if names & _FULL_NUMBERS and not names & set(_NAMES):
            _refuse_full_numbers(where)
        return path
    if not path.is_file():
        raise ConfigError(f"{where} does not exist; {_ADVICE}")
    if path.name in _FULL_NUMBERS:
        _refuse_full_numbers(where)
    if path.name not in _NAMES:
        raise ConfigError(f"{where} is not one of SVHN's two files; {_ADVICE}")
    return path.parent


def _refuse_full_numbers(where: str) -> None:
    raise ConfigError(
        f"{where} holds SVHN's full numbers (format 1), whose images differ in size; get train_32x32.mat and "
        "test_32x32.mat (format 2, cropped digits) from the same page"
    )


def _part(file: Path, where: str) -> Part:
    with reading(where, file.name):
        labels = _labels(file, where, stamp_of(file.stat()))
    return Part(len(labels), (32, 32, 3), labels, partial(_pixels, file, len(labels), where))


@lru_cache(4)
def _labels(file: Path, where: str, _stamps: object) -> NDArray[np.int64]:
    """Classes, int64 [N], after the file's list of variables has been checked."""
    variables = {name: (shape, kind) for name, shape, kind in _scipy("whosmat", file, where)}
    if missing := [name for name in "Xy" if name not in variables]:
        names = ", ".join(sorted(variables)) or "nothing"
        raise ConfigError(
            f"{where}: {file.name} lacks {' and '.join(missing)} of SVHN (it has {names}); fetch it again"
        )
    (shape, kind), (labels_shape, labels_kind) = variables["X"], variables["y"]
    if kind != "uint8" or len(shape) != 4 or shape[:3] != (32, 32, 3) or not 0 < shape[3] <= _MOST_IMAGES:
        raise ConfigError(
            f"{where}: {file.name} has X {kind} {list(shape)}, but SVHN has uint8 [32,32,3,N]; fetch it again"
        )
    count = shape[3]
    if labels_shape not in ((count, 1), (1, count)) or labels_kind not in ("uint8", "double", "int32", "int64"):
        raise ConfigError(
            f"{where}: {file.name} has y {labels_kind} {list(labels_shape)} beside {count} images, but SVHN has "
            "uint8 [N,1]; fetch it again"
        )
    labels = _scipy("loadmat", file, where, variable_names=["y"])["y"].reshape(-1)
    if len(wrong := np.flatnonzero(~np.isin(labels, np.arange(1, 11)))):
        raise ConfigError(
            f"{where}: {file.name} has label {labels[wrong[0]]} at place {wrong[0]}, but SVHN's are 1 to 10; fetch it "
            "again"
        )
    return labels.astype(np.int64) % 10


def _pixels(file: Path, count: int, where: str) -> list[np.ndarray]:
    with reading(where, file.name):
        pixels = _scipy("loadmat", file, where, variable_names=["X"])["X"]
        if pixels.shape != (32, 32, 3, count) or pixels.dtype != np.uint8:
            raise ValueError("it was changed while being read")
        return [np.ascontiguousarray(pixels.transpose(3, 0, 1, 2))]


def _scipy(function: str, file: Path, where: str, **options: Any) -> Any:
    """What a function of `scipy.io` reads from a file; it raises almost any exception if the file is damaged."""
    import scipy.io

    try:
        return getattr(scipy.io, function)(file, **options)
    except NotImplementedError:
        raise ConfigError(
            f"{where}: {file.name} is a MATLAB 7.3 file, but SVHN's cropped digits are MATLAB 5; fetch it again"
        ) from None
    except (MemoryError, OSError):
        raise
    except Exception as error:
        raise ConfigError(f"{where}: {file.name} is damaged ({in_a_line(error)}); fetch it again") from error
