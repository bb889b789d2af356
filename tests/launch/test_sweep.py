"""Sweeps: each cell apart, none twice, none lost, and every failure named."""

import contextlib
import dataclasses
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import pytest
from hydra._internal.hydra import Hydra
from rich.console import Console

from conftest import ROOT
from ganlab import train
from ganlab.cli.hydra import launch_cells, plan
from ganlab.errors import ConfigError
from ganlab.files import write_json
from ganlab.launch import sweep as sweeps
from ganlab.runs.folder import claimed
from ganlab.runs.result import read_result, write_result
from ganlab.runs.status import has_writer, read_status
from small_runs import TINY


def statuses(folder):
    return {path.parent.name: json.loads(path.read_text())["status"] for path in folder.glob("*/result.json")}


@pytest.mark.slow
def test_a_sweep_makes_each_cell_once_and_names_what_failed(command, tmp_path):
    folder = tmp_path / "outputs" / "two"
    line = ("train", "-m", *TINY, "study=two", "generator=upsample,transpose", "seed=0")
    done = command(*line)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 runs finished" in done.stdout
    found = statuses(folder)
    assert len(found) == 2
    assert set(found.values()) == {"finished"}
    made = {path: path.stat().st_mtime_ns for path in folder.glob("*/result.json")}

    lost = next(iter(made))
    shutil.rmtree(lost.parent)
    asked = command("status", str(folder))
    assert asked.returncode == 1
    assert "2 runs: 1 finished, 1 missing" in asked.stdout

    # the same command makes what is missing, and nothing else
    done = command(*line)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 2 had ended before" in done.stdout
    assert "2 of 2 runs ended, 0 running" in done.stdout
    assert {path for path in made if path.stat().st_mtime_ns != made[path]} == {lost}

    assert command("status", str(folder)).returncode == 0

    # a result that is damaged is named, and stops no other cell
    text = lost.read_bytes()
    lost.write_bytes(text[:40])
    other = next(path for path in made if path != lost)
    shutil.rmtree(other.parent)
    done = command(*line)
    assert done.returncode == 1
    assert re.search(rf"{re.escape(lost.parent.name)}: failed: \S+ is damaged .*; delete it", done.stdout), done.stdout
    assert read_result(other).status == "finished"
    lost.write_bytes(text)

    compared = command("compare", str(folder))
    assert compared.returncode == 0, compared.stderr
    assert "upsample" in compared.stdout
    assert "frechet_distance" in compared.stdout

    refused = command("train", "-m", *TINY, "study=two", "generator=upsample,transpose", "seed=0",
                      "training.batch_size=8", f"hydra.sweep.dir={folder}", "hydra.sweep.subdir=" + lost.parent.name)  # fmt: skip
    assert refused.returncode == 2


