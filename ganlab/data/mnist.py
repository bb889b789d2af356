"""MNIST, from Keras' download or from a file in its layout."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ganlab.config import Mnist, pair
from ganlab.data import arrays
from ganlab.data.files import headers
from ganlab.data.images import Images, Split, fit, shown_change
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
    if settings.path is None:
        return _split(_download(), pair(settings.size), settings.channels)
    found = survey(settings.path)
    if content(found) != _SUM:
        return arrays.read(found, settings, 0.0, "mnist", Path(settings.path).name, "unknown")
    split = arrays.read(found, settings, 0.0, "mnist", _SOURCE, _LICENCE)
    return Split(split.train, split.held_out, split.notes[1:])


def survey(path: str) -> arrays.Survey:
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
        identity = arrays.identities(tree, found)
        del identity["held_out_sha256"]
        return dict(tree) | identity | arrays.classes(tree, found, conditional, None)
    counts = list(CLASS_COUNTS) if conditional else None
    return dict(tree) | {"classes": len(CLASS_COUNTS), "class_counts": counts}


def content(found: arrays.Survey) -> str:
    """The sha256 of pixels and labels, whatever the file around them."""
    assert found.held_out
    digest = hashlib.sha256()
    for pixels in (found.train.pixels(), found.held_out.pixels()):
        digest.update(np.ascontiguousarray(pixels))
    for labels in (found.classes, found.held_out_classes):
        digest.update(b"" if labels is None else labels.astype(np.uint8))
    return digest.hexdigest()


def _download() -> dict[str, np.ndarray]:
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises plain Exception where the network fails
        raise ConfigError(
            "dataset=mnist could not be downloaded; fetch Keras' mnist.npz where there is a network, "
            "and give dataset.path=FILE.npz"
        ) from error
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def _split(there: dict[str, np.ndarray], size: tuple[int, int], channels: int) -> Split:
    def part(name: str) -> Images:
        pixels = fit(there[f"x_{name}"][..., None], size, channels)
        return Images(pixels, there[f"y_{name}"].astype(np.int64), "mnist", _SOURCE, licence=_LICENCE)

    count = len(there["x_train"]) + len(there["x_test"])
    return Split(part("train"), part("test"), tuple(shown_change(count, (28, 28, 1), (*size, channels))))
