"""Inspect a generator without training it: `python -m ganlab.inspect [name=value ...]`; see `--help`."""

import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ganlab.cli.choices import CONF
from ganlab.cli.choices import options as choices
from ganlab.cli.exit import HELP, VERSION, one_line
from ganlab.config.plugins import take_plugins
from ganlab.errors import ConfigError, expand
from ganlab.inspection import views
from ganlab.inspection.arms import Arm, label, picture_name, read_arms, whole_name

_HELP = """\
ganlab.inspect: inspect a generator or images, in the terminal and as one PNG. It trains nothing and takes seconds.

  python -m ganlab.inspect generator=upsample                     one generator
  python -m ganlab.inspect generator=transpose kernel_size=5
  python -m ganlab.inspect --compare upsample,transpose,fir       several, side by side
  python -m ganlab.inspect --compare 'transpose kernel_size=3' 'transpose kernel_size=5' upsample
  python -m ganlab.inspect run=outputs/runs/DATE/RUN              the averaged generator (EMA) of a trained run

It shows
  the layers: shapes, kernels, parameters, multiply-accumulates (MACs) as written and as executed, receptive fields
  what the operator does to [[1,2],[3,4]], through a kernel with a single 1 and through all ones
  its overlap: how many taps of the kernel reach each output pixel
  its variance by phase and its lattice fraction, over {draws} draws of the kernel; of a run, its own kernels'
  images, and the power spectrum of {images} of them

With a dataset and no generator it inspects the images:
  python -m ganlab.inspect dataset=folder dataset.path=FOLDER     images of your own (or a .zip or .tar of them)
  python -m ganlab.inspect dataset=photos
  their files, sizes, channels, classes, what cannot be read; what training would see; a contact sheet, the mean
  image, the spectrum, and the held-out images that are nearest to a training image

Its own settings
  --compare ARM...  choices of `generator`, each in quotes with its own settings, or plain ones with commas
  run=DIR           a trained run, whose settings are used; no others may be given
  out=FILE.png      the picture (default: in outputs/inspect, named after the settings; with run=, in the run's folder)
  log=true          write it for TensorBoard too, into a folder FILE.events beside the picture

Every setting of a run can be given: python -m ganlab.train --help. Those of training change nothing here, and
numbers are float32 whatever precision says. Settings of the generator and its operator do not need their prefix:
kernel_size=3 is generator.upsampling.kernel_size=3.

The choices of `generator`
{arms}
"""


@dataclass(frozen=True)
class _Options:
    overrides: list[str]
    compare: list[Arm] | None
    run: Path | None
    out: Path | None
    log: bool


def main() -> None:
    """The command line; exit status 2 for a wrong setting, 1 if a run has no usable checkpoint."""
    arguments = sys.argv[1:]
    with one_line():
        if "--version" in arguments:
            print(VERSION)
        elif set(HELP) & set(arguments):
            print(_HELP.format(draws=views.DRAWS, images=views.IMAGES, arms=_choices()), end="")
        else:
            _command(_read(take_plugins(arguments)))


def _read(arguments: list[str]) -> _Options:
    """Separate our own options from Hydra's overrides.

    After --compare, any argument whose first word has no = is an arm.
    """
    overrides, flags = [], {"run": "", "out": "", "log": "false"}
    compare: list[str] | None = None
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name == "--compare":
            compare = [*(compare or []), *([value] if "=" in argument else [])]
        elif argument.startswith("-"):
            raise ConfigError(f"{argument} is not a flag of this command; see --help")
        elif compare is not None and "=" not in (argument.split() or [""])[0] and not argument.startswith("~"):
            compare.append(argument)
        elif name in flags and "=" in argument:
            if not value:
                raise ConfigError(f"{argument} is empty; write {name}=value")
            flags[name] = value
        else:
            overrides.append(whole_name(argument))
    if flags["log"] not in ("true", "false"):
        raise ConfigError(f"log={flags['log']} is not true or false")
    out = expand(flags["out"], "out=") if flags["out"] else None
    arms = None if compare is None else read_arms(compare or [""])
    run = expand(flags["run"], "run=") if flags["run"] else None
    options = _Options(overrides, arms, run, out, flags["log"] == "true")
    _check(options)
    return options


