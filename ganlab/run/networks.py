"""The networks of a run: built from its settings, opened from its checkpoints, asked for images and traces."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from ganlab import device
from ganlab.choose import ConfigError
from ganlab.config import RunConfig, pair
from ganlab.run.folder import CHECKPOINTS, read_config


def build_gan(config: RunConfig):
    """Both networks, the average and the optimizers, as they are before the first step. Needs TensorFlow started."""
    import keras

    from ganlab.nets.discriminator import DISCRIMINATORS
    from ganlab.nets.generator import build_generator
    from ganlab.nets.parity import at_parity
    from ganlab.training.randomness import stream_key
    from ganlab.training.state import Gan, make_optimizer
    from ganlab.training.step import LOGS

    shape = image_shape(config)

    def seed_of(name: str) -> int:
        return stream_key(config.seed, f"init/{name}")

    def optimizer(rate: float) -> keras.optimizers.Optimizer:
        scaled = keras.config.dtype_policy().compute_dtype == "float16"
        return make_optimizer(config.optimizer, rate, config.training.steps, loss_scaled=scaled)

    generator = at_parity(config.generator, shape)
    return Gan(
        build_generator(generator, shape, seed_of),
        DISCRIMINATORS[config.discriminator.name](config.discriminator, shape, seed_of),
        build_generator(generator, shape, seed_of),
        optimizer(config.optimizer.g_learning_rate),
        optimizer(config.optimizer.d_learning_rate),
        logs=len(LOGS),
    )


def image_shape(config: RunConfig) -> tuple[int, int, int]:
    """Height, width and channels of the images of a run."""
    return (*pair(config.dataset.size), config.dataset.channels)


class Painter:
    """A generator and the latents of its run: `paint(latents)` gives pixels uint8 [B,H,W,C]."""

    def __init__(self, generator, config: RunConfig):
        import tensorflow as tf

        self.generator = generator
        self._generate = tf.function(lambda z: generator(z, training=False), reduce_retracing=True)
        self._config = config

    def latents(self, stream: str, count: int):
        """Standard normal latents [count, Z], float32: the same for every arm of equal seed."""
        from ganlab.training.randomness import latents

        return latents(self._config.seed, stream, 0, (count, self._config.generator.latent_size)).numpy()

    def paint(self, z, portion: int = 500):
        """Pixels uint8 [B,H,W,C] from latents [B,Z], in portions that bound the memory."""
        import numpy as np

        from ganlab.data.batches import to_pixels

        return np.concatenate(
            [to_pixels(self._generate(z[at : at + portion]).numpy()) for at in range(0, len(z), portion)]
        )

    def invent(self, stream: str, count: int):
        """Pixels uint8 [count,H,W,C] of a stream's latents."""
        return self.paint(self.latents(stream, count))


def open_average(directory: Path) -> tuple[Painter, int]:
    """The averaged generator of a run's newest good checkpoint, and its step.

    Networks are built from config.json and tensors read by name and shape; no model file is loaded. Raises
    ConfigError where there is no run or no checkpoint, CheckpointError where none is good.
    """
    config = read_config(directory)
    device.start("float32")
    from ganlab.training import checkpoints

    gan = build_gan(config)
    restored = checkpoints.restore(directory / CHECKPOINTS, gan.tensors())
    if restored is None:
        raise ConfigError(f"{directory} has no checkpoint yet; wait for step {config.training.save_every_steps}")
    return Painter(gan.average, config), restored.step


def make_traces(generator, z) -> Callable[[], dict[str, float]]:
    """What the operators of a generator in training leave behind, by tag and stage."""
    import keras
    import tensorflow as tf

    from ganlab.evaluation.artifacts import phase_variance
    from ganlab.evaluation.spectrum import lattice_fraction
    from ganlab.nets.anatomy import stages_of
    from ganlab.nets.upsampling import transposed_kernel

    stages = stages_of(generator)
    scales = [
        tuple(int(o) // int(i) for o, i in zip(s.output.shape[1:3], s.input.shape[1:3], strict=True)) for s in stages
    ]
    inside = keras.Model(generator.input, [stage.output for stage in stages])
    maps_of = tf.function(lambda: inside(z, training=False))

    def traces() -> dict[str, float]:
        values = {}
        for stage, scale, maps in zip(stages, scales, maps_of(), strict=True):
            values[f"artifact/phase_variance/{stage.name}"] = phase_variance(maps.numpy(), scale)
            with contextlib.suppress(ValueError):  # an operator whose weights follow the image has no kernel of its own
                values[f"artifact/lattice_fraction/{stage.name}"] = lattice_fraction(transposed_kernel(stage), scale)
        return values

    return traces
