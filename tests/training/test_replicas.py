"""Several devices share a batch: the same training as on one, gone on with in the same way."""

import json
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

from conftest import ROOT
from small_runs import SMALL, weights

SHORT = (*SMALL, "training.steps=6", "training.log_every_steps=3", "training.save_every_steps=3", "metrics=none",
         "optimizer.epsilon=1e-3")  # fmt: skip


def train(command, folder, *overrides, **more):
    done = command("train", *SHORT, f"hydra.run.dir={folder}", *overrides, **more)
    assert done.returncode == 0, done.stderr + done.stdout
    return weights(folder)


RULES = ("objective=relativistic_average", "penalty=zero_centred", "conditional=true", "augment.translation=0.2",
         "training.discriminator_steps=2")  # fmt: skip


@pytest.mark.slow
def test_two_parts_of_a_cpu_make_the_updates_of_one_device(command, tmp_path):
    """No batch statistics: everything but the order of sums is the same. With the default rules: the two workers below."""
    one = train(command, tmp_path / "one", *RULES)
    two = train(command, tmp_path / "two", "training.replicas=2", *RULES)
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(one[name], two[name], atol=1e-5, rtol=1e-4, err_msg=name)
    result = json.loads((tmp_path / "two" / "result.json").read_text())
    assert result["replicas"] == 2


@pytest.mark.slow
def test_a_run_on_two_devices_goes_on_where_it_stopped(command, tmp_path):
    both = ("training.replicas=2", "generator.normalization=batch")
    whole = train(command, tmp_path / "whole", *both)
    shutil.copytree(tmp_path / "whole", tmp_path / "part")
    for gone in ("result.json", "checkpoints/step-00000006"):
        subprocess.run(["rm", "-r", str(tmp_path / "part" / gone)], check=True)
    done = command("train", f"resume={tmp_path / 'part'}")
    assert "continuing from step 3" in done.stdout, done.stderr
    again = weights(tmp_path / "part")
    for name in whole:
        np.testing.assert_array_equal(whole[name], again[name], err_msg=name)


def test_what_cannot_be_shared_is_one_line(command, tmp_path):
    done = command("train", "training.replicas=3")
    assert (done.returncode, done.stderr) == (
        2,
        "training.batch_size=64 cannot be shared by training.replicas=3; use a multiple\n",
    )


@pytest.mark.slow
def test_two_workers_on_one_machine_train_together_and_one_of_them_writes(command, tmp_path):
    one = train(command, tmp_path / "one")
    ports = [_free() for _ in range(2)]
    places = [f"127.0.0.1:{port}" for port in ports]

    def start(index, *arguments):
        cluster = {"cluster": {"worker": places}, "task": {"type": "worker", "index": index}}
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CONFIG": json.dumps(cluster)}
        line = [sys.executable, "-m", "ganlab.train", *arguments]
        return subprocess.Popen(line, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def together(*arguments):
        both = [start(index, *arguments) for index in (0, 1)]
        for process in both:
            output, _ = process.communicate(timeout=300)
            assert process.returncode == 0, output.decode()

    together(*SHORT, f"hydra.run.dir={tmp_path / 'two'}")
    two = weights(tmp_path / "two")
    for name in one:
        np.testing.assert_allclose(one[name], two[name], atol=1e-5, rtol=1e-4, err_msg=name)
    for gone in ("result.json", "checkpoints/step-00000006"):
        subprocess.run(["rm", "-r", str(tmp_path / "two" / gone)], check=True)
    together(f"resume={tmp_path / 'two'}")
    again = weights(tmp_path / "two")
    for name in two:
        np.testing.assert_array_equal(two[name], again[name], err_msg=name)
    assert json.loads((tmp_path / "two" / "result.json").read_text())["replicas"] == 2
    assert len(list((tmp_path / "two").glob("events.*"))) == 2  # one writer, two sessions


def _free():
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]
