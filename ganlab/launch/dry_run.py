"""`ganlab.train ... --dry-run`: what a command would run, what that costs, and whether its seeds can give a verdict.

Nothing is written into any run's folder. The cost comes from steps that are timed here.
"""

import contextlib
import json
import math
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from ganlab import device
from ganlab.cli.hydra import Cell, Plan
from ganlab.config import RunConfig
from ganlab.environment import usable_cores
from ganlab.run.resume import check_extension, with_steps
from ganlab.runs.folder import CHECKPOINTS, finished, read_config
from ganlab.runs.result import ResultError
from ganlab.runs.status import format_duration
from ganlab.study.arms import label_of, settings_of
from ganlab.training import checkpoints

_PATIENCE = 30.0  # seconds after which no further arm is timed
_SECONDS = 1.5  # of timed steps of one arm
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
            check_extension(plan.resume, plan.steps)
            config = with_steps(config, plan.steps)
        plan = Plan([Cell(config, plan.resume)], None, None, steps=plan.steps)
    root = plan.sweep or Path()
    steps_left = [_steps_left(cell, longer=plan.steps is not None and plan.sweep is None) for cell in plan.cells]
    count = len(plan.cells)
    print(f"{count} run{'s' * (count > 1)}" + (f" in {plan.sweep}" if plan.sweep else "") + "; nothing is started")
    names = [os.path.relpath(cell.directory, root) for cell in plan.cells]
    width = max(map(len, names))
    for cell, name, left in zip(plan.cells, names, steps_left, strict=True):
        step, steps = _last_checkpoint(cell.directory), cell.config.training.steps
        state = f"resumes from step {step:,} of {steps:,}" if step else f"to run, {steps:,} steps"
        print(f"  {name:<{width}}  {state if left else 'has ended'}")
    if plan.sweep:
        from ganlab.launch.sweep import prospects

        for line in prospects(plan):
            print(line)
    todo = [(cell.config, left) for cell, left in zip(plan.cells, steps_left, strict=True) if left]
    if not todo:
        print("all have ended: the command would start nothing")
        return 0
    sys.stdout.flush()
    for line in _costs(todo, _at_a_time(plan)):
        print(line)
    return 0


def _steps_left(cell: Cell, *, longer: bool) -> int:
    """Steps that a cell has left; 0 if it has ended, which does not count where it is to train longer."""
    left = cell.config.training.steps - _last_checkpoint(cell.directory)
    if longer:
        return left
    with contextlib.suppress(ResultError):  # a damaged result is reported when it runs
        if finished(cell.config, cell.directory) is not None:
            return 0
    return max(1, left)


def _last_checkpoint(directory: Path) -> int:
    """The step of the newest checkpoint; 0 without one."""
    return checkpoints.newest(directory / CHECKPOINTS) or 0


def _at_a_time(plan: Plan) -> int | None:
    """How many cells the launcher runs at a time here; None if it runs them elsewhere."""
    if plan.launcher == "joblib":
        import joblib

        return max(1, min(joblib.effective_n_jobs(plan.jobs), len(plan.cells)))
    return 1 if plan.launcher == "basic" else None


def _costs(todo: list[tuple[RunConfig, int]], at_a_time: int | None) -> list[str]:
    """Lines on the time that cells take; `todo`: their settings and steps left."""
    arm_of_cell = [json.dumps(settings_of(config.model_dump(mode="json"))) for config, _ in todo]
    arms = {name: config for name, (config, _) in zip(arm_of_cell, todo, strict=True)}
    names, workers = [*arms], min(at_a_time or 1, len(todo))
    timed = {names[place]: cost for place, cost in measure([*arms.values()], workers).items()}
    mean_cost = Cost(*(fmean(column) for column in zip(*timed.values(), strict=True)))
    costs = [timed.get(name, mean_cost) for name in arm_of_cell]
    seconds = [cost.begin + steps * cost.step for cost, (_, steps) in zip(costs, todo, strict=True)]
    trees = [json.loads(name) for name in names]
    texts = [f"{cost.step * 1e3:.3g} ms a step ({label_of(json.loads(name), trees)})" for name, cost in timed.items()]
    if len(texts) > _MOST_LISTED:
        texts = [f"{mean_cost.step * 1e3:.3g} ms a step (mean of {len(texts)} arms)"]
    if at_a_time is None:
        time_needed = f"about {format_duration(sum(seconds))} in all, one after the other on a machine like this one"
    else:
        at_once = "one at a time" if workers == 1 else f"with {workers} at a time"
        whole = max(*seconds, math.ceil(len(seconds) / workers) * fmean(seconds), sum(seconds) / usable_cores())
        time_needed = f"about {format_duration(whole)}" + (f" {at_once}" if len(todo) > 1 else "")
    extra = "measures and pictures take extra time" + ", and runs slow each other down" * (workers > 1)
    lines = [f"{time_needed}: {', '.join(texts)}, {mean_cost.begin:.0f} s to start; {extra}"]
    if len(timed) < len(arms):
        lines.append(f"{len(timed)} of {len(arms)} arms were timed; the others count as their mean")
    if any(config.training.replicas > 1 for config in arms.values()):
        lines.append("timed on one device: training.replicas divides the batch among more")
    return lines


def measure(configs: list[RunConfig], at_once: int = 1) -> dict[int, Cost]:
    """The cost of these settings, by place in the list, without those for which there was no time.

    at_once: how many runs will share the cores. Steps are timed in this process, one after the other, so that what
    runs at once take from one another besides cores is not in them. Raises ConfigError for what cannot be run here.
    """
    began, share = time.perf_counter(), max(1, usable_cores() // at_once) if at_once > 1 else 0
    machine = device.start("float32", threads=configs[0].training.threads or share)
    import keras  # after TensorFlow's start, as what follows

    from ganlab.data.sources import DATASETS
    from ganlab.run.build import build_gan, check_images
    from ganlab.run.resume import check_fit

    costs, ready = {}, time.perf_counter()
    for place, config in enumerate(configs):
        before = time.perf_counter()
        if costs and before - ready > _PATIENCE:
            break
        precision, compiled = chosen(config, machine)
        keras.config.set_dtype_policy(precision)
        images = DATASETS[config.dataset.name](config.dataset).train
        check_images(config, images)
        if config.init_from and config.init_from.step in checkpoints.steps(Path(config.init_from.run) / CHECKPOINTS):
            check_fit(config.init_from, build_gan(config).tensors())
        built = time.perf_counter() - before
        first, step = time_step(config, images, xla=compiled == "xla", seconds=_SECONDS)
        costs[place] = Cost(ready - began + built + first, step)
    return costs


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
