"""One run: its folder, its networks, its course from start to end."""

from ganlab.run.life import run
from ganlab.run.networks import build_gan, image_shape
from ganlab.run.sampler import Sampler, open_sampler
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
