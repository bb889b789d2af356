"""The state of a sweep's cells, from their files: finished, running, diverged, failed, ... or missing; and `--forget`.

A sweep records its cells in `sweep.json` when it starts, so that those that never started are known. A run that is
being written holds a lock, which the system frees however its process ends: a locked run is running.
"""

import contextlib
import itertools
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Literal, get_args

from ganlab import files
from ganlab.config.comparison import Comparing
from ganlab.errors import ConfigError, in_a_line, matching, printable
from ganlab.evaluation.registry import better
from ganlab.runs.folder import claimed
from ganlab.runs.records import SPEED, readable_records, without_seed
from ganlab.runs.result import CONFIG, FORGOTTEN, LOCK, LOG, RESULT, ResultError, RunResult, read_result, walk_runs

SWEEP = "sweep.json"
State = Literal["finished", "running", "diverged", "failed", "interrupted", "missing"]
STATES = get_args(State)


@dataclass(frozen=True)
class CellStatus:
    """The state of one cell.

    step, steps: the step of its last record, and its last step. images_per_second: at that record. seconds_left: of a
    running cell, at that rate. seconds: of a finished one, from its first start to its end. why: further information,
    such as why it failed.
    """

    name: str
    directory: Path
    state: State
    step: int = 0
    steps: int | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    seconds: float | None = None
    why: str = ""

    @property
    def done(self) -> float:
        """The share of the cell's work that is done, 0 to 1; a cell that diverged has nothing left to do."""
        if self.state in ("finished", "diverged"):
            return 1.0
        return self.step / self.steps if self.steps else 0.0


@dataclass(frozen=True)
class Sweep:
    """The content of `sweep.json`: the commands that started it, its cells' folders, and when it was last started.

    asked: the cells of the last start.
    """

    commands: list[str]
    cells: list[str]
    began: str
    asked: list[str]


def record_sweep(folder: Path, command: str, cells: Iterable[str]) -> Sweep:
    """Write or update the record of a sweep that starts; earlier cells stay in it.

    cells: their folders, relative to the sweep's. The caller makes sure that no other process does this meanwhile.
    """
    before, asked = read_sweep(folder), list(cells)
    try:
        for name in asked:
            files.refuse_link(folder / name, folder)
    except files.FileError as error:
        raise ResultError(str(error)) from None
    names = list(dict.fromkeys([*(before.cells if before else ()), *asked]))
    commands = list(dict.fromkeys([*(before.commands if before else ()), command]))
    record = Sweep(commands, names, datetime.now().astimezone().isoformat(timespec="seconds"), asked)
    files.remove_unfinished(folder, [SWEEP])
    files.write_json(folder / SWEEP, vars(record))
    return record


def read_sweep(folder: Path) -> Sweep | None:
    """The record of the sweep in a folder, or None if there is none; raises ResultError for a damaged one."""
    path = folder / SWEEP
    try:
        tree = files.read_json(path)
        commands, cells = [*map(str, tree["commands"])], [*map(str, tree["cells"])]
        asked = [*map(str, tree.get("asked", cells))]  # not in older records
        record = Sweep(commands, cells, str(tree["began"]), asked)
        datetime.fromisoformat(record.began)
        for name in {*cells, *asked}:
            _check_cell(folder, name)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, files.FileError) and error.filename != str(path):
            raise ResultError(str(error)) from None  # the folder of a cell is a link
        why = "it is not a record of a sweep"
        if isinstance(error, OSError | ValueError):
            why = files.why(error) if isinstance(error, OSError) else in_a_line(error)
        raise ResultError(f"{path} cannot be read ({why}); delete it and repeat the sweep's command") from None
    return record


def _check_cell(folder: Path, name: str) -> None:
    """Raise ValueError or FileError if a cell's name is not that of a folder below the sweep's."""
    parts = Path(name).parts
    if Path(name).is_absolute() or ".." in parts or name != printable(name) or "\n" in name or len(name) > 4000:
        raise ValueError(f"{name} is not the folder of a cell")
    files.refuse_link(folder / name, folder)


def find_cells(folder: Path) -> list[CellStatus]:
    """Every cell of the sweep in a folder, and every other run there; raises ResultError for a wrong folder."""
    return [read_status(path, name) for name, path in _cells(folder)]


def without_result(folder: Path) -> list[CellStatus]:
    """The cells that have not ended: missing, running, interrupted."""
    return [read_status(path, name) for name, path in _cells(folder) if not (path / RESULT).exists()]


