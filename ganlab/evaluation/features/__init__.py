"""Features of images, by name. The value of a measure depends on them, so every protocol names them."""

from collections.abc import Callable

from ganlab.evaluation.features import classifier, inception, pca, random
from ganlab.evaluation.features.base import Features, RealImages

FEATURES: dict[str, Callable[..., Features]] = {
    "pixels": pca.pixels,
    "pca": pca.pca,
    "classifier": classifier.classifier,
    "random": random.random,
    "inception": inception.inception,
}
"""Each is called with RealImages, and with `say=` to report progress."""

__all__ = ["FEATURES", "Features", "RealImages"]
