"""Sweeps: each cell apart, none twice, none lost, and every failure named."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from conftest import ROOT

TINY = (
    "training.steps=4",
    "training.log_every_steps=2",
    "training.sample_every_steps=4",
    "training.save_every_steps=2",
    "training.batch_size=16",
    "generator.base_filters=4",
    "generator.stages=[[4,2],[null,2]]",
    "discriminator.filters=[4,4]",
)


def statuses(folder):
    return {path.parent.name: json.loads(path.read_text())["status"] for path in folder.glob("*/result.json")}


@pytest.mark.slow
def test_a_sweep_makes_each_cell_once_and_names_what_failed(command, tmp_path):
    folder = tmp_path / "outputs" / "two"
    line = ("train", "-m", *TINY, "study=two", "generator=upsample,transpose", "seed=0,1")
    done = command(*line)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 runs finished" in done.stdout
    found = statuses(folder)
    assert len(found) == 4
    assert set(found.values()) == {"finished"}
    made = {path: path.stat().st_mtime_ns for path in folder.glob("*/result.json")}

    lost = next(iter(made))
    shutil.rmtree(lost.parent)  # the same command makes what is missing, and nothing else
    done = command(*line)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("has ended before") == 3
    assert {path for path in made if path.stat().st_mtime_ns != made[path]} == {lost}

    compared = command("compare", str(folder))
    assert compared.returncode == 0, compared.stderr
    assert "upsample" in compared.stdout
    assert "frechet_distance" in compared.stdout

    refused = command("train", "-m", *TINY, "study=two", "generator=upsample,transpose", "seed=0,1",
                      "training.batch_size=8", f"hydra.sweep.dir={folder}", "hydra.sweep.subdir=" + lost.parent.name)  # fmt: skip
    assert refused.returncode == 2


@pytest.mark.slow
def test_a_cell_that_diverges_stops_only_itself(command, tmp_path):
    done = command("train", "-m", *TINY, "study=bad", "penalty=none", "generator.output=linear",
                   "optimizer.d_learning_rate=1e30,1e-3")  # fmt: skip
    assert done.returncode == 1
    assert sorted(statuses(tmp_path / "outputs" / "bad").values()) == ["diverged", "finished"]
    assert "1 of 2 runs finished" in done.stdout
    assert "diverged; see" in done.stdout


def test_a_sweep_that_cannot_work_starts_nothing(command, tmp_path):
    for arguments in (
        ("seed=0,0",),
        ("training.steps=4,-1",),
        ("training.steps=20,40", "hydra.sweep.subdir=run${seed}"),
    ):
        done = command("train", "-m", *TINY[1:], *arguments)
        assert done.returncode == 2, arguments
        assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_joblib_runs_the_same_sweep_in_parallel(command, tmp_path):
    done = command("train", "-m", *TINY, "study=par", "seed=0,1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(statuses(tmp_path / "outputs" / "par")) == 3


@pytest.fixture
def sweep(tmp_path):
    """A sweep of two cells, as a shell starts it, with its first cell in training; nothing of it is left after."""
    line = [sys.executable, "-m", "ganlab.train", "-m", *TINY[1:], "training.steps=100000", "study=two", "seed=0,1"]
    process = subprocess.Popen(
        line, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while process.poll() is None and not list(tmp_path.glob("outputs/two/*/checkpoints/step-*")):
        time.sleep(0.05)
    yield process
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def is_free(directory):
    """Whether no process writes the run in a folder: a writer holds its lock."""
    import fcntl

    with (directory / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


@pytest.mark.slow
def test_a_sweep_that_is_interrupted_saves_its_cell_and_names_what_is_left(sweep, tmp_path):
    os.killpg(sweep.pid, signal.SIGINT)  # a terminal's Ctrl-C reaches parent and child
    output, errors = sweep.communicate(timeout=120)
    assert sweep.returncode == 130, errors
    assert "0 of 2 runs finished" in output
    assert "interrupted; see" in output
    assert "not started" in output
    assert "Traceback" not in errors
    assert list(statuses(tmp_path / "outputs" / "two").values()) == ["interrupted"]


@pytest.mark.slow
def test_a_cell_does_not_outlive_its_sweep(sweep, tmp_path):
    (cell,) = (tmp_path / "outputs" / "two").glob("*/checkpoints")
    assert not is_free(cell.parent)
    sweep.kill()
    sweep.communicate()
    deadline = time.time() + 30
    while time.time() < deadline and not is_free(cell.parent):
        time.sleep(0.1)
    assert is_free(cell.parent)
    assert statuses(tmp_path / "outputs" / "two") == {cell.parent.name: "interrupted"}  # it saved before it went


@pytest.mark.slow
def test_an_experiment_sweeps_over_what_the_command_line_says(command, tmp_path):
    done = command("train", "experiment=quick", *TINY, "seed=7", "hydra/launcher=basic", "hydra.sweep.dir=q")
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(path.read_text()) for path in (tmp_path / "q").glob("*/result.json")]
    assert sorted((run["variant"], run["seed"]) for run in found) == [("transpose", 7), ("upsample", 7)]
