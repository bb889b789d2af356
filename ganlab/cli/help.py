"""What commands print: the page of `train --help`, generated from the YAML files, and the last lines of a run."""

import json
import re
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlab.cli.choices import CONF, file_of, groups, options
from ganlab.config import flatten
from ganlab.config.plugins import as_typed
from ganlab.evaluation.registry import better
from ganlab.run.inputs import FILLED_IN, NO_FILE

if TYPE_CHECKING:
    from ganlab.cli.hydra import Plan
    from ganlab.config import RunConfig
    from ganlab.runs.result import RunResult

_LINE = 150  # characters of a choice's reason; its first sentence may have more
_HEAD = """\
ganlab.train: train a GAN with the upsampling operator of your choice, or sweep over several.

  python -m ganlab.train                                                  one run on real digits, about a minute
  python -m ganlab.train generator=upsample seed=3 training.steps=2000    other choices and settings
  python -m ganlab.train experiment=quick                                 a study; then: ganlab.compare outputs/quick
  python -m ganlab.train -m study=mine generator=upsample,transpose seed=0,1,2,3,4,5      a sweep of your own
  python -m ganlab.train -m study=mine generator=upsample,transpose seed=0,1,2,3,4,5 hydra/launcher=joblib
                                                                          the same, as many runs at once as cores
  python -m ganlab.train resume=outputs/runs/DATE/RUN                     continue a run that was stopped
  python -m ganlab.train dataset=mnist metrics=full --help                this page for other choices
"""

_TAIL = """\
Hydra's flags
  -m, --multirun      run every combination of comma-separated values, each in a process of its own
  --dry-run           list the runs, time a step of each arm, print the cost and whether the seeds can decide; stop
  --cfg job           print the settings and stop          --info defaults     where they come from
  hydra.run.dir=DIR   the folder of a run                  hydra.sweep.dir=DIR the folder of a sweep
  hydra/launcher=joblib hydra.launcher.n_jobs=4            four runs of a sweep at once
  -cd DIR             choices and experiments of your own: DIR/experiment/NAME.yaml (nothing in them is run)
  tab completion: eval "$(ganlab-train -sc install=bash)"; then ganlab-train generator=<TAB>
"""


def help_page(overrides: Sequence[str] = (), *, multirun: bool = False, config_dir: str | None = None) -> str:
    """The page of --help with these overrides: commands, every choice with its reason, every setting with its
    value and comment, Hydra's flags; for a sweep, the settings of its first run. Raises ConfigError as `plan` does.

    config_dir: the folder that -cd names; the choices in it are marked as yours.
    """
    from ganlab.cli.hydra import plan

    planned = plan(list(overrides), multirun=multirun, config_dir=config_dir, describing=True)
    default = plan([], multirun=False)
    if planned.resume is not None:
        from ganlab.runs.folder import read_config

        config = read_config(planned.resume, "resume=")
        chosen: dict[str, str | None] = {}
    else:
        config, chosen = planned.cells[0].config, dict(planned.choices)
    values, defaults = _as_given(config), _as_given(default.cells[0].config)
    if values.get("dataset.path") == NO_FILE:  # no file is named, so what it would decide is open
        values |= dict.fromkeys(("dataset.path", "dataset.size", "dataset.channels"))
    changed = {key for key, value in values.items() if key not in defaults or defaults[key] != value}
    parts = [_HEAD]
    if overrides or config_dir:
        switched = {group for group in groups() if chosen.get(group) != default.choices.get(group)}
        parts += [*_describe_request(overrides, planned, values, changed, switched, config_dir), ""]
    parts += ["Choices (* is chosen)", *_choices(chosen, config_dir), ""]
    parts += ["Settings (* differs from the default, + is typed as it stands)"]
    comments = _Comments(chosen, values, config_dir)
    for key, value in {"seed": 0, "study": None, "resume": None, **values}.items():
        comment = comments.of(key)
        if key not in FILLED_IN and (comment or key.rpartition(".")[2] != "name"):
            mark = "*" if key in changed else " "
            plus = "+" if comments.is_added(key) else ""
            parts.append(f" {mark}{f'{plus}{key}={_as_value(value)}':<44} {comment}".rstrip())
    return "\n".join([*parts, "", _TAIL])


