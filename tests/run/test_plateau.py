"""Runs that end once twice the images make no difference."""

import json

import pytest

from ganlab.errors import ConfigError
from ganlab.run.callbacks import Callbacks, at_plateau
from ganlab.run.life import run
from small_runs import SMALL, assert_same_run, records

EARLY = (*SMALL, "training.plateau=0.9", "metrics.every_steps=10", "training.log_every_steps=15")


@pytest.mark.parametrize(
    ("history", "share", "reached"),
    [
        ({}, 0.02, False),
        ({10: 5.0}, 0.02, False),
        ({10: 5.0, 20: 4.0}, 0.02, False),
        ({10: 5.0, 20: 4.91}, 0.02, True),
        ({10: 5.0, 20: 4.89}, 0.02, False),
        ({10: 5.0, 20: 4.0, 30: 3.99}, 0.02, False),  # since step 10 it has become better
        ({10: 5.0, 20: 4.0, 40: 3.99}, 0.02, True),
        ({10: 5.0, 20: 6.0}, 0.02, True),
        ({10: 5.0, 20: 4.0, 30: 9.0}, 0.02, False),  # the best counts, not the last
        ({10: 5.0, 20: 5.0}, None, False),
    ],
)
def test_when_a_distance_has_come_to_its_plateau(history, share, reached):
    assert at_plateau(history, share) is reached


@pytest.fixture(scope="module")
def early(tmp_path_factory):
    from ganlab.cli.hydra import plan

    directory = tmp_path_factory.mktemp("early")
    return run(plan(list(EARLY), multirun=False).cells[0].config, directory, quiet=True), directory


def test_a_run_ends_where_it_learns_no_more(early):
    result, directory = early
    assert result.status == "finished"
    assert result.images_seen == 20 * 16  # the first measuring at twice the steps of another
    steps = [record["step"] for record in records(directory)]
    assert steps[-1] == 20 and sorted(steps) == steps
    assert (directory / "generator.keras").exists()
    assert (directory / "samples" / "step-00000020.png").exists()
    assert run(result_config(directory), directory, quiet=True) == result  # nothing is trained again


def result_config(directory):
    from ganlab.runs.folder import read_config

    return read_config(directory)


def test_a_run_that_was_stopped_at_its_plateau_ends_there(early, tmp_path):
    # The process died after the last checkpoint, before the result was written.
    import shutil

    _, directory = early
    again = tmp_path / "again"
    shutil.copytree(directory, again)
    (again / "result.json").unlink()
    run(result_config(again), again, quiet=True)
    assert_same_run(directory, again)
    assert json.loads((again / "result.json").read_text())["images_seen"] == 20 * 16


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["comparison.quality=coverage"], "training.plateau=0.02 needs a distance as comparison.quality"),
        (["metrics=none"], "training.plateau=0.02 needs measures during training"),
        (
            ["metrics=full", "metrics.every_steps=10", "comparison.quality=full/pca/sliced_wasserstein"],
            "training.plateau=0.02 needs comparison.quality=full/pca/sliced_wasserstein during training, where it is not",
        ),
        (
            ["metrics=full", "metrics.every_steps=null", "metrics.final.every_steps=10"],
            "training.plateau=0.02 needs comparison.quality=frechet_distance during training, where it is not",
        ),
        (["optimizer.final_rate=0.1"], "training.plateau=0.02 ends runs before rates and noise have fallen"),
    ],
)
def test_a_plateau_that_nothing_would_tell_is_refused(settings, tmp_path, more, message):
    config = settings(*SMALL, "metrics.every_steps=null", "training.plateau=0.02", *more) if more == ["metrics=none"] else settings(*SMALL, "training.plateau=0.02", *more)  # fmt: skip
    with pytest.raises(ConfigError, match=f"^{message}"):
        run(config, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_plateau_between_two_checkpoints_leaves_one(settings, tmp_path):
    # The last step is the best so far, too, and would be saved for that.
    small = ["training.save_every_steps=7", "training.plateau=0.99", "metrics.every_steps=10"]
    result = run(settings(*SMALL, *small), tmp_path / "run", quiet=True)
    assert result.images_seen == 20 * 16
    steps = [int(path.name.removeprefix("step-")) for path in (tmp_path / "run" / "checkpoints").glob("step-*")]
    assert max(steps) == 20 and len(steps) == len(set(steps))


@pytest.mark.slow
@pytest.mark.parametrize("save", [20, 7])  # a checkpoint is due there, or only as the best so far
def test_a_kill_at_its_plateau_costs_nothing_of_its_end(early, settings, tmp_path, monkeypatch, save):
    config, sample = settings(*EARLY, f"training.save_every_steps={save}"), Callbacks.sample

    def killed(self, step):
        if step == 20:
            raise KeyboardInterrupt
        sample(self, step)

    monkeypatch.setattr(Callbacks, "sample", killed)
    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path, quiet=True)
    monkeypatch.setattr(Callbacks, "sample", sample)
    run(config, tmp_path, quiet=True)
    assert_same_run(early[1], tmp_path)
