"""Adam with TensorFlow's fused kernel, a schedule, and loss scaling for float16.

Keras' own takes ten small operations per weight, which is much of a small network's step on a CPU; and its loss
scaling does not report which steps it skipped.
"""

import math

import tensorflow as tf

from ganlab.config import Adam as Settings
from ganlab.training import replicas

FIRST_SCALE, GROWTH_STEPS = 2.0**15, 2000
"""The first factor on losses for float16, and after how many finite steps in a row it doubles."""
LEAST_SCALE = 1.0
"""The scale never falls below this: smaller ones lose gradients, and 0 makes the next finite step NaN. TensorFlow's own
loss scaling stops at 1 too (`DynamicLossScale`, `LossScaleOptimizer`)."""
TROUBLE = 50
"""This many skipped updates in a row end a run: 15 bring `FIRST_SCALE` down to 1, so that the scale is no longer the
cause, and the others leave room for scales that have grown."""


class Adam:
    """Kingma and Ba 2015, arXiv:1412.6980, for the weights of one network.

    count: updates taken. scale: what losses are multiplied by (1 without loss scaling). skipped: updates left out
    because a gradient was not finite; each halves the scale, down to `LEAST_SCALE`, and advances nothing else.
    good_steps: finite updates since the scale last changed; negative: how many were skipped in a row.
    """

    def __init__(
        self,
        weights: list[tf.Variable],
        settings: Settings,
        rate: float,
        updates: int,
        *,
        loss_scaled: bool = False,
        lazy: int = 1,
    ):
        """updates: after which the schedule ends. lazy: every `lazy` updates a penalty is taken, `lazy` times as large.

        Then the rate is multiplied, and the decays are raised, by lazy/(lazy+1). Karras et al. 2020, arXiv:1912.04958.
        """
        correction = lazy / (lazy + 1) if lazy > 1 else 1.0
        self._settings, self._updates, self.loss_scaled = settings, updates, loss_scaled
        self.rate = rate * correction
        self.beta_1, self.beta_2 = settings.beta_1**correction, settings.beta_2**correction
        self.weights = weights
        self.first = [_zeros(weight, "first") for weight in weights]
        self.second = [_zeros(weight, "second") for weight in weights]
        self.count = tf.Variable(0, dtype=tf.int64, trainable=False, name="count")
        self.scale = tf.Variable(FIRST_SCALE if loss_scaled else 1.0, trainable=False, name="scale")
        self.good_steps = tf.Variable(0, dtype=tf.int64, trainable=False, name="good_steps")
        self.skipped = tf.Variable(0, dtype=tf.int64, trainable=False, name="skipped")

    def scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """The loss whose gradient `descend` expects."""
        return loss * self.scale if self.loss_scaled else loss

    def descend(self, gradients: list[tf.Tensor]) -> tf.Tensor:
        """One update from gradients of `scaled(loss)` on this replica; returns whether it was taken, bool []."""
        gradients = replicas.average(gradients)
        if not self.loss_scaled:
            self._apply(gradients)
            return tf.constant(True)
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])

        def take() -> tf.Tensor:
            self._apply([gradient / self.scale for gradient in gradients])
            in_a_row = tf.maximum(self.good_steps, 0) + 1
            grows = tf.equal(in_a_row, GROWTH_STEPS)
            doubles = tf.logical_and(grows, tf.math.is_finite(self.scale * 2))
            replicas.assign(self.scale, tf.where(doubles, self.scale * 2, self.scale))
            replicas.assign(self.good_steps, tf.where(grows, tf.zeros_like(in_a_row), in_a_row))
            return tf.constant(True)

        def skip() -> tf.Tensor:
            replicas.assign(self.scale, tf.maximum(self.scale / 2, LEAST_SCALE))
            replicas.assign(self.good_steps, tf.minimum(self.good_steps, 0) - 1)
            replicas.assign(self.skipped, self.skipped + 1)
            return tf.constant(False)

        return tf.cond(finite, take, skip)

    def skipped_in_a_row(self) -> int:
        """Updates left out since the last one that was taken."""
        return max(0, -int(self.good_steps.numpy()))

    def learning_rate(self) -> tf.Tensor:
        """The rate of the next update: a linear rise over the warm-up, then the decay to the final share."""
        settings = self._settings
        count = tf.cast(self.count, tf.float32)
        warmup = settings.warmup_steps
        progress = tf.clip_by_value((count - warmup) / max(self._updates - warmup, 1), 0.0, 1.0)
        fall = (1 + tf.cos(math.pi * progress)) / 2 if settings.schedule == "cosine" else 1 - progress
        share = settings.final_rate + (1 - settings.final_rate) * fall
        return self.rate * share * (tf.minimum((count + 1) / warmup, 1.0) if warmup else 1.0)

    def tensors(self) -> dict[str, tf.Variable]:
        """What a checkpoint must hold, by names that depend only on the order of the weights."""
        tensors = {"count": self.count, "scale": self.scale, "good_steps": self.good_steps, "skipped": self.skipped}
        for number, (first, second) in enumerate(zip(self.first, self.second, strict=True)):
            tensors |= {f"first/{number}": first, f"second/{number}": second}
        return tensors

    def _apply(self, gradients: list[tf.Tensor]) -> None:
        rate = self.learning_rate()
        power = tf.cast(self.count + 1, tf.float32)
        for weight, first, second, gradient in zip(self.weights, self.first, self.second, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=weight.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=self.beta_1**power,
                beta2_power=self.beta_2**power,
                lr=rate,
                beta1=self.beta_1,
                beta2=self.beta_2,
                epsilon=self._settings.epsilon,
                grad=tf.cast(gradient, weight.dtype),
            )
        replicas.assign(self.count, self.count + 1)


def _zeros(weight: tf.Variable, name: str) -> tf.Variable:
    return tf.Variable(tf.zeros(weight.shape, weight.dtype), trainable=False, name=name)
