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
from ganlab.errors import ConfigError, without_colours
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
    last_step,
    remove_refused_run,
)
from ganlab.runs.records import Records, without_seed
from ganlab.runs.result import HELD_OUT, LOG, RESULT, RunResult, now, write_result
from ganlab.runs.signals import stop_requested
from ganlab.runs.tracking import IDENTITY, Tracker, check_installed
from ganlab.training import checkpoints

WRITTEN = (CONFIG, RESULT, HELD_OUT, resume.EXTENDED, resume.ROLLBACKS, IDENTITY, GENERATOR)
"""Files that a run writes under another name and renames: leftovers of a kill are removed when it continues."""

if TYPE_CHECKING:
    from ganlab.data.images import Split
    from ganlab.run.callbacks import Callbacks
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
            _write_generator(directory, held, last_step(config, done))
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
                result = None
                while result is None:  # once, unless it diverges and goes back to a checkpoint
                    result = _Training(config, directory, origin, machine, split, log).run(stopping)
                return result
        except ConfigError:
            if fresh:  # refused before its first step
                remove_refused_run(directory)
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {without_colours(str(error))}"
            write_result(config, directory, machine, "failed", error=why)
            raise


def _write_generator(directory: Path, held: bool, step: int) -> None:
    """Write the missing generator of a finished run again, from its last checkpoint; no older one will do."""
    from ganlab.exports.portable import save_portable

    if step not in checkpoints.steps(directory / CHECKPOINTS):
        print(
            f"{directory / GENERATOR} is missing, and so is the checkpoint of step {step} to write it from", flush=True
        )
        return
    with contextlib.nullcontext() if held else claimed(directory):
        sampler, _ = open_sampler(directory, step)
        try:
            save_portable(directory / GENERATOR, sampler.generator)
        except ValueError as error:
            print(f"{directory / GENERATOR} cannot be written: {error}", flush=True)
            return
    print(f"{directory / GENERATOR} was missing and has been written again", flush=True)


