"""Look into a generator without training it: `python -m ganlab.inspect [name=value ...]`. `--help` says the rest."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab import views
from ganlab.choose import ConfigError, expand, nearest
from ganlab.command import HELP, VERSION, one_line

_HELP = """\
ganlab.inspect: look into a generator, in the terminal and as one PNG. Nothing is trained; a few seconds.

  python -m ganlab.inspect generator=upsample                     one generator
  python -m ganlab.inspect generator=transpose generator.upsampling.kernel_size=5
  python -m ganlab.inspect --compare upsample,transpose,fir       several, side by side
  python -m ganlab.inspect run=outputs/runs/DATE/RUN              the averaged generator (EMA) of a trained run

It shows
  the layers: shapes, kernels, parameters, multiply-accumulates (MACs) as written and as executed, receptive fields
  what the operator does to [[1,2],[3,4]], through a kernel with a single 1 and through all ones
  its overlap: how many taps of the kernel reach each output pixel
  its variance by phase and its lattice fraction, over {draws} draws of the kernel; of a run, its own kernels'
  images, and the power spectrum of {images} of them

Its own settings
  --compare ARMS   choices of `generator`, with commas between
  run=DIR          a trained run, whose settings are taken; no others may be given
  out=FILE.png     the picture (default: outputs/inspect/ARM.png; with run=, in the run's folder)
  log=true         write it for TensorBoard too, into a folder FILE.events beside the picture

Every setting of a run can be given: python -m ganlab.train --help. Those of training change nothing here, and
numbers are float32 whatever precision says. The choices of `generator`:
  {arms}
"""


@dataclass(frozen=True)
class _Options:
    overrides: list[str]
    compare: list[str]
    run: Path | None
    out: Path | None
    log: bool


def main() -> None:
    """The command line; exit status 2 for a wrong setting, 1 where a run has no usable checkpoint."""
    arguments = sys.argv[1:]
    with one_line():
        if "--version" in arguments:
            print(VERSION)
        elif set(HELP) & set(arguments):
            from ganlab.library import options

            print(_HELP.format(draws=views.DRAWS, images=views.IMAGES, arms=" ".join(options("generator"))), end="")
        else:
            _command(_read(arguments))


def _read(arguments: list[str]) -> _Options:
    """Our own words out of the command line; what is left are Hydra's overrides."""
    overrides, own, compare = [], {"run": "", "out": "", "log": "false"}, None
    rest = iter(arguments)
    for argument in rest:
        name, _, value = argument.partition("=")
        if name == "--compare":
            compare = value or next(rest, "")
        elif argument.startswith("-"):
            raise ConfigError(f"{argument} is not a flag of this command; see --help")
        elif name in own and "=" in argument:
            if not value:
                raise ConfigError(f"{argument} says nothing; write {name}=value")
            own[name] = value
        else:
            overrides.append(argument)
    if own["log"] not in ("true", "false"):
        raise ConfigError(f"log={own['log']} is not true or false")
    out = expand(own["out"], "out=") if own["out"] else None
    if out is not None and (out.suffix.lower() != ".png" or out.is_dir()):
        raise ConfigError(f"out={out} is no name of a picture; use one that ends in .png")
    arms = [arm.strip() for arm in compare.split(",")] if compare is not None else []
    options = _Options(overrides, arms, expand(own["run"], "run=") if own["run"] else None, out, own["log"] == "true")
    _check(options)
    return options


def _check(options: _Options) -> None:
    from ganlab.library import options as choices

    arms = choices("generator")
    chosen = [text for text in options.overrides if text.startswith("generator=")]
    if options.run is not None and (options.overrides or options.compare):
        other = options.overrides[0] if options.overrides else "--compare"
        raise ConfigError(f"run={options.run} takes its settings from that run; leave out {other}")
    if resume := [text for text in options.overrides if text.startswith("resume=")]:
        raise ConfigError(f"{resume[0]} goes on with a run; to look into it use run={resume[0].partition('=')[2]}")
    for text in chosen:
        if "," in text:
            raise ConfigError(f"{text} has several values; use --compare {text.partition('=')[2]}")
        if options.compare:
            raise ConfigError(f"{text} and --compare both choose the generator; leave out one")
    for arm in options.compare:
        if arm not in arms:
            raise ConfigError(f"--compare={arm} is unknown; {nearest(arm, arms)}")
        if options.compare.count(arm) > 1:
            raise ConfigError(f"--compare={','.join(options.compare)} names {arm} twice; leave out one")


def _command(options: _Options) -> None:
    from ganlab.compose import plan

    configs = []
    if options.run is None:
        choices: list[list[str]] = [[f"generator={arm}"] for arm in options.compare] or [[]]
        configs = [plan([*options.overrides, *choice], multirun=False).cells[0].config for choice in choices]
    from ganlab import device

    if options.run is None:
        device.start("float32")
        names = options.compare or [configs[0].generator.name]
        out = options.out or Path("outputs/inspect") / f"{'-'.join(names)}.png"
        shown = [views.before_training(config, views.side(configs)) for config in configs]
    else:
        view, step = views.trained(options.run)
        out = options.out or options.run / f"inspect-step-{step:08d}.png"
        shown = [view]
    from ganlab.reporting import grids, inspection

    inspection.show(shown)
    pixels = inspection.picture(shown)
    grids.save_png(out, pixels)
    print(f"picture: {out}")
    if options.log:
        print(f"tensorboard --logdir {_log(out, pixels, inspection.markdown(shown))}")
    if options.run is None and not options.compare:
        print(f"to train it: python -m ganlab.train {shlex.join(options.overrides)}".rstrip())


def _log(out: Path, pixels: Any, text: str) -> Path:
    """The picture and the tables as TensorBoard takes them; an earlier look of the same name is replaced."""
    from ganlab.reporting.records import Records

    folder = out.with_suffix(".events")  # a name that no run has: what is in it is replaced
    with Records(folder, resume={}) as records:
        records.image(0, "inspect/picture", pixels)
        records.text(0, "inspect/layers", text)
    return folder


if __name__ == "__main__":
    main()
