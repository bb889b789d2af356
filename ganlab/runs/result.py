"""The result of a run, `result.json`: its fields, written and read again; and whether its generator has collapsed."""

from collections.abc import Container, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from ganlab import __version__, device, environment, files
from ganlab.config import InitFrom, RunConfig
from ganlab.config.plugins import Plugin
from ganlab.errors import ConfigError, in_a_line

CONFIG, RESULT, LOCK, LOG = "config.json", "result.json", files.LOCK, "log.txt"
HELD_OUT = "held_out.txt"  # the names of the images that were held out, one line each
"""Files of a run: its settings, its result, the lock of the process that writes it, and its output."""

FORGOTTEN = "forgotten"
"""A study's subfolder for runs that were removed from it. Nothing below it belongs to the study."""

Status = Literal["finished", "diverged", "failed", "interrupted"]


def _bounded(value: float) -> float:
    if abs(value) > 1e100:
        raise ValueError(f"{value:g} is beyond 1e100")
    return value


Number = Annotated[float, AfterValidator(_bounded)]  # so that squares and their sums are finite too
Whole = Annotated[int, Field(ge=0, lt=2**63)]


class ResultError(ConfigError):
    """Results that cannot be read or compared: a wrong folder, or a damaged file."""


class Best(BaseModel):
    """The best checkpoint of a run: its step, and the metric measured during training that decides, with its value."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    step: Whole
    metric: str
    value: Number


class Rollback(BaseModel):
    """A run diverged by `from_step` and continued from the checkpoint of `to_step` with fresh random numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    from_step: Whole
    to_step: Whole
    error: str


class RunResult(BaseModel):
    """One run's outcome: the content of `result.json`, each field with its meaning.

    Fields that only a finished run knows may be absent. Fields of later versions are kept, but not used.
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
    draws: dict[str, list[Number]] = {}
    """Of the full metrics, through each draw of features that have several; `metrics` are the means over them."""
    ladder: dict[str, dict[str, Number]] = {}
    """What each metric makes of known faults of real images, by rung (`evaluation/ladder.py`)."""
    collapsed_at: Whole | None = None
    """The step since which the generator's images have been too alike, by `comparison.collapse`; None: they are not."""
    profiles: dict[str, list[Number]] = {}
    """Mean power in each ring of frequencies, r = 0 ... side/2, of the `real` and of the `generated` images."""
    best: Best | None = None
    """None if the study's primary metric is measured at the end only."""
    real_against_real: dict[str, Number] | None = None
    """What held-out real images score instead of generated ones, by metric; None if nothing was measured."""
    nulls: dict[str, Number] | None = None
    """What images of equal distribution score by formula, by metric."""
    protocol: dict[str, Any] = {}
    """How the metrics were measured (`evaluation/protocols.py`); its key `full` is the protocol of those at the end."""
    parameters: Whole | dict[str, Whole] | None = None
    """Of the generator, or of each network by name."""
    macs: Whole | dict[str, Whole] | None = None
    """Multiply-accumulates for one image, of the generator or of each network by name."""
    replicas: int | None = None
    """Devices that shared each batch, over all workers."""
    threads: int | None = None
    """Of the CPU, for one operation."""
    compiled: str | None = None
    """How a step was compiled: `xla` or `graph`."""
    skipped: dict[str, int] = {}
    """Updates left out because gradients were not finite under loss scaling, by network."""
    receptive_field: list[int] | None = None
    """Height and width of the area of the generator's first map that a pixel of an image sees."""
    images_seen: Whole | None = None
    seconds: Number | None = None
    """Of training, over all sessions of the run, without the measures at the end."""
    images_per_second: Number | None = None
    source: str | None = None
    """Where the images come from."""
    extended: list[dict[str, int]] = []
    """Each time the run was trained longer than its settings first said: `from_step`, `steps_before`, `steps`."""
    rollbacks: list[Rollback] = []
    """Each time it diverged and went back to a checkpoint (`training.on_divergence=rollback`)."""
    data: dict[str, Any] | None = None
    """The images: name, source, licence, counts, classes, notes, and the SHA-256 of pixels and labels."""
    error: str | None = None
    """What went wrong in a run that diverged or failed."""
    commit: dict[str, str | bool] | None = None
    """Of ganlab's checkout: `hash`, and whether the code was `changed` since; None for an installed package."""
    versions: dict[str, str] = {}
    """Of the libraries, by name."""
    device: str | None = None
    """Its kind, name and precision; None if the run's process died."""
    environment: dict[str, str] = {}
    """Variables that can change the last bits of numbers, if they are not as usual."""
    started: str | None = None
    """When it first began, as ISO 8601 with the offset from UTC: a run that continues from a checkpoint keeps it."""
    ended: str | None = None
    """When, likewise."""
    path: Path | None = Field(default=None, exclude=True)
    """The file this was read from; never stored in it."""

    @field_validator("config")
    @classmethod
    def _has_settings(cls, config: dict[str, Any]) -> dict[str, Any]:
        """Check the form of the settings that studies and reports use; others are only displayed."""
        for name in ("generator", "dataset", "training", "comparison"):
            if not isinstance(config.get(name, {}), dict):
                raise ValueError(f"{name} is not an object")
        if not isinstance(config.get("init_from") or {}, dict):
            raise ValueError("init_from is not an object")
        size = config.get("dataset", {}).get("size", 1)
        sides = size if isinstance(size, list) else [size]
        if len(sides) not in (1, 2) or not all(type(side) is int and 0 < side < 2**16 for side in sides):
            raise ValueError(f"dataset.size is {in_a_line(size, 40)}")
        if start := config.get("init_from"):
            InitFrom.model_validate(start)
        if not isinstance(plugins := config.get("plugins", []), list):
            raise ValueError("plugins is not a list")
        for plugin in plugins:
            Plugin.model_validate(plugin)
        if not isinstance(config.get("comparison", {}).get("quality", ""), str):
            raise ValueError("comparison.quality is not a text")
        return config

    @field_validator("protocol")
    @classmethod
    def _has_a_part(cls, protocol: dict[str, Any]) -> dict[str, Any]:
        full = protocol.get("full", {})
        if not isinstance(full, dict) or not isinstance(full.get("mean_over", []), list):
            raise ValueError("full is not that of a protocol")
        return protocol

    @field_validator("profiles")
    @classmethod
    def _has_both_sides(cls, profiles: dict[str, list[float]]) -> dict[str, list[float]]:
        if profiles and len(profiles.get("real", [])) != len(profiles.get("generated", [])):
            raise ValueError("those of real and generated images differ in length")
        return profiles

    def of_generator(self, name: Literal["parameters", "macs"]) -> int | None:
        """The generator's own parameters or multiplications, whichever form they were recorded in."""
        counts = getattr(self, name)
        return counts.get("generator") if isinstance(counts, dict) else counts

    def written(self) -> dict[str, Any]:
        """The content of the file: what was set, in the order of the fields."""
        return self.model_dump(mode="json", exclude_unset=True)


