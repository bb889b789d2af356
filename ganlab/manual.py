"""What the commands say: the one page of `train --help`, written from the YAML files, and the last lines of a run."""

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ganlab.library import CONF, groups, options
from ganlab.reporting.measures import counts, table

if TYPE_CHECKING:
    from ganlab.reporting.results import RunResult

_HEAD = """\
ganlab.train: train a GAN whose generator enlarges with the operator of your choice, or sweep over many.

  python -m ganlab.train                                                    one run on real digits, about a minute
  python -m ganlab.train generator=upsample seed=3 training.steps=2000      other choices and settings
  python -m ganlab.train experiment=quick                                   a study; then: ganlab.compare outputs/quick
  python -m ganlab.train -m study=mine generator=upsample,transpose seed=0,1,2             a sweep of your own
  python -m ganlab.train -m study=mine seed=0,1,2,3 hydra/launcher=joblib hydra.launcher.n_jobs=2      two at a time
  python -m ganlab.train resume=outputs/runs/DATE/TIME                      go on with a run that was stopped
"""

_TAIL = """\
Hydra's flags
  -m, --multirun      run every combination of comma-separated values, each in a process of its own
  --dry-run           list the runs, time a step of each arm, say what it costs and whether the seeds can decide; stop
  --cfg job           print the settings and stop          --info defaults     where they come from
  hydra.run.dir=DIR   the folder of a run                  hydra.sweep.dir=DIR the folder of a sweep
  -cd DIR             more YAML files (trust them as you trust code)
  tab completion: eval "$(ganlab-train -sc install=bash)"; then ganlab-train generator=<TAB>
"""


def page() -> str:
    """What it does, six commands, every choice with its reason, every setting with its comment, Hydra's flags."""
    defaults = dict(re.findall(r"^  - (\w+): (\w+)", (CONF / "config.yaml").read_text(), re.M))
    choices, settings = ["Choices"], ["Settings"]
    for group in groups():
        for option in options(group):
            text = (CONF / group / f"{option}.yaml").read_text()
            mark = "*" if defaults.get(group) == option else " "
            choices.append(f" {mark}{f'{group}={option}':<32} {_reason(text)}")
            if mark == "*" and group != "experiment":
                settings += _settings(text, f"{group}.")
    own = _settings(
        (CONF / "config.yaml").read_text().partition("\nseed:")[2].partition("\nhydra:")[0].join(("seed:", ""))
    )
    return "\n".join([_HEAD, *choices, "", settings[0], *own, *settings[1:], "", _TAIL])


def _reason(text: str) -> str:
    lines = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#") and "@package" not in line]
    return lines[0] if lines else ""


def _settings(text: str, prefix: str = "") -> list[str]:
    """Lines of `name=value  comment` from YAML in which a setting stands on a line with its comment."""
    found, path = [], [(-1, prefix)]
    for line in text.splitlines():
        match = re.match(r"^( *)(\w+):\s*(.*?)\s*(?:#\s*(.*))?$", line)
        if not match:
            continue
        indent, name, value, comment = len(match[1]), match[2], match[3], match[4] or ""
        while path[-1][0] >= indent:
            path.pop()
        if not value:
            path.append((indent, f"{path[-1][1]}{name}."))
        elif name != "name" or comment:
            found.append(f"  {f'{path[-1][1]}{name}={value}':<44} {comment}".rstrip())
    return found


def ending(result: "RunResult", directory: Path) -> str:
    """The last lines of a run: how it went, where everything is, and what to type next."""
    if result.status == "interrupted":
        return f"interrupted; go on with: python -m ganlab.train resume={shlex.quote(str(directory))}"
    if result.status == "diverged":
        return f"{directory} diverged: {result.model_extra and result.model_extra.get('error')}"
    more = result.model_extra or {}
    floor, nulls = more.get("real_against_real", {}), more.get("nulls", {})
    full = {name for name in result.metrics if name.startswith("full/")}
    took = [f" in {result.seconds:.0f} s"] if result.seconds is not None else []
    rate = [f" {result.images_per_second:.0f} images/s"] if result.images_per_second is not None else []
    lines = [f"finished{','.join(took + rate)}"]
    for names, protocol in ((result.metrics.keys() - full, result.protocol), (full, result.protocol.get("full"))):
        if protocol:
            values = {name: value for name, value in result.metrics.items() if name in names}
            lines += [f"  {counts(protocol)}", table(values, more.get("spread", {}), floor, nulls)]
    lines += [
        f"everything is in {directory}",
        f"  images:      {directory}/samples",
        f"  more images: python -m ganlab.sample {directory}",
        f"  curves:      python -m ganlab.dashboard {directory}",
    ]
    return "\n".join(lines)
