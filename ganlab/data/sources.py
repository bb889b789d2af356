"""Real images: where they come from, under which licence, and which are kept for measuring."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ganlab.choose import ConfigError
from ganlab.config import Digits, Mnist, Pair, pair
from ganlab.data.bundled import bundled
from ganlab.data.images import Images, Split, fit
from ganlab.data.photos import photos
from ganlab.data.shapes import shapes


def digits(settings: Digits) -> Split:
    """scikit-learn's 1797 handwritten digits, 8x8, values 0 to 16 spread over 0 to 255.

    The file is ordered by writer, so its halves differ: the held-out share is drawn at random within each class, by a
    generator whose seed is part of the code (the split is the same for every run).
    """
    table = np.loadtxt(bundled("data/digits.csv.gz"), np.int64, delimiter=",")
    values, labels = table[:, :-1], table[:, -1]
    pixels = np.rint(values.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    random = np.random.default_rng(0)
    held = np.zeros(len(pixels), bool)
    for digit in range(10):
        places = random.permutation(np.flatnonzero(labels == digit))
        held[places[: round(settings.held_out * len(places))]] = True
    if held.all() or not held.any():
        raise ConfigError(f"dataset.held_out={settings.held_out} leaves one side empty; use a share such as 0.2")
    source = "scikit-learn's load_digits: UCI optical recognition of handwritten digits, CC BY 4.0"
    return _split("digits", pixels, labels, held, source, pair(settings.size), settings.channels)


def mnist(settings: Mnist) -> Split:
    """MNIST (LeCun, Cortes and Burges): 60,000 images to train on, the 10,000 of the test set held out."""
    source = "MNIST of LeCun, Cortes and Burges, CC BY-SA 3.0"
    arrays = _download_mnist() if settings.path is None else _read_npz(Path(settings.path))
    pixels = np.concatenate([arrays["x_train"], arrays["x_test"]])
    labels = np.concatenate([arrays["y_train"], arrays["y_test"]]) if "y_train" in arrays else None
    held = np.arange(len(pixels)) >= len(arrays["x_train"])
    return _split("mnist", pixels, labels, held, source, pair(settings.size), settings.channels)


SOURCES: dict[str, Callable[..., Split]] = {"digits": digits, "mnist": mnist, "photos": photos, "shapes": shapes}


def _download_mnist() -> dict[str, np.ndarray]:
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises plain Exception where the network fails
        raise ConfigError(
            "dataset=mnist could not be downloaded; fetch Keras' mnist.npz where there is a network, "
            "and give dataset.path=FILE.npz"
        ) from error
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz in the layout of keras.datasets.mnist; anything else is refused by name."""
    where = f"dataset.path={path}"
    if not path.exists():
        raise ConfigError(f"{where} does not exist; give an .npz with x_train and x_test")
    try:
        if not zipfile.is_zipfile(path):
            raise ConfigError(f"{where} is no .npz; give one with x_train and x_test")
        with np.load(path, allow_pickle=False) as file:
            missing = {"x_train", "x_test"} - set(file.files)
            if missing:
                have = ", ".join(file.files) or "nothing"
                raise ConfigError(f"{where} lacks {' and '.join(sorted(missing))}; it has {have}")
            names = [name for name in ("x_train", "y_train", "x_test", "y_test") if name in file.files]
            arrays = {name: file[name] for name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"{where} is no readable .npz ({' '.join(str(error).split())}); give one with x_train and x_test"
        ) from error
    for name in ("x_train", "x_test"):
        array = arrays[name]
        if array.dtype != np.uint8:
            raise ConfigError(f"{where} has {name} of type {array.dtype}; it must be uint8, 0 to 255")
        if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3)) or 0 in array.shape:
            raise ConfigError(f"{where} has {name} of shape {list(array.shape)}; it must be [N,H,W] or [N,H,W,1 or 3]")
    if arrays["x_train"].shape[1:] != arrays["x_test"].shape[1:]:
        raise ConfigError(f"{where} has x_train and x_test of different shapes; give images of one shape")
    for images, labels in (("x_train", "y_train"), ("x_test", "y_test")):
        if labels in arrays and arrays[labels].shape != arrays[images].shape[:1]:
            raise ConfigError(
                f"{where} has {labels} of shape {list(arrays[labels].shape)}; it must be one label an image"
            )
    if ("y_train" in arrays) != ("y_test" in arrays):
        raise ConfigError(f"{where} has labels for one part only; give y_train and y_test, or neither")
    return arrays


def _split(
    name: str,
    pixels: np.ndarray,
    labels: np.ndarray | None,
    held: np.ndarray,
    source: str,
    size: Pair,
    channels: int,
) -> Split:
    pixels = fit(pixels if pixels.ndim == 4 else pixels[..., None], size, channels)

    def part(mask: np.ndarray) -> Images:
        return Images(pixels[mask], None if labels is None else labels[mask].astype(np.int64), name, source)

    return Split(part(~held), part(held))
