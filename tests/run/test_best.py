"""The best checkpoint: the one that was measured, kept beside the newest, through every stop."""

import contextlib
import json
import re
import shutil
import sys

import numpy as np
import pytest

from ganlab import evaluate, export
from ganlab.cli.help import last_lines
from ganlab.cli.hydra import plan
from ganlab.errors import ConfigError
from ganlab.evaluation.registry import metric_of
from ganlab.run.callbacks import BestStep
from ganlab.run.life import run
from ganlab.run.measuring import open_images, prepare
from ganlab.run.sampler import open_sampler
from ganlab.runs.folder import read_config
from ganlab.training import checkpoints
from small_runs import records

WORSENS = (
    "training.steps=21",
    "training.batch_size=8",
    "training.steps_per_call=7",
    "training.save_every_steps=9",
    "training.keep_checkpoints=1",
    "training.log_every_steps=7",
    "training.sample_every_steps=7",
    "metrics.every_steps=7",
    "metrics.images=60",
    "generator.base_filters=4",
    "generator.stages=[[4,2],[null,2]]",
    "discriminator.filters=[4,4]",
    "optimizer.g_learning_rate=0.05",
)
"""Measured every seven steps, saved every nine, and best at step 7."""


@pytest.fixture(scope="module")
def worse(tmp_path_factory):
    directory = tmp_path_factory.mktemp("worse") / "run"
    run(plan(list(WORSENS), multirun=False).cells[0].config, directory, quiet=True)
    return directory


def best_of(directory):
    return json.loads((directory / "result.json").read_text())["best"]


def test_the_best_that_was_measured_is_kept_and_named(worse):
    measured = {line["step"]: line["metric/frechet_distance"] for line in records(worse) if "metric/recall" in line}
    step = min(measured, key=measured.get)
    assert list(measured) == [7, 14, 21]
    assert step < 21, "the newest is the best, and the test shows nothing"
    assert best_of(worse) == {"step": step, "metric": "frechet_distance", "value": measured[step]}
    assert checkpoints.steps(worse / "checkpoints") == [step, 21]


def test_a_best_that_is_overtaken_takes_no_place_of_the_newest(tmp_path):
    """Steps 3 and 7 are saved as the best only; of 5, 10, ... and the end, the newest two stay."""
    import tensorflow as tf

    tensors = {"weight": tf.Variable(1.0)}
    stood = {}
    for step, best in ((3, 3), (5, 3), (7, 7), (10, 7), (15, 15), (20, 15), (25, 15), (27, 15)):
        checkpoints.save(tmp_path, step, tensors, {}, 2, best, lambda s, at=step: s % 5 == 0 or s == at == 27)
        stood[step] = checkpoints.steps(tmp_path)
    assert stood == {3: [3], 5: [3, 5], 7: [5, 7], 10: [5, 7, 10], 15: [10, 15], 20: [15, 20], 25: [15, 20, 25],
                     27: [15, 25, 27]}  # fmt: skip


def test_what_is_kept_scores_what_was_measured(worse):
    config = read_config(worse)
    for step, there in (("best", best_of(worse)["step"]), (None, 21), (21, 21)):
        sampler, opened = open_sampler(worse, step)
        assert opened == there
        found = prepare(config, open_images(config), say=print).measure_quick(sampler).values
        assert {"step": there, **{f"metric/{name}": value for name, value in found.items()}}.items() <= next(
            line for line in records(worse) if line["step"] == there and "metric/recall" in line
        ).items()


@pytest.mark.slow
def test_it_outlives_a_kill_and_a_longer_training(worse, tmp_path):
    directory = tmp_path / "run"
    config = plan([*WORSENS, "training.steps=14"], multirun=False).cells[0].config
    run(config, directory, quiet=True)
    shutil.rmtree(directory / "checkpoints" / "step-00000014")
    (directory / "result.json").unlink()  # as if killed before step 14: the best is all that there is
    run(read_config(directory), directory, quiet=True)
    run(read_config(directory), directory, quiet=True, steps=21)
    assert best_of(directory) == best_of(worse)
    assert records(directory) == records(worse)
    assert checkpoints.best(directory / "checkpoints") == best_of(worse)["step"]
    one, other = (open_sampler(path, "best")[0].sample("latents/samples", 8) for path in (directory, worse))
    np.testing.assert_array_equal(one, other)


