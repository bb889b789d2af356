"""What somebody who looks at a study in TensorBoard could look for in vain, or take for another thing than it is."""

import math
from collections.abc import Mapping

from ganlab.evaluation.registry import quick_relative
from ganlab.report.sentences import stand
from ganlab.report.tensorboard.bands import Band, last_recorded
from ganlab.runs.records import find_runs, trial_of
from ganlab.runs.result import RESULT, RunResult
from ganlab.study.values import Endpoint, Study


def what_lacks(study: Study, drawn: Mapping[str, Endpoint], bands: Mapping[str, Mapping[str, Band]]) -> list[str]:
    """A line for each, and why.

    drawn: the metrics that have bands, with their endpoints. bands: by arm and metric.
    """
    seeds = sorted(set().union(*(arm.runs for arm in study.arms)))
    found = [(arm, seed, arm.lack(seed, "")) for arm in study.arms for seed in seeds]
    lines = [f"not in the bands: {arm.label}, seed {seed}: {why}" for arm, seed, why in found if why != "not measured"]
    lines += [f"no result yet: {stand(cell)}" for cell in study.pending]
    lines += [f"the {title} endpoint {metric} was not measured" for title, metric in study.open.items()]
    for end in study.stated:
        metric = next((metric for metric in (end.metric, quick_relative(end.metric)) if metric in drawn), None)
        if metric is None:
            lines.append(f"no band for {end.metric}: its seeds do not share two steps at which it was measured")
            continue
        for arm in study.arms:
            if not bands[arm.label][metric]:
                some = any(run.status == "finished" for run in arm.runs.values())
                why = "its seeds share no step at which it was measured" if some else "none of its seeds finished"
                lines.append(f"no band of {arm.label} for {metric}: {why}")
    lines += _measured_again(study)
    finished = {run.path for arm in study.arms for run in arm.runs.values() if run.status == "finished"}
    recorded = find_runs(study.directory)
    others = [str(run.relative_to(study.directory)) for run in recorded if run / RESULT not in finished]
    if others:
        lines.append(f"the rows of HParams include {', '.join(others)}, not finished: tick Success alone there")
    trials = [{_trial(run) for run in arm.runs.values()} for arm in study.arms]
    if any(len(found) > 1 for found in trials) or len(set.union(*trials)) < len(trials):
        lines.append(
            "the rows of HParams are not the arms: runs of one arm have folders of several names, or the reverse"
        )
    return lines


def _measured_again(study: Study) -> list[str]:
    """Where HParams has other values than those by which runs are compared, since they were measured again later."""
    endpoints = [end.metric for end in study.stated or study.endpoints]
    others: dict[str, list[str]] = {metric: [] for metric in endpoints}
    for arm in study.arms:
        for seed, run in arm.runs.items():
            if run.status == "finished":
                shown = last_recorded(run, endpoints)
                for metric in run.metrics.keys() & set(endpoints):
                    # as exact as TensorBoard
                    if not math.isclose(shown.get(metric, math.nan), run.metrics[metric], rel_tol=1e-6):
                        others[metric].append(f"{arm.label}, seed {seed}")
    return [
        f"HParams shows what was recorded while training, not the {metric} of {RESULT}: {'; '.join(runs)}"
        for metric, runs in others.items()
        if runs
    ]


def _trial(run: RunResult) -> str:
    assert run.path is not None
    return trial_of(run.path.parent, run.seed)
