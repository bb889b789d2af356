"""A discriminator and a penalty of one's own: two convolutions and a global average, and a cost on large scores.

    python -m ganlab.train --plugin examples/small_discriminator.py discriminator=small penalty=drift

The penalty keeps scores near 0, weight times the mean square of those of real images, as a help beside others.
"""

from typing import Literal

import keras
import tensorflow as tf

from ganlab.config import Channels, DiscriminatorSettings, PenaltySettings, Positive


class SmallSettings(DiscriminatorSettings):
    """filters: of the first convolution; the second has twice as many."""

    name: Literal["small"]
    filters: Channels


def small(settings: SmallSettings, image_shape, seed_of, classes: int = 0) -> keras.Model:
    """Images [B,H,W,C], and with classes a one-hot [B,classes] -> scores [B,1]; each layer starts from its own seed."""

    def start(name: str) -> keras.initializers.Initializer:
        return keras.initializers.HeNormal(seed=seed_of(f"discriminator/{name}"))

    inputs = [keras.Input(image_shape)] + ([keras.Input((classes,))] if classes else [])
    maps = inputs[0]
    for number in (1, 2):
        layer = keras.layers.Conv2D(number * settings.filters, 3, 2, "same", kernel_initializer=start(f"conv{number}"))
        maps = keras.layers.LeakyReLU(0.2)(layer(maps))
    features = [keras.layers.GlobalAveragePooling2D()(maps), *inputs[1:]]
    joined = keras.layers.Concatenate()(features) if classes else features[0]
    scores = keras.layers.Dense(1, kernel_initializer=start("score"), dtype="float32")(joined)
    return keras.Model(inputs if classes else inputs[0], scores)


class DriftSettings(PenaltySettings):
    """weight: of the mean square of real scores. `every_steps`, of every penalty: in which updates it is computed."""

    name: Literal["drift"]
    weight: Positive


def drift(score, real: tf.Tensor, fake: tf.Tensor, *, weight: float) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Real scores [B], fake scores [B], and the cost []."""
    real_scores = score(real)
    return real_scores, score(fake), weight * tf.reduce_mean(tf.square(real_scores))


DISCRIMINATORS = {"small": (SmallSettings, small)}
PENALTIES = {"drift": (DriftSettings, drift)}
