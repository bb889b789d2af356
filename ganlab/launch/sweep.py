"""Many runs: each cell in its own process; cells that have ended are skipped, unfinished ones are named at the end."""

import contextlib
import json
import multiprocessing
import os
import shlex
import signal
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor
from functools import partial
from pathlib import Path
from typing import NoReturn

from omegaconf import DictConfig
from rich.text import Text

from ganlab.cli.hydra import Cell, Plan
from ganlab.config import RunConfig, flatten, parse
from ganlab.environment import safe_path
from ganlab.errors import ConfigError, in_a_line
from ganlab.files import read_bytes, write_json
from ganlab.launch.process import dealt_gpus, run_apart, threads_of
from ganlab.runs import tracking
from ganlab.runs.console import Console, bar_row, live_bar
from ganlab.runs.folder import GENERATOR, claimed, finished, lacks_generator, read_config
from ganlab.runs.result import CONFIG, LOG, ResultError, find_files, write_result
from ganlab.runs.signals import STOPPING, StopRequests, on_stop_signal
from ganlab.runs.status import (
    CellStatus,
    describe_status,
    format_duration,
    may_have_writer,
    read_status,
    record_sweep,
    result_mtime_ns,
    time_left,
)
from ganlab.study.tuning import is_tuning

_LEADER = "GANLAB_SWEEP"  # the process whose end also ends this machine's workers of a sweep
_STOP = "GANLAB_SWEEP_STOP"  # a file that exists once they should stop
_HERE = ("basic", "joblib")  # launchers whose jobs all start before they end
_PATIENCE = 60.0  # seconds that cells have to save when a sweep is stopped
_STARTS = 5  # attempts with a launcher whose workers are killed


def launch(plan: Plan, arguments: list[str], start: Callable[[list[str]], None]) -> int:
    """Check the cells of a sweep, record them, let Hydra's launcher start them, and report how they ended.

    start: lets Hydra launch the cells, with overrides besides those of the command line. Returns the exit status: 0 if
    every cell has finished, 1 if not or if the launcher failed, 130 after a stop. Raises ConfigError, before the first
    starts, for cells whose folders hold other settings.
    """
    folder = plan.sweep
    assert folder
    ended = [_ended(cell) for cell in plan.cells]
    cells = {os.path.relpath(cell.directory, folder): cell.directory for cell in plan.cells}
    with claimed(folder, wait=True):
        record_sweep(folder, shlex.join(["python", "-m", "ganlab.train", *arguments]), cells)
    print(f"{len(cells)} runs in {folder}", flush=True)
    for line in prospects(plan):
        print(line, flush=True)
    stopped = failed = False
    with _stoppable(plan.cells, folder, queued=plan.launcher not in _HERE), watched(cells):
        try:
            if not all(ended):
                with safe_path():
                    _start(lambda: start(_to_workers(plan, arguments)))
        except KeyboardInterrupt:
            stopped = True
            _let_save(plan.cells)
        except ConfigError:
            raise
        except Exception as error:  # a cluster's job was killed, a timeout: the cells are reported anyway
            failed = True
            print(f"the launcher failed: {_describe(error)}", file=sys.stderr, flush=True)
            if plan.launcher in _HERE:  # its workers end with it; those elsewhere continue
                _let_save(plan.cells)
    status = report(plan.cells, folder)
    return 130 if stopped else max(status, int(failed))


def prospects(plan: Plan) -> list[str]:
    """Whether the seeds of a sweep, with those of runs already in its folder, can give a verdict."""
    from ganlab.report.sentences import can_decide

    assert plan.sweep
    planned = {os.path.realpath(cell.directory) for cell in plan.cells}
    configs = [cell.config.model_dump(mode="json") for cell in plan.cells]
    for path in find_files(plan.sweep, CONFIG) if plan.sweep.is_dir() else []:
        if os.path.realpath(path.parent) not in planned:
            with contextlib.suppress(ConfigError):  # of another version: compare will report it
                configs.append(read_config(path.parent).model_dump(mode="json"))
    if is_tuning(map(flatten, configs)):
        return [f"several rates of several generators: python -m ganlab.tune {shlex.quote(str(plan.sweep))} will say "
                "which is best for each"]  # fmt: skip
    return can_decide(configs, plan.cells[0].config.comparison)


def _describe(error: Exception) -> str:
    return in_a_line(error) or type(error).__name__


def _is_whole(config: RunConfig, directory: Path) -> bool:
    """Whether a run has ended, with its generator if it can have one."""
    result = finished(config, directory)
    return result is not None and not lacks_generator(result, directory)


def _ended(cell: Cell) -> bool:
    """Whether a cell has nothing left to do; one with a damaged result has: it must report that."""
    try:
        return _is_whole(cell.config, cell.directory)
    except ResultError:
        return False


