import contextlib
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS

from conftest import ROOT
from ganlab.runs.records import Mark, Records, RecordsError, read_records, readable_records
from ganlab.runs.result import ResultError

# `python -m tensorboard.main` as it is where TensorFlow is not installed: importing that takes longer than the rest
SERVER = """
import sys, types
sys.modules["tensorboard.compat.notf"] = types.ModuleType("notf")
from tensorboard.main import run_main
run_main()
"""
TAGS = ("loss/generator", "metric/frechet_distance")


def picture(step, channels=1):
    return np.full((4, 6, channels), step, np.uint8)


def write(records, steps):
    for step in steps:
        records.scalars(step, 64 * step, step / 10, {TAGS[0]: step / 4, TAGS[1]: -step})
        if step % 10 == 0:
            records.image(step, "samples", picture(step))


def stopped_and_resumed(directory, at, kept, again):
    """Write 0..100, with a position once the steps `kept` stand; go on from `at` and write `again`."""
    with Records(directory) as records:
        records.hyperparameters({"generator.name": "transpose"}, trial="transpose")
        write(records, kept)
        position = {name: Mark(*mark) for name, mark in json.loads(json.dumps(records.position())).items()}
        write(records, range(kept.stop, 101))
        records.finished(ok=False)
    with Records(directory, step=at, resume=position) as records:
        write(records, again)
        records.finished(ok=True)


def lines(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def accumulated(directory):
    """All that TensorBoard's two readers in Python find, alike: {tag: [(step, value), ...]}."""
    from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
    from tensorboard.util.tensor_util import make_ndarray

    def read(module):
        found = module.EventAccumulator(str(directory), size_guidance={"tensors": 0}).Reload()
        return {
            tag: [(event.step, make_ndarray(event.tensor_proto)) for event in found.Tensors(tag)]
            for tag in found.Tags()["tensors"]
        }

    public, server = read(event_accumulator), read(plugin_event_accumulator)
    np.testing.assert_equal(server, public)
    return public


def test_every_tag_and_step_is_read_back(tmp_path):
    with Records(tmp_path) as records:
        records.text(0, "settings", "```yaml\nseed: 0\n```")
        records.scalars(3, 192, 1.5, {"loss/generator": 0.1, "score/real": np.float32(2.5)})
        records.scalars(4, 256, 2.0, {"loss/generator": 0.2})
        records.image(4, "samples", picture(9, channels=3))
    read = accumulated(tmp_path)
    assert read.keys() == {"settings", "loss/generator", "score/real", "samples"}
    assert read["settings"][0][1] == b"```yaml\nseed: 0\n```"
    assert read["loss/generator"] == [(3, np.float32(0.1)), (4, np.float32(0.2))]
    assert read["loss/generator"][0][1].dtype == np.float32
    assert read["score/real"] == [(3, 2.5)]
    ((step, (width, height, content)),) = read["samples"]
    assert (step, width, height) == (4, b"6", b"4")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), picture(9, channels=3))
    assert lines(tmp_path) == [
        {"step": 3, "images": 192, "seconds": 1.5, "loss/generator": 0.1, "score/real": 2.5},
        {"step": 4, "images": 256, "seconds": 2.0, "loss/generator": 0.2},
    ]


def test_what_is_not_finite_stays_so(tmp_path):
    values = {"a/nan": np.nan, "a/inf": np.inf, "a/minus": -np.inf, "a/large": 1e300}
    with Records(tmp_path) as records:
        records.scalars(1, 64, 0.1, values)
    assert (
        '"a/nan": NaN, "a/inf": Infinity, "a/minus": -Infinity, "a/large": 1e+300}'
        in (tmp_path / "metrics.jsonl").read_text()
    )
    read = {tag: events[0][1] for tag, events in accumulated(tmp_path).items()}
    np.testing.assert_equal(read, values | {"a/large": np.inf})


