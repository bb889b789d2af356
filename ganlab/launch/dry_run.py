"""`ganlab.train ... --dry-run`: what a command would run, what that costs, and whether its seeds can give a verdict.

Nothing is written into any run's folder. The cost comes from steps that are timed here, in separate processes.
"""

import contextlib
import heapq
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from ganlab import device
from ganlab.cli.hydra import Cell, Plan
from ganlab.config import RunConfig, parse
from ganlab.environment import usable_cores
from ganlab.errors import ConfigError, in_a_line
from ganlab.launch.process import thread_variables
from ganlab.run.resume import with_steps
from ganlab.runs.folder import CHECKPOINTS, finished, read_config
from ganlab.runs.result import ResultError
from ganlab.runs.status import format_duration
from ganlab.study.arms import label_of, settings_of
from ganlab.training import checkpoints

_PATIENCE = 60.0  # seconds for all measurements
_SECONDS = 1.5  # of timed steps of one arm
_MOST_PROCESSES = 4  # processes that time steps at once
_MOST_LISTED = 8  # arms that are listed one by one


class Cost(NamedTuple):
    """The time of an arm here, in seconds: from the start of its process to its first step, and each further step."""

    begin: float
    step: float


def show(plan: Plan) -> int:
    """Print the cells of a plan and their state, whether they can give a verdict, and what they cost; returns 0.

    Raises ConfigError as the command itself would, for folders with other settings and for data that cannot be read.
    """
    if plan.resume is not None:
        config = read_config(plan.resume, "resume=")
        if plan.steps is not None:
            config = with_steps(config, plan.steps)
        plan = Plan([Cell(config, plan.resume)], None, None, steps=plan.steps)
    root = plan.sweep or Path()
    longer = plan.steps is not None and plan.sweep is None
    steps_left = [
        cell.config.training.steps - _last_checkpoint(cell.directory) if longer else _steps_left(cell)
        for cell in plan.cells
    ]
    count = len(plan.cells)
    print(f"{count} run{'s' * (count > 1)}" + (f" in {plan.sweep}" if plan.sweep else "") + "; nothing is started")
    names = [os.path.relpath(cell.directory, root) for cell in plan.cells]
    width = max(map(len, names))
    for cell, name, steps in zip(plan.cells, names, steps_left, strict=True):
        print(f"  {name:<{width}}  {_describe(cell, steps)}")
    if plan.sweep:
        from ganlab.launch.sweep import prospects

        for line in prospects(plan):
            print(line)
    todo = [(cell, steps) for cell, steps in zip(plan.cells, steps_left, strict=True) if steps]
    if not todo:
        print("all have ended: the command would start nothing")
        return 0
    sys.stdout.flush()
    for line in _costs(todo, _at_a_time(plan)):
        print(line)
    return 0


def _steps_left(cell: Cell) -> int:
    """Steps that a cell has left; 0 if it has ended."""
    with contextlib.suppress(ResultError):  # a damaged result is reported when it runs
        if finished(cell.config, cell.directory) is not None:
            return 0
    return max(1, cell.config.training.steps - _last_checkpoint(cell.directory))


def _last_checkpoint(directory: Path) -> int:
    """The step of the newest checkpoint; 0 without one."""
    return checkpoints.newest(directory / CHECKPOINTS) or 0


def _describe(cell: Cell, left: int) -> str:
    if not left:
        return "has ended"
    step, steps = _last_checkpoint(cell.directory), cell.config.training.steps
    return f"resumes from step {step:,} of {steps:,}" if step else f"to run, {steps:,} steps"


def _at_a_time(plan: Plan) -> int | None:
    """How many cells the launcher runs at a time here; None if it runs them elsewhere."""
    if plan.launcher == "joblib":
        import joblib

        return max(1, min(joblib.effective_n_jobs(plan.jobs), len(plan.cells)))
    return 1 if plan.launcher == "basic" else None


def _costs(todo: list[tuple[Cell, int]], at_a_time: int | None) -> list[str]:
    """Lines on the time that cells take; `todo`: cells and their steps left."""
    arms: list[tuple[dict[str, Any], RunConfig]] = []
    arm_of_cell = []
    for cell, _ in todo:
        settings = settings_of(cell.config.model_dump(mode="json"))
        place = next((place for place, (other, _) in enumerate(arms) if other == settings), len(arms))
        if place == len(arms):
            arms.append((settings, cell.config))
        arm_of_cell.append(place)
    workers = min(at_a_time or 1, len(todo))
    timed = measure([config for _, config in arms], workers)
    if not timed:
        return [f"no step was timed within {_PATIENCE:.0f} s, so the cost is not known"]
    mean_cost = Cost(*(fmean(column) for column in zip(*timed.values(), strict=True)))
    costs = [timed.get(place, mean_cost) for place in range(len(arms))]
    seconds = [
        costs[place].begin + steps * costs[place].step for place, (_, steps) in zip(arm_of_cell, todo, strict=True)
    ]
    trees = [settings for settings, _ in arms]
    texts = [f"{costs[place].step * 1e3:.3g} ms a step ({label_of(trees[place], trees)})" for place in timed]
    if len(texts) > _MOST_LISTED:
        texts = [f"{mean_cost.step * 1e3:.3g} ms a step (mean of {len(texts)} arms)"]
    if at_a_time is None:
        time_needed = f"about {format_duration(sum(seconds))} in all, one after the other on a machine like this one"
    else:
        at_once = "one at a time" if workers == 1 else f"with {workers} at a time"
        time_needed = f"about {format_duration(_schedule(seconds, workers))}" + (f" {at_once}" if len(todo) > 1 else "")
    lines = [
        f"{time_needed}: {', '.join(texts)}, {mean_cost.begin:.0f} s to start; measures and pictures take extra time"
    ]
    if len(timed) < len(arms):
        lines.append(f"{len(timed)} of {len(arms)} arms were timed; the others count as their mean")
    if any(config.training.replicas > 1 for _, config in arms):
        lines.append("timed on one device: training.replicas divides the batch among more")
    return lines


