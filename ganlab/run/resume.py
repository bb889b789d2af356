"""How a run continues, and from what: its own checkpoint, another last step, a rollback, or another run's weights.

No TensorFlow.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ganlab.config import InitFrom, RunConfig, flatten, parse
from ganlab.errors import ConfigError
from ganlab.files import move, read_json, why, write_json
from ganlab.runs.folder import CHECKPOINTS, read_config
from ganlab.runs.records import Mark, damage
from ganlab.runs.result import CONFIG, RESULT, Best, Rollback, RunResult, read_result
from ganlab.runs.status import has_writer
from ganlab.training import checkpoints

if TYPE_CHECKING:
    import tensorflow as tf


class Record(BaseModel):
    """The state of a run at a checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: dict[str, Any] = {}
    """Its settings then, as in `config.json`."""
    started: str | None = None
    """When it began, as in `RunResult`; None in a checkpoint of an earlier version."""
    seconds: float = 0.0
    """Of training, over all sessions."""
    records: dict[str, Mark] = {}
    """The position in its records (`Records.position`)."""
    measured: dict[str, float] = {}
    """Its newest measures, by name."""
    profiles: dict[str, list[float]] = {}
    """Mean power by ring, as in `RunResult`."""
    best: Best | None = None
    """Its best checkpoint so far."""
    primary: dict[int, float] = {}
    """The primary metric during training, by step, where `training.plateau` needs it."""
    collapsed_at: int | None = None
    """The step since which it has been collapsed, as in `RunResult`."""


_MAY_CHANGE = (  # they change nothing in a step: files that moved have the same hashes
    "training.steps", "study", "tracking", "comparison.", "dataset.path", "dataset.held_out_path", "init_from.run",
)  # fmt: skip


def read_entries(path: Path, adapter: TypeAdapter[Any], name: str, remedy: str) -> list[Any]:
    """The entries in a JSON file of a run's folder, a list that an adapter checks; empty without the file.

    name: of such entries, and remedy: what to do, for the ConfigError where the file is damaged.
    """
    try:
        return adapter.validate_python(read_json(path))
    except FileNotFoundError:
        return []
    except (OSError, ValidationError) as error:
        reason = why(error) if isinstance(error, OSError) else f"it is not a list of {name}"
        raise ConfigError(f"{path} is damaged ({reason}); {remedy}") from None


def unfit(record: dict[str, Any], config: RunConfig, directory: Path) -> str:
    """Why a run with these settings cannot continue in its folder from this record; empty where it can."""
    try:
        parsed = Record.model_validate(record)
    except ValidationError as error:
        return f"its record is not one of this version ({error.errors()[0]['loc'][0]})"
    return other_run(record, config) or damage(directory, parsed.records)


def other_run(record: dict[str, Any], config: RunConfig) -> str:
    """A reason why a record belongs to a run with other settings; empty where it does not."""
    if not isinstance(record.get("config"), dict) or not record["config"]:
        return "it is of an earlier version, which did not record its settings; finish the run with that one"
    recorded, current = flatten(record["config"]), flatten(config.model_dump(mode="json"))
    for key in sorted(recorded.keys() | current.keys()):
        if recorded.get(key) != current.get(key) and not key.startswith(_MAY_CHANGE):
            return f"it is of another run: {key}={json.dumps(recorded.get(key))}, here {json.dumps(current.get(key))}"
    return ""


# --- to another last step ---------------------------------------------------------------------------------------------


EXTENDED = "extended.json"
"""A run's extensions so far, the oldest first: `[{"from_step", "steps_before", "steps"}]`."""

Extension = dict[Literal["from_step", "steps_before", "steps"], int]


def extend(config: RunConfig, directory: Path, steps: int) -> tuple[RunConfig, list[str]]:
    """Give a run another last step; returns its settings, and lines that say what else this changes.

    The caller holds the folder. The result of an earlier end is kept as `result-step-<step>.json`. After a kill at any
    moment the run can be continued, to the old last step or to the new one. Raises ConfigError as `check_extension`
    does, before anything is written.
    """
    taken, result = check_extension(directory, steps)
    steps_before = config.training.steps
    if steps == steps_before:
        return config, []
    longer_config = with_steps(config, steps)
    extension: Extension = {"from_step": taken, "steps_before": steps_before, "steps": steps}
    write_json(directory / EXTENDED, [*extensions(config, directory), extension])
    if result:
        move(directory / RESULT, directory / f"result-step-{taken:08d}.json")
    write_json(directory / CONFIG, longer_config.model_dump(mode="json"))
    return longer_config, _changes(config, taken, steps)


def check_extension(directory: Path, steps: int) -> tuple[int, RunResult | None]:
    """The steps that a run has taken, and its result if it has ended, where it can be trained to step `steps`.

    Raises ConfigError where it has taken that many steps already, diverged, or has no checkpoint left.
    """
    taken = checkpoints.newest(directory / CHECKPOINTS) or 0
    result = read_result(directory / RESULT) if (directory / RESULT).exists() else None
    if result and result.status == "diverged":
        raise ConfigError(f"{directory} diverged, and would do so again; start another run with other settings")
    if steps <= taken:
        raise ConfigError(f"training.steps={steps} is not above the {taken} steps that {directory} has taken; use more")
    if result and result.status in ("finished", "interrupted") and not taken:
        raise ConfigError(f"{directory} has no checkpoint left to continue from; start another run")
    return taken, result


