"""What the runs under a folder say about its question: every arm against the reference, in every metric, in pairs."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganlab.config import flatten
from ganlab.config.comparison import Comparing
from ganlab.errors import matching, nearest
from ganlab.evaluation import registry
from ganlab.evaluation.registry import METRICS, Metric, Rungs
from ganlab.runs.result import ResultError, RunResult, has_collapsed
from ganlab.runs.status import CellStatus, find_cells, without_result
from ganlab.study import statistics
from ganlab.study.arms import Arm, gather_arms, plan_of
from ganlab.study.statistics import FEWEST_FOR_EQUIVALENCE, Comparison, RobustStatistics, Verdict

# --- what a comparison gives: plain values that reports, figures and files are made from ------------------------------

LEVEL = 0.95
Adjustment = Literal["Holm", "Benjamini-Hochberg"]
COUNTED_AS_WORST = ("diverged", "collapsed")
"""Why a run that came to an end counts as the worst."""


class Gap(NamedTuple):
    """A seed of an arm that lacks a value.

    why: no result, left out, diverged, collapsed, failed, interrupted, not measured. metric: the metric whose value is
    missing, where only that one is. alone: it diverged or collapsed, and the other arm has no run to compare it with.
    """

    arm: str
    seed: int
    why: str
    metric: str = ""
    alone: bool = False


class NoRatio(NamedTuple):
    """A run's value that has no ratio, since it is not above 0, in a metric whose ratios are compared."""

    path: Path | None
    metric: str
    value: float


class ChosenAfterwards(NamedTuple):
    """A primary metric, reference or rule of collapse that is not the one that was stated before the runs."""

    what: Literal["primary metric", "reference", "rule of collapse"]
    chosen: str
    stated: str


class LeftOut(NamedTuple):
    """Runs that somebody chose not to count."""

    cells: tuple[CellStatus, ...]


class MadeDifferently(NamedTuple):
    """A device, variable or version that differs between runs: its values, and the arms that have each."""

    what: str
    values: tuple[tuple[str, tuple[str, ...]], ...]


class NotAdmitted(NamedTuple):
    """The primary metric rates a fault of real images no worse than grain (`evaluation/ladder.py`)."""

    metric: str
    fault: str
    grain: str


Caution = ChosenAfterwards | LeftOut | MadeDifferently | NotAdmitted


@dataclass(frozen=True)
class Endpoint:
    """A metric that arms are compared in.

    title: quality, spectrum or checkerboard where the settings of the study named it before its first run, else the
    metric's own name. primary: its p values are adjusted over the arms; all others are exploratory. margin: what
    difference is negligible, of a ratio as a share (0.05), else in the metric's unit; None: not stated.
    """

    title: str
    metric: str
    measure: Metric
    primary: bool
    margin: float | None

    @property
    def compared_margin(self) -> float | None:
        """The margin in the unit of the differences: for a ratio its logarithm."""
        ratio = self.margin is not None and self.measure.scale == "ratio"
        return math.log1p(self.margin) if ratio else self.margin

    def effect(self, paired: Comparison) -> tuple[float, float, float]:
        """Mean, low and high of differences in which more is better, in the metric's own direction."""
        own = self.measure.orient
        low, high = sorted((own(paired.low), own(paired.high)))
        return own(paired.mean), low, high


@dataclass(frozen=True)
class Pair:
    """Both arms' values with one seed, in the metric's own unit; None where a run has none.

    reasons: why: diverged, collapsed, failed, interrupted, no result, left out, not measured; where the arms have
    different ones, ours and then theirs. With only the first two, the pair counts although a value is missing: such a
    run is the worst.
    """

    seed: int
    ours: float | None
    theirs: float | None
    reasons: tuple[str, ...] = ()

    @property
    def missing(self) -> bool:
        """Whether the pair counts nowhere."""
        return not set(self.reasons) <= set(COUNTED_AS_WORST)

    def worst(self, why: str) -> tuple[bool, bool]:
        """Whether our run, and whether theirs, counts as the worst for that reason."""
        if self.missing:
            return False, False
        return self.ours is None and self.reasons[0] == why, self.theirs is None and self.reasons[-1] == why


