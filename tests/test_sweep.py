"""Sweeps: each cell apart, none twice, none lost, and every failure named."""

import json
import shutil

import pytest

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