@pytest.mark.parametrize(
    ("at", "kept", "again"),
    [(50, range(51), range(51, 101)), (49, range(50), range(50, 101))],
    ids=["after the records of its step", "before the records of the next"],
)
def test_each_tag_and_step_stands_once_after_a_resume(tmp_path, at, kept, again):
    stopped_and_resumed(tmp_path, at, kept, again)
    assert [line["step"] for line in lines(tmp_path)] == list(range(101))
    read = accumulated(tmp_path)
    assert read[TAGS[0]] == [(step, step / 4) for step in range(101)]
    assert read[TAGS[1]] == [(step, -step) for step in range(101)]
    assert [step for step, _ in read["samples"]] == list(range(0, 101, 10))
    assert len(read["_hparams_/session_start_info"]) == len(read["_hparams_/session_end_info"]) == 1


def test_a_resumed_run_writes_the_same_metrics_as_one_left_alone(tmp_path):
    stopped_and_resumed(tmp_path / "stopped", 50, range(51), range(51, 101))
    with Records(tmp_path / "alone") as records:
        write(records, range(101))
    assert (tmp_path / "stopped" / "metrics.jsonl").read_bytes() == (tmp_path / "alone" / "metrics.jsonl").read_bytes()


def test_a_run_stopped_again_and_again_goes_on_each_time(tmp_path):
    resume = None
    for session in range(12):  # ten and more: their names must not sort as text of one and two digits
        with Records(tmp_path, step=10 * session, resume=resume) as records:
            write(records, range(10 * session + 1, 10 * session + 11))
            resume = records.position()
            write(records, range(10 * session + 11, 10 * session + 15))
    with Records(tmp_path, step=120, resume=resume) as records:
        resume = records.position()
    assert [step for step, _ in accumulated(tmp_path)[TAGS[0]]] == list(range(1, 121))
    assert [line["step"] for line in lines(tmp_path)] == list(range(1, 121))
    assert resume == {
        name: Mark(len(content), hashlib.sha256(content).hexdigest()) for name, content in contents(tmp_path).items()
    }


def test_a_session_that_was_killed_leaves_no_trace_and_its_name_is_not_used_again(tmp_path):
    with Records(tmp_path) as records:
        write(records, range(5))
        position = records.position()
    names = []
    for _ in range(3):  # killed each time before the next checkpoint
        with Records(tmp_path, step=4, resume=position) as records:
            write(records, range(5, 9))
        (name,) = {name for name in contents(tmp_path) if name.startswith("events")} - position.keys()
        names.append(name)
    assert len(set(names)) == 3
    assert names == sorted(names)


def test_a_reader_that_is_already_looking_forgets_what_comes_again(tmp_path):
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    with Records(tmp_path) as records:
        write(records, range(6))
        position = records.position()
        write(records, range(6, 9))
    looking = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in looking.Tensors(TAGS[0])] == list(range(9))
    with Records(tmp_path, step=5, resume=position) as records:
        write(records, range(6, 8))
    assert [event.step for event in looking.Reload().Tensors(TAGS[0])] == list(range(8))


def test_a_clock_that_steps_back_keeps_the_order(tmp_path, monkeypatch):
    now = iter(range(2_000_000_000, 0, -1000))
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    stopped_and_resumed(tmp_path, 50, range(51), range(51, 101))
    assert accumulated(tmp_path)[TAGS[0]] == [(step, step / 4) for step in range(101)]


def test_an_empty_position_starts_again_and_none_refuses_to(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with Records(tmp_path) as records:
        write(records, range(5))
    before = contents(tmp_path)
    with pytest.raises(RecordsError, match=re.escape(f"{tmp_path / 'events.out.tfevents.'}")):
        Records(tmp_path)
    assert contents(tmp_path) == before
    with Records(tmp_path, resume={}) as records:
        write(records, range(2))
    assert [line["step"] for line in lines(tmp_path)] == [0, 1]
    assert [step for step, _ in accumulated(tmp_path)[TAGS[0]]] == [0, 1]
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("damage", ["missing", "shorter"])
@pytest.mark.parametrize("name", ["metrics.jsonl", "events.out.tfevents.0000000001.ganlab"])
def test_records_that_are_missing_or_too_short_are_named_and_left_alone(tmp_path, name, damage):
    with Records(tmp_path) as records:
        write(records, range(5))
        position = records.position()
        write(records, range(5, 7))
    path = tmp_path / name
    if damage == "missing":
        path.unlink()
    else:
        os.truncate(path, position[name].bytes - 1)
    before = contents(tmp_path)
    with pytest.raises(RecordsError, match=re.escape(str(path)) + f".*{position[name].bytes} bytes"):
        Records(tmp_path, step=4, resume=position)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["../other.jsonl", "config.json"])
