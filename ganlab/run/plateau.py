"""When to stop a run: where twice the images have hardly improved its primary metric."""

import math
from collections.abc import Mapping

from ganlab.config import Full, RunConfig
from ganlab.errors import ConfigError
from ganlab.evaluation.registry import metric_of, quick_relative


def primary_during_training(config: RunConfig) -> str:
    """The name under which the study's primary metric, or its quick counterpart, is measured during training."""
    quality = config.comparison.quality
    return quality if full_measures_every(config) else quick_relative(quality)


def full_measures_every(config: RunConfig) -> int | None:
    """The steps between full measures during training; None where they are taken only at the end."""
    return config.metrics.final.every_steps if isinstance(config.metrics, Full) else None


def check_plateau(config: RunConfig) -> None:
    """Refuse `training.plateau` where nothing measures it, or where rates would not have fallen when it is reached."""
    where, metric = f"training.plateau={config.training.plateau}", metric_of(config.comparison.quality)
    if config.training.plateau is None:
        return
    if metric is None or metric.scale != "ratio":
        raise ConfigError(f"{where} needs a distance as comparison.quality, such as frechet_distance")
    if not (full_measures_every(config) or config.metrics.every_steps):
        raise ConfigError(
            f"{where} needs measures during training; set metrics.every_steps or metrics.final.every_steps"
        )
    if config.optimizer.final_rate != 1 or config.augment.noise:
        raise ConfigError(
            f"{where} ends runs before rates and noise have fallen; use optimizer.final_rate=1 and augment.noise=0"
        )


def at_plateau(history: Mapping[int, float], share: float | None) -> bool:
    """Whether a distance has fallen by less than a share since half the number of steps.

    history: values by step. The best value up to now is compared with the best up to half the steps.
    """
    if share is None or not history:
        return False
    last = max(history)
    before = [value for step, value in history.items() if 2 * step <= last and math.isfinite(value)]
    return bool(before) and min(history.values()) > (1 - share) * min(before)
