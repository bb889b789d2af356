"""Runs that are killed or cut off at some call to the system, or started twice: they end in the same bits."""

import errno
import importlib.util
import os
import random
import shutil
import sys

import pytest

from conftest import ROOT

HERE = ROOT / "experiments/reliability"


@pytest.fixture(scope="module")
def reliability():
    sys.path.insert(0, str(HERE))
    try:
        spec = importlib.util.spec_from_file_location("reliability_run", HERE / "run.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(HERE))


@pytest.fixture(scope="module")
def disturbed(reliability, tmp_path_factory):
    """`disturbed(mode, share, error)`: asserts that a run so disturbed, and then left alone, ends as one left alone.

    share: of its calls, at which it happens; above 1 when it has ended. loss: what a power cut takes then.
    """
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: what counts and fails the calls of a process cannot be built")
    folder = tmp_path_factory.mktemp("stops")
    environment = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    with reliability.faults.runner(reliability.faults.build(folder), reliability.OVERRIDES) as run:
        os.environ.update({"PYTHONPATH": environment} if environment else {})
        calls = run(folder / "whole")["calls"]
        whole = reliability.faults.bits(folder / "whole")
        assert calls > 150

        def check(mode, share, error=0, times=1, loss=""):
            directory, record = folder / "run", folder / "record"
            at, seed = 1 + int(share * (calls - 1)), random.randrange(2**32)
            record.mkdir()
            for _ in range(times):
                answer = run(directory, mode, at, error, record if loss else None)
            if loss:
                reliability.power.Cut(directory, record).leave(loss, random.Random(seed))
            assert "Traceback" not in answer["said"]
            assert run(directory)["status"] == 0, (at, seed, answer)
            assert reliability.faults.bits(directory) == whole, (at, seed, answer)
            shutil.rmtree(directory)
            shutil.rmtree(record)
            return answer

        yield check


@pytest.mark.slow
def test_a_kill_at_any_call_costs_no_bit(disturbed):
    for share in sorted(random.random() for _ in range(4)):
        assert disturbed("kill", share)["status"] == -9
    disturbed("kill", 0.4, times=3)


@pytest.mark.slow
def test_a_call_that_fails_costs_no_bit_and_its_file_is_named(disturbed):
    for share in sorted(random.random() for _ in range(4)):
        answer = disturbed("fail", share, errno.EIO)
        assert answer["status"] == 0 or "/run" in answer["said"], answer


@pytest.mark.slow
def test_a_full_disk_costs_no_bit_and_is_said(disturbed):
    for share in (0.05, 0.5, 0.95):
        answer = disturbed("full", share)
        assert answer["status"] == 1
        assert "No space left on device" in answer["said"] and "/run" in answer["said"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"])
def test_what_asks_to_stop_costs_no_bit(disturbed, name):
    assert disturbed(name, 0.5)["status"] in (0, 130)


@pytest.mark.slow
def test_a_power_cut_costs_no_bit(disturbed):
    for loss in ("content zeros", "names and content", "by chance"):
        assert disturbed("kill", random.uniform(0.05, 1), loss=loss)["status"] == -9
    assert disturbed("kill", 1.1, loss="names and content")["status"] == 0


@pytest.mark.slow
def test_a_run_that_is_started_twice_is_made_once(reliability, tmp_path):
    processes, run = reliability.processes, tmp_path / "run"
    ends = processes.twice(tmp_path, "train", *reliability.OVERRIDES, f"hydra.run.dir={run}")
    assert processes.went_well(ends), ends
    whole = reliability.faults.bits(run)
    (run / "result.json").unlink()
    shutil.rmtree(run / "checkpoints/step-00000006")
    ends = processes.twice(tmp_path, "train", f"resume={run}")
    assert processes.went_well(ends), ends
    assert reliability.faults.bits(run) == whole
