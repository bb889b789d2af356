"""Many runs: each cell in a process of its own, skipped where it has ended, and named at the end if it did not."""

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import NoReturn

from omegaconf import DictConfig

from ganlab.compose import Cell, Plan, settings
from ganlab.config import RunConfig
from ganlab.isolate import run_apart
from ganlab.reporting.cells import edition, is_held, outcome, record_sweep, stand
from ganlab.reporting.results import CONFIG, write_json
from ganlab.reporting.watching import watched
from ganlab.run.folder import claimed, finished, write_result
from ganlab.share import dealt_gpus, threads_of

_LEADER = "GANLAB_SWEEP"  # the process that this machine's workers of a sweep end with
_PATIENCE = 60.0  # seconds that cells have to save when a sweep is stopped


def launch(plan: Plan, arguments: list[str], hydra: Callable[[list[str]], None]) -> int:
    """Check the cells of a sweep, record them, let Hydra's launcher start them, and say how they ended.

    hydra: runs Hydra with the arguments of a command line. Returns the exit status: 0 where every cell has finished,
    1 where not, 130 after Ctrl-C or SIGTERM. Raises ConfigError, before the first starts, for cells whose folders
    hold other settings.
    """
    folder = plan.sweep
    assert folder
    ended = [finished(cell.config, cell.directory) is not None for cell in plan.cells]
    cells = {os.path.relpath(cell.directory, folder): cell.directory for cell in plan.cells}
    with claimed(folder, wait=True):
        record_sweep(folder, shlex.join(["python", "-m", "ganlab.train", *arguments]), cells)
    os.environ[_LEADER] = str(os.getpid())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"{len(cells)} runs in {folder}", flush=True)
    stopped = False
    with watched(cells):
        try:
            if not all(ended):
                hydra([*arguments, *_to_workers(plan, arguments)])
        except BrokenExecutor as error:
            print(f"a worker of the launcher was killed: {' '.join(str(error).split())}", file=sys.stderr)
        except KeyboardInterrupt:
            stopped = True
            print("stopping: running cells save a checkpoint first", file=sys.stderr, flush=True)
            _let_save(plan.cells)
    status = report(plan.cells, folder)
    return 130 if stopped else status


def _to_workers(plan: Plan, arguments: list[str]) -> list[str]:
    """What a launcher's workers, which compose the settings again, must find as it was here."""
    assert plan.sweep
    place = str(plan.sweep.absolute()).replace("'", r"\'")
    more = [f"hydra.sweep.dir='{place}'"]  # the default holds the time, which goes on
    if plan.launcher == "joblib" and not any(text.startswith("hydra.launcher.batch_size=") for text in arguments):
        more.append("hydra.launcher.batch_size=1")  # joblib would put the cells after some skipped ones into one job
    return [*more, *(f"~hydra.sweeper.params.{key}" for key in plan.replaced)]


def _let_save(cells: list[Cell]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and any(is_held(cell.directory) for cell in cells):
        time.sleep(0.1)


def run_cell(tree: DictConfig) -> None:
    """What Hydra's launchers call for each cell, in this process or in one of theirs."""
    from hydra.core.hydra_config import HydraConfig

    hydra = HydraConfig.get()
    directory, launcher = Path(hydra.runtime.output_dir), hydra.runtime.choices["hydra/launcher"]
    if launcher == "joblib":
        _follow_leader()
    try:
        run_to_end(settings(tree), directory, launcher)
    except Exception as error:  # the other cells go on
        print(f"{directory.name}: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr, flush=True)


def run_to_end(config: RunConfig, directory: Path, launcher: str) -> None:
    """Run a cell, or go on with it, unless it has ended; a process that dies on the way leaves a record of that."""
    with claimed(directory, wait=True) as lock:
        if finished(config, directory) is not None:
            return
        if not (directory / CONFIG).exists():
            write_json(directory / CONFIG, config.model_dump(mode="json"))
        before = edition(directory)
        with dealt_gpus(config.training.replicas) as (gpus, slots):
            status = run_apart(directory, threads_of(launcher) | gpus, (lock, *slots))
        if status not in (0, 130) and edition(directory) == before:
            write_result(config, directory, None, "failed", error=_death(status, directory))


def _death(status: int, directory: Path) -> str:
    """Why a process ended that left no result."""
    if status < 0:
        guess = " (out of memory?)" if -status == signal.SIGKILL else f" ({signal.strsignal(-status)})"
        return f"killed by signal {-status}{guess}"
    lines = (directory / "log.txt").read_text(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), f"exit status {status}")


def _follow_leader() -> None:
    """End this worker, and with it its cell, when the process that started it is gone."""
    leader = int(os.environ[_LEADER])

    def follow() -> NoReturn:
        while os.getppid() == leader:
            time.sleep(0.2)
        os._exit(1)  # the thread that waits for the cell would not hear of an exception

    if os.getpid() == leader:
        return  # joblib runs a single job where it is
    if os.getppid() != leader:
        os._exit(1)
    if not any(thread.name == _LEADER for thread in threading.enumerate()):
        threading.Thread(target=follow, name=_LEADER, daemon=True).start()


def report(cells: list[Cell], folder: Path) -> int:
    """Say what is there and what is not, by name; 0 where every cell has finished, else 1."""
    found = [stand(cell.directory, os.path.relpath(cell.directory, folder)) for cell in cells]
    unfinished = [cell for cell in found if cell.state != "finished"]
    print(f"{len(found) - len(unfinished)} of {len(found)} runs finished in {folder}")
    for cell in unfinished:
        print(f"  {cell.name}: {outcome(cell)}")
    if any(cell.state != "diverged" for cell in unfinished):
        print(f"the same command goes on with them (add hydra.sweep.dir={folder} where no study is named)")
    print(f"compare them: python -m ganlab.compare {folder}")
    print(f"watch them:   python -m ganlab.dashboard {folder}")
    return 1 if unfinished else 0
