"""`experiment=quick`, one cell after the other against several at a time with joblib.

    python experiments/speed/sweep.py                     its 12 cells, two at a time
    python experiments/speed/sweep.py --quick             does everything run? the figures mean nothing

Every sweep is a fresh command in an empty folder, as a user gives it; the two kinds take turns, and nothing else should
run meanwhile. What is timed is all of it: starting, composing, TensorFlow's import in each cell, training, measuring.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from sides import launch
from turns import ratios, spread, table, take_turns

from ganlab.environment import usable_cores

BOUND = 0.65  # of the time of one after the other, with two jobs on two cores


def sweep(settings: tuple[str, ...]) -> tuple[float, int]:
    """Seconds from the command to its end, and how many cells it made."""
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "ganlab.train", "experiment=quick", f"hydra.sweep.dir={folder}", *settings]
        return launch(line).seconds, len(list(Path(folder).glob("*/generator.keras")))


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="cells at a time (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="two cells of hardly any steps: does it run?")
    chosen = parser.parse_args()
    rounds, settings = (1, ("seed=0", "training.steps=4")) if chosen.quick else (chosen.rounds, ())
    joblib = ("hydra/launcher=joblib", f"hydra.launcher.n_jobs={chosen.jobs}")
    kinds = {"one after the other": ("hydra/launcher=basic",), f"joblib, {chosen.jobs} at a time": joblib}
    made: set[int] = set()

    def timed(kind: tuple[str, ...]) -> float:
        seconds, cells = sweep((*settings, *kind))
        made.add(cells)
        return seconds

    said = take_turns({name: lambda kind=kind: timed(kind) for name, kind in kinds.items()}, rounds)
    one, many = said.values()
    (cells,) = made
    rows = [[name, spread(seconds, 1)] for name, seconds in said.items()]
    print(f"{cells} cells on {usable_cores()} cores, {rounds} rounds")
    print("\n".join(table(("a sweep", "seconds"), [*rows, ["ratio", f"{ratios(many, one)}; bound {BOUND}"]])))


if __name__ == "__main__":
    main()
