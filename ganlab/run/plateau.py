"""When has a run learned what it will? Where twice the images have hardly made its primary metric better."""

import math
from collections.abc import Mapping

from ganlab.config import Full, RunConfig
from ganlab.errors import ConfigError
from ganlab.evaluation.registry import metric_of, quick_relative


def primary_on_the_way(config: RunConfig) -> str:
    """The name under which the study's primary metric is taken while a run trains, or a quick relative of it."""
    quality = config.comparison.quality
    return quality if full_measures_every(config) else quick_relative(quality)


def full_measures_every(config: RunConfig) -> int | None:
    """The steps from one taking of the full measures to the next, where they are taken on the way at all."""
    return config.metrics.final.every_steps if isinstance(config.metrics, Full) else None


def check_plateau(config: RunConfig) -> None:
    """Refuse `training.plateau` where nothing would tell that it is reached, or rates would not have fallen by then."""
    where, metric = f"training.plateau={config.training.plateau}", metric_of(config.comparison.quality)
    if config.training.plateau is None:
        return
    if metric is None or metric.scale != "ratio":
        raise ConfigError(f"{where} needs a distance as comparison.quality, such as frechet_distance")
    if not (full_measures_every(config) or config.metrics.every_steps):
        raise ConfigError(f"{where} needs measures on the way; set metrics.every_steps or metrics.final.every_steps")
    if config.optimizer.final_rate != 1 or config.augment.noise:
        raise ConfigError(
            f"{where} ends runs before rates and noise have fallen; use optimizer.final_rate=1 and augment.noise=0"
        )


def at_plateau(history: Mapping[int, float], share: float | None) -> bool:
    """Whether a distance has fallen by less than a share since half the steps of its last value.

    history: values by step. Only the best value up to either step counts.
    """
    if share is None or not history:
        return False
    last = max(history)
    before = [value for step, value in history.items() if 2 * step <= last and math.isfinite(value)]
    return bool(before) and min(history.values()) > (1 - share) * min(before)
