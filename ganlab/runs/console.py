"""Where commands write what people read."""

import contextlib
import os
import re
import sys
from pathlib import Path

import rich.console


class Console(rich.console.Console):
    """rich's console; where the reader of a pipe has gone (`| head`) it falls silent, and the work goes on."""

    def on_broken_pipe(self) -> None:
        """rich would end the command here, in the middle of a run."""
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()


_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


class Log:
    """The lines that a run says, kept in a file without what only a terminal understands.

    path: None keeps nothing, as where another process keeps what this one prints.
    """

    def __init__(self, path: Path | None):
        self._path = path

    def keep(self, text: str) -> None:
        """Add a line, or several; a disk that is full or a folder that is gone is the work's to say, not ours."""
        if self._path is not None:
            with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
                file.write(_CONTROL.sub("", text) + "\n")

    def say(self, text: str) -> None:
        """Print a line, and keep it; where the reader of a pipe has gone, only that, and the work goes on."""
        try:
            print(text, flush=True)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        self.keep(text)
