"""One adversarial step: the discriminator is updated, then the generator, then the EMA of the generator."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

import tensorflow as tf

from ganlab.training import replicas
from ganlab.training.augment import Draws
from ganlab.training.objectives import Objective
from ganlab.training.state import Gan

LOGS = ("loss/discriminator", "loss/generator", "loss/penalty", "score/real", "score/fake")
"""What a step reports, in order, as means over its updates; `gan.sums` adds them up between two records."""


class Batch(NamedTuple):
    """The input of one update.

    real: images [B,H,W,C] in [-1, 1]. classes: theirs, one-hot [B,K], or None. latents: [B,Z+K], normal, then a class.
    mix: [B] in 0..1, for penalties between images. draws: the augmentation's random numbers.
    """

    real: tf.Tensor
    classes: tf.Tensor | None
    latents: tf.Tensor
    mix: tf.Tensor
    draws: Draws


class Batches(NamedTuple):
    """What steps train on; all of it is a function of the step, so it does not matter where a run was stopped.

    order: (step, count) -> which images make up the batches of `count` steps from this one on, [count, updates, batch];
    outside XLA. read: the places of one batch [batch] -> this replica's part of its pixels; outside XLA too, unless
    they are `on_device`. make: (step, places [updates,batch], pixels of each) -> this replica's part of the batches of
    the discriminator's updates, and of the generator's.
    """

    order: Callable[[tf.Tensor, int], tf.Tensor]
    read: Callable[[tf.Tensor], tf.Tensor]
    on_device: bool
    make: Callable[[tf.Tensor, tf.Tensor, list[tf.Tensor]], tuple[list[Batch], Batch]]


class StepConfig(NamedTuple):
    """What a step does.

    penalty: (score, real, fake, mix) -> (real scores, fake scores, cost), where `score` maps images to scores.
    penalty_every: one in so many updates of the discriminator takes the penalty, multiplied by that number. augment:
    (images, draws) -> images, before the discriminator sees them. share_fakes: the generator learns from the images
    that the discriminator just saw, instead of fresh ones (a quarter less work). before_discriminator: called before
    each of its updates (spectral normalisation's power iteration). ema_half_life_images, ema_rampup: the half-life of
    the EMA, and the largest share that it may be of the images seen so far.
    """

    objective: Objective
    penalty: Callable
    penalty_every: int
    augment: Callable[[tf.Tensor, Draws], tf.Tensor]
    share_fakes: bool
    before_discriminator: Callable[[], None]
    ema_half_life_images: float
    ema_rampup: float


def make_steps(
    gan: Gan,
    config: StepConfig,
    batches: Batches,
    *,
    steps_per_call: int,
    xla: bool = False,
    tracing: Callable[[], AbstractContextManager] = contextlib.nullcontext,
) -> Callable[[tf.Tensor], None]:
    """Compile `steps(count)`, which takes `count` steps; each changes `gan` in place, however they are portioned.

    xla: compile with XLA, up to `steps_per_call` steps in one program if the images are on the device. tracing: a
    context to trace the networks in.
    """

    def scorer(batch: Batch, *, precise: bool = False) -> Callable[[tf.Tensor], tf.Tensor]:
        def score(images: tf.Tensor) -> tf.Tensor:
            images = config.augment(images, batch.draws)
            if batch.classes is None:
                return gan.score(images, precise=precise)[:, 0]
            copies = images.shape[0] // batch.classes.shape[0]  # real and fake in one batch have equal classes
            return gan.score([images, tf.tile(batch.classes, [copies, 1])], precise=precise)[:, 0]

        return score

    def score_both(batch: Batch, fake: tf.Tensor):
        """Real scores, fake scores, and the cost of the penalty if one is due."""

        def plain():
            score = scorer(batch)
            return score(batch.real), score(fake), tf.zeros([])

        def penalised():
            score = scorer(batch, precise=True)
            real_scores, fake_scores, cost = config.penalty(score, batch.real, fake, batch.mix)
            return real_scores, fake_scores, cost * config.penalty_every

        if config.penalty_every == 1:
            return penalised()
        due = gan.d_optimizer.count % config.penalty_every == 0  # a skipped update leaves its penalty to the next
        return tf.cond(due, penalised, plain)

    def generate(batch: Batch) -> tuple[tf.Tensor, tf.GradientTape]:
        with tf.GradientTape() as tape:
            fake = gan.generator(batch.latents, training=True)
        return fake, tape

    def update_discriminator(batch: Batch, fake: tf.Tensor):
        config.before_discriminator()
        with tf.GradientTape() as tape:
            real_scores, fake_scores, cost = score_both(batch, tf.stop_gradient(fake))
            loss = config.objective.discriminator(real_scores, fake_scores)
            scaled = gan.d_optimizer.scaled(loss + cost)
        gan.d_optimizer.descend(tape.gradient(scaled, gan.d_optimizer.weights))
        return loss, cost, tf.reduce_mean(real_scores), tf.reduce_mean(fake_scores)

    def update_generator(batch: Batch, fake: tf.Tensor, generated: tf.GradientTape):
        """generated: the tape that recorded how `fake` was made."""
        score = scorer(batch)
        # TensorFlow never prunes a pass through a batch normalisation, even if its result is unused: it updates the
        # moving statistics. Scoring real images for nothing would cost a twelfth of a DCGAN step.
        real_scores = score(batch.real) if config.objective.relative else tf.zeros([batch.real.shape[0]])
        with tf.GradientTape() as tape:
            tape.watch(fake)
            loss = config.objective.generator(real_scores, score(fake))
            scaled = gan.g_optimizer.scaled(loss)
        output_gradients = tape.gradient(scaled, fake)
        gradients = generated.gradient(fake, gan.g_optimizer.weights, output_gradients=output_gradients)
        return loss, gan.g_optimizer.descend(gradients)

    def update_ema(images_per_step: int, updated: tf.Tensor) -> None:
        images = tf.cast(gan.g_optimizer.count * images_per_step, tf.float32)
        half_life = tf.maximum(tf.minimum(config.ema_half_life_images, config.ema_rampup * images), 1e-3)
        gan.update_ema(decay=tf.where(updated, 0.5 ** (images_per_step / half_life), 1.0))

    def train_step(d_batches: list[Batch], g_batch: Batch) -> None:
        *earlier, last = d_batches
        reports = [update_discriminator(batch, generate(batch)[0]) for batch in earlier]
        fake, generated = generate(last)
        reports.append(update_discriminator(last, fake))
        if not config.share_fakes:
            fake, generated = generate(g_batch)
        g_loss, updated = update_generator(g_batch, fake, generated)
        update_ema(sum(batch.real.shape[0] for batch in d_batches) * replicas.count(), updated)
        d_loss, cost, real_score, fake_score = (
            tf.add_n(values) / len(reports) for values in zip(*reports, strict=True)
        )
        gan.add(tf.stack([d_loss, g_loss, cost, real_score, fake_score]))

    def read(places: tf.Tensor) -> list[tf.Tensor]:
        return [batches.read(at) for at in tf.unstack(places)]

    def take_step(places: tf.Tensor, pixels: list[tf.Tensor]) -> None:
        with tracing():
            train_step(*batches.make(gan.step, places, pixels))

    # Without AutoGraph, which would take seconds to rewrite the source of every function above. So loops and branches
    # on tensors must be tf.while_loop and tf.cond.
    @tf.function(autograph=False, jit_compile=True)
    def program(count: tf.Tensor, places: tf.Tensor, pixels: list[tf.Tensor]) -> None:
        """`count` steps without the host; pixels: of a single step, if they are not on the device."""

        def one_more(done: tf.Tensor) -> tf.Tensor:
            take_step(places[done], pixels or read(places[done]))
            return done + 1

        tf.while_loop(lambda done: done < count, one_more, [tf.zeros_like(count)])

    def one_step() -> None:
        order = batches.order(gan.step, 1)
        pixels = read(order[0])
        if xla:
            program(tf.constant(1, tf.int64), order, pixels)
        else:
            take_step(order[0], pixels)

    strategy = tf.distribute.get_strategy()

    def some_more(done: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        if xla and batches.on_device:
            now = tf.minimum(count - done, steps_per_call)
            program(now, batches.order(gan.step, steps_per_call), [])
            return done + now
        strategy.run(one_step)
        return done + 1

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.int64)])
    def steps(count: tf.Tensor) -> None:
        tf.while_loop(lambda done: done < count, lambda done: some_more(done, count), [tf.zeros_like(count)])

    if xla:  # now: the cache finds a program by a name that counts what was traced and computed before
        steps.get_concrete_function()  # type: ignore[attr-defined]
    return steps
