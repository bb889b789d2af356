"""Do the statistics keep what they promise? Simulated studies of known truth, compared by the code that compares runs.

    python experiments/statistics/run.py            prints the tables
    python experiments/statistics/run.py --write    and puts them into README.md

2,000 repeats of everything unless told otherwise. A share near 95 % then has a standard error of 0.5 %, one near 80 %
of 0.9 %.
"""

import argparse
import math
import sys
from pathlib import Path

from scipy.special import ndtr
from simulations import (
    HEAVY,
    NORMAL,
    SHAPES,
    coverage,
    coverage_over_draws,
    equivalence,
    false_equivalents,
    false_positives,
    improvement_coverage,
    power,
    unlike_arms,
)

from ganlab.study.statistics import equivalence_power, paired_power

PAGE = Path(__file__).parent / "README.md"
sys.path.append(str(PAGE.parent.parent / "metrics"))

from page import machine, table  # noqa: E402 - found there
from turns import write_into  # noqa: E402 - found there

REPEATS = 2000
EFFECTS = ((0.5, 34), (0.8, 15), (1.0, 10), (1.2, 8), (1.5, 6), (2.0, 5))
"""True mean / sd, and the pairs that give 80 % power."""
MARGINS = ((1.0, 10, 0.80), (1.0, 12, 0.89), (1.0, 16, 0.97), (0.8, 12, 0.66), (0.8, 16, 0.84), (0.8, 20, 0.93),
           (0.5, 30, 0.69), (0.5, 40, 0.86))  # fmt: skip
"""Margin / sd, pairs, and the power of equivalence that the protocol was planned with."""


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
        "heavy tails, 10 seeds": {"seeds": 10, "shape": HEAVY},
        "normal, 10 seeds, a fifth of all runs diverge": {"seeds": 10, "lost": 0.2},
    }
    rows = [[name, *map(percent, false_positives(repeats, **case))] for name, case in cases.items()]
    return table(["six equal arms and their reference", "any raw p <= 0.05", "any better or worse after Holm"], rows)


def unlike_table(repeats: int) -> list[str]:
    rows = []
    for name, collapse, shape in (("a fifth of its runs collapse", 0.2, NORMAL), ("its tails are heavy", 0.0, HEAVY),
                                  ("both", 0.2, HEAVY)):  # fmt: skip
        for seeds in (6, 10):
            rows.append([name, str(seeds), *map(percent, unlike_arms(repeats, seeds, collapse, shape))])
    return table(["one arm is as good on average, but", "seeds", "called better", "called worse"], rows)


def equivalents_table(repeats: int) -> list[str]:
    rows = [
        [f"{margin}", str(seeds), *map(percent, false_equivalents(repeats, seeds, margin))]
        for margin, seeds in ((1.0, 10), (1.0, 20), (2.0, 6), (2.0, 10))
    ]
    return table(["margin / sd of a difference", "seeds", "any equivalent, test by test", "any equivalent"], rows)


def draws_table(repeats: int) -> list[str]:
    rows = [
        [f"{share}", str(seeds), *map(percent, coverage_over_draws(repeats, seeds, 5, share))]
        for share in (0.0, 0.5, 1.0)
        for seeds in (6, 10)
    ]
    return table(["sd over draws / sd over seeds", "seeds", "seeds alone", "seeds and draws"], rows)


def power_table(repeats: int) -> list[str]:
    rows = []
    for effect, pairs in EFFECTS:
        by_interval, by_verdict = power(repeats, pairs, effect)
        rows.append(
            [f"{effect}", str(pairs), percent(paired_power(effect, pairs)), percent(by_interval), percent(by_verdict)]
        )
    return table(["true mean / sd", "pairs", "computed", "interval without 0", "verdict better"], rows)


def equivalence_table(repeats: int) -> list[str]:
    rows = []
    for margin, pairs, tabulated in MARGINS:
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
    "unlike": unlike_table,
    "power": power_table,
    "equivalence": equivalence_table,
    "equivalents": equivalents_table,
    "draws": draws_table,
    "improvement": improvement_table,
}


def main() -> None:
    """Simulate, print each table as it is ready, and write it where asked to."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--only", choices=TABLES, nargs="+", help="these tables")
    parser.add_argument("--write", action="store_true", help="put the tables into README.md")
    chosen = parser.parse_args()
    for name in chosen.only or TABLES:
        lines = [f"{chosen.repeats} repeats; {machine('numpy', 'scipy')}", "", *TABLES[name](chosen.repeats)]
        print("\n".join(lines), end="\n\n", flush=True)
        if chosen.write:
            write_into(PAGE, name, lines)


if __name__ == "__main__":
    main()
