"""Views as one picture."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from ganlab.inspection.views import View, even, log10, short, stacked, times
from ganlab.report.drawing import styles_of
from ganlab.runs import grids

_WIDE = 13.0  # inches
_SIDE_BY_SIDE = 5  # arms in a table
_ROW = 2.2  # inches of a row of panels
_PANELS = (
    "[[1,2],[3,4]]\nthrough a single 1",
    "[[1,2],[3,4]]\nthrough all ones",
    "taps that reach\neach pixel",
    "output variance\nby phase",
    "images",
    "log10 power\nof the images",
)


def picture(views: Sequence[View]) -> np.ndarray:
    """A table, a row of panels for each view, and all spectra by ring: uint8 [H,W,3], 13 inches at 100 dots wide.

    The table is of the layers of one view, or of the facts in which several are compared.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    first = views[0]
    notes = [*(first.notes if len(views) == 1 else []), *(view.no_spectrum for view in views)]
    wrapped = [line for note in dict.fromkeys(filter(None, notes)) for line in textwrap.wrap(note, 150)]
    lines = [*_table(views), "", *wrapped]
    columns = len(_PANELS) - all(view.power is None for view in views)
    curves = any(view.profile is not None for view in views)
    rows = _ROW * len(views) if len(views) > 1 else 3 * _ROW
    heights = [0.21 * len(lines), rows + 0.5, *[2.6] * curves]
    figure = Figure(
        figsize=(_WIDE, sum(heights) + 0.6), dpi=100, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.06)
    )
    figure.suptitle(f"{first.moment}; {first.about}; scale {times(first.scale)}", fontsize=13, fontweight="bold")
    parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
    _write(parts[0], lines, _WIDE)
    if len(views) == 1:  # there is room for larger panels
        axes = parts[1].subplots(2, 3).reshape(1, len(_PANELS))
        for unused in axes[0, columns:]:
            unused.set_axis_off()
    else:
        axes = parts[1].subplots(len(views), columns)
    limits, mappable = _limits(views), None
    for row, view in zip(axes, views, strict=True):
        _heat(row[0], view.single, vmax=4)
        _heat(row[1], view.ones)
        _heat(row[2], view.overlap, cell=view.scale)
        _heat(row[3], view.variance, std=view.std)
        _images(row[4], view)
        if columns == len(_PANELS):
            mappable = _power(row[5], view, limits) or mappable
        row[0].set_ylabel(stacked(view.arm), fontsize=10, fontweight="bold")
    for column, name in zip(axes.T[:columns], _PANELS, strict=False):
        next((axis for axis in column if axis.axison), column[0]).set_title(name, fontsize=10)
    if mappable is not None:
        parts[1].colorbar(mappable, ax=axes, pad=0.02, shrink=0.8, aspect=10 * (1 + len(views))).ax.tick_params(
            labelsize=8
        )
    if curves:
        axis = parts[2].subplots()
        _profiles(axis, views)
        axis.set_title("log10 power of the images by ring", fontsize=10)
    return grids.render(figure)


def _table(views: Sequence[View]) -> list[str]:
    if len(views) == 1:
        return _lines(views[0].layers, left=2)
    blocks = [views[start : start + _SIDE_BY_SIDE] for start in range(0, len(views), _SIDE_BY_SIDE)]
    lines = []
    for block in blocks:
        facts = [[name, *(view.facts[name] for view in block)] for name in block[0].facts]
        lines += ["", *_lines([["", *(stacked(view.arm) for view in block)], *facts], left=len(block) + 1)]
    return lines[1:]


