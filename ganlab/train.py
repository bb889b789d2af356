"""Train one GAN, or sweep over many: `python -m ganlab.train [name=value ...]`. `--help` says the rest."""

import os
import shutil
import sys

from ganlab.cli.exit import HELP, VERSION, one_line
from ganlab.config.plugins import folders, take
from ganlab.device import check_environment
from ganlab.errors import ConfigError, expand
from ganlab.launch.process import finish

_ASKS_HYDRA = ("--cfg", "-c", "--info", "-i", "--shell-completion", "-sc", "--hydra-help")
_CONFIG_DIR = ("-cd", "--config-dir")


def main() -> None:
    """The command line; exit status 0 done, 1 a run failed or diverged, 2 a wrong setting, 130 interrupted."""
    arguments = sys.argv[1:]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come here whole, and leave as one line
    with one_line():
        sys.exit(_command(take(arguments)))


def _command(arguments: list[str]) -> int:
    if "--version" in arguments:
        print(VERSION)
        return 0
    if set(HELP) & set(arguments):
        from ganlab.cli.help import folded, page

        flags, overrides, config_dir = _read([argument for argument in arguments if argument not in HELP])
        text = page(overrides, multirun="multirun" in flags, config_dir=config_dir)
        print(folded(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text)
        return 0
    if any(argument.split("=")[0] in _ASKS_HYDRA for argument in arguments):
        try:
            _hydra(arguments)
        except ValueError as error:  # Hydra's, of flags that do not go together
            raise ConfigError(" ".join(str(error).split())) from None
        return 0
    from ganlab.cli.hydra import plan
    from ganlab.files import cache_folder
    from ganlab.run.inputs import check_inputs

    flags, overrides, config_dir = _read(arguments)
    wanted = plan(overrides, multirun="multirun" in flags, config_dir=config_dir)
    check_environment()
    if "dry-run" in flags:
        from ganlab.launch.dry_run import show

        return show(wanted)
    cache_folder()  # every run keeps what is computed of its real images there
    if wanted.resume is not None:
        return finish(wanted.resume, steps=wanted.steps)
    for cell in wanted.cells:
        check_inputs(cell.config)
    if wanted.sweep is None:
        return finish(wanted.cells[0].directory, wanted.cells[0].config)
    from ganlab.launch.sweep import launch

    return launch(wanted, arguments, _hydra)


def _read(arguments: list[str]) -> tuple[set[str], list[str], str | None]:
    """Flags, overrides and the extra folder of configurations; the rest of Hydra's flags are refused by name."""
    flags, overrides, config_dir = set(), [], None
    rest = iter(arguments)
    for argument in rest:
        if argument in ("-m", "--multirun"):
            flags.add("multirun")
        elif argument in ("-r", "--run"):
            flags.add("run")
        elif argument == "--dry-run":
            flags.add("dry-run")
        elif argument.split("=")[0] in _CONFIG_DIR:
            config_dir = argument.partition("=")[2] or next(rest, "")
            config_dir = config_dir and str(expand(config_dir, "-cd "))
        elif argument.startswith("-"):
            raise ConfigError(f"{argument} is not a flag of this command; see --help")
        else:
            overrides.append(argument)
    if {"run", "multirun"} <= flags:
        raise ConfigError("-r asks for one run and -m for many; leave one of them out")
    return flags, overrides, config_dir


def _hydra(arguments: list[str]) -> None:
    """Let Hydra do what it does: show settings, complete words, or launch the cells of a sweep."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from ganlab.cli.choices import CONF
    from ganlab.cli.hydra import explain_hydra
    from ganlab.launch.sweep import run_cell

    arguments = _for_hydra(arguments)
    if places := folders():  # of plugins
        arguments.append(f"hydra.searchpath=[{','.join(f'file://{place}' for place in places)}]")
    sys.argv[1:] = arguments  # where Hydra reads them
    try:
        hydra.main(version_base="1.3", config_path=str(CONF.absolute()), config_name="config")(run_cell)()
    except (HydraException, OmegaConfBaseException) as error:
        raise explain_hydra(error, arguments) from None
    except OSError as error:
        if error.filename is None:  # nothing of a folder: the reader of a pipe has gone, a host did not answer
            raise
        raise ConfigError(f"{error.filename} cannot be written ({error.strerror}); choose another folder") from None


def _for_hydra(arguments: list[str]) -> list[str]:
    """A command line as Hydra can read it: home directories written out, and words quoted that its grammar lacks."""
    from ganlab.cli.hydra import quoted

    read = []
    for last, text in zip(["", *arguments], arguments, strict=False):
        name, equals, value = text.partition("=")
        if last in _CONFIG_DIR:
            text = str(expand(text, "-cd "))
        elif name in _CONFIG_DIR and equals:
            text = f"{name}={expand(value, '-cd ')}"
        elif not text.startswith("-"):
            text = quoted(text)
        read.append(text)
    return read


if __name__ == "__main__":
    from ganlab.train import main as imported  # by its own name, so that other processes find its functions

    imported()
