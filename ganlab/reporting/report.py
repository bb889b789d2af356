"""What the arms under a folder say: tables, and a sentence for each arm and metric with the numbers behind it."""

import math
import re
import sys
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, get_args

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from ganlab.choose import nearest
from ganlab.config import flatten
from ganlab.reporting.arms import Arm, as_typed, gather_arms
from ganlab.reporting.results import ResultError, Status
from ganlab.reporting.statistics import Comparison, holm, paired_comparison

LEVEL = 0.95
PRIMARY = "frechet_distance"
BASELINE = "transpose"  # of the literature, and the default generator


class Measure(NamedTuple):
    """How a metric is compared: differences of `outcome`, in which direction, and what difference is negligible."""

    outcome: Callable[[float], float]
    larger_is_better: bool = False
    margin: float | None = None


MEASURES = {  # margins were fixed before any run; logarithms make the effects ratios
    "frechet_distance": Measure(math.log, margin=math.log(1.05)),
    "frechet_distance_extrapolated": Measure(float),
    "fid": Measure(math.log, margin=math.log(1.05)),
    "kernel_distance": Measure(float),
    "kid": Measure(float),
    "energy_distance": Measure(float),
    "sliced_wasserstein": Measure(math.log),
    "spectral_distance": Measure(math.log),
    "spectral_distance_high": Measure(math.log),
    "high_frequency_bias": Measure(abs),
    "checkerboard_index": Measure(abs),
    "coherent_checkerboard_index": Measure(abs),
    "precision": Measure(float, larger_is_better=True),
    "recall": Measure(float, larger_is_better=True),
    "density": Measure(float, larger_is_better=True),
    "coverage": Measure(float, larger_is_better=True, margin=0.02),
    "classifier_score": Measure(float, larger_is_better=True),
    "modes": Measure(float, larger_is_better=True),
    "class_divergence": Measure(float),
    "largest_class_error": Measure(float),
}


def measure_of(name: str) -> Measure | None:
    """How a metric of this name is compared: protocol, features and stride left out; None where no side is better."""
    return MEASURES.get(re.sub(r"_\d+$", "", name.rpartition("/")[2]))


def gaps(arms: list[Arm]) -> list[str]:
    """Every seed that some arm cannot give to a pair, and why."""
    seeds = sorted(set().union(*(arm.runs for arm in arms)))
    lines = []
    for arm in arms:
        for seed in seeds:
            run = arm.runs.get(seed)
            if run is None:
                lines.append(f"{arm.label}, seed {seed}: no result")
            elif run.status != "finished":
                lines.append(f"{arm.label}, seed {seed}: {run.status}")
    return lines


