"""Is the mean of each measure over random splits of real images what the formula says?

    python experiments/metrics/nulls.py            prints the table
    python experiments/metrics/nulls.py --write    and puts it into README.md

scikit-learn's 1797 digits, pixels in [0, 1], cut at random 200 times: into halves of 898, and for copying into thirds
of 599. Splits share images, but given the images they are independent, so the standard error is that of a mean of
independent values, and the null is the mean over all splits of these very images:

- kernel and energy distance: the two within-set terms and the cross term are all averages over pairs of different
  images, and each pair is equally likely in each, so all have one mean and the distance has the mean 0, exactly.
- density and coverage: around an image the others stand in a fixed order, and which of them are real is a random
  choice without replacement: the exact nulls of continuous distributions, less what the strict border leaves out where
  distances tie. Whole-numbered pixels tie, so a noise of a thousandth of a grey level is added.
- copying: held-out and generated images are exchangeable, so U has the mean nm/2, and z what the continuity adds.
- Frechet distance: the difference of the halves' means has the variance of independent sets, exactly; the rest of the
  formula is of first order in 1/n.
"""

import argparse
from typing import NamedTuple

import numpy as np
from page import machine, table, write
from sklearn.datasets import load_digits

from ganlab.evaluation.metrics import (
    coverage_null,
    data_copying,
    energy_distance,
    frechet_distance,
    frechet_distance_extrapolated,
    frechet_distance_null,
    kernel_distance,
    precision_recall_density_coverage,
)

HALF, THIRD = 898, 599


class Calibration(NamedTuple):
    """What a measure should give on average, and what it gave: [splits]."""

    null: float
    seen: np.ndarray

    def error(self) -> float:
        """The standard error of the mean."""
        return self.seen.std(ddof=1) / len(self.seen) ** 0.5

    def off(self) -> float:
        """How many standard errors the mean is from the null."""
        return (self.seen.mean() - self.null) / self.error()


def calibrate(splits: int) -> dict[str, Calibration]:
    """Every measure that has a null, over so many random splits of the digits."""
    random = np.random.default_rng(0)
    pixels = load_digits().data / 16
    untied = pixels + 0.001 / 16 * random.normal(size=pixels.shape)
    centred = pixels - pixels.mean(axis=0)
    components = centred @ np.linalg.svd(centred, full_matrices=False)[2][:16].T
    nulls = {
        "Frechet distance": frechet_distance_null(pixels, HALF, HALF, gaussian=False),
        "Frechet distance, 16 components": frechet_distance_null(components, HALF, HALF, gaussian=False),
        "Frechet distance, extrapolated": 0.0,
        "kernel distance": 0.0,
        "energy distance": 0.0,
        "density": 1.0,
        "coverage": coverage_null(HALF, HALF),
        "copying, z": 0.5 / (THIRD**2 * (2 * THIRD + 1) / 12) ** 0.5,
    }
    seen: dict[str, list[float]] = {name: [] for name in nulls}
    for _ in range(splits):
        order = random.permutation(len(pixels))
        first, second = order[:HALF], order[HALF : 2 * HALF]
        quartet = precision_recall_density_coverage(untied[first], untied[second])
        values = (
            frechet_distance(pixels[first], pixels[second]),
            frechet_distance(components[first], components[second]),
            frechet_distance_extrapolated(pixels[first], pixels[second]).value,
            kernel_distance(pixels[first], pixels[second]),
            energy_distance(pixels[first], pixels[second]),
            quartet.density,
            quartet.coverage,
            data_copying(*(untied[part] for part in np.split(order, 3))),
        )
        for name, value in zip(seen, values, strict=True):
            seen[name].append(value)
    return {name: Calibration(null, np.array(seen[name])) for name, null in nulls.items()}


def main() -> None:
    """Calibrate and print the table; with --write put it into README.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    chosen = parser.parse_args()
    found = calibrate(chosen.splits)
    rows = [
        [name, f"{one.null:.6f}", f"{one.seen.mean():.6f}", f"{one.error():.6f}", f"{one.off():+.1f}"]
        for name, one in found.items()
    ]
    heads = ["measure", "null", "mean", "standard error", "difference in standard errors"]
    lines = [machine("numpy", "scipy", "scikit-learn"), "", f"{chosen.splits} splits.", "", *table(heads, rows)]
    print("\n".join(lines))
    if chosen.write:
        write("nulls", lines)


if __name__ == "__main__":
    main()
