"""How cells stand: every state from the files alone, and the figures by hand."""

import fcntl
import json

import pytest

from ganlab.runs import status as cells
from ganlab.runs.result import ResultError
from ganlab.runs.status import (
    CellStatus,
    count_states,
    describe_status,
    find_cells,
    format_duration,
    read_status,
    read_sweep,
    record_sweep,
    time_left,
)
from ganlab.status import show


def write(folder, name, status=None, records=(), **more):
    """A run of 100 steps of 8 images as it leaves its files; records: (step, images per second)."""
    directory = folder / name
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps({"training": {"steps": 100}}))
    (directory / ".lock").touch()
    lines = [
        json.dumps({"step": step, "images": 8 * step, "seconds": 1.0, "speed/images_per_second": rate})
        for step, rate in records
    ]
    (directory / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 99, "images": 1, "metric/a": 2}', '{"step"']))
    if status:
        result = {"status": status, "variant": "transpose", "seed": 0, "config": {}} | more
        (directory / "result.json").write_text(json.dumps(result))
    return directory


@pytest.fixture
def running():
    """`running(directory)`: another open file holds the run's lock, as its process does."""
    held = []

    def hold(directory):
        held.append((directory / ".lock").open("w"))
        fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)

    yield hold
    for file in held:
        file.close()


@pytest.fixture
def study(tmp_path, running):
    folder = tmp_path / "study"
    write(folder, "a", "finished", [(50, 9.0), (100, 10.0)], seconds=61.0, metrics={"frechet_distance": 0.9634})
    write(folder, "b", "diverged", [(20, 9.0)], error="loss/generator became nan between steps 20 and 25")
    write(folder, "c", "failed", [(10, 9.0)], error="killed by signal 9 (out of memory?)")
    write(folder, "d", "interrupted", [(30, 9.0)])
    write(folder, "e", None, [(40, 9.0)])  # nobody writes it, and it left no word
    running(write(folder, "f", "interrupted", [(10, 9.0), (25, 20.0)]))  # gone on with
    running(write(folder, "g"))
    record_sweep(folder, "python -m ganlab.train -m ...", [*"abcdefg", "h"])
    return folder


def test_every_state_is_told_apart(study):
    found = {cell.name: cell.state for cell in find_cells(study)}
    assert found == {"a": "finished", "b": "diverged", "c": "failed", "d": "interrupted", "e": "interrupted",
                     "f": "running", "g": "running", "h": "missing"}  # fmt: skip
    assert count_states(find_cells(study)) == {"finished": 1, "running": 2, "diverged": 1, "failed": 1,
                                         "interrupted": 2, "missing": 1}  # fmt: skip


def test_a_running_cell_has_its_step_its_rate_and_its_time_left(study):
    cell = read_status(study / "f", "f")
    assert (cell.step, cell.steps, cell.images_per_second) == (25, 100, 20.0)
    assert cell.seconds_left == 75 * 8 / 20  # 75 steps of 8 images at 20 a second
    assert describe_status(cell) == "running, step 25 of 100, 20 images/s, about 30 s left"
    assert describe_status(read_status(study / "g", "g")) == "running, step 0 of 100"


def test_what_did_not_finish_says_why(study):
    assert (
        describe_status(read_status(study / "a", "a")) == "finished in 61 s; frechet_distance 0.963 (smaller is better)"
    )
    assert describe_status(read_status(study / "b", "b")).startswith(
        "diverged: loss/generator became nan between steps 20 and 25;"
    )
    assert describe_status(read_status(study / "c", "c")).startswith(
        "failed: killed by signal 9 (out of memory?); see "
    )
    assert describe_status(read_status(study / "d", "d")).startswith("interrupted at step 30; see ")
    assert describe_status(read_status(study / "e", "e")).startswith(
        "interrupted at step 40: its process was killed; see "
    )
    assert describe_status(read_status(study / "h", "h")) == "not started"


@pytest.mark.parametrize(("quality", "said"), [
    ("full/pca/coverage", "; full/pca/coverage 0.9 (larger is better)"),
    ("checkerboard_index_2", "; checkerboard_index_2 -0.2 (closer to 0 is better)"),
    ("full/kid", "; no full/kid"),
])  # fmt: skip
def test_what_finished_shows_what_its_study_is_judged_by(tmp_path, quality, said):
    metrics = {"frechet_distance": 3.0, "full/pca/coverage": 0.9, "checkerboard_index_2": -0.2}
    config = {"comparison": {"quality": quality}}
    assert (
        describe_status(read_status(write(tmp_path, "a", "finished", metrics=metrics, config=config), "a"))
        == f"finished {said[2:]}"
    )
    assert (
        describe_status(read_status(write(tmp_path, "b", "finished", config=config), "b")) == "finished"
    )  # nothing was measured


