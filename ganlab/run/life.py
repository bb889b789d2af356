"""The life of one run, top to bottom: the only wiring. The folders that it joins do not know of each other."""

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ganlab import device
from ganlab.choose import ConfigError
from ganlab.config import RunConfig, flatten
from ganlab.reporting.results import RunResult, write_json
from ganlab.run.folder import CHECKPOINTS, CONFIG, claimed, finished, write_result
from ganlab.run.networks import Painter, build_gan, make_traces


@dataclass(frozen=True)
class _Clock:
    """Seconds of training over all sessions of a run."""

    before: float
    started: float

    def seconds(self) -> float:
        return self.before + time.perf_counter() - self.started


def run(config: RunConfig, directory: Path, *, quiet: bool = False) -> RunResult:
    """Train to the end, or to a stop that can be gone on from; returns what result.json says.

    A run that is there already, finished with these settings, is returned at once. Raises ConfigError for settings
    that cannot be used here, CheckpointError where checkpoints exist and none is good.
    """
    done = finished(config, directory)
    if done is not None:
        return done
    with claimed(directory), _asked_to_stop() as stopping:
        if not (directory / CONFIG).exists():
            write_json(directory / CONFIG, config.model_dump(mode="json"))
        machine = device.start(
            config.precision, threads=config.training.threads, deterministic=config.training.deterministic
        )
        try:
            return _train(config, directory, machine, stopping, quiet)
        except (ConfigError, KeyboardInterrupt):
            raise
        except Exception as error:
            write_result(config, directory, machine, "failed", error=f"{type(error).__name__}: {error}")
            raise


