"""The present folder may be anybody's: a module that lies in it is imported by no command and by no child of one."""

import importlib.metadata
import os
import subprocess
import sys

import pytest

from conftest import ROOT
from ganlab.data.parallel import run_all
from small_runs import TINY

DECOY = "with open({log!r}, 'a') as log:\n    log.write({name!r} + '\\n')\nraise ImportError('a decoy')\n"


@pytest.fixture(scope="module")
def loaded_before(tmp_path_factory):
    """The modules that `python -m` has imported itself, from wherever, when it comes to a package."""
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.py").write_text("import sys; print(*sys.modules)")
    line = [sys.executable, "-m", "probe"]
    return set(subprocess.run(line, cwd=folder, capture_output=True, text=True, check=True).stdout.split())


@pytest.fixture
def decoys(tmp_path, monkeypatch, loaded_before):
    """A folder with a module of every name that a command might import; the names of those that were are returned."""
    folder, log = tmp_path / "theirs", tmp_path / "log"
    folder.mkdir()
    log.touch()
    installed = {name for name in importlib.metadata.packages_distributions() if name.isidentifier()}
    for name in (installed | set(sys.stdlib_module_names)) - loaded_before - {"ganlab"}:
        (folder / f"{name}.py").write_text(DECOY.format(log=str(log), name=name))
    monkeypatch.chdir(folder)
    yield folder
    assert not set(log.read_text().split())


def run(*line, **more):
    """A command as a shell in the present folder starts it; PYTHONPATH holds ganlab alone."""
    line = [sys.executable, "-m", *line]
    return subprocess.run(line, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, **more)


@pytest.mark.parametrize("line", [
    ["train", "training.steps=0"], ["status", "nowhere"], ["compare", "nowhere"], ["dashboard", "nowhere"],
])  # fmt: skip
@pytest.mark.slow
def test_commands_import_nothing_from_it(decoys, line):
    done = run(f"ganlab.{line[0]}", *line[1:])
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


def test_workers_that_decode_import_nothing_from_it(decoys):
    assert list(run_all(abs, [-1, 2])) == [1, 2]
    assert "PYTHONSAFEPATH" not in os.environ


def test_a_checkout_that_is_not_installed_is_found_by_its_processes(tmp_path):
    program = "import os, sys; print(sys.path[-1] == os.getcwd(), os.environ['PYTHONPATH'].split(os.pathsep)[-1] == os.getcwd())"
    (tmp_path / "ganlab").mkdir()
    (tmp_path / "ganlab" / "__init__.py").write_text((ROOT / "ganlab" / "__init__.py").read_text())
    (tmp_path / "ganlab" / "say.py").write_text(program)
    line = [sys.executable, "-m", "ganlab.say"]
    done = subprocess.run(line, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True)
    assert done.stdout == "True True\n", done.stderr


@pytest.mark.slow
def test_the_cells_of_a_sweep_import_nothing_from_it(decoys):
    """With joblib there are its workers besides the processes of the cells."""
    done = run("ganlab.train", "-m", *TINY, "metrics=none", "seed=0,1", "study=two", "hydra/launcher=joblib")
    assert done.returncode == 0, done.stdout + done.stderr
    asked = run("ganlab.train", "-m", *TINY, "metrics=none", "seed=2,3", "--dry-run")
    assert asked.returncode == 0 and "to start" in asked.stdout, asked.stderr
    assert run("ganlab.sample", "outputs/two/" + os.listdir("outputs/two")[0], "--count", "4").returncode in (0, 2)  # noqa: PTH208


@pytest.mark.slow
def test_tensorboard_imports_nothing_from_it(decoys, tmp_path):
    done = run("ganlab.train", *TINY, "metrics=none", f"hydra.run.dir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    line = [sys.executable, "-m", "ganlab.dashboard", str(tmp_path / "run"), "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as board:
        first = board.stdout.readline()
        board.terminate()
        assert first.startswith("curves: "), board.stderr.read()
