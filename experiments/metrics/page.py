"""The page that keeps the figures: README.md beside this file, a place for each table."""

import datetime
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).parent / "README.md"


def write(name: str, lines: list[str]) -> None:
    """Put the lines between `<!-- NAME table -->` and the next `<!-- end -->`."""
    place = re.compile(rf"(<!-- {name} table -->\n).*?(<!-- end -->)", re.DOTALL)
    text, found = place.subn(lambda mark: mark[1] + "\n".join(lines) + "\n" + mark[2], PAGE.read_text())
    if not found:
        raise SystemExit(f"{PAGE} has no place for it; put <!-- {name} table --> and <!-- end --> there")
    PAGE.write_text(text)


def machine(*packages: str) -> str:
    """What the figures were taken on, in one line."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = processor[1] if processor else platform.machine()
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return f"{name}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}; {datetime.date.today()}"


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of Markdown."""
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]
