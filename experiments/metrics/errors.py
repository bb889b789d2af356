"""Which standard error of the kernel distance is right: ours, the block jackknife's or that of disjoint blocks?

    python experiments/metrics/errors.py            prints the table
    python experiments/metrics/errors.py --write    and puts it into README.md

Gaussians of 6 features with deviations from .5 to 2, 200 against 160 images, the second shifted, drawn 300 times. For
each way: the root of its mean square over the true deviation (1 is right), and how often the true value, the mean over
the draws, lies within two of it (about 95 % is right).
"""

import argparse

import numpy as np
from page import machine, table, write

from ganlab.evaluation.metrics import kernel_distance, kernel_distance_error

BLOCKS, DRAWS = 10, 300


def jackknife(real: np.ndarray, fake: np.ndarray) -> float:
    """Without a tenth of both sets in turn."""
    first, second = np.arange(len(real)) % BLOCKS, np.arange(len(fake)) % BLOCKS
    values = [kernel_distance(real[first != block], fake[second != block]) for block in range(BLOCKS)]
    return float(np.sqrt((BLOCKS - 1) * np.var(values)))


def disjoint(real: np.ndarray, fake: np.ndarray) -> float:
    """Of the mean over tenths of both sets, each alone."""
    values = [kernel_distance(real[block::BLOCKS], fake[block::BLOCKS]) for block in range(BLOCKS)]
    return float(np.std(values, ddof=1) / np.sqrt(BLOCKS))


WAYS = {"ours": kernel_distance_error, "jackknife": jackknife, "disjoint blocks": disjoint}


def row(shift: float) -> list[str]:
    random, scale = np.random.default_rng(0), np.linspace(0.5, 2, 6)
    values, errors = [], {name: [] for name in WAYS}
    for _ in range(DRAWS):
        real, fake = random.normal(size=(200, 6)) * scale, random.normal(size=(160, 6)) * scale + shift
        values.append(kernel_distance(real, fake))
        for name, way in WAYS.items():
            errors[name].append(way(real, fake))
    mean, deviation = np.mean(values), np.std(values, ddof=1)
    cells = [f"{shift}", f"{mean:.3f}", f"{deviation:.3f}"]
    for told in map(np.array, errors.values()):
        covered = np.mean(np.abs(np.array(values) - mean) < 2 * told)
        cells.append(f"{np.sqrt(np.mean(told**2)) / deviation:.2f}, {covered:.0%}")
    return cells


def main() -> None:
    """Draw and print the table; with --write put it into README.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    chosen = parser.parse_args()
    rows = [row(shift) for shift in (0, 0.15, 0.3, 1.0)]
    lines = [machine("numpy"), "", *table(["shift", "mean distance", "true deviation", *WAYS], rows)]
    print("\n".join(lines))
    if chosen.write:
        write("errors", lines)


if __name__ == "__main__":
    main()
