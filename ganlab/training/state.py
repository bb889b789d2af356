"""Everything that training changes, by name: two networks, the average, two optimizers, the step."""

from collections.abc import Iterable

import keras
import tensorflow as tf

from ganlab.config import Adam


class Gan:
    """The only mutable thing of a run.

    generator, discriminator: trained. average: the generator with averaged weights, the one that is measured and kept.
    step: adversarial steps taken, int64. sums: running sums of what is logged since the last record (see `step.LOGS`),
    part of the state so that a run may stop between two records and still report the same means.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        average: keras.Model,
        g_optimizer: keras.optimizers.Optimizer,
        d_optimizer: keras.optimizers.Optimizer,
        logs: int,
    ):
        self.generator, self.discriminator, self.average = generator, discriminator, average
        self.g_optimizer, self.d_optimizer = g_optimizer, d_optimizer
        g_optimizer.build(generator.trainable_variables)
        d_optimizer.build(discriminator.trainable_variables)
        average.set_weights(generator.get_weights())
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self.sums = tf.Variable(tf.zeros([logs]), trainable=False, name="sums")

    def follow(self, keep: tf.Tensor) -> None:
        """Move the average: keep this share of it, take the rest from the generator (batch statistics too)."""
        for mean, now in zip(self.average.variables, self.generator.variables, strict=True):
            if mean.dtype == "float32":
                mean.assign(now + (mean - now) * keep)

    def tensors(self) -> dict[str, tf.Variable]:
        """Every variable under a name that depends on the settings alone."""
        named = {"step": self.step, "sums": self.sums}
        for owner in ("generator", "discriminator", "average", "g_optimizer", "d_optimizer"):
            for name, variable in _named(getattr(self, owner).variables):
                named[f"{owner}/{name}"] = variable.value
        return named


def _named(variables: Iterable[keras.Variable]) -> Iterable[tuple[str, keras.Variable]]:
    seen: set[str] = set()
    for variable in variables:
        name = variable.path
        while name in seen:
            name += "'"
        seen.add(name)
        yield name, variable


def make_optimizer(settings: Adam, rate: float, steps: int, *, loss_scaled: bool) -> keras.optimizers.Optimizer:
    """Adam (Kingma and Ba 2015) whose rate falls along a cosine from `rate` to its final share after `steps` steps.

    loss_scaled: wrap it for float16, so that gradients neither vanish nor overflow.
    """
    schedule = rate
    if settings.final_rate < 1:
        schedule = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=settings.final_rate)
    adam = keras.optimizers.Adam(schedule, settings.beta_1, settings.beta_2, settings.epsilon, name="adam")
    return keras.optimizers.LossScaleOptimizer(adam, name="scaled") if loss_scaled else adam
