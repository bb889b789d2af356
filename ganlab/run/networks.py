"""The networks of a run, built from its settings; and what the operators of one leave behind, by tag."""

import contextlib
from collections.abc import Callable, Iterator

from ganlab.config import RunConfig, pair


def build_gan(config: RunConfig):
    """Both networks, the EMA and the optimizers, as they are before the first step. Needs TensorFlow started."""
    import keras

    from ganlab.nets.discriminator import DISCRIMINATORS
    from ganlab.nets.generator import build_generator
    from ganlab.nets.parity import at_parity
    from ganlab.training.adam import Adam
    from ganlab.training.randomness import stream_key
    from ganlab.training.state import Gan
    from ganlab.training.step import LOGS

    shape, training = image_shape(config), config.training
    half = keras.config.dtype_policy().compute_dtype

    def seed_of(name: str) -> int:
        return stream_key(config.seed, f"init/{name}")

    def build_discriminator():
        build = DISCRIMINATORS[config.discriminator.name]
        return build(config.discriminator, shape, seed_of, classes=config.classes)

    def adam(network, rate: float, updates: int, lazy: int = 1) -> Adam:
        weights = [variable.value for variable in network.trainable_variables]
        return Adam(weights, config.optimizer, rate, updates, loss_scaled=half == "float16", lazy=lazy)

    settings = at_parity(config.generator, shape)
    generator, ema = (build_generator(settings, shape, seed_of, classes=config.classes) for _ in range(2))
    discriminator = precise = build_discriminator()
    if half != "float32" and config.penalty.name != "none":
        with _in_float32():
            precise = build_discriminator()
    updates = training.steps * training.discriminator_steps
    return Gan(
        generator,
        discriminator,
        ema,
        precise,
        adam(generator, config.optimizer.g_learning_rate, training.steps),
        adam(discriminator, config.optimizer.d_learning_rate, updates, lazy=config.penalty.every_steps),
        logs=len(LOGS),
    )


@contextlib.contextmanager
def _in_float32() -> Iterator[None]:
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def image_shape(config: RunConfig) -> tuple[int, int, int]:
    """Height, width and channels of the images of a run."""
    return (*pair(config.dataset.size), config.dataset.channels)


def make_traces(generator, z) -> Callable[[], dict[str, float]]:
    """What the operators of a generator in training leave behind, by tag and stage."""
    import keras
    import tensorflow as tf

    from ganlab.evaluation.artifacts import phase_variance
    from ganlab.evaluation.spectrum import lattice_fraction
    from ganlab.nets.analysis import stages_of

    stages = stages_of(generator)
    scales = [
        tuple(int(o) // int(i) for o, i in zip(s.output.shape[1:3], s.input.shape[1:3], strict=True)) for s in stages
    ]
    inside = keras.Model(
        generator.input, {stage.name: stage.output for stage in stages}
    )  # of a list of one Keras gives the one
    maps_of = tf.function(lambda: inside(z, training=False), autograph=False)

    def traces() -> dict[str, float]:
        values, maps = {}, maps_of()
        for stage, scale in zip(stages, scales, strict=True):
            values[f"artifact/phase_variance/{stage.name}"] = phase_variance(maps[stage.name].numpy(), scale)
            with contextlib.suppress(ValueError):  # an operator whose weights follow the image has no kernel of its own
                values[f"artifact/lattice_fraction/{stage.name}"] = lattice_fraction(stage.transposed_kernel(), scale)
        return values

    return traces
