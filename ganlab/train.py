"""Train one GAN, or sweep over many: `python -m ganlab.train [name=value ...]`. `--help` says the rest."""

import shutil
import sys
from typing import NamedTuple

from ganlab.cli.exit import HELP, VERSION, one_line
from ganlab.config.plugins import take_plugins
from ganlab.device import check_environment
from ganlab.environment import safe_path
from ganlab.errors import ConfigError, expand, nearest
from ganlab.launch.process import finish

_SHORT = {
    "-m": "--multirun",
    "-r": "--run",
    "-sc": "--shell-completion",
    "-cd": "--config-dir",
    "-c": "--cfg",
    "-i": "--info",
    "-p": "--package",
}
_FLAGS = ("--multirun", "--run", "--dry-run", "--shell-completion", "--resolve")
_WITH_VALUE = ("--config-dir", "--cfg", "--info", "--package")
_ALLOWED_VALUES = {"cfg": ("job", "hydra", "all"), "info": ("defaults", "defaults-tree", "searchpath")}
_MODES = ("multirun", "dry-run", "cfg", "info", "shell-completion")


class _CommandLine(NamedTuple):
    """A command line: its flags, its overrides, the extra folder of YAML files, and the flags that have values."""

    flags: set[str]
    overrides: list[str]
    config_dir: str | None
    values: dict[str, str]


def main() -> None:
    """The command line; exit status 0 done, 1 a run failed or diverged, 2 a wrong setting, 130 interrupted."""
    arguments = sys.argv[1:]
    with one_line():
        sys.exit(_command(take_plugins(arguments)))


def _command(arguments: list[str]) -> int:
    if "--version" in arguments:
        print(VERSION)
        return 0
    if set(HELP) & set(arguments):
        from ganlab.cli.help import help_page, wrap_page

        flags, overrides, config_dir, _ = _read([argument for argument in arguments if argument not in HELP])
        text = help_page(overrides, multirun="multirun" in flags, config_dir=config_dir)
        print(wrap_page(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text)
        return 0
    line = _read(arguments)
    if queries := [name for name in ("cfg", "info", "shell-completion") if name in line.flags]:
        from ganlab.cli.hydra import show

        options = {"package": line.values.get("package"), "resolve": "resolve" in line.flags}
        show(queries[0], line.values.get(queries[0], ""), line.overrides, line.config_dir, **options)
        return 0
    from ganlab.cli.hydra import plan
    from ganlab.files import cache_folder
    from ganlab.run.inputs import check_all_inputs

    flags, overrides, config_dir, _ = line
    planned = plan(overrides, multirun="multirun" in flags, config_dir=config_dir)
    if planned.resume is not None and "multirun" in flags:
        raise ConfigError(f"-m sweeps, and resume={planned.resume} continues one run; leave one of them out")
    check_environment()
    check_all_inputs(cell.config for cell in planned.cells)
    if "dry-run" in flags:
        from ganlab.launch.dry_run import show

        with safe_path():
            return show(planned)
    cache_folder()  # every run caches there what it computes from its real images
    if planned.resume is not None:
        return finish(planned.resume, steps=planned.steps)
    if planned.sweep is None:
        return finish(planned.cells[0].directory, planned.cells[0].config)
    from ganlab.cli.hydra import launch_cells
    from ganlab.launch.sweep import launch, run_cell

    return launch(planned, arguments, lambda more: launch_cells(run_cell, [*overrides, *more], config_dir))


def _read(arguments: list[str]) -> _CommandLine:
    """Read a command line with the flags above; all others, and abbreviated names, are refused."""
    flags, overrides, values = set(), [], {}
    remaining = iter(arguments)
    for argument in remaining:
        name, equals, value = argument.partition("=")
        long_name = _SHORT.get(name, name)
        flag = long_name.removeprefix("--")
        if long_name in _FLAGS and not equals:
            flags.add(flag)
        elif long_name in _WITH_VALUE:
            values[flag] = value if equals else next(remaining, "")
            flags.add(flag)
            if not values[flag] and flag == "package":
                raise ConfigError(f"{name} does not name a part of the settings; write {name} NAME, such as training")
            if flag in _ALLOWED_VALUES and values[flag] not in _ALLOWED_VALUES[flag]:
                raise ConfigError(
                    f"{name} {values[flag]} is not something to show; {nearest(values[flag], _ALLOWED_VALUES[flag])}"
                )
        elif argument.startswith("-"):
            raise ConfigError(f"{argument} is not a flag of this command; see --help")
        else:
            overrides.append(argument)
    if {"run", "multirun"} <= flags:
        raise ConfigError("-r asks for one run and -m for many; leave one of them out")
    modes = [name for name in _MODES if name in flags]
    if len(modes) > 1 and modes != ["multirun", "dry-run"]:
        raise ConfigError(f"--{modes[0]} and --{modes[1]} do not go together; leave one of them out")
    for name in ("resolve", "package"):
        if name in flags and "cfg" not in flags:
            raise ConfigError(f"--{name} says how --cfg shows settings; add that, or leave it out")
    config_dir = values.get("config-dir")
    return _CommandLine(flags, overrides, config_dir and str(expand(config_dir, "-cd ")), values)


if __name__ == "__main__":
    from ganlab.train import main as imported  # by its own name, so that other processes find its functions

    imported()
