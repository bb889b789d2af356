"""What happens between the steps of a run, each event a method. `training/loop.py` calls them at their steps."""

import contextlib
import math
import time
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ganlab import files
from ganlab.config import RunConfig, profiled
from ganlab.data.images import Images
from ganlab.evaluation.registry import metric_of, quick_relative
from ganlab.exports.portable import save_portable
from ganlab.nets.layers import recompute_statistics
from ganlab.run.build import make_traces
from ganlab.run.inputs import full_measures_every
from ganlab.run.measuring import Measuring
from ganlab.run.pictures import real_grid, sample_grid
from ganlab.run.resume import Record
from ganlab.run.sampler import Sampler
from ganlab.runs import grids
from ganlab.runs.console import Progress
from ganlab.runs.folder import CHECKPOINTS, GENERATOR
from ganlab.runs.records import SPEED, Records
from ganlab.runs.result import coverage_beside, has_collapsed
from ganlab.training import checkpoints
from ganlab.training.loop import DivergedError, Event, take_means
from ganlab.training.state import Gan


def primary_during_training(config: RunConfig) -> str:
    """The name under which the study's primary metric, or its quick counterpart, is measured during training."""
    quality = config.comparison.quality
    return quality if full_measures_every(config) else quick_relative(quality)


def at_plateau(history: Mapping[int, float], share: float | None) -> bool:
    """Whether a distance has fallen by less than a share since half the number of steps.

    history: values by step. The best value up to now is compared with the best up to half the steps.
    """
    if share is None or not history:
        return False
    last = max(history)
    before = [value for step, value in history.items() if 2 * step <= last and math.isfinite(value)]
    return bool(before) and min(history.values()) > (1 - share) * min(before)


class BestStep:
    """The best step so far by the study's primary metric, as it is measured during training.

    current: `{"step", "metric", "value"}`; None where the primary has not been measured yet, or is measured only at the
    end. Of equal steps the earliest stays the best.
    """

    def __init__(self, config: RunConfig, current: dict[str, Any] | None, saved_steps: Container[int]):
        """config: of the run. current: from the checkpoint to continue from. saved_steps: those with a checkpoint."""
        self._metric, self._primary = primary_during_training(config), metric_of(config.comparison.quality)
        self.current = current if current and current["step"] in saved_steps else None

    @property
    def step(self) -> int | None:
        """Its step."""
        return self.current["step"] if self.current else None

    def update(self, step: int, measured: Mapping[str, float]) -> bool:
        """Note the step if it is the best so far; returns whether it is."""
        value = measured.get(self._metric)
        if value is None or self._primary is None or not self._primary.direction:  # it has no better side
            return False
        better = self._primary.is_better(value, self.current["value"]) if self.current else math.isfinite(value)
        if better:
            self.current = {"step": step, "metric": self._metric, "value": value}
        return better


def profile_event(directory: Path, interval: str | None, step: int, stack: contextlib.ExitStack) -> Event:
    """The event that begins and ends the profile of `training.profile`, if there is one; `stack` ends it with the run.

    step: where the run begins or continues.
    """
    first, last = (profiled(interval) if interval else None) or (-1, -1)

    def turn(step: int) -> None:
        stack.close()
        if step == first:
            stack.enter_context(tf.profiler.experimental.Profile(str(directory)))

    turn(step)
    return Event(None, turn, at=(first, last))


