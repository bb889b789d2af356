"""The discriminator: images, with their classes if there are any, in; one score each out."""

import math
from collections.abc import Callable
from typing import Any

import keras

from ganlab.config import Discriminator, plugins
from ganlab.nets.initializers import gain_of, initializer
from ganlab.nets.layers import BatchNormalization, DownConv2D, minibatch_std
from ganlab.nets.spectral_norm import SpectralConv2D, SpectralDense

ops: Any = keras.ops  # type checkers infer the wrong types from its backends
Shape = tuple[int, int, int]
SeedOf = Callable[[str], int]


def build_conv(settings: Discriminator, image_shape: Shape, seed_of: SeedOf, classes: int = 0) -> keras.Model:
    """Images [B,H,W,C] in [-1, 1] -> scores [B, 1], float32: convolutions with leaky ReLU, then a dense score.

    Radford et al. 2016, arXiv:1511.06434, without batch normalisation unless set (never at the input).
    With `classes`, the inputs are [images, one-hot classes [B,classes]].
    """
    inputs = maps = keras.Input(image_shape, name="images")
    for number, filters in enumerate(settings.widths(*image_shape[:2]), start=1):
        batch = settings.normalization == "batch" and number > 1
        maps = _convolve(settings, maps, filters, seed_of, f"conv{number}", stride=settings.stride, use_bias=not batch)
        if batch:
            maps = BatchNormalization(name=f"norm{number}")(maps)
        maps = keras.layers.LeakyReLU(settings.slope, name=f"activation{number}")(maps)
    features = keras.layers.Flatten(name="flat")(_with_minibatch_std(settings, maps))
    return _add_score(settings, inputs, features, seed_of, classes, fan_in=features.shape[-1], gain=1.0)


def build_residual(settings: Discriminator, image_shape: Shape, seed_of: SeedOf, classes: int = 0) -> keras.Model:
    """The same with residual blocks: activation, convolution, activation, downsampling convolution; and a skip.

    The skip is average pooling and a 1x1 convolution; the sum of both paths is divided by sqrt 2. The first block has
    no activation in front. The last is followed by an activation, a sum over positions and a dense score. He et al.
    2016, arXiv:1603.05027; Miyato and Koyama 2018, arXiv:1802.05637.
    """

    def activate(maps: Any, name: str) -> Any:
        if settings.normalization == "batch":
            maps = BatchNormalization(name=f"norm{name}")(maps)
        return keras.layers.LeakyReLU(settings.slope, name=f"activation{name}")(maps)

    inputs = maps = keras.Input(image_shape, name="images")
    bias_counts = settings.normalization != "batch"
    for number, filters in enumerate(settings.widths(*image_shape[:2]), start=1):
        first = number == 1
        inner = maps if first else activate(maps, f"{number}a")
        inner = _convolve(settings, inner, filters if first else maps.shape[-1], seed_of, f"conv{number}a",
                          gain=1.0 if first else None, use_bias=bias_counts)  # fmt: skip
        inner = activate(inner, f"{number}b")
        inner = _convolve(settings, inner, filters, seed_of, f"conv{number}b", stride=settings.stride)
        skip = maps
        if settings.stride > 1:
            skip = keras.layers.AveragePooling2D(settings.stride, padding="same", name=f"pool{number}")(maps)
        skip = _convolve(settings, skip, filters, seed_of, f"skip{number}", kernel_size=1, gain=1.0, use_bias=False)
        maps = keras.layers.Add(name=f"sum{number}")([inner, skip])
        maps = keras.layers.Rescaling(math.sqrt(0.5), name=f"block{number}")(maps)
    maps = _with_minibatch_std(settings, activate(maps, "_last"))
    features = ops.sum(ops.cast(maps, "float32"), axis=(1, 2))
    # After activations positions are nearly equal, not independent: their sum grows with their number, not its root.
    fan_in = math.prod(maps.shape[1:3]) ** 2 * maps.shape[-1]
    return _add_score(settings, inputs, features, seed_of, classes, fan_in=fan_in, gain=gain_of(settings.slope))


def _convolve(
    settings: Discriminator,
    maps: Any,
    filters: int,
    seed_of: SeedOf,
    name: str,
    *,
    kernel_size: int | None = None,
    stride: int = 1,
    gain: float | None = None,
    use_bias: bool = True,
) -> Any:
    """A convolution initialised, normalised and downsampled as the settings say.

    gain: of its weights; None: what keeps the second moment through an activation.
    """
    gain = gain_of(settings.slope) if gain is None else gain
    size = kernel_size or settings.kernel_size
    weights = initializer(settings.init, size * size * maps.shape[-1], gain=gain, seed=seed_of(f"discriminator/{name}"))
    kind = SpectralConv2D if settings.normalization == "spectral" else DownConv2D
    return kind(
        filters,
        size,
        stride=stride,
        downsampling="strided" if stride == 1 else settings.downsampling,
        kernel_initializer=weights,
        use_bias=use_bias,
        name=name,
    )(maps)


def _with_minibatch_std(settings: Discriminator, maps: Any) -> Any:
    return minibatch_std(maps, settings.minibatch_std) if settings.minibatch_std else maps


def _add_score(
    settings: Discriminator, inputs: Any, features: Any, seed_of: SeedOf, classes: int, *, fan_in: int, gain: float
) -> keras.Model:
    """A dense score of the features and, with classes, its projection: <V y, features> for one-hot y [B,classes].

    Miyato and Koyama 2018, arXiv:1802.05637.
    """
    kind = SpectralDense if settings.normalization == "spectral" else keras.layers.Dense

    def dense(units: int, name: str, **options: Any) -> Any:
        weights = initializer(settings.init, fan_in, gain=gain, seed=seed_of(f"discriminator/{name}"))
        return kind(units, dtype="float32", kernel_initializer=weights, name=name, **options)

    scores = dense(1, "score")(features)
    if not classes:
        return keras.Model(inputs, scores, name="discriminator")
    labels = keras.Input((classes,), name="classes")
    direction = dense(features.shape[-1], "projection", use_bias=False)(labels)
    agreement = keras.layers.Dot(axes=1, dtype="float32", name="agreement")([direction, features])
    scores = keras.layers.Add(dtype="float32", name="scores")([scores, agreement])
    return keras.Model([inputs, labels], scores, name="discriminator")


DISCRIMINATORS = {"conv": build_conv, "residual": build_residual}
DISCRIMINATORS.update(plugins.builders("discriminators"))
