"""Which rate each arm does best with: every generator at every rate, with the same seeds, which no study uses again.

Arms compared at one rate are compared at a rate that may suit one of them. Equal trials for each (the same rates, the
same seeds) are the fair way to give each its own. Lucic et al. 2018, arXiv:1711.10337; Dodge et al. 2019,
arXiv:1909.03004.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from ganlab.config.comparison import Comparing
from ganlab.errors import nearest
from ganlab.evaluation.registry import METRICS, Metric, base_name, compared
from ganlab.runs.result import ResultError, RunResult, find_results, has_collapsed
from ganlab.study.arms import (
    Arm,
    as_typed,
    by_number,
    group_equal,
    group_runs,
    labels_of,
    plan_of,
    refuse_confounded,
    refuse_protocols,
)

RATE, FACTORS = "optimizer.g_learning_rate", "optimizer.g_rate_factors"


class Trial(NamedTuple):
    """One arm at one rate.

    values: the metric by seed, None where the run failed: it diverged or collapsed. value: their mean, of a ratio the
    geometric one, of a metric that is best at 0 of the distances from it; None where a run failed, which is worse than
    any number.
    """

    rate: float
    values: Mapping[int, float | None]
    value: float | None


@dataclass(frozen=True)
class TunedArm:
    """One arm at all rates.

    generator: its name, as in conf/generator. trials: by rising rate. best: the best of them, None where a run of each
    failed. equal: the one at the rate that all arms share. expected_best: of k = 1 ... n trials drawn from these
    without putting back, the expected best value; None where that many may all have failed. edge: whether the best is
    at the lowest or the highest rate that was tried, so that a better one may lie outside. undecided: other rates
    that these seeds do not show to be worse (`_undecided`).
    """

    label: str
    generator: str
    trials: tuple[Trial, ...]
    best: Trial | None
    equal: Trial
    expected_best: tuple[float | None, ...]
    edge: str
    undecided: tuple[float, ...]

    @property
    def factor(self) -> float | None:
        """The best rate as a multiple of the one that all arms share; None without a best one."""
        return self.best and float(f"{self.best.rate / self.equal.rate:.6g}")


@dataclass(frozen=True)
class Tuning:
    """What the runs of a tuning study say. equal_rate: the rate that the study without factors has."""

    directory: Path
    plan: Comparing
    metric: str
    measure: Metric
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    equal_rate: float
    arms: tuple[TunedArm, ...]

    @property
    def factors(self) -> dict[str, float]:
        """The factor of each arm whose best rate is not the equal one, by its generator."""
        return {arm.generator: arm.factor for arm in self.arms if arm.factor not in (None, 1.0)}

    def order(self, trials: Mapping[str, Trial | None]) -> list[list[str]]:
        """Labels of arms from the best trial to the worst; those of equal values together."""
        losses = {label: _loss(self.measure, trial and trial.value) for label, trial in trials.items()}
        return [[label for label in trials if losses[label] == place] for place in sorted(set(losses.values()))]


def is_tuning(trees: Iterable[Mapping[str, Any]]) -> bool:
    """Whether runs with these settings, by dotted name, have several generators and several rates of them."""
    trees = list(trees)
    return all(len({str(tree.get(key)) for tree in trees}) > 1 for key in ("generator.name", RATE))


def tune_study(
    directory: str | Path, metric: str | None = None, rate: float | None = None, study: str | Path | None = None
) -> Tuning:
    """Find the best rate of each arm under a folder.

    metric: another one than the study's comparison.quality. rate: the one that the arms share without factors; None:
    the middle one of those tried. study: the folder of a study whose seeds must be others. Raises ResultError, of one
    line, where the arms do not have the same rates and seeds, and for what `compare` refuses too.
    """
    folder = str(directory)
    groups = group_runs(folder, leaving_out=False)
    for settings, _ in groups:
        if preset := next((key for key in settings if key.startswith(FACTORS)), None):
            raise ResultError(f"{directory} has runs with {preset}={as_typed(settings[preset])}; tune without factors")
        if not _is_rate(settings.get(RATE)):
            raise ResultError(f"{directory} has runs without {RATE}; give the folder of a sweep over it")
        if not isinstance(settings.get("generator.name"), str):
            raise ResultError(f"{directory} has runs without generator.name; give the folder of a sweep over generator")
    arms = _arms(folder, groups)
    results = [run for _, runs in groups for run in runs.values()]
    refuse_protocols(folder, results, leaving_out=False)
    rates = sorted({rate for _, trials in arms.values() for rate in trials})
    seeds = sorted({run.seed for run in results})
    _check_rates(folder, rates, rate)
    if study is not None:
        _refuse_seeds(folder, seeds, study)
    plan = plan_of([Arm(label, {}, runs) for label, (_, trials) in arms.items() for runs in trials.values()])
    name = _metric(folder, metric, plan, results)
    measure = METRICS[base_name(name)]
    _refuse_unequal(folder, arms, rates, seeds, name)
    equal = rate or rates[len(rates) // 2]
    tuned = []
    for label, (generator, trials) in arms.items():
        own = tuple(_trial(each, trials[each], name, measure, plan) for each in rates)
        tuned.append(_tuned(label, generator, own, measure, equal))
    return Tuning(Path(directory), plan, name, measure, tuple(rates), tuple(seeds), equal, tuple(tuned))


def expected_best(losses: Sequence[float], k: int) -> float:
    """The expected least of k losses drawn from these without putting back: sum of v_i C(n-i, k-1) / C(n, k), sorted.

    Dodge et al. 2019, arXiv:1909.03004, for draws without putting back. Infinite where all k may be infinite.
    """
    n, total = len(losses), 0.0
    for place, loss in enumerate(sorted(losses), 1):
        if ways := math.comb(n - place, k - 1):  # to draw it and k-1 that are no better
            total += loss * ways / math.comb(n, k)
    return total


_Arms = dict[str, tuple[str, dict[float, dict[int, RunResult]]]]  # by label: the generator, and runs by rate and seed


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 1e-30 < value < 1e30


def _arms(directory: str, groups: Sequence[tuple[dict[str, Any], dict[int, RunResult]]]) -> _Arms:
    """Runs by arm and rate, the arms in the order of their labels; ResultError where two arms have one name."""
    by_tree = group_equal(
        ({key: value for key, value in settings.items() if key != RATE}, (float(settings[RATE]), runs))
        for settings, runs in groups
    )
    trees = [tree for tree, _ in by_tree]
    refuse_confounded(directory, trees)
    names = [tree["generator.name"] for tree in trees]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ResultError(
            f"{directory} has {names.count(twice)} arms named {as_typed(twice)}, and factors go by name; "
            "tune arms of different generator.name"
        )
    arms = {
        label: (tree["generator.name"], dict(trials))
        for label, (tree, trials) in zip(labels_of(trees), by_tree, strict=True)
    }
    return dict(sorted(arms.items(), key=lambda arm: by_number(arm[0])))


def _check_rates(directory: str, rates: Sequence[float], asked: float | None) -> None:
    if len(rates) < 2:
        raise ResultError(f"{directory} has runs of one {RATE} only, {rates[0]:g}; a tuning study needs several")
    if asked is None and len(rates) % 2 == 0:
        raise ResultError(
            f"{directory} has {len(rates)} rates, of which none is in the middle; name the one that the study has: "
            f"--rate {rates[len(rates) // 2]:g}"
        )
    if asked is not None and asked not in rates:
        listed = ", ".join(f"{rate:g}" for rate in rates)
        raise ResultError(f"--rate={asked:g} is none of the rates that were tried; choose one of: {listed}")


def _refuse_seeds(directory: str, seeds: Sequence[int], study: str | Path) -> None:
    common = sorted(set(seeds) & {run.seed for run in find_results(study)})
    if common:
        listed = ", ".join(map(str, common[:10])) + (f" and {len(common) - 10} more" if len(common) > 10 else "")
        raise ResultError(
            f"{study} has runs with seeds of {directory}, {listed}; what was tuned on them flatters there: "
            "run the study with other seeds"
        )


def _metric(directory: str, asked: str | None, plan: Comparing, results: Sequence[RunResult]) -> str:
    measured = {name for run in results if run.status == "finished" for name in run.metrics if compared(name)}
    where, name = ("comparison.quality", plan.quality) if asked is None else ("--metric", asked)
    if name not in measured:
        options = nearest(name, measured) if measured else "no finished run has any that can be compared"
        raise ResultError(f"{where}={name!r} is no metric of {directory}; {options}")
    return name


def _refuse_unequal(directory: str, arms: _Arms, rates: Sequence[float], seeds: Sequence[int], metric: str) -> None:
    """Every arm has a run at every rate with every seed, that has finished with the metric or has diverged."""
    missing = []
    for label, (_, trials) in arms.items():
        for rate in rates:
            for seed in seeds:
                run = trials.get(rate, {}).get(seed)
                where = f"{label} with {RATE}={rate:g} and seed {seed}"
                if run is None:
                    missing.append(f"no run of {where}")
                elif run.status not in ("finished", "diverged"):
                    missing.append(f"a run that {_STOPPED[run.status]}, {where}")
                elif run.status == "finished" and metric not in run.metrics:
                    missing.append(f"a run without {metric}, {where}")
    if missing:
        more = f" ({len(missing) - 1} more like it)" if len(missing) > 1 else ""
        raise ResultError(
            f"{directory} has {missing[0]}{more}; arms need equal trials: give the command of the sweep again, "
            "or take out the others of that rate or seed (python -m ganlab.status DIR --forget)"
        )


_STOPPED = {"failed": "failed", "interrupted": "was interrupted"}


def _trial(rate: float, runs: Mapping[int, RunResult], metric: str, measure: Metric, plan: Comparing) -> Trial:
    values: dict[int, float | None] = {}
    for seed, run in runs.items():
        failed = run.status == "diverged" or has_collapsed(
            plan.quality, run.metrics, run.real_against_real, plan.collapse
        )
        values[seed] = None if failed else run.metrics[metric]
        if measure.scale == "ratio" and (value := values[seed]) is not None and value <= 0:
            raise ResultError(
                f"{run.path} has metrics.{metric}={value}, of which there is no ratio; measure the run again"
            )
    return Trial(rate, dict(sorted(values.items())), _mean(measure, list(values.values())))


def _mean(measure: Metric, values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    if measure.scale == "ratio":
        return math.exp(math.fsum(map(math.log, known)) / len(known))
    return math.fsum(map(abs, known) if measure.scale == "size" else known) / len(known)


def _loss(measure: Metric, value: float | None) -> float:
    """A trial's value so that less is better; infinite where a run failed."""
    if value is None:
        return math.inf
    return -value if measure.direction == "larger" else value


