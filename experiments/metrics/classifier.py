"""How good the classifier is whose last hidden layer are features, how long it takes, and what real images score.

    python experiments/metrics/classifier.py --mnist FILE.npz            printed
    python experiments/metrics/classifier.py --mnist FILE.npz --write    put into classifier.md too

Required: at least 97 % of held-out digits and 99 % of MNIST's test images, in under 2 minutes on 2 cores.
"""

import argparse
import datetime
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ganlab import device
from ganlab.config import Digits, Published
from ganlab.data.digits import digits
from ganlab.data.images import Split
from ganlab.data.published import published
from ganlab.evaluation.features import FEATURES, RealImages
from ganlab.evaluation.features.classifier import RECIPE, classifier
from ganlab.evaluation.metrics import (
    coverage_null,
    frechet_distance,
    frechet_distance_null,
    precision_recall_density_coverage,
)

PAGE = Path(__file__).with_suffix(".md")
SEEDS = range(5)
REQUIRED = {"digits": 0.97, "mnist": 0.99}


def accuracies(name: str, real: RealImages) -> str:
    """A line of the first table: the classifier from five seeds."""
    seconds, busy, right = [], [], []
    for seed in SEEDS:
        started, before = time.perf_counter(), time.process_time()
        right.append(classifier(real, recipe=RECIPE._replace(seed=seed)).facts["test_accuracy"])
        seconds.append(time.perf_counter() - started)
        busy.append(time.process_time() - before)
    each = ", ".join(f"{100 * share:.2f}" for share in right)
    met = "yes" if min(right) >= REQUIRED[name] else "no"
    return (
        f"| {name} | {len(real.train)} | {len(real.held_out)} | {each} | {100 * np.mean(right):.2f} "
        f"| {100 * REQUIRED[name]:.0f} | {met} | {np.median(seconds):.0f} | {np.median(busy):.0f} |"
    )


def floors(name: str, real: RealImages, count: int) -> list[str]:
    """Lines of the second table: real training images in the place of generated ones, under each kind of features."""
    random = np.random.default_rng(0)
    held_out = real.held_out[random.permutation(len(real.held_out))[:count]]
    train = real.train[random.permutation(len(real.train))[: len(held_out)]]
    lines = []
    for kind in ("pixels", "pca", "random", "classifier"):
        features = FEATURES[kind](real)
        features.embed(held_out[:300])  # compiled
        started = time.perf_counter()
        ones = features.embed(held_out)
        seconds = time.perf_counter() - started
        twos = features.embed(train)
        coverage = np.mean([precision_recall_density_coverage(one, two).coverage
                            for one, two in zip(ones, twos, strict=True)])  # fmt: skip
        distance = np.mean([frechet_distance(one, two) for one, two in zip(ones, twos, strict=True)])
        null = np.mean([frechet_distance_null(np.concatenate(pair), len(held_out), len(train))
                        for pair in zip(ones, twos, strict=True)])  # fmt: skip
        lines.append(
            f"| {name} | {kind} | {features.facts['dimension']} | {len(held_out)} | {seconds:.2f} | {coverage:.3f} "
            f"| {coverage_null(len(held_out), len(train)):.3f} | {distance:.4f} | {null:.4f} |"
        )
    return lines


def arrays(split: Split) -> RealImages:
    """A split as the arrays that features are made from."""
    return RealImages(split.train.pixels, split.held_out.pixels, split.train.labels, split.held_out.labels)


def main() -> None:
    """Measure and print, or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", required=True, help="mnist.npz in Keras' layout")
    parser.add_argument("--write", action="store_true", help="put the tables into classifier.md")
    arguments = parser.parse_args()
    processor = device.start("float32").name
    sets = {
        "digits": arrays(digits(Digits(name="digits", size=8, channels=1, held_out=0.2))),
        "mnist": arrays(published(Published(name="mnist", size=28, channels=1, path=arguments.mnist))),
    }
    first = [
        "| data | trained on | tested on | accuracy, seeds 0 to 4, % | mean | required | met | seconds, median "
        "| seconds of CPU |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    second = [
        "| data | features | dimension | images a side | seconds to embed a side | coverage | its null "
        "| Fréchet distance | its null |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GANLAB_CACHE"] = folder  # what is timed must not have been there
        for name, real in sets.items():
            first.append(accuracies(name, real))
            second += floors(name, real, 10_000)
            print(first[-1], *second[-4:], sep="\n", flush=True)
    machine = (
        f"{processor}; TensorFlow {version('tensorflow')}, Python {platform.python_version()}; {datetime.date.today()}."
    )
    if arguments.write:
        head, _ = PAGE.read_text().split("<!-- tables -->")
        PAGE.write_text("\n".join([head + "<!-- tables -->", "", *first, "", *second, "", machine, ""]))


if __name__ == "__main__":
    main()
