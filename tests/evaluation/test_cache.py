"""What is computed once is computed once: by one process, whole on the disk, and never taken for something else."""

import errno
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from ganlab.errors import ConfigError
from ganlab.evaluation import cache
from ganlab.evaluation.cache import cached, fingerprint
from ganlab.files import cache_folder

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("GANLAB_CACHE", str(folder))
    return folder


class Counted:
    """Something to compute, and how often it was."""

    def __init__(self, **arrays):
        self.arrays, self.calls = arrays, 0

    def __call__(self):
        self.calls += 1
        return self.arrays


def entry(folder):
    (path,) = folder.glob("*.npz")
    return path


def test_it_is_computed_once_and_comes_back_with_every_bit():
    random = np.random.default_rng(0)
    compute = Counted(a=random.standard_normal((3, 4)), b=random.integers(0, 9, 5, np.uint8), c=np.float32(0.1),
                      d=np.array(["x", "yz"]))  # fmt: skip
    for _ in range(3):
        arrays = cached("thing", {"of": 1}, compute)
        assert arrays.keys() == compute.arrays.keys()
        for name, array in compute.arrays.items():
            np.testing.assert_array_equal(arrays[name], array)
            assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
    assert compute.calls == 1


def test_every_difference_in_the_key_is_another_entry(folder):
    images = np.arange(12, dtype=np.uint8)
    keys = [
        {"images": images},
        {"images": images[:11]},
        {"images": images.reshape(3, 4)},
        {"images": images.astype(np.int8)},
        {"images": images, "labels": None},
        {"images": {"a": [images, 1]}},
        {"images": {"a": [images, 1.0]}},
        {"images": {"a": [images, True]}},
        {"images": {"a": [images, "1"]}},
        {"images": {"a": [[images], 1]}},
    ]
    changed = images.copy()
    changed[5] = 0
    for n, key in enumerate([*keys, {"images": changed}]):
        assert cached("thing", key, Counted(n=np.array(n)))["n"] == n
    assert cached("other", keys[0], Counted(n=np.array(-1)))["n"] == -1
    assert len(list(folder.glob("*.npz"))) == len(keys) + 2


def test_equal_keys_are_equal_however_they_are_written_down():
    table = np.arange(12.0).reshape(3, 4)
    assert fingerprint({"a": 1, "b": table}) == fingerprint({"b": np.asfortranarray(table), "a": 1})
    assert fingerprint({"a": (1, 2)}) == fingerprint({"a": [1, 2]})
    assert fingerprint(table[:, ::2]) == fingerprint(np.ascontiguousarray(table[:, ::2]))


@pytest.mark.parametrize("rows", [1, 3, 10**6])
def test_arrays_count_with_their_bytes_however_they_lie_and_however_many_are_read_at_once(monkeypatch, tmp_path, rows):
    table = np.random.default_rng(0).integers(0, 256, (20, 6, 4, 3), np.uint8)
    monkeypatch.setattr(cache, "_BLOCK", rows * 6 * 4 * 3)
    np.save(tmp_path / "table.npy", table)
    mapped = np.load(tmp_path / "table.npy", mmap_mode="r")
    for array in (table, mapped, mapped[:, ::2], table[::-3], table.T, np.array(["a", "bcd"]), np.float32(0.5),
                  np.array(7), table[:0], table[:, :0], np.asfortranarray(table) > 100):  # fmt: skip
        plain = {"sha256": sha256(array.tobytes()).hexdigest(), "shape": list(array.shape), "dtype": array.dtype.str}
        assert fingerprint(array) == fingerprint(plain)


@pytest.mark.parametrize("value", [object(), {"a": float("nan")}, {1: 2}, np.array([None]), {"a": b"bytes"}, {1.5}])
def test_what_has_no_fixed_bytes_has_no_fingerprint(value):
    with pytest.raises(ValueError, match="fingerprint"):
        fingerprint(value)


