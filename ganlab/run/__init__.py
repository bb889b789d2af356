"""One run: its folder, its networks, its life."""

from ganlab.run.folder import CHECKPOINTS, CONFIG, RESULT, finished, read_config
from ganlab.run.life import run
from ganlab.run.networks import Painter, build_gan, image_shape, open_average

__all__ = [
    "CHECKPOINTS",
    "CONFIG",
    "RESULT",
    "Painter",
    "build_gan",
    "finished",
    "image_shape",
    "open_average",
    "read_config",
    "run",
]
