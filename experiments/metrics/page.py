"""The page that keeps the figures: README.md beside this file, a place for each table."""

import datetime
import os
import platform
import re
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).parent / "README.md"
sys.path.append(str(PAGE.parent.parent / "speed"))

from turns import table, write_into  # noqa: E402 - found there

write = partial(write_into, PAGE)
"""Lines to the place of a name: write(name, lines)."""

__all__ = ["PAGE", "machine", "table", "write"]


def machine(*packages: str) -> str:
    """What the figures were taken on, in one line."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = processor[1] if processor else platform.machine()
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return f"{name}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}; {datetime.date.today()}"