def damage(content: bytes) -> dict[str, bytes]:
    middle = len(content) // 2
    return {
        "empty": b"",
        "half": content[:middle],
        "all but one": content[:-1],
        "no archive": b"not an archive",
        "longer": b"x" + content,
        "a bit of the header": content[:140] + bytes([content[140] ^ 1]) + content[141:],
        "a bit in the middle": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
    }


@pytest.mark.parametrize("which", damage(bytes(500)))
def test_a_damaged_entry_is_computed_again_and_replaced(folder, which):
    compute = Counted(a=np.arange(100.0))
    cached("thing", {}, compute)
    path = entry(folder)
    path.write_bytes(damage(path.read_bytes())[which])
    np.testing.assert_array_equal(cached("thing", {}, compute)["a"], np.arange(100.0))
    cached("thing", {}, compute)
    assert compute.calls == 2


def test_another_entrys_file_and_one_without_a_sum_are_not_used(folder):
    cached("thing", {"n": 1}, Counted(a=np.array(1)))
    first = entry(folder)
    cached("thing", {"n": 2}, Counted(a=np.array(2)))
    (second,) = set(folder.glob("*.npz")) - {first}
    second.write_bytes(first.read_bytes())
    assert cached("thing", {"n": 2}, Counted(a=np.array(2)))["a"] == 2
    np.savez(first, a=np.array(7))
    assert cached("thing", {"n": 1}, Counted(a=np.array(1)))["a"] == 1


PROCESS = """
import sys, time
from pathlib import Path
import numpy as np
from ganlab.evaluation.cache import cached

def compute():
    with Path(sys.argv[1]).open("a") as log:
        log.write("computed\\n")
    time.sleep(float(sys.argv[2]))
    return {"a": np.arange(3)}

print(cached("thing", {"of": 1}, compute)["a"].tolist())
"""


def start(log, seconds):
    return subprocess.Popen([sys.executable, "-c", PROCESS, str(log), str(seconds)], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip


def test_of_several_processes_at_once_one_computes_and_all_have_it(tmp_path):
    log = tmp_path / "log"
    processes = [start(log, 1.0) for _ in range(3)]
    for process in processes:
        output, error = process.communicate(timeout=60)
        assert (process.returncode, output, error) == (0, "[0, 1, 2]\n", "")
    assert log.read_text() == "computed\n"


def test_a_killed_process_holds_nobody_up(folder, tmp_path):
    log = tmp_path / "log"
    process = start(log, 600)
    limit = time.monotonic() + 60
    while not log.exists() and time.monotonic() < limit:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert cached("thing", {"of": 1}, Counted(a=np.arange(4)))["a"].tolist() == [0, 1, 2, 3]
    assert len(list(folder.glob("*.npz"))) == 1


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "file" / "cache"))
    compute = Counted(a=np.arange(3))
    with pytest.raises(ConfigError, match=r"^GANLAB_CACHE=\S+file/cache cannot be written \(.+\); set it to .+\Z"):
        cached("thing", {}, compute)
    assert compute.calls == 0


def test_a_full_disk_is_one_line_and_leaves_nothing_behind(folder, monkeypatch):
    def full(file, **arrays):
        file.write(b"part of an entry")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(ConfigError, match=r"GANLAB_CACHE=.* cannot be written \(No space left on device\)"):
            cached("thing", {}, Counted(a=np.arange(3)))
    assert [path.suffix for path in folder.iterdir()] == [".lock"]
    assert cached("thing", {}, Counted(a=np.arange(3)))["a"].tolist() == [0, 1, 2]


def test_a_failure_to_compute_is_passed_on_and_the_next_one_may_try():
    def fail():
        raise OSError(errno.ENOENT, "no such data")

    with pytest.raises(OSError, match="no such data") as caught:
        cached("thing", {}, fail)
    assert not isinstance(caught.value, ConfigError)
    assert cached("thing", {}, Counted(a=np.arange(3)))["a"].tolist() == [0, 1, 2]


def test_the_folder_is_where_it_was_asked_for(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("GANLAB_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "ganlab"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for ignored in ("", "relative/folder"):  # as the XDG specification has it
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_folder() == tmp_path / "home" / ".cache" / "ganlab"
