"""Do the statistics keep what they promise? Simulated studies of known truth, judged by the code that judges runs.

    python experiments/statistics/run.py            prints the tables
    python experiments/statistics/run.py --write    and puts them into README.md

2,000 repeats of everything unless told otherwise. A share near 95 % then has a standard error of 0.5 %, one near 80 %
of 0.9 %.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ganlab.config import Comparing
from ganlab.reporting.arms import Arm
from ganlab.reporting.judge import judge_arms
from ganlab.reporting.power import equivalence_power, paired_power
from ganlab.reporting.results import RunResult
from ganlab.reporting.robustness import probability_of_improvement
from ganlab.reporting.statistics import paired_comparison
from ganlab.reporting.study import Study

PAGE = Path(__file__).parent / "README.md"
sys.path.append(str(PAGE.parent.parent / "metrics"))

from page import machine, table  # noqa: E402 - found there
from turns import write_into  # noqa: E402 - found there

REPEATS = 2000
Values = NDArray[np.float64]


class Shape(NamedTuple):
    """Random numbers of a size, their mean, and the name of their distribution."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], Values]
    mean: float


NORMAL = Shape("normal", lambda random, size: random.normal(size=size), 0.0)
HEAVY = Shape("heavy tails (Student, 3 degrees)", lambda random, size: random.standard_t(3, size=size), 0.0)
SHAPES = (
    NORMAL,
    Shape("skewed (lognormal, sigma 0.5)", lambda random, size: random.lognormal(0, 0.5, size), math.exp(0.125)),
    Shape("very skewed (lognormal, sigma 1)", lambda random, size: random.lognormal(0, 1, size), math.exp(0.5)),
    HEAVY,
)


def coverage(repeats: int, pairs: int, shape: Shape) -> float:
    """How often the 95 % interval of the mean difference holds the true mean."""
    draws = shape.draw(np.random.default_rng(pairs), (repeats, pairs))
    found = [paired_comparison(d) for d in draws]
    return float(np.mean([result.low <= shape.mean <= result.high for result in found]))


def judged(logs: Values, diverged: NDArray[np.bool_] | None = None) -> Study:
    """The study of arms whose log distances are given, [arms, seeds]; the first is the reference."""
    arms = []
    for place, row in enumerate(logs):
        runs = {}
        for seed, value in enumerate(row):
            lost = diverged is not None and bool(diverged[place, seed])
            runs[seed] = RunResult(
                status="diverged" if lost else "finished",
                variant=f"arm{place}",
                seed=seed,
                config={},
                metrics={} if lost else {"frechet_distance": math.exp(value)},
            )
        arms.append(Arm(f"arm{place}", {}, runs))
    return judge_arms(arms, Comparing(reference="arm0", margins={}))


def false_positives(
    repeats: int, seeds: int, shared: float = 0.0, lost: float = 0.0, shape: Shape = NORMAL, arms: int = 6
) -> tuple[float, float]:
    """How often any of several equal arms is called better or worse: by raw p <= 0.05, and by the verdict.

    shared: the part of the variance that the arms have in common with equal seeds. lost: the part of the runs that
    diverge, whatever their arm.
    """
    random = np.random.default_rng(seeds)
    raw = wrong = 0
    for _ in range(repeats):
        own = shape.draw(random, (arms + 1, seeds))
        block = shape.draw(random, (1, seeds))
        logs = 0.1 * (math.sqrt(1 - shared) * own + math.sqrt(shared) * block)
        found = judged(logs, random.random((arms + 1, seeds)) < lost).judgements["frechet_distance"]
        raw += any(judgement.comparison.p_value <= 0.05 for judgement in found)
        wrong += any(judgement.verdict in ("better", "worse") for judgement in found)
    return raw / repeats, wrong / repeats


def power(repeats: int, pairs: int, effect: float) -> tuple[float, float]:
    """How often a difference of `effect` standard deviations is found: by the t interval alone, and by the verdict."""
    draws = np.random.default_rng(pairs).normal(-effect, 1, (repeats, pairs))
    found = [paired_comparison(d) for d in draws]
    return float(np.mean([r.high < 0 or r.low > 0 for r in found])), float(
        np.mean([r.verdict == "better" for r in found])
    )


def equivalence(repeats: int, pairs: int, margin: float, true: float = 0.0) -> float:
    """How often arms that differ by `true` are called equivalent; both in standard deviations."""
    draws = np.random.default_rng(pairs).normal(true, 1, (repeats, pairs))
    return float(np.mean([paired_comparison(d, margin=margin).verdict == "equivalent" for d in draws]))


