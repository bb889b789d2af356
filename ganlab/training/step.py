"""One adversarial step: the discriminator descends, then the generator, then the average follows."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from ganlab.training import replicas
from ganlab.training.augment import Draws
from ganlab.training.objectives import Objective
from ganlab.training.state import Gan

LOGS = ("loss/discriminator", "loss/generator", "loss/penalty", "score/real", "score/fake")
"""What a step reports, in order, means over its updates; `gan.sums` adds it up between two records."""


class Round(NamedTuple):
    """What one update plays with: images [B,H,W,C] in [-1, 1], their classes one-hot [B,K] or None, latents [B,Z+K].

    mix: [B] in 0..1, for penalties between images. draws: the augmentation's random numbers.
    """

    real: tf.Tensor
    classes: tf.Tensor | None
    latents: tf.Tensor
    mix: tf.Tensor
    draws: Draws


class Game(NamedTuple):
    """The rules of a step.

    objective; penalty: (judge, real, fake, mix) -> (real scores, fake scores, cost), taken every `lazy` updates, when
    it counts `lazy` times; augment: (images, draws) -> images, before each look; share_fakes: the generator learns
    from the images that the discriminator just saw, instead of fresh ones (a quarter less work for it); power:
    what the discriminator does before each of its updates (spectral normalisation's power iteration).
    half_life_images, ramp: of the average, the latter the largest share of the images seen.
    """

    objective: Objective
    penalty: Callable | None
    lazy: int
    augment: Callable[[tf.Tensor, Draws], tf.Tensor]
    share_fakes: bool
    power: Callable[[], None]
    half_life_images: float
    ramp: float


def make_steps(
    gan: Gan, game: Game, deal: Callable[[tf.Tensor], tuple[list[Round], Round]], *, xla: bool = False
) -> Callable[[tf.Tensor], None]:
    """Compile `steps(count)`: so many steps in one call, each of which changes `gan` in place.

    deal: step -> the rounds of the discriminator's updates, and the generator's; this replica's part of them. A
    function of the step alone, so a step does the same wherever a run was stopped before it, and however calls are
    portioned. It runs outside XLA, where random numbers are others.
    """

    def judge_in(deal: Round, precise: bool) -> Callable[[tf.Tensor], tf.Tensor]:
        def judge(images: tf.Tensor) -> tf.Tensor:
            images = game.augment(images, deal.draws)
            if deal.classes is None:
                return gan.judge(images, precise=precise)[:, 0]
            times = images.shape[0] // deal.classes.shape[0]  # real and generated in one batch have equal classes
            return gan.judge([images, tf.tile(deal.classes, [times, 1])], precise=precise)[:, 0]

        return judge

    def score(deal: Round, fake: tf.Tensor):
        penalty = game.penalty

        def plain():
            judge = judge_in(deal, precise=False)
            return judge(deal.real), judge(fake), tf.zeros([])

        if penalty is None:
            return plain()

        def with_penalty():
            real_scores, fake_scores, cost = penalty(judge_in(deal, precise=True), deal.real, fake, deal.mix)
            return real_scores, fake_scores, cost * game.lazy

        due = gan.d_optimizer.count % game.lazy == 0  # an update that was skipped leaves its penalty to the next
        return with_penalty() if game.lazy == 1 else tf.cond(due, with_penalty, plain)

    def invent(deal: Round) -> tuple[tf.Tensor, tf.GradientTape]:
        with tf.GradientTape() as made:
            fake = gan.generator(deal.latents, training=True)
        return fake, made

    def improve_discriminator(deal: Round, fake: tf.Tensor):
        game.power()
        with tf.GradientTape() as tape:
            real_scores, fake_scores, cost = score(deal, tf.stop_gradient(fake))
            loss = game.objective.discriminator(real_scores, fake_scores)
            scaled = gan.d_optimizer.scaled(loss + cost)
        gan.d_optimizer.descend(tape.gradient(scaled, gan.d_optimizer.weights))
        return loss, cost, tf.reduce_mean(real_scores), tf.reduce_mean(fake_scores)

    def improve_generator(deal: Round, fake: tf.Tensor, made: tf.GradientTape):
        judge = judge_in(deal, precise=False)
        # TensorFlow never prunes a pass through a batch normalisation, even if nobody reads its result: it moves the
        # moving statistics. Scoring real images for nothing would cost a twelfth of a DCGAN step.
        real_scores = judge(deal.real) if game.objective.relative else tf.zeros([deal.real.shape[0]])
        with tf.GradientTape() as tape:
            tape.watch(fake)
            loss = game.objective.generator(real_scores, judge(fake))
            scaled = gan.g_optimizer.scaled(loss)
        weights = gan.g_optimizer.weights
        gradients = made.gradient(fake, weights, output_gradients=tape.gradient(scaled, fake))
        return loss, gan.g_optimizer.descend(gradients)

    def play(rounds: list[Round], last: Round) -> None:
        *before, final = rounds
        told = [improve_discriminator(deal, invent(deal)[0]) for deal in before]
        fake, made = invent(final)
        told.append(improve_discriminator(final, fake))
        d_loss, cost, real_score, fake_score = (tf.add_n(each) / len(told) for each in zip(*told, strict=True))
        if not game.share_fakes:
            fake, made = invent(last)
        g_loss, taken = improve_generator(last, fake, made)
        seen = sum(deal.real.shape[0] for deal in rounds) * replicas.count()
        images = tf.cast(gan.g_optimizer.count * seen, tf.float32)
        half_life = tf.maximum(tf.minimum(game.half_life_images, game.ramp * images), 1e-3)
        gan.follow(keep=tf.where(taken, 0.5 ** (seen / half_life), 1.0))
        gan.add(tf.stack([d_loss, g_loss, cost, real_score, fake_score]))

    # Without AutoGraph, which would rewrite the source of every function above: seconds before the first step. So loops
    # and branches on tensors must be tf.while_loop and tf.cond.
    compiled = tf.function(play, jit_compile=True, autograph=False) if xla else play
    strategy = tf.distribute.get_strategy()

    def one(done: tf.Tensor) -> tf.Tensor:
        strategy.run(lambda: compiled(*deal(gan.step)))
        return done + 1

    @tf.function(autograph=False)
    def steps(count: tf.Tensor) -> None:
        tf.while_loop(lambda done: done < count, one, [tf.zeros_like(count)])

    return steps
