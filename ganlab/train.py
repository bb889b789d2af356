"""Train one GAN, or sweep over many: `python -m ganlab.train [name=value ...]`. `--help` says the rest."""

import argparse
import contextlib
import os
import shutil
import sys
from pathlib import Path

from ganlab.cli.exit import HELP, VERSION, Parser, one_line
from ganlab.config.plugins import take_plugins
from ganlab.device import check_environment
from ganlab.environment import safe_path
from ganlab.errors import ConfigError, expand
from ganlab.launch.process import finish


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

        line = _read([argument for argument in arguments if argument not in HELP])
        text = help_page(line.overrides, multirun=line.multirun, config_dir=line.config_dir)
        print(wrap_page(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text)
        return 0
    line = _read(arguments)
    if line.shell_completion:
        line.config_dir = _take_flags() or line.config_dir
    for query in ("cfg", "info", "shell_completion"):
        if value := getattr(line, query):
            from ganlab.cli.hydra import show

            text = value if isinstance(value, str) else ""
            name = query.replace("_", "-")
            show(name, text, line.overrides, line.config_dir, package=line.package, resolve=line.resolve)
            return 0
    from ganlab.cli.hydra import plan
    from ganlab.files import cache_folder
    from ganlab.run.inputs import check_all_inputs

    planned = plan(line.overrides, multirun=line.multirun, config_dir=line.config_dir)
    if planned.resume is not None and line.multirun:
        raise ConfigError(f"-m sweeps, and resume={planned.resume} continues one run; leave one of them out")
    check_environment()
    check_all_inputs(cell.config for cell in planned.cells)
    if line.dry_run:
        from ganlab.launch.dry_run import show

        with safe_path():
            return show(planned)
    cache_folder()  # every run caches there what it computes from its real images
    if planned.resume is not None:
        return finish(planned.resume, steps=planned.steps)
    if planned.sweep is None:
        return finish(planned.cells[0].directory, planned.cells[0].config)
    from ganlab.cli.hydra import launch_cells
    from ganlab.launch.sweep import launch, task_of

    task = task_of(planned)
    return launch(planned, arguments, lambda more: launch_cells(task, [*line.overrides, *more], line.config_dir))


def _take_flags() -> str | None:
    """Take the flags, unknown to Hydra, out of the line that a shell wants completed; returns the folder of its -cd."""
    program, *typed = os.environ.get("COMP_LINE", "").split(" ")
    with contextlib.suppress(ConfigError):  # a plugin whose name is not typed to its end
        typed = take_plugins(typed)
    words, folder, remaining = [program], None, iter(typed)
    for word in remaining:
        name, equals, value = word.partition("=")
        if name in ("-cd", "--config-dir", "--plugin"):
            place = Path(value if equals else next(remaining, "")).expanduser()
            folder = str(place) if name != "--plugin" and place.is_dir() else folder
        elif not name.startswith("-"):
            words.append(word)
    os.environ["COMP_LINE"] = " ".join(words)
    return folder


def _read(arguments: list[str]) -> argparse.Namespace:
    """Read a command line with these flags; all others, and abbreviated names, are refused."""
    parser = Parser("ganlab.train", add_help=False)
    parser.add_argument("overrides", nargs="*")
    number = parser.add_mutually_exclusive_group()
    number.add_argument("-m", "--multirun", action="store_true")
    number.add_argument("-r", "--run", action="store_true")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--dry-run", action="store_true")
    instead.add_argument("-sc", "--shell-completion", action="store_true")
    instead.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
    instead.add_argument("-i", "--info", choices=("defaults", "defaults-tree", "searchpath"))
    parser.add_argument("-p", "--package")
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("-cd", "--config-dir")
    flags = {flag for action in parser._actions for flag in action.option_strings}
    for argument in arguments:
        if argument.startswith("-") and argument.partition("=")[0] not in flags:
            raise ConfigError(f"{argument} is not a flag of this command; see --help")
    line = parser.parse_intermixed_args(arguments)
    if line.multirun and (line.cfg or line.info or line.shell_completion):
        raise ConfigError("-m starts runs, and --cfg, --info and --shell-completion none; leave one of them out")
    if (line.resolve or line.package) and not line.cfg:
        raise ConfigError("--resolve and --package say how --cfg shows settings; add that, or leave them out")
    if line.config_dir is not None:
        line.config_dir = str(expand(line.config_dir, "-cd "))
    return line


if __name__ == "__main__":
    from ganlab.train import main as imported  # by its own name, so that other processes find its functions

    imported()