def test_only_records_are_ever_cut(tmp_path, name):
    run = tmp_path / "run"
    run.mkdir()
    (run / name).write_text("keep me")
    with pytest.raises(RecordsError, match="manifest is damaged"):
        Records(run, resume={name: Mark(0, "")})
    assert (run / name).read_text() == "keep me"


def ended(directory):
    """What HParams is told of the run's end, each time that it is."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    tag = metadata.SESSION_END_INFO_TAG
    found = EventAccumulator(str(directory)).Reload()
    if tag not in found.Tags()["tensors"]:
        return []
    content = found.SummaryMetadata(tag).plugin_data.content
    return [metadata.parse_session_end_info_plugin_data(content).status for _ in found.Tensors(tag)]


@pytest.mark.parametrize("saved", [True, False], ids=["from a checkpoint", "from the beginning"])
def test_a_run_that_failed_has_ended_badly_until_it_goes_on(tmp_path, saved):
    with contextlib.suppress(ValueError), Records(tmp_path) as records:
        write(records, range(3))
        position = records.position()
        write(records, range(3, 5))
        raise ValueError("broken")
    assert ended(tmp_path) == [STATUS_FAILURE]
    with Records(tmp_path, step=2 if saved else 0, resume=position if saved else {}) as records:
        write(records, range(3 if saved else 0, 5))
        assert ended(tmp_path) == []
        records.finished(ok=True)
    assert ended(tmp_path) == [STATUS_SUCCESS]


def test_all_of_it_is_on_the_disk_once_it_is_closed(tmp_path, monkeypatch):
    """What follows the last checkpoint, such as the measures of the end, is in no checkpoint's mark."""
    flushed, fsync = {}, os.fsync

    def noted(file):
        fsync(file)
        path = Path(f"/proc/self/fd/{file}").readlink()
        flushed[path.name] = path.stat().st_size

    with Records(tmp_path) as records:
        write(records, [10])
        records.position()
        write(records, [20])
        monkeypatch.setattr(os, "fsync", noted)
    assert flushed == {path.name: path.stat().st_size for path in tmp_path.iterdir()}


@pytest.mark.parametrize("ok", [True, False])
def test_a_run_ends_once(tmp_path, ok):
    with contextlib.suppress(ValueError), Records(tmp_path) as records:
        records.finished(ok=ok)
        raise ValueError("late")
    assert ended(tmp_path) == [STATUS_SUCCESS if ok else STATUS_FAILURE]


def test_a_run_that_was_interrupted_has_not_ended(tmp_path):
    with contextlib.suppress(KeyboardInterrupt), Records(tmp_path) as records:
        write(records, range(3))
        raise KeyboardInterrupt
    assert ended(tmp_path) == []


