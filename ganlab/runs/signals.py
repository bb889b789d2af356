"""Signals that ask a command to save and stop."""

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""Ctrl-C; the end of a job; that of a terminal; and what clusters send some time before (Slurm: --signal=USR1@60)."""

_WITHOUT_HASTE = (signal.SIGUSR1, signal.SIGHUP)  # a warning; and a terminal's end, which shell and system both tell


class Asked:
    """Which of them have come."""

    def __init__(self):
        self._numbers: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def twice(self, number: int) -> bool:
        """Note a signal; whether it asks for the second time, and so not to wait until all is saved.

        A warning asks for no haste, neither itself nor by what it warned of; nor does the end of a terminal, after
        which nothing is printed there: that would be an error.
        """
        again = number not in _WITHOUT_HASTE and any(before not in _WITHOUT_HASTE for before in self._numbers)
        self._numbers.append(number)
        if number == signal.SIGHUP:
            _forget_terminal()
        return again


def _forget_terminal() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode):
                os.dup2(nowhere, stream)
    os.close(nowhere)


@contextlib.contextmanager
def heard(ask: Callable[[int], None]) -> Iterator[None]:
    """While inside, `ask(number)` is called in the main thread when a signal asks to stop.

    A cluster warns every process of a job, and whoever has not prepared for it would die: joblib's workers and its
    tracker of resources. So the warning is blocked, which processes that are started inherit, and a thread waits for
    it that passes it on.
    """
    passed_on: list[int] = []
    ending, woken = threading.Event(), threading.Event()

    def receive() -> None:
        while signal.sigwait({signal.SIGUSR1}) and not ending.is_set():
            passed_on.append(signal.SIGUSR1)
            signal.pthread_kill(main, signal.SIGTERM)
        woken.wait()  # a signal to a thread that has ended is undefined

    def handle(number: int, _frame: object) -> None:
        ask(passed_on.pop() if passed_on and number == signal.SIGTERM else number)

    main = threading.get_ident()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    numbers = [number for number in STOPPING if number != signal.SIGHUP or not nohup]
    before = {number: signal.signal(number, handle) for number in numbers}  # native threads block nothing
    receiver = threading.Thread(target=receive, daemon=True)
    receiver.start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        ending.set()
        assert receiver.ident
        signal.pthread_kill(receiver.ident, signal.SIGUSR1)
        woken.set()
        receiver.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
