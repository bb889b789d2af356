"""What weakens a study beyond its numbers: choices made after the runs, and runs that were not made alike."""

from collections.abc import Sequence

from ganlab.config.comparison import Comparing
from ganlab.study.arms import Arm
from ganlab.study.values import ChosenAfterwards, MadeDifferently


def chosen_afterwards(plan: Comparing, primary: str | None, reference: str, usual: str) -> list[ChosenAfterwards]:
    """Where the primary metric or the reference is not what the settings said before the first run.

    primary: the metric that decides, None where nobody measured one. usual: the reference if the settings name none.
    """
    stated = plan.reference or usual
    cautions = []
    if primary not in (None, plan.quality):
        cautions.append(ChosenAfterwards("primary metric", str(primary), plan.quality))
    if reference != stated:
        cautions.append(ChosenAfterwards("reference", reference, stated))
    return cautions


def made_differently(arms: Sequence[Arm]) -> list[MadeDifferently]:
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
        MadeDifferently(what, tuple((value, tuple(labels)) for value, labels in values.items()))
        for what, values in facts.items()
        if len(values) > 1
    ]
