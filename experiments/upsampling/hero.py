"""The README's first picture, from reports that stand here: real images, what two arms draw, and every pair's score.

python experiments/upsampling/hero.py upsample cifar10="at one rate" retuned_cifar10="each at its best rate"
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
from ganlab.report.drawing import THEMES, Drawing, Palette, even_ticks, new_figure, styles_of
from ganlab.runs import grids

HERE = Path(__file__).parent
ROWS = 5  # of the eight rows and columns of a grid: large enough to see grain


def hero(reports: dict[str, Path], label: str, real: bytes) -> Drawing:
    """Real images, the reference and one arm side by side, and the primary metric of each pair of each study.

    reports: folders that `ganlab.compare` wrote, by what their study is called, all with the same primary metric; the
    pictures are those of the last. real: a grid of held-out images, PNG.
    """
    studies = {name: pairs(report, label) for name, report in reports.items()}
    *_, (report, (reference, _, endpoint)) = zip(reports.values(), studies.values(), strict=True)
    labels = [arm["arm"] for arm in json.loads((report / "verdict.json").read_text())["arms"]]
    styles = styles_of([reference, label])
    pictures = {"real images": real}
    for arm in (reference, label):
        pictures[arm] = (report / "figures" / f"samples-{labels.index(arm) + 1}.png").read_bytes()
    metric = endpoint["metric"].rpartition("/")[2].replace("frechet_", "Fréchet ").replace("_", " ")
    title = f"{metric}, {endpoint['better']} is better"
    sentences = [
        f"{name[:1].upper()}{name[1:]}, {said(verdict(each, label), reference, metric)}"
        for name, (_, _, each) in studies.items()
    ]

    def draw(palette: Palette) -> Any:
        figure = new_figure(3.9, width=9.6 + 1.6 * len(studies))
        grids_and_pairs = figure.subfigures(1, 2, width_ratios=(8, 1 + 1.6 * len(studies)))
        for axis, (name, png) in zip(grids_and_pairs[0].subplots(1, 3), pictures.items(), strict=True):
            drawn = Image.open(BytesIO(png))
            axis.imshow(drawn.crop((0, 0, drawn.width * ROWS // 8, drawn.width * ROWS // 8)), cmap="gray",
                        interpolation="nearest")  # fmt: skip
            axis.set_axis_off()
            color = palette[styles[name].role if name in styles else "text"]
            axis.set_title(name, loc="center", fontsize=12, color=color)
        axes = grids_and_pairs[1].subplots(1, len(studies), sharey=True, squeeze=False)[0]
        for axis, (name, (_, values, _)) in zip(axes, studies.items(), strict=True):
            for theirs, ours in values:
                axis.plot([0, 1], [theirs, ours], color=palette["muted"], linewidth=0.8, zorder=1)
            for place, arm in enumerate((reference, label)):
                axis.plot([place] * len(values), [pair[place] for pair in values], styles[arm].marker,
                          color=palette[styles[arm].role], markersize=6, zorder=2)  # fmt: skip
            axis.set_xlim(-0.4, 1.4)
            axis.set_xticks([0, 1], [reference, label], fontsize=9.5)
            axis.set_title(name, loc="center", fontsize=10.5)
        if endpoint["unit"] == "ratio":
            axes[0].set_yscale("log")
        even_ticks([axes[0]])
        grids_and_pairs[1].suptitle(title, fontsize=11, fontweight="normal")
        grids_and_pairs[1].supxlabel("a line for each pair of runs", fontsize=9)
        figure.supxlabel("\n".join(line for each in sentences for line in textwrap.wrap(each, 170)), fontsize=10.5)
        return figure

    return Drawing("hero", " ".join(sentences), draw)


def pairs(report: Path, label: str) -> tuple[str, list[tuple[float, float]], dict[str, Any]]:
    """A study's reference, the primary metric of each pair of the reference and the arm, and the primary endpoint."""
    study = json.loads((report / "verdict.json").read_text())
    reference, endpoint = study["reference"], study["endpoints"][0]
    rows = list(csv.DictReader((report / "scores.csv").read_text().splitlines()))
    theirs, ours = (
        {row["seed"]: float(row[endpoint["metric"]]) for row in rows if row["arm"] == arm and row[endpoint["metric"]]}
        for arm in (reference, label)
    )
    return reference, [(theirs[seed], ours[seed]) for seed in theirs if seed in ours], endpoint


def verdict(endpoint: dict[str, Any], label: str) -> dict[str, Any]:
    """That of one arm."""
    return next(each for each in endpoint["verdicts"] if each["arm"] == label)


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
    label, *studies = sys.argv[1:]
    reports = {name: HERE / folder for folder, name in (study.split("=", 1) for study in studies)}
    *_, last = reports.values()
    drawing = hero(reports, label, real_images(last, f"upsampling_{last.name}"))
    for theme in THEMES:
        (HERE / f"hero-{theme}.png").write_bytes(drawing.png(theme, dpi=110))


if __name__ == "__main__":
    main()
