"""How the cells of a sweep stand, from the files that they leave: finished, running, diverged, failed, ... or missing.

A sweep records its cells in `sweep.json` when it starts, so that those which never began are known. A run that is
being written holds a lock, which the system frees however its process ends: what is locked is running.
"""

import heapq
import math
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Literal, get_args

from ganlab import files
from ganlab.config.comparison import Comparing
from ganlab.errors import in_a_line, printable
from ganlab.evaluation.registry import better
from ganlab.files import write_json
from ganlab.runs.records import METRICS, RECENT, whole_records
from ganlab.runs.result import (
    CONFIG,
    FORGOTTEN,
    LOCK,
    LOG,
    RESULT,
    ResultError,
    RunResult,
    read_result,
)

SWEEP = "sweep.json"
State = Literal["finished", "running", "diverged", "failed", "interrupted", "missing"]
STATES = get_args(State)


@dataclass(frozen=True)
class Standing:
    """How one cell stands.

    step, steps: how far it had come at its last record, and its last step. images_per_second: at that record.
    seconds_left: of a running cell, at that rate. why: what else there is to say, such as why it failed.
    """

    name: str
    directory: Path
    state: State
    step: int = 0
    steps: int | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    why: str = ""

    @property
    def done(self) -> float:
        """The share of the cell's work that is done, 0 to 1; a cell that diverged has no more to do."""
        if self.state in ("finished", "diverged"):
            return 1.0
        return self.step / self.steps if self.steps else 0.0


@dataclass(frozen=True)
class Sweep:
    """What `sweep.json` holds: the commands that asked for it, its cells' folders, and when it was last started.

    asked: the cells that the last start asked for.
    """

    commands: list[str]
    cells: list[str]
    began: str
    asked: list[str]


def record_sweep(folder: Path, command: str, cells: Iterable[str]) -> Sweep:
    """Write or bring up to date the record of a sweep that starts; cells that it had before stay in it.

    cells: their folders, relative to the sweep's. The caller sees to it that no other process does this meanwhile.
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
    write_json(folder / SWEEP, record.__dict__)
    return record


def read_sweep(folder: Path) -> Sweep | None:
    """The record of the sweep in a folder, or None where there is none; raises ResultError for a damaged one."""
    path = folder / SWEEP
    try:
        tree = files.read_json(path)
        commands, cells = [*map(str, tree["commands"])], [*map(str, tree["cells"])]
        asked = [*map(str, tree.get("asked", cells))]  # older records do not say
        record = Sweep(commands, cells, str(tree["began"]), asked)
        datetime.fromisoformat(record.began)
        for name in {*cells, *asked}:
            _check_cell(folder, name)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = "it holds no record of a sweep"
        if isinstance(error, OSError | ValueError):
            why = files.why(error) if isinstance(error, OSError) else in_a_line(error)
        raise ResultError(f"{path} cannot be read ({why}); delete it and give the sweep's command again") from None
    return record


def _check_cell(folder: Path, name: str) -> None:
    """Raise ValueError or FileError where the name of a cell is none of a folder of its own below the sweep's."""
    parts = Path(name).parts
    if Path(name).is_absolute() or ".." in parts or name != printable(name) or "\n" in name or len(name) > 4000:
        raise ValueError(f"{name} is no folder of a cell")
    files.refuse_link(folder / name, folder)


def find_cells(folder: Path) -> list[Standing]:
    """Every cell of the sweep in a folder, and every other run there; raises ResultError for a wrong folder."""
    return [stand(path, name) for name, path in _cells(folder)]


def without_result(folder: Path) -> list[Standing]:
    """Those of them that have not come to an end: missing, running, interrupted."""
    return [stand(path, name) for name, path in _cells(folder) if not (path / RESULT).exists()]


