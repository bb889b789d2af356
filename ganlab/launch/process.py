"""One run in its own process: a crash stops only that run, and its memory goes back to the system.

The child holds a pipe to its parent and stops, with a checkpoint, when the parent closes it or dies. It ignores the
signals that the parent handles: Ctrl-C and the end of a terminal reach all processes of a command at once.

Each of several runs on a machine gets its share of the cores, and its own GPUs while there are enough. Both are set in
its environment: its settings stay the same whatever else is running.
"""

import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ganlab import device
from ganlab.config import RunConfig
from ganlab.errors import ConfigError, without_colours
from ganlab.files import lock, open_regular, safe_name, write_bytes
from ganlab.runs.folder import read_config
from ganlab.runs.result import LOG

_LOOK = 0.2  # seconds between two checks for a stop


def run_apart(
    directory: Path, environment: Mapping[str, str], keep: tuple[int, ...], stopping: Callable[[], bool] = lambda: False
) -> int:
    """Start or resume the run in a folder that the caller has claimed, and that holds its config.json.

    Its output goes to `log.txt` there. environment: variables for the child, besides the caller's own. keep:
    descriptors that it keeps open, including the folder's lock, so that they are held as long as anything writes.
    stopping: called now and then; once it returns True, the child saves and ends.

    Returns the process's exit status, negative if a signal ended it. A KeyboardInterrupt is raised again once the child
    has saved.
    """
    with open_regular(directory / LOG, "ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "ganlab.launch.process", str(directory)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | dict(environment),
            pass_fds=keep,
        )
        assert child.stdin
        with child.stdin as pipe:
            try:
                while not stopping():
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        return child.wait(_LOOK)
                pipe.close()
                return child.wait()
            except KeyboardInterrupt:
                pipe.close()
                child.wait()
                raise


def finish(directory: Path, config: RunConfig | None = None, *, held: bool = False, steps: int | None = None) -> int:
    """Run to the end in a folder (settings from its config.json unless given), print the result, return the status.

    held: whether another process holds the folder for this one. steps: another last step for an existing run.
    """
    from ganlab.run.life import run
    from ganlab.runs.console import Log

    config = config or read_config(directory, "resume=")
    traceback_file = directory / "error.txt"
    if traceback_file.exists():  # from an earlier attempt
        traceback_file.unlink()
    log = Log(None if held or device.worker() else directory / LOG)
    try:
        result = run(config, directory, held=held, steps=steps)
    except ConfigError:
        raise
    except Exception as error:
        line = f"{directory} failed: {' '.join(without_colours(str(error)).split()) or type(error).__name__}"
        with contextlib.suppress(OSError):  # on a full disk the first error is the one to tell
            write_bytes(traceback_file, traceback.format_exc().encode(errors="replace"))
            line += f"; see {traceback_file}"
        print(line, file=sys.stderr)
        log.keep(line)
        return 1
    from ganlab.cli.help import last_lines

    log.keep(line := last_lines(result, directory))
    print(line, file=sys.stderr if result.status == "diverged" else sys.stdout)
    return {"finished": 0, "interrupted": 130}.get(result.status, 1)


def _follow_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # returns when the parent's end of the pipe is closed
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Continue the run named on the command line, whose folder the parent holds."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    from ganlab.cli.exit import one_line

    with one_line():
        sys.exit(finish(Path(sys.argv[1]), held=True))


# --- its share of the machine -----------------------------------------------------------------------------------------

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def threads_of(launcher: str) -> dict[str, str]:
    """TensorFlow's variables for a launcher's worker's share of the cores; empty if it has all of them.

    joblib (cores over `n_jobs`) and Ray (`num_cpus`) set OMP_NUM_THREADS for their workers, which TensorFlow does not
    read. TensorFlow's variables are not changed if set, and `training.threads` overrides them.
    """
    share = os.environ.get("OMP_NUM_THREADS", "")
    if launcher not in ("joblib", "ray") or not share.isdecimal():
        return {}
    variables = {"TF_NUM_INTRAOP_THREADS": share, "TF_NUM_INTEROP_THREADS": str(min(int(share), 2))}
    return {name: value for name, value in variables.items() if name not in os.environ}


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them, else their numbers."""
    chosen = os.environ.get(_VISIBLE)
    if chosen is not None:
        names = (part.strip() for part in chosen.split(","))
        return list(itertools.takewhile(lambda name: name not in ("", "-1"), names))  # CUDA stops there too
    try:
        output = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return re.findall(r"^GPU (\d+):", output, re.M)


@contextlib.contextmanager
def dealt_gpus(count: int) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """`count` GPUs for a run: the variable that makes only these visible, and descriptors for its process to keep open.

    No other run gets a GPU while its descriptors are open and another GPU is free; if none is, runs share those with
    the fewest users. On a machine without GPUs to choose from both are empty.
    """
    gpus = visible_gpus()
    if len(gpus) <= count:
        yield {}, ()
        return
    folder = Path(tempfile.gettempdir()) / f"ganlab-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with contextlib.ExitStack() as stack:
        with (folder / "dealing").open("w") as dealing:
            lock(dealing, wait=True)  # two processes that count at the same time would choose the same ones
            users = {gpu: sum(map(_is_locked, folder.glob(f"{safe_name(gpu)}.*"))) for gpu in gpus}
            chosen = sorted(users, key=users.__getitem__)[:count]
            slots = [_lock_slot(folder, gpu, stack) for gpu in chosen]
        yield {_VISIBLE: ",".join(chosen)}, tuple(slots)


def _is_locked(place: Path) -> bool:
    with place.open("w") as file:
        return not lock(file)


def _lock_slot(folder: Path, gpu: str, stack: contextlib.ExitStack) -> int:
    """The descriptor of the first free slot on a GPU, locked until the stack is closed."""
    files = (stack.enter_context((folder / f"{safe_name(gpu)}.{place}").open("w")) for place in itertools.count())
    return next(file.fileno() for file in files if lock(file))


if __name__ == "__main__":
    main()
