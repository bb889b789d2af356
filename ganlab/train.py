"""Train one GAN, or sweep over many: `python -m ganlab.train [name=value ...]`. `--help` says the rest."""

import os
import sys
import traceback
from pathlib import Path

from ganlab.choose import ConfigError
from ganlab.command import one_line

_ASKS_HYDRA = ("--cfg", "-c", "--info", "-i", "--shell-completion", "-sc", "--hydra-help", "--version")


def main() -> None:
    """The command line; exit status 0 done, 1 a run failed or diverged, 2 a wrong setting, 130 interrupted."""
    arguments = sys.argv[1:]
    if {"--help", "-h"} & set(arguments):
        from ganlab.manual import page

        print(page())
        sys.exit(0)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come here whole, and leave as one line
    with one_line():
        sys.exit(_command(arguments))


def _command(arguments: list[str]) -> int:
    if any(argument.split("=")[0] in _ASKS_HYDRA for argument in arguments):
        try:
            _hydra(arguments)
        except ValueError as error:  # Hydra's, of flags that do not go together
            raise ConfigError(" ".join(str(error).split())) from None
        return 0
    from ganlab.compose import plan
    from ganlab.run.inputs import check_inputs

    flags, overrides, config_dir = _read(arguments)
    wanted = plan(overrides, multirun="multirun" in flags, config_dir=config_dir)
    if wanted.resume is not None:
        return finish(wanted.resume)
    for cell in wanted.cells:
        check_inputs(cell.config)
    if wanted.sweep is None:
        return finish(wanted.cells[0].directory, wanted.cells[0].config)
    from ganlab.sweep import launch

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
        elif argument.split("=")[0] in ("-cd", "--config-dir"):
            config_dir = argument.partition("=")[2] or next(rest, "")
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

    from ganlab.compose import explain_hydra
    from ganlab.library import CONF
    from ganlab.sweep import run_cell

    sys.argv[1:] = arguments  # where Hydra reads them
    try:
        hydra.main(version_base="1.3", config_path=str(CONF.absolute()), config_name="config")(run_cell)()
    except (HydraException, OmegaConfBaseException) as error:
        raise explain_hydra(error, arguments) from None
    except OSError as error:
        if error.filename is None:  # nothing of a folder: the reader of a pipe has gone, a host did not answer
            raise
        raise ConfigError(f"{error.filename} cannot be written ({error.strerror}); choose another folder") from None


def finish(directory: Path, config=None, *, held: bool = False) -> int:
    """Run to the end in a folder (settings from its config.json unless given), say how it went, return the status.

    held: whether another process holds the folder for this one.
    """
    from ganlab.run import read_config, run

    config = config or read_config(directory, "resume=")
    trouble = directory / "error.txt"
    if trouble.exists():  # of an earlier try
        trouble.unlink()
    try:
        result = run(config, directory, held=held)
    except (ConfigError, KeyboardInterrupt):
        raise
    except Exception as error:
        trouble.write_text(traceback.format_exc())
        print(f"{directory} failed: {' '.join(str(error).split()) or type(error).__name__}; see {trouble}",
              file=sys.stderr)  # fmt: skip
        return 1
    from ganlab.manual import ending

    print(ending(result, directory), file=sys.stderr if result.status == "diverged" else sys.stdout)
    return {"finished": 0, "interrupted": 130}.get(result.status, 1)


if __name__ == "__main__":
    from ganlab.train import main as imported  # by its own name, so that other processes find its functions

    imported()
