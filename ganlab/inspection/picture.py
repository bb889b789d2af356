"""Views as one picture."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from ganlab.inspection.views import INPUT, View, even, log10, short, stacked, times
from ganlab.report.drawing import styles_of
from ganlab.runs import grids

_MOST_PER_ROW = 6  # arms side by side, so that numbers stay readable
_WIDE = 13.0  # inches
_NUMBERS = 100  # in one panel; larger maps have them in the centre only


def picture(views: Sequence[View]) -> np.ndarray:
    """One view in full, or several side by side: uint8 [H,W,3], at most about 14 inches at 100 dots wide."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.06), dpi=100)
    if len(views) == 1:
        _draw_one(figure, views[0])
    else:
        _draw_many(figure, views)
    return grids.render(figure)


def _draw_one(figure: Any, view: View) -> None:
    notes = [line for note in (*view.notes, _first_capital(view.no_spectrum)) for line in textwrap.wrap(note, 150)]
    lines = [*_lines(view.layers, left=2), "", *notes]
    heights = [0.21 * len(lines), 3.3, 4.0]
    figure.set_size_inches(_WIDE, sum(heights) + 0.7)
    figure.suptitle(f"{view.arm}, {view.moment}; {view.about}", fontsize=13, fontweight="bold")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=heights)
    _write(top, lines, _WIDE)
    axes = middle.subplots(1, 4)
    _heat(axes[0], INPUT, "the image", vmax=4)
    _heat(axes[1], view.single, "through a kernel with a single 1", vmax=4)
    _heat(axes[2], view.ones, "through all ones")
    _heat(axes[3], view.overlap, "taps that reach each output pixel", cell=view.scale)
    axes = bottom.subplots(1, 4)
    _heat(axes[0], view.variance, f"output variance by phase\n{textwrap.fill(view.lattice, 32)}", std=view.std)
    _images(axes[1], view, f"16 of {len(view.pixels)} images\n{view.moment}")
    mappable = _power(axes[2], view, _limits([view]), "log10 power by frequency\nmean at the centre, left out")
    if mappable is not None:
        _bar(bottom, mappable, axes[2], shrink=0.8)
    if view.profile is None:
        axes[3].set_axis_off()
        return
    _profiles(axes[3], [view])
    axes[3].set_title("log10 power by ring\n", fontsize=10)
    axes[3].set_box_aspect(1)


def _draw_many(figure: Any, views: Sequence[View]) -> None:
    per_row = -(-len(views) // -(-len(views) // _MOST_PER_ROW))  # 7 as 4 and 3, not as 6 and 1
    blocks = [views[at : at + per_row] for at in range(0, len(views), per_row)]
    columns = len(blocks[0])
    width = max(9.0, min(_WIDE, 1.6 + 2.3 * columns))
    side = (width - 1.6) / columns
    lines = [_lines([["", *(stacked(v.arm) for v in block)], *_facts(block)], left=len(block) + 1) for block in blocks]
    missing = dict.fromkeys(_first_capital(view.no_spectrum) for view in views if view.no_spectrum)
    lines[-1] += [line for note in missing for line in ("", *textwrap.wrap(note, 100))]
    rows = 6 if any(view.power is not None for view in views) else 5
    curves = any(view.profile is not None for view in views)
    heights = [h for text in lines for h in (0.21 * len(text), (rows + 0.2) * side + 0.4)] + [3.6] * curves
    figure.set_size_inches(width, sum(heights) + 0.6)
    first = views[0]
    figure.suptitle(f"{first.moment}; {first.about}; scale {times(first.scale)}", fontsize=13, fontweight="bold")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights)
    limits = _limits(views)
    for place, (block, text) in enumerate(zip(blocks, lines, strict=True)):
        _write(parts[2 * place], text, width)
        axes = parts[2 * place + 1].subplots(rows, columns, squeeze=False)
        for unused in axes[:, len(block) :].ravel():
            unused.set_axis_off()
        mappable = None
        for column, view in zip(axes.T, block, strict=False):
            _heat(column[0], view.single, stacked(view.arm), vmax=4)
            column[0].title.set_fontweight("bold")
            _heat(column[1], view.ones, "")
            _heat(column[2], view.overlap, "", cell=view.scale)
            _heat(column[3], view.variance, "", std=view.std)
            _images(column[4], view, "")
            if rows == 6:
                mappable = _power(column[5], view, limits, "") or mappable
        if mappable is not None:
            _bar(parts[2 * place + 1], mappable, axes, shrink=0.15, anchor=(0.0, 0.0))
        names = ("through a\nsingle 1", "through\nall ones", "taps that reach\neach pixel", "output variance\nby phase",
                 f"images\n{first.moment}", "log10 power\nof the images")  # fmt: skip
        for row, name in zip(axes, names, strict=False):
            next((axis for axis in row if axis.axison), row[0]).set_ylabel(name, fontsize=10)
    if not curves:
        return
    axis = parts[-1].subplots()
    _profiles(axis, views)
    axis.set_title("log10 power of the images by ring", fontsize=10)


