"""The same command twice at once, and sweeps in which a process ends too early; then the same command again.

Each row says what came of it, and whether all is as in a folder that was left alone. Used by `run.py` and by
`tests/faults/test_doubled.py`.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from faults import bits

ROOT = Path(__file__).parent.parent.parent
ENDS_ALONE = ("generator.output=linear", "penalty=none", "optimizer.d_learning_rate=1e30")  # a run that diverges


def start(folder: Path, name: str, *arguments: object) -> subprocess.Popen:
    """A command of ganlab, in a process group of its own."""
    line = [sys.executable, "-P", "-m", f"ganlab.{name}", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(line, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip


def end(process: subprocess.Popen) -> tuple[int, list[str]]:
    """The status of a command, and its lines of error."""
    _, errors = process.communicate(timeout=1200)
    return process.returncode, errors.splitlines()


def twice(folder: Path, name: str, *arguments: object) -> list[tuple[int, list[str]]]:
    """The ends of a command that is started twice at the same time: of the one that did the work first."""
    return sorted(map(end, [start(folder, name, *arguments) for _ in range(2)]))


def went_well(ends: list[tuple[int, list[str]]]) -> bool:
    """Whether one of two did the work, and the other did too or said one line."""
    (first, _), (second, said) = ends
    return first == 0 and (second == 0 or (second == 2 and len(said) == 1)) and "Traceback" not in "".join(said)


def contents(folder: Path) -> dict[str, str]:
    """A hash of each file of a report, or of the comparison of a dashboard but for what holds the time."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "tfevents" not in path.name)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def cells(sweep: Path) -> dict[str, dict[str, str]]:
    """What the finished cells of a sweep left."""
    return {path.parent.name: bits(path.parent) for path in sweep.glob("*/generator.keras")}


def wait_for(what: Callable[[], object], process: subprocess.Popen) -> None:
    """Wait until something is there, or until a command has ended."""
    while process.poll() is None and not what():
        time.sleep(0.02)


def process_of(cell: Path) -> int | None:
    """The process that trains a cell."""
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (place / "cmdline").read_bytes().decode().split("\0")
            if "ganlab.launch.process" in words and str(cell) in words:
                return int(place.name)
    return None


def doubled(folder: Path, overrides: list[str]) -> Iterator[tuple[str, bool, bool, str]]:
    """Each command given twice at once: its name, whether it went well, the same bits, what the second said."""

    def row(title: str, ends, same: bool):
        return title, went_well(ends), same, ends[1][1][0].replace(str(folder), "...") if ends[1][0] else ""

    assert end(start(folder, "train", *overrides, f"hydra.run.dir={folder / 'whole'}"))[0] == 0
    run, whole = folder / "twice", bits(folder / "whole")
    ends = twice(folder, "train", *overrides, f"hydra.run.dir={run}")
    yield row("train hydra.run.dir=RUN", ends, bits(run) == whole)
    (run / "result.json").unlink()
    shutil.rmtree(run / "checkpoints/step-00000006")
    ends = twice(folder, "train", f"resume={run}")
    yield row("train resume=RUN", ends, bits(run) == whole)

    sweep = _sweep(folder / "sweep", overrides)
    assert end(start(folder, *sweep))[0] == 0
    quiet, last = cells(folder / "sweep"), sorted((folder / "sweep").glob("*/config.json"))[-1].parent
    assert len(quiet) == 4
    shutil.rmtree(last)
    ends = twice(folder, *sweep)
    yield row("train -m", ends, cells(folder / "sweep") == quiet)
    for name, arguments, place in (("compare", (), "report"), ("dashboard", ("--no-serve",), "comparison")):
        assert end(start(folder, name, folder / "sweep", *arguments))[0] == 0
        once = contents(folder / "sweep" / place)
        shutil.rmtree(folder / "sweep" / place)
        ends = twice(folder, name, folder / "sweep", *arguments)
        yield row(f"{name} STUDY {' '.join(arguments)}".strip(), ends, contents(folder / "sweep" / place) == once)


def _sweep(folder: Path, overrides: list[str], *others: str) -> list[str]:
    swept = [text for text in overrides if not text.startswith("seed=")]
    return ["train", "-m", *swept, "generator=transpose,upsample", "seed=0,1", f"hydra.sweep.dir={folder}", *others]


def broken(folder: Path, overrides: list[str]) -> Iterator[tuple[str, int, int, bool]]:
    """Sweeps of four cells in which one process ends: what happened, the status, that of the same command again, bits.

    The folder is that of `doubled`. Two of the cells have ended before.
    """
    quiet, before = folder / "sweep", cells(folder / "sweep")
    todo = sorted(before)[2:]
    for title, number, hits_leader in (("a cell gets SIGKILL", signal.SIGKILL, False),
                                       ("the leader gets SIGKILL", signal.SIGKILL, True),
                                       ("the leader gets SIGTERM", signal.SIGTERM, True)):  # fmt: skip
        sweep = folder / "broken"
        shutil.copytree(quiet, sweep, ignore=lambda *_: [*todo, "report", "comparison"])  # no pattern: names have [ ]
        leader = start(folder, *(line := _sweep(sweep, overrides)))
        wait_for(lambda sweep=sweep: (sweep / todo[0] / "metrics.jsonl").exists(), leader)
        process = leader.pid if hits_leader else process_of(sweep / todo[0])
        assert process is not None
        os.kill(process, number)
        first, _ = end(leader)
        assert first, title
        second, _ = end(start(folder, *line))
        yield title, first, second, cells(sweep) == before
        shutil.rmtree(sweep)
    sweep = folder / "broken"
    line = _sweep(sweep, overrides, *ENDS_ALONE[:2], f"{ENDS_ALONE[2]},1e-3")
    line.remove("generator=transpose,upsample")
    first, _ = end(start(folder, *line))
    once = cells(sweep)
    for cell in once:
        (sweep / cell / "result.json").unlink()
    second, _ = end(start(folder, *line))
    yield "two of four cells diverge", first, second, cells(sweep) == once and len(once) == 2