def _cells(folder: Path) -> list[tuple[str, Path]]:
    """Their names and folders."""
    if not folder.is_dir():
        raise ResultError(f"{folder} {'is a file' if folder.exists() else 'does not exist'}; give a folder of runs")
    record = read_sweep(folder)
    asked = record.cells if record else []
    there = [str(path.relative_to(folder)) for path in _runs(folder)]
    names = dict.fromkeys([*asked, *there])
    if not names:
        raise ResultError(f"{folder} holds no runs; give the folder of a sweep, such as outputs/STUDY")
    return [(folder.name if name == "." else name, folder / name) for name in names]


def _runs(root: Path) -> Iterator[Path]:
    """The runs in a folder and beneath; raises ResultError for what `files.walk` refuses."""
    try:
        for folder, below, names in files.walk(root):
            is_run = CONFIG in names or RESULT in names
            below[:] = [] if is_run else [name for name in below if name != FORGOTTEN and not name.startswith(".")]
            if is_run:
                yield folder
    except files.FileError as error:
        raise ResultError(str(error)) from None


def stand(directory: Path, name: str) -> Standing:
    """How the run in a folder stands."""
    held = is_held(directory)  # asked first: what stands while nobody writes is the last word
    try:
        result = read_result(directory / RESULT) if (directory / RESULT).exists() else None
    except ResultError as error:
        return Standing(name, directory, "failed", why=str(error))
    steps = _steps(directory)
    step, rate, left = _pace(directory, steps)
    if result and result.status == "finished":
        took = [] if result.seconds is None else [f"in {result.seconds:.0f} s"]
        why = "; ".join([*took, *_primary(result)])
        return Standing(name, directory, "finished", steps or step, steps, result.images_per_second, why=why)
    why = in_a_line(result.error or "") if result else ""  # the whole is in its log
    if result and result.status == "diverged":
        return Standing(name, directory, "diverged", step, steps, rate, why=why)
    if held:
        return Standing(name, directory, "running", step, steps, rate, left)
    if result:
        return Standing(name, directory, result.status, step, steps, rate, why=why)
    if (directory / CONFIG).exists():
        return Standing(name, directory, "interrupted", step, steps, rate, why="its process was killed")
    return Standing(name, directory, "missing")


def _primary(result: RunResult) -> list[str]:
    """The metric by which the run's study is judged; nothing where nothing was measured."""
    plan = result.config.get("comparison")
    metric = (plan if isinstance(plan, dict) else {}).get("quality", Comparing().quality)
    if metric in result.metrics:
        return [directed(metric, result.metrics[metric])]
    return [f"no {metric}"] if result.metrics else []


def directed(metric: str, value: float) -> str:
    """A measure in a line, with which values are the better ones: `coverage 0.921 (larger is better)`."""
    side = better(metric)
    return f"{metric} {value:.3g}" + (f" ({side} is better)" if side else "")


def outcome(cell: Standing) -> str:
    """One phrase for how a cell stands."""
    if cell.state == "missing":
        return "not started"
    if cell.state == "finished":
        return f"finished {cell.why}".rstrip()
    if cell.state == "running":
        place = [f"running, step {cell.step:,} of {cell.steps:,}" if cell.steps else "running"]
        if cell.seconds_left is not None:
            place += [f"{cell.images_per_second:,.0f} images/s", f"about {rough(cell.seconds_left)} left"]
        return ", ".join(place)
    why = f"{cell.state} at step {cell.step:,}" if cell.state == "interrupted" else cell.state
    return f"{why}{': ' * bool(cell.why)}{cell.why}; see {cell.directory}/{LOG}"


def edition(directory: Path) -> int | None:
    """Which result stands in a run's folder: another number for each that is written; None for none."""
    try:
        return (directory / RESULT).stat().st_mtime_ns
    except FileNotFoundError:
        return None


def is_held(directory: Path) -> bool:
    """Whether a process writes the run in a folder, as far as can be known (`files.held`)."""
    try:
        return files.held(directory / LOCK) or False
    except FileNotFoundError:
        return False


