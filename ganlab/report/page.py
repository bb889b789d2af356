"""The page of a study: its building blocks, and everything it shows, in the order in which people ask."""

import json
import math
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ganlab.config import flatten
from ganlab.errors import join_words
from ganlab.evaluation.registry import METRICS, WITHOUT_CLASS, base_name
from ganlab.report import figures, sentences
from ganlab.report.drawing import Drawing
from ganlab.report.figures import Grid, last_grids
from ganlab.report.sentences import bare_p, show_effect, show_interval, show_margin, show_number
from ganlab.runs.result import RunResult
from ganlab.study.arms import as_typed
from ganlab.study.compare import LEVEL, ChosenAfterwards, Endpoint, Study, Summary, at_equal_budget, missed_fault

# --- the blocks of a page ---------------------------------------------------------------------------------------------


class Block:
    """What a page is made of; the templates show each kind."""

    @property
    def kind(self) -> str:
        """The name of its class, for the templates."""
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Text(Block):
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Claims(Block):
    """Sentences of the verdict under one heading, each with its verdict as one word, which may be empty."""

    heading: str
    note: str
    sentences: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Bullets(Block):
    """Separate sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table(Block):
    """The first column names the row. words: the other columns hold words, which may wrap, not numbers."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: bool = False


@dataclass(frozen=True)
class Figures(Block):
    """Drawings, side by side where there is room."""

    drawings: tuple[Drawing, ...]


@dataclass(frozen=True)
class Grids(Block):
    """Pictures of samples or of spectra side by side."""

    caption: str
    grids: tuple[Grid, ...]
    pixelated: bool = True


