"""One run in a process of its own: a crash stops only itself, and its memory goes back to the system.

The child holds a pipe to its parent and stops, with a checkpoint, when the parent closes it or is gone. It hears of
nothing else that the parent hears: Ctrl-C and the end of a terminal reach all processes of a command at once.

Of several runs on a machine each gets its share of the cores, and GPUs of its own while there are enough. Both reach
its process through the environment: its settings stay the same whatever runs beside it.
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

from ganlab.errors import ConfigError
from ganlab.files import lock, open_regular, safe_name, write_bytes
from ganlab.runs.result import LOG

_LOOK = 0.2  # seconds between two looks at whether to stop


def run_apart(
    directory: Path, environment: Mapping[str, str], keep: tuple[int, ...], stopping: Callable[[], bool] = lambda: False
) -> int:
    """Run or go on with the run in a folder that the caller has claimed, and that holds its config.json.

    Its lines go to `log.txt` there. environment: variables for the child, besides the caller's own. keep: descriptors
    that it holds open, with the folder's lock among them, so that they are held as long as anybody writes. stopping:
    asked now and then; once it says so, the child saves and ends.

    Returns the process's exit status, negative where a signal ended it. KeyboardInterrupt passes on once the child
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


def finish(directory: Path, config=None, *, held: bool = False, steps: int | None = None) -> int:
    """Run to the end in a folder (settings from its config.json unless given), say how it went, return the status.

    held: whether another process holds the folder for this one. steps: another last step for a run that is there.
    """
    from ganlab import device
    from ganlab.run import read_config, run
    from ganlab.runs.console import Log
    from ganlab.runs.result import LOG

    config = config or read_config(directory, "resume=")
    trouble = directory / "error.txt"
    if trouble.exists():  # of an earlier try
        trouble.unlink()
    log = Log(None if held or device.worker() else directory / LOG)
    try:
        result = run(config, directory, held=held, steps=steps)
    except (ConfigError, KeyboardInterrupt):
        raise
    except Exception as error:
        write_bytes(trouble, traceback.format_exc().encode(errors="replace"))
        last = f"{directory} failed: {' '.join(str(error).split()) or type(error).__name__}; see {trouble}"
        print(last, file=sys.stderr)
        log.keep(last)
        return 1
    from ganlab.cli.help import ending

    log.keep(last := ending(result, directory))
    print(last, file=sys.stderr if result.status == "diverged" else sys.stdout)
    return {"finished": 0, "interrupted": 130}.get(result.status, 1)


def _follow_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # returns when the parent's end of the pipe is closed
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Go on with the run named on the command line, whose folder the parent holds."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    from ganlab.cli.exit import one_line

    with one_line():
        sys.exit(finish(Path(sys.argv[1]), held=True))


# --- what it gets of the machine --------------------------------------------------------------------------------------


_TELL_THREADS = ("joblib", "ray")
_VISIBLE = "CUDA_VISIBLE_DEVICES"


def threads_of(launcher: str) -> dict[str, str]:
    """TensorFlow's variables for the share of the cores that a launcher's worker has; empty if it has all of them.

    joblib (cores over `n_jobs`) and Ray (`num_cpus`) tell their workers in OMP_NUM_THREADS, which TensorFlow does not
    read. What stands in TensorFlow's variables already is kept, and `training.threads` comes before them.
    """
    share = os.environ.get("OMP_NUM_THREADS", "")
    if launcher not in _TELL_THREADS or not share.isdecimal():
        return {}
    wanted = {"TF_NUM_INTRAOP_THREADS": share, "TF_NUM_INTEROP_THREADS": str(min(int(share), 2))}
    return {name: value for name, value in wanted.items() if name not in os.environ}


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them, else by their numbers."""
    chosen = os.environ.get(_VISIBLE)
    if chosen is not None:
        names = (part.strip() for part in chosen.split(","))
        return list(itertools.takewhile(lambda name: name not in ("", "-1"), names))  # CUDA stops there too
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return re.findall(r"^GPU (\d+):", listed, re.M)


@contextlib.contextmanager
def dealt_gpus(count: int) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """`count` GPUs for a run: the variable that shows it only these, and descriptors for its process to keep open.

    Nobody else is dealt a GPU while those descriptors are open and another is free; when none is, runs share those
    that the fewest use. On a machine without GPUs to choose from both are empty.
    """
    gpus = visible_gpus()
    if len(gpus) <= count:
        yield {}, ()
        return
    folder = Path(tempfile.gettempdir()) / f"ganlab-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with contextlib.ExitStack() as stack:
        with (folder / "dealing").open("w") as turn:
            lock(turn, wait=True)  # who counts at the same time would choose the same ones
            users = {gpu: sum(map(_is_held, folder.glob(f"{_file(gpu)}.*"))) for gpu in gpus}
            chosen = sorted(users, key=users.__getitem__)[:count]
            held = [_hold_a_place(folder, gpu, stack) for gpu in chosen]
        yield {_VISIBLE: ",".join(chosen)}, tuple(held)


def _file(gpu: str) -> str:
    return safe_name(gpu)


def _is_held(place: Path) -> bool:
    with place.open("w") as file:
        return not lock(file)


def _hold_a_place(folder: Path, gpu: str, stack: contextlib.ExitStack) -> int:
    """The descriptor of the first place on a GPU that nobody holds, ours until the stack is left."""
    files = (stack.enter_context((folder / f"{_file(gpu)}.{place}").open("w")) for place in itertools.count())
    return next(file.fileno() for file in files if lock(file))


if __name__ == "__main__":
    main()