@dataclass(frozen=True)
class ArmComparison:
    """One arm against the reference in one metric.

    paired: of differences in which more is better, whatever the metric; of finished pairs only, except for p_value and
    verdict where by_ranks is true: there a run diverged or collapsed, its partner did not, and it counts as the worst.
    verdict: by the adjusted p where there is one; exploratory in all endpoints but the primary one. p_adjusted: over
    the arms, None where nothing was adjusted. arms: how many are compared with the reference. kinds: for a mean over
    kinds of features, the comparison through each of them. drawn: whether the draw of the features is part of the
    interval and of p. tested_beside: the raw p values of the other arms, if p is adjusted by Holm.
    `report.sentences` puts it in a sentence.
    """

    arm: str
    reference: str
    endpoint: Endpoint
    paired: Comparison
    verdict: Verdict
    p_adjusted: float | None
    pairs: tuple[Pair, ...]
    robust: RobustStatistics
    by_ranks: bool
    adjustment: Adjustment | None
    arms: int
    kinds: tuple["ArmComparison", ...] = ()
    drawn: bool = False
    tested_beside: tuple[float, ...] = ()

    @property
    def effect(self) -> tuple[float, float, float]:
        """Mean, low and high of the differences in the metric's own direction; of logarithms where it is a ratio."""
        return self.endpoint.effect(self.paired)

    @property
    def enough(self) -> int:
        """The fewest pairs whose p value can be small enough for a verdict, beside the other arms as they are."""
        return next(
            pairs
            for pairs in itertools.count(2)
            if statistics.holm([statistics.smallest_p(pairs), *self.tested_beside])[0] <= 1 - LEVEL
        )

    @property
    def tested_arms(self) -> int:
        """Over how many arms the level is shared: all that are compared in the primary endpoint, else this one."""
        return self.arms if self.endpoint.primary else 1

    @property
    def deciding(self) -> int:
        """How many pairs a test can use: two runs that are both the worst tell nothing."""
        return sum(not pair.missing and (pair.ours, pair.theirs) != (None, None) for pair in self.pairs)

    @property
    def both_worst(self) -> int:
        """Pairs of which both runs diverged or collapsed."""
        return sum(not pair.missing and (pair.ours, pair.theirs) == (None, None) for pair in self.pairs)

    @property
    def has_interval(self) -> bool:
        """Whether a mean over finished pairs may be shown: not where one arm's runs collapsed, which it would hide."""
        return self.paired.runs > 1 and not (self.by_ranks and any(self.worst("collapsed")))

    def worst(self, why: str) -> tuple[int, int]:
        """How many runs of the arm and of the reference count as the worst because they diverged, or collapsed."""
        failed = [pair.worst(why) for pair in self.pairs]
        return sum(ours for ours, _ in failed), sum(theirs for _, theirs in failed)

    @property
    def unmeasured(self) -> int:
        """Pairs of finished runs of which one lacks the metric that others have; without them there is no verdict."""
        return sum("not measured" in pair.reasons for pair in self.pairs)


@dataclass(frozen=True)
class Summary:
    """One arm's finished runs in one metric, except collapsed ones, in its unit; None for what takes more runs."""

    arm: str
    runs: int
    mean: float | None
    sd: float | None
    median: float | None
    interquartile_mean: float | None


@dataclass(frozen=True)
class FailureRate:
    """How many of an arm's runs that came to an end diverged or collapsed, with a 95 % interval of Wilson."""

    arm: str
    diverged: int
    collapsed: int
    runs: int
    low: float
    high: float


