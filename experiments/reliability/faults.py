"""Runs that are killed, or whose calls fail, at one chosen call to the system; then the same run again, undisturbed.

A process with TensorFlow imported, but not started, and `calls.c` preloaded forks a child for each run: so a run costs
its own seconds and not those of the import. Used by `run.py` and by `tests/faults/test_stops.py`.
"""

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

MODES = ("count", "kill", "fail", "full")
_HERE = Path(__file__).parent
_TIMED = ("seconds", "speed/images_per_second", "images_per_second", "started", "ended", "commit")


def build(folder: Path) -> Path:
    """Compile `calls.c`; FileNotFoundError where there is no compiler."""
    library = folder / "calls.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, _HERE / "calls.c", "-ldl"], check=True)
    return library


class Runner:
    """Runs of one configuration in folders of their own, each disturbed in one way."""

    def __init__(self, process: subprocess.Popen):
        self._process = process

    def __call__(
        self, directory: Path, mode: str = "count", at: int = 0, error: int = errno.EIO, record: Path | None = None
    ) -> dict:
        """`{"status": that of the process, negative for a signal, "calls": how many, "said": its last line}`.

        mode: count (undisturbed), kill, fail, full, or the name of a signal. at: the call, from 1; of a signal, too.
        record: an empty folder for what `power.Cut` needs.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([str(directory), mode, at, error, record and str(record)]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def bits(directory: Path) -> dict[str, str]:
    """A hash of all that a run leaves but for its clock: result, records, samples, generator, newest tensors."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and not name.startswith((".lock", "log.txt", "events.", "error.txt", "generator.keras")):
            content = path.read_bytes()
            if name.endswith(("result.json", "metrics.jsonl")):
                content = json.dumps([_untimed(json.loads(text)) for text in _objects(name, content)]).encode()
            if name.endswith("manifest.json"):
                content = json.dumps(json.loads(content)["manifest"]["files"]).encode()
            found[name] = hashlib.sha256(content).hexdigest()
    assert (directory / "generator.keras").exists()
    return found


def _objects(name: str, content: bytes) -> list[str]:
    return content.decode().splitlines() if name.endswith("jsonl") else [content.decode()]


def _untimed(tree: dict) -> dict:
    return {key: value for key, value in tree.items() if key not in _TIMED}


@contextlib.contextmanager
def runner(library: Path, overrides: list[str]) -> Iterator[Runner]:
    """A runner of one configuration."""
    environment = os.environ | {"LD_PRELOAD": str(library), "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    line = [sys.executable, __file__, *overrides]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        yield Runner(process)
        assert process.stdin
        process.stdin.close()


def _serve(overrides: list[str]) -> None:
    """Answer a line on stdin with a run in a child."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.environ.pop("LD_PRELOAD", None)
    library = ctypes.CDLL(None)

    import ganlab.exports.portable
    import ganlab.run.callbacks
    import ganlab.run.measuring  # noqa: F401 - imported once, for all children
    from ganlab.cli.hydra import plan

    config = plan(overrides, multirun=False).cells[0].config
    for line in sys.stdin:
        directory, mode, at, error, record = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            if record:
                library.record(record.encode())
            _run(library, config, Path(directory), mode, at, error, writing)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        calls, _, last = said.partition("\n")
        answer = {"status": os.waitstatus_to_exitcode(status), "calls": int(calls or 0), "said": last}
        print(json.dumps(answer), file=answers, flush=True)


def _run(library, config, directory: Path, mode: str, at: int, error: int, answer: int) -> None:
    """One run in this process, which ends with it."""
    from ganlab.run.life import run

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    code, said = 1, ""
    signalled = mode.startswith("SIG")
    library.arm(str(directory).encode(), MODES.index("count" if signalled else mode), at, error)
    if signalled:
        _signal_at(library, getattr(signal, mode), at)
    try:
        result = run(config, directory, quiet=True)
        code = {"finished": 0, "interrupted": 130}.get(result.status, 1)
    except BaseException as problem:
        said = f"{type(problem).__name__}: {problem}"
    with contextlib.suppress(OSError):
        os.write(answer, f"{library.count()}\n{said}".encode(errors="replace"))
    os._exit(code)


def _signal_at(library, number: int, at: int) -> None:
    import threading

    def wait() -> None:
        while library.count() < at:
            time.sleep(0.001)
        os.kill(os.getpid(), number)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    _serve(sys.argv[1:])
