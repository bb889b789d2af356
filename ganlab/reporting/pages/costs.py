"""Quality against what it costs: training time, parameters and multiplications, a point for each arm."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

from ganlab.reporting.arms import Arm
from ganlab.reporting.judge import Endpoint, Study
from ganlab.reporting.pages.drawing import (
    Drawing,
    Palette,
    colour,
    dress,
    entitled,
    even_ticks,
    new_figure,
    slug,
    thousands,
)
from ganlab.reporting.results import RunResult
from ganlab.reporting.words import short_labels


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


_DISC = (0.05, 0.08)  # width and height of a disc, as shares of the axes

COSTS: dict[str, tuple[str, Callable[[RunResult], float | None]]] = {
    "seconds": ("seconds of training", seconds),
    "parameters": ("parameters of the generator", parameters),
    "macs": ("multiply-accumulates an image, generator", macs),
}


def cost_of(arm: Arm, cost: str) -> list[float]:
    """What every finished run of an arm cost, where that is known."""
    read = COSTS[cost][1]
    found = [read(run) for run in arm.runs.values() if run.status == "finished"]
    return [value for value in found if value is not None]


def against_cost(study: Study, endpoint: Endpoint, cost: str) -> Drawing | None:
    """The arms' median and middle half over the seeds against those of the cost: one run gone astray moves neither.

    None where no two arms have a cost.
    """
    points, short = [], short_labels(study)
    for place, arm in enumerate(study.arms):
        values, costs = list(arm.values(endpoint.metric).values()), cost_of(arm, cost)
        if values and costs:
            points.append((place, short[arm.label], costs, values))
    if len(points) < 2:
        return None
    name = COSTS[cost][0]

    def draw(palette: Palette) -> Any:
        figure = new_figure(2.5 + 0.175 * len(points))
        axis = figure.subplots()
        dress(axis, palette)
        middles: list[tuple[float, float]] = []
        for place, label, costs, values in points:
            (left, x, right), (low, y, high) = (np.percentile(of, (25, 50, 75)) for of in (costs, values))
            color = colour(palette, place)
            axis.hlines(y, left, right, color=color, linewidth=1, zorder=1)
            axis.vlines(x, low, high, color=color, linewidth=1, zorder=1)
            axis.plot(x, y, "o", color=color, markersize=11, zorder=2, label=f"{place + 1}  {label}")
            middles.append((x, y))
        if endpoint.measure.scale == "ratio":
            axis.set_yscale("log")
        axis.margins(0.15)
        _write_numbers(axis, middles, [place + 1 for place, *_ in points], palette)
        axis.locator_params(axis="x", nbins=5)
        even_ticks([axis])
        axis.xaxis.set_major_formatter(thousands)
        axis.set_xlabel(name, fontsize=8.5)
        legend = figure.legend(loc="outside lower left", fontsize=8.5, frameon=False, labelcolor=palette["text"],
                               labelspacing=0.25, handlelength=0, handletextpad=0)  # fmt: skip
        for handle in legend.legend_handles:
            handle.set_visible(False)
        return entitled(figure, endpoint.metric, palette)

    direction = "higher" if endpoint.measure.larger_is_better else "lower"
    message = f"{endpoint.metric} ({direction} is better) against {name}: medians, bars: middle half of the seeds"
    return Drawing(f"cost-{cost}-{slug(endpoint.metric)}", message, draw)


def _write_numbers(axis: Any, middles: list[tuple[float, float]], numbers: list[int], palette: Palette) -> None:
    """Each arm's number in its disc; of discs that cover each other all numbers in a row above them."""
    axis.autoscale_view()  # otherwise the limits wait for the drawing
    places = axis.transAxes.inverted().transform(axis.transData.transform(middles))
    groups: list[list[int]] = []
    for place, here in enumerate(places):
        near = [group for group in groups if any((abs(here - places[other]) < _DISC).all() for other in group)]
        groups = [group for group in groups if group not in near] + [[place, *chain(*near)]]
    for group in groups:
        if len(group) == 1:
            axis.text(*middles[group[0]], f"{numbers[group[0]]}", color=palette["ground"], ha="center",
                      va="center_baseline", fontsize=8.5, fontweight="bold", zorder=3)  # fmt: skip
        else:
            x, y = places[group].mean(axis=0)[0], places[group].max(axis=0)[1]
            row = ", ".join(str(numbers[each]) for each in sorted(group))
            axis.text(x, y + 0.6 * _DISC[1], row, color=palette["text"], ha="center", va="bottom", fontsize=8.5,
                      fontweight="bold", zorder=3, transform=axis.transAxes)  # fmt: skip