@dataclass(frozen=True)
class Study:
    """The arms under a folder and all comparisons between them.

    endpoints: those of the plan first, the primary one at the head, then all other metrics that have a better side.
    comparisons: by metric, one for each arm but the reference. shown_only: metrics of which neither side is better.
    gaps: seeds for which an arm is in no pair, and why. pending: cells of the sweep that have no result, with their
    states. diverged: seeds that count as the worst, collapsed ones too. ladder: the values of metrics at known faults,
    by rung. unmeasured: by metric, finished runs without it. dropped: runs because of which a metric is not compared
    at all, since 0 has no ratio. cautions: choices that were made after the runs, and runs that were not made alike.
    left_out: runs that somebody left out by hand, with their states. summaries: by metric, one for each arm.
    failures: one for each arm.
    """

    directory: Path
    plan: Comparing
    arms: tuple[Arm, ...]
    reference: Arm
    endpoints: tuple[Endpoint, ...]
    comparisons: dict[str, tuple[ArmComparison, ...]]
    gaps: tuple[Gap, ...]
    protocol: dict[str, Any]
    shown_only: tuple[str, ...]
    diverged: tuple[Gap, ...]
    unmeasured: dict[str, tuple[Gap | NoRatio, ...]]
    summaries: dict[str, tuple[Summary, ...]]
    failures: tuple[FailureRate, ...]
    dropped: tuple[NoRatio, ...] = ()
    cautions: tuple[Caution, ...] = ()
    pending: tuple[CellStatus, ...] = ()
    left_out: tuple[CellStatus, ...] = ()
    ladder: dict[str, Rungs] = field(default_factory=dict)

    @property
    def runs(self) -> list[RunResult]:
        """The runs of all arms."""
        return [run for arm in self.arms for run in arm.runs.values()]

    @property
    def stated(self) -> tuple[Endpoint, ...]:
        """The endpoints that were fixed before the first run, in the order in which they were."""
        titles = list(self.plan.endpoints)
        stated = [endpoint for endpoint in self.endpoints if endpoint.title != endpoint.metric]
        return tuple(sorted(stated, key=lambda endpoint: titles.index(endpoint.title)))

    @property
    def leading(self) -> tuple[Endpoint, ...]:
        """The endpoints shown first: the primary one and those stated before the runs; without these, the first."""
        primary = [endpoint for endpoint in self.endpoints if endpoint.primary]
        return (*primary, *(endpoint for endpoint in self.stated if not endpoint.primary)) or self.endpoints[:1]

    @property
    def open(self) -> dict[str, str]:
        """The endpoints of the plan, by title, that no run has measured; empty where there are no metrics at all."""
        measured = {endpoint.metric for endpoint in self.endpoints}
        return {title: metric for title, metric in self.plan.endpoints.items() if measured and metric not in measured}


# --- from arms to the study ------------------------------------------------------------------------------------------

BASELINE = "transpose"  # the usual one in the literature, and the default generator


def compare_study(
    directory: str | Path, metric: str | None = None, reference: str | None = None, leave_out: Sequence[str] = ()
) -> Study:
    """Compare the arms under a folder as their settings say.

    metric, reference: instead of those that were fixed before the runs. leave_out: runs that are not compared, by
    folder below the study's or by pattern. Raises ConfigError, of one line.
    """
    folder = Path(directory)
    left_out: dict[str, CellStatus] = {}
    if leave_out:
        cells = {cell.name: cell for cell in find_cells(folder)}
        left_out = {name: cells[name] for name in matching(cells, leave_out, "--leave-out", folder)}
    arms = gather_arms(str(directory), left_out)
    study = compare_arms(arms, plan_of(arms, str(directory)), metric, reference, folder)
    return replace(
        study,
        pending=tuple(cell for cell in without_result(folder) if cell.name not in left_out),
        left_out=tuple(left_out.values()),
        cautions=(*study.cautions, *([LeftOut(tuple(left_out.values()))] if left_out else [])),
    )


