"""How every command ends when it cannot go on: one line on stderr, and a status that says whose turn it is."""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn

from ganlab.choose import ConfigError


class Parser(argparse.ArgumentParser):
    """argparse, with one line for a wrong command line."""

    def error(self, message: str) -> NoReturn:
        """Exit status 2."""
        self.exit(2, f"{message}; see python -m {self.prog} --help\n")


def step_of(text: str) -> int | str:
    """What `--step` names: the step of a checkpoint, or best."""
    if text != "best" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no step; give the number of one that has a checkpoint, or best")
    return text if text == "best" else int(text)


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """Status 2 for a wrong setting or results that cannot be used, 1 for work that failed, 130 for Ctrl-C.

    141, without a line, where the reader of a pipe has gone.
    """
    _open_streams()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except ConfigError as error:
        _leave(error, 2)
    except BrokenPipeError:  # nobody reads on: as quiet as programs that do not catch the signal
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except (OSError, RuntimeError) as error:
        _leave(error, 1)
    except KeyboardInterrupt:
        _leave("interrupted", 130)


def _open_streams() -> None:
    """Where a shell closed a standard stream (`>&-`), nothing is said there, and no file takes its place."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w"))


def _leave(why: object, status: int) -> NoReturn:
    print(" ".join(str(why).split()), file=sys.stderr)
    sys.exit(status)
