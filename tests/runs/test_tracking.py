"""A copy of the records elsewhere, with stand-ins for the libraries: it is complete, and it can fail as it likes."""

import fcntl
import json
import os
import re
import sys

import pytest

from ganlab.cli.hydra import plan
from ganlab.errors import ConfigError
from ganlab.launch.sweep import report
from ganlab.run.life import run
from ganlab.runs import tracking
from ganlab.runs.folder import read_config
from ganlab.study.arms import NOT_OF_THE_ARM
from small_runs import BRIEF, assert_same_end, records

WANDB = """
import json, os, threading
CALLS = []
class Settings:
    def __init__(self, **settings):
        self.given = settings
class Run:
    def __init__(self):
        self.summary = {}
    def define_metric(self, name, step_metric):
        CALLS.append(["define_metric", name, step_metric])
    def log(self, values):
        if os.environ.get("STANDIN") == "breaks":
            raise RuntimeError("no route\\nto host")
        CALLS.append(["log", values])
    def finish(self, exit_code):
        CALLS.append(["finish", exit_code, dict(self.summary)])
def init(**arguments):
    if os.environ.get("STANDIN") == "refuses":
        raise SystemExit(1)
    if os.environ.get("STANDIN") == "hangs":
        threading.Event().wait()
    arguments["settings"] = arguments["settings"].given
    json.dumps(arguments)
    CALLS.append(["init", arguments])
    return Run()
"""
MLFLOW = {
    "__init__.py": """
import os
from types import SimpleNamespace as Made
CALLS = []
def set_experiment(name):
    CALLS.append(["set_experiment", name])
    return Made(experiment_id="7")
class MlflowClient:
    def create_run(self, experiment, run_name, tags):
        CALLS.append(["create_run", experiment, run_name, tags])
        return Made(info=Made(run_id="run-1"))
    def update_run(self, run, status):
        CALLS.append(["update_run", run, status])
    def log_batch(self, run, metrics=(), params=()):
        assert len(params) <= 100
        CALLS.append(["log_batch", run, [(m.key, m.value, m.step) for m in metrics], [(p.key, p.value) for p in params]])
    def set_terminated(self, run, status):
        CALLS.append(["set_terminated", run, status])
""",
    "entities.py": """
from types import SimpleNamespace
def Metric(key, value, timestamp, step):
    return SimpleNamespace(key=key, value=value, step=step)
def Param(key, value):
    return SimpleNamespace(key=key, value=value)
""",
}


@pytest.fixture
def standin(tmp_path, monkeypatch):
    """Libraries that note what they are asked; returns `calls(name)`."""
    home = tmp_path / "libraries"
    for name, files in {"wandb": {"__init__.py": WANDB}, "mlflow": MLFLOW}.items():
        (home / name).mkdir(parents=True)
        for file, text in files.items():
            (home / name / file).write_text(text)
    monkeypatch.syspath_prepend(home)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    for variable in ("WANDB_PROJECT", "WANDB_DIR", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(variable, raising=False)

    def forget():
        for name in [name for name in sys.modules if name.partition(".")[0] in ("wandb", "mlflow")]:
            del sys.modules[name]

    forget()
    yield lambda name: sys.modules[name].CALLS
    forget()


def start(directory, *overrides):
    return run(plan([*BRIEF, "training.steps=12", *overrides], multirun=False).cells[0].config, directory, quiet=True)


@pytest.fixture(scope="module")
def untracked(tmp_path_factory):
    directory = tmp_path_factory.mktemp("untracked") / "run-seed0"
    start(directory)
    return directory


def timed(directory):
    """Every record as it stands, with its times."""
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_weights_and_biases_gets_every_record_and_the_run_the_same_bits(standin, untracked, tmp_path):
    directory = tmp_path / "run-seed0"
    start(directory, "tracking=wandb")
    first, define, *logs, finish = standin("wandb")
    assert first[1]["project"] == "ganlab"
    assert (first[1]["name"], first[1]["group"]) == ("run-seed0", "run")
    assert first[1]["config"] == json.loads((directory / "config.json").read_text())
    assert define == ["define_metric", "*", "step"]
    assert [values for _, values in logs] == timed(directory)
    assert finish == ["finish", 0, {"status": "finished"}]
    assert json.loads((directory / "tracking.json").read_text()) == {"wandb": first[1]["id"]}
    config = json.loads((directory / "config.json").read_text())
    path = directory / "config.json"
    path.write_text(json.dumps(config | {"tracking": "none"}))
    result = json.loads((directory / "result.json").read_text())
    (directory / "result.json").write_text(json.dumps(result | {"config": config | {"tracking": "none"}}))
    assert_same_end(untracked, directory)


@pytest.mark.slow
def test_mlflow_gets_every_record_and_a_longer_training_the_same_run(standin, tmp_path):
    directory = tmp_path / "run-seed0"
    start(directory, "tracking=mlflow", "study=mine", "training.steps=6")
    calls = standin("mlflow")
    assert calls[:2] == [["set_experiment", "mine"], ["create_run", "7", "run-seed0", {"arm": "run"}]]
    params = dict(pair for call in calls if call[0] == "log_batch" for pair in call[3])
    assert params["training.steps"] == "6"
    assert params["generator.name"] == '"transpose"'
    assert calls[-1] == ["set_terminated", "run-1", "FINISHED"]
    before = len(calls)
    run(read_config(directory), directory, quiet=True, steps=12)
    assert calls[before] == ["update_run", "run-1", "RUNNING"]
    assert not [pair for call in calls[before:] if call[0] == "log_batch" for pair in call[3]]  # they cannot change
    copied = [(tag, value, step) for call in calls if call[0] == "log_batch" for tag, value, step in call[2]]
    written = [(tag, value, line["step"]) for line in timed(directory) for tag, value in line.items() if tag != "step"]
    assert copied == written


def test_a_service_that_breaks_costs_the_run_one_line(standin, untracked, tmp_path, monkeypatch, capsys):
    said = "tracking=wandb failed: no route to host; the run continues without it, its numbers are in metrics.jsonl\n"
    monkeypatch.setenv("STANDIN", "breaks")
    config = plan([*BRIEF, "training.steps=12", "tracking=wandb"], multirun=False).cells[0].config
    assert run(config, tmp_path / "run").status == "finished"
    assert capsys.readouterr().out.count(said) == 1
    assert records(tmp_path / "run") == records(untracked)
    assert (tmp_path / "run" / "log.txt").read_text().count(said) == 1


def test_what_was_not_copied_is_told_at_the_end_of_a_sweep(standin, tmp_path, monkeypatch, capsys):
    """Each cell says so in its log only."""
    monkeypatch.setenv("STANDIN", "breaks")
    line = [*BRIEF, "tracking=wandb", "seed=0,1", f"hydra.sweep.dir={tmp_path}"]
    cells = plan(line, multirun=True).cells
    for cell in cells:
        cell.directory.mkdir(parents=True)
        with tracking.Tracker(cell.config, cell.directory, str) as tracker:
            tracker.scalars(1, {"loss": 1.0})
        monkeypatch.delenv("STANDIN", raising=False)
    report(cells, tmp_path)
    told = [line for line in capsys.readouterr().out.splitlines() if "tracking" in line]
    assert told == [f"  {cells[0].directory.name}: tracking=wandb failed: no route to host"]
    with tracking.Tracker(cells[0].config, cells[0].directory, str):
        pass
    assert not tracking.failure(cells[0].directory)  # resumed, it was
    assert json.loads((cells[0].directory / "tracking.json").read_text()).keys() == {"wandb"}


def test_of_several_runs_one_at_a_time_opens_mlflow(standin, tmp_path, settings, monkeypatch):
    """It makes its database then, and fails where two make it."""
    import mlflow  # pyright: ignore[reportMissingImports]

    def held(name, original=mlflow.set_experiment):
        other = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)
        return original(name)

    monkeypatch.setattr(mlflow, "set_experiment", held)
    (tmp_path / "run").mkdir()
    said = []
    with tracking.Tracker(settings(*BRIEF, "tracking=mlflow"), tmp_path / "run", said.append) as tracker:
        tracker.status = "finished"
    assert said == []
    assert standin("mlflow")[-1] == ["set_terminated", "run-1", "FINISHED"]


