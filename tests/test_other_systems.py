"""What only Linux has is asked for in one place, and done without elsewhere."""

import ast
import os

import numpy as np
import pytest

from conftest import ROOT
from ganlab import device, doctor, environment
from ganlab.environment import usable_cores
from ganlab.evaluation.metrics import kernel_distance

# Of Python's standard library, what its documentation gives to Linux alone, or to some systems without macOS.
LINUX = {
    "os": {
        "O_DIRECT", "O_LARGEFILE", "O_NOATIME", "O_PATH", "O_RSYNC", "O_TMPFILE", "copy_file_range", "eventfd",
        "fdatasync", "getrandom", "getresgid", "getresuid", "getxattr", "listxattr", "memfd_create", "pidfd_open", "pipe2",
        "posix_fadvise", "posix_fallocate", "process_cpu_count", "removexattr", "sched_getaffinity", "sched_getparam",
        "sched_setaffinity", "sched_setscheduler", "setns", "setresgid", "setresuid", "setxattr", "splice",
        "timerfd_create", "unshare",
    },
    "signal": {"SIGCLD", "SIGPOLL", "SIGPWR", "SIGRTMAX", "SIGRTMIN", "SIGSTKFLT", "pidfd_send_signal", "sigtimedwait",
               "sigwaitinfo"},
    "select": {"epoll"},
    "resource": {"prlimit"},
    "fcntl": {"F_ADD_SEALS", "F_GETPIPE_SZ", "F_OFD_SETLK", "F_OFD_SETLKW", "F_SETPIPE_SZ", "F_SETLEASE"},
    "socket": {"AF_NETLINK", "AF_PACKET", "AF_VSOCK", "SO_BINDTODEVICE", "SO_PEERCRED"},
    "time": {"CLOCK_BOOTTIME", "CLOCK_TAI"},
}  # fmt: skip
PLACES = {"sched_getaffinity": "environment.py", "process_cpu_count": "environment.py", "mallopt": "device.py"}
LIBC = {"mallopt", "malloc_trim", "prctl", "gettid", "syscall"}


def asked(tree):
    """What a module asks of the system that only Linux has: names, and files below /proc and /sys outside a `try`."""
    safe = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Try):
            safe |= {id(inner) for part in node.body for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr in LINUX.get(owner, set()) | LIBC:
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and node.module in LINUX:
            yield from {alias.name for alias in node.names} & LINUX[node.module]
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.startswith(("/proc", "/sys/", "/dev/shm"))
            and id(node) not in safe
        ):
            yield node.value


def test_only_one_place_asks_what_only_linux_knows():
    found = set()
    for path in sorted((ROOT / "ganlab").rglob("*.py")):
        for name in asked(ast.parse(path.read_text())):
            assert PLACES.get(name) == path.name, f"{path} asks for {name}, which other systems lack"
            found.add(name)
    assert found == PLACES.keys()


def test_the_scan_sees_what_it_looks_for():
    text = (
        "import os, signal\nfrom os import fdatasync\nopen('/proc/cpuinfo')\nos.sched_getaffinity(0)\nlibc.prctl(1)\n"
    )
    text += "try:\n    open('/proc/meminfo')\nexcept OSError:\n    os.O_RDONLY, signal.SIGTERM\n"
    assert sorted(asked(ast.parse(text))) == ["/proc/cpuinfo", "fdatasync", "prctl", "sched_getaffinity"]


@pytest.fixture
def elsewhere(monkeypatch):
    """Another system: no affinity, no /proc, no glibc."""
    for name in ("sched_getaffinity", "process_cpu_count"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)

    def nothing(*_, **__):
        raise FileNotFoundError(2, "No such file or directory")

    for module in (device, doctor, environment):
        monkeypatch.setattr(module, "open", nothing, raising=False)
    real = device.ctypes.CDLL
    monkeypatch.setattr(
        device.ctypes, "CDLL", lambda name, *more, **how: real(name, *more, **how) if name else object()
    )


def test_without_affinity_all_cores_are_used(elsewhere):
    assert usable_cores() == os.cpu_count()
    machine = device.start("float32")
    assert machine.threads == os.cpu_count() and machine.name.endswith("cores") and not machine.bfloat16
    shown = dict(doctor.facts(machine))
    assert shown["threads"].startswith(f"{os.cpu_count()} for an operation; {os.cpu_count()} of")
    assert shown["memory"] == "unknown"


def test_distances_of_many_images_need_no_affinity(elsewhere):
    points = np.random.default_rng(0).normal(size=(1100, 3))  # more than one block
    assert np.isfinite(kernel_distance(points, points + 1))


def test_cores_are_those_of_the_affinity_where_there_is_one(monkeypatch):
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7}, raising=False)
    assert usable_cores() == 3
    monkeypatch.setattr(os, "process_cpu_count", lambda: 2, raising=False)
    assert usable_cores() == 2
