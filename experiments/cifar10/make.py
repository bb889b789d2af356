"""The figures and the picture on the page beside this file, from a run of experiment=cifar10:

python experiments/cifar10/make.py RUN
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np

from ganlab import device
from ganlab.data.sources import class_names
from ganlab.run.measuring import open_images
from ganlab.run.sampler import open_sampler
from ganlab.runs.folder import read_config
from ganlab.runs.result import RunResult, read_result

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "speed"))
from turns import table, write_into  # noqa: E402  (beside the experiments on speed)

METRICS = (
    "frechet_distance",
    "precision",
    "recall",
    "density",
    "coverage",
    "spectral_distance",
    "checkerboard_index_2",
)
EACH = 200  # images of each class that the classifier looks at


def measures(run: RunResult) -> list[str]:
    """What was run, what it took, and how it measured beside real images."""
    assert run.real_against_real is not None
    assert run.seconds
    assert run.images_seen
    minutes, rate = run.seconds / 60, run.images_seen / run.seconds
    about = f"{run.device}; TensorFlow {run.versions['tensorflow']}, Keras {run.versions['keras']}; seed {run.seed}; "
    about += f"{run.images_seen:,} images in {minutes:.0f} minutes of training and measuring, {rate:,.0f} a second."
    rows = [[f"`{name}`", f"{run.metrics[name]:.3f}", f"{run.real_against_real[name]:.3f}"] for name in METRICS]
    share = run.metrics["coverage"] / run.real_against_real["coverage"]
    return [about, "", *table(("", "generated", "real images"), rows), "", f"Coverage is {share:.3f} of real images'."]


def curve(folder: Path) -> list[str]:
    """The quick measures on the way."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    measured = [record for record in records if "metric/coverage" in record]
    names = ("frechet_distance", "precision", "recall", "coverage")
    rows = [[f"{r['images']:,}", *(f"{r[f'metric/{name}']:.3f}" for name in names)] for r in measured]
    return table(("images", *names), rows)


def classes(folder: Path) -> list[str]:
    """How many images of each class a classifier of the data set takes for that class: generated, and held out."""
    from ganlab.evaluation.features import FEATURES, RealImages
    from ganlab.run.sampler import with_classes

    config = read_config(folder)
    split = open_images(config)
    train, held_out = split.train, split.held_out
    real = RealImages(train.pixels, held_out.pixels, train.labels, held_out.labels)
    judge = FEATURES["classifier"](real, say=print).probabilities
    assert judge is not None
    sampler, _ = open_sampler(folder)
    names = class_names(config.dataset)
    wanted = np.repeat(np.arange(len(names)), EACH)
    normal = sampler.latents("latents/drawn/0", len(wanted))[:, : config.generator.latent_size]
    images = sampler.generate(with_classes(normal, wanted.tolist(), len(names)))
    taken, taken_real = judge(images).argmax(axis=1), judge(held_out.pixels).argmax(axis=1)
    rows = []
    for number, name in enumerate(names):
        mine, theirs = wanted == number, held_out.labels == number
        mistaken = np.bincount(taken[mine & (taken != wanted)], minlength=len(names))
        other = f"{names[int(mistaken.argmax())]} {mistaken.max() / EACH:.2f}" if mistaken.any() else ""
        rows.append(
            [name, f"{(taken[mine] == number).mean():.2f}", f"{(taken_real[theirs] == number).mean():.2f}", other]
        )
    mean = ["all", f"{(taken == wanted).mean():.2f}", f"{(taken_real == held_out.labels).mean():.2f}", ""]
    return table(("class", "generated", "held out", "most often taken for"), [*rows, mean])


def main() -> None:
    """Write the tables, and keep the last samples."""
    folder = Path(sys.argv[1])
    device.start("float32")
    write_into(HERE / "README.md", "measures", measures(read_result(folder / "result.json")))
    write_into(HERE / "README.md", "curve", curve(folder))
    write_into(HERE / "README.md", "classes", classes(folder))
    shutil.copy(max(folder.glob("samples/step-*.png")), HERE / "samples.png")


if __name__ == "__main__":
    main()
