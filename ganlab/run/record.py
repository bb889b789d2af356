"""What a run records for its continuation besides tensors, and whether it can continue from that. No TensorFlow."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ganlab.config import RunConfig, flatten
from ganlab.errors import ConfigError
from ganlab.files import read_json, why
from ganlab.runs.records import Mark, damage
from ganlab.runs.result import Best


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
