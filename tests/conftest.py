"""Shared by all tests: TensorFlow is started the way a run starts it, and settings come from the committed YAML."""

import atexit
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Union, get_args

import pytest

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["GANLAB_CACHE"] = tempfile.mkdtemp()  # of this process, and of the commands that it starts
atexit.register(shutil.rmtree, os.environ["GANLAB_CACHE"], ignore_errors=True)

# A shell's background ignores these: commands would inherit that, and not stop.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

from ganlab import device  # noqa: E402

device.start("float32")
ROOT = Path(__file__).parent.parent


def pytest_collection_finish():
    """What the tests import stays: collecting garbage need not look at it, and it may come later."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def some(names, every=4):
    """Parameters, of which one in so many is in the default set and all are in the slow one: kinds with many cases."""
    return [name if n % every == 0 else pytest.param(name, marks=pytest.mark.slow) for n, name in enumerate(names)]


@pytest.fixture
def settings():
    """`settings("generator=upsample", "seed=3")`: validated settings, as the command line gives them."""
    from ganlab.cli.hydra import plan
    from ganlab.config import plugins

    def validated(*overrides):
        key = overrides, *plugins._loaded
        if key not in _validated or any(text.startswith(("dataset", "init_from")) for text in overrides):  # of files
            _validated[key] = plan(list(overrides), multirun=False).cells[0].config
        return _validated[key]

    return validated


_validated = {}  # settings are frozen, so that tests can share them


@pytest.fixture
def command(tmp_path):
    """`command("train", "seed=3")`: run a ganlab command in an empty folder; the finished process."""

    def run(name, *arguments, cwd=tmp_path, timeout=300, **more):
        line = [sys.executable, "-m", f"ganlab.{name}", *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | more.pop("env", {})
        return subprocess.run(line, cwd=cwd, timeout=timeout, capture_output=True, text=True, env=environment, **more)

    return run


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are empty in a report, since most of its time goes into them: for tests of something else."""
    monkeypatch.setattr("ganlab.report.drawing.Drawing._drawn", "<svg></svg>")


@pytest.fixture
def plugins_forgotten(monkeypatch):
    """Plugins that a test loads go again after it."""
    from ganlab.config import plugins

    monkeypatch.setenv(plugins.VARIABLE, "")
    before = set(plugins._loaded)
    yield
    forget(set(plugins._loaded) - before)


def forget(keys):
    """Take plugins out of all tables again."""
    from ganlab import config
    from ganlab.config import plugins

    for kind, name in {choice for key in keys for choice in plugins._loaded.pop(key).choices}:
        del plugins._builders[kind][name]
        if module := sys.modules.get(plugins.KINDS[kind].module):
            getattr(module, kind.upper()).pop(name, None)
        for owner, field in ((plugins.KINDS[kind].owner, field) for field in plugins.KINDS[kind].fields):
            info = getattr(config, owner).model_fields[field]
            kept = [one for one in get_args(info.annotation) if name not in plugins._tags(one)]
            info.annotation = Union[tuple(kept)]  # noqa: UP007 - of types that are known at run time only
    for model in (config.Generator, config.RunConfig):
        model.model_rebuild(force=True)
