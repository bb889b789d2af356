"""What a tuning study says, on the terminal and as plain values."""

import shlex
from pathlib import Path
from typing import Any

from rich.table import Table

from ganlab.errors import join_words
from ganlab.files import write_json
from ganlab.runs.console import plain_console, table
from ganlab.study.tuning import FACTORS, RATE, Trial, Tuning

FILE = "tuning.json"
_MEANS = {"ratio": "geometric means", "difference": "means", "size": "means of the distances from 0"}


def print_tuning(tuning: Tuning) -> None:
    """Every arm at every rate, its best, what luck there is in it, both orders, and what to type for the study."""
    console = plain_console()
    if tuning.plan.question:
        console.print(tuning.plan.question)
    console.print(
        f"{tuning.metric}, {tuning.measure.better} is better: {_MEANS[tuning.measure.scale]} over seeds "
        f"{_seeds(tuning)}; each of {len(tuning.arms)} arms had {len(tuning.rates)} trials, "
        f"by {RATE}"
    )
    console.print(_rates_table(tuning))
    console.print("Expected best of k of these trials; the fewer trials decide it, the more of it is luck:")
    console.print(_expected_table(tuning))
    for title, trials in _both(tuning).items():
        console.print(f"{title}: {_ranked(tuning, trials)}")
    for line in warnings(tuning):
        console.print(line)
    console.print(f"The study takes other seeds than {_seeds(tuning)}, once as it is and once with")
    console.print(f"  {override(tuning)}")


def override(tuning: Tuning) -> str:
    """What to type, in a shell, for the study with each arm at its best rate; without factors an empty mapping."""
    factors = ", ".join(f"{name}: {factor:g}" for name, factor in tuning.factors.items())
    return shlex.quote(f"{FACTORS}={{{factors}}}")


def warnings(tuning: Tuning) -> list[str]:
    """What weakens the choice, a line each: rates that may be as good, bests at the edge, runs that failed."""
    lines = []
    for arm in tuning.arms:
        if arm.best and arm.undecided:
            others = join_words([f"{rate:g}" for rate in arm.undecided], " or ")
            seeds = "1 seed" if len(tuning.seeds) == 1 else f"{len(tuning.seeds)} seeds"
            lines.append(
                f"{arm.label}: {seeds} cannot tell the best rate, {arm.best.rate:g}, from {others}; try these with "
                "more seeds, and as many trials for every arm"
            )
    for arm in tuning.arms:
        if arm.edge:
            assert arm.best
            near, far = tuning.rates[:2] if arm.edge == "lowest" else tuning.rates[:-3:-1]
            lines.append(
                f"{arm.label} is best at the {arm.edge} rate that was tried, {arm.best.rate:g}: widen the grid, for "
                f"all arms, by {RATE}={near * near / far:.3g}"
            )
    for arm in tuning.arms:
        for trial in arm.trials:
            if seeds := [str(seed) for seed, value in trial.values.items() if value is None]:
                which = f"seed{'s' * (len(seeds) > 1)} {join_words(seeds)}"
                lines.append(
                    f"{arm.label} diverged or collapsed at {trial.rate:g} with {which}: the trial counts as the worst"
                )
        if arm.best is None:
            lines.append(
                f"{arm.label} has no best rate, as a run of each trial diverged or collapsed; its factor stays 1"
            )
    return lines


def write_tuning(tuning: Tuning) -> Path:
    """Write tuning.json into the folder, `as_json`; returns its path."""
    path = tuning.directory / FILE
    write_json(path, as_json(tuning))
    return path


def as_json(tuning: Tuning) -> dict[str, Any]:
    """All of it in values that JSON has; None where runs diverged or collapsed.

    - `metric`, `better`, `rates`, `seeds`, `equal_rate`, `override` (quoted for a shell), `factors` by generator.
    - `arms`: `arm`, `generator`, `trials` (`rate`, `value`, `values` by seed), `best_rate`, `best`, `at_equal_rate`,
      `factor`, `expected_best` (of 1, 2, ... trials), `at_edge` (lowest, highest or None), `undecided` (other
      rates that may be the best).
    - `orders`: `at equal rates` and `each at its best`, from the best arm to the worst, lists of equal ones.
    - `warnings`: sentences.
    """
    return {
        "metric": tuning.metric,
        "better": tuning.measure.better,
        "rates": list(tuning.rates),
        "seeds": list(tuning.seeds),
        "equal_rate": tuning.equal_rate,
        "override": override(tuning),
        "factors": tuning.factors,
        "arms": [
            {
                "arm": arm.label,
                "generator": arm.generator,
                "trials": [
                    {
                        "rate": trial.rate,
                        "value": trial.value,
                        "values": {str(seed): value for seed, value in trial.values.items()},
                    }
                    for trial in arm.trials
                ],
                "best_rate": arm.best.rate if arm.best else None,
                "best": arm.best.value if arm.best else None,
                "at_equal_rate": arm.equal.value,
                "factor": arm.factor,
                "expected_best": list(arm.expected_best),
                "at_edge": arm.edge or None,
                "undecided": list(arm.undecided),
            }
            for arm in tuning.arms
        ],
        "orders": {title: tuning.order(trials) for title, trials in _both(tuning).items()},
        "warnings": warnings(tuning),
    }


def _seeds(tuning: Tuning) -> str:
    return join_words(list(map(str, tuning.seeds)))


def _both(tuning: Tuning) -> dict[str, dict[str, Trial | None]]:
    return {
        "at equal rates": {arm.label: arm.equal for arm in tuning.arms},
        "each at its best": {arm.label: arm.best for arm in tuning.arms},
    }


def _ranked(tuning: Tuning, trials: dict[str, Trial | None]) -> str:
    """Arms with their values and rates, from the best to the worst."""

    def named(label: str) -> str:
        trial = trials[label]
        return f"{label} {_shown(trial.value)} ({trial.rate:g})" if trial else f"{label} {_shown(None)}"

    return ", ".join(" = ".join(map(named, labels)) for labels in tuning.order(trials))


def _rates_table(tuning: Tuning) -> Table:
    rates = [f"{rate:g}" + (" (equal)" if rate == tuning.equal_rate else "") for rate in tuning.rates]
    rows = []
    for arm in tuning.arms:
        values = [_shown(trial.value) + ("*" if trial is arm.best else "") for trial in arm.trials]
        best = [f"{arm.best.rate:g}", f"{arm.factor:g}"] if arm.best else ["none", "-"]
        rows.append([arm.label, *values, *best])
    return table(["arm", *rates, "best rate", "factor"], rows)


def _expected_table(tuning: Tuning) -> Table:
    head = ["arm", *(f"k={k}" for k in range(1, len(tuning.rates) + 1))]
    return table(head, [[arm.label, *map(_shown, arm.expected_best)] for arm in tuning.arms])


def _shown(value: float | None) -> str:
    return "failed" if value is None else f"{value:.4g}"
