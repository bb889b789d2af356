"""What one of several runs on a machine gets: a share of the cores, GPUs that no other has while one is free."""

import contextlib
import os
import subprocess
import sys
import tempfile

import pytest

from conftest import ROOT
from ganlab.launch.process import dealt_gpus, threads_of, visible_gpus

LISTED = """\
GPU 0: NVIDIA H200 (UUID: GPU-00000000-0000-0000-0000-000000000000)
  MIG 1g.18gb     Device  0: (UUID: MIG-00000000-0000-0000-0000-000000000000)
GPU 1: NVIDIA H200 (UUID: GPU-00000000-0000-0000-0000-000000000001)
GPU 10: NVIDIA H200 (UUID: GPU-00000000-0000-0000-0000-000000000010)
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """`machine(text)`: one whose nvidia-smi lists that; no choice of GPUs is made, and nobody else deals."""

    def pretend(listed, status=0):
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n[ $1 = -L ] || exit 9\ncat <<'END'\n{listed}END\nexit {status}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    return pretend


def test_the_gpus_are_those_that_the_driver_lists(machine):
    machine(LISTED)
    assert visible_gpus() == ["0", "1", "10"]


def test_a_driver_that_does_not_answer_has_no_gpus(machine):
    machine("GPU 0: lost\n", status=15)
    assert visible_gpus() == []


@pytest.mark.parametrize(
    ("chosen", "left"), [("", []), ("-1", []), ("3", ["3"]), ("2, GPU-ab", ["2", "GPU-ab"]), ("1,-1,2", ["1"])]
)
def test_a_choice_that_was_made_is_respected(machine, monkeypatch, chosen, left):
    machine(LISTED)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert visible_gpus() == left


def test_runs_get_different_gpus_and_share_only_when_none_is_free(machine):
    machine(LISTED)
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        shown = [first.enter_context(dealt_gpus(1))[0]["CUDA_VISIBLE_DEVICES"] for _ in range(3)]
        assert sorted(shown) == ["0", "1", "10"]
        again = [second.enter_context(dealt_gpus(1))[0]["CUDA_VISIBLE_DEVICES"] for _ in range(3)]
        assert sorted(again) == ["0", "1", "10"]  # each has two now, none has three
    with dealt_gpus(1) as (free, held):
        assert free == {"CUDA_VISIBLE_DEVICES": "0"}
        assert len(held) == 1


def test_a_gpu_that_has_become_free_comes_before_one_that_is_shared(machine):
    machine(LISTED)
    with contextlib.ExitStack() as ended, contextlib.ExitStack() as last:
        for stack in (ended, ended, ended, last):
            stack.enter_context(dealt_gpus(1))
        ended.close()  # the last one shares GPU 0, from its second place
        assert [last.enter_context(dealt_gpus(1))[0]["CUDA_VISIBLE_DEVICES"] for _ in range(2)] == ["1", "10"]


def test_a_run_on_several_gpus_gets_as_many(machine):
    machine(LISTED)
    with dealt_gpus(2) as (two, held), dealt_gpus(1) as (one, _):
        assert (two["CUDA_VISIBLE_DEVICES"], one["CUDA_VISIBLE_DEVICES"]) == ("0,1", "10")
        assert len(held) == 2
    with contextlib.ExitStack() as first:
        first.enter_context(dealt_gpus(1))
        with dealt_gpus(2):  # 1 and 10
            first.close()
            with dealt_gpus(2) as (two, _), dealt_gpus(1) as (one, _):  # 0 is free, 1 is shared; then each has one
                assert (two["CUDA_VISIBLE_DEVICES"], one["CUDA_VISIBLE_DEVICES"]) == ("0,1", "0")
    with dealt_gpus(3) as nothing_to_choose:
        assert nothing_to_choose == ({}, ())


def test_a_gpu_stays_taken_while_the_process_that_was_given_it_lives(machine):
    machine(LISTED)
    with dealt_gpus(1) as (_, held):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=held)
    with dealt_gpus(1) as (mine, _):  # the parent let go, as when it is killed
        assert mine == {"CUDA_VISIBLE_DEVICES": "1"}
    child.communicate(b"\n")
    with dealt_gpus(1) as (mine, _):
        assert mine == {"CUDA_VISIBLE_DEVICES": "0"}


def test_a_machine_without_gpus_deals_none(machine):
    machine("")
    with dealt_gpus(1) as dealt:
        assert dealt == ({}, ())


def test_a_share_of_the_cores_reaches_tensorflow_under_its_own_names(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_of("joblib") == {"TF_NUM_INTRAOP_THREADS": "3", "TF_NUM_INTEROP_THREADS": "2"}
    assert threads_of("ray") == threads_of("joblib")
    assert threads_of("basic") == threads_of("submitit_slurm") == {}
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    assert threads_of("joblib") == {"TF_NUM_INTEROP_THREADS": "2"}
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert threads_of("joblib") == {}


def test_joblib_tells_its_workers_their_share():
    program = """
import os, joblib
from ganlab.launch.process import threads_of
share = max(1, joblib.cpu_count() // 2)
told = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(threads_of)("joblib") for _ in range(2))
assert all(each["TF_NUM_INTRAOP_THREADS"] == str(share) for each in told), told
"""
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_THREADS")}
    subprocess.run([sys.executable, "-c", program], env=environment | {"PYTHONPATH": str(ROOT)}, check=True)
