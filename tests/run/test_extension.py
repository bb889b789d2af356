"""Runs that are trained longer than their settings said, and runs that start with the weights of another."""

import gc
import json
import logging
import re
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganlab import device
from ganlab.cli.help import help_page
from ganlab.cli.hydra import plan
from ganlab.errors import ConfigError
from ganlab.launch import dry_run
from ganlab.run import resume
from ganlab.run.life import run
from ganlab.run.resume import pin_checkpoint
from ganlab.runs.folder import read_config
from ganlab.study.arms import label_of, refuse_confounded, settings_of
from ganlab.training import checkpoints
from small_runs import BRIEF, assert_same_end, records, weights


def train(directory, *overrides):
    return run(plan([*BRIEF, *overrides], multirun=False).cells[0].config, directory, quiet=True)


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


def test_a_run_trained_longer_ends_in_the_bits_of_one_that_was_so_from_the_start(straight, short, tmp_path, capsys):
    directory = shutil.copytree(short, tmp_path / "run")
    result = longer(directory, 12, quiet=False)
    said = capsys.readouterr().out
    assert "training to step 12 instead of 6, from step 6\n" in said
    assert result.extended == [{"from_step": 6, "steps_before": 6, "steps": 12}]
    assert_same_end(straight, directory, lambda line: line["step"] == 6 and "loss/generator" in line)
    steps = [(line["step"], "loss/generator" in line) for line in records(directory)]
    assert len(steps) == len(set(steps)), "a record stands twice"
    assert json.loads((directory / "result-step-00000006.json").read_text())["config"]["training"]["steps"] == 6
    assert "extended" not in json.loads((straight / "result.json").read_text())


@pytest.mark.parametrize("moment", [2, 3, "after"])
@pytest.mark.slow
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
        patched.setattr(resume, "write_json", dying(resume.write_json))
        patched.setattr(resume, "move", dying(resume.move))
        if moment == "after":
            resume.extend(read_config(directory), directory, 12)
        else:
            with pytest.raises(KilledError):
                resume.extend(read_config(directory), directory, 12)
    before = read_config(directory)
    assert len(resume.extensions(before, directory)) == (moment == "after")
    assert run(before, directory, quiet=True).status == "finished"  # what stands there is whole
    if moment != "after":
        longer(directory, 12)
    assert_same_end(straight, directory, lambda line: line["step"] == 6 and "loss/generator" in line)
    assert len(json.loads((directory / "result.json").read_text())["extended"]) == 1


def test_a_schedule_that_depends_on_the_last_step_says_what_changes(settings, tmp_path):
    config = settings(
        "training.steps=4000", "optimizer.final_rate=0.1", "augment.noise=0.2", "optimizer.schedule=linear"
    )
    lines = resume._changes(config, 4000, 8000)
    assert lines[1] == (
        "  optimizer.final_rate=0.1: the learning rates reach 0.1 of their start at step 8000 instead of 4000, "
        "so they change at step 4000"
    )
    assert lines[2] == "  augment.noise=0.2 falls to 0 at step 8000 instead of 4000, so it changes at step 4000"
    assert len(resume._changes(settings(), 4000, 8000)) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["resume=a", "training.steps=8", "seed=1"], "resume=a takes its settings from that run; leave out seed=1 (only training.steps=..."),
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
    refused(12, "has no checkpoint left to continue from")
    shutil.move(tmp_path / "checkpoints", directory / "checkpoints")
    result = json.loads((directory / "result.json").read_text())
    (directory / "result.json").write_text(json.dumps(result | {"status": "diverged"}))
    refused(12, "diverged, and would do so again")


@pytest.fixture(scope="module")
def tuned(short, tmp_path_factory):
    """A run of six steps at a rate of its own that starts with the weights of the short one."""
    directory = tmp_path_factory.mktemp("tuned") / "run"
    train(directory, "training.steps=6", f"init_from={short}", "seed=3", "optimizer.g_learning_rate=0.0001")
    return directory


