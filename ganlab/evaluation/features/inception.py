"""Features of Inception-v3, the only ones whose distances are called FID and KID."""

import contextlib
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ganlab.errors import ConfigError
from ganlab.evaluation.cache import fingerprint
from ganlab.evaluation.features.base import Features, RealImages, Say, compile_for, keep_last

_SIDE = 299
_FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels.h5"


def inception(real: RealImages, *, say: Say | None = None, weights: str | None = None) -> Features:
    """Keras' Inception-v3 of ImageNet: 2048 features after the last average pooling, and its 1000 probabilities.

    Images are resized to 299 x 299 in float32, by the bicubic filter (a = -1/2) with antialiasing, neither rounded
    nor clipped; grey is repeated to three channels. Keras' weights are not those of TF-GAN or pytorch-fid: compare
    values with each other only, never with published ones.

    weights: an .h5 file of Keras' own weights for this network with its top; None downloads them once.
    Raises ConfigError where they cannot be loaded.
    """
    import keras
    import tensorflow as tf

    shape = real.train.shape[1:]
    if say and weights is None:
        say("loading Inception-v3; its weights (96 MB) are downloaded once")
    with _without_side_effects():
        whole = _build(weights)
        network = keras.Model(whole.input, [whole.get_layer("avg_pool").output, whole.output])
    digest = fingerprint([np.asarray(weight) for weight in network.get_weights()])

    def forward(pixels):
        images = tf.cast(pixels, tf.float32)
        if shape[:2] != (_SIDE, _SIDE):
            images = tf.image.resize(images, (_SIDE, _SIDE), "bicubic", antialias=True)
        images = images if shape[2] == 3 else tf.repeat(images, 3, axis=3)
        return network(images / 127.5 - 1, training=False)

    extract = keep_last(partial(compile_for(shape, forward), size=32))
    facts: dict[str, Any] = {
        "dimension": 2048,
        "trained_on": "ImageNet, weights of keras.applications: not those of published FIDs",
        "weights": digest[:12],
        "resizing": "bicubic with antialiasing to 299x299, in float32",
        "scale": "as they are",
    }
    return Features(
        name="inception",
        embed=lambda pixels: [extract(pixels)[0]],
        probabilities=lambda pixels: extract(pixels)[1],
        facts=facts,
        digest=fingerprint({"features": "inception", "weights": digest}),
    )


def check_weights(weights: str | None) -> None:
    """Raise ConfigError if the file of weights is missing."""
    if weights is not None and not (weights.endswith(".h5") and Path(weights).is_file()):
        raise ConfigError(f"metrics.final.inception_weights={weights} is not an .h5 file; give Keras' {_FILE}")


def _build(weights: str | None) -> Any:
    import keras

    where = f"metrics.final.inception_weights={weights}"
    check_weights(weights)
    try:
        return keras.applications.InceptionV3(weights=weights or "imagenet")
    except Exception as error:  # Keras raises plain Exception where the network fails, ValueError for another network
        why = " ".join(str(error).split())
        if weights is not None:
            raise ConfigError(f"{where} does not fit Inception-v3 ({why}); give Keras' {_FILE}") from error
        raise ConfigError(
            f"metrics.final.features=[inception] could not download Keras' weights ({why}); fetch {_FILE} where there "
            "is a network and give metrics.final.inception_weights=FILE, or use classifier or random"
        ) from error


@contextlib.contextmanager
def _without_side_effects() -> Iterator[None]:
    """Build in float32, and restore the policy and Python's random state, from which Keras takes seeds."""
    import keras

    policy, state = keras.config.dtype_policy(), random.getstate()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        random.setstate(state)
