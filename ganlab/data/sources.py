"""The data sets: where images come from, under which licence, and which are held out."""

from collections.abc import Callable

import numpy as np

from ganlab.config import Digits, pair, plugins
from ganlab.data.arrays import arrays
from ganlab.data.counts import counts
from ganlab.data.folder import folder
from ganlab.data.images import Images, Split, describe_change, fit
from ganlab.data.photos import bundled, photos
from ganlab.data.prepared import prepared
from ganlab.data.published import published
from ganlab.data.shapes import shapes


def digits(settings: Digits) -> Split:
    """scikit-learn's 1797 handwritten digits, 8x8, values 0 to 16 spread over 0 to 255.

    The file is ordered by writer, so its halves differ: the held-out share is drawn at random within each class, by a
    generator whose seed is part of the code (the split is the same for every run).
    """
    counts(settings)  # refuses a share that leaves one side empty
    table = np.loadtxt(bundled("data/digits.csv.gz"), np.int64, delimiter=",")
    values, labels = table[:, :-1], table[:, -1]
    pixels = np.rint(values.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    random = np.random.default_rng(0)
    held = np.zeros(len(pixels), bool)
    for digit in range(10):
        places = random.permutation(np.flatnonzero(labels == digit))
        held[places[: round(settings.held_out * len(places))]] = True
    source = "scikit-learn's load_digits: UCI optical recognition of handwritten digits"
    size, channels = pair(settings.size), settings.channels
    fitted = fit(pixels[..., None], size, channels)

    def part(mask: np.ndarray) -> Images:
        return Images(fitted[mask], labels[mask], "digits", source, licence="CC BY 4.0")

    return Split(part(~held), part(held), tuple(describe_change(len(pixels), (8, 8, 1), (*size, channels))))


DATASETS: dict[str, Callable[..., Split]] = {
    "arrays": arrays,
    "digits": digits,
    "folder": folder,
    "huggingface": prepared,
    "photos": photos,
    "shapes": shapes,
    "tfds": prepared,
    **dict.fromkeys(("cifar10", "cifar100", "emnist", "fashion_mnist", "kmnist", "mnist", "svhn"), published),
}
DATASETS.update(plugins.builders("datasets"))
