"""How far a sweep has come, told while others run it: a bar on a terminal, whole lines elsewhere."""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ganlab.runs.console import Console
from ganlab.runs.remaining import time_left
from ganlab.runs.status import Standing, edition, outcome, rough, stand

_OVER = ("finished", "diverged")  # for good: all others are tried again
_LOOK = 1.0  # seconds between two looks at the cells
_SILENCE = 60.0  # seconds after which a log gets a line anyway


@contextlib.contextmanager
def watched(cells: Mapping[str, Path], console: Console | None = None) -> Iterator[None]:
    """While inside, tell of each cell that ends and of the sweep as a whole, whoever runs them and wherever.

    cells: folders by name. The files of the runs are all that is looked at, once a second.
    """
    watch = _Watch(cells, console or Console(soft_wrap=True, highlight=False))
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK):
            watch.look()

    thread = threading.Thread(target=look, name="watched", daemon=True)
    with watch.live or contextlib.nullcontext():
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            watch.look()
            watch.look()


class _Watch:
    """What was seen of a sweep so far. Cells that had ended before are counted; others are told of when they end."""

    def __init__(self, cells: Mapping[str, Path], console: Console) -> None:
        self._cells, self._console = cells, console
        self._found = {name: stand(directory, name) for name, directory in cells.items()}
        self._ended = {name for name, cell in self._found.items() if cell.state in _OVER}
        self._results = {name: edition(cells[name]) for name in cells}
        self._seen: set[str] = set()
        self._news: list[Standing] = []
        self._began, self._told = time.time(), time.monotonic()
        drawable = console.is_terminal and not console.is_dumb_terminal
        self.live = Live(console=console, refresh_per_second=2) if drawable else None
        if self._ended:
            console.print(f"{len(self._ended)} of {len(cells)} had ended before")

    def look(self) -> None:
        """Tell what the last look found, and look at the cells that have not ended.

        So what is said comes a moment late: by then the next cell has begun.
        """
        self._tell()
        for name, directory in self._cells.items():
            if self._found[name].state in _OVER:
                continue
            cell = self._found[name] = stand(directory, name)
            if cell.state == "running":
                self._seen.add(name)
                self._ended.discard(name)  # it was interrupted, as when a worker is killed, and is gone on with
            elif cell.state != "missing" and (name in self._seen or self._results[name] != edition(directory)):
                self._news.append(cell)
                self._ended.add(name)
                self._seen.discard(name)
                self._results[name] = edition(directory)

    def _tell(self) -> None:
        now, cells = time.monotonic(), list(self._found.values())
        running = sum(cell.state == "running" for cell in cells)
        line = f"{len(self._ended)} of {len(cells)} runs ended, {running} running"
        if left := time_left(cells, self._ended, self._began, time.time()):
            line += f", about {rough(left)} left"
        for cell in self._news:
            self._console.print(Text(f"{cell.name}: {outcome(cell)}"))
        if self.live:
            bar = ProgressBar(total=len(cells), completed=sum(cell.done for cell in cells), width=24)
            row = Table.grid(padding=(0, 2))
            row.add_row(bar, Text(line))
            self.live.update(row)
        elif self._news or now - self._told >= _SILENCE:
            self._console.print(Text(line))
            self._told = now
        self._news.clear()
