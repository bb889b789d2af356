"""Does a stabiliser pay on digits? The default run, and the default run with one of them, over seeds.

    python experiments/stabilisers/run.py FOLDER --seeds 0 1 --write

Runs that are in the folder already are not made again; rows stand for those that have finished.
"""

import argparse
import re
import statistics
import subprocess
import sys
from pathlib import Path

from ganlab.runs.result import read_result

PAGE = Path(__file__).parent / "README.md"
NAMES = ("frechet_distance", "precision", "recall", "density", "coverage", "spectral_distance")
SELDOM = [f"training.{what}_every_steps=4000" for what in ("sample", "save")] + ["metrics.every_steps=4000"]
TRIED = {
    "default": [],
    "translation": ["augment.translation=0.125"],
    "spectral": ["discriminator.normalization=spectral"],
    "noise": ["augment.noise=0.1"],
    "minibatch": ["discriminator.minibatch_std=4"],
    "cosine": ["optimizer.final_rate=0.1"],
    "warmup": ["optimizer.warmup_steps=400"],
    "slowg": ["optimizer.g_learning_rate=0.0005"],
    "genbatch": ["generator.normalization=batch"],
    "diffaugment": ["augment.translation=0.125", "augment.cutout=0.5", "augment.color=0.5"],
    "critic2": ["training.discriminator_steps=2"],
    "nonsat": ["objective=non_saturating"],
    "smoothing": ["objective=non_saturating", "objective.label_smoothing=0.1"],
    "recompute": ["generator.normalization=batch", "training.ema_statistics=recompute"],
}


def row(folder: Path, name: str, seeds: list[int]) -> str | None:
    """Means over the seeds that have finished, as a line of the table; none where no seed has."""
    there = [path for seed in seeds if (path := folder / f"{name}-{seed}" / "result.json").exists()]
    results = [result for result in map(read_result, there) if result.status == "finished"]
    if not results:
        return None
    means = [f"{statistics.mean(result.metrics[metric] for result in results):.3f}" for metric in NAMES]
    settings = " ".join(f"`{setting}`" for setting in TRIED[name]) or "the default"
    return f"| {settings} | {len(results)} | {' | '.join(means)} |"


def main() -> None:
    """Make the runs that are missing, print the table, and write it where asked to."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--table", action="store_true", help="make no runs")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    chosen = parser.parse_args()
    for name, settings in {} if chosen.table else TRIED.items():
        for seed in chosen.seeds:
            line = ["training.threads=1", *SELDOM, *settings, f"hydra.run.dir={chosen.folder / f'{name}-{seed}'}"]
            subprocess.run([sys.executable, "-m", "ganlab.train", f"seed={seed}", *line], check=True)
    head = f"| default with | seeds | {' | '.join(NAMES)} |"
    rows = [text for name in TRIED if (text := row(chosen.folder, name, chosen.seeds))]
    table = "\n".join([head, "|---" * (len(NAMES) + 2) + "|", *rows])
    print(table)
    if chosen.write:
        text, count = re.subn(r"(<!-- table -->\n).*?(<!-- end -->)", rf"\1{table}\n\2", PAGE.read_text(), flags=re.S)
        if not count:
            raise SystemExit(f"{PAGE} has no place <!-- table --> ... <!-- end -->")
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
