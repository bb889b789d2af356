"""What is known of a comparison beside the test that decides: other statistics, failures, seeds that are needed."""

import math

from ganlab.report.words import number, shown_effect
from ganlab.study.compare import ArmComparison
from ganlab.study.values import FailureRate


def robust_columns(comparison: ArmComparison) -> dict[str, str]:
    """Other statistics of the same pairs by name, as a table shows them."""
    robust, endpoint = comparison.robust, comparison.endpoint

    def effect(value: float | None) -> str:
        return "–" if value is None else shown_effect(endpoint, endpoint.measure.own(value))

    chance = number(robust.improvement, 2)
    if robust.improvement_low is not None and robust.improvement_high is not None:
        chance += f" ({robust.improvement_low:.2f} to {robust.improvement_high:.2f})"
    return {
        "Wilcoxon p": number(robust.wilcoxon_p, 3),
        "interquartile mean": effect(robust.interquartile_mean),
        "Hodges-Lehmann": effect(robust.hodges_lehmann),
        "P(better)": chance,
        "correlation": number(robust.correlation, 2),
    }


def failures(rate: FailureRate) -> str:
    """How many of an arm's runs that came to an end diverged, with an interval."""
    if not rate.runs:
        return "–"
    return f"{rate.diverged} of {rate.runs} ({math.floor(100 * rate.low)} to {math.ceil(100 * rate.high)} %)"


def plans(comparison: ArmComparison) -> str:
    """With how many pairs an inconclusive comparison had a good chance to be decided; empty where nobody knows."""
    robust, have = comparison.robust, comparison.paired.runs
    said = []
    if comparison.by_ranks:  # the numbers below are of finished pairs, which do not decide
        return ""
    if robust.seeds_for_power is not None and robust.seeds_for_power > have:
        said.append(f"{robust.seeds_for_power} pairs to find a difference as large as the one seen")
    if robust.seeds_for_equivalence is not None and robust.seeds_for_equivalence > have:
        said.append(f"{robust.seeds_for_equivalence} pairs to show equivalence if there is no difference")
    return ", or ".join(said)