def with_steps(config: RunConfig, steps: int) -> RunConfig:
    """The settings with another last step; raises ConfigError where these do not fit together."""
    tree = config.model_dump(mode="json")
    return parse(tree | {"training": tree["training"] | {"steps": steps}})


def extensions(config: RunConfig, directory: Path) -> list[Extension]:
    """The extensions that led to these settings, without one that was killed before it changed the settings."""
    entries = read_entries(directory / EXTENDED, TypeAdapter(list[Extension]), "extensions", "delete it")
    while entries and entries[-1]["steps"] != config.training.steps:
        entries.pop()
    return entries


def _changes(config: RunConfig, taken: int, steps: int) -> list[str]:
    """What depends on the last step, in one line each."""
    before, rate, noise = config.training.steps, config.optimizer.final_rate, config.augment.noise
    lines = [f"training to step {steps} instead of {before}, from step {taken}"]
    if rate != 1:
        lines.append(
            f"  optimizer.final_rate={rate:g}: the learning rates reach {rate:g} of their start at step {steps} "
            f"instead of {before}, so they change at step {taken}"
        )
    if noise:
        lines.append(
            f"  augment.noise={noise:g} falls to 0 at step {steps} instead of {before}, so it changes at step {taken}"
        )
    return lines


# --- after a divergence -----------------------------------------------------------------------------------------------


ROLLBACKS = "rollbacks.json"
"""The rollbacks of a run so far, the oldest first; absent where there are none."""


def rollbacks(directory: Path) -> list[Rollback]:
    """The rollbacks of the run in a folder; ConfigError where their file is damaged."""
    return read_entries(directory / ROLLBACKS, TypeAdapter(list[Rollback]), "rollbacks", "start another run")


def roll_back(config: RunConfig, directory: Path, *, step: int, to: int | None, error: str) -> bool:
    """Whether a run that diverged by `step` is to continue from the checkpoint of step `to`; if so, this is noted.

    From there its random numbers are new ones (`training.randomness`), also after a kill. It ends where the settings
    say stop, where there is no checkpoint, and after `training.rollbacks` times.
    """
    earlier = rollbacks(directory)
    if config.training.on_divergence == "stop" or to is None or len(earlier) >= config.training.rollbacks:
        return False
    entries = [*earlier, Rollback(from_step=step, to_step=to, error=error)]
    write_json(directory / ROLLBACKS, [entry.model_dump() for entry in entries])
    return True


# --- weights of another run, pinned by step and hash ------------------------------------------------------------------


_NETWORKS = ("generator/", "discriminator/", "ema/")


@lru_cache
def pin_checkpoint(path: str) -> InitFrom:
    """The newest good checkpoint of the run in a folder; ConfigError where there is none, or the run still writes."""
    run = Path(path).expanduser().absolute()
    read_config(Path(path).expanduser(), "init_from=")
    if has_writer(run):
        raise ConfigError(f"init_from={path} is being written by another process; wait for it, or stop it")
    if (newest := checkpoints.newest_whole(run / CHECKPOINTS)) is None:
        raise ConfigError(f"init_from={path} has no good checkpoint; give a run that has saved one")
    step, digest = newest
    return InitFrom(run=str(run), step=step, sha256=digest)


def check_source(source: InitFrom) -> None:
    """Raise ConfigError where the checkpoint that a run is to start from is gone or has been replaced."""
    folder = Path(source.run) / CHECKPOINTS
    if checkpoints.digest(folder, source.step) != source.sha256:
        problem = "has been replaced" if source.step in checkpoints.steps(folder) else "is gone"
        raise ConfigError(f"init_from={source.run}: its checkpoint of step {source.step} {problem}; start a new run")


def check_fit(source: InitFrom, tensors: dict[str, "tf.Variable"]) -> None:
    """Raise ConfigError that names the first tensor of the networks whose shape differs in the checkpoint."""
    saved = checkpoints.shapes(Path(source.run) / CHECKPOINTS, source.step)
    needed = {name: [variable.dtype.name, *variable.shape] for name, variable in _networks(tensors).items()}
    available = {name: shape for name, shape in saved.items() if name.startswith(_NETWORKS)}
    for name in [*needed, *(other for other in available if other not in needed)]:
        if needed.get(name) != available.get(name):
            raise ConfigError(
                f"init_from={source.run} does not fit: {name} is {_shape_in_words(available.get(name))} there and "
                f"{_shape_in_words(needed.get(name))} here; give the networks the settings that they have there"
            )


def start_from(source: InitFrom, tensors: dict[str, "tf.Variable"]) -> None:
    """Give both networks and the EMA the weights of a checkpoint; optimizers and step stay.

    Raises ConfigError as `check_source` and `check_fit` do.
    """
    check_source(source)
    check_fit(source, tensors)
    checkpoints.fill(Path(source.run) / CHECKPOINTS, source.step, _networks(tensors))


def _networks(tensors: dict[str, "tf.Variable"]) -> dict[str, "tf.Variable"]:
    return {name: variable for name, variable in tensors.items() if name.startswith(_NETWORKS)}


def _shape_in_words(shape: list | None) -> str:
    if shape is None:
        return "absent"
    return f"{shape[0]} {shape[1:]}".replace("[]", "scalar")