@dataclass(frozen=True)
class Commands(Block):
    """Lines to copy, each with its subject."""

    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Fold(Block):
    """Blocks that are shown on demand."""

    summary: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Section:
    """A part of the page with an anchor."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """title: the answer in one sentence. lead: the question, the number of runs and their folder."""

    title: str
    lead: str
    sections: tuple[Section, ...]

    def drawings(self) -> list[Drawing]:
        """Every figure, in the order of the page."""
        return [drawing for block in self._all() if isinstance(block, Figures) for drawing in block.drawings]

    def pictures(self) -> dict[str, bytes]:
        """Every PNG by its name."""
        return {grid.name: grid.png for block in self._all() if isinstance(block, Grids) for grid in block.grids}

    def _all(self) -> Iterator[Block]:
        return _unfolded(block for section in self.sections for block in section.blocks)


def _unfolded(blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, Fold):
            yield from _unfolded(block.blocks)


# --- the verdict, how large, every seed -------------------------------------------------------------------------------


_RULE = (
    f"An arm is better or worse if the {100 * LEVEL:g} % interval does not contain 0 and p is at most {1 - LEVEL:.2g} "
    "(in the endpoints that were named: p after adjustment for the number of arms). Where runs diverged or collapsed, "
    "ranks decide. It depends on who looks where the kinds of features that decide together contradict each other. "
    f"An arm is equivalent if the {100 * (2 * LEVEL - 1):g} % interval lies within the margin. Inconclusive means "
    "neither: the data do not decide, which does not prove that the arms are equal."
)


def compose_page(study: Study) -> Page:
    """Everything that the pages of a study show. Raises ResultError where records of a run are damaged."""
    missing = [f"Some values cannot be compared: {sentences.describe_gap(value)}." for value in study.dropped]
    grids = last_grids(study)
    sections = [
        Section("verdict", "Verdict", _verdict(study)),
        Section("effects", "How large the differences are", _effects(study)),
        Section("seeds", "Every seed", _seeds(study)),
        Section("training", "Over training", training_of(study, missing)),
        Section("costs", "What it costs", costs_of(study, missing)),
        Section("samples", "Samples", samples_of(grids, missing)),
        Section("spectra", "Spectra", spectra_of(study, grids, missing)),
        Section("others", "All other metrics", _others(study)),
        Section("real", "What real images score", real_of(study, missing)),
        Section("ladder", "Which metrics may decide", ladder_of(study)),
        Section("runs", "Runs", _runs(study)),
        Section("certainty", "What would make the verdict more certain", limits(study)),
        Section("protocol", "Protocol, hardware, versions", protocol(study)),
        Section("terms", "Terms", explain(study)),
        Section("checklist", "Checklist", checklist(study)),
        Section("commands", "Each run again", _commands(study)),
    ]
    if missing:
        sections.append(Section("missing", "What was not found", (Bullets(tuple(missing)),)))
    question = study.plan.question
    lead = f"{len(study.arms)} arms, {len(study.runs)} runs in {study.directory.resolve().name}"
    return Page(sentences.answer(study), f"{question} {lead}." if question else f"{lead}.",
                tuple(section for section in sections if section.blocks))  # fmt: skip


def _verdict(study: Study) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for endpoint in study.leading:
        margin = show_margin(endpoint)
        note = f"differences up to {margin} count as none" if margin else "no margin was stated"
        if endpoint.measure.scale == "size":
            note = f"values are compared by their distance from 0; {note}"
        blocks.append(Claims(sentences.endpoint_heading(endpoint), note, _sentences(study, endpoint)))
    if blocks and sentences.many_arms(study):
        head, rows = sentences.verdict_rows(study)
        blocks = [Table(head, tuple(rows)), Fold("Each verdict in a sentence, with its numbers", tuple(blocks))]
    lines = [
        _RULE,
        f"Counted as the worst: {'; '.join(map(sentences.describe_gap, study.diverged))}." if study.diverged else "",
        sentences.describe_rollbacks(study),
        f"Not in any pair: {'; '.join(map(sentences.describe_gap, study.gaps))}." if study.gaps else "",
        f"No result yet: {'; '.join(map(sentences.describe_cell, study.pending))}." if study.pending else "",
        *map(sentences.describe_caution, study.cautions),
    ]
    return *blocks, *map(Text, filter(None, lines))


def _sentences(study: Study, endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
    return tuple((each.verdict, sentences.describe_comparison(each)) for each in study.comparisons[endpoint.metric])


def _effects(study: Study) -> tuple[Block, ...]:
    """Forest plots, and the numbers behind them."""
    endpoints = study.leading
    folds = [Fold(f"The numbers in {endpoint.metric}", (_effect_table(study, endpoint),)) for endpoint in endpoints]
    legend = (
        "Mean difference of the pairs of runs with the same seed, with its 95 % interval. Shaded: differences so small "
        "that they count as none. Filled marks: better, worse or equivalent; hollow marks: none of these."
    )
    if any(comparison.by_ranks for endpoint in endpoints for comparison in study.comparisons[endpoint.metric]):
        legend += " By ranks: a run that diverged or collapsed is the worst, so a verdict rests on more pairs."
    drawings = [
        figures.forest(study, endpoint)
        for endpoint in endpoints
        if any(comparison.has_interval for comparison in study.comparisons[endpoint.metric])
    ]
    return *((Figures(tuple(drawings)), Text(legend)) if drawings else ()), *folds


def _effect_table(study: Study, endpoint: Endpoint) -> Table:
    rows, head = [], ["arm", "verdict", "effect", "95 % interval", "p", "adjusted p", "d_z", "pairs"]
    for comparison in study.comparisons[endpoint.metric]:
        c, (mean, low, high) = comparison.paired, comparison.effect
        pairs = f"{c.runs} of {comparison.deciding}, by ranks" if comparison.by_ranks else str(c.runs)
        p, adjusted = bare_p(c.p_value), bare_p(comparison.p_adjusted)
        row = [comparison.arm, comparison.verdict, "–", "–", p, adjusted, "–", pairs]
        if comparison.has_interval:
            row[2] = show_effect(endpoint, mean)
            row[3] = show_interval(endpoint, low, high)
            row[6] = "–" if math.isnan(c.effect_size) else f"{endpoint.measure.orient(c.effect_size):.2f}"
        other_statistics = sentences.robust_columns(comparison)
        if not rows:
            head += other_statistics
            head[5] += f" ({comparison.adjustment})" if comparison.adjustment else ""
        rows.append((*row, *other_statistics.values()))
    return Table(tuple(head), tuple(rows))


def _seeds(study: Study) -> tuple[Block, ...]:
    """Means, paired plots, and every run's value."""
    endpoints = study.leading
    if not endpoints:
        return ()
    rows = tuple(
        (arm.label, *(_mean(study.summaries[endpoint.metric][place]) for endpoint in endpoints))
        for place, arm in enumerate(study.arms)
    )
    legend = (
        "Each line joins two runs with the same seed. Solid line, filled mark: the arm is better with this seed; "
        "dotted line, hollow mark: it is not. Cross: the other run of the pair diverged, collapsed or is missing."
    )
    drawings = [
        figures.paired(study, endpoint)
        for endpoint in endpoints
        if any(
            pair.ours is not None or pair.theirs is not None
            for comparison in study.comparisons[endpoint.metric]
            for pair in comparison.pairs
        )
    ]
    return (
        *((Figures(tuple(drawings)), Text(legend)) if drawings else ()),
        Table(("mean ± standard deviation (runs)", *(endpoint.metric for endpoint in endpoints)), rows),
        *(Fold(f"{endpoint.metric} of every seed", (_values_table(study, endpoint.metric),)) for endpoint in endpoints),
    )


