"""Views in the terminal."""

from collections.abc import Sequence

import numpy as np
from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ganlab.inspection.views import View, even, log10, short, stacked, times
from ganlab.nets.analysis import inside
from ganlab.runs.console import Console

_BARS = "▁▂▃▄▅▆▇█"


def show(views: Sequence[View], console: Console | None = None) -> None:
    """Print what views are compared by, as many side by side as fit the terminal's width; of one also its layers."""
    console = console or Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = max(console.width, 160)  # a file has no width; numbers should not be folded
    first = views[0]
    console.print(Text(f"{first.moment}; {first.about}; scale {times(first.scale)}"))
    if len(views) == 1:
        layers = _grid(first.layers[0], left=2)
        for row in first.layers[1:]:
            layers.add_row(*map(Text, row))
        console.print(layers)
        console.print(Text(f" {first.lattice}"))
    bars = _bars([view.profile for view in views])
    rows = [_rows(view, line) for view, line in zip(views, bars, strict=True)]
    widths = [
        max(len(line) for text in (stacked(view.arm), *(text for _, text in row)) for line in text.splitlines())
        for view, row in zip(views, rows, strict=True)
    ]
    label = max(len(name) for name, _ in rows[0])
    per_row = max(1, (console.width - label - 4) // (max(widths) + 2))
    for start in range(0, len(views), per_row):
        block = views[start : start + per_row]
        table = _grid(["", *(stacked(view.arm) for view in block)], left=len(block) + 1)
        for cells in zip(*rows[start : start + per_row], strict=True):
            table.add_row(Text(cells[0][0]), *(Text(text) for _, text in cells))
        console.print(table)
    for note in dict.fromkeys(note for view in views for note in [view.no_spectrum, *view.notes] if note):
        console.print(Padding(Text(note, style="dim"), (0, 0, 0, 1)))


def _rows(view: View, bars: str) -> list[tuple[str, str]]:
    return [
        *view.facts.items(),
        ("[[1,2],[3,4]] through a single 1", _matrix(view.single)),
        ("[[1,2],[3,4]] through all ones", _matrix(view.ones)),
        ("taps that reach a pixel, inside", _matrix(inside(view.overlap, view.scale))),
        ("variance by phase", _matrix(view.variance, view.std)),
        ("spectrum of the images, low to high", bars or "none: see below"),
    ]


def _grid(header: Sequence[str], left: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for place, name in enumerate(header):
        table.add_column(Text(name), justify="left" if place < left else "right")
    return table


def _matrix(values: np.ndarray, std: np.ndarray | None = None) -> str:
    """Numbers in columns, one line per row."""
    if np.isnan(values).all():
        return "not known"
    texts = [[short(value) if std is None else even(value) for value in row] for row in values]
    if std is not None:
        texts = [[f"{t} ±{even(s)}" for t, s in zip(*rows, strict=True)] for rows in zip(texts, std, strict=True)]
    width = max(len(text) for row in texts for text in row)
    return "\n".join(" ".join(text.rjust(width) for text in row) for row in texts)


def _bars(profiles: Sequence[np.ndarray | None]) -> list[str]:
    """The logarithms of rings 1, 2, ... as bars that share one range; empty if there is no profile."""
    logs = [log10(profile)[1:] if profile is not None else np.zeros(0) for profile in profiles]
    finite = np.concatenate([line[np.isfinite(line)] for line in logs])
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    places = [np.nan_to_num((line - low) / ((high - low) or 1) * 7.999, nan=-1) for line in logs]
    return ["".join(_BARS[int(place)] if place >= 0 else " " for place in line) for line in places]