def _as_given(config: "RunConfig") -> dict[str, Any]:
    """Settings by dotted name in the form that is typed, without plugins, which --plugin names.

    `init_from` is its folder, and the factors of rates, often none, are one setting.
    """
    tree = config.model_dump(mode="json", exclude={"plugins"})
    if config.init_from:
        tree["init_from"] = config.init_from.run
    factors = ", ".join(f"{name}: {factor}" for name, factor in config.optimizer.g_rate_factors.items())
    tree["optimizer"]["g_rate_factors"] = f"{{{factors}}}"
    return flatten(tree)


def _describe_request(
    overrides: Sequence[str],
    planned: "Plan",
    values: dict[str, Any],
    changed: set[str],
    switched: set[str],
    config_dir: str | None,
) -> list[str]:
    """What this command line asks for: its experiment's question, what it sweeps over, chooses and sets."""
    lines = [f"With {' '.join(overrides)}".rstrip() + (f" -cd {config_dir}" if config_dir else "")]
    experiment = planned.choices.get("experiment")
    if experiment:
        lines.append(f"  {_reason(file_of('experiment', experiment, config_dir).read_text(encoding='utf-8'))}")
    if planned.resume:
        lines.append(f"  the settings of {planned.resume}")
    elif planned.sweep:
        runs = f"{len(planned.cells)} runs in {planned.sweep}, over {' '.join(planned.swept)}; below, the first"
        lines.append(f"  {runs}" + (f" (at once: hydra/launcher={planned.launcher})" * (planned.launcher != "basic")))
    chosen = [f"{group}={planned.choices.get(group)}" for group in sorted(switched - {"experiment"})]
    if chosen:
        lines.append(f"  chooses {' '.join(chosen)}")
    swept = {text.partition("=")[0].lstrip("+") for text in planned.swept}
    set_keys = [key for key in values if key in changed - swept and key.partition(".")[0] not in switched]
    if set_keys:
        words = [shlex.quote(f"{key}={_as_value(values[key])}") for key in set_keys]
        lines += textwrap.wrap("  sets " + " ".join(words), 118, subsequent_indent=7 * " ", break_on_hyphens=False)
    return lines


def _choices(chosen: Mapping[str, str | None], config_dir: str | None) -> list[str]:
    lines = []
    for group in groups():
        for option in options(group, config_dir):
            path = file_of(group, option, config_dir)
            mark = "*" if chosen.get(group) == option else " "
            yours = "" if path.is_relative_to(CONF) else "(yours) "
            reason = _reason(path.read_text(encoding="utf-8"))
            lines.append(f" {mark}{f'{group}={option}':<32} {yours}{reason}".rstrip())
    return lines