def may_be_held(directory: Path) -> bool:
    """Whether a process writes the run in a folder, or may: where there are no locks, a run that has no result."""
    try:
        held = files.held(directory / LOCK)
    except FileNotFoundError:
        return False
    return (directory / CONFIG).exists() and not (directory / RESULT).exists() if held is None else held


def _steps(directory: Path) -> int | None:
    try:
        return int(files.read_json(directory / CONFIG)["training"]["steps"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None


def _pace(directory: Path, steps: int | None) -> tuple[int, float | None, float | None]:
    """The step of the last record, its images per second, and the seconds left at that rate.

    The first record's rate has compiling in it and tells nothing of what is left.
    """
    records, complete = whole_records(directory, "speed/", RECENT)
    found: list[tuple[int, float, float | None]] = []
    for record in reversed(records):
        try:
            step, rate = int(record["step"]), float(record["speed/images_per_second"])
            left = (steps - step) * float(record["images"]) / step / rate if steps and step and rate else None
        except (ValueError, KeyError, TypeError, OverflowError):  # a damaged one
            continue
        if 0 <= step <= (steps or step) and math.isfinite(rate + (left or 0)):
            found.append((step, rate, left))
            if len(found) == 2:
                return found[0]
    return (*found[0][:2], None if complete else found[0][2]) if found else (0, None, None)


def rough(seconds: float) -> str:
    """A time for people: seconds, minutes or hours."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def totals(cells: list[Standing]) -> dict[State, int]:
    """How many cells stand in each way, in the order of the states; those that do not occur are left out."""
    return {state: count for state in STATES if (count := sum(cell.state == state for cell in cells))}


# --- how long it takes yet --------------------------------------------------------------------------------------------


_BETWEEN = 10.0  # seconds that a worker has to begin its next cell


@dataclass(frozen=True)
class Pace:
    """What the files of a cell tell of its time, in seconds; None for what they do not.

    since: when the process that wrote last began. fresh: whether that was at step 0 of this sweep. ended: when its
    result was written. step, recorded: the last record of training, and when it was written. a_step: what
    a step takes, compiling left out. compiling: that and all else before the first record but steps of this length.
    """

    since: float | None
    fresh: bool
    ended: float | None
    step: int = 0
    recorded: float | None = None
    a_step: float | None = None
    compiling: float | None = None

    @property
    def live(self) -> bool:
        """Whether the process that wrote last has recorded a step."""
        return self.since is not None and self.recorded is not None and self.recorded > self.since


def time_left(cells: list[Standing], ended: Container[str], began: float, now: float) -> float | None:
    """Seconds until a sweep is done; None where nothing runs, or where too little is recorded yet.

    cells: those that it was asked for; ended: the names of those that it will not try again, such as one that failed.
    began: when it was started, now: the time, both in seconds since the epoch. As many cells as run now, and as have
    just ended, go on running until none is left.
    """
    if all(cell.state != "running" for cell in cells):
        return None
    known = _paces(cells, began)
    ends = [
        each.ended - each.recorded
        for cell, each in known
        if cell.state == "finished" and each.ended and each.recorded and each.ended >= began
    ]
    end = max(0.0, fmean(ends)) if ends else 0.0
    wholes = _wholes(known, end, began)
    if not wholes:
        return None
    steps = {cell.name: each.a_step * cell.steps for cell, each in known if each.a_step and cell.steps}
    arounds = [max(0.0, whole - steps[name]) for name, whole in wholes.items() if name in steps]
    around = fmean(arounds) if arounds else 0.0
    running, waiting = [], []
    for cell, each in known:
        fresh = _like(cell.name, wholes)
        whole = around + (1 - cell.done) * max(0.0, fresh - around)
        if cell.state == "running" and each.live and each.a_step and cell.steps:
            running.append(max(0.0, (cell.steps - each.step) * each.a_step + end - (now - (each.recorded or now))))
        elif cell.state == "running":
            running.append(max(0.0, (fresh if each.fresh else whole) - (now - (each.since or now))))
        elif cell.name not in ended and cell.done < 1:
            waiting.append(whole)
    last = max(running)
    running += [0.0] * _between_cells(known, now)
    heapq.heapify(running)  # when each worker is free again
    for seconds in waiting:
        free = heapq.heappop(running) + seconds
        heapq.heappush(running, free)
        last = max(last, free)
    return last


def _between_cells(cells: list[tuple[Standing, Pace]], now: float) -> int:
    """Workers whose last cell has just ended, and whose next has not begun."""
    over = [
        each.ended for cell, each in cells if cell.state != "running" and each.ended and now - each.ended < _BETWEEN
    ]
    taken = [each for cell, each in cells if cell.state == "running" and over and (each.since or 0) >= min(over) - 0.5]
    return max(0, len(over) - len(taken))


def _wholes(cells: list[tuple[Standing, Pace]], end: float, began: float) -> dict[str, float]:
    """What whole cells take from beginning to end, by name: those that this sweep has finished, and for arms without
    any, those under way; where all were gone on with, their steps alone.
    """
    over, under_way, steps = {}, {}, {}
    for cell, each in cells:
        if cell.state == "finished" and each.fresh and each.since and each.ended and each.ended > each.since:
            over[cell.name] = each.ended - each.since
        elif each.live and each.a_step and cell.steps and (cell.state == "running" or (each.ended or 0) >= began):
            steps[cell.name] = each.a_step * cell.steps + end
            if cell.state == "running" and each.fresh and each.since and each.recorded:
                under_way[cell.name] = each.recorded - each.since + (cell.steps - each.step) * each.a_step + end
    arms = {_arm(name) for name in over}
    known = over | {name: whole for name, whole in under_way.items() if _arm(name) not in arms}
    return known or steps


def _like(name: str, wholes: dict[str, float]) -> float:
    """What a cell takes: the mean of its arm where that is known, else of all."""
    own = [whole for other, whole in wholes.items() if _arm(other) == _arm(name)]
    return fmean(own or wholes.values())


def _arm(name: str) -> str:
    return re.sub(r"-seed\d+$", "", name)


def _paces(cells: list[Standing], began: float) -> list[tuple[Standing, Pace]]:
    """Each cell with its pace. A first record holds compiling too: it tells a step's time once others tell theirs."""
    found = [(cell, _pace_of(cell.directory, began)) for cell in cells]
    compiling = [each.compiling for _, each in found if each.compiling is not None and each.a_step]
    if not compiling:
        return found
    usual = fmean(compiling)
    return [
        (cell, each)
        if each.a_step or not (each.fresh and each.step and each.compiling)
        else (cell, replace(each, a_step=max(0.0, each.compiling - usual) / each.step or None))
        for cell, each in found
    ]


def _pace_of(directory: Path, began: float) -> Pace:
    since, made, ended, written = (_written(directory / name) for name in (LOCK, CONFIG, RESULT, METRICS))
    records, clock = _records(directory)
    fresh = made is not None and made >= began - 1
    if since is None or written is None or not records:
        return Pace(since, fresh, ended)
    (first, then), (step, trained) = records[0], records[-1]
    recorded = written - (clock - trained)
    whole = recorded - since >= trained - 1  # else it was gone on with
    a_step = (trained - then) / (step - first) if step > first and trained > then else None
    compiling = then - first * (a_step or 0.0) if fresh and whole else None
    return Pace(since, fresh and whole, ended, step, recorded, a_step, compiling)


def _records(directory: Path) -> tuple[list[tuple[int, float]], float]:
    """Step and seconds of training of the last records of losses, in order; and the seconds of the last of all."""
    found: list[tuple[int, float]] = []
    clock = 0.0
    for record in whole_records(directory, last_bytes=RECENT)[0]:
        try:
            step, clock = int(record["step"]), float(record["seconds"])
            if "speed/images_per_second" in record:
                found.append((step, clock))
        except (ValueError, OverflowError):  # not finite
            continue
    return found, clock


def _written(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
