"""One run in a process of its own: a crash stops only itself, and its memory goes back to the system.

The child holds a pipe to its parent and stops, with a checkpoint, when the parent closes it or is gone. It hears of
nothing else that the parent hears: Ctrl-C and the end of a terminal reach all processes of a command at once.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from ganlab.errors import ConfigError
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
    with (directory / LOG).open("a") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "ganlab.launch.process", str(directory)],
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
        trouble.write_text(traceback.format_exc(), encoding="utf-8", errors="replace")
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


if __name__ == "__main__":
    main()