def compare_arms(
    arms: Sequence[Arm],
    plan: Comparing,
    metric: str | None = None,
    reference: str | None = None,
    directory: Path = Path(),
) -> Study:
    """Compare arms, wherever they come from; errors and reports name `directory` as their folder."""
    arms = [arm._replace(collapsed=_collapsed(arm, plan)) for arm in arms]
    reference_arm = _reference(directory, arms, reference, plan)
    runs = [run for arm in arms for run in arm.runs.values()]
    measured = sorted({name for run in runs if run.status == "finished" for name in run.metrics})
    comparable = [name for name in measured if registry.compared(name)]
    if metric is not None and metric not in comparable:
        options = nearest(metric, comparable) if comparable else "no finished run has any that can be compared"
        raise ResultError(f"--metric={metric!r} is not a metric of {directory}; {options}")
    endpoints, without_ratio = _endpoints_with_ratios(_endpoints(plan, comparable, metric), arms, directory)
    unmeasured: dict[str, tuple[Gap | NoRatio, ...]] = {
        name: (*_gaps(arms, name, ("not measured",)), *without_ratio.get(name, ())) for name in measured
    }
    comparisons = {endpoint.metric: _compare_in(endpoint, plan, arms, reference_arm) for endpoint in endpoints}
    in_pairs = _failed_in_pairs(arms, reference_arm)
    diverged = _gaps(arms, "", COUNTED_AS_WORST)
    protocol = next((run.protocol for run in runs if run.status == "finished" and run.protocol), {})
    comparisons = _refuse_contradictions(comparisons, protocol)
    ladder = _known(next((run.ladder for run in runs if run.status == "finished" and run.ladder), {}))
    primary = next((endpoint.metric for endpoint in endpoints if endpoint.primary), None)
    return Study(
        directory=directory,
        plan=plan,
        arms=tuple(arms),
        reference=reference_arm,
        endpoints=tuple(endpoints),
        comparisons=comparisons,
        gaps=(
            *_gaps(arms, "", ("failed", "interrupted", "no result", "left out")),
            *(gap._replace(alone=True) for gap in diverged if gap not in in_pairs),
        ),
        protocol=protocol,
        ladder=ladder,
        shown_only=tuple(name for name in measured if not registry.compared(name)),
        diverged=tuple(gap for gap in diverged if gap in in_pairs),
        unmeasured={name: gaps for name, gaps in unmeasured.items() if gaps},
        summaries={name: tuple(_summary(arm, name) for arm in arms) for name in measured},
        failures=tuple(map(_failures, arms)),
        dropped=tuple(value for values in without_ratio.values() for value in values),
        cautions=tuple(_cautions(arms, plan, primary, reference_arm, ladder)),
    )


def _reference(directory: Path, arms: Sequence[Arm], requested: str | None, plan: Comparing) -> Arm:
    labels = {arm.label: arm for arm in arms}
    for setting, label in (("--reference", requested), ("comparison.reference", plan.reference)):
        if label is not None:
            if label not in labels:
                raise ResultError(f"{setting}={label!r} is not an arm of {directory}; {nearest(label, labels)}")
            return labels[label]
    return labels.get(BASELINE, arms[0])


def _collapsed(arm: Arm, plan: Comparing) -> frozenset[int]:
    """Seeds of finished runs that have collapsed, by the rule of the study."""
    rule = plan.collapse
    collapsed = [run for run in arm.finished if has_collapsed(plan.quality, run.metrics, run.real_against_real, rule)]
    return frozenset(run.seed for run in collapsed)


def _endpoints(plan: Comparing, comparable: list[str], metric: str | None) -> list[Endpoint]:
    stated = {name: title for title, name in reversed(plan.endpoints.items())}  # of a metric named twice, the first
    primary = metric or plan.quality
    order = sorted(comparable, key=lambda name: (name != primary, name not in stated, name))
    return [
        Endpoint(stated.get(name, name), name, METRICS[registry.base_name(name)], name == primary,
                 plan.margins.get(registry.base_name(name)))
        for name in order
    ]  # fmt: skip


def _endpoints_with_ratios(
    endpoints: Sequence[Endpoint], arms: Sequence[Arm], directory: Path
) -> tuple[list[Endpoint], dict[str, list[NoRatio]]]:
    """The endpoints that can be compared, and of the others the runs whose value has no logarithm, by metric.

    Raises ResultError for such a value in an endpoint of the plan.
    """
    without_ratio: dict[str, list[NoRatio]] = {}
    for endpoint in endpoints:
        metric = endpoint.metric
        values = [(arm.runs[seed].path, value) for arm in arms for seed, value in arm.values(metric).items()]
        values = [(path, value) for path, value in values if endpoint.measure.scale == "ratio" and value <= 0]
        for path, value in values:
            if endpoint.primary or endpoint.title != metric:
                raise ResultError(
                    f"{path} has metrics.{metric}={value}, which has no ratio; "
                    "use a positive number, measure the run again, or leave it out (--leave-out)"
                )
            place = path and path.relative_to(directory)  # below the study's folder
            without_ratio.setdefault(metric, []).append(NoRatio(place, metric, value))
    return [endpoint for endpoint in endpoints if endpoint.metric not in without_ratio], without_ratio


