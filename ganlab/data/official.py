"""Data sets as their authors publish them: the facts of each set, and what the readers of their files share.

The readers are `idx` (the MNIST family), `cifar` and `svhn`; `downloads` fetches files. No pickle is read.
"""

import contextlib
import gzip
import os
import string
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ganlab.errors import ConfigError, in_a_line


class Facts(NamedTuple):
    """What is known about a set: its authors, its licence, its classes, the side of its images, and how many there are.

    class_counts: of the images to train on; None if classes differ in size and the sizes are not known here.
    """

    title: str
    source: str
    licence: str
    class_names: tuple[str, ...]
    size: int
    channels: int
    train: int
    held_out: int
    class_counts: tuple[int, ...] | None


def facts(name: str, split: str | None = None) -> Facts:
    """The facts of a set, and of EMNIST those of one split."""
    return FACTS[name if split is None else f"{name}-{split}"]


@contextlib.contextmanager
def reading(where: str, name: str) -> Iterator[None]:
    """Turn whatever goes wrong while the file `name` is read into a ConfigError of one line."""
    try:
        yield
    except MemoryError:
        raise ConfigError(f"{where}: {name} needs more memory than is available; use a smaller set") from None
    except _UNREADABLE as error:
        if isinstance(error, ConfigError):
            raise
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else in_a_line(error)
        raise ConfigError(f"{where}: {name} cannot be read ({why}); fetch it again") from error


def stamps(files: tuple[Path, ...]) -> tuple[tuple[int, ...], ...]:
    """Changes when one of these files is rewritten; raises OSError."""
    infos = [file.stat() for file in files]
    return tuple((info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns) for info in infos)


_UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, NotImplementedError, struct.error, zlib.error,
               gzip.BadGzipFile, zipfile.BadZipFile, tarfile.TarError)  # fmt: skip

_DIGITS = tuple(string.digits)
_CLOTHES = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_CAPITALS, _LETTERS = tuple(string.ascii_uppercase), tuple(string.ascii_lowercase)
_MERGED = (*_DIGITS, *_CAPITALS, *"abdefghnqrt")  # letters whose two cases look alike are one class
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR100 = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip


def _emnist(split: str, names: tuple[str, ...], train: int, held_out: int, per_class: int | None) -> Facts:
    counts = None if per_class is None else (per_class,) * len(names)
    source = f"EMNIST {split} of Cohen, Afshar, Tapson and van Schaik (2017), NIST"
    return Facts("EMNIST", source, "unknown", names, 28, 1, train, held_out, counts)


FACTS: dict[str, Facts] = {
    "mnist": Facts(
        "MNIST", "MNIST of LeCun, Cortes and Burges", "CC BY-SA 3.0", _DIGITS, 28, 1, 60_000, 10_000,
        (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    ),
    "fashion_mnist": Facts(
        "Fashion-MNIST", "Fashion-MNIST of Xiao, Rasul and Vollgraf (2017), Zalando", "MIT", _CLOTHES, 28, 1,
        60_000, 10_000, (6000,) * 10,
    ),
    "kmnist": Facts(
        "KMNIST", "KMNIST of Clanuwat et al. (2018), CODH", "CC BY-SA 4.0", _KANA, 28, 1, 60_000, 10_000, (6000,) * 10
    ),
    "emnist-balanced": _emnist("balanced", _MERGED, 112_800, 18_800, 2400),
    "emnist-byclass": _emnist("byclass", (*_DIGITS, *_CAPITALS, *_LETTERS), 697_932, 116_323, None),
    "emnist-bymerge": _emnist("bymerge", _MERGED, 697_932, 116_323, None),
    "emnist-digits": _emnist("digits", _DIGITS, 240_000, 40_000, 24_000),
    "emnist-letters": _emnist("letters", _CAPITALS, 124_800, 20_800, 4800),
    "emnist-mnist": _emnist("mnist", _DIGITS, 60_000, 10_000, 6000),
    "cifar10": Facts(
        "CIFAR-10", "CIFAR-10 of Krizhevsky (2009)", "not stated", _CIFAR10, 32, 3, 50_000, 10_000, (5000,) * 10
    ),
    "cifar100": Facts(
        "CIFAR-100", "CIFAR-100 of Krizhevsky (2009)", "not stated", _CIFAR100, 32, 3, 50_000, 10_000, (500,) * 100
    ),
    "svhn": Facts(
        "SVHN", "SVHN of Netzer et al. (2011)", "non-commercial use", _DIGITS, 32, 3, 73_257, 26_032,
        (4948, 13_861, 10_585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
    ),
}  # fmt: skip
"""By name; EMNIST by name and split, as in `emnist-letters`."""

EMNIST_SPLITS = tuple(key.removeprefix("emnist-") for key in FACTS if key.startswith("emnist-"))
