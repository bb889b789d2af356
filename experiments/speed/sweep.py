"""A sweep with one cell after the other against the same sweep with joblib, several at a time.

    python experiments/speed/sweep.py                     12 cells of the default run with fewer steps, two at a time
    python experiments/speed/sweep.py --quick             does everything run? the figures mean nothing

Every sweep is a fresh command in an empty folder, as a user gives it; the two kinds take turns, and nothing else should
run meanwhile. What is timed is all of it: starting, composing, TensorFlow's import in each cell, training, measuring.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from sides import launch
from turns import ratios, spread, table, take_turns

BOUND = 0.65  # of the time of one after the other, with two jobs on two cores


def sweep(cells: int, settings: tuple[str, ...]) -> float:
    """Seconds from the command to its end, for as many seeds."""
    with tempfile.TemporaryDirectory() as folder:
        seeds = ",".join(map(str, range(cells)))
        line = [sys.executable, "-m", "ganlab.train", "-m", f"seed={seeds}", f"hydra.sweep.dir={folder}", *settings]
        seconds = launch(line).seconds
        made = len(list(Path(folder).glob("*/generator.keras")))
    if made != cells:
        raise RuntimeError(f"{made} of {cells} cells have a generator")
    return seconds


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--cells", type=int, default=12, help="seeds in the sweep (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="cells at a time (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=1000, help="of each cell (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="hardly any steps: does it run?")
    chosen = parser.parse_args()
    cells, rounds, steps = (2, 1, 4) if chosen.quick else (chosen.cells, chosen.rounds, chosen.steps)
    settings = (f"training.steps={steps}",)
    joblib = (*settings, "hydra/launcher=joblib", f"hydra.launcher.n_jobs={chosen.jobs}")
    kinds = {"one after the other": settings, f"joblib, {chosen.jobs} at a time": joblib}
    sides = {name: lambda line=line: sweep(cells, line) for name, line in kinds.items()}
    one, many = (said := take_turns(sides, rounds)).values()
    rows = [[name, spread(seconds, 1)] for name, seconds in said.items()]
    print(f"{cells} cells of {steps} steps on {len(os.sched_getaffinity(0))} cores, {rounds} rounds")
    print("\n".join(table(("a sweep", "seconds"), [*rows, ["ratio", f"{ratios(many, one)}; bound {BOUND}"]])))


if __name__ == "__main__":
    main()
