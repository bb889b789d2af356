"""One adversarial step: the discriminator descends, then the generator, then the average follows."""

from collections.abc import Callable

import tensorflow as tf

from ganlab.training.objectives import Objective
from ganlab.training.state import Gan

LOGS = ("loss/discriminator", "loss/generator", "loss/penalty", "score/real", "score/fake")
"""What a step reports, in order; `gan.sums` adds it up between two records."""

RAMP = 0.05
"""The average's half-life is at most this share of the images seen, so that it forgets the untrained start."""


def make_steps(
    gan: Gan,
    objective: Objective,
    penalty: Callable,
    batch: Callable[[tf.Tensor], tf.Tensor],
    noise: Callable[[str, tf.Tensor], tf.Tensor],
    *,
    half_life_images: float,
) -> Callable[[tf.Tensor], None]:
    """Compile `steps(count)`: so many steps in one call, each of which changes `gan` in place.

    batch: step -> real images [B,H,W,C] in [-1, 1]. noise: (stream, step) -> latents [B,Z]. Both are functions of the
    step alone, so a step does the same wherever a run was stopped before it, and however calls are portioned.
    """

    def descend(network, optimizer, tape, loss):
        weights = network.trainable_variables
        gradients = tape.gradient(loss, weights)
        optimizer.apply_gradients(zip(gradients, weights, strict=True))

    def step() -> None:
        real = batch(gan.step)
        size = real.shape[0]

        def judge(images):
            return gan.discriminator(images, training=True)[:, 0]

        def invent(stream):
            return gan.generator(noise(stream, gan.step), training=True)

        fake = invent("latents/discriminator")  # outside the tape: only the discriminator moves
        with tf.GradientTape() as tape:
            real_scores, fake_scores, cost = penalty(judge, real, fake)
            d_loss = objective.discriminator(real_scores, fake_scores)
            scaled = gan.d_optimizer.scale_loss(d_loss + cost)
        descend(gan.discriminator, gan.d_optimizer, tape, scaled)

        with tf.GradientTape() as tape:  # real scores matter to relativistic objectives; elsewhere they are pruned
            g_loss = objective.generator(judge(real), judge(invent("latents/generator")))
            scaled = gan.g_optimizer.scale_loss(g_loss)
        descend(gan.generator, gan.g_optimizer, tape, scaled)

        gan.step.assign_add(1)
        seen = tf.cast(gan.step * size, tf.float32)
        gan.follow(keep=0.5 ** (size / tf.maximum(tf.minimum(half_life_images, RAMP * seen), 1e-3)))
        logs = (d_loss, g_loss, cost, tf.reduce_mean(real_scores), tf.reduce_mean(fake_scores))
        gan.sums.assign_add(tf.stack(logs))

    @tf.function
    def steps(count: tf.Tensor) -> None:
        for _ in tf.range(count):
            step()

    return steps
