"""Forest plots of effects and paired plots: what the sentences of a verdict say, drawn."""

import math
from typing import Any

from ganlab.report.drawing import (
    Drawing,
    Palette,
    dress,
    entitled,
    even_ticks,
    new_figure,
    new_panels,
    slug,
    ticks_within,
    wrapped,
)
from ganlab.report.styles import Style, styles_of
from ganlab.report.words import short_labels, shown_effect, standing
from ganlab.study.compare import ArmComparison, Endpoint, Pair, Study

_ABOVE = -0.1  # where the letters of a row end and its interval begins, in rows
_FACTORS = ((64, 4096), (4, 16, 64), (2, 4, 8, 16), (1.5, 2, 3, 4))  # from coarse to fine, each way


def forest(study: Study, endpoint: Endpoint) -> Drawing:
    """The effect of every arm in one endpoint, with its interval and the margin of what is negligible."""
    comparisons, short = study.comparisons[endpoint.metric], short_labels(study)
    styles = styles_of(short)

    def draw(palette: Palette) -> Any:
        labels = [wrapped(short[comparison.arm], 34) for comparison in comparisons]
        pitch = 0.32 + 0.14 * max(1 + label.count("\n") for label in labels)
        figure = new_figure(0.95 + pitch * len(comparisons))
        axis = figure.subplots()
        dress(axis, palette)
        axis.spines["left"].set_visible(False)
        if endpoint.margin is not None:
            margin = math.log1p(endpoint.margin) if endpoint.measure.scale == "ratio" else endpoint.margin
            axis.axvspan(-margin, margin, color=palette["band"], linewidth=0, zorder=0)
        for row, (comparison, label) in enumerate(zip(comparisons, labels, strict=True)):
            axis.vlines(0, row + _ABOVE, row + 0.3, color=palette["muted"], linewidth=1)  # the letters are left free
            _effect(axis, row, comparison, label, styles[comparison.arm], palette)
        axis.set_ylim(len(comparisons) - 0.6, -0.8)
        axis.set_yticks([])
        _effect_axis(axis, endpoint)
        left, right = ("worse", "better") if endpoint.measure.direction == "larger" else ("better", "worse")
        gap = "\u2003"  # SVG would draw several spaces as one
        axis.set_xlabel(f"← {left}{gap}than {short[study.reference.label]}{gap}{right} →", fontsize=8.5)
        return entitled(figure, endpoint.metric, palette)

    return Drawing(f"effect-{slug(endpoint.metric)}", f"{endpoint.metric}: {standing(study, endpoint)}", draw)


def _effect(axis: Any, row: int, comparison: ArmComparison, label: str, style: Style, palette: Palette) -> None:
    mean, low, high = comparison.own
    line = axis.get_yaxis_transform()
    axis.text(0, row + _ABOVE, label, transform=line, color=palette["text"], va="bottom")
    if comparison.paired.runs < 2:
        pairs = "1 pair" if comparison.paired.runs else "no pair"
        if comparison.by_ranks:
            pairs = f"{comparison.verdict}, by ranks"
        axis.text(1, row + _ABOVE, pairs, transform=line, color=palette["muted"], va="bottom", ha="right", fontsize=8.5)
        return
    hollow = comparison.verdict == "inconclusive"
    effect = shown_effect(comparison.endpoint, mean)
    said = f"{effect}, {comparison.verdict}"
    if comparison.by_ranks:
        said = f"{effect}; {comparison.verdict} by ranks"
    weight = "normal" if hollow else "bold"
    axis.text(1, row + _ABOVE, said, transform=line, color=palette["text"], va="bottom", ha="right", fontsize=8.5,
              fontweight=weight)  # fmt: skip
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
        ticks = []
        for factors in _FACTORS:
            ticks = [
                (sign * math.log(each), f"{'×' if sign > 0 else '÷'}{each:g}") for each in factors for sign in (-1, 1)
            ]
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
        figure, axes = new_panels(names, palette, columns=3, height=1.6, sharey=True)
        for axis, comparison in zip(axes, comparisons, strict=True):
            if endpoint.measure.scale == "ratio":
                axis.set_yscale("log")
            elif endpoint.measure.scale == "size":
                axis.axhline(0, color=palette["muted"], linewidth=0.8, zorder=0)
            _lines(axis, comparison, styles[comparison.reference], styles[comparison.arm], palette)
        even_ticks(axes)
        figure.supxlabel(f"left: {short[study.reference.label]}, right: the arm; one line per seed", fontsize=8.5,
                         color=palette["text"])  # fmt: skip
        return entitled(figure, endpoint.metric, palette)

    counts = ", ".join(f"{short[comparison.arm]} in {better_seeds(comparison)}" for comparison in comparisons)
    message = (
        f"{endpoint.metric}, pairs of runs with the same seed. Better than {short[study.reference.label]}: {counts}"
    )
    return Drawing(f"pairs-{slug(endpoint.metric)}", message, draw)


def better_seeds(comparison: ArmComparison) -> str:
    """In how many pairs the arm is the better one, such as `7 of 10`; better than a run that diverged is any other."""
    counted = [pair for pair in comparison.pairs if not pair.missing]
    return f"{sum(is_better(comparison.endpoint, pair) for pair in counted)} of {len(counted)}"


def is_better(endpoint: Endpoint, pair: Pair) -> bool:
    """Whether the arm's value is the better one, of a pair that counts; where a run has none it diverged."""
    if pair.ours is None or pair.theirs is None:
        return pair.ours is not None
    return endpoint.measure.is_better(pair.ours, pair.theirs)


def _lines(axis: Any, comparison: ArmComparison, reference: Style, arm: Style, palette: Palette) -> None:
    """One artist for all lines of a kind: of seven arms with twenty seeds each line would take its time."""
    kinds: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    alone = []
    for pair in comparison.pairs:
        if pair.ours is not None and pair.theirs is not None:
            kinds[is_better(comparison.endpoint, pair)].append((pair.theirs, pair.ours))
        else:
            alone += [(place, value) for place, value in ((0, pair.theirs), (1, pair.ours)) if value is not None]
    color = palette[arm.role]
    looks = {True: ("-", color), False: (":", palette["ground"])}
    for better, values in kinds.items():
        if values:
            line, face = looks[better]
            theirs, ours = zip(*values, strict=True)
            gaps = [math.nan] * len(values)
            heights = [each for line in zip(theirs, ours, gaps, strict=True) for each in line]
            axis.plot([0, 1, math.nan] * len(values), heights, line, color=color, linewidth=1, zorder=1)
            axis.plot(
                [0] * len(values), theirs, reference.marker, color=palette[reference.role], markersize=3, zorder=2
            )
            axis.plot([1] * len(values), ours, arm.marker, color=color, markerfacecolor=face, markersize=5, zorder=3)
    for place, value in alone:
        axis.plot(place, value, "x", color=palette["text"], markersize=5)
    axis.set_xlim(-0.25, 1.25)
    axis.set_xticks([])
    axis.set_xlabel(f"better in {better_seeds(comparison)}", fontsize=8.5)
