"""Which checkpoint of a run is its best so far."""

import math
from collections.abc import Container, Mapping
from typing import Any

from ganlab.evaluation.registry import Metric, metric_of, quick_relative


class Best:
    """The best step so far by the study's primary, as it is measured on the way.

    known: `{"step", "metric", "value"}`; None where the primary has not been measured yet, or is measured at the end
    only. The earliest of equal ones stays.
    """

    def __init__(self, quality: str, known: dict[str, Any] | None, there: Container[int]):
        """quality: `comparison.quality`. known: at the checkpoint that a run goes on from. there: steps with one."""
        self._metric, self._measure = quick_relative(quality), _compared(quality)
        self.known = known if known and known["step"] in there else None

    @property
    def step(self) -> int | None:
        """Its step."""
        return self.known["step"] if self.known else None

    def offer(self, step: int, measured: Mapping[str, float]) -> bool:
        """Whether this step is the best so far, which it is from then on."""
        value = measured.get(self._metric)
        if value is None or self._measure is None:
            return False
        better = self._measure.is_better(value, self.known["value"]) if self.known else math.isfinite(value)
        if better:
            self.known = {"step": step, "metric": self._metric, "value": value}
        return better


def _compared(name: str) -> Metric | None:
    """The metric, if it has a better side."""
    metric = metric_of(name)
    return metric if metric and metric.direction else None