def _gaps(arms: Sequence[Arm], metric: str, reasons: tuple[str, ...]) -> list[Gap]:
    """Every seed for which an arm has no value, for one of these reasons."""
    seeds = sorted(set().union(*(arm.runs for arm in arms)))
    gaps = [Gap(arm.label, seed, arm.why_missing(seed, metric), metric) for arm in arms for seed in seeds]
    return [gap for gap in gaps if gap.why in reasons]


def _failed_in_pairs(arms: Sequence[Arm], reference: Arm) -> set[Gap]:
    """Every run that diverged or collapsed and counts as the worst in a pair: both runs of the pair came to an end."""
    return {
        Gap(one.label, seed, one.why_missing(seed, ""))
        for arm in arms
        if arm is not reference
        for seed in arm.runs.keys() & reference.runs.keys()
        if {arm.runs[seed].status, reference.runs[seed].status} <= {"finished", "diverged"}
        for one in (arm, reference)
        if one.why_missing(seed, "") in COUNTED_AS_WORST
    }


def _summary(arm: Arm, metric: str) -> Summary:
    values = list(arm.values(metric).values())
    if not values:
        return Summary(arm.label, 0, None, None, None, None)
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    mean, median = float(np.mean(values)), float(np.median(values))
    return Summary(arm.label, len(values), mean, sd, median, statistics.interquartile_mean(values))


def _failures(arm: Arm) -> FailureRate:
    diverged, collapsed = arm.statuses()["diverged"], len(arm.collapsed)
    ended = len(arm.finished) + diverged
    interval = statistics.wilson_interval(diverged + collapsed, ended, LEVEL)
    return FailureRate(arm.label, diverged, collapsed, ended, *interval)


def _compare_in(endpoint: Endpoint, plan: Comparing, arms: Sequence[Arm], reference: Arm) -> tuple[ArmComparison, ...]:
    """Each arm against the reference.

    In the primary metric p is adjusted by Holm over the arms, for equivalence too; in the other metrics of the plan,
    which are exploratory, by Benjamini and Hochberg; in all others it is not adjusted.
    """
    others = [arm for arm in arms if arm is not reference]
    alpha = (1 - LEVEL) / len(others) if endpoint.primary else 1 - LEVEL
    margin = endpoint.compared_margin
    theirs, ours = _outcomes(endpoint, reference), [_outcomes(endpoint, arm) for arm in others]
    draws = [_differences_by_draw(endpoint, arm, reference) for arm in others]
    results = [_compare(own, theirs, margin, tables) for own, tables in zip(ours, draws, strict=True)]
    p_values = raw = [paired.p_value for paired, _, _ in results]
    outside = [p if paired.runs >= FEWEST_FOR_EQUIVALENCE else 1.0 for paired, p, _ in results]
    several = len(others) > 1 and (endpoint.primary or endpoint.metric in plan.endpoints.values())
    adjustment: Adjustment = "Holm" if endpoint.primary else "Benjamini-Hochberg"
    if several:
        p_values = (statistics.holm if endpoint.primary else statistics.benjamini_hochberg)(p_values).tolist()
    if several and endpoint.primary:
        outside = statistics.holm(outside).tolist()
    comparisons = []
    for place, (arm, (paired, _, by_ranks)) in enumerate(zip(others, results, strict=True)):
        comparison = ArmComparison(
            arm=arm.label,
            reference=reference.label,
            endpoint=endpoint,
            paired=paired,
            verdict=_verdict(paired, p_values[place], outside[place]),
            p_adjusted=p_values[place] if several else None,
            pairs=_pairs(endpoint.metric, arm, reference),
            robust=statistics.robust_statistics(ours[place], theirs, paired, margin, alpha),
            by_ranks=by_ranks,
            adjustment=adjustment if several else None,
            arms=len(others),
            drawn=bool(draws[place]),
            tested_beside=(*raw[:place], *raw[place + 1 :]) if endpoint.primary else (),
        )
        comparisons.append(replace(comparison, verdict="inconclusive") if comparison.unmeasured else comparison)
    return tuple(comparisons)


def _verdict(paired: Comparison, p_value: float, p_of_equivalence: float) -> Verdict:
    """What a comparison says by its p values, which may have been adjusted after it was made."""
    verdict = paired.verdict
    if verdict == "equivalent" and p_of_equivalence > 1 - LEVEL:  # then its difference may be clear, if small
        clear = paired.p_value <= 1 - LEVEL and not paired.low <= 0 <= paired.high
        verdict = "inconclusive" if not clear else "better" if paired.low > 0 else "worse"
    return "inconclusive" if verdict in ("better", "worse") and p_value > 1 - LEVEL else verdict


