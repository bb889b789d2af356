"""What each network wants: functions of real scores a and fake scores b, both [B], to a loss []."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Objective(NamedTuple):
    """Two losses of (real_scores, fake_scores), each smaller the better for its network."""

    discriminator: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    generator: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def _mean_softplus(scores: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.math.softplus(scores))


def non_saturating() -> Objective:
    """D: E softplus(-a) + E softplus(b); G: E softplus(-b). Goodfellow et al. 2014, arXiv:1406.2661."""
    return Objective(
        discriminator=lambda real, fake: _mean_softplus(-real) + _mean_softplus(fake),
        generator=lambda real, fake: _mean_softplus(-fake),
    )


def relativistic() -> Objective:
    """D: E softplus(-(a - b)); G: E softplus(-(b - a)), in pairs. Jolicoeur-Martineau 2018, arXiv:1807.00734.

    Unchanged when a constant is added to all scores, so the level of the scores means nothing.
    """
    return Objective(
        discriminator=lambda real, fake: _mean_softplus(fake - real),
        generator=lambda real, fake: _mean_softplus(real - fake),
    )


OBJECTIVES: dict[str, Callable[..., Objective]] = {"non_saturating": non_saturating, "relativistic": relativistic}
