"""Checks of arguments of measures: a ValueError of one line that names the argument and says what would be right."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_LARGEST = 1e45  # the sixth power, which the kernel distance takes, still fits float64


def features(name: str, value: ArrayLike, least: int = 1) -> Array:
    """Feature vectors as float64 [N, D], of at least so many images."""
    return _checked(name, value, 2, "features [N, D], one image a row", least)


def images(name: str, value: ArrayLike, least: int = 1) -> Array:
    """Images as float64 [N, H, W, C], at least so many."""
    return _checked(name, value, 4, "images [N, H, W, C]", least)


def pair(real: ArrayLike, fake: ArrayLike, least: int = 1) -> tuple[Array, Array]:
    """Real and fake features, of the same width."""
    return alike(("real", features("real", real, least)), ("fake", features("fake", fake, least)))


def alike(first: tuple[str, Array], second: tuple[str, Array]) -> tuple[Array, Array]:
    """Two named sets of features, whose widths must be the same."""
    (one, left), (other, right) = first, second
    if left.shape[1] != right.shape[1]:
        width = f"{other} has {right.shape[1]} features an image, {one} has {left.shape[1]}"
        raise ValueError(f"{width}; give both the same")
    return left, right


def equal_counts(real: Array, fake: Array, names: tuple[str, str] = ("real", "fake")) -> None:
    """Refuse two sets of different size, for measures that match images one to one."""
    if len(real) != len(fake):
        raise ValueError(f"{names[1]} has {len(fake)} images, {names[0]} has {len(real)}; give as many of both")


def count(name: str, value: Any, least: int) -> int:
    """A whole number, at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(f"{name}={value!r} is not a whole number; use one of at least {least}")
    if value < least:
        raise ValueError(f"{name}={value} is too small; use at least {least}")
    return int(value)


def _checked(name: str, value: ArrayLike, axes: int, wanted: str, least: int) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} has rows of different widths; give {wanted}") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds {array.dtype}; give real numbers")
    if array.ndim != axes or array.size == 0:
        empty = " and is empty" if array.size == 0 else ""
        raise ValueError(f"{name} has shape {array.shape}{empty}; give {wanted}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    if not (array.min() >= -_LARGEST and array.max() <= _LARGEST):  # a NaN fails both
        place = tuple(np.argwhere(~(np.abs(array) <= _LARGEST))[0])
        where = f"{name}[{', '.join(map(str, place))}]={array[place]}"
        raise ValueError(f"{where} cannot be measured; values must be finite, at most {_LARGEST}")
    if len(array) < least:
        raise ValueError(f"{name} has {len(array)} images; give at least {least}")
    return array
