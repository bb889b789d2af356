"""The figures and pictures on the page beside this file, from the runs of its sweep:

python experiments/mnist/make.py outputs/mnist
"""

import shutil
import sys
from pathlib import Path

from ganlab.runs.result import RunResult, find_results

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "speed"))
from turns import table, write_into  # noqa: E402  (beside the experiments on speed)

HEADS = ("frechet_distance", "precision", "recall", "density", "coverage")
GROUPS = ("", "full/classifier/", "full/random/")
OTHERS = (
    "full/classifier/classifier_score", "full/classifier/modes", "full/classifier/largest_class_error",
    "full/spectral_distance", "full/checkerboard_index_2", "full/spectral_two_sample", "full/pca/copying_ratio",
)  # fmt: skip


def rows(runs: list[RunResult]) -> list[str]:
    """What was run, and how it measured: the main measures by features, then the others."""
    one = runs[0]
    assert one.real_against_real is not None
    pace = ", ".join(f"{run.variant} {(run.seconds or 0) / 60:.1f} minutes of training" for run in runs)
    real = one.real_against_real
    said = f"{one.device}; TensorFlow {one.versions['tensorflow']}, Keras {one.versions['keras']}; seed {one.seed}; "
    said += f"{one.images_seen:,} images an arm; {pace}, both at once, a thread each."
    main = []
    for group in GROUPS:
        label = group.rstrip("/") or "quick"
        for name, values in [*((run.variant, run.metrics) for run in runs), ("real images", real)]:
            main.append([f"{name}, `{label}`", *(f"{values[group + head]:.2f}" for head in HEADS)])
    others = [[f"`{name}`", *(f"{run.metrics[name]:.3f}" for run in runs), f"{real[name]:.3f}"] for name in OTHERS]
    first = table(("", *(head.replace("_", " ").replace("frechet", "Fréchet") for head in HEADS)), main)
    second = table(("", *(str(run.variant) for run in runs), "real images"), others)
    return [said, "", *first, "", *second]


def main() -> None:
    """Write the tables, and keep both arms' last samples and the pictures of transpose."""
    runs = sorted(find_results(Path(sys.argv[1])), key=lambda run: str(run.variant))
    write_into(HERE / "README.md", "results", rows(runs))
    for run in runs:
        assert run.path is not None
        folder = run.path.parent
        shutil.copy(max(folder.glob("samples/step-*.png")), HERE / f"{run.variant}.png")
        if run.variant == "transpose":
            for name in ("spectrum", "neighbours"):
                shutil.copy(folder / "pictures" / f"{name}.png", HERE / f"{name}.png")


if __name__ == "__main__":
    main()