def _mean(summary: Summary) -> str:
    std = "" if summary.sd is None else f" ± {show_number(summary.sd, 2)}"
    return f"{show_number(summary.mean)}{std} ({summary.runs})" if summary.runs else "–"


def _values_table(study: Study, metric: str) -> Table:
    seeds = sorted(set().union(*(arm.runs for arm in study.arms)))
    rows = []
    for arm in study.arms:
        values = arm.values(metric)
        cells = [show_number(values[seed]) if seed in values else arm.why_missing(seed, metric) for seed in seeds]
        rows.append((arm.label, *(("no value" if text == "not measured" else text) for text in cells)))
    return Table(("seed", *map(str, seeds)), tuple(rows))


def _others(study: Study) -> tuple[Block, ...]:
    """Exploratory metrics, folded; and those that are shown only."""
    others = [endpoint for endpoint in study.endpoints if endpoint not in study.leading]
    groups: dict[str, list[Block]] = {}
    for endpoint in others:
        blocks = Claims("", "", _sentences(study, endpoint)), _values_table(study, endpoint.metric)
        fold = Fold(sentences.endpoint_title(endpoint), blocks)
        groups.setdefault(endpoint.metric.rpartition("/")[0], []).append(fold)
    for metric in study.shown_only:
        fold = Fold(f"{metric}: neither larger nor smaller is better", (_values_table(study, metric),))
        groups.setdefault(metric.rpartition("/")[0], []).append(fold)
    folds_by_group = [
        Fold(f"{group or 'quick'}: {len(folds)} metrics", tuple(folds)) for group, folds in sorted(groups.items())
    ]
    warning = Text("These are exploratory: their p values are not adjusted, and among many some are small by chance.")
    return (warning, *folds_by_group) if folds_by_group else ()


def _runs(study: Study) -> tuple[Block, ...]:
    rows = tuple(
        (arm.label, *map(str, (len(arm.runs), *arm.statuses().values())), sentences.show_failures(rate))
        for arm, rate in zip(study.arms, study.failures, strict=True)
    )
    table = Table(("arm", "runs", *study.reference.statuses(), "diverged or collapsed"), rows)
    missing = tuple(map(sentences.describe_gap, (*study.gaps, *study.diverged)))
    return (table, Bullets(missing)) if missing else (table,)


def _commands(study: Study) -> tuple[Block, ...]:
    """The command that continues a run, or repeats one whose result was deleted, from the settings in its folder."""
    lines = tuple(
        (
            f"{arm.label}, seed {seed}, {run.status}",
            f"python -m ganlab.train resume={shlex.quote(str(_folder(study, run)))}",
        )
        for arm in study.arms
        for seed, run in arm.runs.items()
    )
    text = (
        f"Run these where the folder {_folder(study, study.runs[0]).parts[0]} is; the settings are those in each run's "
        "config.json. A run that has ended returns at once: to train it again, delete everything in its folder except "
        "config.json."
    )
    recorded = [plugin for run in study.runs for plugin in run.config.get("plugins", [])]
    if files := sorted({plugin["name"] for plugin in recorded if plugin["name"].endswith(".py")}):
        text += f" Add --plugin with the path of each file that it needs: {join_words(files)}."
    return (Fold(f"The commands of {len(lines)} runs", (Text(text), Commands(lines))),)


# --- what needs more of a run than its metrics ------------------------------------------------------------------------


