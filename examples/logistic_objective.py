"""An objective of one's own: the minimax game as Goodfellow first wrote it, where the generator saturates.

    python -m ganlab.train --plugin examples/logistic_objective.py objective=logistic

The generator minimises log(1 - D), which is flat where the discriminator is sure: the reason why everybody trains with
-log D (`objective=non_saturating`) instead. Goodfellow et al. 2014, arXiv:1406.2661.
"""

from typing import Literal

import tensorflow as tf

from ganlab.config import Positive, Settings
from ganlab.training.objectives import Objective


class LogisticSettings(Settings):
    """temperature: scores are divided by it."""

    name: Literal["logistic"]
    temperature: Positive = 1.0


def logistic(*, temperature: float) -> Objective:
    """D: E softplus(-a/t) + E softplus(b/t); G: -E softplus(b/t)."""

    def softplus(scores: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.math.softplus(scores / temperature))

    return Objective(
        discriminator=lambda real, fake: softplus(-real) + softplus(fake),
        generator=lambda real, fake: -softplus(fake),
    )


OBJECTIVES = {"logistic": (LogisticSettings, logistic)}
