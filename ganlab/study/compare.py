"""What the runs under a folder say about its question: every arm against the reference, in every metric, in pairs."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ganlab.config.comparison import Comparing
from ganlab.errors import matching, nearest
from ganlab.evaluation.registry import METRICS, base_name, compared
from ganlab.runs.result import ResultError
from ganlab.runs.status import Standing, find_cells, without_result
from ganlab.study.arms import Arm, gather_arms, plan_of
from ganlab.study.statistics import (
    Comparison,
    Verdict,
    benjamini_hochberg,
    difference,
    holm,
    interquartile_mean,
    look_again,
    paired_comparison,
    signed_rank_test,
    wilson_interval,
)
from ganlab.study.values import (
    LEVEL,
    ArmComparison,
    Cell,
    ChosenAfterwards,
    Endpoint,
    FailureRate,
    Gap,
    LeftOut,
    MadeDifferently,
    NoRatio,
    Pair,
    Study,
    Summary,
)

BASELINE = "transpose"  # of the literature, and the default generator


def compare_study(
    directory: str | Path, metric: str | None = None, reference: str | None = None, leave_out: Sequence[str] = ()
) -> Study:
    """Compare the arms under a folder as their settings ask.

    metric, reference: other ones than those that were fixed before the runs. leave_out: runs that are not compared, by
    folder below the study's or by pattern. Raises ConfigError, of one line.
    """
    folder = Path(directory)
    left_out = {cell.name: cell.state for cell in _left_out(folder, leave_out)} if leave_out else {}
    arms = gather_arms(str(directory), left_out)
    study = compare_arms(arms, plan_of(arms, str(directory)), metric, reference, folder)
    cells = tuple(Cell(name, state) for name, state in left_out.items())
    return replace(
        study,
        pending=tuple(Cell(each.name, each.state) for each in without_result(folder) if each.name not in left_out),
        left_out=cells,
        cautions=(*study.cautions, *([LeftOut(cells)] if cells else [])),
    )


def _left_out(folder: Path, patterns: Sequence[str]) -> list[Standing]:
    cells = {cell.name: cell for cell in find_cells(folder)}
    return [cells[name] for name in matching(cells, patterns, "--leave-out", folder)]


def compare_arms(
    arms: Sequence[Arm],
    plan: Comparing,
    metric: str | None = None,
    reference: str | None = None,
    directory: Path = Path(),
) -> Study:
    """Compare arms, wherever they come from; `directory` is what errors and reports call them."""
    against, runs = _reference(directory, arms, reference, plan), [run for arm in arms for run in arm.runs.values()]
    found = sorted({name for run in runs if run.status == "finished" for name in run.metrics})
    comparable = [name for name in found if compared(name)]
    if metric is not None and metric not in comparable:
        options = nearest(metric, comparable) if comparable else "no finished run has any that can be compared"
        raise ResultError(f"--metric={metric!r} is no metric of {directory}; {options}")
    unmeasured: dict[str, tuple[Gap | NoRatio, ...]] = {
        name: tuple(_gaps(arms, name, ("not measured",))) for name in found
    }
    endpoints: list[Endpoint] = []
    dropped: list[NoRatio] = []
    for endpoint in _endpoints(plan, comparable, metric):
        nothing = _without_ratio(endpoint, arms)
        if nothing and (endpoint.primary or endpoint.title != endpoint.metric):
            raise ResultError(
                f"{nothing[0].path} has metrics.{nothing[0].metric}={nothing[0].value}, of which there is no ratio; "
                "use a positive number, measure the run again, or leave it out (--leave-out)"
            )
        if nothing:  # told as what lies below the study's folder, wherever that stands
            nothing = [each._replace(path=each.path and each.path.relative_to(directory)) for each in nothing]
            unmeasured[endpoint.metric] = (*unmeasured[endpoint.metric], *nothing)
            dropped += nothing
        else:
            endpoints.append(endpoint)
    comparisons = {endpoint.metric: _compare_in(endpoint, plan, arms, against) for endpoint in endpoints}
    counted = _counted(arms, against)
    diverged = _gaps(arms, "", ("diverged",))
    primary = next((endpoint.metric for endpoint in endpoints if endpoint.primary), None)
    return Study(
        directory=directory,
        plan=plan,
        arms=tuple(arms),
        reference=against,
        endpoints=tuple(endpoints),
        comparisons=comparisons,
        gaps=(
            *_gaps(arms, "", ("failed", "interrupted", "no result", "left out")),
            *(gap._replace(alone=True) for gap in diverged if gap not in counted),
        ),
        protocol=next((run.protocol for run in runs if run.status == "finished" and run.protocol), {}),
        shown_only=tuple(name for name in found if not compared(name)),
        diverged=tuple(gap for gap in diverged if gap in counted),
        unmeasured={name: gaps for name, gaps in unmeasured.items() if gaps},
        summaries={name: tuple(_summary(arm, name) for arm in arms) for name in found},
        failures=tuple(map(_failures, arms)),
        dropped=tuple(dropped),
        cautions=(
            *chosen_afterwards(plan, primary, against.label, _usual(arms).label),
            *made_differently(arms),
        ),
    )


def _reference(directory: Path, arms: Sequence[Arm], asked: str | None, plan: Comparing) -> Arm:
    labels = {arm.label: arm for arm in arms}
    for where, wanted in (("--reference", asked), ("comparison.reference", plan.reference)):
        if wanted is not None:
            if wanted not in labels:
                raise ResultError(f"{where}={wanted!r} is no arm of {directory}; {nearest(wanted, labels)}")
            return labels[wanted]
    return _usual(arms)


def _usual(arms: Sequence[Arm]) -> Arm:
    return next((arm for arm in arms if arm.label == BASELINE), arms[0])


def _endpoints(plan: Comparing, comparable: list[str], metric: str | None) -> list[Endpoint]:
    stated = {name: title for title, name in reversed(plan.endpoints.items())}  # of a metric named twice, the first
    primary = metric or plan.quality
    order = sorted(comparable, key=lambda name: (name != primary, name not in stated, name))
    return [
        Endpoint(stated.get(name, name), name, METRICS[base_name(name)], name == primary,
                 plan.margins.get(base_name(name)))
        for name in order
    ]  # fmt: skip


def _without_ratio(endpoint: Endpoint, arms: Sequence[Arm]) -> list[NoRatio]:
    """Each finished run whose value has no logarithm, though ratios are compared."""
    if endpoint.measure.scale != "ratio":
        return []
    found = [(arm.runs[seed].path, value) for arm in arms for seed, value in arm.values(endpoint.metric).items()]
    return [NoRatio(path, endpoint.metric, value) for path, value in found if value <= 0]


def _gaps(arms: Sequence[Arm], metric: str, reasons: tuple[str, ...]) -> list[Gap]:
    """Every seed that an arm has no value with, for one of some reasons."""
    seeds = sorted(set().union(*(arm.runs for arm in arms)))
    gaps = [Gap(arm.label, seed, arm.lack(seed, metric), metric) for arm in arms for seed in seeds]
    return [gap for gap in gaps if gap.why in reasons]


def _counted(arms: Sequence[Arm], reference: Arm) -> set[Gap]:
    """Every run that diverged and counts as the worst in some pair: both of its runs came to an end."""
    return {
        Gap(one.label, seed, "diverged")
        for arm in arms
        if arm is not reference
        for seed in arm.runs.keys() & reference.runs.keys()
        if {arm.runs[seed].status, reference.runs[seed].status} <= {"finished", "diverged"}
        for one in (arm, reference)
        if one.runs[seed].status == "diverged"
    }


def _summary(arm: Arm, metric: str) -> Summary:
    values = list(arm.values(metric).values())
    if not values:
        return Summary(arm.label, 0, None, None, None, None)
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Summary(
        arm.label, len(values), float(np.mean(values)), sd, float(np.median(values)), interquartile_mean(values)
    )


def _failures(arm: Arm) -> FailureRate:
    ended = [run.status for run in arm.runs.values() if run.status in ("finished", "diverged")]
    diverged = ended.count("diverged")
    return FailureRate(arm.label, diverged, len(ended), *wilson_interval(diverged, len(ended), LEVEL))


def _compare_in(endpoint: Endpoint, plan: Comparing, arms: Sequence[Arm], reference: Arm) -> tuple[ArmComparison, ...]:
    """Each arm against the reference.

    In the primary metric p is adjusted by Holm over the arms, and decides; in the other metrics of the plan it is
    adjusted by Benjamini and Hochberg, and decides nothing; in all others it stays as it is. Equivalence is not
    adjusted: both of its one-sided tests must pass.
    """
    others = [arm for arm in arms if arm is not reference]
    alpha = (1 - LEVEL) / len(others) if endpoint.primary else 1 - LEVEL
    margin = endpoint.margin
    if margin is not None and endpoint.measure.scale == "ratio":
        margin = math.log1p(margin)
    theirs = _outcomes(endpoint, reference)
    found = []
    for arm in others:
        ours = _outcomes(endpoint, arm)
        paired, by_ranks = _compare(ours, theirs, margin)
        found.append(
            ArmComparison(
                arm=arm.label,
                reference=reference.label,
                endpoint=endpoint,
                paired=paired,
                verdict=paired.verdict,
                p_adjusted=None,
                pairs=_pairs(endpoint.metric, arm, reference),
                robust=look_again(ours, theirs, paired, margin, alpha),
                by_ranks=by_ranks,
                adjustment=None,
                arms=len(others),
            )
        )
    adjustment, adjust = ("Holm", holm) if endpoint.primary else ("Benjamini-Hochberg", benjamini_hochberg)
    if len(others) > 1 and (endpoint.primary or endpoint.metric in plan.endpoints.values()):
        for place, p in enumerate(adjust([each.paired.p_value for each in found])):
            verdict = found[place].verdict
            if endpoint.primary and p > 1 - LEVEL and verdict in ("better", "worse"):
                verdict = "inconclusive"
            found[place] = replace(found[place], verdict=verdict, p_adjusted=float(p), adjustment=adjustment)
    return tuple(found)


def _outcomes(endpoint: Endpoint, arm: Arm) -> dict[int, float]:
    """What is subtracted, by seed: more is better, -inf where the run diverged, absent where there is none."""
    found = {}
    for seed, run in arm.runs.items():
        value = run.metrics.get(endpoint.metric)
        if run.status == "diverged":
            found[seed] = -math.inf
        elif run.status == "finished" and value is not None:
            found[seed] = endpoint.measure.outcome(value)
    return found


def _compare(ours: dict[int, float], theirs: dict[int, float], margin: float | None) -> tuple[Comparison, bool]:
    """The comparison of finished pairs, and whether ranks decided it because a run diverged whose partner did not.

    Which of two tests it is depends on the sizes of the differences, not on their signs, so each stays exact.
    """
    differences = [difference(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    finished = [
        ours[seed] - theirs[seed]
        for seed in sorted(ours.keys() & theirs.keys())
        if math.isfinite(ours[seed]) and math.isfinite(theirs[seed])
    ]
    comparison = _compare_finished(finished, margin) if finished else _NO_PAIR
    if not np.isinf(differences).any():
        return comparison, False
    test = signed_rank_test(differences)
    verdict: Verdict = "inconclusive"
    if test.p_value <= 1 - LEVEL:
        verdict = "better" if test.side > 0 else "worse"
    return comparison._replace(p_value=test.p_value, verdict=verdict), True


def _compare_finished(differences: Sequence[float], margin: float | None) -> Comparison:
    """`paired_comparison`, which takes less as better, of differences in which more is better."""
    c = paired_comparison([-each for each in differences], margin, LEVEL)
    return c._replace(mean=-c.mean, low=-c.high, high=-c.low, effect_size=-c.effect_size)


_NO_PAIR = Comparison(math.nan, -math.inf, math.inf, 1.0, math.nan, 0, "inconclusive")


def _pairs(metric: str, arm: Arm, reference: Arm) -> tuple[Pair, ...]:
    ours, theirs = arm.values(metric), reference.values(metric)
    found = []
    for seed in sorted(arm.runs.keys() | reference.runs.keys()):
        reasons = dict.fromkeys(filter(None, (arm.lack(seed, metric), reference.lack(seed, metric))))
        found.append(Pair(seed, ours.get(seed), theirs.get(seed), tuple(reasons)))
    return tuple(found)


# --- what weakens a study beyond its numbers --------------------------------------------------------------------------


def chosen_afterwards(plan: Comparing, primary: str | None, reference: str, usual: str) -> list[ChosenAfterwards]:
    """Where the primary metric or the reference is not what the settings said before the first run.

    primary: the metric that decides, None where nobody measured one. usual: the reference if the settings name none.
    """
    stated = plan.reference or usual
    cautions = []
    if primary not in (None, plan.quality):
        cautions.append(ChosenAfterwards("primary metric", str(primary), plan.quality))
    if reference != stated:
        cautions.append(ChosenAfterwards("reference", reference, stated))
    return cautions


def made_differently(arms: Sequence[Arm]) -> list[MadeDifferently]:
    """Devices, variables and versions of finished runs, with the arms that have them, where they are not all equal."""
    facts: dict[str, dict[str, list[str]]] = {}
    for arm in arms:
        for run in arm.runs.values():
            if run.status == "finished":
                environment = ", ".join(f"{name}={value}" for name, value in sorted(run.environment.items()))
                alike = {"device": run.device or "not recorded", "environment": environment or "nothing set"}
                for what, value in (alike | run.versions).items():
                    labels = facts.setdefault(what, {}).setdefault(value, [])
                    labels += [arm.label] * (arm.label not in labels)
    return [
        MadeDifferently(what, tuple((value, tuple(labels)) for value, labels in values.items()))
        for what, values in facts.items()
        if len(values) > 1
    ]
