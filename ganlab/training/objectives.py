"""The losses of both networks: functions of real scores a and fake scores b, both [B], to a loss []."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from ganlab.config import plugins
from ganlab.training import replicas


class Objective(NamedTuple):
    """Two losses of (real_scores, fake_scores), each to be minimised by its network.

    relative: whether the generator's loss depends on real scores; if not, they need not be computed for it.
    """

    discriminator: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    generator: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    relative: bool = False


def _mean_softplus(scores: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.math.softplus(scores))


def non_saturating(*, label_smoothing: float = 0.0) -> Objective:
    """D: E softplus(-a) + E softplus(b); G: E softplus(-b). Goodfellow et al. 2014, arXiv:1406.2661.

    label_smoothing: real images count as generated with this probability, in D's loss only (one-sided; Salimans et al.
    2016, arXiv:1606.03498): E softplus(-a) becomes (1-s) E softplus(-a) + s E softplus(a).
    """

    def discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        smooth = label_smoothing * _mean_softplus(real) if label_smoothing else 0.0
        return (1 - label_smoothing) * _mean_softplus(-real) + smooth + _mean_softplus(fake)

    return Objective(discriminator, generator=lambda real, fake: _mean_softplus(-fake))


def hinge() -> Objective:
    """D: E relu(1-a) + E relu(1+b); G: -E b. Lim and Ye 2017, arXiv:1705.02894."""
    return Objective(
        discriminator=lambda real, fake: tf.reduce_mean(tf.nn.relu(1 - real)) + tf.reduce_mean(tf.nn.relu(1 + fake)),
        generator=lambda real, fake: -tf.reduce_mean(fake),
    )


def least_squares(*, label_smoothing: float = 0.0) -> Objective:
    """D: E (a-1)^2 / 2 + E b^2 / 2; G: E (b-1)^2 / 2, on raw scores. Mao et al. 2017, arXiv:1611.04076.

    label_smoothing: D wants 1 minus this of real images instead of 1.
    """
    wanted = 1 - label_smoothing
    return Objective(
        discriminator=lambda real, fake: (tf.reduce_mean((real - wanted) ** 2) + tf.reduce_mean(fake**2)) / 2,
        generator=lambda real, fake: tf.reduce_mean((fake - 1) ** 2) / 2,
    )


def wasserstein() -> Objective:
    """D: E b - E a; G: -E b. Needs a penalty that keeps gradient norms near 1.

    Arjovsky et al. 2017, arXiv:1701.07875.
    """
    return Objective(
        discriminator=lambda real, fake: tf.reduce_mean(fake) - tf.reduce_mean(real),
        generator=lambda real, fake: -tf.reduce_mean(fake),
    )


def relativistic() -> Objective:
    """D: E softplus(-(a - b)); G: E softplus(-(b - a)), in pairs. Jolicoeur-Martineau 2018, arXiv:1807.00734.

    Adding a constant to all scores changes nothing, so the level of the scores means nothing.
    """
    return Objective(
        discriminator=lambda real, fake: _mean_softplus(fake - real),
        generator=lambda real, fake: _mean_softplus(real - fake),
        relative=True,
    )


def relativistic_average() -> Objective:
    """D: E softplus(-(a - E b)) + E softplus(b - E a); G: the sides swapped. Jolicoeur-Martineau 2018.

    The means are those of the whole batch, over all replicas.
    """

    def above(high: tf.Tensor, low: tf.Tensor) -> tf.Tensor:
        return _mean_softplus(replicas.mean(low) - high) + _mean_softplus(low - replicas.mean(high))

    return Objective(discriminator=above, generator=lambda real, fake: above(fake, real), relative=True)


OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "non_saturating": non_saturating,
    "hinge": hinge,
    "least_squares": least_squares,
    "wasserstein": wasserstein,
    "relativistic": relativistic,
    "relativistic_average": relativistic_average,
}
OBJECTIVES.update(plugins.builders("objectives"))
