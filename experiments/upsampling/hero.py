"""The README's first picture, from a finished study: what both arms draw, their spectra, and the verdict.

python experiments/upsampling/hero.py outputs/upsampling_shapes upsample
"""

import io
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganlab.reporting.judge import judge
from ganlab.reporting.pages.drawing import THEMES, Drawing, Palette, colour, dress, marker, new_figure
from ganlab.reporting.pages.samples import Samples, last_grids, ratios
from ganlab.reporting.study import Study
from ganlab.reporting.words import leading

HERE = Path(__file__).parent
SHOWN = ("--", "-")  # how the reference and the other arm are drawn
ROWS = 5  # of the eight rows and columns of a grid: large enough to see grain


def hero(study: Study, label: str, samples: Samples) -> Drawing:
    """The reference and one arm side by side, the power of their images over that of real ones, and a sentence."""
    (judgement,) = [each for each in study.judgements[leading(study)[0].metric] if each.arm == label]
    places = [place for place, arm in enumerate(study.arms) if arm.label in (study.reference.label, label)]
    places.sort(key=lambda place: study.arms[place].label == label)  # the reference first
    grids = {grid.place: grid for grid in samples.grids}

    def draw(palette: Palette) -> Any:
        figure = new_figure(3.9, width=10)
        axes = figure.subplots(1, 3, width_ratios=(1, 1, 1.25))
        for axis, place in zip(axes, places, strict=False):
            drawn = Image.open(io.BytesIO(grids[place].png))
            corner = drawn.crop((0, 0, drawn.width * ROWS // 8, drawn.width * ROWS // 8))
            axis.imshow(corner, cmap="gray", interpolation="nearest")
            axis.set_axis_off()
            axis.set_title(study.arms[place].label, fontsize=12, color=palette["text"])
        last = axes[-1]
        dress(last, palette)
        last.axhline(0, color=palette["text"], linestyle=":", linewidth=1)
        for place, line in zip(places, SHOWN, strict=True):
            values = ratios(study.arms[place])
            cycles = np.arange(1, values.shape[1] + 1) / (2 * values.shape[1])
            last.fill_between(cycles, values.min(axis=0), values.max(axis=0), color=colour(palette, place), alpha=0.2,
                              linewidth=0)  # fmt: skip
            last.plot(cycles, np.median(values, axis=0), line, color=colour(palette, place), marker=marker(place),
                      markersize=4, label=study.arms[place].label)  # fmt: skip
        last.set_title("power, generated over real (log10)", fontsize=12, color=palette["text"])
        last.set_xlabel("cycles a pixel (0.5: every other pixel)", color=palette["text"])
        last.legend(frameon=False, labelcolor=palette["text"])
        said = [study.plan.question or "", f"{judgement.endpoint.metric}: {judgement.sentence}"]
        lines = [line for text in said for line in textwrap.wrap(text, 125, break_on_hyphens=False)]
        figure.supxlabel("\n".join(lines), fontsize=10.5, color=palette["text"])
        return figure

    return Drawing("hero", judgement.sentence, draw)


def main() -> None:
    """Write hero-light.png and hero-dark.png beside this file."""
    study, label = judge(Path(sys.argv[1])), sys.argv[2]
    samples = last_grids(study)
    assert samples is not None, "no two arms left grids of one seed"
    drawing = hero(study, label, samples)
    for theme in THEMES:
        (HERE / f"hero-{theme}.png").write_bytes(drawing.png(theme, dpi=110))
    print(drawing.message)


if __name__ == "__main__":
    main()