@pytest.mark.parametrize("damaged", [{"step": "x"}, {"step": None}, {"step": 1e999}, {"step": -3}, {"step": 101},
                                     {"images": None}, {"speed/images_per_second": [9.0]},
                                     {"speed/images_per_second": 1e-320}])  # fmt: skip
def test_progress_that_cannot_be_read_is_none(tmp_path, running, damaged):
    directory = write(tmp_path, "a")
    running(directory)
    record = {"step": 25, "images": 200, "seconds": 3.0, "speed/images_per_second": 9.0}
    first = record | {"step": 20, "images": 160}
    (directory / "metrics.jsonl").write_text("\n".join(map(json.dumps, (first, record, record | damaged))))
    assert describe_status(read_status(directory, "a")) == "running, step 25 of 100, 9 images/s, about 67 s left"
    (directory / "metrics.jsonl").write_text(json.dumps(record | damaged))
    assert describe_status(read_status(directory, "a")) == "running, step 0 of 100"


def test_a_first_record_tells_no_time_left(tmp_path, running):
    """Its rate has compiling in it: the time left was several times too high."""
    running(write(tmp_path, "a", records=[(25, 2.0)]))
    assert describe_status(read_status(tmp_path / "a", "a")) == "running, step 25 of 100"


@pytest.mark.parametrize("steps", ["x", None, [], float("inf")])
def test_steps_that_cannot_be_read_are_not_known(tmp_path, steps):
    directory = write(tmp_path, "a", records=[(25, 9.0)])
    (directory / "config.json").write_text(json.dumps({"training": {"steps": steps}}))
    cell = read_status(directory, "a")
    assert (cell.step, cell.steps, cell.done) == (25, None, 0)


def test_a_failure_of_many_lines_is_told_in_one(tmp_path):
    cell = read_status(write(tmp_path, "a", "failed", error="OOM when allocating\n" + "  [[node]]\n" * 500), "a")
    assert describe_status(cell).startswith("failed: OOM when allocating [[node]] [[node]]")
    assert len(cell.why) <= 300
    assert "\n" not in describe_status(cell)


def test_a_damaged_result_is_a_failure_that_names_the_file(tmp_path):
    directory = write(tmp_path, "a", "finished")
    (directory / "result.json").write_text("{")
    assert read_status(directory, "a").state == "failed"
    assert str(directory / "result.json") in read_status(directory, "a").why


def test_a_sweep_that_is_asked_for_more_keeps_what_it_had(study):
    record_sweep(study, "python -m ganlab.train -m more", ["h", "i"])
    record = read_sweep(study)
    assert record.cells == [*"abcdefghi"]
    assert record.commands == ["python -m ganlab.train -m ...", "python -m ganlab.train -m more"]
    assert record.asked == ["h", "i"]


def test_runs_that_no_sweep_asked_for_are_listed(tmp_path):
    write(tmp_path, "2026-11-23/one", "finished")
    write(tmp_path, "two", "finished")
    write(tmp_path, ".submitit/log", "finished")  # a launcher's own
    assert [cell.name for cell in find_cells(tmp_path)] == ["2026-11-23/one", "two"]
    assert show(tmp_path, as_json=False) == 0
    record_sweep(tmp_path, "python -m ganlab.train", ["three"])
    assert show(tmp_path, as_json=False) == 1


def test_a_run_that_links_lead_to_as_well_is_listed_once(tmp_path):
    folder = tmp_path / "x"
    for name in ("one", "two"):
        write(folder, name, "finished")
    for name, target in {"again": ".", "latest": ".", "best": "two"}.items():
        (folder / name).symlink_to(target)
    assert [cell.name for cell in find_cells(folder)] == ["one", "two"]
    record_sweep(folder, "python -m ganlab.train", ["two"])
    assert [cell.name for cell in find_cells(folder)] == ["two", "one"]


def test_times_are_told_roughly():
    assert [format_duration(seconds) for seconds in (40, 150, 5999, 9000)] == ["40 s", "2 min", "100 min", "2.5 h"]


