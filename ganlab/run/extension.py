"""Training a run longer than its settings said: conditions, changes, and what is written. No TensorFlow."""

from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from ganlab.config import RunConfig, parse
from ganlab.errors import ConfigError
from ganlab.files import move, write_json
from ganlab.run.record import read_entries
from ganlab.runs.folder import CHECKPOINTS
from ganlab.runs.result import CONFIG, RESULT, read_result

EXTENDED = "extended.json"
"""A run's extensions so far, the oldest first: `[{"from_step", "steps_before", "steps"}]`."""

Extension = dict[Literal["from_step", "steps_before", "steps"], int]


def extend(config: RunConfig, directory: Path, steps: int) -> tuple[RunConfig, list[str]]:
    """Give a run another last step; returns its settings, and lines that say what else this changes.

    The caller holds the folder. The result of an earlier end is kept as `result-step-<step>.json`. After a kill at any
    moment the run can be continued, to the old last step or to the new one. Raises ConfigError, before anything is
    written, where the run has taken that many steps already, and for a run that diverged.
    """
    from ganlab.training import checkpoints

    taken, steps_before = checkpoints.newest(directory / CHECKPOINTS) or 0, config.training.steps
    result = read_result(directory / RESULT) if (directory / RESULT).exists() else None
    if result and result.status == "diverged":
        raise ConfigError(f"{directory} diverged, and would do so again; start another run with other settings")
    if steps <= taken:
        raise ConfigError(f"training.steps={steps} is not above the {taken} steps that {directory} has taken; use more")
    if result and result.status in ("finished", "interrupted") and not taken:
        raise ConfigError(f"{directory} has no checkpoint left to continue from; start another run")
    if steps == steps_before:
        return config, []
    longer_config = with_steps(config, steps)
    extension: Extension = {"from_step": taken, "steps_before": steps_before, "steps": steps}
    write_json(directory / EXTENDED, [*extensions(config, directory), extension])
    if result:
        move(directory / RESULT, directory / f"result-step-{taken:08d}.json")
    write_json(directory / CONFIG, longer_config.model_dump(mode="json"))
    return longer_config, _changes(config, taken, steps)


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
    steps_before, adam, lines = config.training.steps, config.optimizer, []
    lines.append(f"training to step {steps} instead of {steps_before}, from step {taken}")
    if adam.final_rate != 1:
        old, new = (adam.g_rate_of(config.generator.name) * adam.share(taken, last) for last in (steps_before, steps))
        lines.append(
            f"  optimizer.final_rate={adam.final_rate:g}: the learning rates reach {adam.final_rate:g} of their start "
            f"at step {steps} instead of {steps_before}; the generator's goes from {old:.3g} to {new:.3g} "
            f"at step {taken}"
        )
    if config.augment.noise:
        old, new = (config.augment.noise * (1 - taken / last) for last in (steps_before, steps))
        lines.append(
            f"  augment.noise={config.augment.noise:g} falls to 0 at step {steps} instead of {steps_before}; "
            f"it goes from {old:.3g} to {new:.3g} at step {taken}"
        )
    periods = {
        "log": config.training.log_every_steps,
        "images": config.training.sample_every_steps,
        "measures": config.metrics.every_steps,
    }
    outputs = [name for name, period in periods.items() if period is None or taken % period]
    if taken == steps_before and outputs:
        lines.append(
            f"  the {' and '.join(outputs)} of step {taken}, made because it was the last, stay in the records"
        )
    return lines
