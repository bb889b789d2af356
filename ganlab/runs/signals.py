"""Signals that ask a command to save and stop."""

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""Ctrl-C; the end of a job; the end of a terminal; and the early warning of a cluster (Slurm: --signal=USR1@60)."""

_NOT_URGENT = (signal.SIGUSR1, signal.SIGHUP)  # a warning; and a terminal's end, which both shell and system signal


class StopRequests:
    """The stop signals received so far."""

    def __init__(self):
        self._numbers: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def receive(self, number: int) -> bool:
        """Note a signal; returns whether to stop at once: after a second request, without waiting until all is saved.

        A warning and the signal it warns of do not count as two requests; neither does the end of a terminal, after
        which nothing is printed there: that would be an error.
        """
        again = number not in _NOT_URGENT and any(before not in _NOT_URGENT for before in self._numbers)
        self._numbers.append(number)
        if number == signal.SIGHUP:
            _silence_terminal()
        return again


def _silence_terminal() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode):
                os.dup2(null, stream)
    os.close(null)


@contextlib.contextmanager
def on_stop_signal(handler: Callable[[int], None]) -> Iterator[None]:
    """While inside, `handler(number)` is called in the main thread on a signal to stop, unless that is ignored.

    A cluster warns every process of a job, and a process without a handler would die, such as joblib's workers and its
    resource tracker. So the warning is blocked, which child processes inherit, and a thread waits for it and forwards
    it.
    """
    forwarded: list[int] = []
    ending, over = threading.Event(), threading.Event()

    def receive() -> None:
        while signal.sigwait({signal.SIGUSR1}) and not ending.is_set():
            forwarded.append(signal.SIGUSR1)
            signal.pthread_kill(main, signal.SIGTERM)
        over.wait()  # a signal to a thread that has ended is undefined

    def handle(number: int, _frame: object) -> None:
        handler(forwarded.pop() if forwarded and number == signal.SIGTERM else number)

    main = threading.get_ident()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    numbers = [number for number in STOPPING if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in numbers}  # native threads block nothing
    receiver = threading.Thread(target=receive, daemon=True)
    receiver.start()
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
        ending.set()
        assert receiver.ident
        signal.pthread_kill(receiver.ident, signal.SIGUSR1)
        over.set()
        receiver.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """While inside, the first signal to stop is only noted, the second is a KeyboardInterrupt."""
    requests = StopRequests()

    def note(number: int) -> None:
        if requests.receive(number):
            raise KeyboardInterrupt

    with on_stop_signal(note):
        yield lambda: bool(requests)
