"""The networks of a run: built from its settings, opened from its checkpoints, asked for images and traces."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ganlab import device
from ganlab.config import RunConfig, pair
from ganlab.errors import ConfigError
from ganlab.runs.folder import CHECKPOINTS, read_config


def build_gan(config: RunConfig):
    """Both networks, the average and the optimizers, as they are before the first step. Needs TensorFlow started."""
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

    def discriminator():
        build = DISCRIMINATORS[config.discriminator.name]
        return build(config.discriminator, shape, seed_of, classes=config.classes)

    def adam(network, rate: float, updates: int, lazy: int = 1) -> Adam:
        weights = [variable.value for variable in network.trainable_variables]
        return Adam(weights, config.optimizer, rate, updates, loss_scaled=half == "float16", lazy=lazy)

    settings = at_parity(config.generator, shape)
    generator, average = (build_generator(settings, shape, seed_of, classes=config.classes) for _ in range(2))
    judge = precise = discriminator()
    if half != "float32" and config.penalty.name != "none":
        with _in_float32():
            precise = discriminator()
    updates = training.steps * training.discriminator_steps
    return Gan(
        generator,
        judge,
        average,
        precise,
        adam(generator, config.optimizer.g_learning_rate, training.steps),
        adam(judge, config.optimizer.d_learning_rate, updates, lazy=config.penalty.every_steps),
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


class Sampler:
    """A generator and the latents of its run: `generate(latents)` gives pixels uint8 [B,H,W,C]."""

    def __init__(self, generator, config: RunConfig):
        import numpy as np
        import tensorflow as tf

        self.generator = generator
        self._generate = tf.function(lambda z: generator(z, training=False), autograph=False, reduce_retracing=True)
        self._config = config
        self._row = np.zeros(0, np.int64)

    def latents(self, stream: str, count: int, first: int = 0):
        """Latents [count, Z+K], float32: standard normal, the same for every arm of equal seed; then the classes.

        Of a class-conditional generator the last K numbers are the class, one-hot. Classes come in a fixed order, in
        which any stretch has the mixture of the training images; `first`: how far on in it the latents begin.
        """
        import numpy as np

        from ganlab.training.randomness import normals

        z = normals(self._config.seed, stream, 0, (count, self._config.generator.latent_size)).numpy()
        classes = self._config.classes
        if not classes:
            return z
        told = np.zeros((count, classes), z.dtype)
        told[np.arange(count), self._classes(first + count)[first:]] = 1
        return np.concatenate([z, told], axis=1)

    def _classes(self, total: int):
        """The first so many classes of the order; what was once worked out is kept."""
        from ganlab.data.counts import class_counts
        from ganlab.data.labels import deal

        if len(self._row) < total:
            self._row = deal(class_counts(self._config.dataset), max(total, 2 * len(self._row)))
        return self._row[:total]

    def between(self, one, other, angle: float):
        """Latents on the way from one set to another and on to its mirror image: normal throughout, classes kept."""
        import numpy as np

        size = self._config.generator.latent_size
        z = np.cos(angle) * one[:, :size] + np.sin(angle) * other[:, :size]
        return np.concatenate([z.astype(one.dtype), one[:, size:]], axis=1)

    def generate(self, z, portion: int = 500):
        """Pixels uint8 [B,H,W,C] from latents [B,Z], in portions that bound the memory."""
        import numpy as np

        from ganlab.data.batches import to_pixels

        return np.concatenate(
            [to_pixels(self._generate(z[at : at + portion]).numpy()) for at in range(0, len(z), portion)]
        )

    def batches(self, size: int, count: int = 100):
        """So many batches of latents [size,Z+K], for batch statistics of the averaged generator; classes go on."""
        return [self.latents(f"latents/statistics/{number}", size, number * size) for number in range(count)]

    def sample(self, stream: str, count: int):
        """Pixels uint8 [count,H,W,C] of a stream's latents."""
        return self.generate(self.latents(stream, count))


def with_classes(z, labels: Sequence[int], classes: int):
    """Latents [N,Z] with the one-hot classes of N labels behind them; as they are where there are no labels."""
    import numpy as np

    return np.concatenate([z, np.eye(classes, dtype=z.dtype)[list(labels)]], axis=1) if len(labels) else z


def open_sampler(directory: Path, step: int | str | None = None) -> tuple[Sampler, int]:
    """The averaged generator of one of a run's checkpoints, and its step.

    step: None: of the newest good checkpoint. A number: of the checkpoint of that step. "best": of the checkpoint that
    is the best by the quick relative of `comparison.quality`, which stays beside the newest.

    Networks are built from config.json and tensors read by name and shape; no model file is loaded. Raises
    ConfigError where there is no run, no checkpoint or none of that step (before TensorFlow is imported),
    CheckpointError where none is good.
    """
    from ganlab.training import checkpoints

    config, folder = read_config(directory), directory / CHECKPOINTS
    there = checkpoints.steps(folder)
    if not there:
        raise ConfigError(f"{directory} has no checkpoint yet; wait for step {config.training.save_every_steps}")
    if step == "best":
        step = checkpoints.best(folder)
        if step is None:
            raise ConfigError(
                f"step=best: {directory} has measured none yet; wait for its first measures, or use step={there[-1]}"
            )
    if step is not None and step not in there:
        raise ConfigError(
            f"step={step}: {directory} has no checkpoint of it; use best, or one of: {', '.join(map(str, there))}"
        )
    device.start("float32")
    gan = build_gan(config)
    restored = checkpoints.restore(folder, gan.tensors(), step)
    if restored is None:
        raise ConfigError(f"{directory} has no such checkpoint any more; try again")
    return Sampler(gan.ema, config), restored.step


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
