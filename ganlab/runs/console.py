"""The output of commands at work: lines that are printed and logged, and a progress bar on a terminal."""

import contextlib
import os
import re
import sys
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import rich.console
from rich import box
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ganlab import files


class Console(rich.console.Console):
    """rich's console; if the reader of a pipe has gone (`| head`), it falls silent, and the work continues."""

    def on_broken_pipe(self) -> None:
        """rich would end the command here, in the middle of a run."""
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()


def plain_console() -> Console:
    """A console for reports: text as it is, in lines of any length where it is not a terminal."""
    width = None if sys.stdout.isatty() else 200
    return Console(width=width, markup=False, highlight=False, emoji=False, soft_wrap=True)


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Container[int] | None = None, **column: Any
) -> Table:
    """A table for reports. numbers: columns of numbers; None: all but the first. column: as rich takes it."""
    columns = Table(box=box.SIMPLE)
    for place, name in enumerate(head):
        is_number = place in numbers if numbers else place > 0
        columns.add_column(name, justify="right" if is_number else "left", **column)
    for row in rows:
        columns.add_row(*row)
    return columns


def live_bar(console: rich.console.Console) -> Live | None:
    """A display for `bar_row`, or None where a bar cannot be redrawn: in a pipe or a file, with TERM=dumb."""
    return Live(console=console, refresh_per_second=4) if console.is_terminal and not console.is_dumb_terminal else None


def bar_row(total: float, completed: float, text: str) -> Table:
    """A progress bar with a text beside it."""
    row = Table.grid(padding=(0, 2))
    row.add_row(ProgressBar(total=total, completed=completed, width=24), Text(text))
    return row


_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


class Log:
    """The lines of a run, written to a file without control sequences of the terminal.

    path: None writes nothing, for example if another process logs the output of this one. quiet: print nothing.
    """

    def __init__(self, path: Path | None, *, quiet: bool = False):
        self._path, self.quiet = path, quiet

    def keep(self, text: str) -> None:
        """Add a line, or several; a full disk or a missing folder is left to the work to report."""
        if self._path is not None:
            with contextlib.suppress(OSError), files.open_regular(self._path, "ab") as file:
                file.write((_CONTROL.sub("", text) + "\n").encode(errors="replace"))

    def say(self, text: str) -> None:
        """Print a line and log it; if the reader of a pipe has gone, only log it."""
        try:
            if not self.quiet:
                print(text, flush=True)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        self.keep(text)


_MARKS = (1, 2, 5, *range(10, 101, 10))  # percent at which the log gets a line
_SILENCE = 60.0  # seconds after which it gets one anyway


class Progress:
    """The progress of a training run, from entering to leaving the `with`.

    total: the run's last step. start: the step that this session starts from; rates count only later steps.
    unit_images: real images in a step, to turn steps into images per second.
    console: where to print; None is standard output. A bar is drawn only where it can be redrawn (not in a pipe or a
    file, not with TERM=dumb); NO_COLOR removes the colours.
    log: gets the whole lines, even if a bar is drawn; a quiet one: nothing is shown at all.
    """

    def __init__(
        self,
        total: int,
        start: int,
        *,
        unit_images: int,
        console: Console | None = None,
        log: Log | None = None,
    ) -> None:
        self._console, self._log = console or Console(), log or Log(None)
        self._total, self._unit_images = total, unit_images
        self._live = None if self._log.quiet else live_bar(self._console)
        self._printed = time.monotonic()
        self._marks = self._count_marks(start)
        self._origin, self._compiled = (start, self._printed), False  # where rates count from

    def __enter__(self) -> Self:
        if self._live:
            self._draw(self._origin[0], "compiling", {})
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def update(self, step: int, values: Mapping[str, float]) -> None:
        """Show that `step` is done, and the last values by tag; cheap enough to call at every record."""
        now = time.monotonic()
        pace = self._pace(step, now)
        if self._live:
            self._draw(step, pace, values)
        marks = self._count_marks(step)
        if marks > self._marks or now - self._printed >= _SILENCE:
            numbers = "  ".join(f"{tag} {value:.4g}" for tag, value in values.items())
            line = "  ".join(part for part in (f"step {self._describe_step(step)}", pace, numbers) if part)
            self._log.keep(line) if self._live else self.say(line)
            self._marks, self._printed = marks, now

    def say(self, text: str) -> None:
        """Print a line as it is, above the bar if there is one."""
        if not self._log.quiet:
            self._log.keep(text)
            self._console.print(Text(text), soft_wrap=True)

    def _pace(self, step: int, now: float) -> str:
        """Speed and time left. Steps of the first call, which includes compiling, count only until there are others."""
        before, then = self._origin
        if step <= before or now <= then:
            return ""
        if not self._compiled:
            self._origin, self._compiled = (step, now), True
        seconds = (now - then) / (step - before)
        left = timedelta(seconds=round((self._total - step) * seconds))
        return f"{self._unit_images / seconds:,.0f} images/s  {left} left"

    def _describe_step(self, step: int) -> str:
        return f"{step}/{self._total}  {100 * step // self._total} %"

    def _count_marks(self, step: int) -> int:
        return sum(100 * step >= mark * self._total for mark in _MARKS)

    def _draw(self, step: int, pace: str, values: Mapping[str, float]) -> None:
        assert self._live
        line = bar_row(self._total, step, f"{self._describe_step(step)}  {pace}")
        losses = "  ".join(f"{tag} {value:.4g}" for tag, value in values.items() if tag.startswith("loss/"))
        self._live.update(Group(line, Text(losses, no_wrap=True, overflow="ellipsis", style="dim")))
