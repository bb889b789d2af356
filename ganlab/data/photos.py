"""Crops of photographs: natural spectra without a download."""

import numpy as np
from PIL import Image

from ganlab.choose import ConfigError
from ganlab.config import Photos, pair
from ganlab.data.bundled import bundled
from ganlab.data.images import Images, Split, fit

NAMES = ("china", "flower")
"""The photographs, in the order of their labels."""

_SOURCE = (
    "scikit-learn's load_sample_images: photographs by danielbuechele (china.jpg) and vultilion (flower.jpg), "
    "Flickr, CC BY 2.0"
)


def photos(settings: Photos) -> Split:
    """Different crops of scikit-learn's two photographs (427x640); the label is the photograph.

    All crops stand in one fixed random order: those to train on are the first, those held out the last of it. So both
    are drawn from the same distribution, which crops of regions kept apart are not, and may overlap without being
    equal. Raises ConfigError where there are fewer different crops than are asked for.
    """
    size, windows = pair(settings.size), []
    for name in NAMES:
        picture = np.asarray(Image.open(bundled(f"images/{name}.jpg")))
        height, width = (side // settings.reduction for side in picture.shape[:2])
        whole = picture[: height * settings.reduction, : width * settings.reduction]
        reduced = fit(whole[None], (height, width), settings.channels)[0]
        windows.append(np.lib.stride_tricks.sliding_window_view(reduced, size, axis=(0, 1)))
    ends = np.cumsum([view.shape[0] * view.shape[1] for view in windows])
    if settings.images + settings.held_out > ends[-1]:
        raise ConfigError(
            f"dataset.images={settings.images} and dataset.held_out={settings.held_out} are more than there are "
            f"different crops; use at most {ends[-1]} together"
        )
    order = np.random.default_rng(0).permutation(ends[-1])
    return Split(_crops(windows, order[: settings.images]), _crops(windows, order[::-1][: settings.held_out]))


def _crops(windows: list[np.ndarray], numbers: np.ndarray) -> Images:
    """The crops of these numbers; `windows`: every crop of each photograph, [rows,columns,C,H,W]."""
    counts = np.array([view.shape[0] * view.shape[1] for view in windows])
    labels = np.searchsorted(np.cumsum(counts), numbers, side="right")
    _, _, channels, height, width = windows[0].shape
    pixels = np.empty((len(numbers), height, width, channels), np.uint8)
    for label, view in enumerate(windows):
        mine = labels == label
        rows, columns = np.divmod(numbers[mine] - counts[:label].sum(), view.shape[1])
        pixels[mine] = np.moveaxis(view[rows, columns], 1, -1)
    return Images(pixels, labels.astype(np.int64), "photos", _SOURCE)
