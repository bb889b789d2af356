"""What is known of a study once its arms are compared: plain values that reports, figures and files are made of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ganlab.config.comparison import Comparing
from ganlab.evaluation.registry import Metric
from ganlab.study.arms import Arm
from ganlab.study.statistics import Comparison, Robust, Verdict

LEVEL = 0.95


class Gap(NamedTuple):
    """A seed of an arm that lacks a value.

    why: no result, left out, diverged, failed, interrupted, not measured. metric: which value lacks, where it is one
    metric's. alone: it diverged, and there is no run of the other arm to which it could be the worse.
    """

    arm: str
    seed: int
    why: str
    metric: str = ""
    alone: bool = False


class NoRatio(NamedTuple):
    """A run's value of a metric whose ratios are compared, of which there is none: it is not above 0."""

    path: Path | None
    metric: str
    value: float


class Cell(NamedTuple):
    """A cell of the sweep, and how it stands: missing, running, interrupted; where it was left out, its status."""

    name: str
    state: str


class ChosenAfterwards(NamedTuple):
    """Another primary metric or reference than the one that was stated before the runs."""

    what: Literal["primary metric", "reference"]
    chosen: str
    stated: str


class LeftOut(NamedTuple):
    """Runs that somebody chose not to count."""

    cells: tuple[Cell, ...]


class MadeDifferently(NamedTuple):
    """A device, variable or version that is not the same for all runs: its values, and the arms that have each."""

    what: str
    values: tuple[tuple[str, tuple[str, ...]], ...]


Caution = ChosenAfterwards | LeftOut | MadeDifferently


@dataclass(frozen=True)
class Endpoint:
    """A metric that arms are compared in.

    title: quality, spectrum or checkerboard where the settings of the study named it before its first run, else the
    metric's own name. primary: its p values are adjusted over the arms; all others are exploratory. margin: what
    difference is negligible, of a ratio as a share (0.05), else in the metric's unit; None: nothing was said.
    """

    title: str
    metric: str
    measure: Metric
    primary: bool
    margin: float | None


@dataclass(frozen=True)
class Pair:
    """Both arms' values with one seed, in the metric's own unit; None where a run has none.

    reasons: why: diverged, failed, interrupted, no result, left out, not measured; where the arms have different ones,
    ours and then theirs. They are diverged alone exactly where the pair counts though a value lacks: that run is the
    worst.
    """

    seed: int
    ours: float | None
    theirs: float | None
    reasons: tuple[str, ...] = ()

    @property
    def missing(self) -> bool:
        """Whether the pair counts nowhere."""
        return self.reasons not in ((), ("diverged",))


@dataclass(frozen=True)
class ArmComparison:
    """One arm against the reference in one metric.

    paired: of differences in which more is better, whatever the metric; of finished pairs alone, but for p_value
    and verdict where by_ranks: there a run diverged whose partner did not, and an exact signed-rank test counts it as
    the worst. verdict: of the primary endpoint after adjustment, of all others before, which is exploratory.
    p_adjusted: over the arms, None where nothing was adjusted. arms: how many are compared with the
    reference. The sentence that says it is made in `report.sentences`.
    """

    arm: str
    reference: str
    endpoint: Endpoint
    paired: Comparison
    verdict: Verdict
    p_adjusted: float | None
    pairs: tuple[Pair, ...]
    robust: Robust
    by_ranks: bool
    adjustment: Literal["Holm", "Benjamini-Hochberg"] | None
    arms: int

    @property
    def own(self) -> tuple[float, float, float]:
        """Mean, low and high of the differences in the metric's own direction; of logarithms where it is a ratio."""
        c, own = self.paired, self.endpoint.measure.own
        low, high = sorted((own(c.low), own(c.high)))
        return own(c.mean), low, high

    @property
    def deciding(self) -> int:
        """The pairs that a test can use: two runs that diverged are equally bad and tell nothing."""
        return sum(not pair.missing and (pair.ours, pair.theirs) != (None, None) for pair in self.pairs)

    @property
    def diverged(self) -> tuple[int, int]:
        """How many runs of the arm and of the reference count as the worst, of the pairs that count."""
        counted = [pair for pair in self.pairs if pair.reasons == ("diverged",)]
        return sum(pair.ours is None for pair in counted), sum(pair.theirs is None for pair in counted)


@dataclass(frozen=True)
class Summary:
    """One arm's finished runs in one metric, in its own unit; None for what takes more runs."""

    arm: str
    runs: int
    mean: float | None
    sd: float | None
    median: float | None
    interquartile_mean: float | None


@dataclass(frozen=True)
class FailureRate:
    """How many of an arm's runs that came to an end diverged, with a 95 % interval of Wilson."""

    arm: str
    diverged: int
    runs: int
    low: float
    high: float


@dataclass(frozen=True)
class Study:
    """Everything that is known about the arms under a folder.

    endpoints: those of the plan first, the primary one at the head, then all other metrics that have a better side.
    comparisons: by metric, one for each arm but the reference. shown_only: metrics of which neither side is better.
    gaps: seeds that an arm cannot give to any pair, and why. pending: cells of the sweep that have no result, and how
    they stand. diverged: seeds that count as the worst. unmeasured: by metric, finished runs without it. dropped: runs
    for which a metric is compared nowhere, since there is no ratio of 0. cautions: choices that were made
    after the runs, and runs that were not made alike. left_out: runs that somebody left out by hand, and how they
    stand. summaries: by metric, one for each arm. failures: one
    for each arm.
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
    pending: tuple[Cell, ...] = ()
    left_out: tuple[Cell, ...] = ()

    @property
    def stated(self) -> tuple[Endpoint, ...]:
        """The endpoints that were fixed before the first run."""
        return tuple(endpoint for endpoint in self.endpoints if endpoint.title != endpoint.metric)

    @property
    def open(self) -> dict[str, str]:
        """The endpoints of the plan, by title, that no run has a value of; none where there are no metrics at all."""
        measured = {endpoint.metric for endpoint in self.endpoints}
        return {title: metric for title, metric in self.plan.endpoints.items() if measured and metric not in measured}