def _kinds_of(metric: str, protocol: Mapping[str, Any]) -> list[str]:
    """For a mean over kinds of features, the metric through each kind; empty for any other metric."""
    kinds = protocol.get("full", {}).get("mean_over", [])
    group, _, name = metric.rpartition("/")
    return [registry.full_name(kind, name) for kind in kinds] if group == "full/mean" else []


def _refuse_contradictions(
    comparisons: Mapping[str, tuple[ArmComparison, ...]], protocol: Mapping[str, Any]
) -> dict[str, tuple[ArmComparison, ...]]:
    """Where a mean over kinds of features decides, replace verdicts that one of the kinds contradicts.

    Kinds contradict each other if one says better and another worse; and a mean that is better or worse is contradicted
    by a kind whose own difference has the other sign.
    """
    checked = dict(comparisons)
    for metric, means in comparisons.items():
        names = [name for name in _kinds_of(metric, protocol) if name in comparisons]
        if len(names) < 2:
            continue
        with_kinds = []
        for at, mean in enumerate(means):
            kinds = tuple(comparisons[name][at] for name in names)
            verdicts = {kind.verdict for kind in kinds}
            sign = {"better": 1, "worse": -1}.get(mean.verdict, 0)
            contrary = {"better", "worse"} <= verdicts or any(
                sign * kind.paired.mean < 0
                for kind in kinds
                if not kind.by_ranks  # there finished pairs do not decide
            )
            with_kinds.append(replace(mean, verdict="depends on who looks" if contrary else mean.verdict, kinds=kinds))
        checked[metric] = tuple(with_kinds)
    return checked


def _differences_by_draw(endpoint: Endpoint, arm: Arm, reference: Arm) -> list[NDArray[np.float64]]:
    """The differences through each draw of the features, by kind, [pairs, draws]: of finished pairs; more is better.

    Empty where some kind was drawn once. Raises ResultError where some runs have draws and others have not.
    """
    metric = endpoint.metric
    seeds = sorted(arm.values(metric).keys() & reference.values(metric).keys())
    runs = [(arm.runs[seed], reference.runs[seed]) for seed in seeds]
    if not runs:
        return []
    names = _kinds_of(metric, runs[0][0].protocol) or [metric]
    tables = []
    for name in names:
        sides = [[run.draws.get(name, []) for run in pair] for pair in runs]
        most = max(len(draws) for pair in sides for draws in pair)
        for run in itertools.chain(*runs):
            draws = run.draws.get(name, [])
            if len(draws) < most or (endpoint.measure.scale == "ratio" and min(draws, default=1) <= 0):
                raise ResultError(
                    f"{run.path} has draws.{name}={draws}, of which an interval cannot be made ({most} are needed); "
                    "measure the run again (ganlab.evaluate --record), or leave it out (--leave-out)"
                )
        if not most:
            continue
        outcomes = np.vectorize(endpoint.measure.outcome, otypes=[float])
        ours, theirs = (np.array([pair[side] for pair in sides], float) for side in (0, 1))
        tables.append(outcomes(ours) - outcomes(theirs))
    return tables if len(tables) == len(names) else []


def _outcomes(endpoint: Endpoint, arm: Arm, values: Mapping[int, float] | None = None) -> dict[int, float]:
    """What is subtracted, by seed: more is better, -inf for a run that is the worst, absent where there is no value.

    values: instead of those of the end.
    """
    values = arm.values(endpoint.metric) if values is None else values
    outcomes = {}
    for seed in arm.runs:
        if arm.why_missing(seed, endpoint.metric) in COUNTED_AS_WORST:
            outcomes[seed] = -math.inf
        elif seed in values:
            outcomes[seed] = endpoint.measure.outcome(values[seed])
    return outcomes