def training_of(study: Study, missing: list[str]) -> tuple[Block, ...]:
    """The leading endpoints over images and over seconds."""
    histories = figures.read_histories(study)
    real = _mean_by_metric(study, lambda run: run.real_against_real)
    over_images, over_seconds = {}, {}  # by metric: two endpoints may share one quick metric
    for endpoint in study.leading:
        metric, curves = figures.curves_of(study, endpoint, histories)
        absent = [arm.label for arm in study.arms if arm.label not in curves]
        if absent and study.endpoints:
            missing.append(f"No curve of {endpoint.metric} for {', '.join(absent)}: the runs share no two steps in "
                           "metrics.jsonl.")  # fmt: skip
        if curves and metric not in over_images:
            for over, drawings in (("images", over_images), ("seconds", over_seconds)):
                drawings[metric] = figures.draw_curves(study, endpoint, metric, curves, over, real.get(metric))
    if not over_images:
        return ()
    text = "Seconds are as the runs took them: compare them only if nothing else ran on the machine at the time."
    drawn = (Figures(tuple(drawings.values())) for drawings in (over_images, over_seconds))
    return *drawn, Text(text), *_budgets(study, histories)


def _budgets(study: Study, histories: dict[Path, figures.History]) -> tuple[Block, ...]:
    """The primary endpoint after equally many images, and equally many seconds, in all runs."""
    endpoint = study.leading[0]
    metric, _ = figures.curves_of(study, endpoint, histories)
    series = {
        arm.label: {
            seed: [recorded[step] for step in sorted(recorded)]
            for seed, run in arm.runs.items()
            if (recorded := figures.values_by_step(run, metric, histories))
        }
        for arm in study.arms
    }
    at_budgets = [
        at_budget for over in ("images", "seconds") if (at_budget := at_equal_budget(study, endpoint, series, over))
    ]
    if not at_budgets:
        return ()
    heads = (
        f"after {at_budget.budget:,.0f} {'images' if at_budget.over == 'images' else 's'}" for at_budget in at_budgets
    )
    rows = []
    for comparison in study.comparisons[endpoint.metric]:
        cells = []
        for at_budget in at_budgets:
            c = at_budget.comparisons[comparison.arm]
            mean, low, high = endpoint.effect(c)
            effect = f"{show_effect(endpoint, mean)} ({show_interval(endpoint, low, high)})"
            over = ", finished pairs only" if comparison.by_ranks else ""
            cells.append(f"{effect}{over}" if c.runs > 1 and comparison.has_interval else "–")
        rows.append((comparison.arm, *cells))
    text = (
        f"{metric} with as many images, and as many seconds, for each run: its last value up to there, the mean effect "
        "and its 95 % interval over seeds. These values decide nothing."
    )
    return Text(text), Table(("arm", *heads), tuple(rows))


def costs_of(study: Study, missing: list[str]) -> tuple[Block, ...]:
    """The primary endpoint against time, parameters and multiplications."""
    drawings = []
    for endpoint in study.leading[:1]:
        for cost, (name, _) in figures.COSTS.items():
            if drawing := figures.against_cost(study, endpoint, cost):
                drawings.append(drawing)
            else:
                missing.append(f"Fewer than two arms recorded their {name}.")
    rows = []
    for arm in study.arms:
        run = next(iter(arm.finished), None)
        written = run.macs.get("generator_as_written") if run and isinstance(run.macs, dict) else None
        seconds = figures.cost_of(arm, "seconds")
        rates = [run.images_per_second for run in arm.runs.values() if run.images_per_second]
        counts = [figures.cost_of(arm, cost) for cost in ("parameters", "macs")]
        rows.append((
            arm.label,
            *(f"{costs[0]:,.0f}" if costs else "–" for costs in counts),
            "–" if written is None else f"{written:,.0f}",
            f"{median(seconds):.4g}" if seconds else "–",
            f"{median(rates):.4g}" if rates else "–",
        ))  # fmt: skip
    head = ("arm", "parameters", "MACs executed", "MACs as written", "seconds", "images/s")
    legend = (
        "Parameters and MACs are the generator's; MACs: multiply-accumulates per image. Seconds and images/s are "
        "medians over the runs."
    )
    return *([Figures(tuple(drawings))] if drawings else []), Table(head, tuple(rows)), Text(legend)


