"""What the training step needs: its rules and its batches, made from a run's settings and images."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from ganlab.config import RunConfig
from ganlab.data.batches import IN_MEMORY, order, reader, stream, to_images
from ganlab.data.images import Images
from ganlab.errors import ConfigError
from ganlab.run.networks import image_shape
from ganlab.training import augment, replicas
from ganlab.training.objectives import OBJECTIVES
from ganlab.training.penalties import MIXED, PENALTIES
from ganlab.training.randomness import Stream, stream_key
from ganlab.training.step import Batch, Batches, StepConfig


def check_images(config: RunConfig, images: Images, replicas: int = 1) -> None:
    """Refuse settings that do not fit these images, or the number of replicas of all workers; ConfigError."""
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
        raise ConfigError("conditional=true needs labels, and this dataset has none; use conditional=false")
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


def make_batches(
    config: RunConfig, images: Images, start: int = 0, *, xla: bool = False, reseed_at: Sequence[int] = ()
) -> Batches:
    """The batches of every step from `start` on, made of a run's images.

    xla: whether `make` is compiled by it. reseed_at: the steps from each of which on the random numbers are new.
    Where images are read from disk as they are needed, steps must be taken in order.
    """
    training, batch = config.training, config.training.batch_size
    updates, number, shape = training.discriminator_steps, len(images.pixels), (batch, *image_shape(config))
    mirrored, shuffle = config.dataset.flip == "horizontal", stream_key(config.seed, "order")
    labels = tf.constant(images.labels, tf.int32) if config.conditional else None
    on_device = is_on_device(config, images)
    streams = {
        (purpose, network): Stream(
            config.seed, f"{purpose}/{network}", xla=xla, reseed_at=[step * per_step for step in reseed_at]
        )
        for purpose in ("latents", "mix", "augment", "noise", "flip")
        for network, per_step in (("discriminator", updates), ("generator", 1))
    }

    def places(step: tf.Tensor, count: int) -> tf.Tensor:
        flat = order(shuffle, step * updates + tf.range(count * updates, dtype=tf.int64), batch, number)
        return tf.reshape(flat, [count, updates, batch])

    def make_batch(network: str, update: tf.Tensor, at: tf.Tensor, pixels: tf.Tensor, done: tf.Tensor) -> Batch:
        latents = streams["latents", network].normals(update, (batch, config.generator.latent_size))
        classes = None
        if labels is not None:
            classes = tf.one_hot(tf.gather(labels, at), config.classes)
            latents = tf.concat([latents, classes], axis=1)
        mix = streams["mix", network].uniforms(update, (batch,))
        changes, noise = streams["augment", network], streams["noise", network]
        draws = augment.draw(config.augment, changes, noise, update, shape, done)
        if mirrored:
            coins = streams["flip", network].uniforms(update, (batch,)) < 0.5
            pixels = tf.where(replicas.part(coins)[:, None, None, None], tf.reverse(pixels, [2]), pixels)
        return Batch(
            to_images(pixels),
            None if classes is None else replicas.part(classes),
            replicas.part(latents),
            replicas.part(mix),
            {name: replicas.part(numbers) for name, numbers in draws.items()},
        )

    def make(step: tf.Tensor, places: tf.Tensor, pixels: list[tf.Tensor]) -> tuple[list[Batch], Batch]:
        done = tf.cast(step / training.steps, tf.float32)
        batches = [
            make_batch("discriminator", step * updates + n, at, real, done)
            for n, (at, real) in enumerate(zip(tf.unstack(places), pixels, strict=True))
        ]
        return batches, make_batch("generator", step, places[-1], pixels[-1], done)

    read = _reader(config, images, shuffle, start * updates, on_device=on_device)
    return Batches(places, read, on_device, make)


def is_on_device(config: RunConfig, images: Images) -> bool:
    """Whether the images are in the memory of the device that trains, not on disk."""
    setting = config.training.stream_images
    return setting == "never" or (setting == "auto" and images.pixels.nbytes <= IN_MEMORY)


def _reader(
    config: RunConfig, images: Images, shuffle: int, first: int, *, on_device: bool
) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from places of the whole batch to this replica's part of the pixels, from the device or from disk.

    From disk, batches are read in order from batch `first`.
    """
    if on_device:
        pixels = tf.constant(images.pixels)
        return lambda places: tf.gather(pixels, replicas.part(places))
    if replicas.count() > 1:  # each reads its own part when it needs it
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
