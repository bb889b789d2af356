import json
import math
import os
import stat
import struct

import pytest

from conftest import ROOT
from ganlab.files import write_json
from ganlab.runs.result import ResultError, RunResult, find_results, read_result, write_result

FINISHED = {
    "status": "finished",
    "variant": "transpose",
    "seed": 3,
    "config": {"seed": 3, "generator": {"name": "transpose"}},
    "metrics": {"frechet_distance": 0.1 + 0.2, "coverage": 1.0},
    "protocol": {"n_real": 360, "n_fake": 360, "features": "pixels"},
    "parameters": 131136,
    "macs": {"generator": 8388608, "discriminator": 5},
    "images_seen": 256000,
    "seconds": 61.5,
    "images_per_second": 4162.6,
    "versions": {"keras": "3.15.1"},
    "device": "CPU",
    "environment": {},
    "ended": "2026-11-23T01:02:03+00:00",
}


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, FINISHED)
    result = read_result(path)
    assert result.path == path
    assert result.written() == FINISHED  # the path is not stored
    assert result.metrics["frechet_distance"] == 0.30000000000000004
    again = tmp_path / "again.json"
    write_json(again, result.written())
    assert again.read_bytes() == path.read_bytes()


def test_floats_keep_every_bit(tmp_path):
    values = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, 2 / 3]
    write_json(tmp_path / "x.json", values)
    back = json.loads((tmp_path / "x.json").read_text())
    assert struct.pack("5d", *back) == struct.pack("5d", *values)


def test_a_run_that_went_wrong_needs_no_measures(tmp_path):
    bare = {key: FINISHED[key] for key in ("variant", "seed", "config")} | {"status": "diverged", "reason": "nan"}
    write_json(tmp_path / "result.json", bare)
    result = read_result(tmp_path / "result.json")
    assert (result.status, result.metrics, result.seconds) == ("diverged", {}, None)
    assert result.model_dump()["reason"] == "nan"  # fields of later versions stay


def test_results_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        RunResult.model_validate(FINISHED).status = "failed"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "done"}, "status"),
        ({"seed": "3"}, "seed"),
        ({"seed": True}, "seed"),
        ({"config": None}, "config"),
        ({"metrics": {"coverage": "0.9"}}, "metrics.coverage"),
        ({"metrics": {"coverage": None}}, "metrics.coverage"),
        ({"config": {"dataset": None}}, "config"),
        ({"config": {"comparison": None}}, "config"),
        ({"profiles": {"real": [1.0]}}, "profiles"),
        ({"protocol": {"full": None}}, "protocol"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path, change, message):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(FINISHED | change))
    with pytest.raises(ResultError) as error:
        read_result(path)
    assert f"{path} is damaged ({message}: " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        json.dumps(FINISHED).encode()[:-20],
        b"\xff\xfe",
        json.dumps(FINISHED | {"metrics": {"coverage": math.nan}}).encode(),
        json.dumps({key: value for key, value in FINISHED.items() if key != "variant"}).encode(),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    write_json(tmp_path / "good" / "result.json", FINISHED)
    (tmp_path / "bad" / "result.json").write_bytes(content)
    with pytest.raises(ResultError, match="damaged") as error:
        find_results(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'bad' / 'result.json'} ")
    assert "\n" not in str(error.value)


def test_finds_results_at_any_depth_in_the_order_of_their_paths(tmp_path):
    for place, seed in (("b/x/y", 1), ("a", 2), ("c", 3)):
        (tmp_path / place).mkdir(parents=True)
        write_json(tmp_path / place / "result.json", FINISHED | {"seed": seed})
    (tmp_path / "a" / "config.json").write_text("{")
    assert [result.seed for result in find_results(str(tmp_path))] == [2, 1, 3]


def test_what_is_hidden_or_within_a_run_is_no_run(tmp_path):
    for place, seed in (("a", 1), (".bak/a", 2), ("a/old", 3)):
        (tmp_path / place).mkdir(parents=True)
        write_json(tmp_path / place / "result.json", FINISHED | {"seed": seed})
    assert [result.seed for result in find_results(tmp_path)] == [1]


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(ResultError, match="does not exist"):
        find_results(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="is a file"):
        find_results(tmp_path / "file")
    with pytest.raises(ResultError, match="cannot be read"):
        read_result(tmp_path / "nowhere")
    assert find_results(tmp_path) == []


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_have_is_refused_and_placed(tmp_path, number):
    path = tmp_path / "result.json"
    write_json(path, FINISHED)
    before = path.read_bytes()
    odd = FINISHED | {"metrics": {"coverage": 1.0, "curve": [0.0, number]}}
    with pytest.raises(ValueError, match=rf"metrics\.curve\.1={number}"):
        write_json(path, odd)
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match="the value"):
        write_json(path, number)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    write_json(path, {"old": 1})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"new": 2})
    monkeypatch.undo()
    with pytest.raises(TypeError):
        write_json(path, {"new": object()})
    assert json.loads(path.read_text()) == {"old": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a folder cannot be opened")
def test_file_then_rename_then_folder_reach_the_disk(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    fsync, replace, calls = os.fsync, os.replace, []

    def watch_fsync(descriptor):
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def watch_replace(source, target):
        assert json.loads(source.read_text()) == [1]  # whole before it takes the name
        assert source.parent == target.parent == tmp_path
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watch_fsync)
    monkeypatch.setattr(os, "replace", watch_replace)
    write_json(path, [1])
    assert calls == ["file", "rename", "folder"]


def test_what_is_written_of_a_run_is_a_field_of_its_result(tmp_path, settings):
    facts = {"error": "the disk is full", "spread": {"a": 0.5}, "best": {"step": 5, "metric": "a", "value": 1.0}}
    result = write_result(settings(), tmp_path, None, "failed", **facts)
    assert not result.model_extra
    assert (result.error, result.spread, result.best and result.best.step) == ("the disk is full", {"a": 0.5}, 5)
    assert result.written() == json.loads((tmp_path / "result.json").read_text())
    with pytest.raises(TypeError, match="reason"):
        write_result(settings(), tmp_path, None, "failed", reason="the disk is full")


def test_nobody_reads_a_result_by_a_key():
    found = [path for path in (ROOT / "ganlab").rglob("*.py") if "model_extra" in path.read_text()]
    assert found == []
