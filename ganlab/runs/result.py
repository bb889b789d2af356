"""What a run leaves behind: `result.json`, read with suspicion."""

import json
import os
from collections.abc import Container
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ganlab.errors import ConfigError

CONFIG, RESULT, LOCK, LOG = "config.json", "result.json", ".lock", "log.txt"
"""Files of a run: its settings, its outcome, what the process that writes it holds locked, and what it has said."""

FORGOTTEN = "forgotten"
"""A folder in that of a study: runs that were taken out of it. Nothing below it belongs to the study."""

Status = Literal["finished", "diverged", "failed", "interrupted"]


class ResultError(ConfigError):
    """Results that cannot be read or compared: the folder that was named is the wrong one, or damaged."""


class RunResult(BaseModel):
    """One run's outcome. What only a finished run knows may be absent; fields of later versions are kept as they are.

    `parameters` and `macs` are counts of the generator, or of each network by name.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    status: Status
    variant: str
    seed: int
    config: dict[str, Any]
    metrics: dict[str, float] = {}
    protocol: dict[str, Any] = {}
    parameters: int | dict[str, int] | None = None
    macs: int | dict[str, int] | None = None
    images_seen: int | None = None
    seconds: float | None = None
    images_per_second: float | None = None
    versions: dict[str, str] = {}
    device: str | None = None
    environment: dict[str, str] = {}
    ended: str | None = None
    path: Path | None = Field(default=None, exclude=True)
    """The file this was read from; never stored in it."""


def read_result(path: str | Path) -> RunResult:
    """The result in a file; raises ResultError that names the file, and the field that is wrong."""
    path = Path(path)
    try:
        tree = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except OSError as error:
        raise ResultError(f"{path} cannot be read ({error.strerror}); give the result.json of a run") from None
    except ValueError as error:  # wrong JSON and wrong UTF-8 alike
        raise ResultError(f"{path} is damaged ({error}); {_REMEDY}") from None
    if not isinstance(tree, dict):
        raise ResultError(f"{path} is damaged (it holds no fields); {_REMEDY}")
    try:
        return RunResult.model_validate(tree | {"path": path})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ResultError(f"{path} is damaged ({where}: {first['msg'].lower()}); {_REMEDY}") from None


def find_results(directory: str | Path, without: Container[str] = ()) -> list[RunResult]:
    """Every result.json under a folder, in the order of their paths; one damaged file is a ResultError.

    without: names of runs, their folders below it, that are not read.
    """
    directory = Path(directory)
    if not directory.is_dir():
        what = "is a file" if directory.exists() else "does not exist"
        raise ResultError(f"{directory} {what}; give a folder of runs")
    found = find_files(directory, RESULT)
    return [read_result(path) for path in found if str(path.parent.relative_to(directory)) not in without]


def find_files(directory: Path, name: str) -> list[Path]:
    """Every file of that name under a folder, in the order of their paths; through links too, each folder once.

    Not those of runs that were forgotten.
    """
    found, seen = [], set()
    for folder, below, files in os.walk(directory, followlinks=True):
        real = os.path.realpath(folder)
        below[:] = sorted(name for name in below if name != FORGOTTEN) if real not in seen else []
        if name in files and real not in seen:
            found.append(Path(folder, name))
        seen.add(real)
    return sorted(found)


_REMEDY = "delete it and give the run's command again"


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
