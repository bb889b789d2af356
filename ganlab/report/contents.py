"""What a report says, in the order in which people ask: the verdict, how large, every seed, and how sure."""

import math
import shlex
from collections import Counter
from typing import get_args

from ganlab.report import certainty, evidence, plots
from ganlab.report.blocks import (
    Block,
    Bullets,
    Claims,
    Commands,
    Figures,
    Fold,
    Page,
    Section,
    Table,
    Text,
)
from ganlab.report.checks import failures, robust_columns
from ganlab.report.samples import last_grids
from ganlab.report.sentences import bare_p, lack, stand, tell, warn
from ganlab.report.terms import explain
from ganlab.report.words import (
    answer,
    heading,
    leading,
    many_arms,
    negligible,
    number,
    shown_effect,
    shown_interval,
    titled,
    verdict_rows,
)
from ganlab.runs.result import Status
from ganlab.study.compare import Endpoint, Study
from ganlab.study.values import LEVEL, Summary

_RULE = (
    f"An arm is better or worse if the {100 * LEVEL:g} % interval does not contain 0 and p is at most {1 - LEVEL:.2g} "
    "(in the primary endpoint: p after adjustment for the number of arms). Where runs diverged, ranks decide. An arm "
    "is "
    f"equivalent if the {100 * (2 * LEVEL - 1):g} % interval lies within the margin. Inconclusive means neither: the "
    "data do not decide, which does not prove that the arms are equal."
)


def write_contents(study: Study) -> Page:
    """Everything that the pages of a study show. Raises ResultError where records of a run are damaged."""
    missing = [f"Some values cannot be compared: {lack(value)}." for value in study.dropped]
    grids = last_grids(study)
    sections = [
        Section("verdict", "Verdict", _verdict(study)),
        Section("effects", "How large the differences are", _effects(study)),
        Section("seeds", "Every seed", _seeds(study)),
        Section("training", "Over training", evidence.training_of(study, missing)),
        Section("costs", "What it costs", evidence.costs_of(study, missing)),
        Section("samples", "Samples", evidence.samples_of(grids, missing)),
        Section("spectra", "Spectra", evidence.spectra_of(study, grids, missing)),
        Section("others", "All other metrics", _others(study)),
        Section("real", "What real images score", evidence.real_of(study, missing)),
        Section("runs", "Runs", _runs(study)),
        Section("certainty", "What would make the verdict more certain", certainty.limits(study)),
        Section("protocol", "Protocol, hardware, versions", certainty.protocol(study)),
        Section("terms", "Terms", explain(study)),
        Section("checklist", "Checklist", certainty.checklist(study)),
        Section("commands", "Each run again", _commands(study)),
    ]
    if missing:
        sections.append(Section("missing", "What was not found", (Bullets(tuple(missing)),)))
    question = study.plan.question
    lead = (
        f"{len(study.arms)} arms, {sum(len(arm.runs) for arm in study.arms)} runs in {study.directory.resolve().name}"
    )
    return Page(answer(study), f"{question} {lead}." if question else f"{lead}.",
                tuple(section for section in sections if section.blocks))  # fmt: skip


def _verdict(study: Study) -> tuple[Block, ...]:
    claims: list[Block] = []
    for endpoint in leading(study):
        margin = negligible(endpoint)
        note = f"differences up to {margin} count as none" if margin else "no margin was stated"
        if endpoint.measure.scale == "size":
            note = f"values are compared by their distance from 0; {note}"
        sentences = tuple((each.verdict, tell(each)) for each in study.comparisons[endpoint.metric])
        claims.append(Claims(heading(endpoint), note, sentences))
    found = claims
    if claims and many_arms(study):
        head, rows = verdict_rows(study)
        found = [Table(head, tuple(rows)), Fold("Each verdict in a sentence, with its numbers", tuple(claims))]
    found = [*found, Text(_RULE)]
    if study.diverged:
        found.append(Text(f"Counted as the worst: {'; '.join(map(lack, study.diverged))}."))
    if study.gaps:
        found.append(Text(f"Not in any pair: {'; '.join(map(lack, study.gaps))}."))
    if study.pending:
        found.append(Text(f"No result yet: {'; '.join(map(stand, study.pending))}."))
    found += [Text(warn(caution)) for caution in study.cautions]
    return tuple(found)


def _effects(study: Study) -> tuple[Block, ...]:
    """Forest plots, and the numbers behind them."""
    endpoints = leading(study)
    if not endpoints:
        return ()
    folds = tuple(Fold(f"The numbers in {each.metric}", (_effect_table(study, each),)) for each in endpoints)
    legend = (
        "Mean difference of the pairs of runs with the same seed, with its 95 % interval. Shaded: differences so small "
        "that they count as none. Filled marks: better, worse or equivalent; hollow marks: inconclusive."
    )
    if any(each.by_ranks for endpoint in endpoints for each in study.comparisons[endpoint.metric]):
        legend += " By ranks: a diverged run counts as the worst, so the verdict rests on more pairs than are drawn."
    drawn = [each for each in endpoints if any(j.paired.runs > 1 for j in study.comparisons[each.metric])]
    figures = (Figures(tuple(plots.forest(study, endpoint) for endpoint in drawn)), Text(legend)) if drawn else ()
    return *figures, *folds


