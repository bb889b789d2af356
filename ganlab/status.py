"""`python -m ganlab.status DIR`: the state of every cell of a sweep, and the sweep's progress."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from ganlab.cli.exit import Parser, one_line, path
from ganlab.errors import ConfigError
from ganlab.runs import status


def main() -> None:
    """The command line; exit status 0 if every cell has finished, 1 if not, 2 for a wrong folder."""
    parser = Parser(
        prog="ganlab.status",
        description="Show the state of each cell of a sweep: finished, running, diverged, failed, interrupted or "
        "missing (listed in DIR/sweep.json, but never started). Exit status 0 if all have finished, else 1.",
        epilog="Examples: python -m ganlab.status outputs/upsampling_digits; "
        "python -m ganlab.status outputs/mine --forget fir-seed3 'carafe-*'",
    )
    parser.add_argument(
        "directory", metavar="DIR", type=path, help="a sweep's folder, or one with single runs below it"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument(
        "--forget", nargs="+", metavar="CELL",
        help="remove these runs from the study, names or quoted patterns: asks, then moves them to DIR/forgotten",
    )  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="forget without asking")
    options = parser.parse_args()
    with one_line():
        if options.forget:
            sys.exit(status.forget(options.directory, options.forget, yes=options.yes))
        if options.yes:
            raise ConfigError("--yes is the answer to --forget; give that too")
        sys.exit(show(options.directory, as_json=options.json))


def show(folder: Path, *, as_json: bool) -> int:
    """Print the state of the cells; 0 if every one has finished, else 1. Raises ResultError for a wrong folder."""
    cells, record = status.find_cells(folder), status.read_sweep(folder)
    counts, left = status.count_states(cells), None
    if record:
        requested = {folder / name for name in record.asked}
        left = status.time_left([cell for cell in cells if cell.directory in requested])
    if as_json:
        listed = [asdict(cell) | {"directory": str(cell.directory)} for cell in cells]
        tree = {"folder": str(folder), "runs": len(cells), "totals": counts, "seconds_left": left, "cells": listed}
        print(json.dumps(tree, indent=2))
    else:
        width = max(len(cell.name) for cell in cells)
        for cell in cells:
            print(f"{cell.name:<{width}}  {status.describe_status(cell)}")
        summary = ", ".join(f"{count} {state}" for state, count in counts.items())
        print(
            f"{len(cells)} run{'s' * (len(cells) > 1)}: {summary}"
            + (f"; about {status.format_duration(left)} left" if left is not None else "")
        )
    return 0 if counts.get("finished") == len(cells) else 1


if __name__ == "__main__":
    main()
