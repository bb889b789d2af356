"""Figures that are drawn once and shown in light and dark, and the colour and marker of each arm, the same in all.

A drawing is a function of a palette, which names colours by their role. For SVG the palette holds placeholders, which
become CSS variables inside a page and plain colours in a file; for PNG it holds the colours themselves. The state of
pyplot is not used.
"""

import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any, NamedTuple

WIDTH = 4.0  # inches: text stays legible on a phone


class Style(NamedTuple):
    """role: the name of its colour in the palettes of figures. light, dark: the colour on white and on dark ground."""

    role: str
    light: str
    dark: str
    marker: str


# Each colour has a contrast of 3:1 or more with its ground, and differs from all others also for colour-blind readers:
# by 5 or more in OKLab times 100, where 2 is just noticeable (the test has the arithmetic).
ARMS = {
    "transpose": Style("arm-1", "#0072b2", "#56b4e9", "o"),
    "upsample": Style("arm-2", "#d55e00", "#ff9a4d", "s"),
    "upsample_bilinear": Style("arm-3", "#6d9e6a", "#9efdcd", "D"),
    "transpose_k3": Style("arm-4", "#6d2f91", "#816dfc", "^"),
    "pixel_shuffle": Style("arm-5", "#7c5b08", "#fed910", "P"),
    "transpose_k6": Style("arm-6", "#3a3bd8", "#585dbb", "<"),
    "transpose_resize_init": Style("arm-7", "#520c3f", "#975673", ">"),
    "transpose_k5": Style("arm-8", "#0d9bd4", "#1fe1f5", "v"),
    "fir": Style("arm-9", "#843f48", "#d57565", "h"),
    "carafe": Style("arm-10", "#787077", "#b3b1a6", "p"),
    "pixel_shuffle_icnr": Style("arm-11", "#274503", "#627312", "X"),
}
SPARE = Style("arm-12", "#741e5e", "#aa73b1", "*")
STYLES = (*ARMS.values(), SPARE)


def styles_of(labels: Iterable[str]) -> dict[str, Style]:
    """The style of each arm of a study, by label.

    An arm of conf/generator always has its own style; of several arms with its name (`upsample kernel_size=5`) the
    first has it. The others get unused styles, in order. Up to twelve arms differ in colour, up to 144 in colour or
    marker.
    """
    names = list(dict.fromkeys(labels))
    styles: dict[str, Style] = {}
    for name_of in (str, lambda label: label.partition(" ")[0]):
        for label in names:
            style = ARMS.get(name_of(label))
            if style and label not in styles and style not in styles.values():
                styles[label] = style
    unused = [style for style in STYLES[::-1] if style not in styles.values()]
    reused = (
        style._replace(marker=STYLES[(place + 5 * turn) % len(STYLES)].marker)
        for turn in range(1, len(STYLES))
        for place, style in enumerate(STYLES)
    )
    for label in names:
        if label not in styles:
            styles[label] = unused.pop(0) if unused else next(reused, SPARE)
    return {label: styles[label] for label in names}


Palette = Mapping[str, Any]

LIGHT = {
    "ground": "#ffffff", "text": "#1b1f24", "muted": "#5b636d", "faint": "#d5d9de", "band": "#e3e9f0",
    **{style.role: style.light for style in STYLES},
}  # fmt: skip
DARK = {
    "ground": "#14181d", "text": "#e8ebee", "muted": "#a3abb5", "faint": "#3a424c", "band": "#27313d",
    **{style.role: style.dark for style in STYLES},
}  # fmt: skip
THEMES = {"light": LIGHT, "dark": DARK}
_PLACEHOLDERS = {role: f"#01ab{place:02x}" for place, role in enumerate(LIGHT)}
_FONT = "DejaVu Sans"  # comes with matplotlib, and is wider than most: the reader's font needs no more room


@dataclass(frozen=True)
class Drawing:
    """A figure and its message.

    name: of its files, letters, digits and hyphens. message: one sentence, the text in place of the picture.
    draw: the matplotlib figure in the colours of a palette.
    """

    name: str
    message: str
    draw: Callable[[Palette], Any]

    def inline(self) -> str:
        """SVG to embed in a page: colours are `var(--role)`, every id begins with the figure's name."""
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
        """The picture in pixels, for viewers that do not show SVG."""
        file = io.BytesIO()
        ground = THEMES[theme]["ground"]
        with _style(THEMES[theme]):
            figure = self.draw(THEMES[theme])
            figure.savefig(file, format="png", dpi=dpi, facecolor=ground, metadata={"Software": None})
        return file.getvalue()

    @cached_property
    def _drawn(self) -> str:
        """SVG with placeholders for colours and a title, without the metadata of matplotlib."""
        file = io.StringIO()
        with _style(_PLACEHOLDERS):
            self.draw(_PLACEHOLDERS).savefig(file, format="svg", transparent=True, metadata={"Date": None})
        svg = file.getvalue()
        svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
        head, _, body = svg.partition(">")
        size = " ".join(re.findall(r'(?:width|height|viewBox)="[^"]*"', head))
        body = body.replace(f"'{_FONT}', sans-serif", "sans-serif")  # the reader's font
        used_ids = set(re.findall(r'(?:href="|url\()#([^")]+)', body))
        body = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used_ids else "", body)
        body = re.sub(r"\n\s*", "\n", body)
        return f"<svg {size}>\n<title>{escape(self.message)}</title>{body}"