def _tuned(label: str, generator: str, trials: tuple[Trial, ...], measure: Metric, equal_rate: float) -> TunedArm:
    losses = [_loss(measure, trial.value) for trial in trials]

    def far(trial: Trial) -> tuple[float, float]:  # of equal values the one whose rate is nearest to the equal one
        return _loss(measure, trial.value), abs(math.log(trial.rate / equal_rate))

    best = min(trials, key=far)
    expected = (expected_best(losses, k) for k in range(1, len(losses) + 1))
    edge = {trials[0].rate: "lowest", trials[-1].rate: "highest"}.get(best.rate, "")
    return TunedArm(
        label,
        generator,
        trials,
        None if best.value is None else best,
        next(trial for trial in trials if trial.rate == equal_rate),
        tuple(None if math.isinf(loss) else _loss(measure, loss) for loss in expected),
        "" if best.value is None else edge,
        _undecided(trials, best, measure),
    )


def _undecided(trials: Sequence[Trial], best: Trial, measure: Metric) -> tuple[float, ...]:
    """The rates whose values may be as good as the best: within the least significant difference at 5 %.

    Its error is what rates and seeds, as two additive effects, leave of the values (logarithms of ratios). With one
    seed, or one trial without a run that failed, nothing is known of that, and every other rate may be as good.
    """
    known = [trial for trial in trials if trial.value is not None]
    change: Any = {"ratio": np.log, "size": np.abs}.get(measure.scale, np.asarray)
    values = change(np.array([list(trial.values.values()) for trial in known], np.float64))
    free = (values.shape[0] - 1) * (values.shape[1] - 1) if known else 0
    if not free:
        return tuple(trial.rate for trial in known if trial is not best)
    residuals = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    least = stdtrit(free, 0.975) * math.sqrt(2 * np.sum(residuals**2) / free / values.shape[1])
    means = dict(zip((trial.rate for trial in known), values.mean(1), strict=True))
    return tuple(rate for rate in means if rate != best.rate and abs(means[rate] - means[best.rate]) <= least)