def _train(
    config: RunConfig, directory: Path, machine: device.Device, stopping: Callable[[], bool], quiet: bool
) -> RunResult:
    import tensorflow as tf

    from ganlab.data.batches import order, to_images
    from ganlab.data.sources import SOURCES
    from ganlab.evaluation.evaluate import Measures, describe
    from ganlab.nets.cost import multiplications
    from ganlab.nets.fields import seen_by
    from ganlab.nets.portable import save_portable
    from ganlab.reporting import grids
    from ganlab.reporting.progress import Progress
    from ganlab.reporting.records import Records
    from ganlab.training import checkpoints
    from ganlab.training.loop import DivergedError, Event, fit, take_means
    from ganlab.training.objectives import OBJECTIVES
    from ganlab.training.penalties import PENALTIES
    from ganlab.training.randomness import latents, stream_key
    from ganlab.training.step import make_steps

    training = config.training
    split = SOURCES[config.dataset.name](config.dataset)
    images = len(split.train.pixels)
    if training.batch_size > images:
        raise ConfigError(
            f"training.batch_size={training.batch_size} is more than the {images} training images there are"
        )
    if len(split.held_out.pixels) <= config.metrics.neighbours or config.metrics.images <= config.metrics.neighbours:
        raise ConfigError(
            f"metrics.neighbours={config.metrics.neighbours} needs more images than that; "
            f"there are {min(len(split.held_out.pixels), config.metrics.images)} to measure with"
        )
    gan = build_gan(config)
    tensors = gan.tensors()
    restored = checkpoints.restore(directory / CHECKPOINTS, tensors)
    start = restored.step if restored else 0
    record = restored.record if restored else {"seconds": 0.0, "records": {}, "measured": {}}

    pixels = tf.constant(split.train.pixels)
    shuffle = stream_key(config.seed, "order")
    penalty_settings = config.penalty.model_dump()
    penalty = PENALTIES[penalty_settings.pop("name")]
    steps = make_steps(
        gan,
        OBJECTIVES[config.objective.name](),
        lambda judge, real, fake: penalty(judge, real, fake, **penalty_settings),
        batch=lambda step: to_images(tf.gather(pixels, order(shuffle, step, training.batch_size, images))),
        noise=lambda stream, step: latents(
            config.seed, stream, step, (training.batch_size, config.generator.latent_size)
        ),
        half_life_images=training.half_life_images,
    )
    painter = Painter(gan.average, config)
    traces = make_traces(gan.generator, painter.latents("latents/samples", 64))
    measures = Measures(config.metrics, split.held_out.pixels, split.train.pixels)
    clock = _Clock(record["seconds"], time.perf_counter())
    measured: dict[str, float] = record["measured"]
    last_record = [start, time.perf_counter()]

    with (
        Records(directory, step=start, resume=record["records"]) as records,
        Progress(training.steps, start, unit_images=training.batch_size, quiet=quiet) as progress,
    ):

        def log(step: int) -> None:
            count = step - (step - 1) // training.log_every_steps * training.log_every_steps
            means = take_means(gan, count)
            now = time.perf_counter()
            rate = (step - last_record[0]) * training.batch_size / (now - last_record[1])
            last_record[:] = step, now
            means |= {"speed/images_per_second": rate, **traces()}
            records.scalars(step, step * training.batch_size, clock.seconds(), means)
            progress.update(step, {tag: value for tag, value in means.items() if tag.startswith("loss/")})

        def sample(step: int) -> None:
            picture = grids.grid(painter.invent("latents/samples", 64))
            grids.save_png(directory / "samples" / f"step-{step:08d}.png", picture)
            records.image(step, "samples", picture)

        def evaluate(step: int) -> None:
            measured.update(measures(painter.invent("latents/evaluation", measures.protocol.n_fake)))
            tags = {f"metric/{name}": value for name, value in measured.items()}
            records.scalars(step, step * training.batch_size, clock.seconds(), tags)

        def save(step: int) -> None:
            if not all(bool(tf.reduce_all(tf.math.is_finite(v))) for v in tensors.values() if v.dtype.is_floating):
                raise DivergedError(f"a weight is no longer finite at step {step}")
            kept = {"seconds": clock.seconds(), "records": records.position(), "measured": measured}
            checkpoints.save(directory / CHECKPOINTS, step, tensors, kept, training.keep_checkpoints)

        for line in restored.damaged if restored else []:
            progress.say(f"passed over a damaged checkpoint, {line}")
        if restored:
            progress.say(f"going on from step {start}")
        else:
            records.text(0, "settings", _as_markdown(config))
            records.hyperparameters(_hyperparameters(config), trial=config.generator.name)
            sample(0)
        events = [
            Event(training.log_every_steps, log),
            Event(training.sample_every_steps, sample),
            Event(config.metrics.every_steps, evaluate),
            Event(training.save_every_steps, save),
        ]
        status, error = "finished", None
        try:
            if not fit(gan, steps, training.steps, training.steps_per_call, events, stopping):
                status = "interrupted"
                save(int(gan.step))
        except DivergedError as problem:
            good = checkpoints.newest(directory / CHECKPOINTS)
            status = "diverged"
            error = f"{problem}; " + ("no checkpoint yet" if good is None else f"last good checkpoint: step {good}")
        if status == "finished":
            save_portable(directory / "generator.keras", gan.average)
        if status != "interrupted":
            records.finished(status == "finished")

    seen = int(gan.step) * training.batch_size
    written, judged = multiplications(gan.generator), multiplications(gan.discriminator)
    return write_result(
        config,
        directory,
        machine,
        status,
        metrics=measured if status == "finished" else {},
        real_against_real=measures.real_against_real,
        nulls=measures.nulls,
        protocol=describe(measures.protocol),
        parameters={"generator": gan.generator.count_params(), "discriminator": gan.discriminator.count_params()},
        macs={"generator": written.executed, "generator_as_written": written.written, "discriminator": judged.executed},
        receptive_field=list(seen_by(gan.generator, gan.generator.layers[-1])),
        images_seen=seen,
        seconds=clock.seconds(),
        images_per_second=seen / clock.seconds(),
        source=split.train.source,
        **({"error": error} if error else {}),
    )


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """While inside, SIGINT and SIGTERM are only noted; a second one stops at once."""
    asked: list[int] = []

    def note(number: int, _frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _as_markdown(config: RunConfig) -> str:
    import yaml

    return f"```yaml\n{yaml.safe_dump(config.model_dump(mode='json'), sort_keys=False)}```"


def _hyperparameters(config: RunConfig) -> dict[str, float | str | bool | None]:
    """Plain settings by dotted name, lists as text, without the seed: runs of one arm share a row."""
    flat = flatten(config.model_dump(mode="json"))
    return {
        key: json.dumps(value) if isinstance(value, list) else value
        for key, value in flat.items()
        if key not in ("seed", "study")
    }
