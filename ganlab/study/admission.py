"""Which metrics may decide: those that rate known faults of real images worse than grain that hardly anyone sees."""

from collections.abc import Mapping

import numpy as np

from ganlab.evaluation.registry import FAULTS, GRAIN, METRICS, RUNG_DRAWS, RUNG_NOISE, WITHOUT_CLASS, Rungs, base_name

SURE = 3.0  # standard errors that count as more than chance


def objection(metric: str, rungs: Rungs) -> tuple[str, str] | None:
    """The fault that a measure rates no worse than grain, and the grain; None where it is admitted.

    rungs: of this metric, as `climb` gives them; a missing class counts as the mean over the classes left out in turn.
    """
    measure = METRICS[base_name(metric)]

    def badness(rung: str) -> float:
        value = rungs[rung]
        return -value if measure.direction == "larger" else abs(value) if measure.scale == "size" else value

    grain = max(GRAIN, key=badness)
    faults = {rung: badness(rung) for rung in FAULTS}
    if absent := [badness(rung) for rung in rungs if rung.startswith(WITHOUT_CLASS)]:
        faults["a missing class"] = float(np.mean(absent))
    mildest = min(faults, key=lambda rung: faults[rung])
    step = SURE * rungs[RUNG_NOISE] * np.sqrt(2 / RUNG_DRAWS)
    return None if faults[mildest] - badness(grain) > step else (mildest, grain)


def admitted(ladder: Mapping[str, Rungs]) -> list[str]:
    """The measures that may decide, in the order of the ladder."""
    return [metric for metric, rungs in ladder.items() if objection(metric, rungs) is None]
