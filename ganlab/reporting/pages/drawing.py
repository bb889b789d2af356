"""Figures drawn once and shown in light and dark: matplotlib, with colours that stand for roles.

A drawing is a function of a palette. For SVG the palette holds placeholders, which become CSS variables inside a page
and plain colours in a file; for PNG it holds the colours themselves. Nothing of pyplot's state is used.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

WIDTH = 4.0  # inches: on a telephone letters keep their size
MARKERS = "osD^vP<X>h"

Palette = Mapping[str, Any]

# Okabe and Ito's colours, darkened or lightened until each stands out 3:1 from its ground.
LIGHT = {
    "ground": "#ffffff", "text": "#1b1f24", "muted": "#5b636d", "faint": "#d5d9de", "band": "#e3e9f0",
    "arm-1": "#0072b2", "arm-2": "#d55e00", "arm-3": "#00805e", "arm-4": "#a8457f", "arm-5": "#8a6400",
    "arm-6": "#4a5fc1", "arm-7": "#b03030", "arm-8": "#4d7000",
}  # fmt: skip
DARK = {
    "ground": "#14181d", "text": "#e8ebee", "muted": "#a3abb5", "faint": "#3a424c", "band": "#27313d",
    "arm-1": "#56b4e9", "arm-2": "#ff9a4d", "arm-3": "#3fc79a", "arm-4": "#e39ac4", "arm-5": "#e6b53c",
    "arm-6": "#9aa8ff", "arm-7": "#ff8f8f", "arm-8": "#b5cc5a",
}  # fmt: skip
THEMES = {"light": LIGHT, "dark": DARK}
_PLACEHOLDERS = {role: f"#01ab{place:02x}" for place, role in enumerate(LIGHT)}
_ARMS = 8
_FONT = "DejaVu Sans"  # comes with matplotlib, and is wider than most: a reader's own font needs no more room


@dataclass(frozen=True)
class Drawing:
    """A figure and what it says.

    name: of its files, letters, digits and hyphens. message: one sentence, the text in place of the picture.
    draw: the matplotlib figure in the colours of a palette.
    """

    name: str
    message: str
    draw: Callable[[Palette], Any]

    def inline(self) -> str:
        """SVG for the inside of a page: colours are `var(--role)`, every id begins with the figure's name."""
        svg = self._drawn
        for role, placeholder in _PLACEHOLDERS.items():
            svg = svg.replace(placeholder, f"var(--{role})")
        svg = re.sub(r'\bid="', f'id="{self.name}-', svg).replace("url(#", f"url(#{self.name}-")
        svg = svg.replace('xlink:href="#', f'href="#{self.name}-')
        return svg.replace("<svg ", f'<svg role="img" aria-labelledby="{self.name}-title" ', 1).replace(
            "<title>", f'<title id="{self.name}-title">', 1
        )

    def svg(self, theme: str) -> str:
        """A file of its own, `light` or `dark`; the same bytes every time."""
        svg = self._drawn
        for role, placeholder in _PLACEHOLDERS.items():
            svg = svg.replace(placeholder, THEMES[theme][role])
        names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        return svg.replace("<svg ", f"<svg {names} ", 1)

    def png(self, theme: str = "light", dpi: int = 160) -> bytes:
        """The picture in points, for what shows no SVG."""
        file = io.BytesIO()
        ground = THEMES[theme]["ground"]
        with _style(**{"axes.facecolor": ground}):
            figure = self.draw(THEMES[theme])
            figure.savefig(file, format="png", dpi=dpi, facecolor=ground, metadata={"Software": None})
        return file.getvalue()

    @cached_property
    def _drawn(self) -> str:
        """Placeholders for colours, a title, and nothing of what matplotlib says about itself."""
        file = io.StringIO()
        with _style():
            self.draw(_PLACEHOLDERS).savefig(file, format="svg", transparent=True, metadata={"Date": None})
        svg = file.getvalue()
        svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
        head, _, body = svg.partition(">")
        size = " ".join(re.findall(r'(?:width|height|viewBox)="[^"]*"', head))
        body = body.replace(f"'{_FONT}', sans-serif", "sans-serif")  # the reader's own
        used = set(re.findall(r'(?:href="|url\()#([^")]+)', body))
        body = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", body)
        body = re.sub(r"\n\s*", "\n", body)
        return f"<svg {size}>\n<title>{escape(self.message)}</title>{body}"