class _Training:
    """The training of a run from its newest checkpoint, or from the start, until it ends, stops or diverges.

    Made in the order in which a GPU needs it: the compiled step comes before anything else is computed, since what was
    computed before names a cached program.
    """

    def __init__(
        self, config: RunConfig, directory: Path, origin: Path, machine: device.Device, split: "Split", log: Log
    ):
        """Build everything, and restore it. directory: to write to. origin: the checkpoints of the first worker."""
        from ganlab.run.build import build_gan, build_steps, is_on_device
        from ganlab.run.callbacks import BestStep
        from ganlab.run.measuring import prepare

        self._config, self._directory, self._machine, self._split, self._log = config, directory, machine, split, log
        began = now()
        self._gan = build_gan(config)
        self._xla = machine.xla(config.training.compile, config.training.steps)
        self._rollbacks = resume.rollbacks(origin.parent)
        self._images_per_step = config.training.batch_size * config.training.discriminator_steps

        def build():
            reseed_at = [rollback.to_step for rollback in self._rollbacks]
            return build_steps(self._gan, config, split.train, xla=self._xla, reseed_at=reseed_at)

        steps = build() if is_on_device(config, split.train) else None
        self._measuring = prepare(config, split, say=log.say)
        tensors = self._gan.tensors()
        self._restored = checkpoints.restore(
            origin, tensors, unfit=lambda record: resume.unfit(record, config, origin.parent)
        )
        if self._restored is None and config.init_from:
            resume.start_from(config.init_from, tensors)
        self._steps = steps or build()  # images on disk are read in order from the step that was restored
        self._start, self._record = 0, resume.Record(started=began)
        if self._restored:
            self._start, self._record = self._restored.step, resume.Record.model_validate(self._restored.record)
        best = self._record.best
        self._best = BestStep(config, best and best.model_dump(), checkpoints.steps(origin))

    def run(self, stopping: Callable[[], bool]) -> RunResult | None:
        """Train, and write the result; None where the run has gone back to a checkpoint and is to be trained again."""
        from ganlab.run.callbacks import Callbacks

        config, directory = self._config, self._directory
        position = {} if device.worker() else self._record.records  # they are in the first worker's folder
        with (
            Tracker(config, directory, self._log.say) as tracker,
            Records(directory, step=self._start, resume=position, copy=tracker.scalars) as records,
            Progress(config.training.steps, self._start, unit_images=self._images_per_step, log=self._log) as progress,
        ):
            callbacks = Callbacks(
                config, directory, self._gan, self._measuring, self._record, self._best, records, progress
            )
            self._begin(callbacks, records, progress.say)
            status, error = self._train(callbacks, stopping)
            seconds = callbacks.seconds()
            if status == "finished":
                if callbacks.at_plateau():
                    progress.say(f"twice the images hardly improved the primary metric: ends at step {self._step()}")
                callbacks.finish()
            tracker.status = "interrupted" if status == "rolled back" else status
            if status not in ("interrupted", "rolled back"):
                records.finished(status == "finished")
        if status == "rolled back":
            self._log.say(f"{error}; going back to it, with fresh random numbers")
            return None
        return self._write_result(callbacks, status, error, seconds)

    def _step(self) -> int:
        return int(self._gan.step.numpy())

    def _begin(self, callbacks: "Callbacks", records: Records, say: Callable[[str], None]) -> None:
        """Say how the run begins or continues, and record its settings."""
        config, restored = self._config, self._restored
        if self._machine.emulates:
            say(f"{self._machine.name} has no bfloat16 of its own and emulates it: precision=float32 is faster")
        if self._xla:
            say("compiling with XLA; the program is kept for other runs of these settings")
        callbacks.draw_real(self._split.held_out)
        if restored:
            for line in restored.damaged:
                say(f"passed over a checkpoint, {line}")
            if not restored.damaged and not device.worker():
                callbacks.remove_leftovers(self._start)
            say(f"continuing from step {self._start}")
            return
        if config.init_from:
            say(f"starting with the weights of {config.init_from.run} at step {config.init_from.step}")
        settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        records.text(0, "settings", f"```yaml\n{settings}```")
        records.hyperparameters(_hyperparameters(config), trial=without_seed(self._directory.resolve().name))

    def _train(self, callbacks: "Callbacks", stopping: Callable[[], bool]) -> tuple[str, str | None]:
        """Take the steps; returns the status in which they ended, and the error if they diverged."""
        from ganlab.run.callbacks import profile_event
        from ganlab.training.loop import DivergedError, fit
        from ganlab.training.replicas import agreed

        training, directory = self._config.training, self._directory
        try:
            if self._restored is None:
                callbacks.sample(0)
            with contextlib.ExitStack() as profiling:
                profile = profile_event(directory, training.profile, self._start, profiling)
                completed = fit(
                    self._gan,
                    self._steps,
                    training.steps,
                    training.steps_per_call,
                    [profile, *callbacks.events()],
                    agreed(stopping),
                    callbacks.at_plateau,
                )
            if completed:
                return "finished", None
            callbacks.save(self._step())
            return "interrupted", None
        except DivergedError as problem:
            good_step, _ = checkpoints.newest_whole(directory / CHECKPOINTS) or (None, "")
            last_good = "no checkpoint yet" if good_step is None else f"last good checkpoint: step {good_step}"
            rolls_back = resume.roll_back(self._config, directory, step=self._step(), to=good_step, error=str(problem))
            return "rolled back" if rolls_back else "diverged", f"{problem}; {last_good}"

    def _write_result(self, callbacks: "Callbacks", status: str, error: str | None, seconds: float) -> RunResult:
        config, measuring, machine = self._config, self._measuring, self._machine
        finished_run = status == "finished"
        images_seen = self._step() * self._images_per_step
        where_known = {
            "draws": callbacks.draws,
            "ladder": measuring.ladder,
            "collapsed_at": callbacks.collapsed_at if finished_run else None,
            "extended": resume.extensions(config, self._directory),
            "rollbacks": [rollback.model_dump() for rollback in self._rollbacks],
            "error": error,
        }
        return write_result(
            config,
            self._directory,
            machine,
            status,
            metrics=callbacks.metrics if finished_run else {},
            spread=callbacks.spread,
            profiles=callbacks.profiles if finished_run else {},
            best=self._best.current,
            real_against_real=measuring.real_against_real,
            nulls=measuring.nulls,
            protocol=measuring.protocol,
            **_network_facts(self._gan),
            replicas=machine.replicas,
            threads=machine.threads,
            compiled="xla" if self._xla else "graph",
            images_seen=images_seen,
            seconds=seconds,
            images_per_second=images_seen / seconds,
            source=self._split.train.source,
            data=self._split.facts,
            started=self._record.started,
            **{name: value for name, value in where_known.items() if value},
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
