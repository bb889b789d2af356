"""The pictures of a study: effects, pairs, curves and costs as figures; samples and spectra from its runs."""

import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ganlab import files
from ganlab.errors import in_a_line
from ganlab.evaluation.registry import quick_relative
from ganlab.report.drawing import (
    Drawing,
    Palette,
    Style,
    add_title,
    even_ticks,
    new_figure,
    new_panels,
    slug,
    styles_of,
    ticks_within,
    wrap,
)
from ganlab.report.sentences import list_verdicts, short_labels, show_effect, show_number
from ganlab.runs import grids
from ganlab.runs.records import read_records
from ganlab.runs.result import RunResult
from ganlab.study.arms import Arm
from ganlab.study.compare import ArmComparison, Endpoint, Pair, Study

# --- effects and pairs ------------------------------------------------------------------------------------------------


_LABEL_OFFSET = -0.1  # where the text of a row ends and its interval begins, in rows
_FACTORS = ((64, 4096), (4, 16, 64), (2, 4, 8, 16), (1.5, 2, 3, 4))  # from coarse to fine, each way


def forest(study: Study, endpoint: Endpoint) -> Drawing:
    """The effect of every arm in one endpoint, with its interval and the margin of what is negligible."""
    comparisons, short = study.comparisons[endpoint.metric], short_labels(study)
    styles = styles_of(short)

    def draw(palette: Palette) -> Any:
        labels = [wrap(short[comparison.arm], 28) for comparison in comparisons]
        pitch = 0.32 + 0.14 * max(1 + label.count("\n") for label in labels)
        figure = new_figure(0.95 + pitch * len(comparisons))
        axis = figure.subplots()
        axis.spines["left"].set_visible(False)
        if endpoint.compared_margin is not None:
            margin = endpoint.compared_margin
            axis.axvspan(-margin, margin, color=palette["band"], linewidth=0, zorder=0)
        for row, (comparison, label) in enumerate(zip(comparisons, labels, strict=True)):
            # the line leaves room for the text
            axis.vlines(0, row + _LABEL_OFFSET, row + 0.3, color=palette["muted"], linewidth=1)
            _effect(axis, row, comparison, label, styles[comparison.arm], palette)
        axis.set_ylim(len(comparisons) - 0.6, -0.8)
        axis.set_yticks([])
        _effect_axis(axis, endpoint)
        left, right = ("worse", "better") if endpoint.measure.direction == "larger" else ("better", "worse")
        gap = "\u2003"  # SVG would draw several spaces as one
        axis.set_xlabel(f"← {left}{gap}than {short[study.reference.label]}{gap}{right} →")
        return add_title(figure, endpoint.metric)

    return Drawing(f"effect-{slug(endpoint.metric)}", f"{endpoint.metric}: {list_verdicts(study, endpoint)}", draw)


def _effect(axis: Any, row: int, comparison: ArmComparison, label: str, style: Style, palette: Palette) -> None:
    mean, low, high = comparison.effect
    text = partial(axis.text, y=row + _LABEL_OFFSET, transform=axis.get_yaxis_transform(), va="bottom")
    text(0, s=label)
    if not comparison.has_interval:
        pairs = "1 pair" if comparison.paired.runs else "no pair"
        if comparison.by_ranks:
            pairs = f"{comparison.verdict}, by ranks"
        text(1, s=pairs, color=palette["muted"], ha="right", fontsize=8.5)
        return
    hollow = comparison.verdict in ("inconclusive", "depends on who looks")
    effect = show_effect(comparison.endpoint, mean)
    verdict = f"{effect}{'; ' if comparison.by_ranks else ', '}{comparison.verdict}{' by ranks' * comparison.by_ranks}"
    text(1, s=verdict, ha="right", fontsize=8.5, fontweight="normal" if hollow else "bold")
    color, at = palette[style.role], row + 0.1
    axis.plot([low, high], [at] * 2, color=color, linewidth=1.6, solid_capstyle="butt")
    face = palette["ground"] if hollow else color
    axis.plot(mean, at, style.marker, color=color, markerfacecolor=face, markersize=7)