def _compare(
    ours: dict[int, float], theirs: dict[int, float], margin: float | None, draws: Sequence[NDArray[np.float64]]
) -> tuple[Comparison, float, bool]:
    """The comparison of finished pairs, the p of equivalence, and whether ranks decided.

    Ranks decide where a run is the worst and its partner is not.

    Ranks alone would too often call an arm worse that is as good except for a few collapsed runs, which take all the
    largest ranks. So ranks decide only where one of three agrees: the finished pairs, how often each arm fails, or the
    signs of all pairs, at a third of the level (experiments/statistics measures how often that is wrong).
    """
    pairs = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    differences = np.array([statistics.difference(*pair) for pair in pairs])
    finished = [x - y for x, y in pairs if math.isfinite(x) and math.isfinite(y)]
    comparison, outside = _NO_PAIR, 1.0
    if finished:  # there less is better
        turned = [-table for table in draws]
        c, outside = statistics.comparison_over_draws([-d for d in finished], turned, margin, LEVEL)
        comparison = c._replace(mean=-c.mean, low=-c.high, high=-c.low, effect_size=-c.effect_size)
    if not np.isinf(differences).any():
        return comparison, outside, False
    ranks = statistics.signed_rank_test(differences)
    signs = np.sign(differences) * ranks.side
    signs_of_failures = signs[np.isinf(differences)]

    def against(signs: NDArray[np.float64]) -> float:
        same, contrary = int(np.sum(signs > 0)), int(np.sum(signs < 0))
        return statistics.sign_test(same, contrary) if same > contrary else 1.0

    causes = [
        comparison.p_value if comparison.runs > 1 and comparison.mean * ranks.side > 0 else 1.0,
        against(signs_of_failures),
        min(1.0, 3 * against(signs)),
    ]
    p = max(ranks.p_value, min(causes))
    verdict: Verdict = "inconclusive"
    if p <= 1 - LEVEL:
        verdict = "better" if ranks.side > 0 else "worse"
    return comparison._replace(p_value=p, verdict=verdict), 1.0, True


_NO_PAIR = Comparison(math.nan, -math.inf, math.inf, 1.0, math.nan, 0, "inconclusive")


def _pairs(metric: str, arm: Arm, reference: Arm) -> tuple[Pair, ...]:
    ours, theirs = arm.values(metric), reference.values(metric)
    pairs = []
    for seed in sorted(arm.runs.keys() | reference.runs.keys()):
        reasons = dict.fromkeys(filter(None, (arm.why_missing(seed, metric), reference.why_missing(seed, metric))))
        pairs.append(Pair(seed, ours.get(seed), theirs.get(seed), tuple(reasons)))
    return tuple(pairs)


# --- what weakens a study beyond its numbers --------------------------------------------------------------------------


def _cautions(
    arms: Sequence[Arm], plan: Comparing, primary: str | None, reference: Arm, ladder: Mapping[str, Rungs]
) -> list[Caution]:
    """What was chosen after the runs, runs that were not made alike, and a primary metric that should not decide.

    primary: the metric that decides, None where none was measured.
    """
    cautions: list[Caution] = []
    if primary in ladder and (fault_and_grain := missed_fault(primary, ladder[primary])):
        cautions.append(NotAdmitted(primary, *fault_and_grain))
    if primary not in (None, plan.quality):
        cautions.append(ChosenAfterwards("primary metric", str(primary), plan.quality))
    stated = plan.reference or next((arm.label for arm in arms if arm.label == BASELINE), arms[0].label)
    if reference.label != stated:
        cautions.append(ChosenAfterwards("reference", reference.label, stated))
    if "collapse" not in plan.model_fields_set and any(arm.collapsed for arm in arms):
        cautions.append(ChosenAfterwards("rule of collapse", f"{plan.collapse}", "none"))
    return [*cautions, *_made_differently(arms)]


def _made_differently(arms: Sequence[Arm]) -> list[MadeDifferently]:
    """Devices, variables, versions and extensions that differ between finished runs, with the arms that have each."""
    facts: dict[str, dict[str, list[str]]] = {}
    for arm in arms:
        for run in arm.finished:
            environment = ", ".join(f"{name}={value}" for name, value in sorted(run.environment.items()))
            surroundings = {"device": run.device or "not recorded", "environment": environment or "nothing set"}
            for fact, value in (surroundings | run.versions | _raised(run)).items():
                labels = facts.setdefault(fact, {}).setdefault(value, [])
                labels += [arm.label] * (arm.label not in labels)
    return [
        MadeDifferently(fact, tuple((value, tuple(labels)) for value, labels in values.items()))
        for fact, values in facts.items()
        if len(values) > 1
    ]