def _schedule(seconds: list[float], workers: int) -> float:
    """When the last job is done, each started as soon as a worker is free."""
    free = [0.0] * workers
    for duration in seconds:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


def measure(configs: list[RunConfig], at_once: int = 1) -> dict[int, Cost]:
    """The cost of these settings, by place in the list, without those for which there was no time.

    at_once: how many runs will share the machine; steps are timed in as many processes, at most four. Raises
    ConfigError for what cannot be run here.
    """
    workers = min(at_once, _MOST_PROCESSES)
    queues = [[place for place in range(len(configs)) if place % workers == number] for number in range(workers)]
    queues = [queue or [0] for queue in queues]  # with fewer arms than workers, the others time the first arm
    deadline = time.monotonic() + _PATIENCE
    children = [_start(queue, configs, at_once) for queue in queues]
    costs: dict[int, Cost] = {}
    try:
        for child in children:
            try:
                out, err = child.communicate(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                out, err = child.communicate()
            else:
                if child.returncode:
                    raise ConfigError(
                        in_a_line(err.strip().splitlines()[-1] if err.strip() else "no step could be timed")
                    )
            for line in out.splitlines():
                with contextlib.suppress(ValueError, TypeError):  # half a line
                    place, *cost = json.loads(line)
                    costs[place] = Cost(*cost)
    finally:
        for child in children:
            if child.stdout and not child.stdout.closed:
                child.kill()
                child.communicate()
    return dict(sorted(costs.items()))


def _start(queue: list[int], configs: list[RunConfig], at_once: int) -> subprocess.Popen[str]:
    share = max(1, usable_cores() // at_once)
    threads = {"OMP_NUM_THREADS": str(share), **thread_variables(share)}
    child = subprocess.Popen(
        [sys.executable, "-m", "ganlab.launch.dry_run"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=(threads if at_once > 1 else {}) | os.environ,
    )
    assert child.stdin
    jobs = {"began": time.time(), "jobs": [[place, configs[place].model_dump(mode="json")] for place in queue]}
    with contextlib.suppress(BrokenPipeError):  # it has ended and will say why
        child.stdin.write(json.dumps(jobs))
        child.stdin.close()
    child.stdin = None  # communicate would flush it
    return child


def main() -> None:
    """The child: reads settings from stdin, and prints a line with the cost of each."""
    from ganlab.cli.exit import one_line

    request = json.load(sys.stdin)
    with one_line():
        _time_all([(place, parse(tree)) for place, tree in request["jobs"]], request["began"])


def _time_all(jobs: list[tuple[int, RunConfig]], began: float) -> None:
    import keras

    machine = device.start("float32", threads=jobs[0][1].training.threads)
    from ganlab.data.sources import DATASETS  # TensorFlow: after its start
    from ganlab.run.build import build_gan, check_images
    from ganlab.run.resume import check_fit

    started = time.time() - began
    for place, config in jobs:
        if time.time() - began > _PATIENCE / 2 and place != jobs[0][0]:
            return  # printed lines count, and no step is interrupted
        before = time.time()
        precision, compiled = chosen(config, machine)
        keras.config.set_dtype_policy(precision)
        images = DATASETS[config.dataset.name](config.dataset).train
        check_images(config, images)
        if config.init_from and config.init_from.step in checkpoints.steps(Path(config.init_from.run) / CHECKPOINTS):
            check_fit(config.init_from, build_gan(config).tensors())
        _, step = time_step(config, images, xla=compiled == "xla", seconds=_SECONDS)
        timed = max(_SECONDS, 6 * step)  # after the first call
        print(json.dumps([place, started + max(0.0, time.time() - before - timed), step]), flush=True)


# --- the time of a step here -----------------------------------------------------------------------------------------


def chosen(config: Any, machine: device.Device) -> tuple[str, str]:
    """The precision and the compilation that a run with these settings would use here."""
    planned = replace(machine, precision=device.choose_precision(config.precision, machine.capability))
    return planned.precision, "xla" if planned.xla(config.training.compile, config.training.steps) else "graph"


def time_step(config: Any, images: Any, *, xla: bool, seconds: float = 3.0) -> tuple[float, float]:
    """Seconds of the first call, which compiles, and of a later step: the median of five rounds.

    seconds: how long to time steps in all.
    """
    import numpy as np
    import tensorflow as tf

    from ganlab.run.build import build_gan, build_steps

    gan = build_gan(config)
    steps = build_steps(gan, config, images, xla=xla)

    def timed(count: int) -> float:
        before = time.perf_counter()
        steps(tf.constant(count, tf.int64))
        gan.step.numpy()
        return time.perf_counter() - before

    first, second = timed(1), timed(1)
    count = max(1, int(seconds / 5 / second))
    return first, float(np.median([timed(count) / count for _ in range(5)]))


if __name__ == "__main__":
    main()
