"""What follows where a run diverges: its end, or its last good checkpoint once more, with fresh random numbers."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ganlab.config import RunConfig
from ganlab.errors import ConfigError
from ganlab.files import read_json, why, write_json
from ganlab.runs.result import Rollback

ROLLBACKS = "rollbacks.json"
"""How often a run went back so far, the oldest first; absent where it never did."""
_ROLLBACKS = TypeAdapter(list[Rollback])


def rollbacks(directory: Path) -> list[Rollback]:
    """Those of the run in a folder; ConfigError where their file is damaged."""
    path = directory / ROLLBACKS
    try:
        return _ROLLBACKS.validate_python(read_json(path))
    except FileNotFoundError:
        return []
    except (OSError, ValidationError) as error:
        reason = why(error) if isinstance(error, OSError) else "it is no list of rollbacks"
        raise ConfigError(f"{path} is damaged ({reason}); start another run") from None


def go_back(config: RunConfig, directory: Path, *, step: int, to: int | None, error: str) -> bool:
    """Whether a run that diverged by `step` is to go on from the checkpoint of step `to`; noted before it does.

    From there on its random numbers are others (`training.randomness`), also after a kill. It does not where the
    settings say stop, where there is no checkpoint, and after `training.rollbacks` times.
    """
    so_far = rollbacks(directory)
    if config.training.on_divergence == "stop" or to is None or len(so_far) >= config.training.rollbacks:
        return False
    noted = [*so_far, Rollback(from_step=step, to_step=to, error=error)]
    write_json(directory / ROLLBACKS, [each.model_dump() for each in noted])
    return True