def write_result(
    config: RunConfig, directory: Path, machine: device.Device | None, status: str, **facts: Any
) -> RunResult:
    """Write what is known about a run at its end, or at a stop, as its `result.json`.

    machine: None if it is not known. facts: fields of `RunResult`.
    """
    from importlib.metadata import version

    libraries = ("tensorflow", "keras", "numpy")
    if unknown := facts.keys() - RunResult.model_fields.keys():
        raise TypeError(f"{sorted(unknown)} are not fields of RunResult")
    tree = {
        "status": status,
        "variant": config.generator.name,
        "seed": config.seed,
        "config": config.model_dump(mode="json"),
        **facts,
        "commit": environment.commit(),
        "versions": {"ganlab": __version__, **{name: version(name) for name in libraries}},
        "device": f"{machine.kind}: {machine.name}, {machine.precision}" if machine else None,
        "environment": environment.deciding(),
        "ended": now(),
    }
    files.write_json(directory / RESULT, tree)
    return read_result(directory / RESULT)


def now() -> str:
    """As ISO 8601 with the offset from UTC."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


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
        raise ResultError(f"{path} is damaged (it has no fields); {_REMEDY}")
    try:
        return RunResult.model_validate(tree | {"path": path})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        problem = first["msg"].removeprefix("Value error, ").lower()
        raise ResultError(f"{path} is damaged ({in_a_line(where)}: {problem}); {_REMEDY}") from None


def find_results(directory: str | Path, without: Container[str] = ()) -> list[RunResult]:
    """Every result.json under a folder, in the order of their paths; one damaged file is a ResultError.

    without: names of runs that are not read, as folders below it.
    """
    directory = Path(directory)
    if not directory.is_dir():
        problem = "is a file" if directory.exists() else "does not exist"
        raise ResultError(f"{directory} {problem}; give a folder of runs")
    paths = find_files(directory, RESULT)
    return [read_result(path) for path in paths if str(path.parent.relative_to(directory)) not in without]


def find_files(directory: Path, name: str) -> list[Path]:
    """Every file of that name under a folder, in the order of their paths.

    Not those of forgotten runs, in hidden folders, and in folders within a run, unless it is the folder itself.

    Raises ResultError for what `files.walk` refuses: links to the outside are not followed.
    """
    return sorted(folder / name for folder, names in walk_runs(directory) if name in names)


def walk_runs(directory: Path, *, below_itself: bool = True) -> Iterator[tuple[Path, list[str]]]:
    """The folders that may hold a run or a sweep, from a folder down, and the files in each; see `find_files`.

    below_itself: go on below the folder itself even if it is a run.
    """
    try:
        for folder, subfolders, names in files.walk(directory):
            if (CONFIG in names or RESULT in names) and not (below_itself and folder == directory):
                subfolders.clear()
            subfolders[:] = [name for name in subfolders if name != FORGOTTEN and not name.startswith(".")]
            yield folder, names
    except files.FileError as error:
        raise ResultError(str(error)) from None


_REMEDY = "delete it and repeat the run's command"


def coverage_beside(primary: str) -> str:
    """The coverage that is taken with a primary metric: full/mean/frechet_distance, full/mean/coverage."""
    place, slash, _ = primary.rpartition("/")
    return f"{place}{slash}coverage"


def has_collapsed(
    primary: str, metrics: Mapping[str, float], real: Mapping[str, float] | None, least: float | None
) -> bool | None:
    """Whether the coverage is below a share of what real images score; None where it was not measured, or no rule.

    primary: the metric whose features count; where no coverage is taken with it, the quick one does. real: what real
    images score in the place of generated ones, taken as 1 where it is not known. least: `comparison.collapse`.
    """
    if least is None:
        return None
    name = next((name for name in (coverage_beside(primary), "coverage") if name in metrics), None)
    return None if name is None else metrics[name] < least * (real or {}).get(name, 1.0)
