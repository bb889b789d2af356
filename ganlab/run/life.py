"""One run from start to end: the only module that connects the other folders, which do not import each other."""

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ganlab import device
from ganlab.config import RunConfig
from ganlab.config.base import Settings
from ganlab.environment import commit
from ganlab.errors import ConfigError
from ganlab.files import remove_unfinished, write_bytes, write_json
from ganlab.run import resume
from ganlab.run.inputs import check_inputs
from ganlab.run.sampler import open_sampler
from ganlab.runs.console import Log, Progress
from ganlab.runs.folder import (
    CHECKPOINTS,
    CONFIG,
    GENERATOR,
    claimed,
    finished,
    lacks_generator,
    now,
    remove_refused_run,
    write_result,
)
from ganlab.runs.records import Records, without_seed
from ganlab.runs.result import HELD_OUT, LOG, RESULT, RunResult
from ganlab.runs.signals import stop_requested
from ganlab.runs.tracking import IDENTITY, check_installed, tracked
from ganlab.training import checkpoints

WRITTEN = (CONFIG, RESULT, HELD_OUT, resume.EXTENDED, resume.ROLLBACKS, IDENTITY, GENERATOR)
"""Files that a run writes under another name and renames: leftovers of a kill are removed when it continues."""

if TYPE_CHECKING:
    from ganlab.data.images import Split
    from ganlab.training.state import Gan


def run(
    config: RunConfig, directory: Path, *, quiet: bool = False, held: bool = False, steps: int | None = None
) -> RunResult:
    """Train to the end, or to a stop from which the run can continue; returns what result.json says.

    A run that has finished with these settings is returned at once. held: whether the process that started this one
    holds the folder for it. steps: train the existing run to this step instead of that of its settings. Raises
    ConfigError for settings that cannot be used here, CheckpointError where checkpoints exist and none is good.
    """
    done = finished(config, directory)
    if done is not None and steps is None:
        if lacks_generator(done, directory):
            _write_generator(directory, held)
        return done
    check_installed(config.tracking)
    check_inputs(config)
    origin = directory / CHECKPOINTS
    with contextlib.ExitStack() as stack:
        if device.worker():  # the first worker writes the files of the run; those of the others are thrown away
            directory, quiet, held = Path(stack.enter_context(tempfile.TemporaryDirectory())), True, True
            config = config.model_copy(update={"tracking": "none"})
        if not held:
            stack.enter_context(claimed(directory))
        remove_unfinished(directory, WRITTEN)
        log = Log(None if quiet or held else directory / LOG, quiet=quiet)
        if steps is not None and device.worker():
            config = resume.with_steps(config, steps)
        elif steps is not None:
            config, changes = resume.extend(config, directory, steps)
            for line in changes:
                log.say(line)
        if config.init_from and checkpoints.newest(origin) is None:
            resume.check_source(config.init_from)
        commit()  # of the code that this process has loaded
        stopping = stack.enter_context(stop_requested())
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
            from ganlab.run.build import check_images  # TensorFlow: after its start
            from ganlab.run.measuring import open_images

            split = open_images(config)
            for note in split.notes:
                log.say(note)
            check_images(config, split.train, machine.replicas)
            if training.on_divergence == "rollback" and machine.replicas > training.replicas:
                raise ConfigError("training.on_divergence=rollback works in one process; with TF_CONFIG use stop")
            if split.held_out_names:
                write_bytes(directory / HELD_OUT, "".join(f"{name}\n" for name in split.held_out_names).encode())
            with machine.strategy.scope():
                return _train(config, directory, origin, machine, split, stopping, log)
        except ConfigError:
            if fresh:  # refused before its first step
                remove_refused_run(directory)
            raise
        except Exception as error:
            write_result(config, directory, machine, "failed", error=f"{type(error).__name__}: {error}")
            raise


def _write_generator(directory: Path, held: bool) -> None:
    """Write the missing generator of a finished run again, from its last checkpoint."""
    from ganlab.exports.portable import save_portable

    with contextlib.nullcontext() if held else claimed(directory):
        sampler, _ = open_sampler(directory)
        save_portable(directory / GENERATOR, sampler.generator)
    print(f"{directory / GENERATOR} was missing and has been written again", flush=True)