def samples_of(samples: figures.Samples | None, missing: list[str]) -> tuple[Block, ...]:
    """Grids of the same latents."""
    if samples is None:
        missing.append("No samples: no seed of which at least two arms left any (samples/step-*.png).")
        return ()
    if not samples.grids:
        return (Text(f"The samples of seed {samples.seed} are too large for this page: see samples/ of the runs."),)
    rows, whole = samples.grids[-1].rows, samples.grids[-1].whole
    cut = "" if rows == whole else f" The first {rows} of {whole} rows are shown."
    real = ", beside held-out real images" if samples.grids[0].name == "samples-real" else ""
    caption = f"What each arm draws from the same latents with seed {samples.seed} at the last step{real}.{cut}"
    return (Grids(caption, samples.grids),)


def spectra_of(study: Study, grids: figures.Samples | None, missing: list[str]) -> tuple[Block, ...]:
    """Power by frequency, generated over real. grids: the samples on the same page, which share its space."""
    drawing = figures.spectra(study)
    if drawing is None:
        missing.append("No power by frequency (profiles in result.json).")
    pictures = figures.saved_spectra(study, grids)
    if pictures is None:
        missing.append("No pictures of spectra: no seed of which at least two arms left any (pictures/spectrum.png).")
    blocks: list[Block] = [Figures((drawing,))] if drawing else []
    if pictures and pictures.grids:
        caption = f"Power of real and generated images by frequency, seed {pictures.seed}."
        spectra = Grids(caption, pictures.grids, pixelated=False)
        blocks.append(Fold("The spectrum of one run of each arm", (spectra,)))
    elif pictures:
        blocks.append(Text("The pictures of spectra are too large for this page: see pictures/ of the runs."))
    return tuple(blocks)


def real_of(study: Study, missing: list[str]) -> tuple[Block, ...]:
    """What real images score in place of generated ones, and what equal distributions would."""
    real = _mean_by_metric(study, lambda run: run.real_against_real)
    nulls = _mean_by_metric(study, lambda run: run.nulls)
    if not (real or nulls):
        missing.append("No scores of real images (real_against_real and nulls in result.json).")
    rows = []
    for metric in (*(endpoint.metric for endpoint in study.endpoints), *study.shown_only):
        if metric in real or metric in nulls:
            means = [summary.mean for summary in study.summaries[metric] if summary.mean is not None]
            rows.append((metric, show_number(real.get(metric)), show_number(nulls.get(metric)),
                         f"{show_number(min(means))} to {show_number(max(means))}" if means else "–"))  # fmt: skip
    if not rows:
        return ()
    text = (
        "Real images: what real training images score in place of generated ones, under the same protocol; about what "
        "a perfect generator would score. Equal distributions: the expected score, where a formula is known."
    )
    table = Table(("metric", "real images", "equal distributions", "means of the arms"), tuple(rows))
    lead = study.leading
    short = Table(table.head, tuple(row for row in rows if row[0] in {endpoint.metric for endpoint in lead}))
    all_metrics = Fold(f"All {len(rows)} metrics", (table,))
    return (Text(text), short, all_metrics) if short.rows and len(rows) > len(short.rows) else (Text(text), table)


def ladder_of(study: Study) -> tuple[Block, ...]:
    """How each metric rates known faults of real images, and which metrics may decide."""
    if not study.ladder:
        return ()
    rungs = list(next(iter(study.ladder.values())))
    classes = [rung for rung in rungs if rung.startswith(WITHOUT_CLASS)]
    columns = [rung for rung in rungs if rung not in classes]
    head = ("metric", "may decide", *columns[:-1], *(["without a class"] if classes else []), columns[-1])
    rows = []
    for metric, values in study.ladder.items():
        fault_and_grain = missed_fault(metric, values)
        missing = [values[rung] for rung in classes]
        spans = [f"{show_number(min(missing), 3)} to {show_number(max(missing), 3)}"] if missing else []
        cells = [show_number(values[rung], 3) for rung in columns]
        verdict = "yes" if fault_and_grain is None else f"no: {fault_and_grain[0]}"
        rows.append((metric, verdict, *cells[:-1], *spans, cells[-1]))
    text = (
        "Real training images, with known faults added, take the place of generated ones. A metric may decide if it "
        "rates each fault worse than grain of 2 grey levels, which hardly anyone sees, by more than chance; where it "
        "does not, the table names the fault that it rates mildest."
    )
    stated = {endpoint.metric for endpoint in study.leading}
    short = tuple(row for row in rows if row[0] in stated)
    admitted = [metric for metric, verdict, *_ in rows if verdict == "yes"]
    names = Text(f"May decide: {join_words(admitted) or 'none'}.")
    all_metrics = Fold(f"All {len(rows)} metrics that were tried", (Table(head, tuple(rows)),))
    return Text(text), names, *([Table(head, short)] if short else []), all_metrics


