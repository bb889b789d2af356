"""Labels: numbers in a file become classes 0 ... K-1; the names of classes; their shares in the images to come."""

from collections.abc import Sequence

import numpy as np

from ganlab.config import DatasetSettings
from ganlab.data.images import Labels
from ganlab.data.photos import NAMES as PHOTOGRAPHS
from ganlab.data.shapes import SHAPES
from ganlab.errors import ConfigError


def read_labels(array: np.ndarray, images: int, where: str) -> Labels:
    """Whole numbers of at least 0, int64 [N], from an array of [N] or [N,1] numbers.

    where: the array, as in `dataset.path=FILE has y_train`. Raises ConfigError, which names the first bad place.
    """
    if array.shape not in ((images,), (images, 1)):
        hint = "; for one-hot labels use argmax(axis=1)" if array.ndim == 2 and len(array) == images else ""
        raise ConfigError(
            f"{where} of shape {list(array.shape)}; it must be one label per image, [{images}] or [{images},1]{hint}"
        )
    if array.dtype.kind not in "biuf":
        raise ConfigError(f"{where} of type {array.dtype}; labels are whole numbers, 0, 1, 2 and so on")
    flat = array.reshape(-1)
    if flat.dtype.kind in "bf":
        flat = flat.astype(np.float64)
    with np.errstate(invalid="ignore"):
        good = (flat >= 0) & (flat == np.floor(flat)) & (flat < 2.0**63)
    if not good.all():
        place = int(np.flatnonzero(~good)[0])
        raise ConfigError(
            f"{where}[{place}]={flat[place]!s}; labels are whole numbers of at least 0 (dataset=arrays "
            "dataset.labels_key='' leaves them unread)"
        )
    return flat.astype(np.int64)


def to_classes(labels: Labels, values: Labels, where: str) -> Labels:
    """The places of labels among `values`, the sorted labels of the training images; ConfigError for any other."""
    places = np.minimum(np.searchsorted(values, labels), len(values) - 1)
    if (unknown := values[places] != labels).any():
        place = int(np.flatnonzero(unknown)[0])
        raise ConfigError(
            f"{where}[{place}]={labels[place]}, a label that no training image has; leave such images out"
        )
    return places.astype(np.int64)


def class_names(dataset: DatasetSettings) -> tuple[str, ...]:
    """The names of a set's classes in the order of their labels; empty if labels have no other name."""
    if names := getattr(dataset, "class_names", None):
        return tuple(names)
    return {"shapes": SHAPES, "photos": PHOTOGRAPHS}.get(getattr(dataset, "name", ""), ())


def describe_classes(dataset: DatasetSettings, labels: list[int]) -> str:
    """Labels as people read them: `0 to 9`, `0 disc, 3 cross`."""
    names = class_names(dataset)
    if not names and len(labels) > 2 and labels == list(range(labels[0], labels[-1] + 1)):
        return f"{labels[0]} to {labels[-1]}"
    return ", ".join(f"{label} {names[label]}" if label < len(names) else f"{label}" for label in labels)


def class_sequence(counts: Sequence[int], total: int) -> Labels:
    """The classes of a row of images, int64 [total], in the shares of `counts`, each above 0.

    After n images each class has had its share of n, to within one image, whatever n: any stretch of the row has the
    mixture of the whole. Equal counts give 0, 1, ..., K-1, 0, 1, ... in turn. R. Tijdeman, "The chairman assignment
    problem", Discrete Mathematics 32 (1980).
    """
    weights, row = np.array(counts, np.int64), np.zeros(total, np.int64)
    whole, bound = int(weights.sum()), 2 * len(weights) - 2
    if len(weights) < 2:
        return row
    owed = np.zeros_like(weights)  # of each class, in images times `whole`
    for place in range(total):
        owed += weights
        allowed = np.flatnonzero(owed * bound >= whole)
        due = (bound * (whole - owed[allowed]) - whole) / weights[allowed]
        row[place] = chosen = allowed[np.argmin(due)]
        owed[chosen] -= whole
    return row