def _raised(run: RunResult) -> dict[str, str]:
    """When a run's last step was raised, where its rates or its noise fall towards that step; else nothing."""
    settings = flatten(run.config)
    if settings.get("optimizer.final_rate", 1) == 1 and not settings.get("augment.noise"):
        return {}  # then it makes no difference
    raised = [
        f"raised from {each.get('steps_before')} to {each.get('steps')} at step {each['from_step']}"
        for each in run.extended
        if each.get("from_step")
    ]
    return {"training.steps": " and ".join(raised) or "never raised"}


# --- which metrics may decide -----------------------------------------------------------------------------------------

SURE = 3.0  # standard errors that count as more than chance


def _known(ladder: Mapping[str, Rungs]) -> dict[str, Rungs]:
    """The metrics of a ladder that this version knows, with all rungs that decide."""
    needed = {*registry.GRAIN, *registry.FAULTS, registry.RUNG_NOISE}
    return {metric: rungs for metric, rungs in ladder.items() if registry.metric_of(metric) and needed <= rungs.keys()}


def missed_fault(metric: str, rungs: Rungs) -> tuple[str, str] | None:
    """The fault that a measure rates no worse than grain, and the grain; None where it is admitted.

    rungs: of this metric, as `climb` gives them; a missing class counts as the mean over the classes left out in turn.
    """
    measure = METRICS[registry.base_name(metric)]

    def badness(rung: str) -> float:
        value = rungs[rung]
        return -value if measure.direction == "larger" else abs(value) if measure.scale == "size" else value

    grain = max(registry.GRAIN, key=badness)
    faults = {rung: badness(rung) for rung in registry.FAULTS}
    if absent := [badness(rung) for rung in rungs if rung.startswith(registry.WITHOUT_CLASS)]:
        faults["a missing class"] = float(np.mean(absent))
    mildest = min(faults, key=lambda rung: faults[rung])
    step = SURE * rungs[registry.RUNG_NOISE] * np.sqrt(2 / registry.RUNG_DRAWS)
    return None if faults[mildest] - badness(grain) > step else (mildest, grain)


def admitted(ladder: Mapping[str, Rungs]) -> list[str]:
    """The measures that may decide, in the order of the ladder."""
    return [metric for metric, rungs in ladder.items() if missed_fault(metric, rungs) is None]


# --- at equal images and at equal seconds, from what runs recorded while training -------------------------------------

Budget = Literal["images", "seconds"]
Series = list[tuple[int, float, float]]
"""A metric of one run while it trained: (images, seconds, value), in rising order."""


@dataclass(frozen=True)
class AtBudget:
    """Each arm against the reference at a budget that every run has reached. comparisons: by arm; more is better."""

    over: Budget
    budget: float
    comparisons: dict[str, Comparison]


def at_equal_budget(
    study: Study, endpoint: Endpoint, series: Mapping[str, Mapping[int, Series]], over: Budget
) -> AtBudget | None:
    """The arms at the largest budget that all their runs have reached; None where some run recorded nothing.

    series: by arm and seed. Each run counts with its last value up to the budget; a pair in which a run has none, or
    one without a ratio where ratios are compared, is left out. Collapsed runs count as the worst here, too.
    """
    column = ("images", "seconds").index(over)
    runs = [series.get(arm.label, {}).get(seed, []) for arm in study.arms for seed in arm.values(endpoint.metric)]
    if not runs or not all(runs):
        return None
    budget = min(run[-1][column] for run in runs)

    def outcomes(arm: Arm) -> dict[int, float]:
        within_budget = {
            seed: [value for *spent, value in series[arm.label][seed] if spent[column] <= budget]
            for seed in arm.values(endpoint.metric)
        }
        last = {seed: row[-1] for seed, row in within_budget.items() if row}
        least = 0.0 if endpoint.measure.scale == "ratio" else -math.inf
        return _outcomes(endpoint, arm, {seed: value for seed, value in last.items() if least < value < math.inf})

    theirs, margin = outcomes(study.reference), endpoint.compared_margin
    others = [arm for arm in study.arms if arm is not study.reference]
    return AtBudget(over, budget, {arm.label: _compare(outcomes(arm), theirs, margin, [])[0] for arm in others})
