"""What is known of a judgement beside the test that decides: other statistics, failures, seeds that are needed."""

from ganlab.reporting.arms import Arm
from ganlab.reporting.judge import Judgement


def robust_columns(judgement: Judgement) -> dict[str, str]:
    """Other statistics of the same pairs by name, as a table shows them."""
    del judgement
    return {}


def failures(arm: Arm) -> str:
    """How many of an arm's runs diverged."""
    diverged = sum(run.status == "diverged" for run in arm.runs.values())
    return f"{diverged} of {len(arm.runs)}"


def seeds_for_power(judgement: Judgement) -> int | None:
    """Pairs with which a true effect as large as the one seen would be found in 80 of 100 studies."""
    del judgement
    return None