def _effect_axis(axis: Any, endpoint: Endpoint) -> None:
    """Ticks in per cent where effects are ratios."""
    low, high = axis.get_xlim()
    low, high = min(low, 0), max(high, 0)
    axis.set_xlim(low, high)
    if endpoint.measure.scale != "ratio":
        even_ticks([axis], "x")
        return
    if high - low < 1.2:
        shares = ticks_within(100 * math.expm1(low), 100 * math.expm1(high))
        ticks = [(math.log1p(share / 100), f"{share:+.3g} %" if share else "0") for share in shares if share > -100]
    else:
        ticks, signs = [], ((-1, "÷"), (1, "×"))
        for factors in _FACTORS:
            ticks = [(side * math.log(factor), f"{sign}{factor:g}") for factor in factors for side, sign in signs]
            ticks.append((0.0, "×1"))
            if sum(low <= place <= high for place, _ in ticks) >= 3:
                break
    inside = [(place, text) for place, text in ticks if low <= place <= high]
    axis.set_xticks([place for place, _ in inside], [text for _, text in inside])


def paired(study: Study, endpoint: Endpoint) -> Drawing:
    """Every seed as a line from the reference to an arm; a panel for each arm."""
    comparisons, short = study.comparisons[endpoint.metric], short_labels(study)
    styles = styles_of(short)

    def draw(palette: Palette) -> Any:
        names = [short[comparison.arm] for comparison in comparisons]
        figure, axes = new_panels(names, columns=3, height=1.6, sharey=True)
        for axis, comparison in zip(axes, comparisons, strict=True):
            _scale(axis, endpoint, palette)
            _lines(axis, comparison, styles[comparison.reference], styles[comparison.arm], palette)
        even_ticks(axes)
        figure.supxlabel(f"left: {short[study.reference.label]}, right: the arm; one line per seed")
        return add_title(figure, endpoint.metric)

    counts = ", ".join(f"{short[comparison.arm]} in {better_seeds(comparison)}" for comparison in comparisons)
    message = (
        f"{endpoint.metric}, pairs of runs with the same seed. Better than {short[study.reference.label]}: {counts}"
    )
    return Drawing(f"pairs-{slug(endpoint.metric)}", message, draw)


def _scale(axis: Any, endpoint: Endpoint, palette: Palette) -> None:
    """Logarithmic where ratios are compared; with a line at 0 where distances from it are."""
    if endpoint.measure.scale == "ratio":
        axis.set_yscale("log")
    elif endpoint.measure.scale == "size":
        axis.axhline(0, color=palette["muted"], linewidth=0.8, zorder=0)


def better_seeds(comparison: ArmComparison) -> str:
    """In how many pairs the arm is better, such as `7 of 10`; any run is better than one that is the worst."""
    counted = [pair for pair in comparison.pairs if not pair.missing]
    return f"{sum(is_better(comparison.endpoint, pair) for pair in counted)} of {len(counted)}"


def is_better(endpoint: Endpoint, pair: Pair) -> bool:
    """Whether the arm's value is better, in a pair that counts; a run without a value is the worst."""
    if pair.ours is None or pair.theirs is None:
        return pair.ours is not None
    return endpoint.measure.is_better(pair.ours, pair.theirs)


def _lines(axis: Any, comparison: ArmComparison, reference: Style, arm: Style, palette: Palette) -> None:
    """One artist for all lines of a kind: one for each line is slow with seven arms and twenty seeds."""
    kinds: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    unpaired = []
    for pair in comparison.pairs:
        if pair.ours is not None and pair.theirs is not None:
            kinds[is_better(comparison.endpoint, pair)].append((pair.theirs, pair.ours))
        else:
            unpaired += [(place, value) for place, value in ((0, pair.theirs), (1, pair.ours)) if value is not None]
    color, theirs_color = palette[arm.role], palette[reference.role]
    for better, line, face in ((True, "-", color), (False, ":", palette["ground"])):
        if values := kinds[better]:
            theirs, ours = zip(*values, strict=True)
            heights = [height for pair in values for height in (*pair, math.nan)]
            axis.plot([0, 1, math.nan] * len(values), heights, line, color=color, linewidth=1, zorder=1)
            axis.plot([0] * len(values), theirs, reference.marker, color=theirs_color, markersize=3, zorder=2)
            axis.plot([1] * len(values), ours, arm.marker, color=color, markerfacecolor=face, markersize=5, zorder=3)
    for place, value in unpaired:
        axis.plot(place, value, "x", color=palette["text"], markersize=5)
    axis.set_xlim(-0.25, 1.25)
    axis.set_xticks([])
    axis.set_xlabel(f"better in {better_seeds(comparison)}")