def _reason(text: str) -> str:
    """The first sentence of a file's first comment, and as many of the next as fit into a line."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#") or line.startswith("#  "):
            break
        if "@package" not in line:
            lines.append(line.lstrip("# "))
    first, *sentences = re.split(r"(?<=[.?!]) ", " ".join(lines))
    for sentence in sentences:
        if len(first) + len(sentence) >= _LINE:
            break
        first = f"{first} {sentence}"
    return first


def wrap_page(text: str, width: int) -> str:
    """A page whose lines wider than the terminal are wrapped below their comments."""
    lines = []
    for line in text.split("\n"):
        column = re.match(r" *\S+ *", line)
        indent = min(column.end() if column else 0, 48) * " "
        lines += textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False,
                               drop_whitespace=True) if len(line) > width else [line]  # fmt: skip
    return "\n".join(lines)


class _Comments:
    """The comments on settings in the YAML files, by dotted name."""

    def __init__(self, chosen: Mapping[str, str | None], values: Mapping[str, Any], config_dir: str | None) -> None:
        self._values = values
        text = (CONF / "config.yaml").read_text(encoding="utf-8").partition("\nseed:")[2].partition("\nhydra:")[0]
        self._plain = _settings(f"seed:{text}")
        # A choice's own file comes first; then the others, for settings that it takes from one of them.
        self._files = [
            (option == chosen.get(group), _settings(file_of(group, option, config_dir).read_text("utf-8"), f"{group}."))
            for group in groups() if group != "experiment" for option in options(group, config_dir)
        ]  # fmt: skip
        self._files.sort(key=lambda file: not file[0])

    def of(self, key: str) -> str:
        """The comment of a setting; empty if it has none."""
        if comment := self._plain.get(key, ("", ""))[1]:
            return comment
        parent, _, name = key.rpartition(".")
        place = "generator.upsampling" if parent in _OPERATORS else parent
        kind = self._values.get(f"{parent}.name")
        for chosen, file in self._files:
            applies = (chosen and place == parent) or file.get(f"{place}.name", (None,))[0] == kind
            if applies and (comment := file.get(f"{place}.{name}", ("", ""))[1]):
                return comment
        return next((text for _, file in self._files if (text := file.get(f"{place}.{name}", ("", ""))[1])), "")

    def is_added(self, key: str) -> bool:
        """Whether no YAML file has the setting, so that it must be typed with a plus."""
        return key.rpartition(".")[0] in _OPERATORS and key not in self._plain


_OPERATORS = ("generator.elsewhere", "generator.reference")
"""Operators besides the one under study, whose settings the choices of generator describe."""


def _settings(text: str, prefix: str = "") -> dict[str, tuple[str, str]]:
    """{dotted name: (value, comment)} from YAML in which each setting is on a line with its comment."""
    comments, path = {}, [(-1, prefix)]
    for line in text.splitlines():
        match = re.match(r"^( *)(\w+):\s*(.*?)\s*(?:#\s*(.*))?$", line)
        if not match:
            continue
        indent, name, value, comment = len(match[1]), match[2], match[3], match[4] or ""
        while path[-1][0] >= indent:
            path.pop()
        if not value:
            path.append((indent, f"{path[-1][1]}{name}."))
        else:
            comments[f"{path[-1][1]}{name}"] = value, comment
    return comments


def _as_value(value: Any) -> str:
    """A value as typed on a command line, without the quotes that a shell needs."""
    if isinstance(value, list):
        return f"[{','.join(map(_as_value, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def last_lines(result: "RunResult", directory: Path) -> str:
    """The last lines of a run: how it went, where everything is, and what to type next."""
    plugins, folder = as_typed(result.config.get("plugins", [])), shlex.quote(str(directory))
    if result.status == "interrupted":
        return f"interrupted; continue with: python -m ganlab.train{plugins} resume={folder}"
    if result.status == "diverged":
        return f"{directory} diverged: {result.error}"
    floor, nulls = result.real_against_real or {}, result.nulls or {}
    full = {name for name in result.metrics if name.startswith("full/")}
    duration = [f" in {result.seconds:.0f} s"] if result.seconds is not None else []
    rate = [f" {result.images_per_second:.0f} images/s"] if result.images_per_second is not None else []
    lines = [f"finished{','.join(duration + rate)}"]
    for names, protocol in ((result.metrics.keys() - full, result.protocol), (full, result.protocol.get("full"))):
        if protocol:
            values = {name: value for name, value in result.metrics.items() if name in names}
            lines += [f"  {describe_counts(protocol)}", measures_table(values, result.spread, floor, nulls)]
    best = result.best
    if best and best.step != result.config["training"]["steps"]:
        lines.append(f"the best checkpoint is of step {best.step}, {best.metric} {best.value:.4g}: --step best")
    lines += [
        f"everything is in {directory}",
        f"  images:      {directory}/samples",
        f"  more images: python -m ganlab.sample{plugins} {folder}",
        f"  curves:      python -m ganlab.dashboard {folder}",
    ]
    return "\n".join(lines)


Values = Mapping[str, float]


def measures_table(values: Values, spread: Values, floor: Values, nulls: Values) -> str:
    """A header and a line for each measure, without empty columns. The last column says which side is better.

    spread: standard deviation over sets of generated images. floor: real images instead. nulls: what equal
    distributions score by formula.
    """
    columns = {"": values, "+-": spread, "real images": floor, "equal": nulls}
    columns = {title: column for title, column in columns.items() if column}
    width = max(len(name) for name in values)
    sides = {name: better(name) for name in values}
    last = "better" if any(sides.values()) else ""
    rows = [" " * width + "".join(f"  {title:>11}" for title in columns) + f"  {last}"]
    rows += [
        f"{name:<{width}}"
        + "".join(f"  {_measure(column.get(name)):>11}" for column in columns.values())
        + f"  {sides[name]}"
        for name in values
    ]
    return "\n".join(f"  {row.rstrip()}" for row in rows)


def describe_counts(protocol: Mapping[str, Any]) -> str:
    """How many images of each side, and through which features."""
    features, sets = protocol["features"], protocol["sets"]
    generated = f"{sets} x {protocol['n_fake']}" if sets > 1 else str(protocol["n_fake"])
    return (
        f"distances: {protocol['n_real']} held-out and {generated} generated images, "
        f"precision to coverage: {protocol['n_equal']} of each; "
        f"features: {features if isinstance(features, str) else ', '.join(features)}"
    )


def _measure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}" if value and abs(value) < 1e-3 else f"{value:.4f}"