@contextlib.contextmanager
def _stoppable(cells: list[Cell], folder: Path, *, queued: bool) -> Iterator[None]:
    """While inside, a stop signal is a KeyboardInterrupt once workers have saved; a second one does not wait.

    An interrupted joblib kills its workers and everything they started. queued: whether jobs may start hours after a
    stop, elsewhere; the file that tells them to stop is left for them. The next leader uses another name.
    """
    stop = folder.absolute() / f".stop-{os.getpid()}"
    stop.unlink(missing_ok=True)
    os.environ |= {_LEADER: str(os.getpid()), _STOP: str(stop)}

    requests = StopRequests()

    def ask(number: int) -> None:
        first = not requests
        if requests.receive(number):
            raise KeyboardInterrupt
        if not first:
            return
        os.write(sys.stderr.fileno(), b"stopping: running cells save a checkpoint first\n")  # print is not reentrant
        stop.touch()
        if multiprocessing.active_children():  # workers, which see the file
            _let_save(cells)
        raise KeyboardInterrupt

    try:
        with on_stop_signal(ask):
            yield
    finally:
        del os.environ[_LEADER], os.environ[_STOP]
        if not queued:
            stop.unlink(missing_ok=True)


def _stopping() -> bool:
    """Whether the sweep that this process works for should stop."""
    return _STOP in os.environ and Path(os.environ[_STOP]).exists()


def _start(launcher: Callable[[], None]) -> None:
    """Let the launcher start the cells; again if one of its workers was killed, which ends the others too."""
    for start in range(_STARTS):
        try:
            launcher()
            return
        except BrokenExecutor as error:
            why = f"a worker of the launcher was killed: {_describe(error)}"
            print(why if start == _STARTS - 1 else f"{why}; continuing with new ones", file=sys.stderr, flush=True)


def _to_workers(plan: Plan, arguments: list[str]) -> list[str]:
    """Overrides for a launcher's workers, which compose the settings again and must get the same ones.

    joblib gives each of its jobs an equal share of the cores, used or not: as many jobs as there are cells, ended or
    not, since one that continues with another share would end with other bits.
    """
    assert plan.sweep
    folder = str(plan.sweep.absolute()).replace("'", r"\'")
    overrides = [f"hydra.sweep.dir='{folder}'", *plan.naming]  # the default holds the time, which would differ
    if plan.launcher == "joblib":
        import joblib

        jobs = min(joblib.effective_n_jobs(plan.jobs), len(plan.cells))
        overrides.append(f"hydra.launcher.n_jobs={jobs}")
        if not any(text.startswith("hydra.launcher.batch_size=") for text in arguments):
            overrides.append("hydra.launcher.batch_size=1")  # else it puts several cells into one job after fast ones
    if plan.remaining_sweep is not None:
        overrides += ["hydra.sweeper.params=null", *plan.remaining_sweep]
    return overrides