def test_a_run_starts_with_the_weights_of_another_and_nothing_else_of_it(short, tmp_path, monkeypatch):
    seen = {}

    def look(gan, *_):
        seen.update({name: variable.numpy() for name, variable in gan.tensors().items()})
        return False

    monkeypatch.setattr("ganlab.training.loop.fit", look)
    train(tmp_path / "run", "training.steps=6", f"init_from={short}", "seed=3")
    theirs = {name.split("/")[1].replace("|", "/"): value for name, value in weights(short).items() if ".ATTR" in name}
    assert any(name.startswith("ema/") for name in theirs)
    for name, value in seen.items():
        if name.startswith(("generator/", "discriminator/", "ema/")):
            np.testing.assert_array_equal(value, theirs[name], err_msg=name)
        elif name.startswith("g_optimizer/second") or name in ("step", "g_optimizer/count"):
            assert not value.any(), name


@pytest.mark.slow
def test_the_average_that_a_run_starts_with_is_not_forgotten_at_once(short, tuned):
    """The ramp-up would forget it in one step. After six of 8 images a half-life of 20,000 keeps 99.8 % of it."""
    before, after = weights(short), weights(tuned)
    name = "tensors/{}|base|kernel/.ATTRIBUTES/VARIABLE_VALUE"
    average, trained = (after[name.format(owner)] - before[name.format("ema")] for owner in ("ema", "generator"))
    assert 0 < np.abs(average).max() < 0.01 * np.abs(trained).max()


@pytest.mark.slow
def test_it_says_where_its_weights_came_from_and_needs_them_no_longer(short, tuned, tmp_path, capsys):
    config = json.loads((tuned / "config.json").read_text())
    assert config["init_from"]["run"] == str(short)
    assert config["init_from"]["step"] == 6
    assert len(config["init_from"]["sha256"]) == 64
    source = shutil.copytree(short, tmp_path / "source")
    directory = tmp_path / "run"
    train(directory, "training.steps=6", f"init_from={source}", "seed=3", "optimizer.g_learning_rate=0.0001")
    shutil.rmtree(source)
    (directory / "result.json").unlink()
    shutil.rmtree(directory / "checkpoints" / "step-00000006", ignore_errors=True)
    with pytest.raises(ConfigError, match=r"its checkpoint of step 6 is gone; start a new run"):
        run(read_config(directory), directory, quiet=True)  # nothing was saved before the loss of the source
    shutil.copytree(tuned / "checkpoints", directory / "checkpoints", dirs_exist_ok=True)
    for path in tuned.glob("events*"):
        shutil.copy(path, directory)
    shutil.copy(tuned / "metrics.jsonl", directory)
    assert run(read_config(directory), directory, quiet=True).status == "finished"


def test_a_source_that_has_changed_is_not_taken_for_the_one_that_was_named(short, tmp_path):
    source = shutil.copytree(short, tmp_path / "source")
    config = plan([*BRIEF, f"init_from={source}"], multirun=False).cells[0].config
    path = source / "checkpoints" / "step-00000006" / "manifest.json"
    sealed = json.loads(path.read_text())
    sealed["manifest"]["record"]["seconds"] += 1
    path.write_text(json.dumps(sealed))
    with pytest.raises(ConfigError, match="its checkpoint of step 6 has been replaced"):
        run(config, tmp_path / "run", quiet=True)


def test_networks_of_other_shapes_are_refused_by_the_first_tensor(short, tmp_path):
    with pytest.raises(ConfigError) as refused:
        train(tmp_path / "run", f"init_from={short}", "generator.base_filters=8")
    assert re.fullmatch(
        rf"init_from={re.escape(str(short))} does not fit: generator/base/kernel is float32 \[64, 16\] there and "
        r"float32 \[64, 32\] here; give the networks the settings that they have there",
        str(refused.value),
    ), str(refused.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["plain", "generator.stages=[[4,2],[null,2]]-seed0", "it's, here"])
