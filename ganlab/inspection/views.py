"""What to show of a generator, as numbers and words; and how it is shown, in the terminal and as a picture."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ganlab.config import RunConfig, pair
from ganlab.data.batches import to_pixels
from ganlab.evaluation.spectrum import lattice_fraction, power_spectrum, radial_profile
from ganlab.inspection import DRAWS, IMAGES
from ganlab.nets import analysis
from ganlab.report.drawing import styles_of
from ganlab.run.build import build_gan
from ganlab.run.sampler import Sampler
from ganlab.runs import grids
from ganlab.runs.console import Console

_CHANNELS = 32
_TWO_BY_TWO = np.array([[1.0, 2.0], [3.0, 4.0]])
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class View:
    """One generator, ready to be shown.

    moment: "before training" or after how many steps. about: seed and sizes in a few words. layers: the layer table,
    header first. notes: the meaning of its columns. facts: what arms are compared by, name -> text. single, ones: what
    the operator does to [[1,2],[3,4]]. overlap: taps by output pixel of a larger image, with `scale` pixels for each
    input pixel. variance: by phase, with its std over draws or None. lattice: the fraction in words.
    pixels: uint8 [N,H,W,C]. power and profile: of the images, None if they have no spectrum; `no_spectrum` says why.
    """

    arm: str  # followed by its settings, with spaces in between
    moment: str
    about: str
    layers: list[list[str]]
    notes: list[str]
    facts: dict[str, str]
    scale: tuple[int, int]
    single: np.ndarray
    ones: np.ndarray
    overlap: np.ndarray
    variance: np.ndarray
    std: np.ndarray | None
    lattice: str
    pixels: np.ndarray
    power: np.ndarray | None
    profile: np.ndarray | None
    no_spectrum: str = ""


def short(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def even(value: float) -> str:
    """Three decimals, so that numbers align, unless they are too small."""
    return f"{value:.2g}" if 0 < abs(value) < 5e-4 else f"{value:.3f}"


def stacked(arm: str) -> str:
    """An arm's name and its settings, one per line."""
    return arm.replace(" ", "\n")


def times(size: tuple[int, ...]) -> str:
    """A size such as 8×8×1."""
    return "×".join(map(str, size))


def log10(power: np.ndarray) -> np.ndarray:
    """log10, with nan where the power is 0."""
    return np.log10(power, out=np.full(power.shape, np.nan), where=power > 0)


# --- making a view --------------------------------------------------------------------------------------------------


def side(configs: list[RunConfig]) -> int:
    """Input pixels across the overlap map: odd, the same for all arms, enough for pixels away from the border."""
    operators = [analysis.operator(config.generator, 1, 1, scale=_scale(config)) for config in configs]
    return max(5, *(2 * analysis.reach(layer) + 1 for layer in operators))


def _place(config: RunConfig) -> int:
    """The last stage with the operator under study: the fewest others follow to cover its artifacts."""
    operators = config.generator.operators
    return max(
        (n for n, operator in enumerate(operators) if operator is config.generator.upsampling),
        default=len(operators) - 1,
    )


def _scale(config: RunConfig) -> tuple[int, int]:
    """The scale of that stage."""
    return pair(config.generator.stages[_place(config)].scale)


def before_training(config: RunConfig, side: int) -> View:
    """A view of the generator that a run would start with; `side`: input pixels across the overlap map."""
    operators = (
        analysis.operator(config.generator, _CHANNELS, _CHANNELS, scale=_scale(config), seed=seed)
        for seed in range(DRAWS)
    )
    draws = [analysis.phases(operator) for operator in operators]
    return _view(config, build_gan(config).generator, "before training", side, draws)


def trained(config: RunConfig, sampler: Sampler, step: int) -> View:
    """A view of a run's averaged generator, opened from a checkpoint of this step."""
    own = analysis.phases(analysis.stages_of(sampler.generator)[_place(config)])
    return _view(config, sampler.generator, f"averaged generator after {step} steps", side([config]), [own])


