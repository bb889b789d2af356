"""Locks: what another process holds, and file systems that have none. Only what says so is held."""

import ast
import errno
import fcntl
import json
import subprocess
import sys

import pytest

from conftest import ROOT
from ganlab import files
from ganlab.errors import ConfigError
from ganlab.evaluation.cache import cached
from ganlab.launch import process
from ganlab.launch.sweep import run_to_end
from ganlab.runs.folder import claimed
from ganlab.runs.status import has_writer, may_have_writer, read_status
from small_runs import SMALL

LACKING = ("ENOSYS", "ENOLCK", "EOPNOTSUPP", "EINVAL")
HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def fails(monkeypatch):
    """`fails("ENOLCK")`: flock fails so from now on."""

    def with_number(name):
        def flock(*_):
            raise OSError(getattr(errno, name), name)

        monkeypatch.setattr(fcntl, "flock", flock)
        monkeypatch.setattr(files, "_warned", set())

    return with_number


@pytest.fixture
def held(tmp_path):
    """A run's folder that another process holds."""
    folder = tmp_path / "held"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", HOLDER, folder / ".lock"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:  # fmt: skip
        process.stdout.readline()
        yield folder
        process.stdin.close()


def test_what_another_process_holds_is_held(held):
    assert has_writer(held)
    assert may_have_writer(held)
    with pytest.raises(ConfigError, match="is being written by another process"), claimed(held):
        pass


@pytest.mark.parametrize("name", LACKING)
def test_where_there_are_no_locks_work_goes_on_and_says_so_once(fails, name, tmp_path, capsys, settings, monkeypatch):
    fails(name)
    run = tmp_path / "run"
    with claimed(run, wait=True, stopping=lambda: pytest.fail("it waits for nobody")):
        pass
    assert not has_writer(run)
    import numpy as np

    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))
    assert cached("kind", {"key": 1}, lambda: {"a": np.ones(1)})["a"] == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr(process.tempfile, "gettempdir", lambda: str(tmp_path))
    with process.dealt_gpus(1) as (variables, _):
        assert set(variables) == {"CUDA_VISIBLE_DEVICES"}
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"the file system of {run} has no locks: two processes")


@pytest.mark.parametrize("name", ["EWOULDBLOCK", "EAGAIN", "EACCES"])
def test_only_these_numbers_mean_held(fails, name, tmp_path):
    (tmp_path / ".lock").touch()
    fails(name)
    assert has_writer(tmp_path)


def test_another_failure_is_neither_held_nor_without_locks(fails, tmp_path):
    fails("EIO")
    with pytest.raises(OSError, match="EIO"), claimed(tmp_path / "run"):
        pass


def test_a_cell_of_a_sweep_runs_where_there_are_no_locks(fails, tmp_path, settings, monkeypatch):
    """It waited for ever: whoever cannot lock was taken for one who finds the folder held."""
    fails("ENOLCK")
    ran = []
    monkeypatch.setattr("ganlab.launch.sweep.run_apart", lambda *arguments: ran.append(arguments) or 0)
    run_to_end(settings(*SMALL), tmp_path / "cell", "basic")
    assert len(ran) == 1
    assert may_have_writer(tmp_path / "cell")  # as far as can be known: it has settings and no result
    assert read_status(tmp_path / "cell", "cell").state == "interrupted"
    (tmp_path / "cell" / "result.json").write_text(json.dumps({}))
    assert not may_have_writer(tmp_path / "cell")


def is_of_files(call):
    """Whether a call renames, flushes to the disk, or locks: what `ganlab/files.py` alone does."""
    name = getattr(call.func, "attr", "")
    replaces = name == "replace" and (
        (len(call.args) == 1 and not call.keywords) or ast.unparse(call.func) == "os.replace"
    )
    return replaces or name in ("rename", "renames", "fsync", "flock", "lockf")


def test_files_are_replaced_flushed_and_locked_in_one_place():
    places = {
        path.relative_to(ROOT / "ganlab").as_posix()
        for path in (ROOT / "ganlab").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and is_of_files(call)
    }
    assert places == {"files.py"}
