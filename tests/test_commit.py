"""What a result says of the code that it came from, and what a run keeps of what it says."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from ganlab import environment
from ganlab.environment import commit
from ganlab.launch.process import finish
from ganlab.runs.console import Log
from ganlab.runs.folder import read_config
from ganlab.runs.result import read_result, write_result
from small_runs import BRIEF


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with code in it, from which ganlab would come."""
    for name in ("ganlab/code.py", "conf/config.yaml", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(environment, "_CHECKOUT", tmp_path)
    for line in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -q -m one"):
        subprocess.run(["git", *line.split()], cwd=tmp_path, check=True)
    commit.cache_clear()
    yield tmp_path
    commit.cache_clear()


def asked(checkout):
    commit.cache_clear()
    return commit()


def test_it_is_the_commit_and_whether_the_code_is_another(checkout):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True).stdout.strip()
    assert asked(checkout) == {"hash": head, "changed": False}
    (checkout / "README.md").write_text("2")
    (checkout / "outputs").mkdir()
    (checkout / "outputs" / "result.json").write_text("{}")
    assert asked(checkout)["changed"] is False  # that is no code
    (checkout / "conf" / "new.yaml").write_text("1")
    assert asked(checkout)["changed"] is True
    (checkout / "conf" / "new.yaml").unlink()
    (checkout / "ganlab" / "code.py").write_text("2")
    assert asked(checkout) == {"hash": head, "changed": True}


def test_neither_variables_nor_settings_of_git_lead_it_elsewhere(checkout, tmp_path_factory, monkeypatch):
    ours, other = asked(checkout), tmp_path_factory.mktemp("other")
    subprocess.run(["git", "init", "-q"], cwd=other, check=True)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    trap = checkout / "trap"
    subprocess.run(
        ["git", "--git-dir", checkout / ".git", "config", "core.fsmonitor", f"touch {trap}; false"], check=True
    )
    assert asked(checkout) == ours
    assert not trap.exists()


@pytest.mark.parametrize("why", ["a wheel", "no git", "no answer", "no commit", "not ours"])
def test_where_it_cannot_be_known_there_is_none(checkout, monkeypatch, why):
    if why in ("a wheel", "no commit"):
        subprocess.run(["rm", "-rf", checkout / ".git"], check=True)
    if why == "no commit":
        subprocess.run(["git", "init", "-q"], cwd=checkout, check=True)
    if why == "no git":
        monkeypatch.setenv("PATH", "")
    if why in ("no answer", "not ours"):
        git = checkout / "git"
        git.write_text("#!/bin/sh\n" + ("sleep 60" if why == "no answer" else "echo fatal: dubious; exit 128"))
        git.chmod(0o755)
        monkeypatch.setenv("PATH", str(checkout), prepend=os.pathsep)
        monkeypatch.setattr(environment, "_PATIENCE", 0.2)
    began = time.monotonic()
    assert asked(checkout) is None
    assert time.monotonic() - began < 5


def test_every_result_names_it_once_asked(checkout, settings, monkeypatch):
    ours = asked(checkout)
    monkeypatch.setattr(environment.subprocess, "run", lambda *_, **__: pytest.fail("git is asked once"))
    for number in (1, 2):
        where = checkout / f"run{number}"
        where.mkdir()
        write_result(settings(), where, None, "failed", error="x")
        assert json.loads((where / "result.json").read_text())["commit"] == ours
        assert ours and read_result(where / "result.json").commit == ours


@pytest.mark.slow
def test_a_single_run_keeps_what_it_says(settings, tmp_path, capsys, monkeypatch):
    from ganlab.runs.records import Records

    run = tmp_path / "run"
    write, times = Records.scalars, []

    def interrupted(self, step, *arguments):
        write(self, step, *arguments)
        if not times:
            times.append(step)
            os.kill(os.getpid(), 15)

    monkeypatch.setattr(Records, "scalars", interrupted)
    assert finish(run, settings(*BRIEF, "training.steps=12")) == 130
    assert finish(run) == 0
    printed = capsys.readouterr().out
    kept = (run / "log.txt").read_text()
    assert kept == printed
    assert f"interrupted; continue with: python -m ganlab.train resume={run}" in kept
    assert "continuing from step 5" in kept
    assert "step 12/12  100 %" in kept
    assert kept.endswith(f"curves:      python -m ganlab.dashboard {run}\n")
    before = (run / "log.txt").read_bytes()
    assert finish(run, read_config(run), held=True) == 0
    assert (run / "log.txt").read_bytes() == before  # whoever holds the folder keeps what this one prints


def test_a_run_that_fails_keeps_why(settings, tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise RuntimeError("\x1b[1mthe disk\nis full\x1b[0m")  # as Keras writes its errors

    monkeypatch.setattr("ganlab.run.life._Training", fail)
    assert finish(tmp_path / "run", settings(*BRIEF)) == 1
    assert (tmp_path / "run" / "log.txt").read_text() == capsys.readouterr().err
    assert "failed: the disk is full; see" in (tmp_path / "run" / "log.txt").read_text()
    assert json.loads((tmp_path / "run" / "result.json").read_text())["error"] == "RuntimeError: the disk\nis full"
    monkeypatch.setattr("ganlab.launch.process.write_bytes", lambda *_: Path("/").mkdir())
    assert finish(tmp_path / "run", settings(*BRIEF)) == 1  # error.txt cannot be written either
    assert capsys.readouterr().err == f"{tmp_path / 'run'} failed: the disk is full\n"


def test_what_only_a_terminal_understands_is_not_kept(tmp_path):
    Log(tmp_path / "log.txt").keep("\x1b[1mbold\x1b[0m \x1b[?25lplain\x07\r\ttab")
    assert (tmp_path / "log.txt").read_text() == "bold plain\ttab\n"
    Log(tmp_path / "nowhere" / "log.txt").keep("no error")
    Log(None).keep("nothing")


def test_of_a_checkout_it_is_the_folder_above_the_package():
    import ganlab

    assert Path(ganlab.__file__).parents[1] == environment._CHECKOUT