def improvement_coverage(repeats: int, seeds: int, effect: float, shared: float) -> float:
    """How often the interval holds P(better) = Phi(effect / sqrt 2), the arms' correlation being `shared`."""
    random = np.random.default_rng(seeds)
    true = float(ndtr(effect / math.sqrt(2)))
    held = 0
    for _ in range(repeats):
        block = math.sqrt(shared) * random.normal(size=seeds)
        ours, theirs = math.sqrt(1 - shared) * random.normal(size=(2, seeds)) + block
        _, low, high = probability_of_improvement(ours - effect, theirs)
        held += low <= true <= high
    return held / repeats


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def coverage_table(repeats: int) -> list[str]:
    sizes = (6, 10, 20)
    rows = [[shape.name, *(percent(coverage(repeats, pairs, shape)) for pairs in sizes)] for shape in SHAPES]
    return table(["differences", *(f"{pairs} pairs" for pairs in sizes)], rows)


def positives_table(repeats: int) -> list[str]:
    cases: dict[str, dict] = {
        "normal, 6 seeds": {"seeds": 6},
        "normal, 10 seeds": {"seeds": 10},
        "normal, 20 seeds": {"seeds": 20},
        "normal, 10 seeds, half of the variance shared by equal seeds": {"seeds": 10, "shared": 0.5},
        "heavy tails, 10 seeds": {"seeds": 10, "shape": HEAVY},
        "normal, 10 seeds, a fifth of all runs diverge": {"seeds": 10, "lost": 0.2},
    }
    rows = [[name, *map(percent, false_positives(repeats, **case))] for name, case in cases.items()]
    return table(["six equal arms and their reference", "any raw p <= 0.05", "any better or worse after Holm"], rows)


def power_table(repeats: int) -> list[str]:
    rows = []
    for effect, pairs in ((0.5, 34), (0.8, 15), (1.0, 10), (1.2, 8), (1.5, 6), (2.0, 5)):
        by_interval, by_verdict = power(repeats, pairs, effect)
        rows.append(
            [f"{effect}", str(pairs), percent(paired_power(effect, pairs)), percent(by_interval), percent(by_verdict)]
        )
    return table(["true mean / sd", "pairs", "computed", "interval without 0", "verdict better"], rows)


def equivalence_table(repeats: int) -> list[str]:
    rows = []
    planned = ((1.0, 10, 0.80), (1.0, 12, 0.89), (1.0, 16, 0.97), (0.8, 12, 0.66), (0.8, 16, 0.84), (0.8, 20, 0.93),
               (0.5, 30, 0.69), (0.5, 40, 0.86))  # fmt: skip
    for margin, pairs, tabulated in planned:
        figures = (
            equivalence_power(margin, pairs),
            equivalence(repeats, pairs, margin),
            equivalence(repeats, pairs, margin, true=margin),
        )
        rows.append([f"{margin}", str(pairs), percent(tabulated), *map(percent, figures)])
    return table(["margin / sd", "pairs", "tabulated", "computed", "simulated", "if they differ by the margin"], rows)


def improvement_table(repeats: int) -> list[str]:
    rows = []
    for effect in (0.0, 1.0, 2.0):
        for shared in (0.0, 0.5):
            held = (percent(improvement_coverage(repeats, seeds, effect, shared)) for seeds in (6, 10, 20))
            rows.append([f"{ndtr(effect / math.sqrt(2)):.2f}", f"{shared}", *held])
    return table(["true P(better)", "correlation of the arms", "6 seeds", "10 seeds", "20 seeds"], rows)


TABLES = {
    "coverage": coverage_table,
    "positives": positives_table,
    "power": power_table,
    "equivalence": equivalence_table,
    "improvement": improvement_table,
}


def tables(repeats: int) -> Iterator[tuple[str, list[str]]]:
    for name, make in TABLES.items():
        yield name, [f"{repeats} repeats; {machine('numpy', 'scipy')}", "", *make(repeats)]


def main() -> None:
    """Simulate, print each table as it is ready, and write it where asked to."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--write", action="store_true", help="put the tables into README.md")
    chosen = parser.parse_args()
    for name, lines in tables(chosen.repeats):
        print("\n".join(lines), end="\n\n", flush=True)
        if chosen.write:
            write_into(PAGE, name, lines)


if __name__ == "__main__":
    main()
