"""Weights that a new run starts with: those of another run's checkpoint, pinned by step and hash. No TensorFlow."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ganlab.config import InitFrom
from ganlab.errors import ConfigError
from ganlab.runs.folder import CHECKPOINTS, read_config
from ganlab.training import checkpoints

if TYPE_CHECKING:
    import tensorflow as tf

_NETWORKS = ("generator/", "discriminator/", "ema/")


@lru_cache
def pin(path: str) -> InitFrom:
    """The newest good checkpoint of the run in a folder; ConfigError where there is none, or the run still writes."""
    from ganlab.runs.status import is_held

    run = Path(path).expanduser().absolute()
    read_config(Path(path).expanduser(), "init_from=")
    if is_held(run):
        raise ConfigError(f"init_from={path} is being written by another process; wait for it, or stop it")
    for step in reversed(checkpoints.steps(run / CHECKPOINTS)):
        if digest := checkpoints.digest(run / CHECKPOINTS, step):
            return InitFrom(run=str(run), step=step, sha256=digest)
    raise ConfigError(f"init_from={path} has no good checkpoint; give a run that has saved one")


def find_source(source: InitFrom) -> None:
    """Raise ConfigError where the checkpoint that a run is to start from is gone, or is another by now."""
    folder = Path(source.run) / CHECKPOINTS
    if checkpoints.digest(folder, source.step) != source.sha256:
        lost = "is another by now" if source.step in checkpoints.steps(folder) else "is gone"
        raise ConfigError(f"init_from={source.run}: its checkpoint of step {source.step} {lost}; start a new run")


def check_fit(source: InitFrom, tensors: dict[str, "tf.Variable"]) -> None:
    """Raise ConfigError that names the first tensor of the networks which a checkpoint lacks in the same shape."""
    there = checkpoints.shapes(Path(source.run) / CHECKPOINTS, source.step)
    ours = {name: [variable.dtype.name, *variable.shape] for name, variable in _networks(tensors).items()}
    others = {name: shape for name, shape in there.items() if name.startswith(_NETWORKS)}
    for name in [*ours, *(other for other in others if other not in ours)]:
        if ours.get(name) != others.get(name):
            raise ConfigError(
                f"init_from={source.run} does not fit: {name} is {_said(others.get(name))} there and "
                f"{_said(ours.get(name))} here; give the networks the settings that they have there"
            )


def start_from(source: InitFrom, tensors: dict[str, "tf.Variable"]) -> None:
    """Give both networks and the average the weights of a checkpoint; neither optimizers nor the step.

    Raises ConfigError as `find_source` and `check_fit` do.
    """
    find_source(source)
    check_fit(source, tensors)
    checkpoints.fill(Path(source.run) / CHECKPOINTS, source.step, _networks(tensors))


def _networks(tensors: dict[str, "tf.Variable"]) -> dict[str, "tf.Variable"]:
    return {name: variable for name, variable in tensors.items() if name.startswith(_NETWORKS)}


def _said(shape: list | None) -> str:
    if shape is None:
        return "absent"
    return f"{shape[0]} {shape[1:]}".replace("[]", "scalar")
