"""Features of images, by name. The value of a measure depends on them, so every protocol names them."""

from collections.abc import Callable

from ganlab.evaluation.features.base import Features, RealImages, Say
from ganlab.evaluation.features.imagenet import inception
from ganlab.evaluation.features.linear import pca, pixel_features, pixels
from ganlab.evaluation.features.trained import classifier
from ganlab.evaluation.features.untrained import random

FEATURES: dict[str, Callable[..., Features]] = {
    "pixels": pixels,
    "pca": pca,
    "classifier": classifier,
    "random": random,
    "inception": inception,
}
"""Each is called with RealImages, and with `say=` to report progress."""

__all__ = ["FEATURES", "Features", "RealImages", "Say", "pixel_features"]
