"""One run: its folder, its networks, its life."""

from ganlab.run.life import run
from ganlab.run.networks import Sampler, build_gan, image_shape, open_sampler
from ganlab.runs.folder import CHECKPOINTS, CONFIG, RESULT, finished, read_config

__all__ = [
    "CHECKPOINTS",
    "CONFIG",
    "RESULT",
    "Sampler",
    "build_gan",
    "finished",
    "image_shape",
    "open_sampler",
    "read_config",
    "run",
]
