"""MNIST as Keras has it: its download, or a file in that layout."""

import hashlib
from pathlib import Path

import numpy as np

from ganlab.data import arrays
from ganlab.data.files import headers
from ganlab.data.survey import Part, Survey
from ganlab.errors import ConfigError

_GENUINE_SHA256 = "c2069063c1105f2bf96266aef1ff68c6e13bdda7a54e37bf19c16f1db24efc83"  # of pixels and labels
_ADVICE = "use dataset=arrays or dataset=folder for other images"


def is_npz(path: Path) -> bool:
    """Whether to read a path as Keras' file: it is neither a folder nor named as the authors' own files are."""
    return not path.is_dir() and "ubyte" not in path.name


def survey(path: str | None) -> Survey:
    """Look into an .npz in the layout of keras.datasets.mnist, or, without a path, Keras' own, which it may download.

    Any other file raises ConfigError.
    """
    if path is None:
        return _downloaded()
    where = f"dataset.path={path}"
    available = headers(Path(path), where)
    missing = [key for key in ("x_train", "x_test") if key not in available]
    if missing:
        names = ", ".join(key or "one array without a name" for key in available) or "nothing"
        raise ConfigError(f"{where} lacks {' and '.join(missing)} of Keras' mnist.npz (it has {names}); {_ADVICE}")
    for key in ("x_train", "x_test"):
        shape, kind = available[key].shape, available[key].dtype
        if kind != np.uint8 or shape[1:] not in ((28, 28), (28, 28, 1)) or not shape[0]:
            raise ConfigError(f"{where} has {key} {kind} {list(shape)}, but MNIST has uint8 [N,28,28]; {_ADVICE}")
    labels = [key if key in available else "" for key in ("y_train", "y_test")]
    if "" in labels and labels != ["", ""]:
        raise ConfigError(f"{where} has labels for one part only; give y_train and y_test, or neither")
    return arrays.survey(path, None, arrays.Keys("x_train", labels[0], "x_test", labels[1]))


def is_genuine(survey: Survey) -> bool:
    """Whether pixels and labels are those of LeCun, Cortes and Burges, whatever the file around them."""
    assert survey.held_out
    digest = hashlib.sha256()
    for part in (survey.train, survey.held_out):
        for pixels in part.read():
            digest.update(np.ascontiguousarray(pixels))
    for labels in (survey.train.classes, survey.held_out.classes):
        digest.update(b"" if labels is None else labels.astype(np.uint8))
    return digest.hexdigest() == _GENUINE_SHA256


def _downloaded() -> Survey:
    """MNIST as Keras has it in its cache, or downloads it."""
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises plain Exception if the network fails
        raise ConfigError(
            "dataset=mnist could not be downloaded; fetch Keras' mnist.npz where there is a network, "
            "and give dataset.path=FILE.npz"
        ) from error

    def part(pixels: np.ndarray, labels: np.ndarray) -> Part:
        return Part(len(pixels), (28, 28, 1), labels.astype(np.int64), lambda: [pixels[..., None]])

    return Survey("dataset=mnist", part(x_train, y_train), part(x_test, y_test), np.arange(10))
