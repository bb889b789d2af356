"""Quality beside what it costs: training time, parameters and multiplications, a row for each arm."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ganlab.report.drawing import Drawing, Palette, dress, even_ticks, new_figure, slug, wrapped
from ganlab.report.styles import styles_of
from ganlab.report.words import short_labels
from ganlab.runs.result import RunResult
from ganlab.study.arms import Arm
from ganlab.study.compare import Endpoint, Study


def parameters(run: RunResult) -> float | None:
    """Of the generator."""
    return _of_generator(run.parameters)


def macs(run: RunResult) -> float | None:
    """Multiply-accumulates that the generator executes for an image."""
    return _of_generator(run.macs)


def seconds(run: RunResult) -> float | None:
    """Of training, on the machine and in the company that it had."""
    return run.seconds


def _of_generator(counts: int | dict[str, int] | None) -> float | None:
    return counts.get("generator") if isinstance(counts, dict) else counts


COSTS: dict[str, tuple[str, Callable[[RunResult], float | None]]] = {
    "seconds": ("seconds of training", seconds),
    "parameters": ("parameters of the generator", parameters),
    "macs": ("multiply-accumulates per image, generator", macs),
}


def cost_of(arm: Arm, cost: str) -> list[float]:
    """What every finished run of an arm cost, where that is known."""
    read = COSTS[cost][1]
    found = [read(run) for run in arm.runs.values() if run.status == "finished"]
    return [value for value in found if value is not None]


def against_cost(study: Study, endpoint: Endpoint, cost: str) -> Drawing | None:
    """A row for each arm, the best one first: its metric and its cost, median and middle half over the seeds.

    One run gone astray moves neither. None where no two arms have a cost.
    """
    found, short = [], short_labels(study)
    styles = styles_of(short)
    for arm in study.arms:
        values, costs = list(arm.values(endpoint.metric).values()), cost_of(arm, cost)
        if values and costs:
            found.append((arm.label, *(np.percentile(of, (25, 50, 75)) for of in (values, costs))))
    if len(found) < 2:
        return None
    found.sort(key=lambda row: endpoint.measure.outcome(row[1][1]), reverse=True)
    name = COSTS[cost][0]

    def draw(palette: Palette) -> Any:
        labels = [wrapped(short[label], 34) for label, *_ in found]
        pitch = 0.26 + 0.14 * max(1 + label.count("\n") for label in labels)
        figure = new_figure(0.85 + pitch * len(found))
        figure.get_layout_engine().set(wspace=0.1)
        axes = figure.subplots(1, 2)
        for axis, title in zip(axes, (endpoint.metric, name), strict=True):
            dress(axis, palette)
            axis.spines["left"].set_visible(False)
            axis.set_xlabel(wrapped(title, 26), fontsize=8.5)
        for row, (label, *spans) in enumerate(found):
            style = styles[label]
            color = palette[style.role]
            for axis, (low, middle, high) in zip(axes, spans, strict=True):
                axis.axhline(row, color=palette["faint"], linewidth=1, zorder=0)
                axis.hlines(row, low, high, color=color, linewidth=2, zorder=1)
                axis.plot(middle, row, style.marker, color=color, markersize=7, zorder=2)
            axes[0].text(0, row - 0.22, labels[row], transform=axes[0].get_yaxis_transform(), color=palette["text"],
                         va="bottom", fontsize=8.5)  # fmt: skip
        if endpoint.measure.scale == "ratio":
            axes[0].set_xscale("log")
        for axis in axes:
            axis.set_ylim(len(found) - 0.6, -0.9)
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
