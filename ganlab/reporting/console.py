"""Where commands write what people read."""

import contextlib

import rich.console


class Console(rich.console.Console):
    """rich's console; where the reader of a pipe has gone (`| head`) it falls silent, and the work goes on."""

    def on_broken_pipe(self) -> None:
        """rich would end the command here, in the middle of a run."""
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()
