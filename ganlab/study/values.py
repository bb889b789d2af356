"""What is known of a study once it is judged: plain values that reports, figures and files are made of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ganlab.config.comparison import Comparing, Measure
from ganlab.study.arms import Arm
from ganlab.study.robustness import Robust
from ganlab.study.statistics import Comparison, Verdict

LEVEL = 0.95


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
    """Both arms' values with one seed, in the metric's own unit; None where a run has none.

    note: why: diverged, failed, interrupted, no result, left out, not measured; where the arms have different reasons,
    ours and then theirs. It is "diverged" exactly where the pair counts though a value lacks: the diverged run is the
    worst.
    """

    seed: int
    ours: float | None
    theirs: float | None
    note: str = ""

    @property
    def missing(self) -> bool:
        """Whether the pair counts nowhere."""
        return self.note not in ("", "diverged")


@dataclass(frozen=True)
class Judgement:
    """One arm against the reference in one metric.

    comparison: of differences in which smaller is better, whatever the metric; of finished pairs alone, but for p_value
    and verdict where by_ranks: there a run diverged whose partner did not, and an exact signed-rank test counts it as
    the worst. verdict: of the primary endpoint after adjustment, of all others before, which is exploratory.
    p_adjusted: over the arms, None where nothing was adjusted. arms: how many are compared with the
    reference. The sentence that says it is made in `report.sentences`.
    """

    arm: str
    reference: str
    endpoint: Endpoint
    comparison: Comparison
    verdict: Verdict
    p_adjusted: float | None
    pairs: tuple[Pair, ...]
    robust: Robust
    by_ranks: bool
    adjustment: Literal["Holm", "Benjamini-Hochberg"] | None
    arms: int

    @property
    def deciding(self) -> int:
        """The pairs that a test can use: two runs that diverged are equally bad and tell nothing."""
        return sum(not pair.missing and (pair.ours, pair.theirs) != (None, None) for pair in self.pairs)

    @property
    def diverged(self) -> tuple[int, int]:
        """How many runs of the arm and of the reference count as the worst, of the pairs that count."""
        counted = [pair for pair in self.pairs if pair.note == "diverged"]
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
    judgements: by metric, one for each arm but the reference. shown_only: metrics of which neither side is better.
    gaps: seeds that an arm cannot give to any pair, and why. pending: cells of the sweep that have no result, and how
    they stand. diverged: seeds that count as the worst. unmeasured: by metric, finished runs without it. dropped: runs
    for which a metric is compared nowhere, since there is no ratio of 0. cautions: sentences on choices that were made
    after the runs, and on runs that were not made alike. left_out: runs that somebody left out by hand, and how they
    stand. summaries: by metric, one for each arm. failures: one
    for each arm.
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
    diverged: tuple[str, ...]
    unmeasured: dict[str, tuple[str, ...]]
    summaries: dict[str, tuple[Summary, ...]]
    failures: tuple[FailureRate, ...]
    dropped: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def stated(self) -> tuple[Endpoint, ...]:
        """The endpoints that were fixed before the first run."""
        return tuple(endpoint for endpoint in self.endpoints if endpoint.title != endpoint.metric)

    @property
    def open(self) -> dict[str, str]:
        """The endpoints of the plan, by title, that no run has a value of; none where there are no metrics at all."""
        judged = {endpoint.metric for endpoint in self.endpoints}
        return {title: metric for title, metric in self.plan.endpoints.items() if judged and metric not in judged}
