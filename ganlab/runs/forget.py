"""To take runs out of a study: their folders are moved aside, nothing is deleted."""

import contextlib
import os
import sys
from datetime import datetime
from pathlib import Path

from ganlab.errors import ConfigError, matching
from ganlab.files import FileError, move, refuse_link, write_json
from ganlab.runs.folder import claimed
from ganlab.runs.result import FORGOTTEN, ResultError
from ganlab.runs.status import SWEEP, Standing, find_cells, read_sweep


def forget(folder: Path, patterns: list[str], *, yes: bool) -> int:
    """Take cells out of a study: out of `sweep.json`, their folders to `forgotten/`; 0 done, 1 where it was not wanted.

    yes: without asking. Raises ConfigError, before anything is moved, for unknown names, for cells that run, and where
    nobody can be asked.
    """
    cells = {cell.name: cell for cell in find_cells(folder)}
    chosen = [cells[name] for name in matching(cells, patterns, "--forget", folder)]
    for cell in chosen:
        _refuse(folder, cell)
        try:
            refuse_link((folder / FORGOTTEN / cell.name).parent, folder)
        except FileError as error:
            raise ConfigError(str(error)) from None
    if not yes and not (sys.stdin and sys.stdin.isatty()):
        raise ConfigError("--forget asks on a terminal, and there is none; add --yes")
    for cell in chosen:
        print(f"{cell.name}  {cell.state}")
    if not (yes or _agreed(len(chosen))):
        print("nothing was moved")
        return 1
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    with contextlib.ExitStack() as stack:
        stack.enter_context(claimed(folder, wait=True))  # whoever starts the sweep again reads the record meanwhile
        for cell in chosen:
            if cell.directory.is_dir():
                stack.enter_context(claimed(cell.directory))  # refuses one that has just begun
        _strike_out(folder, {os.path.relpath(cell.directory, folder) for cell in chosen})
        for cell in chosen:
            if cell.directory.is_dir():
                print(f"moved to {_move(cell.directory, folder / FORGOTTEN / f'{cell.name}-{now}')}")
            else:
                print(f"{cell.name} will not be missed")
    print("to have one back, move its folder to where it was")
    return 0


def _refuse(folder: Path, cell: Standing) -> None:
    if cell.state == "running":
        raise ConfigError(f"--forget {cell.name} is running; stop it first")
    real, root = os.path.realpath(cell.directory), os.path.realpath(folder)
    if real == root:
        raise ConfigError(f"--forget {cell.name} is the folder itself; give the folder that it lies in")
    if real != os.path.join(root, os.path.relpath(cell.directory, folder)):  # noqa: PTH118
        raise ConfigError(f"--forget {cell.name} is reached through a link; remove the link")


def _agreed(count: int) -> bool:
    try:
        said = input(f"forget {'this run' if count == 1 else f'these {count} runs'}? [y/N] ")
    except EOFError:
        return False
    return said.strip().lower() in ("y", "yes")


def _strike_out(folder: Path, names: set[str]) -> None:
    record = read_sweep(folder)
    if record is None:
        return
    kept = {key: [name for name in getattr(record, key) if name not in names] for key in ("cells", "asked")}
    try:
        write_json(folder / SWEEP, record.__dict__ | kept)
    except OSError as error:
        raise ResultError(f"{folder / SWEEP} cannot be written ({error.strerror}); nothing was moved") from None


def _move(directory: Path, aside: Path) -> Path:
    number, place = 1, aside
    while place.exists():
        number += 1
        place = aside.with_name(f"{aside.name}-{number}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        move(directory, place)
    except OSError as error:
        raise ResultError(f"{directory} cannot be moved to {place} ({error.strerror}); move it by hand") from None
    return place
