"""Sides that take turns, and what is said of their figures: medians and ratios, tables, and a place in a page."""

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

Figure = TypeVar("Figure")


def take_turns(sides: Mapping[str, Callable[[], Figure]], rounds: int) -> dict[str, list[Figure]]:
    """Ask every side once a round (A B C A B C ...): what each said, round by round, also told on stderr as it comes.

    A side that runs past its time limit is not asked again, and ends with an empty list.
    """
    said: dict[str, list[Figure]] = {name: [] for name in sides}
    late: set[str] = set()
    for turn in range(1, rounds + 1):
        for name, side in sides.items():
            if name in late:
                continue
            start = time.perf_counter()
            try:
                said[name].append(side())
                news = str(said[name][-1])
            except subprocess.TimeoutExpired as error:
                late.add(name)
                said[name] = []
                news = f"not done after {error.timeout:.0f} s, left out from here on"
            seconds = time.perf_counter() - start
            print(f"  round {turn} of {rounds}, {name}: {news} ({seconds:.0f} s)", file=sys.stderr, flush=True)
    return said


def spread(values: Sequence[float], digits: int) -> str:
    """`median (quartile to quartile)`; one value stands alone, and none is said to be over the time limit."""
    if not values:
        return "over the time limit"
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Ours over theirs within each round: the median with its quartiles."""
    pairs = zip(ours, theirs, strict=True) if ours and theirs else ()
    return spread([one / other for one, other in pairs], 2)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of Markdown."""
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]


def write_into(page: Path, name: str, lines: Sequence[str]) -> None:
    """Put the lines between `<!-- NAME table -->` and the next `<!-- end -->` of a page."""
    place = re.compile(rf"(<!-- {name} table -->\n).*?(<!-- end -->)", re.DOTALL)
    text, found = place.subn(lambda mark: mark[1] + "\n".join(lines) + "\n" + mark[2], page.read_text())
    if not found:
        raise SystemExit(f"{page} has no place for it; put <!-- {name} table --> and <!-- end --> there")
    page.write_text(text)
