"""What a run leaves behind: `result.json`, read with suspicion."""

from collections.abc import Container
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from ganlab import files
from ganlab.config import InitFrom
from ganlab.errors import ConfigError, in_a_line

CONFIG, RESULT, LOCK, LOG = "config.json", "result.json", ".lock", "log.txt"
HELD_OUT = "held_out.txt"  # the names of the images that were kept for measuring, a line each
"""Files of a run: its settings, its outcome, what the process that writes it holds locked, and what it has said."""

FORGOTTEN = "forgotten"
"""A folder in that of a study: runs that were taken out of it. Nothing below it belongs to the study."""

Status = Literal["finished", "diverged", "failed", "interrupted"]


def _bounded(value: float) -> float:
    if abs(value) > 1e100:
        raise ValueError(f"{value:g} is beyond 1e100")
    return value


Number = Annotated[float, AfterValidator(_bounded)]  # the squares of which, and their sums, are numbers too
Whole = Annotated[int, Field(ge=0, lt=2**63)]


class ResultError(ConfigError):
    """Results that cannot be read or compared: the folder that was named is the wrong one, or damaged."""


class Best(BaseModel):
    """The best checkpoint of a run: its step, and the metric, taken on the way, that says so, with its value there."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    step: Whole
    metric: str
    value: Number


class Rollback(BaseModel):
    """A run diverged by `from_step` and went on from the checkpoint of `to_step` with fresh random numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    from_step: Whole
    to_step: Whole
    error: str


class RunResult(BaseModel):
    """One run's outcome: all that `result.json` holds, each field with what it means.

    What only a finished run knows may be absent. Fields of later versions are kept as they are, and read by nobody.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    status: Status
    variant: str
    """The generator's name in `conf/generator`."""
    seed: Whole
    config: dict[str, Any]
    """All settings, as in `config.json`."""
    metrics: dict[str, Number] = {}
    """By name, of the EMA after the last step; those of the full protocol are named `full/...`."""
    spread: dict[str, Number] = {}
    """Standard deviations of the full metrics over the sets of generated images."""
    profiles: dict[str, list[Number]] = {}
    """Mean power in each ring of frequencies, r = 0 ... side/2, of the `real` and of the `generated` images."""
    best: Best | None = None
    """None where the study's primary is measured at the end only."""
    real_against_real: dict[str, Number] | None = None
    """What held-out real images score in the place of generated ones, by metric; None where nothing was measured."""
    nulls: dict[str, Number] | None = None
    """What images of equal distribution score by formula, by metric."""
    protocol: dict[str, Any] = {}
    """How the metrics were taken (`evaluation/protocols.py`); in it, as `full`, how those of the end were."""
    parameters: Whole | dict[str, Whole] | None = None
    """Of the generator, or of each network by name."""
    macs: Whole | dict[str, Whole] | None = None
    """Multiplications for one image, of the generator or of each network by name."""
    replicas: int | None = None
    """Devices that shared each batch, over all workers."""
    threads: int | None = None
    """Of the CPU, for one operation."""
    compiled: str | None = None
    """How a step was compiled: `xla` or `graph`."""
    skipped: dict[str, int] = {}
    """Updates left out because gradients were not finite under loss scaling, by network."""
    receptive_field: list[int] | None = None
    """Height and width of what a pixel of an image sees of the generator's first map."""
    images_seen: Whole | None = None
    seconds: Number | None = None
    """Of training, over all sessions of the run, without the measures of the end."""
    images_per_second: Number | None = None
    source: str | None = None
    """Where the images are from."""
    extended: list[dict[str, int]] = []
    """Each time that the run was trained longer than its settings first said: `from_step`, `steps_before`, `steps`."""
    rollbacks: list[Rollback] = []
    """Each time that it diverged and went back to a checkpoint (`training.on_divergence=rollback`)."""
    data: dict[str, Any] | None = None
    """The images: name, source, licence, counts, classes, notes, and the SHA-256 of pixels and labels."""
    error: str | None = None
    """What went wrong in a run that diverged or failed."""
    commit: dict[str, str | bool] | None = None
    """Of ganlab's checkout: `hash`, and whether the code was `changed` since; None where it is an installed package."""
    versions: dict[str, str] = {}
    """Of the libraries, by name."""
    device: str | None = None
    """Its kind, name and precision; None where the run's process died."""
    environment: dict[str, str] = {}
    """Variables that can change the last bits of numbers, where they are not as usual."""
    started: str | None = None
    """When it first began, as ISO 8601 with the offset from UTC: a run that goes on from a checkpoint keeps it."""
    ended: str | None = None
    """When, likewise."""
    path: Path | None = Field(default=None, exclude=True)
    """The file this was read from; never stored in it."""

    @field_validator("config")
    @classmethod
    def _has_settings(cls, config: dict[str, Any]) -> dict[str, Any]:
        """Refuse settings of another form than those that studies and reports look at; the others are shown alone."""
        for name in ("generator", "dataset", "training", "comparison", "init_from"):
            if not isinstance(config.get(name) or {}, dict):
                raise ValueError(f"{name} is no object")
        size = config.get("dataset", {}).get("size", 1)
        sides = size if isinstance(size, list) else [size]
        if len(sides) not in (1, 2) or not all(type(side) is int and 0 < side < 2**16 for side in sides):
            raise ValueError(f"dataset.size is {in_a_line(size, 40)}")
        if start := config.get("init_from"):
            InitFrom.model_validate(start)
        if not isinstance(config.get("comparison", {}).get("quality", ""), str):
            raise ValueError("comparison.quality is no text")
        return config

    @field_validator("profiles")
    @classmethod
    def _has_both_sides(cls, profiles: dict[str, list[float]]) -> dict[str, list[float]]:
        if profiles and len(profiles.get("real", [])) != len(profiles.get("generated", [0.0])):
            raise ValueError("those of real and generated images are not of one length")
        return profiles

    def of_generator(self, what: Literal["parameters", "macs"]) -> int | None:
        """The generator's own parameters or multiplications, whichever way they were recorded."""
        counts = getattr(self, what)
        return counts.get("generator") if isinstance(counts, dict) else counts

    def written(self) -> dict[str, Any]:
        """As the file holds it: what was set, in the order of the fields."""
        return self.model_dump(mode="json", exclude_unset=True)


def read_result(path: str | Path) -> RunResult:
    """The result in a file; raises ResultError that names the file, and the field that is wrong."""
    path = Path(path)
    try:
        tree = files.read_json(path)
    except files.FileError as error:
        raise ResultError(f"{path} is damaged ({files.why(error)}); {_REMEDY}") from None
    except OSError as error:
        raise ResultError(f"{path} cannot be read ({error.strerror}); give the result.json of a run") from None
    if not isinstance(tree, dict):
        raise ResultError(f"{path} is damaged (it holds no fields); {_REMEDY}")
    try:
        return RunResult.model_validate(tree | {"path": path})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ").lower()
        raise ResultError(f"{path} is damaged ({in_a_line(where)}: {what}); {_REMEDY}") from None


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
    """Every file of that name under a folder, in the order of their paths, but those of runs that were forgotten.

    Raises ResultError for what `files.walk` refuses: links that lead elsewhere are not followed.
    """
    found = []
    try:
        for folder, below, names in files.walk(directory):
            below[:] = [each for each in below if each != FORGOTTEN]
            if name in names:
                found.append(folder / name)
    except files.FileError as error:
        raise ResultError(str(error)) from None
    return sorted(found)


_REMEDY = "delete it and give the run's command again"
