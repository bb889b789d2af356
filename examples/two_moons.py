"""A data set of one's own: two interleaving half circles, each point drawn as an image with one bright dot.

    python -m ganlab.train --plugin examples/two_moons.py dataset=two_moons

A data set is a function from its settings to images to train on and images held out; nothing is downloaded here.
"""

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ganlab.config import Count, DatasetSettings, NotNegative
from ganlab.data.images import Images, Split


class TwoMoonsSettings(DatasetSettings):
    """What a run needs to know of every data set is its size, channels and classes (0: no labels)."""

    name: Literal["two_moons"]
    classes: ClassVar[int] = 2
    size: Annotated[int, Field(ge=8)]
    channels: Literal[1]
    images: Count
    held_out: Count
    noise: NotNegative


def two_moons(settings: TwoMoonsSettings) -> Split:
    """Images [N,size,size,1], the same in every run: the seed is part of the code."""

    def draw(count: int, seed: int) -> Images:
        random = np.random.default_rng(seed)
        labels, angle = random.integers(0, 2, count), random.uniform(0, np.pi, count)
        x = np.where(labels == 0, np.cos(angle), 1 - np.cos(angle)) + random.normal(0, settings.noise, count)
        y = np.where(labels == 0, np.sin(angle), 0.5 - np.sin(angle)) + random.normal(0, settings.noise, count)
        pixel = np.arange(settings.size)
        column, row = ((x + 1.5) / 4, (1.75 - y) / 3)  # the plane from -1.5 to 2.5 and from -1.25 to 1.75
        apart = (pixel - column[:, None] * settings.size)[:, None, :] ** 2 + (pixel - row[:, None] * settings.size)[
            :, :, None
        ] ** 2
        pixels = np.rint(255 * np.exp(-apart / 2)).astype(np.uint8)[..., None]
        return Images(pixels, labels, "two_moons", "drawn by examples/two_moons.py")

    return Split(draw(settings.images, 0), draw(settings.held_out, 1))


DATASETS = {"two_moons": (TwoMoonsSettings, two_moons)}