class Callbacks:
    """The events of a run, and its results so far.

    metrics: the newest measures, by name. spread: their standard deviations over the sets of images at the end.
    draws: the measures at the end through each draw of the features. profiles: mean power by ring, of real and of
    generated images. best: the best checkpoint so far. collapsed_at: the step since which all measures say that the
    generator has collapsed (`comparison.collapse`); None if it has not.
    """

    def __init__(
        self,
        config: RunConfig,
        directory: Path,
        gan: Gan,
        measuring: Measuring,
        record: Record,
        best: BestStep,
        records: Records,
        progress: Progress,
    ):
        """record: of the checkpoint to continue from, as `save` writes it; empty where there is none."""
        self.metrics: dict[str, float] = dict(record.measured)
        self.spread: dict[str, float] = {}
        self.draws: dict[str, list[float]] = {}
        self.collapsed_at: int | None = record.collapsed_at
        self._history: dict[int, float] = dict(record.primary)
        self.profiles: dict[str, list[float]] = dict(record.profiles)
        self.best = best
        self.images_per_step = config.training.batch_size * config.training.discriminator_steps
        self._config, self._directory, self._gan, self._measuring = config, directory, gan, measuring
        self._records, self._progress = records, progress
        self._sampler = Sampler(gan.ema, config)
        self._traces = make_traces(gan.generator, self._sampler.latents("latents/samples", 64))
        self._few = self._sampler.latents("latents/samples", 8)
        self._refreshed: int | None = None  # the step whose batch statistics the EMA has
        self._seconds_before, self._started = record.seconds, time.perf_counter()
        self._logged_step, self._logged_at = int(gan.step.numpy()), self._started
        self._began = record.started

    def events(self) -> list[Event]:
        """Each event with its period, in the order in which events of one step happen."""
        training = self._config.training
        return [
            Event(training.log_every_steps, self.log),
            Event(training.sample_every_steps, self.sample),
            Event(self._config.metrics.every_steps, self.evaluate),
            *([Event(every, self.evaluate_cheap)] if (every := full_measures_every(self._config)) else []),
            Event(training.save_every_steps, self.save),
        ]

    def seconds(self) -> float:
        """Of training so far, over all sessions of the run."""
        return self._seconds_before + time.perf_counter() - self._started

    def log(self, step: int) -> None:
        """Record the means since the last record, the speed, and the operators' traces; update the progress bar."""
        period = self._config.training.log_every_steps
        count = step - (step - 1) // period * period
        values = take_means(self._gan, count, whole=count == period)
        now = time.perf_counter()
        rate = (step - self._logged_step) * self.images_per_step / (now - self._logged_at)
        self._logged_step, self._logged_at = step, now
        values |= {SPEED: rate, **self._gan.skips(), **self._traces(step)}
        self._record(step, values)
        self._progress.update(step, {tag: value for tag, value in values.items() if tag.startswith("loss/")})

    def sample(self, step: int) -> None:
        """Draw the images of the fixed latents."""
        self._refresh(step)
        picture = sample_grid(self._sampler, self._config)
        self._save_png("samples", f"step-{step:08d}", picture)
        self._records.image(step, "samples", picture)

    def evaluate(self, step: int) -> None:
        """Take the quick measures; save a checkpoint if it is the best so far."""
        self._refresh(step)
        measured = self._measuring.measure_quick(self._sampler)
        self.metrics = dict(measured.values)
        self.profiles |= self._measuring.profiles(measured)
        self._record_metrics(step, self.metrics)
        self._note_progress(step, self.metrics)
        sketch = self._measuring.sketch(measured)
        if sketch is not None:
            self._records.image(step, "spectrum", sketch)
        self._keep_best(step, self.metrics)

    def evaluate_cheap(self, step: int) -> None:
        """Take the full measures that are taken during training; save a checkpoint if it is the best so far."""
        self._refresh(step)
        measured = self._measuring.measure_cheap(self._sampler)
        self._note_progress(step, measured)
        if step < self._config.training.steps and not self.at_plateau():  # else the measures of the end follow
            self._record_metrics(step, measured)
        self._keep_best(step, measured)

    def _keep_best(self, step: int, measured: Mapping[str, float]) -> None:
        training = self._config.training
        saved_anyway = step % training.save_every_steps == 0 or step == training.steps or self.at_plateau()
        if self.best.update(step, measured) and not saved_anyway:
            self.save(step, regular=False)

    def at_plateau(self) -> bool:
        """Whether twice the images have hardly improved the primary metric (`training.plateau`)."""
        return at_plateau(self._history, self._config.training.plateau)

    def _note_progress(self, step: int, measured: Mapping[str, float]) -> None:
        """Note the primary metric during training, and whether the generator has collapsed."""
        metric = primary_during_training(self._config)
        if self._config.training.plateau is not None and metric in measured:
            self._history.setdefault(step, measured[metric])
        comparison, real = self._config.comparison, self._measuring.real_against_real
        own = coverage_beside(comparison.quality)
        if full_measures_every(self._config) and own in real and own not in measured:
            return  # of two kinds of measures the primary's own decide
        collapsed = has_collapsed(comparison.quality, measured, real, comparison.collapse)
        if collapsed is None:
            return
        if collapsed and self.collapsed_at is None:
            self.collapsed_at = step
            self._progress.say(f"the generator has collapsed at step {step}: its images cover hardly any real ones")
        elif not collapsed and self.collapsed_at is not None:
            self._progress.say(f"the generator is no longer collapsed at step {step}")
            self.collapsed_at = None

    def save(self, step: int, *, regular: bool = True) -> None:
        """Write a checkpoint; raises DivergedError where a weight is not finite.

        regular: whether it counts among the newest `training.keep_checkpoints`, besides being the best.
        """
        self._refresh(step)
        tensors = self._gan.tensors()
        if not all(bool(tf.reduce_all(tf.math.is_finite(v))) for v in tensors.values() if v.dtype.is_floating):
            raise DivergedError(f"a weight is no longer finite at step {step}")
        record = {
            "config": self._config.model_dump(mode="json"),
            "started": self._began,
            "records": self._records.position(),
            "seconds": self.seconds(),
            "measured": self.metrics,
            "profiles": self.profiles,
            "best": self.best.current,
            "primary": self._history,
            "collapsed_at": self.collapsed_at,
        }
        checkpoints.save(self._directory / CHECKPOINTS, step, tensors, record, **self._retention(step, regular))

    def remove_leftovers(self, step: int) -> None:
        """Remove what a killed process has left: half-written files, a checkpoint too many.

        step: of the newest checkpoint.
        """
        for name in ("samples", "pictures"):
            files.remove_unfinished(self._directory / name)
        checkpoints.prune(self._directory / CHECKPOINTS, step, **self._retention(step, step != self.best.step))

    def _retention(self, step: int, regular: bool) -> dict[str, Any]:
        """Which checkpoints stay besides that of a step, as keyword arguments of `checkpoints.save`."""
        training = self._config.training

        def counts(saved: int) -> bool:
            return saved % training.save_every_steps == 0 or (regular and saved == step)

        return {"keep": training.keep_checkpoints, "best": self.best.step, "counts": counts}

    def finish(self) -> None:
        """After the last step: export the EMA, and take the full measures if the settings ask for them."""
        try:
            save_portable(self._directory / GENERATOR, self._gan.ema)
        except ValueError as error:  # an operator of one's own that is no stock layers; the checkpoint has it all
            self._progress.say(f"{GENERATOR} cannot be written: {error}")
        if not self._measuring.full:
            return
        step, measured = int(self._gan.step.numpy()), self._measuring.measure_full(self._sampler)
        self.metrics |= measured.values
        self.spread, self.draws = measured.std, measured.draws
        self.profiles |= self._measuring.profiles(measured)
        self._record_metrics(step, measured.values)
        self._note_progress(step, measured.values)
        for name, picture in self._measuring.draw(self._sampler, measured).items():
            self._save_png("pictures", name, picture)
            self._records.image(step, f"pictures/{name}", picture)

    def draw_real(self, held_out: Images) -> None:
        """Save a grid of held-out images to compare samples with; once a run."""
        path = self._directory / "samples" / "real.png"
        if not path.exists():
            self._save_png("samples", "real", real_grid(held_out, self._config))

    def _save_png(self, folder: str, name: str, picture: np.ndarray) -> None:
        files.make_folder(self._directory / folder)
        grids.save_png(self._directory / folder / f"{name}.png", picture)

    def _record(self, step: int, values: dict[str, float]) -> None:
        self._records.scalars(step, step * self.images_per_step, self.seconds(), values)

    def _record_metrics(self, step: int, metrics: dict[str, float]) -> None:
        self._record(step, {f"metric/{name}": value for name, value in metrics.items()})

    def _refresh(self, step: int) -> None:
        """Once a step, before the EMA is used: give it the batch statistics of its own weights, if the settings say so.

        Raises DivergedError where its images are not finite: no loss shows that before the next step.
        """
        if step == self._refreshed:
            return
        if self._config.training.ema_statistics == "recompute":
            recompute_statistics(self._gan.ema, self._sampler.batches(self._config.training.batch_size))
        if not np.isfinite(self._gan.ema(self._few, training=False)).all():
            raise DivergedError(f"images of the averaged generator are no longer finite at step {step}")
        self._refreshed = step
