"""Sections of a report that need more of a run than its metrics; each says what it did not find."""

from collections.abc import Callable
from statistics import median

from ganlab.report import costs, curves, samples
from ganlab.report.blocks import Block, Figures, Fold, Grids, Table, Text
from ganlab.report.words import count, leading, number
from ganlab.runs.result import RunResult
from ganlab.study.compare import Study


def training_of(study: Study, missing: list[str]) -> tuple[Block, ...]:
    """How the leading endpoints went, over images and over seconds."""
    histories = curves.read_histories(study)
    real = _mean_by_metric(study, lambda run: run.real_against_real)
    over_images, over_seconds, drawn = [], [], set()
    for endpoint in leading(study):
        metric, found = curves.curves_of(study, endpoint, histories)
        without = [arm.label for arm in study.arms if arm.label not in found]
        if without and study.endpoints:
            missing.append(f"No curve of {endpoint.metric} for {', '.join(without)}: the runs share no two steps in "
                           "metrics.jsonl.")  # fmt: skip
        if found and metric not in drawn:  # two endpoints may be followed by one quick relative
            drawn.add(metric)
            for over, drawings in (("images", over_images), ("seconds", over_seconds)):
                drawings.append(curves.draw_curves(study, endpoint, metric, found, over, real.get(metric)))
    if not over_images:
        return ()
    text = "Seconds are as the runs took them: compare them only if nothing else ran on the machine at the time."
    return Figures(tuple(over_images)), Figures(tuple(over_seconds)), Text(text)


def costs_of(study: Study, missing: list[str]) -> tuple[Block, ...]:
    """The primary endpoint against time, parameters and multiplications."""
    drawings = []
    for endpoint in leading(study)[:1]:
        for cost in costs.COSTS:
            drawing = costs.against_cost(study, endpoint, cost)
            if drawing:
                drawings.append(drawing)
            else:
                missing.append(f"Fewer than two arms recorded their {costs.COSTS[cost][0]}.")
    rows = []
    for arm in study.arms:
        run = next((run for run in arm.runs.values() if run.status == "finished"), None)
        written = run.macs.get("generator_as_written") if run and isinstance(run.macs, dict) else None
        seconds = costs.cost_of(arm, "seconds")
        rates = [run.images_per_second for run in arm.runs.values() if run.images_per_second]
        counts = [costs.cost_of(arm, cost) for cost in ("parameters", "macs")]
        rows.append((
            arm.label,
            *(count(found[0]) if found else "–" for found in counts),
            "–" if written is None else count(written),
            f"{median(seconds):.4g}" if seconds else "–",
            f"{median(rates):.4g}" if rates else "–",
        ))  # fmt: skip
    head = ("arm", "parameters", "MACs executed", "MACs as written", "seconds", "images/s")
    table = Table(head, tuple(rows))
    legend = (
        "Parameters and MACs are the generator's; MACs: multiply-accumulates per image. Seconds and images/s are "
        "medians "
        "over the runs."
    )
    return (Figures(tuple(drawings)), table, Text(legend)) if drawings else (table, Text(legend))


def samples_of(found: samples.Samples | None, missing: list[str]) -> tuple[Block, ...]:
    """Grids of the same latents."""
    if found is None:
        missing.append("No samples: no seed of which at least two arms left any (samples/step-*.png).")
        return ()
    if not found.grids:
        return (Text(f"The samples of seed {found.seed} are too large for this page: see samples/ of the runs."),)
    rows, whole = found.grids[0].rows, found.grids[0].whole
    cut = "" if rows == whole else f" The first {rows} of {whole} rows are shown."
    real = ", beside held-out real images" if found.real else ""
    caption = f"What each arm draws from the same latents with seed {found.seed} at the last step{real}.{cut}"
    names = tuple(f"samples-{grid.place + 1}" for grid in found.grids)
    if found.real:
        return (Grids(caption, (found.real, *found.grids), ("samples-real", *names)),)
    return (Grids(caption, found.grids, names),)


def spectra_of(study: Study, grids: samples.Samples | None, missing: list[str]) -> tuple[Block, ...]:
    """Power by frequency, generated over real. grids: the samples on the same page, which take their room."""
    drawing = samples.spectra(study)
    if drawing is None:
        missing.append("No power by frequency (profiles in result.json).")
    pictures = samples.left_spectra(study, grids)
    if pictures is None:
        missing.append("No pictures of spectra: no seed of which at least two arms left any (pictures/spectrum.png).")
    blocks: list[Block] = [Figures((drawing,))] if drawing else []
    if pictures and pictures.grids:
        names = tuple(f"spectrum-{grid.place + 1}" for grid in pictures.grids)
        shown = Grids(
            f"Power of real and generated images by frequency, seed {pictures.seed}.", pictures.grids, names, False
        )
        blocks.append(Fold("The spectrum of one run of each arm", (shown,)))
    elif pictures:
        blocks.append(Text("The pictures of spectra are too large for this page: see pictures/ of the runs."))
    return tuple(blocks)


def real_of(study: Study, missing: list[str]) -> tuple[Block, ...]:
    """What real images score in the place of generated ones, and what equal distributions would."""
    real = _mean_by_metric(study, lambda run: run.real_against_real)
    nulls = _mean_by_metric(study, lambda run: run.nulls)
    if not (real or nulls):
        missing.append("No scores of real images (real_against_real and nulls in result.json).")
        return ()
    rows = []
    for metric in (*(endpoint.metric for endpoint in study.endpoints), *study.shown_only):
        if metric not in real and metric not in nulls:
            continue
        have = [summary.mean for summary in study.summaries[metric] if summary.mean is not None]
        rows.append((metric, number(real.get(metric)), number(nulls.get(metric)),
                     f"{number(min(have))} to {number(max(have))}" if have else "–"))  # fmt: skip
    if not rows:  # no finished run has a metric
        return ()
    text = (
        "Real images: what real training images score in place of generated ones, under the same protocol; about what "
        "a "
        "perfect generator would score. Equal distributions: the expected score, where a formula is known."
    )
    table = Table(("metric", "real images", "equal distributions", "means of the arms"), tuple(rows))
    lead = leading(study)
    short = Table(table.head, tuple(row for row in rows if row[0] in {endpoint.metric for endpoint in lead}))
    rest = Fold(f"All {len(rows)} metrics", (table,))
    return (Text(text), short, rest) if short.rows and len(rows) > len(short.rows) else (Text(text), table)


def _mean_by_metric(study: Study, field: Callable[[RunResult], dict[str, float] | None]) -> dict[str, float]:
    """Means over the runs of what each says about a metric in a field of its result."""
    values: dict[str, list[float]] = {}
    for arm in study.arms:
        for run in arm.runs.values():
            for name, value in (field(run) or {}).items():
                values.setdefault(name, []).append(value)
    return {name: sum(found) / len(found) for name, found in values.items()}