def _let_save(cells: list[Cell]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and any(may_have_writer(cell.directory) for cell in cells):
        time.sleep(0.1)


def task_of(plan: Plan) -> Callable[[DictConfig], None]:
    """What Hydra's launchers are to call for each cell of a sweep, in this process or in one of theirs.

    It brings the settings that were checked: those that a worker composes would be other ones after a change of a YAML
    file or of images. They are compressed, since each job of a cluster gets those of all cells.
    """
    assert plan.sweep
    folder = plan.sweep.absolute()
    by_name = {
        os.path.relpath(cell.directory.absolute(), folder): cell.config.model_dump(mode="json") for cell in plan.cells
    }
    return partial(_run_cell, zlib.compress(json.dumps(by_name).encode()))


def _run_cell(compressed: bytes, _tree: DictConfig) -> None:
    from hydra.core.hydra_config import HydraConfig

    hydra = HydraConfig.get()
    directory, launcher = Path(hydra.runtime.output_dir), hydra.runtime.choices["hydra/launcher"]
    if launcher == "joblib":
        _follow_leader()
    try:
        config = parse(json.loads(zlib.decompress(compressed))[os.path.relpath(directory, hydra.sweep.dir)])
        run_to_end(config, directory, launcher)
    except Exception as error:  # the other cells continue
        print(f"{directory.name}: {_describe(error)}", file=sys.stderr, flush=True)


def run_to_end(config: RunConfig, directory: Path, launcher: str) -> None:
    """Start or resume a cell unless it has ended; if its process dies, its result records that."""
    if _stopping():
        return
    with claimed(directory, wait=True, stopping=_stopping) as lock:
        if _is_whole(config, directory):
            return
        if not (directory / CONFIG).exists():
            write_json(directory / CONFIG, config.model_dump(mode="json"))
        before = result_mtime_ns(directory)
        with dealt_gpus(config.training.replicas) as (gpus, slots):
            status = run_apart(directory, threads_of(launcher) | gpus, (lock, *slots), _stopping)
        if status in (0, 130) or result_mtime_ns(directory) != before:
            return
        if finished(config, directory):  # its result stays
            print(f"{directory.name}: {GENERATOR} is missing: {_death(status, directory)}", file=sys.stderr, flush=True)
            return
        kind = "interrupted" if -status in STOPPING else "failed"  # before it was ready to save
        write_result(config, directory, None, kind, error=_death(status, directory))


def _death(status: int, directory: Path) -> str:
    """Why a process ended without a result."""
    if status < 0:
        guess = " (out of memory?)" if -status == signal.SIGKILL else f" ({signal.strsignal(-status)})"
        return f"killed by signal {-status}{guess}"
    try:
        lines = read_bytes(directory / LOG, 2**26).decode(errors="replace").splitlines()
    except OSError:
        lines = []
    return next((line.strip() for line in reversed(lines) if line.strip()), f"exit status {status}")


def _follow_leader() -> None:
    """End this worker and its cell when the process that started it has ended.

    joblib's workers outlive a leader that was killed.
    """
    leader = int(os.environ[_LEADER])

    def follow() -> NoReturn:
        while os.getppid() == leader:
            time.sleep(0.2)
        os._exit(1)  # an exception would not reach the thread that waits for the cell

    if os.getpid() == leader:
        return  # joblib runs a single job in its own process
    if os.getppid() != leader:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches all: only the leader acts on it
    if not any(thread.name == _LEADER for thread in threading.enumerate()):
        threading.Thread(target=follow, name=_LEADER, daemon=True).start()


def report(cells: list[Cell], folder: Path) -> int:
    """Print which cells have finished and which have not; 0 if every cell has finished, else 1."""
    statuses = [read_status(cell.directory, os.path.relpath(cell.directory, folder)) for cell in cells]
    unfinished = [cell for cell in statuses if cell.state != "finished"]
    quoted = shlex.quote(str(folder))
    print(f"{len(statuses) - len(unfinished)} of {len(statuses)} runs finished in {folder}")
    for cell in unfinished:
        print(f"  {cell.name}: {describe_status(cell)}")
    for cell in statuses:
        if why := tracking.failure(cell.directory):
            print(f"  {cell.name}: {why}")
    if any(cell.state != "diverged" for cell in unfinished):
        unnamed = cells[0].config.study is None  # a folder named by the time, unless the command names it
        print(f"the same command continues them{f' (with hydra.sweep.dir={quoted})' if unnamed else ''}")
    if is_tuning(flatten(cell.config.model_dump(mode="json")) for cell in cells):
        print(f"best rates:   python -m ganlab.tune {quoted}")
    elif len({cell.config.model_copy(update={"seed": 0}).model_dump_json() for cell in cells}) > 1:
        print(f"compare them: python -m ganlab.compare {quoted}")
    print(f"watch them:   python -m ganlab.dashboard {quoted}")
    return 1 if unfinished else 0


# --- its progress -----------------------------------------------------------------------------------------------------


_FINAL = ("finished", "diverged")  # all other states are tried again
_LOOK = 1.0  # seconds between two looks at the cells
_SILENCE = 60.0  # seconds after which the log gets a line anyway


@contextlib.contextmanager
def watched(cells: Mapping[str, Path], console: Console | None = None) -> Iterator[None]:
    """While inside, report each cell that ends and the progress of the sweep, wherever the cells run.

    cells: folders by name. Only the files of the runs are read, once a second.
    """
    watch = _Watch(cells, console or Console(soft_wrap=True, highlight=False))
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK):
            watch.look()

    thread = threading.Thread(target=look, name="watched", daemon=True)
    with watch.live or contextlib.nullcontext():
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            watch.look()
            watch.look()


class _Watch:
    """The progress of a sweep so far. Cells that had ended before are counted; others are reported when they end."""

    def __init__(self, cells: Mapping[str, Path], console: Console) -> None:
        self._cells, self._console = cells, console
        self._statuses = {name: read_status(directory, name) for name, directory in cells.items()}
        self._ended = {name for name, cell in self._statuses.items() if cell.state in _FINAL}
        self._news: list[CellStatus] = []
        self._printed = time.monotonic()
        self._at_once = 1  # the most cells that have been seen running
        self.live = live_bar(console)
        if self._ended:
            console.print(f"{len(self._ended)} of {len(cells)} had ended before")

    def look(self) -> None:
        """Report what the last look found, and look at the cells that have not ended.

        So a report comes a moment late: by then the next cell has started.
        """
        self._print()
        for name, before in self._statuses.items():
            if before.state in _FINAL:
                continue
            cell = self._statuses[name] = read_status(self._cells[name], name)
            if cell.state == "running":
                self._ended.discard(name)  # it was interrupted, such as by a killed worker, and is resumed
            elif cell != before:
                self._news.append(cell)
                self._ended.add(name)

    def _print(self) -> None:
        now, cells = time.monotonic(), list(self._statuses.values())
        running = sum(cell.state == "running" for cell in cells)
        line = f"{len(self._ended)} of {len(cells)} runs ended, {running} running"
        self._at_once = max(self._at_once, running)
        if left := time_left(cells, self._at_once):
            line += f", about {format_duration(left)} left"
        for cell in self._news:
            self._console.print(Text(f"{cell.name}: {describe_status(cell)}"))
        if self.live:
            self.live.update(bar_row(len(cells), sum(cell.done for cell in cells), line))
        elif self._news or now - self._printed >= _SILENCE:
            self._console.print(Text(line))
            self._printed = now
        self._news.clear()
