"""To train a run longer than its settings said: what must hold, what changes, and what is written. No TensorFlow."""

from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from ganlab.config import RunConfig, parse
from ganlab.errors import ConfigError
from ganlab.files import move, read_json, write_json
from ganlab.files import why as reason
from ganlab.runs.folder import CHECKPOINTS
from ganlab.runs.result import CONFIG, RESULT, read_result

EXTENDED = "extended.json"
"""A run's extensions so far, the oldest first: `[{"from_step", "steps_before", "steps"}]`."""

Extension = dict[Literal["from_step", "steps_before", "steps"], int]
_EXTENSIONS = TypeAdapter(list[Extension])


def extend(config: RunConfig, directory: Path, steps: int) -> tuple[RunConfig, list[str]]:
    """Give a run another last step; returns its settings, and lines that say what else this changes.

    The caller holds the folder. The result of an earlier end is kept aside as `result-step-<step>.json`. After a kill
    at any moment the run can be gone on with, to the old last step or to the new one. Raises ConfigError, before
    anything is written, where so many steps are taken already, and for a run that diverged.
    """
    from ganlab.training import checkpoints

    taken, before = checkpoints.newest(directory / CHECKPOINTS) or 0, config.training.steps
    result = read_result(directory / RESULT) if (directory / RESULT).exists() else None
    if result and result.status == "diverged":
        raise ConfigError(f"{directory} diverged, and would do so again; start another run with other settings")
    if steps <= taken:
        raise ConfigError(f"training.steps={steps} is not above the {taken} steps that {directory} has taken; use more")
    if result and result.status in ("finished", "interrupted") and not taken:
        raise ConfigError(f"{directory} has no checkpoint left to go on from; start another run")
    if steps == before:
        return config, []
    longer_config = longer(config, steps)
    noted: Extension = {"from_step": taken, "steps_before": before, "steps": steps}
    write_json(directory / EXTENDED, [*extensions(config, directory), noted])
    if result:
        move(directory / RESULT, directory / f"result-step-{taken:08d}.json")
    write_json(directory / CONFIG, longer_config.model_dump(mode="json"))
    return longer_config, _changes(config, taken, steps)


def longer(config: RunConfig, steps: int) -> RunConfig:
    """The settings with another last step; raises ConfigError where they do not go together."""
    tree = config.model_dump(mode="json")
    return parse(tree | {"training": tree["training"] | {"steps": steps}})


def extensions(config: RunConfig, directory: Path) -> list[Extension]:
    """The extensions that led to these settings; one that was killed before it gave a run its steps is none."""
    path, noted = directory / EXTENDED, []
    try:
        noted = _EXTENSIONS.validate_python(read_json(path))
    except FileNotFoundError:
        pass
    except (OSError, ValidationError) as error:
        why = reason(error) if isinstance(error, OSError) else "it is no list of extensions"
        raise ConfigError(f"{path} is damaged ({why}); delete it") from None
    while noted and noted[-1]["steps"] != config.training.steps:
        noted.pop()
    return noted


def _changes(config: RunConfig, taken: int, steps: int) -> list[str]:
    """What depends on the last step, in a line each."""
    before, adam, lines = config.training.steps, config.optimizer, []
    lines.append(f"training to step {steps} instead of {before}, from step {taken}")
    if adam.final_rate != 1:
        old, new = (adam.g_rate_of(config.generator.name) * adam.share(taken, last) for last in (before, steps))
        lines.append(
            f"  optimizer.final_rate={adam.final_rate:g}: the learning rates reach {adam.final_rate:g} of their start "
            f"at step {steps} instead of {before}; the generator's goes from {old:.3g} to {new:.3g} at step {taken}"
        )
    if config.augment.noise:
        old, new = (config.augment.noise * (1 - taken / last) for last in (before, steps))
        lines.append(
            f"  augment.noise={config.augment.noise:g} falls to 0 at step {steps} instead of {before}; "
            f"it goes from {old:.3g} to {new:.3g} at step {taken}"
        )
    every = {
        "log": config.training.log_every_steps,
        "images": config.training.sample_every_steps,
        "measures": config.metrics.every_steps,
    }
    extra = [name for name, period in every.items() if period is None or taken % period]
    if taken == before and extra:
        lines.append(f"  the {' and '.join(extra)} of step {taken}, made because it was the last, stay in the records")
    return lines
