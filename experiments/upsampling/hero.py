"""The README's first picture, from a report that stands here: real images, what two arms draw, and every pair's score.

python experiments/upsampling/hero.py cifar10 upsample
"""

import csv
import json
import sys
import textwrap
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from ganlab.cli.hydra import plan
from ganlab.data.sources import DATASETS
from ganlab.report.drawing import THEMES, Drawing, Palette, even_ticks, new_figure, style_axis, styles_of
from ganlab.runs import grids

HERE = Path(__file__).parent
ROWS = 5  # of the eight rows and columns of a grid: large enough to see grain


def hero(report: Path, label: str, real: bytes) -> Drawing:
    """Real images, the reference and one arm side by side, the primary metric of each pair, and a sentence.

    report: a folder that `ganlab.compare` wrote. real: a grid of held-out images, PNG.
    """
    study = json.loads((report / "verdict.json").read_text())
    labels, reference, endpoint = [arm["arm"] for arm in study["arms"]], study["reference"], study["endpoints"][0]
    (verdict,) = [each for each in endpoint["verdicts"] if each["arm"] == label]
    styles = styles_of(labels)
    pictures = {"real images": real}
    for arm in (reference, label):
        pictures[arm] = (report / "figures" / f"samples-{labels.index(arm) + 1}.png").read_bytes()
    rows = list(csv.DictReader((report / "scores.csv").read_text().splitlines()))
    theirs, ours = (
        {row["seed"]: float(row[endpoint["metric"]]) for row in rows if row["arm"] == arm and row[endpoint["metric"]]}
        for arm in (reference, label)
    )
    seeds = [seed for seed in theirs if seed in ours]
    metric = endpoint["metric"].rpartition("/")[2].replace("frechet_", "Fréchet ").replace("_", " ")
    sentence = said(verdict, reference, metric)

    def draw(palette: Palette) -> Any:
        figure = new_figure(3.9, width=11)
        axes = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.05))
        for axis, (title, png) in zip(axes, pictures.items(), strict=False):
            drawn = Image.open(BytesIO(png))
            axis.imshow(drawn.crop((0, 0, drawn.width * ROWS // 8, drawn.width * ROWS // 8)), cmap="gray",
                        interpolation="nearest")  # fmt: skip
            axis.set_axis_off()
            color = palette[styles[title].role] if title in styles else palette["text"]
            axis.set_title(title, fontsize=12, color=color)
        last = axes[-1]
        style_axis(last, palette)
        for seed in seeds:
            last.plot([0, 1], [theirs[seed], ours[seed]], color=palette["muted"], linewidth=0.8, zorder=1)
        for place, arm, values in ((0, reference, theirs), (1, label, ours)):
            style = styles[arm]
            last.plot([place] * len(seeds), [values[seed] for seed in seeds], style.marker, color=palette[style.role],
                      markersize=6, zorder=2)  # fmt: skip
        if endpoint["unit"] == "ratio":
            last.set_yscale("log")
        even_ticks([last])
        last.set_xlim(-0.3, 1.3)
        last.set_xticks([0, 1], [reference, label], fontsize=11)
        last.set_title(f"{metric}, {endpoint['better']} is better", fontsize=11, color=palette["text"])
        last.set_xlabel(f"one line for each of {len(seeds)} pairs of runs", fontsize=9)
        lines = [line for text in (study["question"] or "", sentence) for line in textwrap.wrap(text, 140)]
        figure.supxlabel("\n".join(lines), fontsize=11, color=palette["text"])
        return figure

    return Drawing("hero", sentence, draw)


def said(verdict: dict[str, Any], reference: str, metric: str) -> str:
    """The verdict in plain words, of a metric that is compared by ratios."""

    def changed(value: float) -> str:
        return f"{abs(100 * (value - 1)):.0f} % {'lower' if value < 1 else 'higher'}"

    words = {"better": "better than", "worse": "worse than", "equivalent": "equivalent to"}
    claim = f"{verdict['arm']} is {words[verdict['verdict']]} {reference}" if verdict["verdict"] in words else (
        f"{verdict['arm']} against {reference} is inconclusive")  # fmt: skip
    mean, low, high = (changed(verdict[each]) for each in ("estimate", "low", "high"))
    interval = f"{low} to {high}"
    if low[-5:] == high[-5:]:  # both lower, or both higher: the smaller change first
        near, far = sorted((low, high), key=lambda text: float(text.split()[0]))
        interval = f"{near.rpartition(' ')[0]} to {far}"
    return f"{claim}: its {metric} is {mean} (95 % interval: {interval}), over {verdict['pairs']} pairs of runs."


def real_images(report: Path, experiment: str) -> bytes:
    """The grid that the report has, or one of the same images from the settings of the experiment."""
    kept = report / "figures" / "samples-real.png"
    if kept.exists():
        return kept.read_bytes()
    dataset = plan([f"experiment={experiment}"], multirun=False).cells[0].config.dataset
    held_out = DATASETS[dataset.name](dataset).held_out.pixels
    return grids.png(grids.grid(grids.some_of(held_out, 64)))


def main() -> None:
    """Write hero-light.png and hero-dark.png beside this file."""
    name, label = sys.argv[1:]
    drawing = hero(HERE / name, label, real_images(HERE / name, f"upsampling_{name}"))
    for theme in THEMES:
        (HERE / f"hero-{theme}.png").write_bytes(drawing.png(theme, dpi=110))


if __name__ == "__main__":
    main()
