"""MNIST, from Keras' download or from a file in its layout."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ganlab.config import Mnist
from ganlab.data import arrays
from ganlab.data.files import headers
from ganlab.data.images import Split
from ganlab.data.survey import Part, Survey, class_settings, identities, read
from ganlab.errors import ConfigError

CLASS_COUNTS = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
"""Of each digit, among the images to train on."""

HELD_OUT = 10_000
_SUM = "c2069063c1105f2bf96266aef1ff68c6e13bdda7a54e37bf19c16f1db24efc83"  # of pixels and labels
_SOURCE, _LICENCE = "MNIST of LeCun, Cortes and Burges", "CC BY-SA 3.0"
_ELSE = "use dataset=arrays for other images"


def mnist(settings: Mnist) -> Split:
    """MNIST (LeCun, Cortes and Burges): 60,000 images to train on, the 10,000 of the test set held out.

    Of a file in its layout that holds other numbers the source is the file's name.
    """
    found = _downloaded() if settings.path is None else survey(settings.path)
    if settings.path is not None and content(found) != _SUM:
        return read(found, settings, "mnist", Path(settings.path).name, "unknown")
    split = read(found, settings, "mnist", _SOURCE, _LICENCE)
    return Split(split.train, split.held_out, split.notes[1:], split.held_out_names)


def survey(path: str) -> Survey:
    """Look into an .npz in the layout of keras.datasets.mnist; anything else is refused by name."""
    where = f"dataset.path={path}"
    there = headers(Path(path), where)
    missing = [key for key in ("x_train", "x_test") if key not in there]
    if missing:
        have = ", ".join(key or "one array without a name" for key in there) or "nothing"
        raise ConfigError(f"{where} lacks {' and '.join(missing)} of Keras' mnist.npz (it has {have}); {_ELSE}")
    for key in ("x_train", "x_test"):
        shape, kind = there[key].shape, there[key].dtype
        if kind != np.uint8 or shape[1:] not in ((28, 28), (28, 28, 1)) or not shape[0]:
            raise ConfigError(f"{where} has {key} {kind} {list(shape)}, and MNIST has uint8 [N,28,28]; {_ELSE}")
    labels = [key if key in there else "" for key in ("y_train", "y_test")]
    if "" in labels and labels != ["", ""]:
        raise ConfigError(f"{where} has labels for one part only; give y_train and y_test, or neither")
    return arrays.survey(path, None, arrays.Keys("x_train", labels[0], "x_test", labels[1]))


def fill_in(tree: Mapping[str, Any], conditional: bool) -> dict[str, Any]:
    """Settings of `dataset=mnist` with what the file says in the place of what is null; ConfigError."""
    path = tree.get("path")
    if isinstance(path, str):
        found = survey(path)
        return dict(tree) | identities(tree, found) | class_settings(tree, found, conditional)
    counts = list(CLASS_COUNTS) if conditional else None
    return dict(tree) | {"classes": len(CLASS_COUNTS), "class_counts": counts}


def content(found: Survey) -> str:
    """The sha256 of pixels and labels, whatever the file around them."""
    assert found.held_out
    digest = hashlib.sha256()
    for part in (found.train, found.held_out):
        digest.update(np.ascontiguousarray(part.read()))
    for labels in (found.train.classes, found.held_out.classes):
        digest.update(b"" if labels is None else labels.astype(np.uint8))
    return digest.hexdigest()


def _downloaded() -> Survey:
    """MNIST as Keras has it in its cache, or downloads it."""
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises plain Exception where the network fails
        raise ConfigError(
            "dataset=mnist could not be downloaded; fetch Keras' mnist.npz where there is a network, "
            "and give dataset.path=FILE.npz"
        ) from error

    def part(pixels: np.ndarray, labels: np.ndarray) -> Part:
        return Part(len(pixels), (28, 28, 1), labels.astype(np.int64), lambda: pixels[..., None])

    return Survey("dataset=mnist", part(x_train, y_train), part(x_test, y_test), np.arange(10))
