"""What the arms draw: the last grids of one seed, made from the same latents, and their spectra."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganlab.report.drawing import Drawing, Palette, entitled, even_ticks, new_panels
from ganlab.report.styles import styles_of
from ganlab.report.words import short_labels
from ganlab.runs import grids
from ganlab.runs.result import ResultError
from ganlab.study.arms import Arm
from ganlab.study.compare import Study

LARGEST = 1_500_000  # bytes of all pictures of a page together; base64 adds a third
_DECADES = 3  # of power; beyond them a spectrum is cut off
_BORDER = 6  # of the grids that a run leaves


REAL = "samples/real.png"  # held-out images, which a run leaves beside its own


@dataclass(frozen=True)
class Grid:
    """The picture of one arm, or of real images (place -1). rows: of images, how many are shown of how many in all."""

    place: int
    label: str
    step: int
    png: bytes
    width: int
    height: int
    rows: int
    whole: int


@dataclass(frozen=True)
class Samples:
    """The grids of the arms that left one, none if they are too large; of the lowest seed that all of them finished.

    real: held-out images, None where no run of that seed left any.
    """

    seed: int
    grids: tuple[Grid, ...]
    real: Grid | None = None

    @property
    def size(self) -> int:
        """Bytes of all pictures."""
        return sum(len(grid.png) for grid in (*self.grids, *([self.real] if self.real else [])))


def last_grids(study: Study) -> Samples | None:
    """The arms' last grids beside each other; None where fewer than two arms left any with one seed.

    Of pictures too large for a page the upper rows are kept; no pixel is changed. Grids of which not even one row fits
    are left out.
    """
    seed, paths = _of_one_seed(study, "samples/step-*.png")
    if not paths:
        return None
    left = [path.parents[1] / REAL for path in paths.values() if (path.parents[1] / REAL).is_file()]
    sizes = [arm.settings.get("dataset.size", 1) for arm in study.arms]
    size, *_ = [tuple(size) if isinstance(size, list) else (size, size) for size in sizes]
    for rows in (None, 4, 2, 1):
        found = Samples(
            seed,
            tuple(_grid(at, study.arms[at].label, path, size, rows) for at, path in paths.items()),
            _grid(-1, "real images", left[0], size, rows) if left else None,
        )
        if found.size <= LARGEST:
            return found
    return Samples(seed, ())


def left_spectra(study: Study, beside: Samples | None) -> Samples | None:
    """The spectrum that a run of each arm left, of one seed; None where too few left any.

    beside: the grids that stand on the same page. Where there is no room beside them, none is there.
    """
    seed, paths = _of_one_seed(study, "pictures/spectrum.png")
    if not paths:
        return None
    found = []
    for place, path in paths.items():
        try:
            with Image.open(path) as opened:
                opened.verify()
                found.append(Grid(place, study.arms[place].label, 0, path.read_bytes(), *opened.size, rows=1, whole=1))
        except (ValueError, OSError, SyntaxError) as error:  # SyntaxError: Pillow's of a damaged PNG
            raise ResultError(f"{path} is no picture ({error}); delete it, or measure the run again") from None
    spectra = Samples(seed, tuple(found))
    return spectra if spectra.size + (beside.size if beside else 0) <= LARGEST else Samples(seed, ())


def _of_one_seed(study: Study, pattern: str) -> tuple[int, dict[int, Path]]:
    """The lowest seed with which all arms that left such files finished, and the last of them by the arm's place."""
    left: dict[int, dict[int, Path]] = {}
    for place, arm in enumerate(study.arms):
        for seed, run in arm.runs.items():
            paths = sorted(run.path.parent.glob(pattern)) if run.status == "finished" and run.path else []
            if paths:
                left.setdefault(place, {})[seed] = paths[-1]
    common = set.intersection(*map(set, left.values())) if len(left) > 1 else set()
    if not common:
        return 0, {}
    seed = min(common)
    return seed, {place: paths[seed] for place, paths in left.items()}


