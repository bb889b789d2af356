"""Checkpoints: whole or absent; a damaged one is named and passed over; none usable is an error."""

import json

import pytest
import tensorflow as tf

from ganlab.files import FileError
from ganlab.training import checkpoints


@pytest.fixture
def tensors():
    return {"net/kernel": tf.Variable(tf.random.normal([40, 30])), "step": tf.Variable(0, dtype=tf.int64)}


def fill(tensors, value):
    for variable in tensors.values():
        variable.assign(tf.cast(tf.fill(variable.shape, value), variable.dtype))


@pytest.fixture
def three(tmp_path, tensors):
    for step in (1, 2, 3):
        fill(tensors, step)
        checkpoints.save(tmp_path, step, tensors, {"seconds": step / 2}, keep=3)
    fill(tensors, 99)
    return tmp_path


def test_a_path_may_hold_any_characters(tmp_path, tensors):
    folder = tmp_path / "generator.stages=[[4,2],[null,2]] *?" / "checkpoints"
    fill(tensors, 7)
    checkpoints.save(folder, 5, tensors, {}, keep=3)
    fill(tensors, 99)
    assert checkpoints.restore(folder, tensors) == (5, {}, [])
    assert value(tensors) == 7


def value(tensors):
    return float(tensors["net/kernel"][0, 0])


def test_the_newest_comes_back_with_its_record(three, tensors):
    restored = checkpoints.restore(three, tensors)
    assert restored == (3, {"seconds": 1.5}, [])
    assert value(tensors) == 3
    assert int(tensors["step"]) == 3


def test_only_the_newest_are_kept_and_nothing_else(three, tensors):
    checkpoints.save(three, 4, tensors, {}, keep=2)
    assert sorted(path.name for path in three.iterdir()) == ["step-00000003", "step-00000004"]


def test_folders_of_other_names_are_no_checkpoints_and_steps_are_numbers(three, tensors):
    for name in ("step-4", "step-000000004", "step-00000004 (copy)", "step-last"):
        (three / name).mkdir()
    checkpoints.save(three, 20_000_000_000, tensors, {}, keep=3)
    checkpoints.save(three, 100_000_000_000, tensors, {}, keep=3)
    assert checkpoints.steps(three) == [3, 20_000_000_000, 100_000_000_000]
    assert (three / "step-last").exists()


def test_none_at_all_is_a_fresh_start(tmp_path, tensors):
    assert checkpoints.restore(tmp_path / "nothing", tensors) is None
    assert checkpoints.newest(tmp_path / "nothing") is None


def damaged_files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("how", ["flip", "cut", "empty", "remove"])
def test_a_damaged_file_is_named_and_the_one_before_is_used(three, tensors, number, how):
    path = damaged_files(three / "step-00000003")[number]
    content = bytearray(path.read_bytes())
    if how == "flip":
        content[len(content) // 2] ^= 1
    if how == "remove":
        path.unlink()
    else:
        path.write_bytes({"flip": content, "cut": content[:-7], "empty": b""}[how])
    restored = checkpoints.restore(three, tensors)
    assert restored.step == 2
    assert restored.damaged[0].startswith("step-00000003: ")
    assert value(tensors) == 2
    assert checkpoints.digest(three, 3) is None
    assert checkpoints.newest_whole(three) == (2, checkpoints.digest(three, 2))


def test_every_bit_of_a_manifest_matters(three, tensors):
    path = three / "step-00000003" / "manifest.json"
    good = path.read_bytes()
    for place in range(0, len(good), 37):
        content = bytearray(good)
        content[place] ^= 4
        path.write_bytes(content)
        assert checkpoints.restore(three, tensors).step == 2, place


def test_checkpoints_of_which_none_is_good_are_an_error_never_a_fresh_start(three, tensors):
    for path in three.glob("*/manifest.json"):
        path.write_text("{")
    with pytest.raises(checkpoints.CheckpointError, match=r"no checkpoint that can be used: step-00000003"):
        checkpoints.restore(three, tensors)


def test_other_networks_are_told_apart_by_name_and_shape(three):
    other = {"net/kernel": tf.Variable(tf.zeros([40, 31])), "step": tf.Variable(0, dtype=tf.int64)}
    with pytest.raises(checkpoints.CheckpointError, match=r"other tensors than these networks \(net/kernel\)"):
        checkpoints.restore(three, other)


def test_what_a_killed_writer_left_is_neither_used_nor_kept(three, tensors):
    litter = three / ".step-00000004.123"
    litter.mkdir()
    (litter / "manifest.json").write_text("{}")
    assert checkpoints.restore(three, tensors).step == 3
    checkpoints.save(three, 5, tensors, {}, keep=3)
    assert not litter.exists()


def test_the_sealed_manifest_is_plain_json(three):
    sealed = json.loads((three / "step-00000003" / "manifest.json").read_text())
    assert sealed["manifest"]["tensors"]["net/kernel"] == ["float32", 40, 30]


def test_a_checkpoint_that_tensorflow_cannot_write_is_named_in_plain_words(three, tensors, monkeypatch):
    said = "{{function_node __wrapped__SaveV2_device_/task:0}} /a/.7.step/tensors_temp/part.tempstate17; No space left"

    def full(_self, _path):
        raise tf.errors.ResourceExhaustedError(None, None, f"{said} on device [Op:SaveV2]")

    monkeypatch.setattr(tf.train.Checkpoint, "write", full)
    with pytest.raises(FileError) as caught:
        checkpoints.save(three, 4, tensors, {}, keep=3)
    assert str(caught.value) == f"{three / 'step-00000004'} cannot be written (No space left on device)"
    assert len(list(three.iterdir())) == 3
