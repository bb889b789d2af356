"""A run that diverges ends, or goes back to its last checkpoint with fresh random numbers; never in silence."""

import json

import numpy as np
import pytest
import tensorflow as tf

from ganlab.errors import ConfigError
from ganlab.run.life import run
from ganlab.run.resume import ROLLBACKS, rollbacks
from ganlab.runs.result import read_result
from ganlab.training import checkpoints, loop
from ganlab.training.loop import DivergedError
from ganlab.training.randomness import Stream
from small_runs import SMALL

LENGTH = ("training.steps=40", "training.save_every_steps=10", "training.log_every_steps=10",
          "training.steps_per_call=5", "training.sample_every_steps=40", "metrics=none")  # fmt: skip


@pytest.fixture
def diverging(monkeypatch):
    """`diverging(27, times=1)`: the first so many passes over a step diverge there."""
    check = loop._check_finite

    def make(step, times):
        left = [times]

        def fail(gan, before, after):
            if before < step <= after and left[0]:
                left[0] -= 1
                raise DivergedError(f"loss/generator became nan between steps {before} and {after}")
            check(gan, before, after)

        monkeypatch.setattr(loop, "_check_finite", fail)

    return make


def losses(directory):
    rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [row["loss/generator"] for row in rows if "loss/generator" in row]


@pytest.mark.slow
def test_it_goes_back_says_so_and_ends_elsewhere(settings, tmp_path, diverging, capsys):
    config = settings(*SMALL, *LENGTH, "training.on_divergence=rollback")
    run(config, tmp_path / "straight", quiet=True)
    diverging(27, times=2)
    result = run(config, tmp_path / "back")
    assert result.status == "finished"
    assert [(each.from_step, each.to_step) for each in result.rollbacks] == [(30, 20)] * 2
    assert result.rollbacks == read_result(tmp_path / "back" / "result.json").rollbacks
    assert "going back to it, with fresh random numbers" in (tmp_path / "back" / "log.txt").read_text()
    straight, back = losses(tmp_path / "straight"), losses(tmp_path / "back")
    assert len(back) == 4
    assert back[:2] == straight[:2]
    assert back[2] != straight[2] and back[3] != straight[3]


@pytest.mark.slow
def test_a_kill_after_it_changes_no_bit(settings, tmp_path, diverging, monkeypatch):
    config = settings(*SMALL, *LENGTH, "training.on_divergence=rollback")
    diverging(27, times=1)
    run(config, tmp_path / "whole", quiet=True)
    diverging(27, times=1)
    save = checkpoints.save

    def die(folder, step, *rest, **more):
        save(folder, step, *rest, **more)
        if step == 30:
            raise SystemExit(9)

    monkeypatch.setattr(checkpoints, "save", die)
    with pytest.raises(SystemExit):
        run(config, tmp_path / "killed", quiet=True)
    assert len(rollbacks(tmp_path / "killed")) == 1
    monkeypatch.setattr(checkpoints, "save", save)
    run(config, tmp_path / "killed", quiet=True)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


@pytest.mark.slow
def test_it_goes_back_to_a_checkpoint_that_is_whole(settings, tmp_path, diverging, monkeypatch):
    save = checkpoints.save

    def save_badly(folder, step, *rest, **more):
        save(folder, step, *rest, **more)
        if step == 20:
            (folder / "step-00000020" / "tensors.index").write_bytes(b"")

    monkeypatch.setattr(checkpoints, "save", save_badly)
    diverging(23, times=1)
    result = run(settings(*SMALL, *LENGTH, "training.on_divergence=rollback"), tmp_path / "r", quiet=True)
    assert result.status == "finished"
    assert [(each.from_step, each.to_step) for each in result.rollbacks] == [(25, 10)]


@pytest.mark.slow
def test_after_so_many_times_it_has_diverged(settings, tmp_path, diverging):
    diverging(27, times=9)
    result = run(settings(*SMALL, *LENGTH, "training.on_divergence=rollback", "training.rollbacks=2"), tmp_path / "r")
    assert result.status == "diverged"
    assert len(result.rollbacks) == 2
    assert result.error.endswith("last good checkpoint: step 20")


@pytest.mark.parametrize(
    ("also", "step"), [("training.on_divergence=rollback", 3), ("training.on_divergence=stop", 27)]
)
@pytest.mark.slow
def test_without_a_checkpoint_or_unasked_it_stops(settings, tmp_path, diverging, also, step):
    diverging(step, times=1)
    result = run(settings(*SMALL, *LENGTH, also), tmp_path / "r", quiet=True)
    assert (result.status, result.rollbacks) == ("diverged", [])
    assert not (tmp_path / "r" / ROLLBACKS).exists()


def test_a_damaged_list_is_one_line(tmp_path):
    (tmp_path / ROLLBACKS).write_text('[{"from_step": "x"}]')
    with pytest.raises(ConfigError, match=r"rollbacks\.json is damaged \(it is not a list of rollbacks\)"):
        rollbacks(tmp_path)


@pytest.mark.parametrize("xla", [False, True])
def test_numbers_are_others_from_a_step_on_and_the_same_before(xla):
    plain, afresh = Stream(3, "latents/x", xla=xla), Stream(3, "latents/x", xla=xla, reseed_at=[5, 5])
    once = Stream(3, "latents/x", xla=xla, reseed_at=[5])
    draw = {name: tf.function(lambda at, stream=stream: stream.normals(at, (9,)), autograph=False, jit_compile=xla)
            for name, stream in (("plain", plain), ("afresh", afresh), ("once", once))}  # fmt: skip
    at = {step: {name: each(tf.constant(step, tf.int64)).numpy() for name, each in draw.items()} for step in (4, 5, 6)}
    np.testing.assert_array_equal(at[4]["plain"], at[4]["afresh"])
    for step in (5, 6):
        assert len({values.tobytes() for values in at[step].values()}) == 3
