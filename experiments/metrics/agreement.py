"""Do our distances and overlaps agree with the public reference implementations, where the conventions are the same?

    PYTHONPATH=. PYTHON experiments/metrics/agreement.py --mnist FILE.npz            prints the table
    PYTHONPATH=. PYTHON experiments/metrics/agreement.py --mnist FILE.npz --write    and puts it into README.md

PYTHON is an interpreter with torch, torch-fidelity, prdc and scikit-learn; README.md says how to make one. Exits with
status 1 if anything differs by more than 1e-6.
"""

import argparse
import sys

import numpy as np
import references
from page import machine, table, write
from sklearn.datasets import load_digits

from ganlab.evaluation.metrics import frechet_distance, kernel_distance, precision_recall_density_coverage

ALLOWED = 1e-6
PACKAGES = ("numpy", "scipy", "torch", "torch-fidelity", "prdc", "scikit-learn")


def random_sets(count: int, width: int):
    """Gaussians of different mean and covariance."""
    random = np.random.default_rng([count, width])
    mix = random.normal(size=(width, width)) / width**0.5
    return random.normal(size=(count, width)) @ mix, 1.1 * random.normal(size=(count, width)) @ mix + 0.1


def digits(noise: float):
    """Two random halves of the digits' pixels, 0 to 16, the second with its contrast lowered.

    noise: added to both. Without any, whole-numbered distances tie, and the two conventions of the border differ.
    """
    random = np.random.default_rng(0)
    pixels = random.permutation(load_digits().data)
    pixels[898:] = np.rint(0.9 * pixels[898:])
    pixels += noise * random.normal(size=pixels.shape)
    return pixels[:898], pixels[898:1796]


def mnist(path: str, count: int):
    """Pixels in [0, 1] by 64 principal components: training images, and as many others with noise added."""
    random = np.random.default_rng(count)
    with np.load(path, allow_pickle=False) as file:
        pixels = file["x_train"].reshape(-1, 784)[random.permutation(60_000)[: 2 * count]] / 255
    pixels[count:] += 0.1 * random.normal(size=(count, 784))
    real = pixels[:count]
    axes = np.linalg.svd(real - real.mean(axis=0), full_matrices=False)[2][:64]
    return real @ axes.T, pixels[count:] @ axes.T


def theirs(real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, float]:
    precision, recall = references.precision_recall(real, fake, k)
    return {
        "FD": references.frechet(real, fake),
        "KD": references.kernel(real, fake),
        "precision": precision,
        "recall": recall,
        **{f"prdc's {name}": value for name, value in references.overlaps(real, fake, k).items()},
    }


def ours(real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, float]:
    quartet = precision_recall_density_coverage(real, fake, k)
    return {
        "FD": frechet_distance(real, fake),
        "KD": kernel_distance(real, fake),
        "precision": quartet.precision,
        "recall": quartet.recall,
        **{f"prdc's {name}": value for name, value in quartet._asdict().items()},
    }


def main() -> None:
    """Compare on every data set and print the table; with --write put it into README.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", required=True, metavar="FILE", help="Keras' mnist.npz")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    chosen = parser.parse_args()
    tied = ("precision", "recall")  # torch-fidelity counts what lies exactly on a border, we and prdc do not
    cases = [(f"random {n} x {d}", random_sets(n, d), 5, ()) for n, d in ((300, 2), (200, 300), (2000, 64), (5000, 64))]
    cases += [("random 5000 x 64, k = 3", random_sets(5000, 64), 3, ())]
    cases += [("digits, pixels, 898 x 64", digits(0), 5, tied)]
    cases += [("digits, pixels and noise of .001, 898 x 64", digits(1e-3), 5, ())]
    cases += [(f"MNIST, PCA, {n} x 64", mnist(chosen.mnist, n), 5, ()) for n in (1000, 5000, 10_000)]

    rows, worst = [], 0.0
    for name, (real, fake), k, skipped in cases:
        we, they = ours(real, fake, k), theirs(real, fake, k)
        differences = {key: abs(we[key] - they[key]) / abs(they[key]) for key in they if key not in skipped}
        worst = max(worst, *differences.values())
        told = [f"{differences[key]:.0e}" if key in differences else "ties" for key in they]
        rows.append([name, f"{we['FD']:.6g}", f"{we['KD']:.6g}", *told])
        print(rows[-1], file=sys.stderr, flush=True)
    lines = [
        machine(*PACKAGES),
        "",
        f"Relative differences; the largest is {worst:.0e}, allowed are {ALLOWED:.0e}.",
        "",
        *table(["features", "our FD", "our KD", *they], rows),
    ]
    print("\n".join(lines))
    if chosen.write:
        write("agreement", lines)
    sys.exit(worst > ALLOWED)


if __name__ == "__main__":
    main()