def compare_arms(metric: str, arms: list[Arm], reference: Arm, primary: bool) -> list[str]:
    """One sentence for each arm against the reference. In the primary metric, p is adjusted by Holm over the arms."""
    measure = measure_of(metric)
    assert measure is not None
    sign = -1 if measure.larger_is_better else 1
    others = [arm for arm in arms if arm is not reference]
    theirs = _outcomes(reference, metric, measure)
    comparisons: list[Comparison] = []
    for arm in others:
        ours = _outcomes(arm, metric, measure)
        differences = [sign * (ours[seed] - theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
        comparisons.append(paired_comparison(differences, measure.margin, LEVEL) if differences else _NO_PAIR)
    adjusted = holm([comparison.p_value for comparison in comparisons])

    sentences = []
    for arm, comparison, p in zip(others, comparisons, adjusted, strict=True):
        seeds, note = len(arm.runs.keys() | reference.runs.keys()), ""
        if primary and len(others) > 1:
            note += f"; adjusted for {len(others)} arms {_p(p)}"
            if p > 1 - LEVEL and comparison.verdict in ("better", "worse"):
                comparison = comparison._replace(verdict="inconclusive")
        if comparison.runs < seeds:
            note += f"; {seeds - comparison.runs} of {seeds} seeds left out"
        sentences.append(_sentence(arm.label, reference.label, comparison, measure, sign, note))
    return sentences


_NO_PAIR = Comparison(math.nan, -math.inf, math.inf, 1.0, math.nan, 0, "inconclusive")


def _sentence(arm: str, reference: str, c: Comparison, measure: Measure, sign: int, note: str) -> str:
    """The verdict in four fixed forms, then the numbers behind it in the metric's own direction."""
    if c.runs < 2:
        have = "1 pair" if c.runs else "no pair"
        return f"{arm} and {reference} have {have} of finished runs with equal seed; a comparison needs at least 2."
    claim = {
        "better": f"{arm} is better than {reference}",
        "worse": f"{arm} is worse than {reference}",
        "equivalent": f"{arm} is equivalent to {reference}",
        "inconclusive": f"{arm} against {reference} is inconclusive",
    }[c.verdict]
    low, high = sorted((sign * c.low, sign * c.high))
    ratio = measure.outcome is math.log

    def show(value: float) -> str:
        return f"{100 * math.expm1(value):+.1f} %" if ratio else f"{value + 0.0:+.4g}"  # no -0

    within = ""
    if measure.margin is not None and c.verdict == "equivalent":
        within = f" within {100 * math.expm1(measure.margin):.3g} %" if ratio else f" within {measure.margin:.3g}"
    enough = math.ceil(1 - math.log2(1 - LEVEL))  # pairs for which 2 / 2^n <= alpha
    pairs = f"{c.runs} pairs" + (f" where p <= {1 - LEVEL:.2g} takes {enough}" if c.runs < enough else "")
    return (
        f"{claim}{within}: {show(sign * c.mean)}, {100 * LEVEL:g} % interval {show(low)} to {show(high)}, "
        f"{_p(c.p_value)}, {pairs}{note}."
    )


def _outcomes(arm: Arm, metric: str, measure: Measure) -> dict[int, float]:
    """What is subtracted, by seed. A ratio of a number that is not positive means nothing: that is an error."""
    values = arm.values(metric)
    for seed, value in values.items():
        if measure.outcome is math.log and value <= 0:
            raise ResultError(
                f"{arm.runs[seed].path} has metrics.{metric}={value}, of which there is no ratio; "
                "use a positive number, or measure the run again"
            )
    return {seed: measure.outcome(value) for seed, value in values.items()}


def _p(value: float) -> str:
    return f"p = {value:.3g}" if value >= 0.001 else "p < 0.001"


def print_report(directory: str, metric: str | None, reference: str | None) -> None:
    """Everything that is known about the arms under a folder."""
    arms = gather_arms(directory)
    labels = {arm.label: arm for arm in arms}
    if reference is not None and reference not in labels:
        raise ResultError(f"--reference={reference!r} is no arm of {directory}; {nearest(reference, labels)}")
    against = labels[reference] if reference is not None else labels.get(BASELINE, arms[0])
    found = sorted(
        {name for arm in arms for run in arm.runs.values() if run.status == "finished" for name in run.metrics}
    )
    comparable = [name for name in found if measure_of(name)]
    if metric is not None and metric not in comparable:
        options = nearest(metric, comparable) if comparable else "no finished run has any that can be compared"
        raise ResultError(f"--metric={metric!r} is no metric of {directory}; {options}")
    primary = metric or PRIMARY
    comparable.sort(key=lambda name: name != primary)

    sentences = {name: compare_arms(name, arms, against, primary=name == primary) for name in comparable}

    console = Console(
        width=None if sys.stdout.isatty() else 200, markup=False, highlight=False, emoji=False, soft_wrap=True
    )
    console.print(_runs_table(arms))
    for line in gaps(arms):
        console.print(f"not in any pair: {line}")
    if not found:
        console.print("No finished run has metrics.")
        return
    console.print(_metrics_table(arms, sorted(found, key=lambda name: name != primary)))
    protocol = next((run.protocol for arm in arms for run in arm.runs.values() if run.protocol), {})
    console.print(
        "protocol: " + (", ".join(f"{k} {as_typed(v)}" for k, v in flatten(protocol).items()) or "not recorded")
    )
    for name, lines in sentences.items():
        measure = measure_of(name)
        direction = "larger" if measure and measure.larger_is_better else "smaller"
        console.print(f"\n{name}: {direction} is better; {'primary' if name == primary else 'exploratory'}")
        for line in lines:
            console.print(f"  {line}")
        for arm in arms:
            finished = [seed for seed, run in arm.runs.items() if run.status == "finished"]
            missing = [str(seed) for seed in finished if seed not in arm.values(name)]
            if missing:
                console.print(f"  not in any pair: {arm.label} has no {name} in seed {', '.join(missing)}")
    shown_only = [name for name in found if not measure_of(name)]
    if shown_only:
        console.print(f"\nnot compared, since neither direction is better: {', '.join(shown_only)}")


def _runs_table(arms: list[Arm]) -> Table:
    table = Table("arm", box=box.SIMPLE)
    for heading in ("runs", *get_args(Status)):
        table.add_column(heading, justify="right")
    for arm in arms:
        counts = Counter(run.status for run in arm.runs.values())
        table.add_row(arm.label, str(len(arm.runs)), *(str(counts[status]) for status in get_args(Status)))
    return table


def _metrics_table(arms: list[Arm], metrics: list[str]) -> Table:
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
