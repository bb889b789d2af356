"""How every command starts and ends: --help, --version, errors as one line on stderr, the exit status."""

import argparse
import codecs
import contextlib
import os
import signal
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from ganlab import __version__
from ganlab.config.plugins import take_plugins
from ganlab.errors import ConfigError, expand, in_a_line, printable
from ganlab.files import FileError

VERSION = f"ganlab {__version__}"
HELP = ("--help", "-h")


class Parser(argparse.ArgumentParser):
    """argparse, with --version, one line for a wrong command line, and silence if the reader of a pipe has gone.

    Every command takes `--plugin FILE.py`. prog: the module, such as ganlab.compare.
    """

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog=f"python -m {prog}", formatter_class=_Formatter, allow_abbrev=False, **options)
        self.add_argument("--version", action="version", version=VERSION, help="print the version and exit")
        self.add_argument("--plugin", metavar="FILE.py", help="load an operator or the like of your own; repeatable")

    def parse_args(self, *arguments: Any, **options: Any) -> Any:
        """The options, after the plugins; exit status 2 for a wrong command line."""
        with one_line():
            typed, *others = arguments or (sys.argv[1:],)
            return super().parse_intermixed_args(take_plugins(typed), *others, **options)  # flags may stand anywhere

    def error(self, message: str) -> NoReturn:
        """Exit status 2."""
        self.exit(2, f"{in_a_line(message)}; see {self.prog} --help\n")

    def _print_message(self, message: str, file: Any = None) -> None:  # argparse's own ignores a closed pipe
        print(message, end="", file=file or sys.stderr)


class _Formatter(argparse.HelpFormatter):
    """Wraps descriptions, but never the command of an example."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("Example") else super()._fill_text(text, width, indent)


def path(text: str) -> Path:
    """The type of an argument that names a file or a folder; `~` is the home directory."""
    try:
        return expand(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def step_of(text: str) -> int | str:
    """The type of `--step`: the step of a checkpoint, or best."""
    if text != "best" and not text.isdecimal():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a step; give the number of one that has a checkpoint, or best"
        )
    return text if text == "best" else int(text)


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """Status 2 for a wrong setting or results that cannot be used, 1 for work that failed, 130 for Ctrl-C.

    141, without a line, if the reader of a pipe has gone.
    """
    _open_streams()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except ConfigError as error:
        _leave(error, 2)
    except BrokenPipeError:  # as quiet as programs that do not catch the signal
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except (OSError, RuntimeError) as error:
        _leave(error, 1)
    except KeyboardInterrupt:
        _leave("interrupted", 130)


def _open_streams() -> None:
    """If a shell closed a standard stream (`>&-`), print nothing there, and let no file take its descriptor.

    Characters that a terminal's encoding lacks are replaced by similar ones.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w"))
    with contextlib.suppress(AttributeError):  # a foreign stream without an encoding, such as a notebook's
        sys.stdout.reconfigure(errors=_ALIKE)


_ALIKE = "ganlab.alike"
_ASCII = str.maketrans(
    {"×": "x", "±": "+-", "−": "-", "–": "-", "—": "-", "→": "->", "≤": "<=", "≥": ">=", "·": ".", "…": "...",
     "’": "'", "ß": "ss"} | {bar: str(height) for height, bar in enumerate("▁▂▃▄▅▆▇█", 1)}
)  # fmt: skip


def _alike(error: UnicodeError) -> tuple[str, int]:
    """Replacements for characters that an encoding lacks: x for ×, e for é, 1 to 8 for bars, else ?."""
    assert isinstance(error, UnicodeEncodeError)
    wrong = error.object[error.start : error.end].translate(_ASCII)
    plain = "".join(c for c in unicodedata.normalize("NFKD", wrong) if not unicodedata.combining(c))
    return "".join(c if c.isascii() else "?" for c in plain), error.end


codecs.register_error(_ALIKE, _alike)


def _leave(why: object, status: int) -> NoReturn:
    if type(why) is not FileError and isinstance(why, OSError) and why.filename and why.strerror:
        why = f"{why.filename} cannot be used ({why.strerror})"  # not "[Errno 28] ..."
    if isinstance(why, FileNotFoundError) and not why.filename:  # of os.getcwd()
        why = "the current directory has been removed; change to another one"
    print(" ".join(printable(str(why)).split()), file=sys.stderr)
    sys.exit(status)