def test_a_source_may_have_any_name_and_be_swept_over(short, tmp_path, name, monkeypatch):
    source = tmp_path / name
    source.mkdir()
    shutil.copy(short / "config.json", source)
    shutil.copytree(short / "checkpoints", source / "checkpoints")
    monkeypatch.chdir(tmp_path)
    (cell,) = plan([f"init_from={name}"], multirun=False).cells
    assert cell.config.init_from.run == str(source)
    cells = plan([f"init_from={name}", "seed=0,1", "study=x"], multirun=True).cells
    assert {cell.config.init_from.run for cell in cells} == {str(source)}
    assert len({cell.directory for cell in cells}) == 2


def test_a_source_that_is_none_is_one_line_before_anything_is_made(tmp_path, short, monkeypatch):
    monkeypatch.chdir(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    shutil.copy(short / "config.json", empty)
    for path, said in {
        "nowhere": "init_from=nowhere is not a directory; give that of a run",
        "empty": "init_from=empty has no good checkpoint; give a run that has saved one",
    }.items():
        with pytest.raises(ConfigError, match=re.escape(said)):
            plan([f"init_from={path}"], multirun=False)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    with pytest.raises(ConfigError, match="is not a directory; give that of a run"):
        plan(["init_from=[a]"], multirun=False)


def test_compare_sees_where_weights_came_from(settings, short):
    from ganlab.config import differences

    one = settings(f"init_from={short}")
    assert set(differences(settings(), one)) >= {"init_from.run", "init_from.step"}


def test_what_a_start_leaves_unread_is_no_warning(short, monkeypatch):
    said = []
    monkeypatch.setattr(tf.get_logger(), "handlers", [logging.Handler()])
    monkeypatch.setattr(tf.get_logger().handlers[0], "emit", lambda record: said.append(record.getMessage()))
    monkeypatch.setattr(tf.get_logger(), "level", logging.WARNING)
    tf.get_logger()._cache.clear()
    checkpoint = pin_checkpoint(str(short))
    kernel = checkpoints.shapes(short / "checkpoints", 6)["generator/base/kernel"]
    variable = tf.Variable(tf.zeros(kernel[1:]))
    checkpoints.fill(short / "checkpoints", checkpoint.step, {"generator/base/kernel": variable})
    gc.collect()
    assert not said and variable.numpy().any()


def test_a_dry_run_refuses_weights_that_do_not_fit(short, monkeypatch):
    monkeypatch.setattr(device, "start", lambda *_arguments, **_settings: None)
    monkeypatch.setattr(dry_run, "chosen", lambda _config, _machine: (keras.config.dtype_policy(), "graph"))
    monkeypatch.setattr(dry_run, "time_step", lambda *_arguments, **_settings: (9.0, 0.5))
    (fits,) = plan([*BRIEF, f"init_from={short}"], multirun=False).cells
    (other,) = plan([*BRIEF, f"init_from={short}", "generator.base_filters=8"], multirun=False).cells
    dry_run.measure([fits.config])
    with pytest.raises(ConfigError, match="does not fit: generator/base/kernel"):
        dry_run.measure([other.config])


def test_weights_to_start_from_are_one_setting_of_an_arm(settings, short):
    trees = [settings_of(settings(*more).model_dump(mode="json")) for more in ((), (f"init_from={short}",))]
    refuse_confounded("study", trees)  # one thing differs
    assert re.fullmatch(r"transpose init_from=run@6:[0-9a-f]{8}", label_of(trees[1], trees))
    assert label_of(trees[0], trees) == "transpose init_from=null"


def test_help_shows_the_start_as_it_is_typed(short):
    text = help_page([f"init_from={short}"])
    assert f"\n *init_from={short} " in text and f"  sets init_from={short}\n" in text
    assert "init_from." not in text
