"""Which measures notice which fault? Real images are spoiled more and more; a measure must get worse all the way.

    python experiments/metrics/ladder.py digits shapes photos mnist=PATH.npz --write

Three disjoint sets of real images: one plays the generated images and is spoiled, one is the reference, one is what
a generator would have trained on. Each level is measured on several draws; those at level 0 tell the noise.
"""

import argparse
import re
from collections.abc import Callable

import numpy as np
from page import write
from scipy.ndimage import gaussian_filter

from ganlab import device
from ganlab.cli.hydra import plan
from ganlab.data.sources import DATASETS
from ganlab.evaluation.features import FEATURES, RealImages
from ganlab.evaluation.protocols import Counts, Measures

IMAGES, DRAWS, SURE = 1000, 4, 3.0  # images of a side at most; draws; standard deviations that count as seen
LARGER_IS_BETTER = {"precision", "recall", "density", "coverage", "classifier_score", "modes", "copying_ratio"}
ONLY_COPIES = {"data_copying", "copying_ratio"}  # of other faults they say nothing, nor should they
NEITHER = {"kernel_distance_error", "decay_slope", "phase_variance"}  # describe, and no side is better

Spoil = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def checkerboard(images: np.ndarray, amplitude: float, _: np.random.Generator) -> np.ndarray:
    """Pixels up and down in turns, by so much of the range."""
    rows, columns = np.indices(images.shape[1:3])
    return images + 255 * amplitude * np.where((rows + columns) % 2, 1.0, -1.0)[None, :, :, None]


def blur(images: np.ndarray, sigma: float, _: np.random.Generator) -> np.ndarray:
    """A Gaussian of so many pixels."""
    return gaussian_filter(images, (0, sigma, sigma, 0)) if sigma else images


def noise(images: np.ndarray, deviation: float, random: np.random.Generator) -> np.ndarray:
    """White noise, by so much of the range."""
    return images + 255 * deviation * random.standard_normal(images.shape)