def _grid(place: int, label: str, path: Path, size: tuple[int, int], most: int | None) -> Grid:
    try:
        step = 0 if place < 0 else int(path.stem.removeprefix("step-"))
        with Image.open(path) as opened:
            pixels = np.asarray(opened)
        whole = grids.rows_of(pixels, size)
        rows = min(most or whole, whole)
        height = (len(pixels) - _BORDER) * rows // whole + _BORDER
        pixels = pixels[:height]
        png = grids.png(pixels[..., None] if pixels.ndim == 2 else pixels)
    except (ValueError, OSError, SyntaxError) as error:
        raise ResultError(f"{path} is no grid of samples ({error}); delete it, or run it again") from None
    return Grid(place, label, step, png, pixels.shape[1], height, rows, whole)


def spectra(study: Study) -> Drawing | None:
    """Power of generated images over that of real ones by frequency, a panel for each arm; None without profiles.

    Of each finished run that left `profiles`, {"real": [R], "generated": [R]}: mean power by ring, r = 0 ... side/2.
    """
    found = {arm.label: each for arm in study.arms if (each := ratios(arm)).size}
    if len({each.shape[1] for each in found.values()}) != 1:
        return None
    short = short_labels(study)
    styles = styles_of(short)

    rings = next(iter(found.values())).shape[1]
    side = 2 * rings + _is_odd(study.arms)  # the shorter one
    cut = max(np.abs(each).max() for each in found.values()) > _DECADES

    def draw(palette: Palette) -> Any:
        names = [short[label] for label in found]
        figure, axes = new_panels(names, palette, columns=2, height=1.5, sharex=True, sharey=True)
        for axis, (label, values) in zip(axes, found.items(), strict=True):
            style = styles[label]
            color = palette[style.role]
            cycles = np.arange(1, values.shape[1] + 1) / side
            axis.axhline(0, color=palette["text"], linestyle=":", linewidth=1)
            if len(values) > 1:
                low, high = values.min(axis=0), values.max(axis=0)
                axis.fill_between(cycles, low, high, color=color, alpha=0.25, linewidth=0)
            axis.plot(cycles, np.median(values, axis=0), color=color, linewidth=1.5,
                      marker=style.marker, markersize=3.5, markevery=max(1, len(cycles) // 8))  # fmt: skip
        if cut:
            bottom, top = axes[0].get_ylim()
            axes[0].set_ylim(max(bottom, -_DECADES), min(top, _DECADES))  # of all panels, which share it
        even_ticks(axes)
        even_ticks(axes, "x")
        figure.supxlabel("cycles per pixel (0.5: every other pixel)", fontsize=8.5, color=palette["text"])
        figure.supylabel("log10 of generated power / real power", fontsize=8.5, color=palette["text"])
        return entitled(figure, "spectrum", palette)

    message = (
        "Power of generated images divided by that of real ones, by frequency: median of the seeds, with a band over "
        "all of them; dotted: equal power"
    )
    if cut:
        message += f"; the axis is cut off where power is more than {10**_DECADES} times too weak or too strong"
    return Drawing("spectrum-ratio", message, draw)


def _is_odd(arms: Sequence[Arm]) -> bool:
    """Whether the shorter side of the images has no Nyquist frequency."""
    size = arms[0].settings.get("dataset.size", 0)
    return min(size if isinstance(size, list) else [size]) % 2 == 1


def ratios(arm: Arm) -> np.ndarray:
    """log10 of power, generated over real, of each ring but the mean, [seeds, R - 1]; empty where no run left any."""
    found = []
    for run in arm.runs.values():
        if run.status == "finished" and run.profiles:
            real, generated = (np.asarray(run.profiles[side], float)[1:] for side in ("real", "generated"))
            if (real > 0).all() and (generated > 0).all():
                found.append(np.log10(generated / real))
    return np.array(found) if len({len(each) for each in found}) == 1 else np.empty(0)