def _cells(folder: Path) -> list[tuple[str, Path]]:
    """Their names and folders."""
    if not folder.is_dir():
        raise ResultError(f"{folder} {'is a file' if folder.exists() else 'does not exist'}; give a folder of runs")
    record = read_sweep(folder)
    runs = [run for run, inside in walk_runs(folder, below_itself=False) if CONFIG in inside or RESULT in inside]
    recorded = record.cells if record else []
    names = dict.fromkeys([*recorded, *(str(run.relative_to(folder)) for run in runs)])
    if not names:
        raise ResultError(f"{folder} has no runs; give the folder of a sweep, such as outputs/STUDY")
    return [(folder.resolve().name if name == "." else name, folder / name) for name in names]


def read_status(directory: Path, name: str) -> CellStatus:
    """The state of the run in a folder."""
    held = has_writer(directory)  # before the result is read: a result that nobody is writing is final
    try:
        result = read_result(directory / RESULT) if (directory / RESULT).exists() else None
    except ResultError as error:
        return CellStatus(name, directory, "failed", why=str(error))
    steps = _steps(directory)
    step, rate, left = _pace(directory, steps)
    if result and result.status == "finished":
        time_taken = [] if result.seconds is None else [f"in {result.seconds:.0f} s"]
        why = "; ".join([*time_taken, *_primary(result)])
        rate, seconds = result.images_per_second, _duration(result)
        return CellStatus(name, directory, "finished", steps or step, steps, rate, seconds=seconds, why=why)
    if result and (not held or result.status == "diverged"):
        why = in_a_line(result.error or "")  # all of it is in the log
        return CellStatus(name, directory, result.status, step, steps, rate, why=why)
    if held:
        return CellStatus(name, directory, "running", step, steps, rate, left)
    if (directory / CONFIG).exists():
        return CellStatus(name, directory, "interrupted", step, steps, rate, why="its process was killed")
    return CellStatus(name, directory, "missing")


def _duration(result: RunResult) -> float | None:
    """Seconds from the first start of a run to its end."""
    try:
        times = [datetime.fromisoformat(text).timestamp() for text in (result.started or "", result.ended or "")]
    except (ValueError, OverflowError):  # not recorded by earlier versions
        return None
    return max(0.0, times[1] - times[0])


def _primary(result: RunResult) -> list[str]:
    """The metric that decides the run's study; nothing if nothing was measured."""
    metric = result.config.get("comparison", {}).get("quality", Comparing().quality)
    if metric in result.metrics:
        return [describe_metric(metric, result.metrics[metric])]
    return [f"no {metric}"] if result.metrics else []


def describe_metric(metric: str, value: float) -> str:
    """A measure in a line, with which values are better: `coverage 0.921 (larger is better)`."""
    side = better(metric)
    return f"{metric} {value:.3g}" + (f" ({side} is better)" if side else "")


def describe_status(cell: CellStatus) -> str:
    """The state of a cell in a phrase."""
    if cell.state == "missing":
        return "not started"
    if cell.state == "finished":
        return f"finished {cell.why}".rstrip()
    if cell.state == "running":
        place = [f"running, step {cell.step:,} of {cell.steps:,}" if cell.steps else "running"]
        if cell.seconds_left is not None:
            place += [f"{cell.images_per_second:,.0f} images/s", f"about {format_duration(cell.seconds_left)} left"]
        return ", ".join(place)
    why = f"{cell.state} at step {cell.step:,}" if cell.state == "interrupted" else cell.state
    return f"{why}{': ' * bool(cell.why)}{cell.why}; see {cell.directory}/{LOG}"


def result_mtime_ns(directory: Path) -> int | None:
    """When the result in a run's folder was written, which tells a new one from an old one; None if there is none."""
    try:
        return (directory / RESULT).stat().st_mtime_ns
    except FileNotFoundError:
        return None


def has_writer(directory: Path) -> bool:
    """Whether a process is writing the run in a folder, as far as can be known (`files.held`)."""
    return files.held(directory / LOCK) or False


def may_have_writer(directory: Path) -> bool:
    """Whether a process is or may be writing the run in a folder; without locks, any run without a result may."""
    held = files.held(directory / LOCK)
    return (directory / CONFIG).exists() and not (directory / RESULT).exists() if held is None else held


