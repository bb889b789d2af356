"""A study once its arms are compared: plain values that reports, figures and files are made from."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ganlab.config.comparison import Comparing
from ganlab.evaluation.registry import Metric, Rungs
from ganlab.runs.result import RunResult
from ganlab.runs.status import CellStatus
from ganlab.study.arms import Arm
from ganlab.study.statistics import Comparison, RobustStatistics, Verdict

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
        if self.missing or not self.reasons:
            return False, False
        return (
            self.ours is None and self.reasons[0] == why,
            self.theirs is None and self.reasons[-1] == why,
        )


@dataclass(frozen=True)
class ArmComparison:
    """One arm against the reference in one metric.

    paired: of differences in which more is better, whatever the metric; of finished pairs only, except for p_value and
    verdict where by_ranks is true: there a run diverged or collapsed, its partner did not, and it counts as the worst.
    verdict: by the adjusted p where there is one; exploratory in all endpoints but the primary one. p_adjusted: over
    the arms, None where nothing was adjusted. arms: how many are compared with the reference. kinds: for a mean over
    kinds of features, the comparison through each of them. `report.sentences` puts it in a sentence.
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

    @property
    def effect(self) -> tuple[float, float, float]:
        """Mean, low and high of the differences in the metric's own direction; of logarithms where it is a ratio."""
        return self.endpoint.effect(self.paired)

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
        ours, theirs = zip(*(pair.worst(why) for pair in self.pairs), strict=True) if self.pairs else ((), ())
        return sum(ours), sum(theirs)

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
        """The endpoints that were fixed before the first run."""
        return tuple(endpoint for endpoint in self.endpoints if endpoint.title != endpoint.metric)

    @property
    def open(self) -> dict[str, str]:
        """The endpoints of the plan, by title, that no run has measured; empty where there are no metrics at all."""
        measured = {endpoint.metric for endpoint in self.endpoints}
        return {title: metric for title, metric in self.plan.endpoints.items() if measured and metric not in measured}
