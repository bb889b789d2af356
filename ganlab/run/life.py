"""The life of one run, top to bottom: the only wiring. The folders that it joins do not know of each other."""

import contextlib
import json
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from ganlab import device
from ganlab.config import RunConfig
from ganlab.config.base import Settings
from ganlab.errors import ConfigError
from ganlab.run.best import Best
from ganlab.run.extension import extend, extensions, longer
from ganlab.run.initial import find_source, start_from
from ganlab.run.inputs import check_inputs
from ganlab.run.networks import Sampler, build_gan, make_traces
from ganlab.runs.console import Log
from ganlab.runs.folder import CHECKPOINTS, CONFIG, claimed, finished, leave_nothing, write_result
from ganlab.runs.provenance import commit
from ganlab.runs.result import LOG, RunResult, write_json
from ganlab.runs.signals import STOPPING, Asked
from ganlab.runs.tracking import check_installed, tracked
from ganlab.training import checkpoints

if TYPE_CHECKING:
    from ganlab.data.sources import Split
    from ganlab.run.measuring import Measuring


@dataclass(frozen=True)
class _Clock:
    """Seconds of training over all sessions of a run."""

    before: float
    started: float

    def seconds(self) -> float:
        return self.before + time.perf_counter() - self.started


def run(
    config: RunConfig, directory: Path, *, quiet: bool = False, held: bool = False, steps: int | None = None
) -> RunResult:
    """Train to the end, or to a stop that can be gone on from; returns what result.json says.

    A run that has finished with these settings is returned at once. held: whether the process that started this one
    holds the folder for it. steps: train the run that is there to this step instead of that of its settings. Raises
    ConfigError for settings that cannot be used here, CheckpointError where checkpoints exist and none is good.
    """
    done = finished(config, directory)
    if done is not None and steps is None:
        return done
    check_installed(config.tracking)
    check_inputs(config)
    origin = directory / CHECKPOINTS
    with contextlib.ExitStack() as stack:
        if device.worker():  # the first worker's files are the run's; the others write what nobody needs
            directory, quiet, held = Path(stack.enter_context(tempfile.TemporaryDirectory())), True, True
            config = config.model_copy(update={"tracking": "none"})
        if not held:
            stack.enter_context(claimed(directory))
        log = Log(None if quiet or held else directory / LOG)
        if steps is not None:
            config, changes = (longer(config, steps), []) if device.worker() else extend(config, directory, steps)
            for line in [] if quiet else changes:
                log.say(line)
        if config.init_from and checkpoints.newest(origin) is None:
            find_source(config.init_from)
        commit()  # of the code that this process has loaded
        stopping = stack.enter_context(_asked_to_stop())
        fresh = not held and not (directory / CONFIG).exists()
        if not (directory / CONFIG).exists():
            write_json(directory / CONFIG, config.model_dump(mode="json"))
        training = config.training
        machine = device.start(
            config.precision,
            threads=training.threads,
            deterministic=training.deterministic,
            replicas=training.replicas,
        )
        try:
            from ganlab.run.measuring import open_images, prepare
            from ganlab.run.rules import check_images

            split = open_images(config)
            for note in () if quiet else split.notes:
                log.say(note)
            check_images(config, split.train, machine.replicas)
            measuring = prepare(config, split, say=(lambda _: None) if quiet else log.say)
            with machine.strategy.scope():
                return _train(config, directory, origin, machine, split, measuring, stopping, quiet, log)
        except ConfigError:
            if fresh:  # refused before its first step
                leave_nothing(directory)
            raise
        except KeyboardInterrupt:
            raise
        except Exception as error:
            write_result(config, directory, machine, "failed", error=f"{type(error).__name__}: {error}")
            raise