def _mean_by_metric(study: Study, field: Callable[[RunResult], dict[str, float] | None]) -> dict[str, float]:
    """Means over the finished runs of each metric in a field of their results: others may have another protocol."""
    values: dict[str, list[float]] = {}
    for run in _finished(study):
        for name, value in (field(run) or {}).items():
            values.setdefault(name, []).append(value)
    return {name: sum(column) / len(column) for name, column in values.items()}


# --- how sure a study can be, what it was made with -------------------------------------------------------------------


FAR_OUT = 10  # times an arm's median: such a run has not just learned less well, it has failed


def limits(study: Study) -> tuple[Block, ...]:
    """What would make the verdict more certain, the most important first."""
    data, counts = study.reference.settings.get("dataset.name"), [run.images_seen for run in _finished(study)]
    known = sorted({count for count in counts if count is not None})
    budget = "one budget" + (f" ({known[0]:,} images)" if len(known) == 1 and None not in counts else "")
    if len(known) > 1:
        budget = f"runs of {known[0]:,} to {known[-1]:,} images"
    where = f"one data set{f' ({data})' if data else ''}, {budget}"
    lines = (
        *map(sentences.describe_caution, study.cautions),
        *_few_pairs(study),
        *_far_out(study),
        *_open(study),
        *_unfinished(study),
        *sentences.describe_open(study),
        *(
            f"No margin was stated for {endpoint.metric}, so no arm can be called equivalent in it. State one before "
            f"the runs, such as +comparison.margins.{base_name(endpoint.metric)}=0.05."
            for endpoint in study.leading
            if endpoint.margin is None
        ),
        f"The verdict is about {where} and one choice of all other settings: others may rank the arms differently.",
    )
    return (Bullets(lines),)


def _few_pairs(study: Study) -> list[str]:
    """A sentence where no p value could be small enough, for the endpoint that needs most pairs."""
    short = []
    for endpoint in study.leading:
        for comparison in study.comparisons[endpoint.metric]:
            enough, pairs = comparison.enough, comparison.deciding
            if comparison.verdict == "inconclusive" and not comparison.unmeasured and pairs < enough:
                short.append((enough, comparison.tested_arms, pairs))
    if not short:
        return []
    enough, arms, pairs = max(short)
    among = f" with {arms} arms" if arms > 1 else ""
    return [f"The verdict needs more seeds: p <= {1 - LEVEL:.2g}{among} needs at least {enough} pairs, this study has "
            f"{pairs}. 10 are usual."]  # fmt: skip


def _far_out(study: Study) -> list[str]:
    """Finished runs whose distances are far beyond those of the other runs of their arm."""
    lines = []
    for endpoint in study.leading:
        if endpoint.measure.scale != "ratio" or endpoint.measure.direction == "larger":
            continue
        for arm in study.arms:
            values = arm.values(endpoint.metric)
            far = [str(seed) for seed in sorted(values) if values[seed] > FAR_OUT * median(values.values())]
            if far:
                lines.append(
                    f"{arm.label} with seed {join_words(far)} ended at more than {FAR_OUT} times the median of its arm "
                    f"in {endpoint.metric}: look at its images. Such runs dominate means and intervals, but hardly "
                    "change the interquartile mean and P(better)."
                )
    return lines


def _open(study: Study) -> list[str]:
    """Inconclusive comparisons, and how many seeds would probably decide them."""
    return [
        f"{comparison.arm} is undecided in {endpoint.metric} with {sentences.pairs_of(comparison.paired.runs)}. "
        f"A chance of 80 % needs about {seeds}."
        for endpoint in study.leading
        for comparison in study.comparisons[endpoint.metric]
        if comparison.verdict == "inconclusive" and (seeds := sentences.pairs_needed(comparison))
    ]


