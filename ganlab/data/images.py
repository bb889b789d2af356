"""What a data set is: images with their labels and where they are from, some to train on and some held out."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ganlab.config import Pair


@dataclass(frozen=True)
class Images:
    """Pixels uint8 [N,H,W,C], their labels int [N] or none, where they are from, and their factors or none.

    factors: what each image was rendered from, float64 [N,F], a column for each of `shapes.FACTORS`.
    """

    pixels: np.ndarray
    labels: np.ndarray | None
    name: str
    source: str
    factors: np.ndarray | None = None


@dataclass(frozen=True)
class Split:
    """Images to train on and images kept for measuring; none is in both."""

    train: Images
    held_out: Images


def fit(pixels: np.ndarray, size: Pair, channels: int) -> np.ndarray:
    """Pixels at the size and channels asked for: bicubic with antialiasing; grey from RGB by luminance (ITU-R 601)."""
    if pixels.shape[3] == 3 and channels == 1:
        pixels = np.rint(pixels @ np.array([0.299, 0.587, 0.114]))[..., None].astype(np.uint8)
    elif pixels.shape[3] == 1 and channels == 3:
        pixels = np.repeat(pixels, 3, axis=3)
    if pixels.shape[1:3] == size:
        return np.ascontiguousarray(pixels)
    resized = np.empty((len(pixels), *size, channels), np.uint8)
    for place, image in enumerate(pixels):
        picture = Image.fromarray(image[..., 0] if channels == 1 else image)
        resized[place] = np.asarray(picture.resize(size[::-1], Image.Resampling.BICUBIC)).reshape(*size, channels)
    return resized