def _train(
    config: RunConfig,
    directory: Path,
    origin: Path,
    machine: device.Device,
    split: "Split",
    measuring: "Measuring",
    stopping: Callable[[], bool],
    quiet: bool,
    kept: Log,
) -> RunResult:
    """Train in a folder, from the newest checkpoint of `origin`, which belongs to the first worker."""
    import tensorflow as tf

    from ganlab.exports.portable import save_portable
    from ganlab.nets.analysis import multiplications, seen_by
    from ganlab.nets.normalization import recompute_statistics
    from ganlab.nets.spectral_norm import power_iteration
    from ganlab.run import sample_grids
    from ganlab.run.rules import make_batches, make_step_config
    from ganlab.runs import grids
    from ganlab.runs.progress import Progress
    from ganlab.runs.records import Records, trial_of
    from ganlab.training.loop import DivergedError, Event, fit, take_means
    from ganlab.training.profile import Profile
    from ganlab.training.replicas import agreed
    from ganlab.training.step import make_steps

    training = config.training
    gan = build_gan(config)
    tensors = gan.tensors()
    restored = checkpoints.restore(origin, tensors)
    if restored is None and config.init_from:
        start_from(config.init_from, tensors)
    start = restored.step if restored else 0
    record = restored.record if restored else {"seconds": 0.0, "records": {}, "measured": {}, "profiles": {}}
    if device.worker():
        record["records"] = {}  # they stand in the first worker's folder

    game = make_step_config(config, partial(power_iteration, gan.discriminator))
    steps = make_steps(gan, game, make_batches(config, split.train), xla=machine.xla(training.compile))
    per_step = training.batch_size * training.discriminator_steps
    sampler = Sampler(gan.ema, config)
    traces = make_traces(gan.generator, sampler.latents("latents/samples", 64))
    clock = _Clock(record["seconds"], time.perf_counter())
    measured: dict[str, float] = record["measured"]
    profiles: dict[str, list[float]] = record["profiles"]
    best = Best(config.comparison.quality, record.get("best"), checkpoints.steps(origin))
    last_record = [start, time.perf_counter()]

    with (
        tracked(config, directory, (lambda _: None) if quiet else kept.say) as tracker,
        Records(directory, step=start, resume=record["records"], copy=tracker.scalars) as records,
        Progress(training.steps, start, unit_images=per_step, quiet=quiet, log=kept) as progress,
    ):

        def log(step: int) -> None:
            count = step - (step - 1) // training.log_every_steps * training.log_every_steps
            means = take_means(gan, count, whole=count == training.log_every_steps)
            now = time.perf_counter()
            rate = (step - last_record[0]) * per_step / (now - last_record[1])
            last_record[:] = step, now
            means |= {"speed/images_per_second": rate, **gan.skips(), **traces()}
            records.scalars(step, step * per_step, clock.seconds(), means)
            progress.update(step, {tag: value for tag, value in means.items() if tag.startswith("loss/")})

        @lru_cache(1)
        def refresh(step: int) -> None:
            if training.ema_statistics == "recompute":
                recompute_statistics(gan.ema, sampler.batches(training.batch_size))

        def sample(step: int) -> None:
            refresh(step)
            picture = sample_grids.generated(sampler, config)
            grids.save_png(directory / "samples" / f"step-{step:08d}.png", picture)
            records.image(step, "samples", picture)

        def note(step: int, values: dict[str, float]) -> None:
            tags = {f"metric/{name}": value for name, value in values.items()}
            records.scalars(step, step * per_step, clock.seconds(), tags)

        def evaluate(step: int) -> None:
            refresh(step)
            found = measuring.on_the_way(sampler)
            measured.clear()
            measured.update(found.values)
            profiles.update(measuring.profiles(found))
            note(step, measured)
            sketch = measuring.sketch(found)
            if sketch is not None:
                records.image(step, "spectrum", sketch)
            if best.offer(step, measured) and step % training.save_every_steps and step < training.steps:
                save(step, regular=False)  # else it is saved at once anyway

        def save(step: int, *, regular: bool = True) -> None:
            refresh(step)
            if not all(bool(tf.reduce_all(tf.math.is_finite(v))) for v in tensors.values() if v.dtype.is_floating):
                raise DivergedError(f"a weight is no longer finite at step {step}")
            files = records.position()
            kept = {"seconds": clock.seconds(), "records": files, "measured": measured, "profiles": profiles}
            kept["best"] = best.known

            def counts(saved: int) -> bool:
                return saved % training.save_every_steps == 0 or (regular and saved == step)

            checkpoints.save(directory / CHECKPOINTS, step, tensors, kept, training.keep_checkpoints, best.step, counts)

        if machine.emulates:
            progress.say(f"{machine.name} has no bfloat16 of its own and emulates it: precision=float32 is faster")
        real = directory / "samples" / "real.png"
        if not real.exists():
            grids.save_png(real, sample_grids.real(split.held_out, config))
        for line in restored.damaged if restored else []:
            progress.say(f"passed over a damaged checkpoint, {line}")
        if restored:
            progress.say(f"going on from step {start}")
        else:
            if config.init_from:
                progress.say(f"starting with the weights of {config.init_from.run} at step {config.init_from.step}")
            records.text(0, "settings", _as_markdown(config))
            records.hyperparameters(_hyperparameters(config), trial=trial_of(directory, config.seed))
            sample(0)
        profile = Profile(directory, training.profile)
        profile.turn(start)
        events = [
            Event(None, profile.turn, at=profile.steps),
            Event(training.log_every_steps, log),
            Event(training.sample_every_steps, sample),
            Event(config.metrics.every_steps, evaluate),
            Event(training.save_every_steps, save),
        ]
        status, error = "finished", None
        try:
            with contextlib.closing(profile):
                whole = fit(gan, steps, training.steps, training.steps_per_call, events, agreed(stopping))
            if not whole:
                status = "interrupted"
                save(int(gan.step.numpy()))
        except DivergedError as problem:
            good = checkpoints.newest(directory / CHECKPOINTS)
            status = "diverged"
            error = f"{problem}; " + ("no checkpoint yet" if good is None else f"last good checkpoint: step {good}")
        seconds, spread = clock.seconds(), {}
        if status == "finished":
            save_portable(directory / "generator.keras", gan.ema)
            if measuring.full:
                found = measuring.thoroughly(sampler)
                measured.update(found.values)
                spread = found.spread
                profiles.update(measuring.profiles(found))
                note(training.steps, found.values)
                for name, picture in measuring.draw(sampler, found).items():
                    grids.save_png(directory / "pictures" / f"{name}.png", picture)
                    records.image(training.steps, f"pictures/{name}", picture)
        tracker.status = status
        if status != "interrupted":
            records.finished(status == "finished")

    seen = int(gan.step.numpy()) * per_step
    written, judged = multiplications(gan.generator), multiplications(gan.discriminator)
    return write_result(
        config,
        directory,
        machine,
        status,
        metrics=measured if status == "finished" else {},
        spread=spread,
        profiles=profiles if status == "finished" else {},
        best=best.known,
        real_against_real=measuring.real_against_real,
        nulls=measuring.nulls,
        protocol=measuring.protocol,
        parameters={"generator": gan.generator.count_params(), "discriminator": gan.discriminator.count_params()},
        macs={"generator": written.executed, "generator_as_written": written.written, "discriminator": judged.executed},
        replicas=machine.replicas,
        threads=machine.threads,
        compiled="xla" if machine.xla(training.compile) else "graph",
        skipped={
            "generator": int(gan.g_optimizer.skipped.numpy()),
            "discriminator": int(gan.d_optimizer.skipped.numpy()),
        },
        receptive_field=list(seen_by(gan.generator, gan.generator.layers[-1])),
        images_seen=seen,
        seconds=seconds,
        images_per_second=seen / seconds,
        source=split.train.source,
        **({"extended": extended} if (extended := extensions(config, directory)) else {}),
        data=split.facts,
        **({"error": error} if error else {}),
    )


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """While inside, what asks to stop is only noted; the second one stops at once. An ignored one stays ignored."""
    asked = Asked()

    def note(number: int, _frame: object) -> None:
        if asked.twice(number):
            raise KeyboardInterrupt

    heard = [number for number in STOPPING if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heard}
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)  # as a cell of a sweep has it (`signals.heard`)
    try:
        yield lambda: bool(asked)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)


def _as_markdown(config: RunConfig) -> str:
    import yaml

    return f"```yaml\n{yaml.safe_dump(config.model_dump(mode='json'), sort_keys=False)}```"


def _hyperparameters(config: RunConfig) -> dict[str, float | str | bool]:
    """Plain settings by dotted name, without the seed: runs of one arm share a row.

    What may be a list or null in another run is text in all of them: TensorBoard cannot sort numbers among texts.
    """
    return {
        key: value
        for key, value in _plain(config, "")
        if key not in ("seed", "study", "tracking") and not key.startswith("comparison.")
    }


def _plain(settings: Settings, prefix: str) -> Iterator[tuple[str, float | str | bool]]:
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Settings):
            yield from _plain(value, f"{prefix}{name}.")
        elif name != "plugins":
            as_it_is = isinstance(value, str) or field.annotation in (int, float, bool)
            yield f"{prefix}{name}", value if as_it_is else json.dumps(value)
