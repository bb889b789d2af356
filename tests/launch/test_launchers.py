"""The same sweep on a cluster's launchers, for real: a local Ray instance, and Slurm's stand-in on one machine."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from conftest import ROOT
from ganlab.runs.status import has_writer

pytestmark = pytest.mark.slow

TINY = (
    "training.steps=4", "training.log_every_steps=2", "training.sample_every_steps=4", "training.save_every_steps=2",
    "training.batch_size=16", "generator.base_filters=4", "generator.stages=[[4,2],[null,2]]",
    "discriminator.filters=[4,4]", "metrics=none",
)  # fmt: skip
LAUNCHERS = {
    "ray": ("hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.init.include_dashboard=false"),
    "submitit": ("hydra/launcher=submitit_local",),
}  # fmt: skip


@pytest.fixture(params=LAUNCHERS)
def launcher(request):
    if importlib.util.find_spec(f"hydra_plugins.hydra_{request.param}_launcher") is None:
        extra = {"ray": "ray", "submitit": "slurm"}[request.param]
        pytest.skip(f"needs the extra: pip install 'ganlab-keras[{extra}]'")
    return LAUNCHERS[request.param]


def test_a_sweep_on_it_makes_every_cell_once_in_one_folder(launcher, command, tmp_path):
    environment = {"RAY_AUTH_MODE": "disabled"}
    bad = ("optimizer.d_learning_rate=1e30,1e-3", "penalty=none", "generator.output=linear")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    line = ("train", "-m", *TINY, *launcher, *bad, "hydra.sweep.dir=here")
    done = command(*line, cwd=elsewhere, env=environment, timeout=600)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 of 2 runs finished in here" in done.stdout
    assert "2 of 2 runs ended, 0 running" in done.stdout
    made = {path: path.stat().st_mtime_ns for path in elsewhere.glob("here/*/result.json")}
    assert len(made) == 2
    assert [json.loads(path.read_text())["status"] for path in made].count("diverged") == 1
    again = command(*line, cwd=elsewhere, env=environment, timeout=600)
    assert again.returncode == 1
    assert "2 of 2 had ended before" in again.stdout
    assert made == {path: path.stat().st_mtime_ns for path in made}
    assert "2 runs: 1 finished, 1 diverged" in command("status", str(elsewhere / "here")).stdout


def test_cells_do_not_outlive_a_local_ray_instance(tmp_path):
    if importlib.util.find_spec("hydra_plugins.hydra_ray_launcher") is None:
        pytest.skip("needs the extra: pip install 'ganlab-keras[ray]'")
    sweep = subprocess.Popen(
        [sys.executable, "-m", "ganlab.train", "-m", *TINY[1:], "training.steps=100000", "study=two", "seed=0,1", *LAUNCHERS["ray"]],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def running():
        return [path for path in tmp_path.glob("outputs/two/*") if path.is_dir() and has_writer(path)]

    try:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and not list(tmp_path.glob("outputs/two/*/checkpoints/step-*")):
            time.sleep(0.1)
        assert running()
    finally:
        os.kill(sweep.pid, signal.SIGKILL)
        sweep.wait()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and running():
        time.sleep(0.1)
    assert not running()
