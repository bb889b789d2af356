"""How sure a study can be, what it was made with, and what it leaves unsaid."""

import json
from pathlib import Path
from statistics import median

from ganlab.config import flatten
from ganlab.evaluation.registry import base_name
from ganlab.report.blocks import Block, Bullets, Fold, Table
from ganlab.report.checks import plans
from ganlab.report.sentences import chosen_after, pairs_of, run_of, stand, warn
from ganlab.report.words import leading, listed, negligible
from ganlab.runs.result import RunResult
from ganlab.study.arms import as_typed
from ganlab.study.compare import LEVEL, Study
from ganlab.study.robustness import fewest_pairs
from ganlab.study.values import ChosenAfterwards

FAR_OUT = 10  # times an arm's median: such a run has not learned less well, it has gone astray


def limits(study: Study) -> tuple[Block, ...]:
    """What would make the verdict more certain, most pressing first."""
    said = [*map(warn, study.cautions), *_few_pairs(study), *_far_out(study), *_open(study), *_unfinished(study)]
    said += [
        f"The {title} endpoint {metric} was not measured: its verdict is open." for title, metric in study.open.items()
    ]
    said += [
        f"No margin was stated for {endpoint.metric}, so no arm can be called equivalent in it. State one before the "
        f"runs, such as +comparison.margins.{base_name(endpoint.metric)}=0.05."
        for endpoint in leading(study)
        if endpoint.margin is None
    ]
    settings = study.reference.settings
    data, images = settings.get("dataset.name"), _images_seen(study)
    where = f"one data set{f' ({data})' if data else ''}, one budget{f' ({images:,} images)' if images else ''}"
    said.append(
        f"The verdict is about {where} and one choice of all other settings: others may rank the arms differently."
    )
    return (Bullets(tuple(said)),)


def _few_pairs(study: Study) -> list[str]:
    """Where no p value could be small enough, of the endpoint that asks for most pairs."""
    found = []
    for endpoint in leading(study):
        for each in study.comparisons[endpoint.metric]:
            arms = each.arms if endpoint.primary else 1
            found.append((fewest_pairs((1 - LEVEL) / arms), arms, each.deciding))
    short = [each for each in found if each[2] < each[0]]
    if not short:
        return []
    enough, arms, pairs = max(short)
    among = f" with {arms} arms" if arms > 1 else ""
    return [f"The verdict needs more seeds: p <= {1 - LEVEL:.2g}{among} needs at least {enough} pairs, this study has "
            f"{pairs}. 10 are usual."]  # fmt: skip


def _far_out(study: Study) -> list[str]:
    """Finished runs of an arm that are another thing than its others, by distances, which such runs can make huge."""
    said = []
    for endpoint in leading(study):
        if endpoint.measure.scale != "ratio" or endpoint.measure.direction == "larger":
            continue
        for arm in study.arms:
            values = arm.values(endpoint.metric)
            far = [str(seed) for seed in sorted(values) if values[seed] > FAR_OUT * median(values.values())]
            if far:
                said.append(f"{arm.label} with seed {listed(far)} ended at more than {FAR_OUT} times the median of its "
                            f"arm in {endpoint.metric}: look at its images. Such runs dominate means and intervals, "
                            "but hardly change the interquartile mean and P(better).")  # fmt: skip
    return said


def _open(study: Study) -> list[str]:
    """Inconclusive comparisons, and with how many seeds they would likely not be."""
    return [
        f"{each.arm} is undecided in {endpoint.metric} with {pairs_of(each.paired.runs)}. A chance of 80 % needs "
        f"about {seeds}."
        for endpoint in leading(study)
        for each in study.comparisons[endpoint.metric]
        if each.verdict == "inconclusive" and (seeds := plans(each))
    ]


def _unfinished(study: Study) -> list[str]:
    runs = [(arm.label, seed, run) for arm in study.arms for seed, run in arm.runs.items() if run.status != "finished"]
    said = []
    if runs:
        diverged = sum(run.status == "diverged" for _, _, run in runs)
        note = f", {diverged} of them diverged" if diverged else ""
        said.append(f"{len(runs)} of {sum(len(arm.runs) for arm in study.arms)} runs did not finish{note}. Intervals "
                    "are over finished pairs only; a diverged run counts as the worst.")  # fmt: skip
    absent = [run_of(gap) for gap in study.gaps if gap.why == "no result"]
    if study.pending or absent:
        said.append(f"These runs have no result yet: {'; '.join([stand(cell) for cell in study.pending] or absent)}.")
    return said