def _check(options: _Options) -> None:
    from ganlab.cli.destination import check_picture

    chosen = [text for text in options.overrides if text.startswith("generator=")]
    if options.run is not None and (options.overrides or options.compare):
        other = options.overrides[0] if options.overrides else "--compare"
        raise ConfigError(f"run={options.run} takes its settings from that run; leave out {other}")
    if resume := [text for text in options.overrides if text.startswith("resume=")]:
        raise ConfigError(f"{resume[0]} continues a run; to inspect it use run={resume[0].partition('=')[2]}")
    for text in chosen:
        if "," in text:
            raise ConfigError(f"{text} has several values; use --compare {text.partition('=')[2]}")
        if options.compare:
            raise ConfigError(f"{text} and --compare both choose the generator; leave out one")
    if options.out is not None:
        check_picture("out", options.out, ".png")


def _choices() -> str:
    """The generators with the first line of their files."""
    lines = []
    for option in choices("generator"):
        first = (CONF / "generator" / f"{option}.yaml").read_text(encoding="utf-8").partition("\n")[0]
        lines.append(f"  {option:<22} {first.lstrip('# ')}")
    return "\n".join(lines)


def _is_about_images(options: _Options) -> bool:
    """Whether a dataset is given, and nothing about a generator."""
    names = {text.partition("=")[0] for text in options.overrides}
    has_generator = options.compare or options.run or any(name.startswith("generator") for name in names)
    return "dataset" in names and not has_generator and not options.log


def _images(options: _Options) -> None:
    from ganlab.cli.hydra import plan
    from ganlab.data.sources import DATASETS
    from ganlab.inspection import images
    from ganlab.runs import grids

    config = plan(options.overrides, multirun=False).cells[0].config
    split = DATASETS[config.dataset.name](config.dataset)
    print("\n".join(images.describe(config, split)))
    near = images.neighbours(split)
    out = options.out or Path("outputs/inspect") / f"{picture_name([], options.overrides)}.png"
    title = f"{split.train.source}: images to train on, their mean and spectrum, nearest pairs"
    grids.save_png(out, images.picture(config, split, near), title)
    equal = int((near.distance == 0).sum())
    print(f"{'nearest':<12} {equal:,} held-out images equal a training image; the others differ by "
          f"{near.distance[near.distance > 0].min(initial=255.0):.1f} of 255 or more")  # fmt: skip
    print(f"picture: {out}")
    print(f"to train on them: python -m ganlab.train {shlex.join(options.overrides)}")


def _command(options: _Options) -> None:
    if _is_about_images(options):
        _images(options)
        return
    from ganlab.cli.hydra import plan

    configs = []
    if options.run is None:
        arms = options.compare or [Arm("", [])]
        configs = [plan([*options.overrides, *arm.overrides], multirun=False).cells[0].config for arm in arms]
    from ganlab import device

    if options.run is None:
        device.start("float32")
        if options.compare:
            labels = [arm.label for arm in options.compare]
            name = picture_name(options.compare, options.overrides)
        else:
            labels = [label(configs[0].generator.name, options.overrides)]
            chosen = any(text.startswith("generator=") for text in options.overrides)
            name = picture_name(
                [], [*([] if chosen else [f"generator={configs[0].generator.name}"]), *options.overrides]
            )
        out = options.out or Path("outputs/inspect") / f"{name}.png"
        side = views.side(configs)
        shown_views = [
            replace(views.before_training(config, side), arm=arm) for config, arm in zip(configs, labels, strict=True)
        ]
    else:
        view, step = views.trained(options.run)
        out = options.out or options.run / f"inspect-step-{step:08d}.png"
        shown_views = [view]
    from ganlab import inspection
    from ganlab.runs import grids

    inspection.show(shown_views)
    pixels = inspection.picture(shown_views)
    grids.save_png(
        out, pixels, f"{', '.join(view.arm for view in shown_views)}: {shown_views[0].moment}; {shown_views[0].about}"
    )
    print(f"picture: {out}")
    if options.log:
        print(f"tensorboard --logdir {shlex.quote(str(_log(out, pixels, inspection.markdown(shown_views))))}")
    if options.run is None and not options.compare:
        print(f"to train it: python -m ganlab.train {shlex.join(options.overrides)}".rstrip())


def _log(out: Path, pixels: Any, text: str) -> Path:
    """The picture and the tables for TensorBoard; earlier ones with the same name are replaced."""
    from ganlab.runs.records import Records

    folder = out.with_suffix(".events")  # no run has such a name: its content is replaced
    with Records(folder, resume={}) as records:
        records.image(0, "inspect/picture", pixels)
        records.text(0, "inspect/layers", text)
    return folder


if __name__ == "__main__":
    main()
