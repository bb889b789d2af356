"""The grids that a run leaves in samples/: generated and real images, of a conditional run a row for each class."""

import numpy as np

from ganlab.config import RunConfig
from ganlab.data.images import Images
from ganlab.run.sampler import Sampler, with_classes
from ganlab.runs import grids

_COUNT = 64
_PER_CLASS = 8
_MOST_ROWS = 32
"""Classes that a grid has rows of; of more than these, the images are a mixture in the training images' shares."""


def generated(sampler: Sampler, config: RunConfig) -> np.ndarray:
    """A grid of the run's fixed latents, the same for all arms: uint8 [rows,across,C]."""
    if not _has_rows(config):
        return grids.grid(sampler.sample("latents/samples", _COUNT))
    labels = [label for label in range(config.classes) for _ in range(_PER_CLASS)]
    z = sampler.latents("latents/samples", len(labels))[:, : config.generator.latent_size]
    pixels = sampler.generate(with_classes(z, labels, config.classes))
    return grids.by_class(pixels, labels, range(config.classes), _PER_CLASS)


def real(images: Images, config: RunConfig) -> np.ndarray:
    """A grid of real images in the same layout: uint8 [rows,across,C]."""
    if not _has_rows(config) or images.labels is None:
        return grids.grid(grids.some_of(images.pixels, _COUNT))
    chosen = [grids.some_of(np.flatnonzero(images.labels == label), _PER_CLASS) for label in range(config.classes)]
    places = np.concatenate(chosen)
    return grids.by_class(images.pixels[places], images.labels[places], range(config.classes), _PER_CLASS)


def _has_rows(config: RunConfig) -> bool:
    return 1 < config.classes <= _MOST_ROWS