@pytest.mark.parametrize(("how", "why"), [("refuses", "1"), ("hangs", "it has not accepted everything after 0 s")])
def test_a_service_that_does_not_begin_holds_nobody_up(standin, tmp_path, monkeypatch, settings, how, why):
    monkeypatch.setenv("STANDIN", how)
    monkeypatch.setattr(tracking, "_PATIENCE", 0.3)
    said = []
    with tracking.Tracker(settings(*BRIEF, "tracking=wandb"), tmp_path, said.append) as tracker:
        tracker.scalars(1, {"loss": 1.0})
    assert len(said) == 1
    assert said[0].startswith(f"tracking=wandb failed: {why}; the run continues")


def test_a_run_that_fails_or_stops_says_so_there(standin, tmp_path, settings):
    config = settings(*BRIEF, "tracking=wandb")
    tmp_path.joinpath("run").mkdir()
    with pytest.raises(ValueError, match="broken"), tracking.Tracker(config, tmp_path / "run", print):
        raise ValueError("broken")
    assert standin("wandb")[-1] == ["finish", 1, {"status": "failed"}]
    with tracking.Tracker(config, tmp_path / "run", print) as tracker:
        tracker.status = "interrupted"
    assert standin("wandb")[-1] == ["finish", 0, {"status": "interrupted"}]
    first, second = [call[1]["id"] for call in standin("wandb") if call[0] == "init"]
    assert first == second  # one run there, whatever happened to it here
    (tmp_path / "run" / "tracking.json").write_text("{")
    with pytest.raises(KeyboardInterrupt), tracking.Tracker(config, tmp_path / "run", print):
        raise KeyboardInterrupt  # waits for nobody


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_library_that_is_missing_is_one_line_before_anything_is_made(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "libraries" not in entry])
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / name).mkdir()  # where the library has written: it is no library
    for multirun, line in ((False, []), (True, ["seed=0,1"])):
        with pytest.raises(ConfigError) as refused:
            plan([f"tracking={name}", *line], multirun=multirun)
        expected = f"tracking={name} needs its library; pip install 'ganlab-keras[{name}]', or tracking=none"
        assert str(refused.value) == expected
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_it_decides_nothing(standin, settings):
    from ganlab.cli.hydra import cell_name
    from ganlab.run.life import _hyperparameters

    assert cell_name(["generator=upsample", "tracking=wandb"]) == "upsample"
    assert "tracking" not in _hyperparameters(settings("tracking=wandb"))
    assert NOT_OF_THE_ARM.match("tracking")


def test_the_extras_name_these_libraries():
    from conftest import ROOT

    extras = re.findall(r'^(\w+) = \["(\w+)', (ROOT / "pyproject.toml").read_text(), re.M)
    assert {name for name, library in extras if name == library} == tracking.SERVICES.keys()
