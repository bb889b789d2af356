"""One run in a process of its own: a crash stops only itself, and its memory goes back to the system.

    python -m ganlab.isolate RUN

The child holds a pipe to its parent and stops, with a checkpoint, when the parent is gone.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path


def run_apart(directory: Path) -> int:
    """Run or go on with the run in a folder, which holds its config.json; its lines go to `log.txt` there.

    Returns the process's exit status, negative where a signal ended it. KeyboardInterrupt passes on once the child
    has saved.
    """
    with (directory / "log.txt").open("a") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "ganlab.isolate", str(directory)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            return child.wait()
        except KeyboardInterrupt:  # the terminal told the child too: let it save
            child.wait()
            raise
        finally:
            if child.stdin:
                child.stdin.close()


def _follow_parent() -> None:
    sys.stdin.read()  # returns when the parent's end of the pipe is closed
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Go on with the run named on the command line."""
    from ganlab.train import finish

    threading.Thread(target=_follow_parent, daemon=True).start()
    sys.exit(finish(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
