"""What a discriminator pays for steep scores.

Each function scores a real and a generated batch and says what the slopes cost: `(judge, real, fake, *, weight)` ->
(real scores [B], fake scores [B], cost []). Scores come along so that each image is looked at once. Slopes are
gradients of an image's score with respect to that image, squared and summed in float32 over pixels and channels.
"""

from collections.abc import Callable

import tensorflow as tf

Judge = Callable[[tf.Tensor], tf.Tensor]
Scored = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def none(judge: Judge, real: tf.Tensor, fake: tf.Tensor) -> Scored:
    """No cost."""
    return judge(real), judge(fake), tf.zeros([])


def r1(judge: Judge, real: tf.Tensor, fake: tf.Tensor, *, weight: float) -> Scored:
    """weight/2 times the mean squared gradient at real images. Mescheder et al. 2018, arXiv:1801.04406."""
    real_scores, slopes = _score_with_slopes(judge, real)
    return real_scores, judge(fake), weight / 2 * tf.reduce_mean(slopes)


def r1_r2(judge: Judge, real: tf.Tensor, fake: tf.Tensor, *, weight: float) -> Scored:
    """weight/2 times the mean squared gradient at real, plus the same at generated images. Mescheder et al. 2018."""
    scores, slopes = _score_with_slopes(judge, tf.concat([real, fake], axis=0))
    count = tf.shape(real)[0]
    cost = weight / 2 * (tf.reduce_mean(slopes[:count]) + tf.reduce_mean(slopes[count:]))
    return scores[:count], scores[count:], cost


def _score_with_slopes(judge: Judge, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Scores [B] and squared gradients [B]; right only where no image's score depends on another image."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        scores = judge(images)
        total = tf.reduce_sum(scores)
    gradient = tf.cast(tape.gradient(total, images), tf.float32)
    return scores, tf.reduce_sum(tf.square(gradient), axis=[1, 2, 3])


PENALTIES: dict[str, Callable[..., Scored]] = {"none": none, "r1": r1, "r1_r2": r1_r2}
