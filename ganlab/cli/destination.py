"""Where a command may write: checked before anything is computed, so that a mistake costs and destroys nothing."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from ganlab.errors import ConfigError
from ganlab.files import LOCK, read_json, unfinished
from ganlab.runs.grids import is_ours
from ganlab.runs.result import ResultError
from ganlab.study.archive import ENDING, open_archive

REPORT = {"report.html", "report.md", "scores.csv", "verdict.json", "figures"}
"""What stands in the folder of a report."""


def check_picture(option: str, path: Path, suffix: str) -> None:
    """Refuse a name without the picture's suffix, a place that cannot be written, and a file that ganlab did not write.

    option: the option that gave the path, such as `--out`. suffix: `.png` or `.gif`. Raises ConfigError.
    """
    if path.suffix.lower() != suffix:
        better = path.with_suffix(suffix) if path.name else f"picture{suffix}"
        raise ConfigError(f"{option}={path} does not end in {suffix}, as this picture must; use {option}={better}")
    if path.is_dir():
        raise ConfigError(f"{option}={path} is a directory; give the name of a file")
    if os.path.lexists(path) and not is_ours(path):
        raise ConfigError(f"{option}={path} exists and is not a picture from ganlab; delete it or give another name")
    check_parent(option, path)


def check_folder(option: str, path: Path, names: str) -> None:
    """Refuse a folder that holds anything but our pictures with such names (a pattern); raises ConfigError."""
    if os.path.lexists(path) and not path.is_dir():
        raise ConfigError(f"{option}={path} is not a directory; give another name")
    for entry in sorted(path.iterdir()) if path.is_dir() else ():
        if not re.fullmatch(names, entry.name) or not is_ours(entry):
            raise ConfigError(f"{option}={path} holds {entry.name}, which is not from ganlab; give an empty folder")
    check_parent(option, path)


def check_archive(option: str, path: Path) -> None:
    """Refuse a name that is not an archive's, a place that cannot be written, and a file that is no archive of runs.

    Raises ConfigError.
    """
    if not path.name.endswith(ENDING):
        raise ConfigError(f"{option}={path} does not end in {ENDING}, as archives do; use {option}={path}{ENDING}")
    if os.path.lexists(path):
        try:
            with open_archive(path):
                pass
        except ResultError:
            raise ConfigError(
                f"{option}={path} exists and is no archive of runs; delete it or give another name"
            ) from None
    check_parent(option, path)


def check_report(path: Path) -> None:
    """Refuse to write a report where anything but an earlier one stands; raises ConfigError."""
    if os.path.lexists(path) and (path.is_symlink() or not path.is_dir()):
        raise ConfigError(f"{path} is no folder, and the report is to go there; move it away")
    found = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    found = {name for name in found if name != LOCK and not unfinished(name)}  # of one that was killed
    if found and (found - REPORT or not _is_verdict(path / "verdict.json")):
        raise ConfigError(f"{path} is no report of ganlab.compare, and one is to go there; move it away")
    place = path if found else path.parent
    if not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(f"{path} cannot be written ({place} is read-only); copy the archive to a folder of your own")


def check_measures(run: Path) -> None:
    """Refuse to measure a run whose folder is read-only, where the measures are to go; raises ConfigError."""
    for place in (run, run / "evaluations"):
        if place.is_dir() and not os.access(place, os.W_OK | os.X_OK):
            raise ConfigError(f"{place} is read-only, and the measures go there; copy the run to a folder of your own")


def _is_verdict(path: Path) -> bool:
    try:
        tree = read_json(path)
    except OSError:
        return False
    return isinstance(tree, dict) and {"answer", "endpoints"} <= tree.keys()


def check_parent(option: str, path: Path) -> None:
    """Refuse a place below something that is not a directory, or that is read-only; raises ConfigError."""
    above = path.absolute().parent
    while not os.path.lexists(above):
        above = above.parent
    if not above.is_dir():
        raise ConfigError(f"{option}={path} is below {above}, which is not a directory; give another name")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ConfigError(f"{option}={path} cannot be written ({above} is read-only); give another name")


def clear_others(folder: Path, names: str, keep: Iterable[str]) -> None:
    """Delete earlier pictures with such names (a pattern), except those to keep."""
    keep = set(keep)
    for entry in folder.iterdir() if folder.is_dir() else ():
        if re.fullmatch(names, entry.name) and entry.name not in keep:
            entry.unlink()
