"""Sweeps that are killed, interrupted or unlucky: nothing is lost, nothing made twice, nothing left behind."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import ROOT
from ganlab.runs.result import read_result

pytestmark = pytest.mark.slow

TINY = (
    "training.steps=400", "training.log_every_steps=50", "training.sample_every_steps=400", "metrics=none",
    "training.save_every_steps=25", "training.steps_per_call=10", "training.batch_size=16",
    "generator.base_filters=4", "generator.stages=[[4,2],[null,2]]", "discriminator.filters=[4,4]",
    "training.threads=1",  # with any launcher: the last bits depend on it
)  # fmt: skip
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # so do those of distances
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


def start(folder, *arguments):
    """A sweep as a shell starts it, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "ganlab.train", "-m", *TINY, "study=all", *arguments], cwd=folder, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), **ONE_THREAD}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def runs(folder):
    return sorted((folder / "outputs" / "all").glob("*/config.json"))


def how_far(config):
    """The step of a run's newest checkpoint."""
    return max((int(path.name[5:]) for path in config.parent.glob("checkpoints/step-*")), default=0)


def processes(folder, module):
    """Process ids by the run's folder, of those that work beneath a folder."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (path / "cmdline").read_bytes().decode().split("\0")
            if module in words and (path / "cwd").resolve() == folder:
                found[words[words.index(module) + 1]] = int(path.name)
    return found


def workers(parent):
    """joblib's workers that a process started."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            text = (path / "stat").read_text().rpartition(")")[2].split()
            if int(text[1]) == parent and b"popen_loky" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def wait_for(what, seconds=120):
    deadline = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found, f"nothing after {seconds} s"
    return found


def results(folder):
    """What was measured and drawn, by cell."""
    found = {}
    for path in runs(folder):
        result, where = read_result(path.parent / "result.json"), path.parent
        assert result.status == "finished", where
        steps = [line.partition('"seconds"')[0] for line in (where / "metrics.jsonl").read_text().splitlines()]
        picture = (where / "samples" / "step-00000400.png").read_bytes()
        found[where.name] = (result.metrics, result.images_seen, steps, picture)
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    sweep = start(folder, "seed=0,1,2")
    output, errors = sweep.communicate(timeout=600)
    assert sweep.returncode == 0, output + errors
    return results(folder)


def kill_leader(sweep, _folder):
    sweep.kill()


def end_leader(sweep, _folder):
    sweep.terminate()


def press_ctrl_c(sweep, _folder):
    os.killpg(sweep.pid, signal.SIGINT)


def kill_cells(_sweep, folder):
    for number in processes(folder, "ganlab.launch.process").values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def kill_all(sweep, folder):
    os.killpg(sweep.pid, signal.SIGKILL)
    kill_cells(sweep, folder)


def kill_worker(sweep, _folder):
    for number in workers(sweep.pid)[:1]:
        os.kill(number, signal.SIGKILL)


WAYS = (kill_leader, end_leader, press_ctrl_c, kill_cells, kill_all)


def test_a_sweep_that_is_killed_at_random_moments_ends_as_one_that_was_not(tmp_path, undisturbed):
    chance = random.Random(2)
    ended, line = {}, ("seed=0,1,2", *JOBLIB)

    def nothing_was_made_twice():
        for path in tmp_path.glob("outputs/all/*/result.json"):
            if read_result(path).status == "finished":
                assert ended.setdefault(path, path.stat().st_mtime_ns) == path.stat().st_mtime_ns

    for way in [*chance.sample(WAYS, 2), kill_worker]:
        sweep = start(tmp_path, *line)
        try:
            before = sum(map(how_far, runs(tmp_path)))
            if chance.random() < 0.75:  # in training, after some checkpoint
                wait_for(lambda s=sweep, b=before: s.poll() is not None or sum(map(how_far, runs(tmp_path))) > b)
            time.sleep(chance.uniform(0, 4))
            crew = workers(sweep.pid)
            way(sweep, tmp_path)
            if way is not kill_cells:  # which leaves the sweep at work
                _, errors = sweep.communicate(timeout=300)
                assert "Traceback" not in errors, (way.__name__, errors)
                if way is kill_worker and crew:
                    assert sweep.returncode == 0, errors  # it went on with new ones
                wait_for(lambda crew=crew: not any(Path(f"/proc/{number}").exists() for number in crew), 30)
                if chance.random() < 0.5:  # else the same command comes while what was stopped still saves
                    wait_for(lambda: not processes(tmp_path, "ganlab.launch.process"), 60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(sweep.pid, signal.SIGKILL)
            sweep.communicate()
        nothing_was_made_twice()
    sweep = start(tmp_path, *line)
    output, errors = sweep.communicate(timeout=600)
    assert sweep.returncode == 0, output + errors
    nothing_was_made_twice()
    assert results(tmp_path) == undisturbed
    assert not processes(tmp_path, "ganlab.launch.process")


def test_cells_that_diverge_crash_or_are_killed_stop_only_themselves(tmp_path, command):
    line = ("generator.output=linear", "penalty=none", "optimizer.d_learning_rate=1e30,1e-3", "seed=0,1,2")
    refused = start(tmp_path, *line, "training.steps=-1")
    assert refused.wait(60) == 2
    refused.communicate()
    sweep = start(tmp_path, *line)
    wait_for(lambda: runs(tmp_path))  # the first has begun: it diverges
    killed = crashed = None
    while sweep.poll() is None and not (killed and crashed):
        for name, number in processes(tmp_path, "ganlab.launch.process").items():
            if json.loads((Path(name) / "config.json").read_text())["optimizer"]["d_learning_rate"] > 1:
                continue  # it diverges
            if crashed is None and name.endswith("seed0"):
                crashed = Path(name)
                (crashed / "checkpoints" / "step-00000001").mkdir(parents=True)  # damaged: an exception
            if name.endswith("seed1") and list(Path(name).glob("metrics.jsonl")):
                killed = Path(name)
                os.kill(number, signal.SIGKILL)
        time.sleep(0.02)
    output, errors = sweep.communicate(timeout=600)
    assert sweep.returncode == 1, output + errors
    assert "Traceback" not in errors
    said = output.splitlines()
    told = {line.strip() for line in said[said.index(next(line for line in said if "runs finished in" in line)) :]}
    assert "1 of 6 runs finished in outputs/all" in told
    assert any(line.startswith(f"{killed.name}: failed: killed by signal 9 (out of memory?); see ") for line in told)
    assert any(line.startswith(f"{crashed.name}: failed: CheckpointError: ") for line in told)
    assert sum(": diverged: " in line for line in told) == 3
    asked = command("status", "outputs/all")
    assert asked.returncode == 1
    assert "6 runs: 1 finished, 3 diverged, 2 failed" in asked.stdout
