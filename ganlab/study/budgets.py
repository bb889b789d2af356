"""How arms compare at equal images and at equal seconds, from what their runs recorded while training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ganlab.study.arms import Arm
from ganlab.study.compare import compare_values
from ganlab.study.statistics import Comparison
from ganlab.study.values import Endpoint, Study

Budget = Literal["images", "seconds"]
Series = list[tuple[int, float, float]]
"""A metric of one run while it trained: (images, seconds, value), in rising order."""


@dataclass(frozen=True)
class AtBudget:
    """Each arm against the reference at a budget that every run has reached. comparisons: by arm; more is better."""

    over: Budget
    budget: float
    comparisons: dict[str, Comparison]


def at_equal_budget(
    study: Study, endpoint: Endpoint, series: Mapping[str, Mapping[int, Series]], over: Budget
) -> AtBudget | None:
    """The arms at the largest budget that all their runs have reached; None where some run recorded nothing.

    series: by arm and seed. Each run counts with its last value up to the budget; a pair in which a run has none is
    left out. Collapsed runs count as the worst here, too.
    """
    column = ("images", "seconds").index(over)
    runs = [series.get(arm.label, {}).get(seed, []) for arm in study.arms for seed in arm.values(endpoint.metric)]
    if not runs or not all(runs):
        return None
    budget = min(run[-1][column] for run in runs)

    def values(arm: Arm) -> dict[int, float]:
        within_budget = {
            seed: [value for *spent, value in series[arm.label][seed] if spent[column] <= budget]
            for seed in arm.values(endpoint.metric)
        }
        return {seed: row[-1] for seed, row in within_budget.items() if row}

    theirs = values(study.reference)
    return AtBudget(
        over,
        budget,
        {
            arm.label: compare_values(endpoint, arm, values(arm), study.reference, theirs)
            for arm in study.arms
            if arm is not study.reference
        },
    )