def _steps(directory: Path) -> int | None:
    try:
        return int(files.read_json(directory / CONFIG)["training"]["steps"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None


def _pace(directory: Path, steps: int | None) -> tuple[int, float | None, float | None]:
    """The step of the last record, its images per second, and the seconds left at that rate.

    The rate of the first record includes compiling and says nothing about the rest.
    """
    records = [
        record
        for record in readable_records(directory, SPEED, last_bytes=2**16)
        if 0 < record["step"] <= (steps or record["step"]) and 1e-6 < record.get(SPEED, 0) < 1e12  # else it is damaged
    ]
    if not records:
        return 0, None, None
    step, images, rate = records[-1]["step"], records[-1]["images"], float(records[-1][SPEED])
    return step, rate, (steps - step) * images / step / rate if steps and len(records) > 1 else None


def format_duration(seconds: float) -> str:
    """A time for people: seconds, minutes or hours."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def count_states(cells: list[CellStatus]) -> dict[State, int]:
    """How many cells are in each state, in the order of the states, without states that do not occur."""
    return {state: count for state in STATES if (count := sum(cell.state == state for cell in cells))}


def time_left(cells: list[CellStatus], at_once: int = 1) -> float | None:
    """About how many seconds until cells have ended; None if none is running, or nothing is known about their pace.

    The work left, in cells of the usual duration for their arm, is divided by the number of cells that are running, or
    by `at_once` if fewer are running at the moment, as between two cells.
    Before the first has ended, the pace of running ones decides, without what a run does before and after training.
    Cells that failed are not tried again.
    """
    running = [cell for cell in cells if cell.state == "running"]
    durations = {cell.name: cell.seconds for cell in cells if cell.seconds} or {
        cell.name: cell.seconds_left / (1 - cell.done) for cell in running if cell.seconds_left and cell.done < 1
    }
    if not running or not durations:
        return None

    def duration(cell: CellStatus) -> float:
        arm = without_seed(cell.name)
        return median([value for name, value in durations.items() if without_seed(name) == arm] or durations.values())

    unfinished = [cell for cell in cells if cell.state in ("running", "interrupted", "missing")]
    at_this_number = sum((1 - cell.done) * duration(cell) for cell in unfinished) / max(len(running), at_once)
    return max(at_this_number, *(cell.seconds_left or 0.0 for cell in running))


# --- to remove runs from a study --------------------------------------------------------------------------------------


def forget(folder: Path, patterns: list[str], *, yes: bool) -> int:
    """Remove cells from a study's `sweep.json`, and move their folders to `forgotten/`; 0 if done, 1 if declined.

    yes: do not ask. Raises ConfigError, before anything is moved, for unknown names, for running cells, and if nobody
    can be asked.
    """
    cells = {cell.name: cell for cell in find_cells(folder)}
    chosen = [cells[name] for name in matching(cells, patterns, "--forget", folder)]
    for cell in chosen:
        if cell.state == "running":
            raise ConfigError(f"--forget {cell.name} is running; stop it first")
        if os.path.realpath(cell.directory) == os.path.realpath(folder):
            raise ConfigError(f"--forget {cell.name} is the folder itself; give the folder that contains it")
        try:
            files.refuse_link((folder / FORGOTTEN / cell.name).parent, folder)
        except files.FileError as error:
            raise ConfigError(str(error)) from None
    if not yes and not (sys.stdin and sys.stdin.isatty()):
        raise ConfigError("--forget asks for confirmation, but there is no terminal; add --yes")
    for cell in chosen:
        print(f"{cell.name}  {cell.state}")
    if not (yes or _confirm(len(chosen))):
        print("nothing was moved")
        return 1
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    with contextlib.ExitStack() as stack:
        stack.enter_context(claimed(folder, wait=True))  # another start of the sweep would read the record meanwhile
        for cell in chosen:
            if cell.directory.is_dir():
                stack.enter_context(claimed(cell.directory))  # refuses one that has just started
        _remove_from_record(folder, {os.path.relpath(cell.directory, folder) for cell in chosen})
        for cell in chosen:
            if cell.directory.is_dir():
                print(f"moved to {_move(cell.directory, folder / FORGOTTEN / f'{cell.name}-{now}')}")
            else:
                print(f"removed {cell.name} from the record")
    print("to restore a run, move its folder back")
    return 0


def _confirm(count: int) -> bool:
    try:
        answer = input(f"forget {'this run' if count == 1 else f'these {count} runs'}? [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def _remove_from_record(folder: Path, names: set[str]) -> None:
    record = read_sweep(folder)
    if record is None:
        return
    remaining = {key: [name for name in getattr(record, key) if name not in names] for key in ("cells", "asked")}
    try:
        files.write_json(folder / SWEEP, vars(record) | remaining)
    except OSError as error:
        raise ResultError(f"{folder / SWEEP} cannot be written ({error.strerror}); nothing was moved") from None


def _move(directory: Path, target: Path) -> Path:
    others = (target.with_name(f"{target.name}-{number}") for number in itertools.count(2))
    free = next(path for path in itertools.chain([target], others) if not path.exists())
    try:
        free.parent.mkdir(parents=True, exist_ok=True)
        files.move(directory, free)
    except OSError as error:
        raise ResultError(f"{directory} cannot be moved to {free} ({error.strerror}); move it by hand") from None
    return free