def _unfinished(study: Study) -> list[str]:
    statuses = [run.status for run in study.runs if run.status != "finished"]
    lines = []
    if statuses:
        diverged = statuses.count("diverged")
        note = f", {diverged} of them diverged" if diverged else ""
        lines.append(
            f"{len(statuses)} of {len(study.runs)} runs did not finish{note}. Intervals are over "
            "finished pairs only; a diverged run counts as the worst."
        )
    absent = [sentences.run_of(gap) for gap in study.gaps if gap.why == "no result"]
    if absent := [sentences.describe_cell(cell) for cell in study.pending] or absent:
        lines.append(f"These runs have no result yet: {'; '.join(absent)}.")
    return lines


def protocol(study: Study) -> tuple[Block, ...]:
    """How it was measured, on what, with which versions, when, and all settings that the arms share."""
    runs, endpoints = study.runs, study.leading
    at_the_end = bool(endpoints) and endpoints[0].metric.startswith("full/")  # it decides there
    rows, others = [], []
    for name, value in flatten(study.protocol).items():
        (rows if name.startswith("full.") == at_the_end else others).append((name, as_typed(value)))
    rows += [(f"margin, {endpoint.metric}", show_margin(endpoint) or "none") for endpoint in endpoints]
    rows += _data(runs)
    devices = sorted({run.device or "not recorded" for run in _finished(study)})
    rows.append(("device", join_words(devices or ["not recorded"])))
    versions = {f"{name} {version}" for run in runs for name, version in run.versions.items()}
    rows.append(("versions", ", ".join(sorted(versions)) or "not recorded"))
    ends = sorted({run.ended.partition("T")[0] for run in runs if run.ended})
    rows.append(("runs ended", " to ".join(dict.fromkeys([ends[0], ends[-1]])) if ends else "not recorded"))
    table = Table(("what", "how"), tuple(rows), words=True)
    title = "Protocol of the quick measures" if at_the_end else "Protocol of the measures at the end"
    folded = [Fold(title, (Table(table.head, tuple(others), words=True),))] if others else []
    return table, *folded, *_settings(study)


def _data(runs: list[RunResult]) -> list[tuple[str, str]]:
    """Where the images are from, their licence, how many there are, and their hash."""
    facts = {json.dumps(run.data, sort_keys=True): run.data for run in runs if run.data}
    rows = []
    for fact in facts.values():
        parts = [f"{fact.get('source')}; licence {fact.get('licence')}"]
        parts += [f"{fact.get('train')} images to train on, {fact.get('held_out')} held out"]
        parts += [f"{fact['classes']} classes"] if fact.get("classes") else []
        rows.append(("data", f"{'; '.join(parts)}; sha256 of pixels and labels {str(fact.get('sha256'))[:16]}..."))
        rows += [("data", str(note)) for note in fact.get("notes", [])]
    return rows


def _settings(study: Study) -> list[Block]:
    trees = [arm.settings for arm in study.arms]
    keys = sorted(set().union(*trees))
    shared = [key for key in keys if all(key in tree and tree[key] == trees[0].get(key) for tree in trees)]
    same = Table(("setting", "value"), tuple((key, _setting(key, trees[0][key])) for key in shared), words=True)
    differing = [key for key in keys if key not in shared]
    rows = tuple(
        (arm.label, *(_setting(key, arm.settings[key]) if key in arm.settings else "–" for key in differing))
        for arm in study.arms
    )
    return [
        Fold("Settings in which the arms differ", (Table(("arm", *differing), rows),)),
        Fold("Settings that all arms share", (same,)),
    ]


def _setting(key: str, value: object) -> str:
    """As people type it; of a path only the last part, since the rest depends on the machine."""
    return Path(value).name if key.endswith("path") and isinstance(value, str) else as_typed(value)