@pytest.mark.slow
def test_a_sweep_that_cannot_work_starts_nothing(command, tmp_path):
    for arguments in (
        ("seed=0,0",),
        ("training.steps=4,-1",),
        ("training.steps=20,40", "hydra.sweep.subdir=run${seed}"),
    ):
        done = command("train", "-m", *TINY[1:], *arguments)
        assert done.returncode == 2, arguments
        assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_joblib_runs_the_same_sweep_in_parallel(command, tmp_path):
    done = command("train", "-m", *TINY, "metrics=none", "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = tmp_path.glob("outputs/sweeps/*/*")  # though its name is the time, which goes on
    assert list(statuses(folder).values()) == ["finished"] * 2
    shares = {json.loads(path.read_text())["threads"] for path in folder.glob("*/result.json")}
    assert shares == {max(1, joblib.cpu_count() // 2)}


@pytest.fixture
def cell(tmp_path, monkeypatch, settings):
    """`cell(status)`: run a cell whose process ends so, having done `act(directory)`; how often it was started."""
    directory, config, started = tmp_path / "cell", settings(*TINY), []

    def run(status, act=lambda _: None):
        def process(where, _environment, _keep, _stopping):
            started.append(where)
            act(where)
            return status

        monkeypatch.setattr(sweeps, "run_apart", process)
        sweeps.run_to_end(config, directory, "basic")
        return len(started)

    run.directory, run.config = directory, config
    return run


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (-9, "killed by signal 9 (out of memory?)"),
        (-11, "killed by signal 11 (Segmentation fault)"),
        (2, "dataset.path=nowhere does not exist"),
        (1, "dataset.path=nowhere does not exist"),
    ],
)
def test_a_process_that_dies_without_a_word_is_a_failure_with_its_reason(cell, status, error):
    cell(status, lambda where: (where / "log.txt").write_text("step 1\ndataset.path=nowhere does not exist\n\n"))
    result = read_result(cell.directory / "result.json")
    assert (result.status, result.error) == ("failed", error)
    assert read_status(cell.directory, "cell").state == "failed"


def test_what_a_process_says_of_its_end_is_kept(cell):
    def diverge(where):
        write_result(cell.config, where, None, "diverged", error="nan")

    cell(1, diverge)
    assert read_result(cell.directory / "result.json").status == "diverged"


@pytest.mark.parametrize("status", [1, -9, -15])
def test_a_finished_run_whose_generator_cannot_be_written_again_keeps_its_result(cell, capsys, status):
    cell(0, lambda where: write_result(cell.config, where, None, "finished", metrics={"coverage": 0.5}))
    (cell.directory / "checkpoints" / "step-00000004").mkdir(parents=True)
    assert cell(status, lambda where: (where / "log.txt").write_text("disk full\n")) == 2
    assert read_result(cell.directory / "result.json").metrics == {"coverage": 0.5}
    assert "cell: generator.keras is missing: " in capsys.readouterr().err


@pytest.mark.parametrize("status", [130, -signal.SIGTERM, -signal.SIGUSR1])  # these: before it listened to signals
def test_an_interruption_is_no_failure(cell, status):
    cell(status)
    assert read_status(cell.directory, "cell").state == "interrupted"


@pytest.mark.parametrize(
    ("launcher", "stays", "signals"),
    [
        ("basic", 0, [signal.SIGTERM]),
        pytest.param("basic", 0, [signal.SIGUSR1], marks=pytest.mark.slow),
        pytest.param("joblib", 0, [signal.SIGUSR1], marks=pytest.mark.slow),
        ("submitit_slurm", 1, [signal.SIGTERM]),
        ("ray", 1, [signal.SIGTERM]),
    ],
)
def test_jobs_that_wait_elsewhere_are_stopped_too(tmp_path, monkeypatch, launcher, stays, signals):
    told = {}

    def start(_arguments):
        told.update(os.environ)
        for number in signals:
            os.kill(os.getpid(), number)
            time.sleep(5)
            pytest.fail("it was not heard")

    wanted = plan([*TINY, "seed=0,1", f"hydra.sweep.dir={tmp_path}"], multirun=True)
    wanted = dataclasses.replace(wanted, launcher=launcher)
    assert sweeps.launch(wanted, [], start) == 130
    assert len(list(tmp_path.glob(".stop-*"))) == stays
    monkeypatch.setattr(sweeps, "run_apart", pytest.fail)
    if stays:  # a job begins now
        monkeypatch.setenv(sweeps._STOP, told[sweeps._STOP])
        sweeps.run_to_end(wanted.cells[0].config, wanted.cells[0].directory, launcher)
    begun = []
    sweeps.launch(wanted, [], lambda _: begun.append(not sweeps._stopping()))  # the same command goes on
    assert begun == [True]


def test_a_failed_cell_is_tried_again_and_one_that_ended_is_not(cell):
    assert cell(-9) == 1
    assert cell(-9, lambda where: write_result(cell.config, where, None, "failed", error="again")) == 2
    assert cell(0, lambda where: write_result(cell.config, where, None, "interrupted")) == 3
    assert cell(1, lambda where: write_result(cell.config, where, None, "diverged", error="nan")) == 4
    assert cell(0) == 4
    write_result(cell.config, cell.directory, None, "finished")
    assert cell(0) == 4


def test_a_cell_that_another_process_makes_is_waited_for_and_not_made_again(cell):
    with claimed(cell.directory):
        cell_in_background = threading.Thread(target=cell, args=(0,))
        cell_in_background.start()
        cell_in_background.join(0.3)
        assert cell_in_background.is_alive()
        write_json(cell.directory / "config.json", cell.config.model_dump(mode="json"))
        write_result(cell.config, cell.directory, None, "finished")
    cell_in_background.join(10)
    assert not cell_in_background.is_alive()
    assert cell(0) == 0


def test_the_sweep_is_told_of_as_a_whole(tmp_path, monkeypatch, settings):
    monkeypatch.setattr(sweeps, "_LOOK", 0.01)
    config, text = settings(*TINY), io.StringIO()
    cells = {name: tmp_path / name for name in "abc"}
    for name in "ab":
        cells[name].mkdir()
        write_json(cells[name] / "config.json", config.model_dump(mode="json"))
    write_result(config, cells["a"], None, "finished")
    write_result(config, cells["b"], None, "failed", error="earlier")  # it will be tried again
    with sweeps.watched(cells, Console(file=text, width=200)):
        with claimed(cells["c"]):
            time.sleep(0.3)
            write_result(config, cells["b"], None, "failed", error="disk full")
            time.sleep(0.3)
            write_json(cells["c"] / "config.json", config.model_dump(mode="json"))
        time.sleep(0.3)
    lines = text.getvalue().splitlines()
    assert lines[0] == "1 of 3 had ended before"
    assert lines[1].startswith("b: failed: disk full; see ")
    assert lines[2] == "2 of 3 runs ended, 1 running"
    assert lines[3].startswith("c: interrupted at step 0: its process was killed; see ")
    assert lines[4] == "3 of 3 runs ended, 0 running"
    assert len(lines) == 5


def test_a_cell_that_is_gone_on_with_has_not_ended(tmp_path, settings):
    config, text, directory = settings(*TINY), io.StringIO(), tmp_path / "a"
    watch = sweeps._Watch({"a": directory}, Console(file=text, width=300))
    for status, step in (("interrupted", 1), ("failed", 2), ("finished", 4)):
        with claimed(directory):
            write_json(directory / "config.json", config.model_dump(mode="json"))
            record = {"step": step, "images": 16 * step, "speed/images_per_second": 9.0}
            (directory / "metrics.jsonl").write_text(json.dumps(record))
            watch.look()
            assert not watch._ended
            write_result(config, directory, None, status)
        watch.look()
        watch.look()
    told = [line.partition(" at ")[0].partition(";")[0] for line in text.getvalue().splitlines()]
    ended = "1 of 1 runs ended, 0 running"  # nor is time left where nothing runs
    assert told == ["a: interrupted", ended, "a: failed", ended, "a: finished", ended]


@pytest.mark.parametrize("error", [RuntimeError("Job 7\nwas killed: " + "x" * 900), TimeoutError()])
def test_a_launcher_that_fails_is_one_line_and_the_cells_are_told_anyway(tmp_path, capsys, error):
    def launcher(_arguments):
        raise error

    wanted = plan([*TINY, "seed=0,1", f"hydra.sweep.dir={tmp_path}"], multirun=True)
    assert sweeps.launch(wanted, [], launcher) == 1
    output, errors = capsys.readouterr()
    (line,) = errors.splitlines()
    assert line.startswith(f"the launcher failed: {'Job 7 was killed: x' if error.args else 'TimeoutError'}")
    assert len(line) < 350
    assert f"0 of 2 runs finished in {tmp_path}" in output
    assert "compare them" not in output  # of one arm
    for cell in wanted.cells:
        cell.directory.mkdir()
        write_json(cell.directory / "config.json", cell.config.model_dump(mode="json"))
        write_result(cell.config, cell.directory, None, "finished")
    assert sweeps.launch(wanted, [], launcher) == 0  # nothing is left to launch


@pytest.mark.parametrize("named", [False, True])
def test_what_continues_a_sweep_names_its_folder_where_no_study_does(tmp_path, capsys, named):
    study = ["study=mine"] if named else []
    cells = plan([*TINY, *study, "seed=0,1", f"hydra.sweep.dir={tmp_path}"], multirun=True).cells
    sweeps.report(cells, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    with_folder = "" if named else f" (with hydra.sweep.dir={tmp_path})"
    assert f"the same command continues them{with_folder}" in lines


def test_only_several_arms_are_compared(tmp_path, capsys):
    cells = plan([*TINY, "generator=transpose,fir", "seed=0,1", f"hydra.sweep.dir={tmp_path}"], multirun=True).cells
    for chosen, several in ((cells, True), ([cell for cell in cells if cell.config.generator.name == "fir"], False)):
        sweeps.report(chosen, tmp_path)
        assert ("compare them" in capsys.readouterr().out) == several


def test_cells_that_a_failed_launcher_takes_with_it_are_waited_for(tmp_path, capsys):
    wanted = plan([*TINY, "seed=0,1", f"hydra.sweep.dir={tmp_path}"], multirun=True)
    directory = wanted.cells[0].directory

    def launcher(_arguments):
        directory.mkdir()
        write_json(directory / "config.json", wanted.cells[0].config.model_dump(mode="json"))
        lock = contextlib.ExitStack()
        lock.enter_context(claimed(directory))
        threading.Timer(0.5, lock.close).start()
        raise TimeoutError

    sweeps.launch(wanted, [], launcher)
    assert f"{directory.name}: interrupted at step 0" in capsys.readouterr().out


@pytest.mark.parametrize(("error", "comes"), [
    (BrokenPipeError(32, "Broken pipe"), BrokenPipeError), (PermissionError(13, "denied", "x/multirun.yaml"), ConfigError),
])  # fmt: skip
def test_only_trouble_with_a_file_is_a_wrong_setting(monkeypatch, error, comes):
    def start(*_):
        raise error

    monkeypatch.setattr(Hydra, "multirun", start)
    with pytest.raises(comes, match=r"pipe|multirun\.yaml cannot be written"):
        launch_cells(pytest.fail, [], None)


def test_cells_have_the_settings_that_were_checked_whatever_becomes_of_a_file(tmp_path, monkeypatch):
    file, trained = tmp_path / "experiment" / "mine.yaml", []
    file.parent.mkdir()
    file.write_text("# @package _global_\ntraining:\n  steps: 4\n")

    def edit(config, _directory, _launcher):
        trained.append(config.training.steps)
        file.write_text("# @package _global_\ntraining:\n  steps: 40\n")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweeps, "run_to_end", edit)
    train._command(["-m", "-cd", ".", "experiment=mine", "seed=0,1"])
    assert trained == [4, 4]


def test_workers_find_the_folder_of_the_sweep_and_one_cell_a_job():
    wanted = plan(["seed=0,1", "hydra/launcher=joblib", 'hydra.sweep.dir="it\'s here"'], multirun=True)
    assert wanted.launcher == "joblib"
    more = sweeps._to_workers(wanted, [])
    again = plan(["seed=0,1", "hydra/launcher=joblib", *more], multirun=True)
    assert again.sweep == Path("it's here").absolute()
    assert "hydra.launcher.batch_size=1" in more
    assert "hydra.launcher.batch_size=1" not in sweeps._to_workers(wanted, ["hydra.launcher.batch_size=2"])
    assert plan(["seed=0,1"], multirun=True).launcher == "basic"


@pytest.mark.parametrize(
    ("jobs", "batch", "ended", "wanted"),
    [(-1, "null", 0, 3), (-1, "null", 1, 3), (2, "null", 0, 2), (2, "null", 2, 2), (-1, "2", 0, 2)],
)
def test_no_more_jobs_share_the_cores_than_run_at_once_and_no_fewer_after_a_stop(
    tmp_path, monkeypatch, jobs, batch, ended, wanted
):
    monkeypatch.setattr(joblib, "effective_n_jobs", lambda n: 16 if n < 0 else n)
    line, started = ["seed=range(3)", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}"], []
    line.append(f"hydra.sweeper.max_batch_size={batch}")
    planned = plan([*line, f"hydra.sweep.dir={tmp_path}"], multirun=True)
    for cell in planned.cells[:ended]:
        cell.directory.mkdir()
        write_json(cell.directory / "config.json", cell.config.model_dump(mode="json"))
        write_result(cell.config, cell.directory, None, "finished")
    sweeps.launch(planned, line, started.extend)
    assert plan([*line, *started], multirun=True).jobs == wanted


@pytest.fixture
def sweep(tmp_path, request):
    """A sweep of two cells, as a shell starts it, with its first cell in training; nothing of it is left after."""
    line = [sys.executable, "-m", "ganlab.train", "-m", *TINY[1:], "training.steps=100000", "study=two", "seed=0,1",
            f"hydra/launcher={request.param}", "training.save_every_steps=50000"]  # fmt: skip
    process = subprocess.Popen(
        line, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wanted = 1 if request.param == "basic" else 2
    while process.poll() is None and len(list(tmp_path.glob("outputs/two/*/metrics.jsonl"))) < wanted:
        time.sleep(0.05)
    yield process
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sweep", "ending"),
    [("basic", signal.SIGINT), ("joblib", signal.SIGTERM)],
    indirect=["sweep"],
)
def test_a_sweep_that_is_interrupted_saves_its_cells_and_names_what_is_left(sweep, tmp_path, ending):
    # Ctrl-C and a cluster's warning reach all, kill one
    sweep.terminate() if ending == signal.SIGTERM else os.killpg(sweep.pid, ending)
    output, errors = sweep.communicate(timeout=120)
    assert sweep.returncode == 130, errors
    assert errors.count("stopping: running cells save a checkpoint first") == 1
    assert "0 of 2 runs finished" in output
    assert re.search(r"interrupted at step \d+; see", output), output
    assert "Traceback" not in errors
    begun = list((tmp_path / "outputs" / "two").glob("*/metrics.jsonl"))
    assert ("not started" in output) == (len(begun) == 1)
    assert list(statuses(tmp_path / "outputs" / "two").values()) == ["interrupted"] * len(begun)
    assert all(list((path.parent / "checkpoints").glob("step-*")) for path in begun)  # of the stop: none was due
    assert not list((tmp_path / "outputs" / "two").glob(".stop-*"))


@pytest.mark.slow
@pytest.mark.parametrize("sweep", ["basic", "joblib"], indirect=True)
def test_a_cell_does_not_outlive_its_sweep(sweep, tmp_path):
    cells = [path.parent for path in (tmp_path / "outputs" / "two").glob("*/metrics.jsonl")]
    assert all(map(has_writer, cells))
    sweep.kill()
    sweep.communicate()
    deadline = time.time() + 30
    while time.time() < deadline and any(map(has_writer, cells)):
        time.sleep(0.1)
    assert not any(map(has_writer, cells))
    assert statuses(tmp_path / "outputs" / "two") == {
        cell.name: "interrupted" for cell in cells
    }  # saved before it went


@pytest.mark.slow
def test_an_experiment_sweeps_over_what_the_command_line_says(command, tmp_path):
    done = command("train", "experiment=quick", *TINY, "seed=7", "hydra/launcher=basic", "hydra.sweep.dir=q")
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(path.read_text()) for path in (tmp_path / "q").glob("*/result.json")]
    assert sorted((run["variant"], run["seed"]) for run in found) == [("transpose", 7), ("upsample", 7)]
