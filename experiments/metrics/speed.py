"""How fast are our distances and overlaps, and how fast what people would use instead?

    python experiments/metrics/speed.py --references PYTHON            prints a table
    python experiments/metrics/speed.py --references PYTHON --write    and puts it into README.md

Frechet and kernel distance, precision, recall, density and coverage of 10,000 x 10,000 x 64 features; torch-fidelity
and prdc do the same. PYTHON is an interpreter with both; README.md says how to make one. Every figure comes from a
process of its own; the sides take turns.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "experiments/speed")]
FEWEST = 5  # rounds behind a figure that is written down


def sets(count: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    mix = random.normal(size=(width, width)) / width**0.5
    return random.normal(size=(count, width)) @ mix, 1.1 * random.normal(size=(count, width)) @ mix + 0.1


def ours():
    from ganlab.evaluation.metrics import frechet_distance, kernel_distance, precision_recall_density_coverage

    return {"FD": frechet_distance, "KD": kernel_distance, "PRDC": precision_recall_density_coverage}


def references():
    from references import frechet, kernel, overlaps

    return {"FD": frechet, "KD": kernel, "PRDC": overlaps}


ROWS = {  # of the table: what it says, and how many digits
    "FD": ("FD, s", 2),
    "KD": ("KD, s", 2),
    "PRDC": ("PRDC, s", 2),
    "all": ("all, s", 2),
    "processors": ("all, s of both cores together", 2),
    "peak": ("peak memory of the process, MB", 0),
    "grown": ("of it by the measures, MB", 0),
}
SIDES = {"ganlab": ours, "references": references}


def measure(side: str, count: int, width: int) -> dict[str, float]:
    """Seconds of each measure, those of the processors for all, and the peak memory in MB: whole, and grown here."""
    measures = SIDES[side]()
    real, fake = sets(count, width)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, processors = {}, time.process_time()
    for name, distance in measures.items():
        start = time.perf_counter()
        distance(real, fake)
        seconds[name] = time.perf_counter() - start
    processors = time.process_time() - processors
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return seconds | {"all": sum(seconds.values()), "processors": processors, "peak": peak, "grown": peak - before}


def main() -> None:
    """Measure both sides in turn and print the table; with --write put it into README.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--references", metavar="PYTHON", help="an interpreter with torch-fidelity and prdc")
    parser.add_argument("--side", choices=SIDES, help="measure this side once, in this process, and print JSON")
    parser.add_argument("--count", type=int, default=10_000, help="images of each set (default: %(default)s)")
    parser.add_argument("--width", type=int, default=64, help="features an image (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    chosen = parser.parse_args()
    if chosen.side:
        print("\n" + json.dumps(measure(chosen.side, chosen.count, chosen.width)))
        return
    if chosen.references is None:
        parser.error("--references is missing; give an interpreter with torch-fidelity and prdc")
    if chosen.write and (chosen.rounds < FEWEST or (chosen.count, chosen.width) != (10_000, 64)):
        parser.error(f"--write keeps only figures of 10,000 x 64 and --rounds={FEWEST} or more; leave it out")

    from page import machine, table, write
    from turns import ratios, spread, take_turns

    def ask(python: str, side: str) -> dict[str, float]:
        line = [python, __file__, "--side", side, "--count", str(chosen.count), "--width", str(chosen.width)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(line, capture_output=True, text=True, check=True, env=environment)
        return json.loads(done.stdout.splitlines()[-1])

    pythons = {"ganlab": sys.executable, "references": chosen.references}
    said = take_turns({side: lambda side=side: ask(pythons[side], side) for side in SIDES}, chosen.rounds)
    rows = []
    for name, (what, digits) in ROWS.items():
        us, them = ([figures[name] for figures in said[side]] for side in SIDES)
        rows.append([what, spread(us, digits), spread(them, digits), ratios(them, us)])
    lines = [
        machine("numpy", "scipy"),
        "",
        f"{chosen.count:,} x {chosen.count:,} x {chosen.width}: medians of {chosen.rounds} rounds, with quartiles.",
        "",
        *table(["", "ganlab", "torch-fidelity and prdc", "references / ganlab"], rows),
    ]
    print("\n".join(lines))
    if chosen.write:
        write("speed", lines)


if __name__ == "__main__":
    main()