def _facts(views: Sequence[View]) -> list[list[str]]:
    return [[name, *(view.facts[name] for view in views)] for name in views[0].facts]


def _first_capital(text: str) -> str:
    return text[:1].upper() + text[1:]


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
    title: str,
    *,
    vmax: float | None = None,
    std: np.ndarray | None = None,
    cell: tuple[int, int] | None = None,
) -> None:
    """Numbers as shades from 0, with the numbers themselves if they are few; lines around each input pixel's `cell`."""
    if np.isnan(values).all():
        axis.text(0.5, 0.5, "not known", ha="center", va="center", fontsize=10, color="0.5", transform=axis.transAxes)
        _label(axis, title)
        return
    top = vmax or max(float(np.max(values)), 1e-30)
    axis.imshow(values, cmap="Blues", vmin=0, vmax=top * 1.25, interpolation="nearest")
    _label(axis, title)
    rows, columns = values.shape
    inches = axis.figure.get_figure(root=True).get_size_inches()[0] / axis.get_gridspec().ncols
    texts = [
        short(value) if std is None else f"{even(value)}\n±{even(std[place])}"
        for place, value in np.ndenumerate(values)
    ]
    longest = max(len(line) for text in texts for line in text.splitlines())
    size = min(12.0, 72 * 0.8 * inches / columns / (0.65 * longest + 0.6))  # points at which they fit a cell
    if cell is not None:
        for line in range(cell[0], rows, cell[0]):
            axis.axhline(line - 0.5, color="white", linewidth=1.2)
        for line in range(cell[1], columns, cell[1]):
            axis.axvline(line - 0.5, color="white", linewidth=1.2)
    if size < 4.5:
        return
    middle = {
        (rows // cell[0] // 2 * cell[0] + y, columns // cell[1] // 2 * cell[1] + x) for y, x in np.ndindex(*cell)
    } if cell is not None and values.size > _NUMBERS else None  # fmt: skip
    for (place, value), text in zip(np.ndenumerate(values), texts, strict=True):
        if middle is not None and place not in middle:
            continue
        color = "white" if value > 0.75 * top else "black"
        number = axis.text(place[1], place[0], text, ha="center", va="center", fontsize=size, color=color)
        number.set_in_layout(False)  # it is inside its axes; measuring hundreds of them would take seconds


def _label(axis: Any, title: str) -> None:
    """A title, and no ticks."""
    axis.set_title(title, fontsize=10)
    axis.set_xticks([])
    axis.set_yticks([])


def _images(axis: Any, view: View, title: str) -> None:
    enlarge = max(1, round(512 / (4 * view.pixels.shape[2])))
    sheet = grids.grid(view.pixels[:16], columns=4, border=enlarge, enlarge=enlarge, background=255)
    axis.imshow(sheet.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    _label(axis, title)


def _limits(views: Sequence[View]) -> tuple[float, float]:
    """One range of shades for all arms, at most six powers of ten."""
    powers = [view.power[view.power > 0] for view in views if view.power is not None]
    logs = np.log10(np.concatenate(powers)) if powers else np.zeros(0)
    if not logs.size:
        return 0.0, 1.0
    return max(float(logs.min()), float(logs.max()) - 6), float(logs.max()) + 1e-9


def _power(axis: Any, view: View, limits: tuple[float, float], title: str) -> Any:
    """Draw a power spectrum; returns what a colour bar is made from, or None."""
    if view.power is None:  # the notes say why
        axis.set_axis_off()
        return None
    _label(axis, title)
    logs = np.nan_to_num(log10(view.power), nan=limits[0])  # no power at all is the darkest shade
    logs[0, 0] = np.nan
    cycles = (-0.5, 0.5, 0.5, -0.5)  # a pixel: a square, whatever the sides of the images
    return axis.imshow(np.fft.fftshift(logs), cmap="magma", vmin=limits[0], vmax=limits[1], extent=cycles)


def _bar(part: Any, mappable: Any, axes: Any, **where: Any) -> None:
    part.colorbar(mappable, ax=axes, pad=0.02, **where).ax.tick_params(labelsize=8)


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
