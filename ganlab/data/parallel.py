"""Process many files in parallel, with a progress bar on a terminal and plain lines elsewhere."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from ganlab.environment import safe_path, usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")
_EVERY_SECONDS = 10.0


def run_all(work: Callable[[Item], Result], blocks: Iterable[Item], *, alone: bool = False) -> Iterator[Result]:
    """The results of `work`, a module-level function, for each block, in order; few blocks are in flight at once.

    alone: in this process; faster for little work than starting other processes.
    """
    if alone:
        yield from map(work, blocks)
        return
    # Spawned, not forked: TensorFlow's threads may be running here.
    context, workers = multiprocessing.get_context("spawn"), usable_cores()
    with safe_path(), ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
        waiting = list[Future[Result]]()
        try:
            for block in blocks:
                waiting.append(pool.submit(work, block))
                if len(waiting) > 2 * workers:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        except BrokenProcessPool:
            raise RuntimeError(
                f"one of {workers} processes that read images was killed, perhaps because memory ran out; start again, "
                "on fewer cores (taskset -c 0 on Linux) if it did"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start_worker() -> None:
    """In a worker: end when the parent ends, for whatever reason; leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def progress(activity: str, total: int) -> Iterator[Callable[[int], None]]:
    """Within, a function to call with the number of newly finished items; `activity`: what it is called in the line."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn(activity), BarColumn(), MofNCompleteColumn(), TextColumn("files"), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(activity, total=total)
            yield lambda more: bar.update(task, advance=more)
        return
    done, start = 0, time.monotonic()
    last = start

    def report(more: int) -> None:
        nonlocal done, last
        done += more
        now = time.monotonic()
        if now - last >= _EVERY_SECONDS and done < total:
            last, rate = now, done / (now - start)
            say(f"{activity}: {done:,} of {total:,} files, {rate:,.0f} a second, {(total - done) / rate:.0f} s left")

    yield report


def say(line: str) -> None:
    """Print a line for people on stderr, apart from the command's output."""
    print(line, file=sys.stderr, flush=True)
