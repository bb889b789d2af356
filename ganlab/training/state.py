"""Everything that training changes, by name: two networks, the EMA, two optimizers, the step."""

from collections.abc import Iterable

import keras
import tensorflow as tf

from ganlab.training import replicas
from ganlab.training.adam import Adam


class Gan:
    """The mutable state of a run.

    generator, discriminator: trained. ema: the generator with an exponential moving average of its weights, the one
    that is measured and kept. precise: the discriminator's twin in float32, for penalties under mixed precision; the
    discriminator itself if that is float32. step: adversarial steps taken, int64. sums: running sums of what is
    logged since the last record (see `step.LOGS`); they are part of the state so that a run that stops between two
    records still reports the same means.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        ema: keras.Model,
        precise: keras.Model,
        g_optimizer: Adam,
        d_optimizer: Adam,
        logs: int,
    ):
        self.generator, self.discriminator, self.ema, self.precise = generator, discriminator, ema, precise
        self.g_optimizer, self.d_optimizer = g_optimizer, d_optimizer
        ema.set_weights(generator.get_weights())
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self.sums = tf.Variable(tf.zeros([logs]), trainable=False, name="sums")

    def score(self, inputs, *, precise: bool) -> tf.Tensor:
        """The discriminator's scores [B,1] in training; precise: computed in float32 with the same weights."""
        if not precise or self.precise is self.discriminator:
            return self.discriminator(inputs, training=True)
        trained = self.discriminator
        scores, *_ = self.precise.stateless_call(
            [variable.value for variable in trained.trainable_variables],
            [variable.value for variable in trained.non_trainable_variables],
            inputs,
            training=True,
        )
        return scores

    def update_ema(self, decay: tf.Tensor) -> None:
        """ema = decay * ema + (1 - decay) * generator, batch statistics too."""
        for mean, now in zip(self.ema.variables, self.generator.variables, strict=True):
            if mean.dtype == "float32":
                mean, now = mean.value, now.value
                tf.raw_ops.ResourceApplyGradientDescent(var=mean.handle, alpha=1 - decay, delta=mean - now)

    def tensors(self) -> dict[str, tf.Variable]:
        """Every variable, by a name that depends only on the settings."""
        tensors = {"step": self.step, "sums": self.sums}
        for owner in ("generator", "discriminator", "ema"):
            for name, variable in _named(getattr(self, owner).variables):
                tensors[f"{owner}/{name}"] = variable.value
        for owner in ("g_optimizer", "d_optimizer"):
            tensors |= {f"{owner}/{name}": variable for name, variable in getattr(self, owner).tensors().items()}
        return tensors

    def skips(self) -> dict[str, float]:
        """With loss scaling: updates skipped so far and the current scale, by tag and network; else nothing."""
        both = {"generator": self.g_optimizer, "discriminator": self.d_optimizer}
        scaled = {name: optimizer for name, optimizer in both.items() if optimizer.loss_scaled}
        return {f"precision/skipped_{name}": float(optimizer.skipped.numpy()) for name, optimizer in scaled.items()} | {
            f"precision/loss_scale_{name}": float(optimizer.scale.numpy()) for name, optimizer in scaled.items()
        }

    def add(self, logs: tf.Tensor) -> None:
        """Count one step, and add up what it reports."""
        replicas.assign(self.step, self.step + 1)
        replicas.assign(self.sums, self.sums + replicas.average([logs])[0])


def _named(variables: Iterable[keras.Variable]) -> Iterable[tuple[str, keras.Variable]]:
    names: set[str] = set()
    for variable in variables:
        name = variable.path
        while name in names:
            name += "'"
        names.add(name)
        yield name, variable
