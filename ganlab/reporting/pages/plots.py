"""Forest plots of effects and paired plots: what the sentences of a verdict say, drawn."""

import math
from typing import Any

from ganlab.reporting.judge import Endpoint, Judgement, Pair, Study
from ganlab.reporting.pages.drawing import (
    Drawing,
    Palette,
    dress,
    entitled,
    even_ticks,
    new_figure,
    new_panels,
    slug,
    wrapped,
)
from ganlab.reporting.words import directed, short_labels, shown_effect, standing

_SHAPES = {"better": "o", "worse": "X", "equivalent": "D", "inconclusive": "o"}
_FACTORS = (1 / 64, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16, 64)


def forest(study: Study, endpoint: Endpoint) -> Drawing:
    """The effect of every arm in one endpoint, with its interval and the margin of what is negligible."""
    judgements, short = study.judgements[endpoint.metric], short_labels(study)

    def draw(palette: Palette) -> Any:
        labels = [wrapped(short[judgement.arm], 34) for judgement in judgements]
        pitch = 0.32 + 0.14 * max(1 + label.count("\n") for label in labels)
        figure = new_figure(0.95 + pitch * len(judgements))
        axis = figure.subplots()
        dress(axis, palette)
        axis.spines["left"].set_visible(False)
        axis.axvline(0, color=palette["muted"], linewidth=1)
        if endpoint.margin is not None:
            margin = math.log1p(endpoint.margin) if endpoint.measure.scale == "ratio" else endpoint.margin
            axis.axvspan(-margin, margin, color=palette["band"], linewidth=0, zorder=0)
        for row, (judgement, label) in enumerate(zip(judgements, labels, strict=True)):
            _effect(axis, row, judgement, label, palette)
        axis.set_ylim(len(judgements) - 0.6, -0.8)
        axis.set_yticks([])
        _effect_axis(axis, endpoint)
        left, right = ("worse", "better") if endpoint.measure.larger_is_better else ("better", "worse")
        gap = "\u2003"  # SVG would draw several spaces as one
        axis.set_xlabel(f"← {left}{gap}than {short[study.reference.label]}{gap}{right} →", fontsize=8.5)
        return entitled(figure, endpoint.metric, palette)

    return Drawing(f"effect-{slug(endpoint.metric)}", f"{endpoint.metric}: {standing(study, endpoint)}", draw)


def _effect(axis: Any, row: int, judgement: Judgement, label: str, palette: Palette) -> None:
    mean, low, high = directed(judgement)
    line = axis.get_yaxis_transform()
    clear = {"facecolor": palette["ground"], "edgecolor": "none", "pad": 1}  # of the line at 0
    axis.text(0, row - 0.12, label, transform=line, color=palette["text"], va="bottom", bbox=clear)
    if judgement.comparison.runs < 2:
        pairs = "1 pair" if judgement.comparison.runs else "no pair"
        if judgement.by_ranks:
            pairs = f"{judgement.verdict}, by ranks"
        axis.text(1, row - 0.12, pairs, transform=line, color=palette["muted"], va="bottom", ha="right", fontsize=8.5)
        return
    hollow = judgement.verdict == "inconclusive"
    effect = shown_effect(judgement.endpoint, mean)
    said = f"{effect}, {judgement.verdict}"
    if judgement.by_ranks:
        said = f"{effect}; {judgement.verdict} by ranks"
    weight = "normal" if hollow else "bold"
    axis.text(1, row - 0.12, said, transform=line, color=palette["text"], va="bottom", ha="right", fontsize=8.5,
              fontweight=weight, bbox=clear)  # fmt: skip
    axis.plot([low, high], [row + 0.05] * 2, color=palette["text"], linewidth=1.6, solid_capstyle="butt")
    face = palette["ground"] if hollow else palette["text"]
    axis.plot(mean, row + 0.05, _SHAPES[judgement.verdict], color=palette["text"], markerfacecolor=face, markersize=6)


