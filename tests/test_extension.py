"""Runs that are trained longer than their settings said, and runs that start with the weights of another."""

import json
import re
import shutil

import numpy as np
import pytest

from ganlab.choose import ConfigError
from ganlab.compose import plan
from ganlab.run import extension, read_config, run
from ganlab.run.life import extensions
from test_run import records, weights

TINY = (
    "training.steps_per_call=4",
    "training.log_every_steps=5",
    "training.sample_every_steps=6",
    "training.save_every_steps=6",
    "metrics.every_steps=6",
    "metrics.images=60",
    "training.batch_size=8",
    "generator.base_filters=4",
    "generator.stages=[[4,2],[null,2]]",
    "discriminator.filters=[4,4]",
)


def train(directory, *overrides):
    return run(plan([*TINY, *overrides], multirun=False).cells[0].config, directory, quiet=True)


def longer(directory, steps, quiet=True):
    return run(read_config(directory), directory, quiet=quiet, steps=steps)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Twelve steps in one go."""
    directory = tmp_path_factory.mktemp("straight") / "run"
    train(directory, "training.steps=12")
    return directory


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Six steps: its last logged means are of one step only, a straight run's next record is of all five."""
    directory = tmp_path_factory.mktemp("short") / "run"
    train(directory, "training.steps=6")
    return directory


def assert_same_end(one, other, extra=lambda line: False):
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    assert records(one) == [line for line in records(other) if not extra(line)]
    ends = [json.loads((path / "result.json").read_text()) for path in (one, other)]
    for key in ("status", "config", "metrics", "profiles", "images_seen", "protocol", "nulls"):
        assert ends[0][key] == ends[1][key], key
    assert json.loads((one / "config.json").read_text()) == json.loads((other / "config.json").read_text())


def test_a_run_trained_longer_ends_in_the_bits_of_one_that_was_so_from_the_start(straight, short, tmp_path, capsys):
    directory = shutil.copytree(short, tmp_path / "run")
    result = longer(directory, 12, quiet=False)
    said = capsys.readouterr().out
    assert "training to step 12 instead of 6, from step 6\n" in said
    assert "the log of step 6, made because it was the last, stay" in said
    assert result.model_extra["extended"] == [{"from_step": 6, "steps_before": 6, "steps": 12}]
    assert_same_end(straight, directory, lambda line: line["step"] == 6 and "loss/generator" in line)
    steps = [(line["step"], "loss/generator" in line) for line in records(directory)]
    assert len(steps) == len(set(steps)), "a record stands twice"
    assert json.loads((directory / "result-step-00000006.json").read_text())["config"]["training"]["steps"] == 6
    assert "extended" not in json.loads((straight / "result.json").read_text())


@pytest.mark.parametrize("moment", [2, 3, "after"])
def test_a_kill_while_a_run_is_extended_leaves_one_that_can_be_gone_on_with(
    straight, short, tmp_path, monkeypatch, moment
):
    """At each of the three writes, and after them; then the same command again."""
    directory = shutil.copytree(short, tmp_path / "run")
    writes = []

    class KilledError(BaseException):
        pass

    def dying(write):
        def killed(*arguments, **more):
            writes.append(arguments)
            if len(writes) == moment:
                raise KilledError
            return write(*arguments, **more)

        return killed

    with monkeypatch.context() as patched:
        patched.setattr(extension, "write_json", dying(extension.write_json))
        patched.setattr(extension.Path, "replace", dying(extension.Path.replace))
        if moment == "after":
            extension.extend(read_config(directory), directory, 12)
        else:
            with pytest.raises(KilledError):
                extension.extend(read_config(directory), directory, 12)
    before = read_config(directory)
    assert len(extensions(before, directory)) == (moment == "after")
    assert run(before, directory, quiet=True).status == "finished"  # what stands there is whole
    if moment != "after":
        longer(directory, 12)
    assert_same_end(straight, directory, lambda line: line["step"] == 6 and "loss/generator" in line)
    assert len(json.loads((directory / "result.json").read_text())["extended"]) == 1


def test_a_schedule_that_depends_on_the_last_step_says_what_changes(settings, tmp_path):
    config = settings(
        "training.steps=4000", "optimizer.final_rate=0.1", "augment.noise=0.2", "optimizer.schedule=linear"
    )
    lines = extension._changes(config, 4000, 8000)
    assert lines[1] == (
        "  optimizer.final_rate=0.1: the learning rates reach 0.1 of their start at step 8000 instead of 4000; "
        "the generator's goes from 0.0001 to 0.00055 at step 4000"
    )
    assert lines[2] == "  augment.noise=0.2 falls to 0 at step 8000 instead of 4000; it goes from 0 to 0.1 at step 4000"
    assert len(extension._changes(settings(), 4000, 8000)) == 1


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize("warmup", [0, 7])
def test_the_rate_that_is_told_is_the_rate_that_is_used(settings, schedule, warmup):
    import tensorflow as tf

    from ganlab.training.adam import Adam

    adam = settings(
        f"optimizer.schedule={schedule}", f"optimizer.warmup_steps={warmup}", "optimizer.final_rate=0.2"
    ).optimizer
    optimizer = Adam([tf.Variable([1.0])], adam, 0.5, 40)
    for taken in (0, 3, 7, 20, 40, 50):
        optimizer.count.assign(taken)
        assert float(optimizer.learning_rate()) == pytest.approx(0.5 * adam.share(taken, 40), rel=1e-6)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["resume=a", "training.steps=8", "seed=1"], "resume=a takes its settings from that run; leave out seed=1 (training.steps=... alone"),
        (["resume=a", "training.steps=8", "training.steps=9"], "leave out training.steps=9"),
        (["resume=a", "training.steps=many"], "training.steps=many is not a whole number; use one above"),
    ],
)  # fmt: skip
def test_only_the_steps_may_stand_beside_resume(line, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        plan(line, multirun=False)
    wanted = plan(["training.steps=8", "resume=a"], multirun=False)
    assert (str(wanted.resume), wanted.steps) == ("a", 8)


def test_what_cannot_be_extended_is_one_line_and_left_alone(short, tmp_path):
    directory = shutil.copytree(short, tmp_path / "run")

    def refused(steps, said):
        before = {path: path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file()}
        with pytest.raises(ConfigError, match=re.escape(said)):
            longer(directory, steps)
        after = {path: path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file()}
        assert {**after, directory / ".lock": 0} == {**before, directory / ".lock": 0}

    refused(6, f"training.steps=6 is not above the 6 steps that {directory} has taken; use more")
    shutil.move(directory / "checkpoints", tmp_path / "checkpoints")
    refused(12, "has no checkpoint left to go on from")
    shutil.move(tmp_path / "checkpoints", directory / "checkpoints")
    result = json.loads((directory / "result.json").read_text())
    (directory / "result.json").write_text(json.dumps(result | {"status": "diverged"}))
    refused(12, "diverged, and would do so again")
