"""How long a sweep takes yet, from the files of its cells: what has been measured of each, laid out over its workers.

A run takes its start (libraries, images, compiling), its steps and its end (the thorough measures). A cell that has
recorded steps goes on at its own pace; one that has not begun takes what cells of its arm took, else what all took.
"""

import heapq
import re
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from ganlab.runs.records import METRICS, RECENT, whole_records
from ganlab.runs.result import CONFIG, LOCK, RESULT
from ganlab.runs.status import Standing

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
    found = [(cell, _pace(cell.directory, began)) for cell in cells]
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


def _pace(directory: Path, began: float) -> Pace:
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
