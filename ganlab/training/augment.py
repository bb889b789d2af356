"""Augmentation of images before the discriminator sees them: differentiable, the same for real and generated ones.

Zhao et al. 2020 (DiffAugment), arXiv:2006.10738, and instance noise: Sonderby et al. 2016, arXiv:1610.04490. Random
numbers are drawn by `draw` and used by `apply`, so that several images can be changed alike. Images [B,H,W,C].
"""

import tensorflow as tf

from ganlab.config import Augment
from ganlab.training.randomness import Stream

Draws = dict[str, tf.Tensor]


def draw(
    settings: Augment, changes: Stream, noise: Stream, step: tf.Tensor, shape: tuple[int, ...], done: tf.Tensor
) -> Draws:
    """The random numbers of one batch of images of this shape, [B,H,W,C]; empty if settings ask for nothing.

    done: the share of training that is over, 0 to 1, over which instance noise falls to nothing.
    """
    draws, (batch, height, width, _) = {}, shape
    if settings.translation or settings.cutout or settings.color:
        draws["places"] = changes.uniforms(step, (batch, 7))
    if settings.noise:
        level = settings.noise * (1 - done)
        draws["noise"] = level * noise.normals(step, (batch, height * width * shape[3]))
    return draws


def apply(settings: Augment, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Images changed by the draws; if there are twice as many images, both halves are changed alike."""
    if not draws:
        return images
    _, height, width, channels = images.shape
    times = images.shape[0] // next(iter(draws.values())).shape[0]
    draws = {name: tf.tile(numbers, [times, 1]) for name, numbers in draws.items()}
    if settings.color:
        images = _colour(images, settings.color, draws["places"][:, 4:])
    if settings.translation:
        rows = _shift(settings.translation, height, draws["places"][:, 0])
        columns = _shift(settings.translation, width, draws["places"][:, 1], channels)
        images = _move(images, rows, columns)
    if settings.cutout:
        rows, columns = (_hole(settings.cutout, n, draws["places"][:, 2 + i]) for i, n in enumerate((height, width)))
        images *= (1 - rows[:, :, None] * columns[:, None, :])[..., None]
    if settings.noise:
        images += tf.reshape(draws["noise"], [-1, height, width, channels])
    return images


def _colour(images: tf.Tensor, share: float, places: tf.Tensor) -> tf.Tensor:
    """Brightness by up to `share`, saturation by a factor in 1 -+ 2 share, contrast in 1 -+ share."""
    brightness, saturation, contrast = (places[:, i, None, None, None] * 2 - 1 for i in range(3))
    images += brightness * share
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = grey + (images - grey) * (1 + saturation * min(2 * share, 1.0))
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return mean + (images - mean) * (1 + contrast * share)


def _shift(share: float, size: int, place: tf.Tensor, channels: int = 1) -> tf.Tensor:
    """Matrices [B,n,n] that move lines by a whole number of pixels, at most share*size, and fill with zeros.

    n: size*channels, the numbers of a line.
    """
    most = round(share * size)
    steps = (tf.floor(place * (2 * most + 1)) - most) * channels
    numbers = tf.range(size * channels, dtype=tf.float32)
    return tf.cast(tf.equal(numbers[None, :, None] - numbers[None, None, :], steps[:, None, None]), tf.float32)


def _move(images: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Every image moved by the matrices: linear, so every derivative exists.

    Nothing is transposed: XLA cannot compile the second derivative of that inside the branch of a lazy penalty.
    """
    batch, height, width, channels = images.shape
    lines = tf.matmul(rows, tf.reshape(images, [batch, height, width * channels]))
    return tf.reshape(tf.matmul(lines, columns, transpose_b=True), images.shape)


def _hole(share: float, size: int, place: tf.Tensor) -> tf.Tensor:
    """1 where a line [B,size] is cut out: share*size pixels around a place anywhere on it, cut off at its ends."""
    side = round(share * size)
    first = tf.floor(place * (size + 1 - side % 2)) - side // 2
    pixels = tf.range(size, dtype=tf.float32)[None, :]
    return tf.cast((pixels >= first[:, None]) & (pixels < first[:, None] + side), tf.float32)