def protocol(study: Study) -> tuple[Block, ...]:
    """How it was measured, on what, with which versions, when, and all settings that the arms share."""
    runs = _runs(study)
    measured = flatten(study.protocol)
    quick = [(name, as_typed(value)) for name, value in measured.items() if not name.startswith("full.")]
    full = [(name, as_typed(value)) for name, value in measured.items() if name.startswith("full.")]
    at_the_end = any(endpoint.metric.startswith("full/") for endpoint in leading(study)[:1])  # it decides there
    rows, others = (full, quick) if at_the_end else (quick, full)
    rows += [(f"margin, {endpoint.metric}", negligible(endpoint) or "none") for endpoint in leading(study)]
    rows += _data(runs)
    devices = sorted({run.device or "not recorded" for run in _finished(study)})
    rows.append(("device", listed(devices or ["not recorded"])))
    versions = {f"{name} {version}" for run in runs for name, version in run.versions.items()}
    rows.append(("versions", ", ".join(sorted(versions)) or "not recorded"))
    ends = sorted({run.ended.partition("T")[0] for run in runs if run.ended})
    rows.append(("runs ended", " to ".join(dict.fromkeys([ends[0], ends[-1]])) if ends else "not recorded"))
    table = Table(("what", "how"), tuple(rows), words=True)
    title = "Protocol of the quick measures" if at_the_end else "Protocol of the measures at the end"
    folded = [Fold(title, (Table(table.head, tuple(others), words=True),))] if others else []
    return table, *folded, *_settings(study)


def _data(runs: list[RunResult]) -> list[tuple[str, str]]:
    """Where the images are from, their licence, how many there are, and what tells them from others."""
    facts = {json.dumps(run.data, sort_keys=True): run.data for run in runs if run.data}
    rows = []
    for each in facts.values():
        said = [f"{each.get('source')}; licence {each.get('licence')}"]
        said += [f"{each.get('train')} images to train on, {each.get('held_out')} held out"]
        said += [f"{each['classes']} classes"] if each.get("classes") else []
        rows.append(("data", f"{'; '.join(said)}; sha256 of pixels and labels {str(each.get('sha256'))[:16]}..."))
        rows += [("data", str(note)) for note in each.get("notes", [])]
    return rows


def _settings(study: Study) -> list[Block]:
    trees = [arm.settings for arm in study.arms]
    keys = sorted(set().union(*trees))
    shared = [key for key in keys if all(key in tree and tree[key] == trees[0].get(key) for tree in trees)]
    same = Table(("setting", "value"), tuple((key, _setting(key, trees[0][key])) for key in shared), words=True)
    own = [key for key in keys if key not in shared]
    rows = tuple(
        (arm.label, *(_setting(key, arm.settings[key]) if key in arm.settings else "–" for key in own))
        for arm in study.arms
    )
    return [
        Fold("Settings in which the arms differ", (Table(("arm", *own), rows),)),
        Fold("Settings that all arms share", (same,)),
    ]


def _setting(key: str, value: object) -> str:
    """As people type it; of a path only its last part, for the rest is a matter of the machine."""
    return Path(value).name if key.endswith("path") and isinstance(value, str) else as_typed(value)


def checklist(study: Study) -> tuple[Block, ...]:
    """What a report of a comparison should have, and whether this one does."""
    runs, have = _finished(study), bool(study.endpoints)
    counted = bool(runs) and all(run.parameters and run.macs and run.seconds for run in runs)
    beside = bool(runs) and all(run.real_against_real is not None for run in runs)
    unstated = _unstated(study)
    known = [
        ("arms with parameters, MACs and time", counted, "costs"),
        ("raw value of every run", have, "seeds, scores.csv"),
        ("failures counted", True, "runs"),
        ("pairs shown seed by seed", have, "seeds"),
        ("interval, permutation p, adjusted p, effect size, verdict", have, "effects"),
        ("correlation between the arms, other statistics of the same pairs", have, "effects"),
        ("scores of real images, and of equal distributions, under the same protocol", beside, "real"),
        ("endpoints and margins stated before the runs", not unstated, "protocol"),
        ("versions and device", bool(runs) and all(run.versions and run.device for run in runs), "protocol"),
        ("a repeated run gives the same numbers to the bit", _repeats(study), "protocol"),
    ]
    why = {"endpoints and margins stated before the runs": unstated}
    rows = tuple((what, "yes" if yes else ": ".join(filter(None, ("no", why.get(what)))), where)
                 for what, yes, where in known)  # fmt: skip
    return (Table(("what", "here", "where"), rows, words=True),)


def _unstated(study: Study) -> str:
    """What was not stated before the runs, by name; empty where all of it was."""
    without = [endpoint.metric for endpoint in leading(study) if endpoint.margin is None]
    said = [] if study.stated else ["no endpoint was stated"]
    said += [f"no margin for {listed(without)}"] if without else []
    said += [f"the {chosen_after(each)}" for each in study.cautions if isinstance(each, ChosenAfterwards)]
    return "; ".join(said)


def _repeats(study: Study) -> bool:
    deterministic = study.reference.settings.get("training.deterministic", False)
    runs = _finished(study)
    return bool(runs) and all(deterministic or (run.device or "").startswith("cpu") for run in runs)


def _images_seen(study: Study) -> int | None:
    seen = {run.images_seen for run in _finished(study)}
    return seen.pop() if len(seen) == 1 else None


def _runs(study: Study) -> list[RunResult]:
    return [run for arm in study.arms for run in arm.runs.values()]


def _finished(study: Study) -> list[RunResult]:
    return [run for run in _runs(study) if run.status == "finished"]


def folder(study: Study, run: RunResult) -> Path:
    """A run's folder as seen from where the study's own stands, or the `outputs` around that; no path of a machine."""
    assert run.path
    here = study.directory.resolve()
    around = here.parent.parent if here.parent.name == "outputs" else here.parent
    return (here / run.path.parent.relative_to(study.directory)).relative_to(around)  # a link is where it stands