def _train(
    config: RunConfig,
    directory: Path,
    origin: Path,
    machine: device.Device,
    split: "Split",
    stopping: Callable[[], bool],
    log: Log,
) -> RunResult:
    """Train in a folder, from the newest checkpoint of `origin`, which belongs to the first worker."""
    from ganlab.run.build import build_gan, build_steps, is_on_device
    from ganlab.run.callbacks import BestStep, Callbacks, profile_event
    from ganlab.run.measuring import prepare
    from ganlab.training.loop import DivergedError, fit
    from ganlab.training.replicas import agreed

    training, began, say = config.training, now(), log.say
    gan = build_gan(config)
    xla = machine.xla(training.compile, training.steps)
    went_back = resume.rollbacks(origin.parent)

    def build():
        reseed_at = [rollback.to_step for rollback in went_back]
        return build_steps(gan, config, split.train, xla=xla, reseed_at=reseed_at)

    # Before anything else computes, since that names a cached program; images on disk are read in order from a step on.
    steps = build() if is_on_device(config, split.train) else None
    measuring = prepare(config, split, say=say)
    tensors = gan.tensors()
    restored = checkpoints.restore(origin, tensors, unfit=lambda record: resume.unfit(record, config, origin.parent))
    if restored is None and config.init_from:
        resume.start_from(config.init_from, tensors)
    steps = steps or build()
    start, record = 0, resume.Record(started=began)
    if restored:
        start, record = restored.step, resume.Record.model_validate(restored.record)
    position = {} if device.worker() else record.records  # they are in the first worker's folder
    best = BestStep(config, record.best and record.best.model_dump(), checkpoints.steps(origin))

    images_per_step = training.batch_size * training.discriminator_steps

    with (
        tracked(config, directory, say) as tracker,
        Records(directory, step=start, resume=position, copy=tracker.scalars) as records,
        Progress(training.steps, start, unit_images=images_per_step, log=log) as progress,
    ):
        callbacks = Callbacks(config, directory, gan, measuring, record, best, records, progress)
        if machine.emulates:
            progress.say(f"{machine.name} has no bfloat16 of its own and emulates it: precision=float32 is faster")
        if xla:
            progress.say("compiling with XLA; the program is kept for other runs of these settings")
        callbacks.draw_real(split.held_out)
        for line in restored.damaged if restored else []:
            progress.say(f"passed over a checkpoint, {line}")
        if restored and not restored.damaged and not device.worker():
            callbacks.remove_leftovers(start)
        if restored:
            progress.say(f"continuing from step {start}")
        else:
            if config.init_from:
                progress.say(f"starting with the weights of {config.init_from.run} at step {config.init_from.step}")
            records.text(0, "settings", _as_markdown(config))
            records.hyperparameters(_hyperparameters(config), trial=without_seed(directory.resolve().name))
            callbacks.sample(0)

        status, error = "finished", None
        try:
            with contextlib.ExitStack() as profiling:
                events = [profile_event(directory, training.profile, start, profiling), *callbacks.events()]
                completed = fit(
                    gan, steps, training.steps, training.steps_per_call, events, agreed(stopping), callbacks.at_plateau
                )
            if not completed:
                status = "interrupted"
                callbacks.save(int(gan.step.numpy()))
        except DivergedError as problem:
            good_step = checkpoints.newest(directory / CHECKPOINTS)
            error = f"{problem}; " + (
                "no checkpoint yet" if good_step is None else f"last good checkpoint: step {good_step}"
            )
            step = int(gan.step.numpy())
            rolls_back = resume.roll_back(config, directory, step=step, to=good_step, error=str(problem))
            status = "rolled back" if rolls_back else "diverged"
        seconds = callbacks.seconds()
        if status == "finished":
            if callbacks.at_plateau():
                progress.say(
                    f"twice the images hardly improved the primary metric: ends at step {int(gan.step.numpy())}"
                )
            callbacks.finish()
        tracker.status = "interrupted" if status == "rolled back" else status
        if status not in ("interrupted", "rolled back"):
            records.finished(status == "finished")
    if status == "rolled back":
        say(f"{error}; going back to it, with fresh random numbers")
        return _train(config, directory, origin, machine, split, stopping, log)

    images_seen = int(gan.step.numpy()) * images_per_step
    return write_result(
        config,
        directory,
        machine,
        status,
        metrics=callbacks.metrics if status == "finished" else {},
        spread=callbacks.spread,
        **({"draws": callbacks.draws} if callbacks.draws else {}),
        **({"ladder": measuring.ladder} if measuring.ladder else {}),
        **({"collapsed_at": callbacks.collapsed_at} if status == "finished" and callbacks.collapsed_at else {}),
        profiles=callbacks.profiles if status == "finished" else {},
        best=best.current,
        real_against_real=measuring.real_against_real,
        nulls=measuring.nulls,
        protocol=measuring.protocol,
        **_network_facts(gan),
        replicas=machine.replicas,
        threads=machine.threads,
        compiled="xla" if xla else "graph",
        images_seen=images_seen,
        seconds=seconds,
        images_per_second=images_seen / seconds,
        source=split.train.source,
        **({"extended": extended} if (extended := resume.extensions(config, directory)) else {}),
        **({"rollbacks": [rollback.model_dump() for rollback in went_back]} if went_back else {}),
        data=split.facts,
        started=record.started,
        **({"error": error} if error else {}),
    )


def _network_facts(gan: "Gan") -> dict[str, Any]:
    """What `result.json` says about the networks: their size, their cost, and how many updates were skipped."""
    from ganlab.nets.analysis import multiplications, receptive_field_of

    generator, discriminator = multiplications(gan.generator), multiplications(gan.discriminator)
    return {
        "parameters": {"generator": gan.generator.count_params(), "discriminator": gan.discriminator.count_params()},
        "macs": {
            "generator": generator.executed,
            "generator_as_written": generator.written,
            "discriminator": discriminator.executed,
        },
        "skipped": {
            "generator": int(gan.g_optimizer.skipped.numpy()),
            "discriminator": int(gan.d_optimizer.skipped.numpy()),
        },
        "receptive_field": list(receptive_field_of(gan.generator, gan.generator.layers[-1])),
    }


def _as_markdown(config: RunConfig) -> str:
    return f"```yaml\n{yaml.safe_dump(config.model_dump(mode='json'), sort_keys=False)}```"


def _hyperparameters(config: RunConfig) -> dict[str, float | str | bool]:
    """Plain settings by dotted name, without the seed: runs of one arm share a row.

    A setting that may be a list or null in another run is text in all: TensorBoard cannot sort numbers among texts.
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