@pytest.fixture
def typed(worse, monkeypatch, capsys):
    """`typed(export, "--step", "best")`: what a command prints of the run; its line on stderr where it refuses."""

    def run_it(command, *arguments):
        monkeypatch.setattr(sys, "argv", [command.__name__, str(worse), *arguments])
        with contextlib.suppress(SystemExit):
            command.main()
            return capsys.readouterr().out
        return capsys.readouterr().err

    return run_it


@pytest.mark.slow
def test_commands_take_it(worse, typed, tmp_path):
    step = best_of(worse)["step"]
    assert f"the generator of step {step}: " in typed(export, "--step", "best", "--out", str(tmp_path / "best.keras"))
    assert f"step {step}; " in typed(evaluate, "metrics=quick", "--step", "best")


def test_a_step_without_a_checkpoint_is_one_line(worse, typed):
    step = best_of(worse)["step"]
    for command in (export, evaluate):
        said = typed(command, "--step", "5")
        assert said == f"step=5: {worse} has no checkpoint of that step; use best, or one of: {step}, 21\n"
        assert "'last' is not a step; give the number of one that has a checkpoint, or best" in typed(
            command, "--step", "last"
        )
    assert "--step=best cannot be combined with --record" in typed(evaluate, "--step", "best", "--record")


def test_the_end_of_a_run_names_it(worse):
    from ganlab.runs.result import read_result

    assert re.search(r"the best checkpoint is of step 7, frechet_distance [\d.]+: --step best", last_lines(read_result(worse / "result.json"), worse))  # fmt: skip


def test_a_run_that_has_measured_nothing_has_no_best(worse, tmp_path):
    directory = shutil.copytree(worse, tmp_path / "run")
    assert checkpoints.best(directory / "checkpoints") == 7
    shutil.rmtree(directory / "checkpoints" / "step-00000021")
    path = directory / "checkpoints" / "step-00000007" / "manifest.json"
    path.write_text("{}")
    with pytest.raises(
        ConfigError, match="has not measured a checkpoint yet; wait for its first measures, or use step=7"
    ):
        open_sampler(directory, "best")


@pytest.mark.parametrize(
    ("quality", "values", "best"),
    [
        ("frechet_distance", [3.0, 2.0, 2.0, 5.0], 1),
        ("coverage", [0.1, 0.5, 0.5, 0.4], 1),
        ("checkerboard_index_2", [-0.5, 0.4, -0.1, 0.3], 2),
        ("full/random/frechet_distance", [3.0, float("nan"), 1.0, 2.0], 2),
    ],
)
def test_better_has_the_direction_of_the_measure(quality, values, best):
    config = plan(["metrics=full", f"comparison.quality={quality}"], multirun=False).cells[0].config
    tracker = BestStep(config, None, [])
    metric = quality.rpartition("/")[2]
    changes = [step for step, value in enumerate(values) if tracker.update(step, {metric: value, "other": 0.0})]
    assert changes[-1] == tracker.step == best
    assert BestStep(config, tracker.current, [best]).step == best
    assert BestStep(config, tracker.current, [best + 1]).step is None  # its checkpoint is gone
    at_the_end = plan(["metrics=full", "comparison.quality=full/classifier/modes"], multirun=False).cells[0].config
    assert not BestStep(at_the_end, None, []).update(0, {metric: 1.0})


def test_nothing_is_better_than_itself():
    assert not metric_of("coverage").is_better(0.3, 0.3)
    assert not metric_of("frechet_distance").is_better(float("nan"), float("inf"))
    assert metric_of("checkerboard_index_2").is_better(-0.1, 0.2)
