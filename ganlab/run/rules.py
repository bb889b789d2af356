"""What the training step plays with: the rules and the batches, made from a run's settings and images."""

from collections.abc import Callable

import tensorflow as tf

from ganlab.config import RunConfig
from ganlab.data.batches import IN_MEMORY, order, reader, stream, to_images
from ganlab.data.sources import Images
from ganlab.errors import ConfigError
from ganlab.run.networks import image_shape
from ganlab.training import augment, replicas
from ganlab.training.objectives import OBJECTIVES
from ganlab.training.penalties import MIXED, PENALTIES
from ganlab.training.randomness import normals, stream_key, uniforms
from ganlab.training.step import Batch, StepConfig


def check_images(config: RunConfig, images: Images, replicas: int = 1) -> None:
    """Refuse settings that these images, or so many replicas of all workers, cannot serve; ConfigError."""
    training, labels = config.training, images.labels
    if training.batch_size % replicas:
        raise ConfigError(
            f"training.batch_size={training.batch_size} cannot be shared by the {replicas} replicas of all workers; "
            "use a multiple"
        )
    if training.compile == "xla" and replicas > 1:
        raise ConfigError(f"training.compile=xla works on one device, and {replicas} share the batch; use graph")
    if not config.conditional:
        return
    if labels is None:
        raise ConfigError("conditional=true needs labels, which this dataset has not; use conditional=false")
    if labels.min() < 0 or labels.max() >= config.classes:
        raise ConfigError(
            f"conditional=true needs labels from 0 to {config.classes - 1}; there are {labels.min()} to {labels.max()}"
        )


def make_step_config(config: RunConfig, before_discriminator: Callable[[], None]) -> StepConfig:
    """The rules of a step. before_discriminator: called before each of its updates."""
    rules = config.objective.model_dump()
    objective = OBJECTIVES[rules.pop("name")](**rules)
    return StepConfig(
        objective,
        _penalty(config),
        config.penalty.every_steps,
        lambda images, draws: augment.apply(config.augment, images, draws),
        config.training.share_fakes,
        before_discriminator,
        config.training.ema_half_life_images,
        config.training.ema_rampup,
    )


def make_batches(config: RunConfig, images: Images, start: int = 0) -> Callable[[tf.Tensor], tuple[list[Batch], Batch]]:
    """`make_batches(step)`: this replica's part of every batch of a step, a function of (seed, step) alone.

    Where images are read from the disk as they are needed, steps must come one after the other from `start` on.
    """
    training, batch = config.training, config.training.batch_size
    number, shape = len(images.pixels), (batch, *image_shape(config))
    mirrored, shuffle = config.dataset.flip == "horizontal", stream_key(config.seed, "order")
    labels = tf.constant(images.labels, tf.int32) if config.conditional else None
    read = _reader(config, images, shuffle, start * training.discriminator_steps)

    def make_batch(stream: str, update: tf.Tensor, places: tf.Tensor, pixels: tf.Tensor, done: tf.Tensor) -> Batch:
        latents = normals(config.seed, f"latents/{stream}", update, (batch, config.generator.latent_size))
        classes = None
        if labels is not None:
            classes = tf.one_hot(tf.gather(labels, places), config.classes)
            latents = tf.concat([latents, classes], axis=1)
        mix = uniforms(config.seed, f"mix/{stream}", update, (batch,))
        draws = augment.draw(config.augment, config.seed, stream, update, shape, done)
        if mirrored:
            coins = uniforms(config.seed, f"flip/{stream}", update, (batch,)) < 0.5
            pixels = tf.where(replicas.part(coins)[:, None, None, None], tf.reverse(pixels, [2]), pixels)
        return Batch(
            to_images(pixels),
            None if classes is None else replicas.part(classes),
            replicas.part(latents),
            replicas.part(mix),
            {name: replicas.part(numbers) for name, numbers in draws.items()},
        )

    def make(step: tf.Tensor) -> tuple[list[Batch], Batch]:
        done = tf.cast(step / training.steps, tf.float32)
        updates = [step * training.discriminator_steps + n for n in range(training.discriminator_steps)]
        places = [order(shuffle, update, batch, number) for update in updates]
        pixels = [read(at) for at in places]
        batches = [
            make_batch("discriminator", update, at, real, done)
            for update, at, real in zip(updates, places, pixels, strict=True)
        ]
        return batches, make_batch("generator", step, places[-1], pixels[-1], done)

    return make


def _reader(config: RunConfig, images: Images, shuffle: int, first: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function that gives this replica's part of the pixels at places of the whole batch; in turn from batch `first`.

    Pixels lie on the device where they fit, otherwise on the disk.
    """
    asked = config.training.stream_images
    if asked == "never" or (asked == "auto" and images.pixels.nbytes <= IN_MEMORY):
        pixels = tf.constant(images.pixels)
        return lambda places: tf.gather(pixels, replicas.part(places))
    if replicas.count() > 1:  # each reads its own part, when it needs it
        read = reader(images.pixels)
        return lambda places: read(replicas.part(places))
    following = stream(images.pixels, shuffle, config.training.batch_size, first)
    return lambda _: following()


def _penalty(config: RunConfig) -> Callable | None:
    settings = config.penalty.model_dump(exclude={"every_steps"})
    name = settings.pop("name")
    if name == "none":
        return None

    def penalty(score, real, fake, mix):
        more = {"mix": mix} if name in MIXED else {}
        return PENALTIES[name](score, real, fake, **settings, **more)

    return penalty
