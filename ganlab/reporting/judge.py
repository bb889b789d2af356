"""What the runs under a folder say about its question: every arm against the reference, in every metric, in pairs."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.choose import nearest
from ganlab.config.comparison import MEASURES, Comparing, Measure, base_name, measure_of
from ganlab.reporting.arms import Arm, gather_arms, plan_of
from ganlab.reporting.results import ResultError
from ganlab.reporting.statistics import Comparison, Verdict, holm, paired_comparison

LEVEL = 0.95
BASELINE = "transpose"  # of the literature, and the default generator


@dataclass(frozen=True)
class Endpoint:
    """A metric that arms are compared in.

    title: quality, spectrum or checkerboard where the settings of the study named it before its first run, else the
    metric's own name. primary: its p values are adjusted over the arms; all others are exploratory. margin: what
    difference is negligible, of a ratio as a share (0.05), else in the metric's unit; None: nothing was said.
    """

    title: str
    metric: str
    measure: Measure
    primary: bool
    margin: float | None


@dataclass(frozen=True)
class Pair:
    """Both arms' values with one seed, in the metric's own unit; None where a run has none, and why."""

    seed: int
    ours: float | None
    theirs: float | None
    note: str = ""


@dataclass(frozen=True)
class Judgement:
    """One arm against the reference in one metric.

    comparison: of differences in which smaller is better, whatever the metric. verdict: after adjustment.
    p_adjusted: None where nothing was adjusted. sentence: the verdict in one of four fixed forms, with the numbers
    behind it in the metric's own direction.
    """

    arm: str
    reference: str
    endpoint: Endpoint
    comparison: Comparison
    verdict: Verdict
    p_adjusted: float | None
    pairs: tuple[Pair, ...]
    sentence: str


@dataclass(frozen=True)
class Study:
    """Everything that is known about the arms under a folder.

    endpoints: those of the plan first, the primary one at the head, then all other metrics that have a better side.
    judgements: by metric, one for each arm but the reference. shown_only: metrics of which neither side is better.
    """

    directory: Path
    plan: Comparing
    arms: tuple[Arm, ...]
    reference: Arm
    endpoints: tuple[Endpoint, ...]
    judgements: dict[str, tuple[Judgement, ...]]
    gaps: tuple[str, ...]
    protocol: dict[str, Any]
    shown_only: tuple[str, ...]

    @property
    def stated(self) -> tuple[Endpoint, ...]:
        """The endpoints that were fixed before the first run."""
        return tuple(endpoint for endpoint in self.endpoints if endpoint.title != endpoint.metric)


def judge(directory: str | Path, metric: str | None = None, reference: str | None = None) -> Study:
    """Compare the arms under a folder as their settings ask.

    metric, reference: other ones than those that were fixed before the runs. Raises ResultError, of one line.
    """
    arms = gather_arms(str(directory))
    plan = plan_of(arms)
    against = _reference(directory, arms, reference, plan)
    found = sorted(
        {name for arm in arms for run in arm.runs.values() if run.status == "finished" for name in run.metrics}
    )
    comparable = [name for name in found if measure_of(name)]
    if metric is not None and metric not in comparable:
        options = nearest(metric, comparable) if comparable else "no finished run has any that can be compared"
        raise ResultError(f"--metric={metric!r} is no metric of {directory}; {options}")
    endpoints = _endpoints(plan, comparable, metric)
    return Study(
        directory=Path(directory),
        plan=plan,
        arms=tuple(arms),
        reference=against,
        endpoints=tuple(endpoints),
        judgements={endpoint.metric: _judge(endpoint, arms, against) for endpoint in endpoints},
        gaps=tuple(gaps(arms)),
        protocol=next((run.protocol for arm in arms for run in arm.runs.values() if run.protocol), {}),
        shown_only=tuple(name for name in found if not measure_of(name)),
    )


def _reference(directory: str | Path, arms: list[Arm], asked: str | None, plan: Comparing) -> Arm:
    labels = {arm.label: arm for arm in arms}
    for where, wanted in (("--reference", asked), ("comparison.reference", plan.reference)):
        if wanted is not None:
            if wanted not in labels:
                raise ResultError(f"{where}={wanted!r} is no arm of {directory}; {nearest(wanted, labels)}")
            return labels[wanted]
    return labels.get(BASELINE, arms[0])


def _endpoints(plan: Comparing, comparable: list[str], metric: str | None) -> list[Endpoint]:
    stated = {name: title for title, name in plan.endpoints.items()}
    primary = metric or plan.quality
    order = sorted(comparable, key=lambda name: (name != primary, name not in stated, name))
    return [
        Endpoint(stated.get(name, name), name, MEASURES[base_name(name)], name == primary,
                 plan.margins.get(base_name(name)))
        for name in order
    ]  # fmt: skip


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


def _judge(endpoint: Endpoint, arms: list[Arm], reference: Arm) -> tuple[Judgement, ...]:
    """Each arm against the reference. In the primary metric, p is adjusted by Holm over the arms."""
    others = [arm for arm in arms if arm is not reference]
    pairs = [_pairs(endpoint.metric, arm, reference) for arm in others]
    comparisons = [_compare(endpoint, arm, reference, each) for arm, each in zip(others, pairs, strict=True)]
    adjusted = holm([comparison.p_value for comparison in comparisons])
    found = []
    for arm, each, comparison, p in zip(others, pairs, comparisons, adjusted, strict=True):
        verdict, p_adjusted = comparison.verdict, None
        if endpoint.primary and len(others) > 1:
            p_adjusted = float(p)
            if p > 1 - LEVEL and verdict in ("better", "worse"):
                verdict = "inconclusive"
        told = _sentence(arm.label, reference.label, endpoint, comparison, verdict, p_adjusted, len(others), each)
        found.append(Judgement(arm.label, reference.label, endpoint, comparison, verdict, p_adjusted, each, told))
    return tuple(found)


def _pairs(metric: str, arm: Arm, reference: Arm) -> tuple[Pair, ...]:
    ours, theirs = arm.values(metric), reference.values(metric)
    return tuple(
        Pair(seed, ours.get(seed), theirs.get(seed)) for seed in sorted(arm.runs.keys() | reference.runs.keys())
    )


def _compare(endpoint: Endpoint, arm: Arm, reference: Arm, pairs: tuple[Pair, ...]) -> Comparison:
    measure = endpoint.measure
    sign = -1 if measure.larger_is_better else 1
    for side, value in [
        (side, value) for pair in pairs for side, value in ((arm, pair.ours), (reference, pair.theirs))
    ]:
        if value is not None and measure.scale == "ratio" and value <= 0:
            seed = next(seed for seed, found in side.values(endpoint.metric).items() if found == value)
            raise ResultError(
                f"{side.runs[seed].path} has metrics.{endpoint.metric}={value}, of which there is no ratio; "
                "use a positive number, or measure the run again"
            )
    differences = [
        sign * (measure.outcome(pair.ours) - measure.outcome(pair.theirs))
        for pair in pairs
        if pair.ours is not None and pair.theirs is not None
    ]
    margin = endpoint.margin
    if margin is not None and measure.scale == "ratio":
        margin = math.log1p(margin)
    return paired_comparison(differences, margin, LEVEL) if differences else _NO_PAIR


_NO_PAIR = Comparison(math.nan, -math.inf, math.inf, 1.0, math.nan, 0, "inconclusive")


def _sentence(
    arm: str,
    reference: str,
    endpoint: Endpoint,
    c: Comparison,
    verdict: Verdict,
    p_adjusted: float | None,
    arms: int,
    pairs: tuple[Pair, ...],
) -> str:
    """The verdict in four fixed forms, then the numbers behind it in the metric's own direction."""
    if c.runs < 2:
        have = "1 pair" if c.runs else "no pair"
        return f"{arm} and {reference} have {have} of finished runs with equal seed; a comparison needs at least 2."
    claim = {
        "better": f"{arm} is better than {reference}",
        "worse": f"{arm} is worse than {reference}",
        "equivalent": f"{arm} is equivalent to {reference}",
        "inconclusive": f"{arm} against {reference} is inconclusive",
    }[verdict]
    sign = -1 if endpoint.measure.larger_is_better else 1
    low, high = sorted((sign * c.low, sign * c.high))
    ratio = endpoint.measure.scale == "ratio"

    def show(value: float) -> str:
        return f"{100 * math.expm1(value):+.1f} %" if ratio else f"{value + 0.0:+.4g}"  # no -0

    within = ""
    if endpoint.margin is not None and verdict == "equivalent":
        within = f" within {100 * endpoint.margin:.3g} %" if ratio else f" within {endpoint.margin:.3g}"
    enough = math.ceil(1 - math.log2(1 - LEVEL))  # pairs for which 2 / 2^n <= alpha
    few = f" where p <= {1 - LEVEL:.2g} takes {enough}" if c.runs < enough else ""
    note = "" if p_adjusted is None else f"; adjusted for {arms} arms {as_p(p_adjusted)}"
    if c.runs < len(pairs):
        note += f"; {len(pairs) - c.runs} of {len(pairs)} seeds left out"
    return (
        f"{claim}{within}: {show(sign * c.mean)}, {100 * LEVEL:g} % interval {show(low)} to {show(high)}, "
        f"{as_p(c.p_value)}, {c.runs} pairs{few}{note}."
    )


def as_p(value: float) -> str:
    """A p value as people write it."""
    return f"p = {value:.3g}" if value >= 0.001 else "p < 0.001"