def _lines(table: list[list[str]], left: int) -> list[str]:
    """A table as lines of fixed-width text: the first `left` columns are left-aligned, the others right-aligned.

    The header may have several lines.
    """
    heads = [text.split("\n") for text in table[0]]
    tall = max(map(len, heads))
    table = [[(head + [""] * tall)[line] for head in heads] for line in range(tall)] + table[1:]
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    rows = [
        "   ".join(
            text.ljust(width) if place < left else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    ]
    return [*rows[:tall], "─" * len(rows[0]), *rows[tall:]]


def _write(part: Any, lines: list[str], inches: float) -> None:
    longest = max(map(len, lines))
    size = min(9.5, 72 * inches * 0.96 / (0.602 * longest))  # DejaVu Sans Mono is .602 as wide as its size
    part.text(0.5, 0.5, "\n".join(line.ljust(longest) for line in lines), ha="center", va="center",
              family="DejaVu Sans Mono", fontsize=size, linespacing=1.35)  # fmt: skip


def _heat(
    axis: Any,
    values: np.ndarray,
    *,
    vmax: float | None = None,
    std: np.ndarray | None = None,
    cell: tuple[int, int] | None = None,
) -> None:
    """Numbers as shades from 0, with the numbers themselves if they fit; lines around each input pixel's `cell`."""
    _without_ticks(axis)
    if np.isnan(values).all():
        axis.text(0.5, 0.5, "not known", ha="center", va="center", fontsize=10, color="0.5", transform=axis.transAxes)
        return
    top = vmax or max(float(np.max(values)), 1e-30)
    axis.imshow(values, cmap="Blues", vmin=0, vmax=top * 1.25, interpolation="nearest")
    rows, columns = values.shape
    if cell is not None:
        for line in range(cell[0], rows, cell[0]):
            axis.axhline(line - 0.5, color="white", linewidth=1.2)
        for line in range(cell[1], columns, cell[1]):
            axis.axvline(line - 0.5, color="white", linewidth=1.2)
    texts = [
        short(value) if std is None else f"{even(value)}\n±{even(std[place])}"
        for place, value in np.ndenumerate(values)
    ]
    longest = max(len(line) for text in texts for line in text.splitlines())
    inches = _WIDE / axis.get_gridspec().ncols
    size = min(12.0, 72 * 0.75 * inches / columns / (0.65 * longest + 0.6))  # points at which they fit a cell
    if size < 4.5:
        return
    for (place, value), text in zip(np.ndenumerate(values), texts, strict=True):
        color = "white" if value > 0.75 * top else "black"
        number = axis.text(place[1], place[0], text, ha="center", va="center", fontsize=size, color=color)
        number.set_in_layout(False)  # it is inside its axes; measuring hundreds of them would take seconds


def _without_ticks(axis: Any) -> None:
    axis.set_xticks([])
    axis.set_yticks([])


def _images(axis: Any, view: View) -> None:
    enlarge = max(1, round(512 / (4 * view.pixels.shape[2])))
    sheet = grids.grid(view.pixels[:16], columns=4, border=enlarge, enlarge=enlarge, background=255)
    axis.imshow(sheet.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    _without_ticks(axis)


def _limits(views: Sequence[View]) -> tuple[float, float]:
    """One range of shades for all arms, at most six powers of ten."""
    powers = [view.power[view.power > 0] for view in views if view.power is not None]
    logs = np.log10(np.concatenate(powers)) if powers else np.zeros(0)
    if not logs.size:
        return 0.0, 1.0
    return max(float(logs.min()), float(logs.max()) - 6), float(logs.max()) + 1e-9


def _power(axis: Any, view: View, limits: tuple[float, float]) -> Any:
    """Draw a power spectrum; returns what a colour bar is made from, or None."""
    if view.power is None:  # the notes say why
        axis.set_axis_off()
        return None
    _without_ticks(axis)
    logs = np.nan_to_num(log10(view.power), nan=limits[0])  # no power at all is the darkest shade
    logs[0, 0] = np.nan
    cycles = (-0.5, 0.5, 0.5, -0.5)  # a pixel: a square, whatever the sides of the images
    return axis.imshow(np.fft.fftshift(logs), cmap="magma", vmin=limits[0], vmax=limits[1], extent=cycles)


def _profiles(axis: Any, views: Sequence[View]) -> None:
    with_profile = [view for view in views if view.profile is not None]
    styles = styles_of(view.arm for view in with_profile)
    for view in with_profile:
        assert view.profile is not None
        rings, style = np.arange(1, len(view.profile)), styles[view.arm]
        axis.plot(rings, log10(view.profile)[1:], marker=style.marker, markersize=4, color=style.light, label=view.arm)
    axis.set_xlabel("ring: waves across the image", fontsize=9)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.3)
    if len(with_profile) > 1:
        axis.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