def repeats(images: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """All but a share of the images are replaced by repetitions of those that stay."""
    stay = max(2, round((1 - share) * len(images)))
    return images[np.concatenate([np.arange(stay), random.integers(0, stay, len(images) - stay)])]


FAULTS: dict[str, tuple[Spoil, tuple[float, ...]]] = {
    "checkerboard": (checkerboard, (0.0, 0.05, 0.1, 0.2, 0.4)),
    "blur": (blur, (0.0, 0.4, 0.6, 0.9, 1.4)),
    "noise": (noise, (0.0, 0.05, 0.1, 0.2, 0.4)),
    "repeats": (repeats, (0.0, 0.8, 0.95, 0.98, 0.99)),
}
MISSING = (0, 1, 2, 3, 5)  # classes that no image shows
COPIED = (0.0, 0.25, 0.5, 0.75, 1.0)  # share that are training images


def climb(dataset: str, settings: list[str]) -> dict[str, dict[str, np.ndarray]]:
    """Measure a data set at every level: {fault: {measure: [levels,draws]}}."""
    config = plan([f"dataset={dataset}", *settings], multirun=False).cells[0].config
    split = DATASETS[dataset](config.dataset)
    train, held_out = split.train, split.held_out
    random = np.random.default_rng(0)
    order = random.permutation(len(train.pixels))
    pool, known = np.array_split(order, 2)
    names = [*(["classifier"] if train.labels is not None else []), "random", "pca"]
    real = RealImages(train.pixels, held_out.pixels, train.labels, held_out.labels)
    seen = [FEATURES[name](real, say=print) for name in names]
    labels = None if train.labels is None else train.labels[known]
    reference = RealImages(train.pixels[known], held_out.pixels, labels, held_out.labels)
    count = min(
        IMAGES, round(0.45 * len(pool)), len(held_out.pixels)
    )  # so many are left when half the classes are gone
    measures = Measures("full", seen, reference, Counts(count, 5))

    def measure(make: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for draw in range(DRAWS):
            own = np.random.default_rng([1, draw])
            pixels = make(own.permutation(pool), own)
            pixels = np.clip(np.rint(pixels[:count]), 0, 255).astype(np.uint8)
            for name, value in measures([pixels]).values.items():
                found.setdefault(name, []).append(value)
        return found

    ladders: dict[str, list[dict[str, list[float]]]] = {}
    for fault, (spoil, levels) in FAULTS.items():
        ladders[fault] = [
            measure(lambda places, own, f=spoil, at=level: f(train.pixels[places[:count]].astype(float), at, own))
            for level in levels
        ]
    if train.labels is not None:
        owners = train.labels
        ladders["missing classes"] = [
            measure(lambda places, own, k=gone: train.pixels[places[owners[places] >= k]])
            for gone in MISSING
            if gone <= owners.max()
        ]
    ladders["copies"] = [
        measure(
            lambda places, own, share=share: train.pixels[
                np.concatenate([own.permutation(known)[: round(share * count)], places])[:count]
            ]
        )
        for share in COPIED
    ]
    return {
        fault: {name: np.array([level[name] for level in levels]) for name in levels[0]}
        for fault, levels in ladders.items()
    }


def judge(name: str, fault: str, values: np.ndarray, noise: float) -> str:
    """How a measure took a ladder [levels,draws]: monotone, blind, misled or not asked."""
    means = values.mean(axis=1)
    last = name.split("/")[-1]
    if last in ONLY_COPIES and fault != "copies":
        return "not asked"
    if last in LARGER_IS_BETTER or last == "data_copying":
        means = -means
    elif last.startswith(("checkerboard", "coherent", "high_frequency_bias")):
        means = np.abs(means)
    step = noise * np.sqrt(2 / values.shape[1])
    if abs(means[-1] - means[0]) <= SURE * step:
        return "blind"
    return "monotone" if (np.diff(means) >= -SURE * step).all() and means[-1] > means[0] else "misled"


def verdicts(found: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, str]]:
    """{measure: {fault: verdict}}; a measure's noise is its deviation over draws at level 0, pooled over ladders."""
    table: dict[str, dict[str, str]] = {}
    for fault, measures in found.items():
        for name, values in measures.items():
            if re.sub(r"_\d+$", "", name.split("/")[-1]) not in NEITHER:
                untouched = [other[name][0].var(ddof=1) for other in found.values()]
                table.setdefault(name, {})[fault] = judge(name, fault, values, float(np.sqrt(np.mean(untouched))))
    return table


def lines(dataset: str, found: dict[str, dict[str, np.ndarray]]) -> list[str]:
    """A Markdown table of verdicts."""
    table = verdicts(found)
    faults = list(found)
    marks = {"monotone": "yes", "blind": "-", "misled": "**misled**", "not asked": ""}
    rows = [f"| `{name.removeprefix('full/')}` | " + " | ".join(marks[row[fault]] for fault in faults) + " |"
            for name, row in table.items()]  # fmt: skip
    return [
        f"**{dataset}**",
        "",
        "| measure | " + " | ".join(faults) + " |",
        "|---|" + "---|" * len(faults),
        *rows,
    ]


def main() -> None:
    """Climb the ladders of the data sets that are named, print the verdicts, and write them where asked to."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("datasets", nargs="+", metavar="NAME[=PATH]", help="digits, shapes, photos, mnist=FILE.npz")
    parser.add_argument("--write", action="store_true", help="put the tables into README.md")
    chosen = parser.parse_args()
    device.start("float32")
    for each in chosen.datasets:
        name, _, path = each.partition("=")
        settings = [f"dataset.path={path}"] if path else []
        if name in ("shapes", "photos"):
            settings += ["dataset.size=32"]
        told = lines(name, climb(name, settings))
        print("\n".join(told), flush=True)
        if chosen.write:
            write(f"ladder {name}", told)


if __name__ == "__main__":
    main()