def _effect_table(study: Study, endpoint: Endpoint) -> Table:
    rows, head = [], ["arm", "verdict", "effect", "95 % interval", "p", "adjusted p", "d_z", "pairs"]
    for each in study.comparisons[endpoint.metric]:
        c, (mean, low, high) = each.paired, each.own
        pairs = f"{c.runs} of {each.deciding}, by ranks" if each.by_ranks else str(c.runs)
        row = [each.arm, each.verdict, "–", "–", _p(c.p_value), _p(each.p_adjusted), "–", pairs]
        if c.runs > 1:
            row[2] = shown_effect(endpoint, mean)
            row[3] = shown_interval(endpoint, low, high)
            row[6] = "–" if math.isnan(c.effect_size) else f"{endpoint.measure.own(c.effect_size):.2f}"
        more = robust_columns(each)
        if not rows:
            head += more
            head[5] += f" ({each.adjustment})" if each.adjustment else ""
        rows.append((*row, *more.values()))
    return Table(tuple(head), tuple(rows))


def _p(value: float | None) -> str:
    return "–" if value is None else bare_p(value)


def _seeds(study: Study) -> tuple[Block, ...]:
    """Means, paired plots, and every run's value."""
    endpoints = leading(study)
    if not endpoints:
        return ()
    rows = tuple(
        (arm.label, *(_mean(study.summaries[endpoint.metric][place]) for endpoint in endpoints))
        for place, arm in enumerate(study.arms)
    )
    legend = (
        "Each line joins two runs with the same seed. Solid line, filled mark: the arm is better with this seed; "
        "dotted "
        "line, hollow mark: it is not. Cross: the other run of the pair diverged or is missing."
    )
    return (
        Figures(tuple(plots.paired(study, endpoint) for endpoint in endpoints)),
        Text(legend),
        Table(("mean ± standard deviation (runs)", *(endpoint.metric for endpoint in endpoints)), rows),
        *(Fold(f"{each.metric} of every seed", (_values_table(study, each.metric),)) for each in endpoints),
    )


def _mean(summary: Summary) -> str:
    std = "" if summary.sd is None else f" ± {number(summary.sd, 2)}"
    return f"{number(summary.mean)}{std} ({summary.runs})" if summary.runs else "–"


def _values_table(study: Study, metric: str) -> Table:
    seeds = sorted(set().union(*(arm.runs for arm in study.arms)))
    rows = []
    for arm in study.arms:
        values = arm.values(metric)
        shown = [number(values[seed]) if seed in values else arm.lack(seed, metric) for seed in seeds]
        rows.append((arm.label, *(("no value" if text == "not measured" else text) for text in shown)))
    return Table(("seed", *map(str, seeds)), tuple(rows))


def _others(study: Study) -> tuple[Block, ...]:
    """Exploratory metrics, folded; and those that are shown only."""
    others = [endpoint for endpoint in study.endpoints if endpoint not in leading(study)]
    groups: dict[str, list[Block]] = {}
    for endpoint in others:
        sentences = tuple((each.verdict, tell(each)) for each in study.comparisons[endpoint.metric])
        blocks = Claims("", "", sentences), _values_table(study, endpoint.metric)
        fold = Fold(titled(endpoint), blocks)
        groups.setdefault(endpoint.metric.rpartition("/")[0], []).append(fold)
    for metric in study.shown_only:
        fold = Fold(f"{metric}: neither larger nor smaller is better", (_values_table(study, metric),))
        groups.setdefault(metric.rpartition("/")[0], []).append(fold)
    found = [Fold(f"{group or 'quick'}: {len(folds)} metrics", tuple(folds)) for group, folds in sorted(groups.items())]
    warning = Text("These are exploratory: their p values are not adjusted, and among many some are small by chance.")
    return (warning, *found) if found else ()


def _runs(study: Study) -> tuple[Block, ...]:
    rows = []
    for arm, rate in zip(study.arms, study.failures, strict=True):
        counts = Counter(run.status for run in arm.runs.values())
        statuses = (str(counts[status]) for status in get_args(Status))
        rows.append((arm.label, str(len(arm.runs)), *statuses, failures(rate)))
    table = Table(("arm", "runs", *get_args(Status), "share that diverged"), tuple(rows))
    named = tuple(map(lack, (*study.gaps, *study.diverged)))
    return (table, Bullets(named)) if named else (table,)


def _commands(study: Study) -> tuple[Block, ...]:
    """The command that goes on with a run, or repeats one whose result was deleted, from the settings in its folder."""
    runs = [(arm.label, seed, run) for arm in study.arms for seed, run in arm.runs.items()]
    places = [certainty.folder(study, run) for _, _, run in runs]
    lines = tuple(
        (f"{label}, seed {seed}, {run.status}", f"python -m ganlab.train resume={shlex.quote(str(place))}")
        for (label, seed, run), place in zip(runs, places, strict=True)
    )
    text = (
        f"Run these where the folder {places[0].parts[0]} is; the settings are those in each run's config.json. A run "
        "that has ended returns at once: to train it again, delete everything in its folder except config.json."
    )
    return (Fold(f"The commands of {len(lines)} runs", (Text(text), Commands(lines))),)
