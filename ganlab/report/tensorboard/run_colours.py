"""The arms' colours in TensorBoard, which has no setting for them: they are written into the page that it serves.

TensorBoard deals the colours of its palette out in the order in which runs started, another one on each of its pages,
and a colour cannot be given in an address or a flag (its issue 893, open since 2018; pull request 7075). So its own
page gets the table of arms, and asks it before the palette. Nothing else in it is changed; a TensorBoard whose page
reads otherwise keeps its own colours.
"""

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from ganlab.report.styles import Style, styles_of
from ganlab.runs.records import find_runs, shared_tail
from ganlab.runs.result import ResultError
from ganlab.study.arms import gather_arms

_SCRIPT = "index.js"
_TIME_SERIES = re.compile(
    r"(\.forEach\(\((\w+),(\w+)\)=>\{let (?:(?!forEach).){0,300}?)((\w+)\.colors\[\2%\5\.colors\.length\])"
)
_OLDER_PAGES = re.compile(r"(this\.identifiers\.set\((\w+),)(this\.palette\[\w+%this\.palette\.length\])\)")


def group_pattern(directory: Path) -> str:
    """What a run's name is matched with, so that its first group is the arm: for JavaScript as for Python."""
    runs = find_runs(directory)
    tail = re.escape(shared_tail(runs)).replace("\\-", "-")
    optional = f"(?:{tail})?" if tail else ""
    return rf"^(?:comparison/)?(.+?){optional}(?:-seed\d+)?$"


def arm_styles(directory: Path) -> dict[str, Style]:
    """The style of each arm by what TensorBoard calls it, as `group_pattern` reads it off the names of its runs."""
    pattern = re.compile(group_pattern(directory))

    def group_of(run: Path) -> str:
        name = run.relative_to(directory).as_posix()
        found = pattern.match(name)
        return found[1] if found else name

    try:
        arms = gather_arms(str(directory))
    except ResultError:  # one arm, or none has finished yet
        arms = []
    labels = {group_of(run.path.parent): arm.label for arm in arms for run in arm.runs.values() if run.path}
    for run in find_runs(directory):
        labels.setdefault(group_of(run), group_of(run).rpartition("/")[2].replace("-", " ", 1))
    styles = styles_of([*dict.fromkeys(arm.label for arm in arms), *sorted(labels.values())])
    return {group: styles[label] for group, label in labels.items()}


def write_page(served: Path, target: Path, styles: Mapping[str, Style], pattern: str) -> bool:
    """Copy TensorBoard's page, a zip file, with the arms' colours in it; False, and no file, where it reads otherwise.

    styles: by arm. pattern: whose first group is the arm, of the name of a run.
    """
    with zipfile.ZipFile(served) as page:
        if _SCRIPT not in page.namelist():
            return False
        script, changed = coloured(page.read(_SCRIPT).decode(), styles, pattern)
        if not changed:
            return False
        with zipfile.ZipFile(target, "w") as copy:
            for entry in page.infolist():
                copy.writestr(entry.filename, script if entry.filename == _SCRIPT else page.read(entry))
    return True


def coloured(script: str, styles: Mapping[str, Style], pattern: str) -> tuple[str, int]:
    """The script of the page that asks for an arm's colour first, and in how many of its two places it does."""
    time_series, one = _TIME_SERIES.subn(r'\1(ganlabColour(\3.replace(/^[^\/]*\//,""))||\4)', script, count=1)
    older, other = _OLDER_PAGES.subn(r"\1ganlabHex(\2)||\3)", time_series, count=1)
    table = {name: {"lightHex": style.light, "darkHex": style.dark} for name, style in styles.items()}
    head = (
        f"var ganlabArms={json.dumps(table)},ganlabName=new RegExp({json.dumps(pattern)});"
        "function ganlabColour(run){var found=run.match(ganlabName);"
        "return found&&Object.hasOwn(ganlabArms,found[1])?ganlabArms[found[1]]:null}"
        "function ganlabHex(run){var found=ganlabColour(run);"
        'return found&&(document.body.classList.contains("dark-mode")?found.darkHex:found.lightHex)}\n'
    )
    return (head + older, one + other) if one + other else (script, 0)
