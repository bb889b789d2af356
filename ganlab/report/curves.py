"""How metrics went over training: read from each run's `metrics.jsonl`, drawn with a band over the seeds."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganlab.evaluation.registry import quick_relative
from ganlab.report.drawing import (
    Drawing,
    Palette,
    entitled,
    even_ticks,
    new_panels,
    slug,
)
from ganlab.report.styles import Style, styles_of
from ganlab.report.words import number, short_labels
from ganlab.runs.records import read_records
from ganlab.runs.result import RunResult
from ganlab.study.arms import Arm
from ganlab.study.compare import Endpoint, Study


class Curve(NamedTuple):
    """One arm's metric over training, at the steps that all its finished runs recorded.

    images: real images seen, [T]. seconds: median over the seeds, [T]. values: [seeds, T].
    """

    images: np.ndarray
    seconds: np.ndarray
    values: np.ndarray


History = dict[str, dict[int, tuple[int, float, float]]]
"""By metric, by step: images, seconds, value."""


def read_histories(study: Study) -> dict[Path, History]:
    """The metrics of every finished run that recorded any, by the folder of the run.

    Raises ResultError where records are damaged.
    """
    return {
        run.path.parent: history
        for arm in study.arms
        for run in arm.runs.values()
        if run.status == "finished" and run.path and (history := _history(run.path.parent))
    }


def _history(directory: Path) -> History:
    history: History = {}
    for record in read_records(directory, "metric/"):
        for tag, value in record.items():
            if tag.startswith("metric/"):
                history.setdefault(tag.removeprefix("metric/"), {})[record["step"]] = (
                    record["images"], record["seconds"], value,
                )  # fmt: skip
    return history


def curve_of(arm: Arm, metric: str, histories: dict[Path, History]) -> Curve | None:
    """The curve of an arm; None where not every finished run has two common steps of it."""
    runs = [run for run in arm.runs.values() if run.status == "finished"]
    found = [_of(run, metric, histories) for run in runs]
    if not found or not all(found):
        return None
    steps = sorted(set.intersection(*(set(each) for each in found)))
    if len(steps) < 2:
        return None
    table = np.array([[each[step] for step in steps] for each in found], float)
    return Curve(table[0, :, 0], np.median(table[:, :, 1], axis=0), table[:, :, 2])


def _of(run: RunResult, metric: str, histories: dict[Path, History]) -> dict[int, tuple[int, float, float]]:
    return histories.get(run.path.parent, {}).get(metric, {}) if run.path else {}


def curves_of(study: Study, endpoint: Endpoint, histories: dict[Path, History]) -> tuple[str, dict[str, Curve]]:
    """The metric that has curves, and the curve of each arm that has one, by label.

    A metric of the end only (full/pca/coverage) is followed by its quick relative (coverage).
    """
    for metric in (endpoint.metric, quick_relative(endpoint.metric)):
        found = {arm.label: curve for arm in study.arms if (curve := curve_of(arm, metric, histories))}
        if found:
            return metric, found
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
    top = _ceiling(list(curves.values())) if endpoint.measure.scale == "ratio" else None

    def draw(palette: Palette) -> Any:
        names = [short[label] for label in panels]
        figure, axes = new_panels(names, palette, columns=2, height=1.55, sharex=True, sharey=True)
        for axis, label in zip(axes, panels, strict=True):
            if reference is not None and label != study.reference.label:
                _band(axis, reference, over, palette, styles[study.reference.label], "--")
            _band(axis, curves[label], over, palette, styles[label], "-")
            if real is not None:
                axis.axhline(real, color=palette["text"], linestyle=":", linewidth=1)
            if endpoint.measure.scale == "ratio":
                axis.set_yscale("log")
            elif endpoint.measure.scale == "size":
                axis.axhline(0, color=palette["muted"], linewidth=0.8, zorder=0)
        if top is not None:
            axes[0].set_ylim(top=top)  # of all panels, which share it
        even_ticks(axes)
        even_ticks(axes, "x")
        unit = "real images seen" if over == "images" else "seconds of training (median over the seeds)"
        figure.supxlabel(unit, fontsize=8.5, color=palette["text"])
        return entitled(figure, metric, palette)

    seeds = max(len(curve.values) for curve in curves.values())
    runs = "one run" if seeds == 1 else f"median of {seeds} seeds, with a band from the lowest to the highest"
    message = f"{metric} over {'the images seen' if over == 'images' else 'time'}: {runs}"
    if reference is not None and panels[0] != study.reference.label:
        message += f"; dashed: {short[study.reference.label]}"
    if real is not None:
        message += f"; dotted: what real images score, {number(real, 3)}"
    if top is not None:
        message += f"; the axis is cut off above {float(number(top, 2)):g}"
    if metric != endpoint.metric:
        message += f". This does not decide the verdict: {endpoint.metric} is measured only at the end"
    return Drawing(f"curves-{slug(metric)}-{over}", message, draw)


def _ceiling(curves: list[Curve]) -> float | None:
    """Where to cut the axis if runs gone astray would flatten all others: ten times the arm that stays lowest.

    None where no run goes beyond, or where that is not above 0.
    """
    top = 10 * min(float(curve.values.max()) for curve in curves)
    return top if 0 < top < max(curve.values.max() for curve in curves) else None


def _band(axis: Any, curve: Curve, over: str, palette: Palette, style: Style, line: str) -> None:
    color = palette[style.role]
    x = curve.images if over == "images" else curve.seconds
    middle = np.median(curve.values, axis=0)
    if len(curve.values) > 1:
        low, high = curve.values.min(axis=0), curve.values.max(axis=0)
        axis.fill_between(x, low, high, color=color, alpha=0.16 if line == "--" else 0.25, linewidth=0)
    axis.plot(x, middle, line, color=color, linewidth=1.5, marker=style.marker, markersize=3.5,
              markevery=max(1, len(x) // 8))  # fmt: skip