def _effect_axis(axis: Any, endpoint: Endpoint) -> None:
    """Ticks in per cent where effects are ratios."""
    low, high = axis.get_xlim()
    low, high = min(low, 0), max(high, 0)
    axis.set_xlim(low, high)
    if endpoint.measure.scale != "ratio":
        axis.locator_params(axis="x", nbins=5)
        return
    if high - low < 1.2:
        from matplotlib.ticker import MaxNLocator

        shares = MaxNLocator(5).tick_values(100 * math.expm1(low), 100 * math.expm1(high))
        ticks = [(math.log1p(share / 100), f"{share:+.3g} %" if share else "0") for share in shares if share > -100]
    else:
        ticks = [(math.log(factor), _times(factor)) for factor in _FACTORS]
    inside = [(place, text) for place, text in ticks if low <= place <= high]
    axis.set_xticks([place for place, _ in inside], [text for _, text in inside])


def _times(factor: float) -> str:
    return f"×{factor:g}" if factor >= 1 else f"÷{1 / factor:g}"


def paired(study: Study, endpoint: Endpoint) -> Drawing:
    """Every seed as a line from the reference to an arm; a panel for each arm."""
    judgements, short = study.judgements[endpoint.metric], short_labels(study)

    def draw(palette: Palette) -> Any:
        names = [short[judgement.arm] for judgement in judgements]
        figure, axes = new_panels(names, palette, columns=3, height=1.6, sharey=True)
        for axis, judgement in zip(axes, judgements, strict=True):
            if endpoint.measure.scale == "ratio":
                axis.set_yscale("log")
            elif endpoint.measure.scale == "size":
                axis.axhline(0, color=palette["muted"], linewidth=0.8, zorder=0)
            _lines(axis, judgement, palette)
        even_ticks(axes)
        figure.supxlabel(f"left {short[study.reference.label]}, right the arm; a line for each seed", fontsize=8.5,
                         color=palette["text"])  # fmt: skip
        return entitled(figure, endpoint.metric, palette)

    counts = ", ".join(f"{short[judgement.arm]} in {better_seeds(judgement)}" for judgement in judgements)
    message = f"{endpoint.metric}, pairs of equal seed: better is {counts}"
    return Drawing(f"pairs-{slug(endpoint.metric)}", message, draw)


def better_seeds(judgement: Judgement) -> str:
    """In how many pairs the arm is the better one, such as `7 of 10`; better than a run that diverged is any other."""
    counted = [pair for pair in judgement.pairs if not pair.missing]
    return f"{sum(is_better(judgement.endpoint, pair) for pair in counted)} of {len(counted)}"


def is_better(endpoint: Endpoint, pair: Pair) -> bool:
    """Whether the arm's value is the better one, of a pair that counts; where a run has none it diverged."""
    if pair.ours is None or pair.theirs is None:
        return pair.ours is not None
    ours, theirs = endpoint.measure.outcome(pair.ours), endpoint.measure.outcome(pair.theirs)
    return ours > theirs if endpoint.measure.larger_is_better else ours < theirs


def _lines(axis: Any, judgement: Judgement, palette: Palette) -> None:
    """One artist for all lines of a kind: of seven arms with twenty seeds each line would take its time."""
    kinds: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    alone = []
    for pair in judgement.pairs:
        if pair.ours is not None and pair.theirs is not None:
            kinds[is_better(judgement.endpoint, pair)].append((pair.theirs, pair.ours))
        else:
            alone += [(place, value) for place, value in ((0, pair.theirs), (1, pair.ours)) if value is not None]
    looks = {True: ("-", "o", "arm-1", palette["arm-1"]), False: ("--", "^", "arm-2", palette["ground"])}
    for better, values in kinds.items():
        if values:
            style, shape, role, face = looks[better]
            theirs, ours = zip(*values, strict=True)
            gaps = [math.nan] * len(values)
            heights = [each for line in zip(theirs, ours, gaps, strict=True) for each in line]
            axis.plot([0, 1, math.nan] * len(values), heights, style, color=palette[role], linewidth=1, zorder=1)
            axis.plot([0] * len(values), theirs, "o", color=palette["muted"], markersize=3, zorder=2)
            axis.plot([1] * len(values), ours, shape, color=palette[role], markerfacecolor=face, markersize=4, zorder=3)
    for place, value in alone:
        axis.plot(place, value, "x", color=palette["muted"], markersize=4)
    axis.set_xlim(-0.25, 1.25)
    axis.set_xticks([])
    axis.set_xlabel(f"better in {better_seeds(judgement)}", fontsize=8.5)
