"""The networks of a run, built from its settings; the weights it starts with; the traces of its operators, by tag.

TensorFlow is imported by the functions that build."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from ganlab.config import InitFrom, RunConfig, pair
from ganlab.errors import ConfigError
from ganlab.runs.folder import CHECKPOINTS, read_config
from ganlab.training import checkpoints

if TYPE_CHECKING:
    import tensorflow as tf


def build_gan(config: RunConfig):
    """Both networks, the EMA and the optimizers before the first step. TensorFlow must have been started."""
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
        adam(generator, config.optimizer.g_rate_of(config.generator.name), training.steps),
        adam(discriminator, config.optimizer.d_learning_rate, updates, lazy=config.penalty.every_steps),
        logs=len(LOGS),
    )


def build_steps(gan, config: RunConfig, images, *, xla: bool, reseed_at: Sequence[int] = ()):
    """The function that trains for a number of steps on these images, compiled at its first call (`make_steps`).

    reseed_at: the steps from each of which on the random numbers are new.
    """
    import tensorflow as tf

    from ganlab.nets.convolution import products
    from ganlab.nets.spectral_norm import power_iteration
    from ganlab.run.rules import make_batches, make_step_config
    from ganlab.training.step import make_steps
    from ganlab.xla import remember

    step_config = make_step_config(config, partial(power_iteration, gan.discriminator))
    batches = make_batches(config, images, start=int(gan.step.numpy()), xla=xla, reseed_at=reseed_at)
    gpu = xla and bool(tf.config.list_logical_devices("GPU"))
    steps = make_steps(
        gan,
        step_config,
        batches,
        steps_per_call=config.training.steps_per_call,
        xla=xla,
        tracing=products if gpu else contextlib.nullcontext,
    )

    def and_remember(count) -> None:
        nonlocal compiled
        steps(count)
        if not compiled:
            remember()
            compiled = True

    compiled = not xla
    return and_remember


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
    """A function that measures the traces of the operators of a generator, by tag and stage."""
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
    )  # for a list of one output Keras returns the output itself
    maps_of = tf.function(lambda: inside(z, training=False), autograph=False)

    def traces() -> dict[str, float]:
        values, maps = {}, maps_of()
        for stage, scale in zip(stages, scales, strict=True):
            values[f"artifact/phase_variance/{stage.name}"] = phase_variance(maps[stage.name].numpy(), scale)
            with contextlib.suppress(ValueError):  # an operator whose weights depend on the image has no kernel
                values[f"artifact/lattice_fraction/{stage.name}"] = lattice_fraction(stage.transposed_kernel(), scale)
        return values

    return traces


# --- weights of another run, pinned by step and hash ------------------------------------------------------------------


_NETWORKS = ("generator/", "discriminator/", "ema/")


@lru_cache
def pin_checkpoint(path: str) -> InitFrom:
    """The newest good checkpoint of the run in a folder; ConfigError where there is none, or the run still writes."""
    from ganlab.runs.status import is_held

    run = Path(path).expanduser().absolute()
    read_config(Path(path).expanduser(), "init_from=")
    if is_held(run):
        raise ConfigError(f"init_from={path} is being written by another process; wait for it, or stop it")
    for step in reversed(checkpoints.steps(run / CHECKPOINTS)):
        if digest := checkpoints.digest(run / CHECKPOINTS, step):
            return InitFrom(run=str(run), step=step, sha256=digest)
    raise ConfigError(f"init_from={path} has no good checkpoint; give a run that has saved one")


def check_source(source: InitFrom) -> None:
    """Raise ConfigError where the checkpoint that a run is to start from is gone or has been replaced."""
    folder = Path(source.run) / CHECKPOINTS
    if checkpoints.digest(folder, source.step) != source.sha256:
        problem = "has been replaced" if source.step in checkpoints.steps(folder) else "is gone"
        raise ConfigError(f"init_from={source.run}: its checkpoint of step {source.step} {problem}; start a new run")


def check_fit(source: InitFrom, tensors: dict[str, "tf.Variable"]) -> None:
    """Raise ConfigError that names the first tensor of the networks whose shape differs in the checkpoint."""
    saved = checkpoints.shapes(Path(source.run) / CHECKPOINTS, source.step)
    needed = {name: [variable.dtype.name, *variable.shape] for name, variable in _networks(tensors).items()}
    available = {name: shape for name, shape in saved.items() if name.startswith(_NETWORKS)}
    for name in [*needed, *(other for other in available if other not in needed)]:
        if needed.get(name) != available.get(name):
            raise ConfigError(
                f"init_from={source.run} does not fit: {name} is {_shape_in_words(available.get(name))} there and "
                f"{_shape_in_words(needed.get(name))} here; give the networks the settings that they have there"
            )


def start_from(source: InitFrom, tensors: dict[str, "tf.Variable"]) -> None:
    """Give both networks and the EMA the weights of a checkpoint; optimizers and step stay.

    Raises ConfigError as `check_source` and `check_fit` do.
    """
    check_source(source)
    check_fit(source, tensors)
    checkpoints.fill(Path(source.run) / CHECKPOINTS, source.step, _networks(tensors))


def _networks(tensors: dict[str, "tf.Variable"]) -> dict[str, "tf.Variable"]:
    return {name: variable for name, variable in tensors.items() if name.startswith(_NETWORKS)}


def _shape_in_words(shape: list | None) -> str:
    if shape is None:
        return "absent"
    return f"{shape[0]} {shape[1:]}".replace("[]", "scalar")
