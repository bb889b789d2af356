"""Gradient penalties: the cost of steep scores.

Each function scores a real and a generated batch and returns the cost of the penalty: `(score, real, fake, *, weight)`
-> (real scores [B], fake scores [B], cost []). One that has an argument `mix` is given numbers in 0..1 that are new in
each update, [B]. It returns the scores too, so that each image is scored once. A squared gradient norm is that of an
image's score with respect to the image, summed in float32 over pixels and channels. With a minibatch standard deviation
an image's score depends on its group, and its gradient counts that too (Karras 2020).
"""

from collections.abc import Callable

import tensorflow as tf

from ganlab.config import plugins

Score = Callable[[tf.Tensor], tf.Tensor]
Scored = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def none(score: Score, real: tf.Tensor, fake: tf.Tensor) -> Scored:
    """No cost."""
    return score(real), score(fake), tf.zeros([])


def r1(score: Score, real: tf.Tensor, fake: tf.Tensor, *, weight: float) -> Scored:
    """weight/2 times the mean squared gradient at real images. Mescheder et al. 2018, arXiv:1801.04406."""
    real_scores, norms = _score_with_norms(score, real)
    return real_scores, score(fake), weight / 2 * tf.reduce_mean(norms)


def r2(score: Score, real: tf.Tensor, fake: tf.Tensor, *, weight: float) -> Scored:
    """weight/2 times the mean squared gradient at generated images. Mescheder et al. 2018."""
    fake_scores, norms = _score_with_norms(score, fake)
    return score(real), fake_scores, weight / 2 * tf.reduce_mean(norms)


def r1_r2(score: Score, real: tf.Tensor, fake: tf.Tensor, *, weight: float) -> Scored:
    """weight/2 times the mean squared gradient at real, plus the same at generated images. Mescheder et al. 2018."""
    scores, norms = _score_with_norms(score, tf.concat([real, fake], axis=0))
    count = tf.shape(real)[0]
    cost = weight / 2 * (tf.reduce_mean(norms[:count]) + tf.reduce_mean(norms[count:]))
    return scores[:count], scores[count:], cost


def interpolation(score: Score, real: tf.Tensor, fake: tf.Tensor, *, weight: float, mix: tf.Tensor) -> Scored:
    """weight times the mean of (|gradient| - 1)^2 between real and generated images. Gulrajani et al. 2017.

    mix: where on the line from the generated to the real image of its pair each gradient is taken, uniform 0..1, [B].
    arXiv:1704.00028.
    """
    norms = _norms_between(score, real, fake, mix)
    length = tf.sqrt(norms + 1e-12)  # the root's own gradient is infinite at 0
    return score(real), score(fake), weight * tf.reduce_mean((length - 1) ** 2)


def zero_centred(score: Score, real: tf.Tensor, fake: tf.Tensor, *, weight: float, mix: tf.Tensor) -> Scored:
    """weight times the mean squared gradient between real and generated images: as `interpolation`, towards 0.

    Thanh-Tung et al. 2019, arXiv:1902.03984.
    """
    return score(real), score(fake), weight * tf.reduce_mean(_norms_between(score, real, fake, mix))


def _norms_between(score: Score, real: tf.Tensor, fake: tf.Tensor, mix: tf.Tensor) -> tf.Tensor:
    between = fake + mix[:, None, None, None] * (real - fake)
    return _score_with_norms(score, between)[1]


def _score_with_norms(score: Score, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Scores [B], and the squared gradient [B] of the sum of all scores with respect to each image."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        scores = score(images)
        total = tf.reduce_sum(scores)
    gradient = tf.cast(tape.gradient(total, images), tf.float32)
    return scores, tf.reduce_sum(tf.square(gradient), axis=[1, 2, 3])


PENALTIES: dict[str, Callable[..., Scored]] = {
    "none": none,
    "r1": r1,
    "r2": r2,
    "r1_r2": r1_r2,
    "interpolation": interpolation,
    "zero_centred": zero_centred,
}
PENALTIES.update(plugins.builders("penalties"))