def colour(palette: Palette, place: int) -> Any:
    """The colour of the arm at this place, 0 ...; after eight they come again, with other markers."""
    return palette[f"arm-{place % _ARMS + 1}"]


def marker(place: int) -> str:
    """The marker of the arm at this place."""
    return MARKERS[place % len(MARKERS)]


def new_figure(height: float, width: float = WIDTH) -> Any:
    """An empty figure, in inches."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.03, hspace=0.04)
    return Figure(figsize=(width, height), layout=engine)


def new_panels(
    titles: Sequence[str], palette: Palette, columns: int, height: float, **share: bool
) -> tuple[Any, list[Any]]:
    """A figure with a panel for each title, at most so many abreast. height: of a panel, in inches."""
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    titles = [wrapped(title, 42 // columns) for title in titles]
    lines = max(1 + title.count("\n") for title in titles)
    figure = new_figure(0.5 + (height + 0.14 * (lines - 1)) * rows * (1.25 if rows == 1 else 1))
    axes = list(figure.subplots(rows, columns, squeeze=False, **share).ravel())
    for unused in axes[len(titles) :]:
        unused.set_axis_off()
    for axis, title in zip(axes, titles, strict=False):
        dress(axis, palette)
        axis.set_title(title, fontsize=8.5, loc="left", color=palette["text"])
    return figure, axes[: len(titles)]


def dress(axis: Any, palette: Palette) -> None:
    """Lines and letters of an axis in the colours of a palette, without a box around."""
    for side, spine in axis.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(palette["muted"])
    axis.tick_params(which="both", color=palette["muted"], labelcolor=palette["text"], labelsize=8.5)
    for label in (axis.xaxis.label, axis.yaxis.label):
        label.set_color(palette["text"])


def entitled(figure: Any, title: str, palette: Palette) -> Any:
    """The figure with its title in the upper left corner."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold", color=palette["text"])
    return figure


def thousands(value: float, _: int = 0) -> str:
    """12500 -> 12.5k, 2500000 -> 2.5M: a formatter of ticks."""
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= unit:
            return f"{value / (1e3 if sign == 'k' else unit):g}{sign}"
    return f"{value:g}"


def even_ticks(axes: Sequence[Any]) -> None:
    """A few plain numbers on axes that may be logarithmic and span less than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    for axis in axes:
        if axis.get_yscale() == "log":
            low, high = axis.get_ylim()
            if high / low < 100:
                axis.yaxis.set_major_locator(MaxNLocator(4) if high / low < 5 else LogLocator(subs=(1, 2, 5)))
                axis.yaxis.set_minor_locator(NullLocator())
            axis.yaxis.set_major_formatter(FuncFormatter(thousands))
            axis.yaxis.set_minor_formatter(NullFormatter())
        else:
            axis.locator_params(axis="y", nbins=5)


def wrapped(text: str, width: int) -> str:
    """Text in lines of about this many letters, broken at spaces, dots and underscores."""
    lines = [""]
    for part in re.findall(r"[^ ._=]+[ ._=]*|[ ._=]+", text):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip(" ") for line in lines)


def slug(text: str) -> str:
    """Letters, digits and hyphens only, for names of files and anchors."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", text).strip("-").lower()


def _style(**more: Any) -> AbstractContextManager[None]:
    from matplotlib import rc_context

    return rc_context(
        {
            "svg.fonttype": "none",  # text stays text
            "svg.hashsalt": "ganlab",  # ids are the same every time
            "text.parse_math": False,  # a label may hold a dollar sign
            "font.size": 9,
            "font.family": "sans-serif",
            "font.sans-serif": [_FONT],
            **more,
        }
    )
