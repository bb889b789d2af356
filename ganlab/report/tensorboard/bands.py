"""How an arm's seeds went: median, lowest and highest of a metric at the steps that all of them recorded."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ganlab.runs.records import read_records
from ganlab.runs.result import RunResult
from ganlab.study.arms import Arm

Band = Mapping[int, tuple[float, float, float]]
"""Median, lowest and highest of the seeds, by step."""


def seed_bands(arm: Arm, metrics: Sequence[str]) -> dict[str, Band]:
    """By metric, over the arm's finished runs, at each step at which all of them have it."""
    runs = [_recorded(run) for run in arm.runs.values() if run.status == "finished"]
    return {metric: _band([_curve(lines, f"metric/{metric}") for lines in runs]) for metric in metrics}


def last_recorded(run: RunResult, metrics: Sequence[str]) -> dict[str, float]:
    """The values that TensorBoard takes for the run's, by metric; without those that were never recorded."""
    lines = _recorded(run)
    return {metric: line[f"metric/{metric}"] for line in lines for metric in metrics if f"metric/{metric}" in line}


def _band(curves: Sequence[Mapping[int, float]]) -> Band:
    steps = sorted(set.intersection(*map(set, curves))) if curves else []
    columns = {step: [curve[step] for curve in curves] for step in steps}
    return {step: (float(np.median(values)), min(values), max(values)) for step, values in columns.items()}


def _curve(lines: Sequence[Mapping[str, float]], tag: str) -> dict[int, float]:
    return {int(line["step"]): line[tag] for line in lines if math.isfinite(line.get(tag, math.nan))}


def _recorded(run: RunResult) -> list[dict[str, float]]:
    assert run.path is not None  # read_result sets it
    return read_records(run.path.parent, "metric/")
