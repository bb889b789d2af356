"""Runs that are killed or whose calls fail, at some call to the system: the same run again ends in the same bits."""

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
    """`disturbed(mode, at, error)`: asserts that a run so disturbed, and then left alone, ends as one left alone."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: what counts and fails the calls of a process cannot be built")
    folder = tmp_path_factory.mktemp("stops")
    environment = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    with reliability.faults.runner(reliability.faults.build(folder), reliability.OVERRIDES) as run:
        os.environ.update({"PYTHONPATH": environment} if environment else {})
        calls = run(folder / "whole")["calls"]
        whole = reliability.bits(folder / "whole")
        assert calls > 150

        def check(mode, share, error=0, times=1):
            directory = folder / "run"
            for _ in range(times):
                answer = run(directory, mode, 1 + int(share * (calls - 1)), error)
            assert "Traceback" not in answer["said"]
            assert run(directory)["status"] == 0, answer
            assert reliability.bits(directory) == whole, answer
            shutil.rmtree(directory)
            return answer

        yield check


@pytest.mark.slow
def test_a_kill_at_any_call_costs_no_bit(disturbed):
    for share in sorted(random.random() for _ in range(8)):
        assert disturbed("kill", share)["status"] == -9
    disturbed("kill", 0.4, times=3)


@pytest.mark.slow
def test_a_call_that_fails_costs_no_bit_and_its_file_is_named(disturbed):
    for share in sorted(random.random() for _ in range(6)):
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
