"""Images from the averaged generator of a run, the EMA: during training, and from a checkpoint."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ganlab import device
from ganlab.config import RunConfig
from ganlab.data.sources import class_counts, class_sequence
from ganlab.errors import ConfigError
from ganlab.files import FileError
from ganlab.run.resume import other_run
from ganlab.runs.folder import CHECKPOINTS, read_config, refuse_links
from ganlab.runs.result import RESULT
from ganlab.training import checkpoints

_PORTION = 500  # images generated at a time


class Sampler:
    """A generator and the latents of its run: `generate(latents)` gives pixels uint8 [B,H,W,C]."""

    def __init__(self, generator, config: RunConfig):
        import tensorflow as tf

        self.generator = generator
        self._generate = tf.function(lambda z: generator(z, training=False), autograph=False, reduce_retracing=True)
        self._config = config
        self._sequence = np.zeros(0, np.int64)

    def latents(self, stream: str, count: int, first: int = 0) -> np.ndarray:
        """Latents [count, Z+K], float32: standard normal, the same for every arm of equal seed; then the classes.

        For a class-conditional generator the last K numbers are the class, one-hot. Classes come in a fixed order, of
        which any stretch has the mixture of the training images; `first`: where in this order the latents begin.
        """
        from ganlab.training.randomness import normals

        z = normals(self._config.seed, stream, 0, (count, self._config.generator.latent_size)).numpy()
        classes = self._config.classes
        return with_classes(z, self._classes(first + count)[first:], classes) if classes else z

    def _classes(self, total: int) -> np.ndarray:
        """The first `total` classes of the order; cached."""
        if len(self._sequence) < total:
            self._sequence = class_sequence(class_counts(self._config.dataset), max(total, 2 * len(self._sequence)))
        return self._sequence[:total]

    def between(self, one: np.ndarray, other: np.ndarray, angle: float) -> np.ndarray:
        """Latents on the way from one set to another and on to its mirror image: always normal, classes unchanged."""
        size = self._config.generator.latent_size
        z = np.cos(angle) * one[:, :size] + np.sin(angle) * other[:, :size]
        return np.concatenate([z.astype(one.dtype), one[:, size:]], axis=1)

    def generate(self, z: np.ndarray) -> np.ndarray:
        """Pixels uint8 [B,H,W,C] from latents [B,Z], in portions that bound the memory."""
        from ganlab.data.batches import to_pixels

        portions = [z[first : first + _PORTION] for first in range(0, len(z), _PORTION)]
        return np.concatenate([to_pixels(self._generate(portion).numpy()) for portion in portions])

    def batches(self, size: int, count: int = 100) -> list[np.ndarray]:
        """`count` batches of latents [size,Z+K], for batch statistics of the averaged generator; classes continue."""
        return [self.latents(f"latents/statistics/{number}", size, number * size) for number in range(count)]

    def sample(self, stream: str, count: int) -> np.ndarray:
        """Pixels uint8 [count,H,W,C] of a stream's latents."""
        return self.generate(self.latents(stream, count))


def with_classes(z: np.ndarray, labels: Sequence[int] | np.ndarray, classes: int) -> np.ndarray:
    """Latents [N,Z] followed by the one-hot classes of N labels; unchanged without labels."""
    if not len(labels):
        return z
    one_hot = np.zeros((len(labels), classes), z.dtype)
    one_hot[np.arange(len(labels)), labels] = 1
    return np.concatenate([z, one_hot], axis=1)


def open_sampler(directory: Path, step: int | str | None = None) -> tuple[Sampler, int]:
    """The averaged generator of one of a run's checkpoints, and its step.

    step: None: the newest good checkpoint. A number: the checkpoint of that step. "best": the best checkpoint by the
    quick counterpart of `comparison.quality`, which is kept besides the newest. A damaged one that is passed over is
    named on stderr.

    Networks are built from config.json and tensors read by name and shape; no model file is loaded. Raises
    ConfigError where there is no run, no checkpoint or none of that step (before TensorFlow is imported),
    CheckpointError where none is good.
    """
    config, folder = read_config(directory), directory / CHECKPOINTS
    try:
        refuse_links(directory)
    except FileError as error:
        raise ConfigError(str(error)) from None
    saved_steps = checkpoints.steps(folder)
    if not saved_steps and (directory / RESULT).exists():
        raise ConfigError(
            f"{directory} has a {RESULT}, but no checkpoints; copy them from where it was trained, or train it again"
        )
    if not saved_steps:
        raise ConfigError(f"{directory} has no checkpoint yet; wait for step {config.training.save_every_steps}")
    if step == "best":
        step = checkpoints.best(folder)
        if step is None:
            raise ConfigError(
                f"step=best: {directory} has not measured a checkpoint yet; wait for its first measures, "
                f"or use step={saved_steps[-1]}"
            )
    if step is not None and step not in saved_steps:
        raise ConfigError(
            f"step={step}: {directory} has no checkpoint of that step; use best, "
            f"or one of: {', '.join(map(str, saved_steps))}"
        )
    device.start("float32")
    from ganlab.run.build import build_gan  # TensorFlow: after its start

    gan = build_gan(config)
    restored = checkpoints.restore(
        folder, gan.tensors(), step, lambda record: ("config" in record and other_run(record, config)) or ""
    )
    if restored is None:
        raise ConfigError(f"{directory} no longer has this checkpoint; try again")
    for line in restored.damaged:
        print(f"{directory}: passed over a checkpoint, {line}", file=sys.stderr, flush=True)
    return Sampler(gan.ema, config), restored.step
