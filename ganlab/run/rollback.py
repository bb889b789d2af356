"""What happens when a run diverges: it ends, or continues from its last good checkpoint with new random numbers."""

from pathlib import Path

from pydantic import TypeAdapter

from ganlab.config import RunConfig
from ganlab.files import write_json
from ganlab.run.record import read_entries
from ganlab.runs.result import Rollback

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
