"""The time left of made-up sweeps, whose true end is known."""

import fcntl
import heapq
import json
import os
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from ganlab.runs.status import read_status, time_left

BEGAN = 1_700_000_000.0


@dataclass
class Made:
    """A sweep: every cell starts, compiles, trains, and measures at its end; so many at a time, in the order given."""

    arms: dict[str, float]  # seconds a step
    seeds: int = 4
    workers: int = 1
    start: float = 8.0
    compiling: float = 5.0
    end: float = 0.0
    steps: int = 1000
    log_every: int = 100
    between: float = 0.0  # one cell and the next
    done: tuple[str, ...] = ()  # had ended before
    half: tuple[str, ...] = ()  # were interrupted half way, before
    times: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self):
        free = [BEGAN] * self.workers
        for name in self.names:
            if name not in self.done:
                begin = heapq.heappop(free)
                steps = self.steps * (0.5 if name in self.half else 1)
                whole = self.start + self.compiling + steps * self.arms[name.partition("-")[0]] + self.end
                self.times[name] = begin, begin + whole
                heapq.heappush(free, begin + whole + self.between)
        self.over = max(end for _, end in self.times.values())

    @property
    def names(self):
        return [f"{arm}-seed{seed}" for seed in range(self.seeds) for arm in self.arms]

    def write(self, folder, now, stack):
        """The files as they are at a moment; who runs holds its lock."""
        for name in self.names:
            directory, a_step = folder / name, self.arms[name.partition("-")[0]]
            begin, end = self.times.get(name, (BEGAN - 2000, BEGAN - 1000))
            if begin > now and name not in self.half:
                continue
            directory.mkdir(exist_ok=True)
            first = self.steps // 2 if name in self.half else 0
            self.touch(
                directory / "config.json", begin if not first else BEGAN - 2000, {"training": {"steps": self.steps}}
            )
            lock = directory / ".lock"
            self.touch(lock, begin if begin <= now else BEGAN - 2000)
            lines, at = [], BEGAN - 1500
            if first:
                lines = [(step, 5 + step * a_step) for step in range(self.log_every, first + 1, self.log_every)]
            for step in range(first + self.log_every, self.steps + 1, self.log_every):
                moment = begin + self.start + self.compiling + (step - first) * a_step
                if moment <= now:
                    at = moment
                    lines.append((step, moment - begin - self.start + (5 + first * a_step if first else 0)))
            if lines:
                text = "".join(json.dumps({"step": s, "images": s, "seconds": c, "speed/images_per_second": 1.0}) + "\n"
                               for s, c in lines)  # fmt: skip
                (directory / "metrics.jsonl").write_text(text)
                os.utime(directory / "metrics.jsonl", (at, at))
            if end <= now:
                result = {"status": "finished", "variant": name.partition("-")[0], "seed": 0, "config": {}}
                self.touch(directory / "result.json", end, result)
            elif begin <= now:
                fcntl.flock(stack.enter_context(lock.open()), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def touch(self, path, when, tree=None):
        path.write_text("" if tree is None else json.dumps(tree))
        os.utime(path, (when, when))

    def estimate(self, folder, now):
        with ExitStack() as stack:
            self.write(folder, now, stack)
            cells = [read_status(folder / name, name) for name in self.names]
            ended = {cell.name for cell in cells if cell.state == "finished"}
            return time_left(cells, ended, BEGAN, now)


SWEEPS = {
    "one at a time": Made({"a": 0.02, "b": 0.02}),
    "two at a time": Made({"a": 0.02, "b": 0.02}, workers=2),
    "short runs after a long start": Made({"a": 0.005, "b": 0.005}, workers=2, start=12.0, seeds=6),
    "long runs": Made({"a": 0.5}, workers=2, seeds=3),
    "a last one alone": Made({"a": 0.1}, workers=2, seeds=3),
    "thorough measures": Made({"a": 0.02, "b": 0.02}, workers=2, end=30.0),
    "an arm that is slow": Made({"a": 0.02, "slow": 0.2}, workers=2, seeds=3),
    "most had ended before": Made({"a": 0.05, "b": 0.05}, workers=2, done=tuple(f"{x}-seed{n}" for x in "ab" for n in range(3))),
    "some were half done": Made({"a": 0.05, "b": 0.05}, workers=2, half=("a-seed0", "b-seed0", "b-seed2")),
}  # fmt: skip


@pytest.mark.parametrize("name", SWEEPS)
def test_time_left_is_near_the_truth_all_the_way(tmp_path, name):
    """From the second record of the first cell on; where cells end in a way of their own, once one has ended."""
    sweep, said = SWEEPS[name], 0
    whole = sweep.over - BEGAN
    first_end = min(end for _, end in sweep.times.values())
    for share in (0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9, 0.97):
        now = BEGAN + share * whole
        found = sweep.estimate(tmp_path, now)
        if found is None:
            assert now < BEGAN + sweep.start + sweep.compiling + 2 * sweep.log_every * max(sweep.arms.values())
            continue
        said += 1
        if (sweep.end or len(set(sweep.arms.values())) > 1) and now < first_end:
            assert found < 1.5 * (sweep.over - now)
            continue
        assert found == pytest.approx(sweep.over - now, rel=0.15, abs=0.04 * whole), (share, whole)
    assert said >= 5


def test_a_worker_between_two_cells_is_counted(tmp_path):
    """One of two cells has ended, its worker takes a moment to begin the next: that is no sweep of one at a time."""
    sweep = Made({"a": 0.1, "b": 0.11}, workers=2, seeds=6, between=3.0)
    now = sweep.times["a-seed0"][1] + 1.5
    assert sweep.estimate(tmp_path, now) == pytest.approx(sweep.over - now, rel=0.05)
    alone = Made({"a": 0.1, "b": 0.1}, between=0.2)
    now = alone.times["a-seed0"][1] + 1.5
    (tmp_path / "alone").mkdir()
    assert alone.estimate(tmp_path / "alone", now) == pytest.approx(alone.over - now, rel=0.05)


def test_nothing_is_said_where_nothing_runs_or_nothing_is_known(tmp_path):
    sweep = SWEEPS["one at a time"]
    assert sweep.estimate(tmp_path, BEGAN + 3) is None  # starting
    assert sweep.estimate(tmp_path, BEGAN + sweep.start + sweep.compiling + 2.5) is None  # one record, of the compiling
    cells = [read_status(tmp_path / name, name) for name in sweep.names]
    assert time_left(cells, (), BEGAN, BEGAN + 30) is None  # its process is gone
