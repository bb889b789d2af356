"""What a run trains, built from its settings: networks, batches, the step; and a measurement of its operators' traces.

TensorFlow must have been started (`device.start`) before this is imported.
"""

import contextlib
import inspect
import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from ganlab.config import RunConfig, pair
from ganlab.data.batches import IN_MEMORY, order, reader, stream, to_images
from ganlab.data.images import Images
from ganlab.errors import ConfigError
from ganlab.evaluation.spectrum import lattice_fraction, phase_variance
from ganlab.nets.analysis import stages_of
from ganlab.nets.convolution import products
from ganlab.nets.discriminator import DISCRIMINATORS
from ganlab.nets.generator import at_parity, build_generator
from ganlab.nets.spectral_norm import power_iteration
from ganlab.training import augment, replicas
from ganlab.training.adam import Adam
from ganlab.training.loop import DivergedError
from ganlab.training.objectives import OBJECTIVES
from ganlab.training.penalties import PENALTIES
from ganlab.training.randomness import Stream, stream_key
from ganlab.training.state import Gan
from ganlab.training.step import LOGS, Batch, Batches, StepConfig, make_steps
from ganlab.xla import remember


def build_gan(config: RunConfig) -> Gan:
    """Both networks, the EMA and the optimizers before the first step."""

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

    settings = at_parity(config.generator, shape, config.classes)
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
        adam(generator, config.optimizer.g_rate_of(config.generator.name), training.steps),
        adam(discriminator, config.optimizer.d_learning_rate, updates, lazy=config.penalty.every_steps),
        logs=len(LOGS),
    )


def build_steps(
    gan: Gan, config: RunConfig, images: Images, *, xla: bool, reseed_at: Sequence[int] = ()
) -> Callable[[tf.Tensor], None]:
    """The function that trains for a number of steps on these images, compiled at its first call (`make_steps`).

    reseed_at: the steps from each of which on the random numbers are new.
    """
    gpu = xla and bool(tf.config.list_logical_devices("GPU"))
    steps = make_steps(
        gan,
        make_step_config(config, partial(power_iteration, gan.discriminator)),
        make_batches(config, images, start=int(gan.step.numpy()), xla=xla, reseed_at=reseed_at),
        steps_per_call=config.training.steps_per_call,
        xla=xla,
        tracing=products if gpu else contextlib.nullcontext,
    )

    if not xla:
        return steps
    compiled = False

    def steps_and_remember(count: tf.Tensor) -> None:
        nonlocal compiled
        try:
            steps(count)
        except tf.errors.InvalidArgumentError as error:
            lacking = re.search(r"unsupported operations .*? on XLA_\w+: (\w+)", error.message)
            if lacking is None:
                raise
            setting = f"training.compile={config.training.compile}"
            raise ConfigError(f"{setting} compiles with XLA here, which has no {lacking[1]}; use graph") from None
        if not compiled:
            remember()
            compiled = True

    return steps_and_remember


@contextlib.contextmanager
def _in_float32() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def image_shape(config: RunConfig) -> tuple[int, int, int]:
    """Height, width and channels of the images of a run."""
    return (*pair(config.dataset.size), config.dataset.channels)


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
        partial(augment.apply, config.augment),
        config.training.share_fakes,
        before_discriminator,
        config.training.ema_half_life_images,
        math.inf if config.init_from else config.training.ema_rampup,  # an average to start with is kept
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


def _penalty(config: RunConfig) -> Callable:
    settings = config.penalty.model_dump(exclude={"every_steps"})
    function = PENALTIES[settings.pop("name")]
    takes_mix = "mix" in inspect.signature(function).parameters

    def penalty(score, real, fake, mix):
        return function(score, real, fake, **settings, **({"mix": mix} if takes_mix else {}))

    return penalty


def make_traces(generator: keras.Model, z: np.ndarray) -> Callable[[int], dict[str, float]]:
    """A function that measures the traces of the operators of a generator at a step, by tag and stage.

    It raises DivergedError where what they make is not finite.
    """
    stages = stages_of(generator)
    # a dictionary: for a list of one output Keras returns the output itself
    inside = keras.Model(generator.input, {stage.name: stage.output for stage in stages})
    maps_of = tf.function(lambda: inside(z, training=False), autograph=False)

    def traces(step: int) -> dict[str, float]:
        values, maps = {}, {name: output.numpy() for name, output in maps_of().items()}
        for stage in stages:
            if not np.isfinite(maps[stage.name]).all():
                raise DivergedError(f"the output of the generator's {stage.name} is no longer finite at step {step}")
            values[f"artifact/phase_variance/{stage.name}"] = phase_variance(maps[stage.name], stage.scale)
            with contextlib.suppress(ValueError):  # an operator whose weights depend on the image has no kernel
                fraction = lattice_fraction(stage.transposed_kernel(), stage.scale)
                values[f"artifact/lattice_fraction/{stage.name}"] = fraction
        return values

    return traces
