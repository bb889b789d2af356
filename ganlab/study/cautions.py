"""What weakens a study beyond its numbers: choices made after the runs, and runs that were not made alike."""

from collections.abc import Sequence

from ganlab.config.comparison import Comparing
from ganlab.study.arms import Arm


def chosen_afterwards(plan: Comparing, primary: str | None, reference: str, usual: str) -> list[str]:
    """Where the primary metric or the reference is not what the settings said before the first run.

    primary: the metric that decides, None where nobody measured one. usual: the reference if the settings name none.
    """
    said = []
    if primary not in (None, plan.quality):
        said.append(f"The primary metric {primary} was chosen after the runs; {plan.quality} was stated before them.")
    if reference != (plan.reference or usual):
        said.append(
            f"The reference {reference} was chosen after the runs; {plan.reference or usual} was stated before them."
        )
    return said


def left_out_by_hand(lines: Sequence[str]) -> list[str]:
    """That somebody chose runs that do not count; `lines`: which, and how they stand."""
    runs = f"{len(lines)} run{'s' * (len(lines) > 1)}"
    return [f"Left out by hand, after the runs (--leave-out): {runs}, {'; '.join(lines)}."] if lines else []


def made_differently(arms: Sequence[Arm]) -> list[str]:
    """Devices, variables and versions of finished runs, with the arms that have them, where they are not all equal."""
    facts: dict[str, dict[str, list[str]]] = {}
    for arm in arms:
        for run in arm.runs.values():
            if run.status == "finished":
                environment = ", ".join(f"{name}={value}" for name, value in sorted(run.environment.items()))
                alike = {"device": run.device or "not recorded", "environment": environment or "nothing set"}
                for what, value in (alike | run.versions).items():
                    labels = facts.setdefault(what, {}).setdefault(value, [])
                    labels += [arm.label] * (arm.label not in labels)
    return [
        f"Not all runs were made alike: {what} "
        + "; ".join(f"{value} ({', '.join(labels)})" for value, labels in values.items())
        + "."
        for what, values in facts.items()
        if len(values) > 1
    ]