# --- over training ----------------------------------------------------------------------------------------------------


class Curve(NamedTuple):
    """One arm's metric over training, at the steps that all its finished runs recorded.

    steps: taken, images: real ones seen, [T] each. seconds: median over the seeds, [T]. values: [seeds, T].
    """

    steps: np.ndarray
    images: np.ndarray
    seconds: np.ndarray
    values: np.ndarray


History = dict[str, dict[int, tuple[int, float, float]]]
"""By metric, by step: images, seconds, value."""


def read_histories(study: Study) -> dict[Path, History]:
    """The metrics of each finished run that recorded any, by the folder of the run.

    Raises ResultError where records are damaged.
    """
    histories: dict[Path, History] = {}
    for folder in [run.path.parent for arm in study.arms for run in arm.finished if run.path]:
        for record in read_records(folder, "metric/"):
            for tag, value in record.items():
                if tag.startswith("metric/"):
                    metrics = histories.setdefault(folder, {})
                    point = record["images"], record["seconds"], value
                    metrics.setdefault(tag.removeprefix("metric/"), {})[record["step"]] = point
    return histories


def _curve_of(arm: Arm, metric: str, histories: dict[Path, History]) -> Curve | None:
    """The curve of an arm; None where its finished runs do not share at least two steps."""
    by_run = [values_by_step(run, metric, histories) for run in arm.finished]
    steps = sorted(set.intersection(*map(set, by_run))) if by_run else []
    if len(steps) < 2:
        return None
    table = np.array([[recorded[step] for step in steps] for recorded in by_run], float)
    return Curve(np.array(steps), table[0, :, 0], np.median(table[:, :, 1], axis=0), table[:, :, 2])


def values_by_step(run: RunResult, metric: str, histories: dict[Path, History]) -> dict[int, tuple[int, float, float]]:
    """What a run recorded of a metric: images, seconds, value; empty where that is nothing."""
    return histories.get(run.path.parent, {}).get(metric, {}) if run.path else {}


def curves_of(study: Study, endpoint: Endpoint, histories: dict[Path, History]) -> tuple[str, dict[str, Curve]]:
    """The metric that has curves, and the curve of each arm that has one, by label.

    For a metric that is measured only at the end (full/pca/coverage) these are of its quick counterpart (coverage).
    """
    for metric in (endpoint.metric, quick_relative(endpoint.metric)):
        curves = {arm.label: curve for arm in study.arms if (curve := _curve_of(arm, metric, histories))}
        if curves:
            return metric, curves
    return endpoint.metric, {}


def draw_curves(
    study: Study, endpoint: Endpoint, metric: str, curves: dict[str, Curve], over: str, real: float | None
) -> Drawing:
    """A panel for each arm but the reference, which is dashed in all of them.

    over: images or seconds. real: what real images score, a dotted line.
    """
    short = short_labels(study)
    styles = styles_of(short)
    reference = curves.get(study.reference.label)
    panels = [arm.label for arm in study.arms if arm is not study.reference and arm.label in curves]
    panels = panels or [study.reference.label]
    # Failed runs would flatten all others: the axis is cut at ten times the arm that stays lowest.
    highest = [float(curve.values.max()) for curve in curves.values()]
    top = 10 * min(highest) if endpoint.measure.scale == "ratio" and 0 < 10 * min(highest) < max(highest) else None

    def draw(palette: Palette) -> Any:
        names = [short[label] for label in panels]
        figure, axes = new_panels(names, columns=2, height=1.55, sharex=True, sharey=True)
        for axis, label in zip(axes, panels, strict=True):
            if reference is not None and label != study.reference.label:
                _band(axis, getattr(reference, over), reference.values, palette, styles[study.reference.label], "--")
            _band(axis, getattr(curves[label], over), curves[label].values, palette, styles[label])
            if real is not None:
                axis.axhline(real, color=palette["text"], linestyle=":", linewidth=1)
            _scale(axis, endpoint, palette)
        if top is not None:
            axes[0].set_ylim(top=top)  # of all panels, which share it
        even_ticks(axes)
        even_ticks(axes, "x")
        unit = "real images seen" if over == "images" else "seconds of training (median over the seeds)"
        figure.supxlabel(unit)
        return add_title(figure, metric)

    counts = sorted({len(curve.values) for curve in curves.values()})
    seeds = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    runs = "one run" if counts == [1] else f"median of {seeds} seeds, with a band from the lowest to the highest"
    notes = [
        f"{metric} over {'the images seen' if over == 'images' else 'time'}: {runs}",
        f"dashed: {short[study.reference.label]}" if reference and panels[0] != study.reference.label else "",
        f"dotted: what real images score, {show_number(real, 3)}" if real is not None else "",
        f"the axis is cut off above {float(show_number(top, 2)):g}" if top is not None else "",
    ]
    message = "; ".join(filter(None, notes))
    if metric != endpoint.metric:
        message += f". This does not decide the verdict: {endpoint.metric} is measured only at the end"
    return Drawing(f"curves-{slug(metric)}-{over}", message, draw)


