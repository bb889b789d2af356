"""The settings of a discriminator: its body, how it makes maps smaller, and what bounds its gradients."""

import math
from typing import Annotated, Literal

from pydantic import Field

from ganlab.config.base import Channels, Kernel, Settings
from ganlab.config.generator import Init


class DiscriminatorSettings(Settings):
    """What the settings of every discriminator say of it; those of a plugin's may say otherwise."""

    @property
    def bounded(self) -> bool:
        """Whether its gradients are bounded even without a penalty."""
        return False

    @property
    def mixes_images(self) -> bool:
        """Whether batch normalization makes an image's score depend on others: then it has no gradient of its own."""
        return False

    def check(self, batch_size: int) -> None:
        """Raise ValueError for a batch that it cannot score."""


class _Body(DiscriminatorSettings):
    """What every built-in discriminator takes."""

    filters: Annotated[tuple[Channels, ...], Field(min_length=1, max_length=16)] | None
    kernel_size: Kernel
    stride: Annotated[int, Field(ge=1, le=8)]
    downsampling: Literal["strided", "pool", "blur"]
    normalization: Literal["none", "batch", "spectral"]
    minibatch_std: Annotated[int, Field(ge=0, le=10**5)]
    slope: Annotated[float, Field(ge=0, le=1)]
    init: Init

    def widths(self, height: int, width: int) -> tuple[int, ...]:
        """Channels of each step for images of this size: `filters`, or 32, 64, ... to 256, while 2 pixels are left."""
        if self.filters is not None:
            return self.filters
        steps = max(1, int(math.log(min(height, width), max(self.stride, 2)) + 1e-9) - 1)
        return tuple(min(32 * 2**step, 256) for step in range(steps))

    @property
    def bounded(self) -> bool:
        """By the largest singular value of every weight."""
        return self.normalization == "spectral"

    @property
    def mixes_images(self) -> bool:
        """By batch normalization."""
        return self.normalization == "batch"

    def check(self, batch_size: int) -> None:
        """Raise ValueError where a batch cannot be divided into groups of `minibatch_std` images."""
        group = self.minibatch_std
        if group == 1:
            raise ValueError(
                "discriminator.minibatch_std=1 is a group of one image, which has no standard deviation; use 0 (off), "
                "or at least 2"
            )
        if group and batch_size % group:
            divisors = [n for n in range(2, batch_size + 1) if batch_size % n == 0]
            near = min(divisors, key=lambda n: abs(n - group), default=0)
            raise ValueError(
                f"discriminator.minibatch_std={group} does not divide the {batch_size} images of a batch (a replica's, "
                f"with training.replicas above 1); use {near}"
            )


class Conv(_Body):
    """Convolutions that make the maps smaller, then one dense score."""

    name: Literal["conv"]


class Residual(_Body):
    """Residual blocks that make the maps smaller, a sum over positions, then one dense score."""

    name: Literal["residual"]


Discriminator = Annotated[Conv | Residual, Field(discriminator="name")]
