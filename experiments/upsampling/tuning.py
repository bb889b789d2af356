"""Keep a tuning study: its rows on the page beside this file, and what `tune` reads of its runs.

python -m ganlab.train experiment=tuning_cifar10
python experiments/upsampling/tuning.py outputs/tuning_cifar10 tuning_cifar10
python experiments/upsampling/tuning.py experiments/upsampling/tuning_cifar10/trials.tar.xz tuning_cifar10
"""

import contextlib
import sys
from pathlib import Path

from ganlab.study.archive import is_archive, open_archive, write_archive
from ganlab.study.tuning import TunedArm, Tuning, tune_study

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "speed"))
from turns import write_into  # noqa: E402  (beside the experiments on speed)


def rows(tuning: Tuning) -> list[str]:
    """A row for each arm: its value at each rate, with those of the seeds, and which rate is its best."""
    rates = [f"{rate:g}" + (" (equal)" if rate == tuning.equal_rate else "") for rate in tuning.rates]
    head = [f"arm, {tuning.metric} at the rate", *rates, "best rate", "factor"]
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *map(row, tuning.arms)]


def row(arm: TunedArm) -> str:
    """Values of an arm, the best one bold."""
    cells = []
    for trial in arm.trials:
        mean = f"{trial.value:.3g}" if trial.value is not None else "diverged"
        seeds = ", ".join("diverged" if value is None else f"{value:.3g}" for value in trial.values.values())
        cells.append(f"**{mean}** ({seeds})" if trial is arm.best else f"{mean} ({seeds})")
    best = [f"{arm.best.rate:g}", f"{arm.factor:g}"] if arm.best else ["none", "1"]
    return f"| `{arm.label}` | {' | '.join([*cells, *best])} |"


def main() -> None:
    source, name = Path(sys.argv[1]), sys.argv[2]
    with open_archive(source) if is_archive(source) else contextlib.nullcontext(source) as folder:
        tuning = tune_study(folder)
        write_archive(folder, HERE / name / "trials.tar.xz")
        write_into(HERE / "README.md", name, rows(tuning))


if __name__ == "__main__":
    main()