def test_a_full_disk_does_not_hide_what_went_wrong(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("no space left")

    def fail():
        with Records(tmp_path) as records:
            monkeypatch.setattr(records, "_write", full)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()


def test_a_setting_that_hparams_cannot_hold_is_refused(tmp_path):
    with Records(tmp_path) as records, pytest.raises(TypeError, match="stages"):
        records.hyperparameters({"stages": [1, 2]}, trial="transpose")


def test_tensorflow_stays_out(tmp_path):
    program = f"""
import sys, numpy as np
from pathlib import Path
from ganlab.runs.records import Records
with Records(Path({str(tmp_path)!r})) as records:
    records.hyperparameters({{"seed": 1, "penalty": None}}, trial="transpose")
    records.text(0, "settings", "text")
    records.scalars(1, 64, 0.5, {{"loss/generator": 1.0}})
    records.image(1, "samples", np.zeros((8, 8, 3), np.uint8))
    records.position()
    records.finished(ok=True)
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)


def test_a_tensorboard_server_shows_each_step_once(tmp_path):
    stopped_and_resumed(tmp_path / "transpose-seed0", 50, range(51), range(51, 101))
    with Records(tmp_path / "upsample-seed0") as records:
        flat = {"generator.name": "upsample", "training.steps": 100, "training.xla": True, "penalty.weight": None}
        records.hyperparameters(flat, trial="upsample")
        write(records, range(2))
    command = [sys.executable, "-c", SERVER, "--logdir", str(tmp_path), "--host", "127.0.0.1", "--port", "0"]
    command += ["--samples_per_plugin", "images=9999"]
    output = tmp_path / "server.txt"
    deadline = time.monotonic() + 30

    def until(look):
        while not (seen := look()):
            assert server.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.1)
        return seen

    with (
        output.open("w") as sink,
        subprocess.Popen(command, stdout=sink, stderr=sink) as server,
    ):
        try:
            url = until(lambda: re.search(r"http://127\.0\.0\.1:\d+/", output.read_text()))[0]

            def ask(path, **query):
                with urlopen(f"{url}data/plugin/{path}?{urlencode(query)}", timeout=10) as answer:
                    return answer.read()

            def points(run):
                return json.loads(ask("scalars/scalars", run=run, tag=TAGS[0]))

            until(lambda: len(json.loads(ask("scalars/tags"))) == 2)
            until(lambda: points("transpose-seed0")[-1][1] == 100)
            tags = json.loads(ask("scalars/tags"))
            assert {run: set(found) for run, found in tags.items()} == {
                "transpose-seed0": set(TAGS),
                "upsample-seed0": set(TAGS),
            }
            assert [point[1:] for point in points("transpose-seed0")] == [[step, step / 4] for step in range(101)]

            shown = json.loads(ask("images/images", run="transpose-seed0", tag="samples", sample=0))
            assert [entry["step"] for entry in shown] == list(range(0, 101, 10))
            with urlopen(f"{url}data/plugin/images/individualImage?{shown[-1]['query']}", timeout=10) as answer:
                np.testing.assert_array_equal(np.asarray(Image.open(answer)), picture(100)[..., 0])

            wanted = {"startIndex": 0, "sliceSize": 9, "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS"]}
            table = json.loads(ask("hparams/session_groups", request=json.dumps(wanted)))["sessionGroups"]
            rows = {row["name"]: (row["hparams"], row["sessions"][0]["status"]) for row in table}
            assert rows == {
                "transpose": ({"generator.name": "transpose"}, "STATUS_SUCCESS"),
                "upsample": (flat | {"penalty.weight": "null"}, "STATUS_UNKNOWN"),
            }
        finally:
            server.terminate()
            server.wait(timeout=10)


def test_there_is_one_reader_of_the_records(tmp_path):
    """It refuses what is damaged where numbers are made of it, and passes it over where a run is only looked at."""
    good = [{"step": step, "images": 8 * step, "seconds": 0.5, "metric/a": float(step)} for step in (1, 2, 3)]
    losses = {"step": 3, "images": 24, "seconds": 0.5, "loss/generator": 1.0}
    path = tmp_path / "metrics.jsonl"
    assert read_records(tmp_path) == []
    assert readable_records(tmp_path) == []
    path.write_text("".join(json.dumps(line) + "\n" for line in [*good, losses]))
    assert read_records(tmp_path) == readable_records(tmp_path) == [*good, losses]
    assert read_records(tmp_path, "metric/") == readable_records(tmp_path, "metric/") == good
    assert readable_records(tmp_path, last_bytes=len(json.dumps(losses)) + 9) == [losses]  # after half a line
    for damaged in (
        '{"step": 4, "metr',
        '[4, "metric/a"]',
        '{"step": 4, "images": 32, "metric/a": 1}',
        '"metric/\xff"',
    ):
        path.write_text("".join(json.dumps(line) + "\n" for line in good) + damaged, encoding="latin-1")
        assert readable_records(tmp_path, "metric/") == good
        with pytest.raises(ResultError, match=r"metrics\.jsonl is damaged"):
            read_records(tmp_path)
    readers = [each.name for each in (ROOT / "ganlab").rglob("*.py") if 'metrics.jsonl"' in each.read_text()]
    assert readers == ["records.py"]
