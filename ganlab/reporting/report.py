"""A study on the terminal: tables, and a sentence for each arm and metric with the numbers behind it."""

import sys
from collections import Counter
from typing import get_args

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from ganlab.config import flatten
from ganlab.reporting.arms import Arm, as_typed
from ganlab.reporting.judge import Study
from ganlab.reporting.results import Status


def print_report(study: Study) -> None:
    """Everything that is known about the arms of a study."""
    console = Console(
        width=None if sys.stdout.isatty() else 200, markup=False, highlight=False, emoji=False, soft_wrap=True
    )
    console.print(_runs_table(study.arms))
    for line in study.gaps:
        console.print(f"not in any pair: {line}")
    if not (study.endpoints or study.shown_only):
        console.print("No finished run has metrics.")
        return
    console.print(_metrics_table(study.arms, [*(endpoint.metric for endpoint in study.endpoints), *study.shown_only]))
    console.print(
        "protocol: " + (", ".join(f"{k} {as_typed(v)}" for k, v in flatten(study.protocol).items()) or "not recorded")
    )
    for endpoint in study.endpoints:
        direction = "larger" if endpoint.measure.larger_is_better else "smaller"
        console.print(f"\n{endpoint.metric}: {direction} is better; {'primary' if endpoint.primary else 'exploratory'}")
        for judgement in study.judgements[endpoint.metric]:
            console.print(f"  {judgement.sentence}")
        for arm in study.arms:
            finished = [seed for seed, run in arm.runs.items() if run.status == "finished"]
            missing = [str(seed) for seed in finished if seed not in arm.values(endpoint.metric)]
            if missing:
                console.print(f"  not in any pair: {arm.label} has no {endpoint.metric} in seed {', '.join(missing)}")
    if study.shown_only:
        console.print(f"\nnot compared, since neither direction is better: {', '.join(study.shown_only)}")


def _runs_table(arms: tuple[Arm, ...]) -> Table:
    table = Table("arm", box=box.SIMPLE)
    for heading in ("runs", *get_args(Status)):
        table.add_column(heading, justify="right")
    for arm in arms:
        counts = Counter(run.status for run in arm.runs.values())
        table.add_row(arm.label, str(len(arm.runs)), *(str(counts[status]) for status in get_args(Status)))
    return table


def _metrics_table(arms: tuple[Arm, ...], metrics: list[str]) -> Table:
    table = Table("metric", "arm", box=box.SIMPLE)
    for heading in ("mean", "sd", "runs"):
        table.add_column(heading, justify="right")
    for metric in metrics:
        for place, arm in enumerate(arms):
            values = list(arm.values(metric).values())
            mean = f"{np.mean(values):.4g}" if values else "-"
            sd = f"{np.std(values, ddof=1):.2g}" if len(values) > 1 else "-"
            table.add_row(metric if place == 0 else "", arm.label, mean, sd, str(len(values)))
    return table