def _band(
    axis: Any, x: np.ndarray, values: np.ndarray, palette: Palette, style: Style, line: Literal["-", "--"] = "-"
) -> None:
    """Draw the median of the seeds, with a band from the lowest to the highest. values: [seeds, T]."""
    color = palette[style.role]
    if len(values) > 1:
        low, high = values.min(axis=0), values.max(axis=0)
        axis.fill_between(x, low, high, color=color, alpha=0.16 if line == "--" else 0.25, linewidth=0)
    axis.plot(x, np.median(values, axis=0), line, color=color, linewidth=1.5, marker=style.marker, markersize=3.5,
              markevery=max(1, len(x) // 8))  # fmt: skip


# --- against what it costs --------------------------------------------------------------------------------------------


COSTS: dict[str, tuple[str, Callable[[RunResult], float | None]]] = {
    # on whatever machine, beside whatever else ran there
    "seconds": ("seconds of training", lambda run: run.seconds),
    "parameters": ("parameters of the generator", lambda run: run.of_generator("parameters")),
    "macs": ("multiply-accumulates per image, generator", lambda run: run.of_generator("macs")),
}


def cost_of(arm: Arm, cost: str) -> list[float]:
    """The cost of every finished run of an arm, where it is known."""
    _, read_cost = COSTS[cost]
    return [value for run in arm.finished if (value := read_cost(run)) is not None]


def against_cost(study: Study, endpoint: Endpoint, cost: str) -> Drawing | None:
    """A row for each arm, the best one first: its metric and its cost, median and middle half over the seeds.

    A single failed run moves neither. None where fewer than two arms have a cost.
    """
    rows, short = [], short_labels(study)
    styles = styles_of(short)
    for arm in study.arms:
        values, costs = list(arm.values(endpoint.metric).values()), cost_of(arm, cost)
        if values and costs:
            rows.append((arm.label, *(np.percentile(column, (25, 50, 75)) for column in (values, costs))))
    if len(rows) < 2:
        return None
    rows.sort(key=lambda row: endpoint.measure.outcome(row[1][1]), reverse=True)
    name = COSTS[cost][0]

    def draw(palette: Palette) -> Any:
        labels = [wrap(short[label], 34) for label, *_ in rows]
        pitch = 0.26 + 0.14 * max(1 + label.count("\n") for label in labels)
        figure = new_figure(0.85 + pitch * len(rows))
        figure.get_layout_engine().set(wspace=0.1)
        axes = figure.subplots(1, 2)
        for axis, title in zip(axes, (endpoint.metric, name), strict=True):
            axis.spines["left"].set_visible(False)
            axis.set_xlabel(wrap(title, 26))
        for row, (label, *spans) in enumerate(rows):
            style = styles[label]
            color = palette[style.role]
            for axis, (low, middle, high) in zip(axes, spans, strict=True):
                axis.axhline(row, color=palette["faint"], linewidth=1, zorder=0)
                axis.hlines(row, low, high, color=color, linewidth=2, zorder=1)
                axis.plot(middle, row, style.marker, color=color, markersize=7, zorder=2)
            axes[0].text(0, row - 0.22, labels[row], transform=axes[0].get_yaxis_transform(), va="bottom", fontsize=8.5)
        if endpoint.measure.scale == "ratio":
            axes[0].set_xscale("log")
        for axis in axes:
            axis.set_ylim(len(rows) - 0.6, -0.9)
            axis.set_yticks([])
            axis.margins(x=0.08)
        even_ticks(axes, "x")
        return figure

    best = {"closer to 0": "closest to 0", "larger": "highest", "smaller": "lowest"}[endpoint.measure.better]
    message = (
        f"{endpoint.metric} and {name}, the arm with the {best} {endpoint.metric} first: medians over the seeds, "
        "with bars over their middle half"
    )
    return Drawing(f"cost-{cost}-{slug(endpoint.metric)}", message, draw)


# --- what the arms draw, and its spectra ------------------------------------------------------------------------------


LARGEST = 1_500_000  # bytes of all pictures of a page together; base64 adds a third
_DECADES = 3  # of power; beyond them a spectrum is cut off


GRIDS, SPECTRUM = "samples/step-*.png", "pictures/spectrum.png"
REAL = "samples/real.png"  # held-out images, which a run saves with its samples


@dataclass(frozen=True)
class Grid:
    """The picture of one arm, or of real images. name: of its file. rows, whole: rows of images shown, and in all."""

    name: str
    label: str
    step: int
    png: bytes
    width: int
    height: int
    rows: int
    whole: int


@dataclass(frozen=True)
class Samples:
    """The grids of the arms that have one, with the lowest seed that all of them finished; empty if too large."""

    seed: int
    grids: tuple[Grid, ...]

    @property
    def size(self) -> int:
        """Bytes of all pictures."""
        return sum(len(grid.png) for grid in self.grids)


def last_grids(study: Study) -> Samples | None:
    """The arms' last grids, after one of held-out images if a run has any; None where fewer than two arms have one.

    Pictures that are too large for a page are cut to their upper rows; no pixel is changed. Without room for one row,
    no grid is shown.
    """
    seed, pictures = _pictures_of_one_seed(study, GRIDS)
    if not pictures:
        return None
    shown = [("samples-real", "real images", real)] if (real := _real(pictures.values())) else []
    shown += [(f"samples-{place + 1}", study.arms[place].label, picture) for place, picture in pictures.items()]
    size = _image_size(study)
    for rows in (None, 4, 2, 1):
        samples = Samples(seed, tuple(_grid(*each, size, rows) for each in shown))
        if samples.size <= LARGEST:
            return samples
    return Samples(seed, ())


def saved_spectra(study: Study, beside: Samples | None) -> Samples | None:
    """The spectra that the runs of one seed wrote, one for each arm; None where fewer than two arms have one.

    beside: the grids on the same page. Without room beside them, no spectrum is shown.
    """
    seed, pictures = _pictures_of_one_seed(study, SPECTRUM)
    if not pictures:
        return None
    spectra = Samples(
        seed,
        tuple(
            Grid(f"spectrum-{place + 1}", study.arms[place].label, 0, png, *pixels.shape[1::-1], rows=1, whole=1)
            for place, (_, png, pixels) in pictures.items()
        ),
    )
    return spectra if spectra.size + (beside.size if beside else 0) <= LARGEST else Samples(seed, ())


def shown_files(study: Study) -> list[Path]:
    """The files of the runs that `last_grids` and `saved_spectra` show."""
    drawn, spectra = (_pictures_of_one_seed(study, pattern)[1].values() for pattern in (GRIDS, SPECTRUM))
    return [picture.path for picture in (*drawn, _real(drawn), *spectra) if picture]


class _Picture(NamedTuple):
    path: Path
    png: bytes
    pixels: np.ndarray


def _picture(run: Path, path: Path) -> _Picture | None:
    """A picture from a run; None if it does not exist, or, with a line on stderr, if it cannot be shown."""
    try:
        files.refuse_link(path, run)
        return _Picture(path, *grids.read_png(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        said = in_a_line(str(error).replace(f"{run.parent}/", ""))  # the study's folder may be one for the moment
        print(f"not in the report: {said}", file=sys.stderr, flush=True)
        return None


def _pictures_of_one_seed(study: Study, pattern: str) -> tuple[int, dict[int, _Picture]]:
    """The lowest seed with a readable picture from every arm that has such files, and the last picture by arm."""
    paths_by_arm: dict[int, dict[int, Path]] = {}
    for place, arm in enumerate(study.arms):
        for seed, run in arm.runs.items():
            paths = sorted(run.path.parent.glob(pattern)) if run.status == "finished" and run.path else []
            if paths:
                paths_by_arm.setdefault(place, {})[seed] = paths[-1]
    common = set.intersection(*map(set, paths_by_arm.values())) if len(paths_by_arm) > 1 else set()
    for seed in sorted(common):
        by_arm = {place: _picture(paths[seed].parents[1], paths[seed]) for place, paths in paths_by_arm.items()}
        readable = {place: picture for place, picture in by_arm.items() if picture}
        if len(readable) == len(by_arm):
            return seed, readable
    return 0, {}


def _real(pictures: Iterable[_Picture]) -> _Picture | None:
    """The held-out images that the first of the runs left which drew these, and left any."""
    folders = [picture.path.parents[1] for picture in pictures]
    return next((picture for folder in folders if (picture := _picture(folder, folder / REAL))), None)


def _grid(name: str, label: str, picture: _Picture, size: tuple[int, int], most: int | None) -> Grid:
    pixels, stem = picture.pixels, picture.path.stem.removeprefix("step-")
    step = int(stem) if stem.isdecimal() else 0  # none in real.png
    whole = grids.rows_of(pixels, size)
    rows = min(most or whole, whole)
    height = (len(pixels) - grids.BORDER) * rows // whole + grids.BORDER
    pixels = pixels[:height]
    png = grids.png(pixels[..., None] if pixels.ndim == 2 else pixels)
    return Grid(name, label, step, png, pixels.shape[1], height, rows, whole)


def spectra(study: Study) -> Drawing | None:
    """Power of generated images over that of real ones by frequency, a panel for each arm; None without profiles.

    From each finished run with `profiles`, {"real": [R], "generated": [R]}: mean power by ring, r = 0 ... side/2.
    """
    ratios_by_arm = {arm.label: arm_ratios for arm in study.arms if (arm_ratios := ratios(arm)).size}
    if len({arm_ratios.shape[1] for arm_ratios in ratios_by_arm.values()}) != 1:
        return None
    short = short_labels(study)
    styles = styles_of(short)
    rings = next(iter(ratios_by_arm.values())).shape[1]
    side = 2 * rings + min(_image_size(study)) % 2  # the shorter one; an odd one has no Nyquist frequency
    cut = max(np.abs(arm_ratios).max() for arm_ratios in ratios_by_arm.values()) > _DECADES

    def draw(palette: Palette) -> Any:
        names = [short[label] for label in ratios_by_arm]
        figure, axes = new_panels(names, columns=2, height=1.5, sharex=True, sharey=True)
        for axis, (label, values) in zip(axes, ratios_by_arm.items(), strict=True):
            axis.axhline(0, color=palette["text"], linestyle=":", linewidth=1)
            _band(axis, np.arange(1, rings + 1) / side, values, palette, styles[label])
        if cut:
            bottom, top = axes[0].get_ylim()
            axes[0].set_ylim(max(bottom, -_DECADES), min(top, _DECADES))  # of all panels, which share it
        even_ticks(axes)
        even_ticks(axes, "x")
        figure.supxlabel("cycles per pixel (0.5: every other pixel)")
        figure.supylabel("log10(generated / real)")
        return add_title(figure, "spectrum")

    message = (
        "Power of generated images divided by that of real ones, by frequency: median of the seeds, with a band over "
        "all of them; dotted: equal power"
    )
    if cut:
        message += f"; the axis is cut off where power is more than {10**_DECADES} times too weak or too strong"
    return Drawing("spectrum-ratio", message, draw)


def _image_size(study: Study) -> tuple[int, int]:
    """Height and width of the images; where the settings do not say, of any that are square and even."""
    size = study.arms[0].settings.get("dataset.size", 2)
    return tuple(size) if isinstance(size, list) else (size, size)


def ratios(arm: Arm) -> np.ndarray:
    """log10 of power, generated over real, of each ring but the mean, [seeds, R - 1]; empty where no run has any."""
    by_run = []
    for run in arm.finished:
        if run.profiles:
            real, generated = (np.asarray(run.profiles[side], float)[1:] for side in ("real", "generated"))
            if (real > 0).all() and (generated > 0).all():
                by_run.append(np.log10(generated / real))
    return np.array(by_run) if len({len(run_ratios) for run_ratios in by_run}) == 1 else np.empty(0)