def _view(config: RunConfig, generator: Any, moment: str, side: int, phases: list[analysis.Phases]) -> View:
    """What both kinds of view have in common: layers, operator, images; phases: of one kernel, or of many draws."""
    settings, scale, name = config.generator, _scale(config), f"stage{_place(config) + 1}"
    fractions, variances = [lattice_fraction(each.sums, scale) for each in phases], [each.variance for each in phases]
    variance, std = np.mean(variances, axis=0), np.std(variances, axis=0) if len(phases) > 1 else None
    mean, spread = _fraction(np.mean(fractions)), _fraction(np.std(fractions))
    fraction = mean if spread == "0" else f"{mean} ± {spread}"
    of_what = f"of {name} {fraction}" if std is None else f"{fraction} over {DRAWS} draws"
    z = Sampler(generator, config).latents("latents/inspect", IMAGES)
    images = generator(z, training=False).numpy()
    power = profile = None
    no_spectrum = ""
    try:
        power = power_spectrum(images)
        profile = radial_profile(power)
    except ValueError as error:
        no_spectrum = f"No spectrum: {error}"
    operator = analysis.operator(settings, 1, 1, scale=scale)
    overlap = operator.overlap(side)
    inside = analysis.inside(overlap, scale)
    single = np.full((2 * scale[0], 2 * scale[1]), np.nan)
    if operator.with_single_one():  # weights that change nothing: what remains is how it enlarges
        single = analysis.enlarge(operator, _TWO_BY_TWO)
    operator.with_all_ones()
    parts = analysis.parts(generator, z)
    stage = next(part for part in parts if part.name == name)
    executed, written = (sum(getattr(part, name) for part in parts) for name in ("executed", "written"))
    facts = {
        "parameters": f"{generator.count_params():,}",
        "MACs as written": f"{written:,}",
        "MACs as executed": f"{executed:,}",
        "its layers": stage.kind,
        "its kernel": stage.kernel,
        "base map pixels an image pixel sees": times(parts[-1].sees),
        "taps that reach a pixel, inside": _range(inside),
        "variance, largest / smallest phase": _ratio(variance),
        "lattice fraction": fraction,
        "std of the images": f"{parts[-1].std:.3f}",
    }
    height, width = pair(config.dataset.size)
    return View(
        arm=settings.name,
        moment=moment,
        about=f"{times((height, width, config.dataset.channels))} images from {settings.latent_size} numbers"
        f"{f' and {config.classes} classes' if config.classes else ''}, seed {config.seed}",
        layers=_layers(generator, parts),
        notes=_notes(generator, settings, std is not None),
        facts=facts,
        scale=scale,
        single=single,
        ones=analysis.enlarge(operator, _TWO_BY_TWO),
        overlap=overlap,
        variance=variance,
        std=std,
        lattice=f"lattice fraction {of_what}",
        pixels=to_pixels(images),
        power=power,
        profile=profile,
        no_spectrum=no_spectrum,
    )


def _layers(generator: Any, parts: list[Any]) -> list[list[str]]:
    """The layer table as texts, header first and total last."""
    fractions = {}
    for stage in analysis.stages_of(generator):
        sums = analysis.phases(stage).sums
        fractions[stage.name] = _fraction(lattice_fraction(sums, (sums.shape[0], sums.shape[1])))
    amounts = np.array([(part.parameters, part.written, part.executed) for part in parts])
    total = amounts.sum(axis=0)
    header = "layer what output kernel parameters MACs_written executed share sees std lattice"
    rows = [[name.replace("_", " ") for name in header.split()]]
    for part, counts in zip(parts, amounts, strict=True):
        texts = [f"{count:,}" if count else "" for count in counts]
        share = f"{part.executed / total[2]:.1%}" if part.executed else ""
        sees = times(part.sees) if part.sees else ""
        std, fraction = f"{part.std:.3f}", fractions.get(part.name, "")
        rows.append([part.name, part.kind, times(part.shape), part.kernel, *texts, share, sees, std, fraction])
    return [*rows, ["all", "", "", "", *(f"{count:,}" for count in total), "100.0%", "", "", ""]]


def _notes(generator: Any, settings: Any, drawn: bool) -> list[str]:
    notes = [
        *dict.fromkeys(note for stage in analysis.stages_of(generator) if (note := stage.explained)),
        "MACs: multiply-accumulates for one image. share: of those executed. sees: pixels of the base map, vertical × "
        "horizontal, that one output pixel is computed from, worked out from kernels and scales; at the border fewer.",
        f"std: of all outputs over {IMAGES} latents. lattice: how much of a flat image's answer is checkerboard "
        "and not its mean; independent weights give 0.75 at scale 2. "
        "phase: a pixel's place among those that stand for one input pixel.",
    ]
    if settings.upsampling.name == "carafe":
        notes.append("The weights of carafe follow the image: variance and lattice fraction are measured, with white "
                     "noise and flat images; the others are worked out from the kernel.")  # fmt: skip
    if drawn:
        notes.append(
            f"Variance by phase: white noise of variance 1 goes in, {_CHANNELS} channels to {_CHANNELS}; mean and "
            f"standard deviation over {DRAWS} draws of the kernel, gain 1."
        )
    return notes


def _range(values: Any) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low}" if low == high else f"{low} to {high}"


def _ratio(variance: Any) -> str:
    """The largest phase over the smallest; `gaps` if some phase gets nothing."""
    return f"{variance.max() / variance.min():.2f}" if variance.min() > 0 else "gaps"


def _fraction(value: Any) -> str:
    return f"{value:.3f}" if value > 1e-6 else "0"


# --- in the terminal ------------------------------------------------------------------------------------------------


def show(views: Sequence[View]) -> None:
    """Print what views are compared by, as many side by side as fit the terminal's width; of one also its layers."""
    console = Console(highlight=False, soft_wrap=False)
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
    rows = [_compared(view, line) for view, line in zip(views, bars, strict=True)]
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


def _compared(view: View, bars: str) -> list[tuple[str, str]]:
    return [
        *view.facts.items(),
        ("[[1,2],[3,4]] through a single 1", _matrix(view.single)),
        ("[[1,2],[3,4]] through all ones", _matrix(view.ones)),
        ("taps that reach a pixel, by phase", _matrix(analysis.inside(view.overlap, view.scale))),
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


# --- as a picture -----------------------------------------------------------------------------------------------------

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