def new_figure(height: float, width: float = WIDTH) -> Any:
    """An empty figure, in inches."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.03, hspace=0.04)
    return Figure(figsize=(width, height), layout=engine)


def new_panels(titles: Sequence[str], columns: int, height: float, **share: bool) -> tuple[Any, list[Any]]:
    """A figure with a panel for each title, at most `columns` side by side. height: of one panel, in inches."""
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    titles = [wrap(title, 42 // columns) for title in titles]
    lines = max(1 + title.count("\n") for title in titles)
    figure = new_figure(0.5 + (height + 0.14 * (lines - 1)) * rows * (1.25 if rows == 1 else 1))
    axes = list(figure.subplots(rows, columns, squeeze=False, **share).ravel())
    for unused, above in zip(axes[len(titles) :], axes[len(titles) - columns :], strict=False):
        unused.set_axis_off()
        above.tick_params(labelbottom=True)  # where panels share an axis, only the last row has its numbers
    for axis, title in zip(axes, titles, strict=False):
        axis.set_title(title)
    return figure, axes[: len(titles)]


def add_title(figure: Any, title: str) -> Any:
    """The figure with its title in the upper left corner."""
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def thousands(value: float, _: int = 0) -> str:
    """12500 -> 12.5k, 2500000 -> 2.5M: a formatter of ticks."""
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= unit:
            return f"{value / (1e3 if sign == 'k' else unit):g}{sign}"
    return f"{value:g}"


def even_ticks(axes: Sequence[Any], which: str = "y") -> None:
    """Set a few plain numbers as ticks, over the whole range that is drawn; which: x or y, linear or logarithmic."""
    from matplotlib.ticker import NullLocator

    for axis in axes:
        axis.autoscale_view()  # otherwise the limits wait for the drawing
        along = axis.xaxis if which == "x" else axis.yaxis
        low, high = along.get_view_interval()
        along.set_ticks(ticks_within(low, high, along.get_scale() == "log"))
        along.set_minor_locator(NullLocator())
        along.set_major_formatter(thousands)


def ticks_within(low: float, high: float, log: bool = False) -> list[float]:
    """Round numbers from low to high: three to six where there are as many, evenly spaced to the eye."""
    from matplotlib.ticker import MaxNLocator

    if log:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for subs in _SUBS:
            ticks = [tick for tick in (sub * 10.0**power for power in decades for sub in subs) if low <= tick <= high]
            if len(ticks) > 6 and subs == _SUBS[0]:
                return ticks[:: -(-len(ticks) // 6)]
            if 3 <= len(ticks) <= 6:
                return ticks
    ticks = []
    for bins in (4, 5, 6, 8):
        ticks = [float(tick) for tick in MaxNLocator(bins).tick_values(low, high) if low <= tick <= high]
        if len(ticks) >= 3:
            break
    return ticks


_SUBS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7))  # of a decade, from coarse to fine


def wrap(text: str, width: int) -> str:
    """Text in lines of about this many letters, broken at spaces, dots and underscores, and within longer words."""
    lines = [""]
    for part in re.findall(rf"[^ ._=]{{1,{width}}}[ ._=]*|[ ._=]+", text):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip(" ") for line in lines)


def slug(text: str) -> str:
    """Letters, digits and hyphens only, for names of files and anchors."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", text).strip("-").lower()


def _style(palette: Palette) -> AbstractContextManager[None]:
    """Lines and text in the colours of a palette, without a box around the axes."""
    from matplotlib import rc_context

    text, muted = palette["text"], palette["muted"]
    ticks = {f"{which}tick": {"color": muted, "labelcolor": text, "labelsize": 8.5} for which in "xy"}
    groups = {
        "svg": {"fonttype": "none", "hashsalt": "ganlab"},  # text stays text; ids are the same every time
        "text": {"parse_math": False, "color": text},  # a label may hold a dollar sign
        "font": {"size": 9, "family": "sans-serif", "sans-serif": [_FONT]},
        "figure": {"titlesize": 9, "titleweight": "bold", "labelsize": 8.5},
        "axes": {"facecolor": palette["ground"], "edgecolor": muted, "labelcolor": text, "labelsize": 8.5,
                 "titlesize": 8.5, "titlelocation": "left", "spines.top": False, "spines.right": False},
        **ticks,
    }  # fmt: skip
    return rc_context({f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()})
