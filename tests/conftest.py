"""Shared by all tests: TensorFlow is started the way a run starts it, and settings come from the committed YAML."""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["GANLAB_CACHE"] = tempfile.mkdtemp()  # of this process, and of the commands that it starts
atexit.register(shutil.rmtree, os.environ["GANLAB_CACHE"], ignore_errors=True)

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's background: commands would inherit that, and not stop
    signal.signal(signal.SIGINT, signal.default_int_handler)

from ganlab import device  # noqa: E402 - it reads the environment

device.start("float32")
ROOT = Path(__file__).parent.parent


@pytest.fixture
def settings():
    """`settings("generator=upsample", "seed=3")`: validated settings, as the command line gives them."""
    from ganlab.compose import plan

    return lambda *overrides: plan(list(overrides), multirun=False).cells[0].config


@pytest.fixture
def command(tmp_path):
    """`command("train", "seed=3")`: run a ganlab command in an empty folder; the finished process."""

    def run(name, *arguments, cwd=tmp_path, timeout=300, **more):
        line = [sys.executable, "-m", f"ganlab.{name}", *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | more.pop("env", {})
        return subprocess.run(line, cwd=cwd, timeout=timeout, capture_output=True, text=True, env=environment, **more)

    return run