def checklist(study: Study) -> tuple[Block, ...]:
    """What a report of a comparison should have, and whether this one does."""
    runs, has_endpoints = _finished(study), bool(study.endpoints)
    counted = bool(runs) and all(run.parameters and run.macs and run.seconds for run in runs)
    has_real_scores = bool(runs) and all(run.real_against_real is not None for run in runs)
    deterministic = study.reference.settings.get("training.deterministic", False)
    repeats = bool(runs) and all(deterministic or (run.device or "").startswith("cpu") for run in runs)
    unstated = _unstated(study)
    items = [
        ("arms with parameters, MACs and time", counted, "costs"),
        ("raw value of every run", has_endpoints, "seeds, scores.csv"),
        ("failures counted", True, "runs"),
        ("pairs shown seed by seed", has_endpoints, "seeds"),
        ("interval, permutation p, adjusted p, effect size, verdict", has_endpoints, "effects"),
        ("correlation between the arms, other statistics of the same pairs", has_endpoints, "effects"),
        ("scores of real images, and of equal distributions, under the same protocol", has_real_scores, "real"),
        ("endpoints and margins stated before the runs", not unstated or f"no: {unstated}", "protocol"),
        ("versions and device", bool(runs) and all(run.versions and run.device for run in runs), "protocol"),
        ("a repeated run gives the same numbers to the bit", repeats, "protocol"),
    ]
    rows = tuple((item, "yes" if here is True else here or "no", where) for item, here, where in items)
    return (Table(("what", "here", "where"), rows, words=True),)


def _unstated(study: Study) -> str:
    """What was not stated before the runs, by name; empty where all of it was."""
    without = [endpoint.metric for endpoint in study.leading if endpoint.margin is None]
    parts = [] if study.stated else ["no endpoint was stated"]
    parts += [f"no margin for {join_words(without)}"] if without else []
    chosen = [caution for caution in study.cautions if isinstance(caution, ChosenAfterwards)]
    parts += [f"the {sentences.chosen_after(caution)}" for caution in chosen]
    return "; ".join(parts)


def _finished(study: Study) -> list[RunResult]:
    return [run for arm in study.arms for run in arm.finished]


def _folder(study: Study, run: RunResult) -> Path:
    """A run's folder relative to that around the study, or around `outputs`; no path of a machine.

    A link counts where it is, not where it leads.
    """
    assert run.path
    here = study.directory.resolve()
    around = here.parent.parent if here.parent.name == "outputs" else here.parent
    return here.relative_to(around) / run.path.parent.relative_to(study.directory)


# --- what the words mean ----------------------------------------------------------------------------------------------


FEATURES = {
    "classifier": "features of a small network trained to classify this data set",
    "random": "features of convolutions with random weights, three draws",
    "pca": "64 principal components of the pixels; the quick measures, which have no prefix, use them too",
    "inception": "features of the Inception network",
}
_STATISTICS = {
    "arm": "one of the variants that are compared; its runs have the same settings and differ only in the seed",
    "reference": "the arm that all others are compared with",
    "endpoint": "a metric that was named before the runs as one to judge by",
    "margin": "the largest difference that counts as none",
    "pair": "two runs with the same seed: they see the same images and latents in the same order, and start with the "
    "same discriminator",
    "effect": "mean difference of the pairs, arm minus reference; where it is in per cent, of the logarithms",
    "p": "how often swapping the arms within pairs at random gives a difference at least as large (sign-flip test: all "
    "ways up to 16 pairs, beyond that 100,000 random ones)",
    "adjusted p": "p corrected for comparing several arms at once (Holm; Benjamini-Hochberg in exploratory endpoints)",
    "d_z": "mean difference divided by the standard deviation of the differences",
    "interquartile mean": "mean of the middle half of the differences",
    "Hodges-Lehmann": "median of the averages of every two differences",
    "P(better)": "chance that a run of the arm is better than a run of the reference, whatever their seeds",
    "correlation": "between the arm and the reference, over the seeds: the higher, the more pairing helps",
    "exploratory": "any endpoint but the primary one, which decides",
    "MACs": "multiply-accumulates per image; as written: as the layers are defined, executed: after layers were fused",
    "real images": "what real training images score in place of generated ones, about what a perfect generator would "
    "score",
}


def explain(study: Study) -> tuple[Block, ...]:
    """The metrics and features that the study has, and the statistics of every report."""
    metrics = [*(endpoint.metric for endpoint in study.endpoints), *study.shown_only]
    names = dict.fromkeys(name for metric in metrics if (name := base_name(metric)) in METRICS)
    parts = {part for metric in metrics for part in metric.split("/")}
    rows = [(name, METRICS[name].words) for name in names]
    rows += [(f"full/{name}/", f"measured at the end, in {text}") for name, text in FEATURES.items() if name in parts]
    table = Table(("term", "meaning"), (*rows, *_STATISTICS.items()), words=True)
    return (Fold(f"What {len(table.rows)} terms mean", (table,)),)