def test_the_command_lists_all_and_counts_them(study, capsys):
    assert show(study, as_json=False) == 1
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*"abcdefgh"]
    assert last.startswith("8 runs: 1 finished, 2 running, 1 diverged, 1 failed, 2 interrupted, 1 missing")


def test_time_left_is_that_of_the_command_that_runs(study, capsys):
    """Not of runs that it did not ask for, nor of what failed."""

    def left(*asked):
        record = json.loads((study / "sweep.json").read_text())
        (study / "sweep.json").write_text(json.dumps(record | {"asked": asked}))
        show(study, as_json=True)
        return json.loads(capsys.readouterr().out)["seconds_left"]

    assert left("f", "c") == 30  # f has 75 of 100 steps left, 40 s for all
    assert left("f", "h") == 30 + 40
    assert left("f", "g", "h") == (30 + 40 + 40) / 2  # two at a time
    assert left("c", "h") is None
    record = json.loads((study / "sweep.json").read_text())
    del record["asked"]
    (study / "sweep.json").write_text(json.dumps(record | {"done": 3.0}))  # as older versions wrote it
    show(study, as_json=True)
    assert json.loads(capsys.readouterr().out)["seconds_left"] == (30 + 40 + 70 * 0.4 + 60 * 0.4 + 40) / 2  # fgdeh


def test_cells_that_have_ended_tell_how_long_others_of_their_arm_take(tmp_path):
    def cell(name, state, step=0, **more):
        return CellStatus(name, tmp_path / name, state, step, 100, **more)

    running = cell("a-seed1", "running", 50, seconds_left=20.0)
    assert time_left([running]) == 20
    ended = [cell("a-seed0", "finished", 100, seconds=60.0), cell("b-seed0", "finished", 100, seconds=200.0)]
    assert time_left([*ended, running]) == 30  # what starts and ends a run counts too
    assert time_left([*ended, running, cell("b-seed1", "missing"), cell("c-seed0", "missing")]) == 30 + 200 + 130
    assert time_left([*ended, running, cell("a-seed2", "running", 90, seconds_left=5.0)]) == 20
    assert time_left([*ended, running, cell("b-seed1", "missing")], at_once=2) == (30 + 200) / 2  # between two cells
    stopped = cell("a-seed3", "finished", 100, seconds=9000.0)  # over night: most are not
    assert time_left([*ended, stopped, cell("a-seed4", "finished", 100, seconds=60.0), running]) == 30
    assert time_left(ended) is None


def test_a_finished_cell_tells_how_long_it_took(tmp_path):
    times = {"started": "2026-11-23T10:00:00+01:00", "ended": "2026-11-23T10:02:30+01:00"}
    assert read_status(write(tmp_path, "a", "finished", **times), "a").seconds == 150
    for name, wrong in {"b": {"started": None}, "c": {"ended": "yesterday"}}.items():
        assert read_status(write(tmp_path, name, "finished", **(times | wrong)), name).seconds is None


def test_the_command_speaks_json(study, capsys):
    assert show(study, as_json=True) == 1
    tree = json.loads(capsys.readouterr().out)
    assert tree["totals"]["missing"] == 1
    assert [cell["state"] for cell in tree["cells"]] == [cell.state for cell in find_cells(study)]


@pytest.mark.parametrize("text", ["{", "[]", '{"commands": [], "cells": 3, "began": "2026-11-23", "done": 0}',
                                  '{"commands": [], "cells": [], "began": "yesterday", "done": 0}',
                                  '{"commands": [], "cells": ["../a"], "began": "2026-11-23"}'])  # fmt: skip
def test_a_damaged_record_is_one_line(tmp_path, text):
    (tmp_path / cells.SWEEP).write_text(text)
    with pytest.raises(ResultError, match=r"sweep\.json cannot be read .*; delete it"):
        find_cells(tmp_path)


def test_a_cell_whose_folder_became_a_link_is_refused(study):
    (study / "a").rename(study / "elsewhere")
    (study / "a").symlink_to("elsewhere")
    for look in (find_cells, lambda folder: record_sweep(folder, "python -m ganlab.train -m more", ["a"])):
        with pytest.raises(ResultError) as refused:
            look(study)
        assert str(refused.value) == f"{study / 'a'} is a link; replace it by what it points to"


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(ResultError, match="has no runs"):
        find_cells(tmp_path)
    with pytest.raises(ResultError, match="does not exist"):
        find_cells(tmp_path / "nowhere")
