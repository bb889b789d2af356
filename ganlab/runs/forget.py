"""Remove runs from a study: their folders are moved aside, nothing is deleted."""

import contextlib
import os
import sys
from datetime import datetime
from pathlib import Path

from ganlab.errors import ConfigError, matching
from ganlab.files import FileError, move, refuse_link, write_json
from ganlab.runs.folder import claimed
from ganlab.runs.result import FORGOTTEN, ResultError
from ganlab.runs.status import SWEEP, CellStatus, find_cells, read_sweep


def forget(folder: Path, patterns: list[str], *, yes: bool) -> int:
    """Remove cells from a study's `sweep.json`, and move their folders to `forgotten/`; 0 if done, 1 if declined.

    yes: do not ask. Raises ConfigError, before anything is moved, for unknown names, for running cells, and if nobody
    can be asked.
    """
    cells = {cell.name: cell for cell in find_cells(folder)}
    chosen = [cells[name] for name in matching(cells, patterns, "--forget", folder)]
    for cell in chosen:
        _refuse_unmovable(folder, cell)
        try:
            refuse_link((folder / FORGOTTEN / cell.name).parent, folder)
        except FileError as error:
            raise ConfigError(str(error)) from None
    if not yes and not (sys.stdin and sys.stdin.isatty()):
        raise ConfigError("--forget asks for confirmation, but there is no terminal; add --yes")
    for cell in chosen:
        print(f"{cell.name}  {cell.state}")
    if not (yes or _confirm(len(chosen))):
        print("nothing was moved")
        return 1
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    with contextlib.ExitStack() as stack:
        stack.enter_context(claimed(folder, wait=True))  # another start of the sweep would read the record meanwhile
        for cell in chosen:
            if cell.directory.is_dir():
                stack.enter_context(claimed(cell.directory))  # refuses one that has just started
        _remove_from_record(folder, {os.path.relpath(cell.directory, folder) for cell in chosen})
        for cell in chosen:
            if cell.directory.is_dir():
                print(f"moved to {_move(cell.directory, folder / FORGOTTEN / f'{cell.name}-{now}')}")
            else:
                print(f"removed {cell.name} from the record")
    print("to restore a run, move its folder back")
    return 0


def _refuse_unmovable(folder: Path, cell: CellStatus) -> None:
    if cell.state == "running":
        raise ConfigError(f"--forget {cell.name} is running; stop it first")
    real, root = os.path.realpath(cell.directory), os.path.realpath(folder)
    if real == root:
        raise ConfigError(f"--forget {cell.name} is the folder itself; give the folder that contains it")
    if real != os.path.join(root, os.path.relpath(cell.directory, folder)):  # noqa: PTH118
        raise ConfigError(f"--forget {cell.name} is reached through a link; remove the link")


def _confirm(count: int) -> bool:
    try:
        answer = input(f"forget {'this run' if count == 1 else f'these {count} runs'}? [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def _remove_from_record(folder: Path, names: set[str]) -> None:
    record = read_sweep(folder)
    if record is None:
        return
    remaining = {key: [name for name in getattr(record, key) if name not in names] for key in ("cells", "asked")}
    try:
        write_json(folder / SWEEP, record.__dict__ | remaining)
    except OSError as error:
        raise ResultError(f"{folder / SWEEP} cannot be written ({error.strerror}); nothing was moved") from None


def _move(directory: Path, target: Path) -> Path:
    number, free = 1, target
    while free.exists():
        number += 1
        free = target.with_name(f"{target.name}-{number}")
    try:
        free.parent.mkdir(parents=True, exist_ok=True)
        move(directory, free)
    except OSError as error:
        raise ResultError(f"{directory} cannot be moved to {free} ({error.strerror}); move it by hand") from None
    return free
