"""Inspect a generator without training it: `python -m ganlab.inspect [name=value ...]`; see `--help`."""

import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from ganlab import device
from ganlab.cli.choices import file_of, options
from ganlab.cli.destination import check_picture
from ganlab.cli.exit import HELP, VERSION, one_line
from ganlab.cli.hydra import cell_name, cut_name, plan
from ganlab.config import RunConfig
from ganlab.config.generator import Generator
from ganlab.config.plugins import load, take_plugins
from ganlab.errors import ConfigError, expand, nearest
from ganlab.inspection import DRAWS, IMAGES
from ganlab.runs import grids
from ganlab.runs.folder import read_config

_GENERATOR = set(Generator.model_fields) - {"name", "upsampling", "elsewhere", "reference"}

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

Every setting of a run can be given: python -m ganlab.train --help. Those of training change nothing here, and
numbers are float32 whatever precision says. Settings of the generator and its operator do not need their prefix:
kernel_size=3 is generator.upsampling.kernel_size=3.

The choices of `generator`
{arms}
"""


@dataclass(frozen=True)
class Arm:
    """One generator: its label, such as `transpose kernel_size=3`, and its overrides."""

    label: str
    overrides: list[str]


@dataclass(frozen=True)
class _Request:
    overrides: list[str]
    compare: list[Arm] | None
    run: Path | None
    out: Path | None


def main() -> None:
    """The command line; exit status 2 for a wrong setting, 1 if a run has no usable checkpoint."""
    arguments = sys.argv[1:]
    with one_line():
        if "--version" in arguments:
            print(VERSION)
        elif set(HELP) & set(arguments):
            print(_HELP.format(draws=DRAWS, images=IMAGES, arms=_choices()), end="")
        else:
            _command(_read(take_plugins(arguments)))


def _read(arguments: list[str]) -> _Request:
    """Separate our own options from Hydra's overrides.

    After --compare, any argument whose first word has no = is an arm.
    """
    words = {word for argument in arguments for word in re.split(r"[=,\s]", argument)}
    load({word: {"name": word} for word in words})  # settings of a plugin's operator have short names too
    overrides, flags = [], {"run": "", "out": ""}
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
    out, run = (expand(flags[name], f"{name}=") if flags[name] else None for name in ("out", "run"))
    arms = None if compare is None else read_arms(compare or [""])
    request = _Request(overrides, arms, run, out)
    _check(request)
    return request


def _check(request: _Request) -> None:
    chosen = [text for text in request.overrides if text.startswith("generator=")]
    if request.run is not None and (request.overrides or request.compare):
        other = request.overrides[0] if request.overrides else "--compare"
        raise ConfigError(f"run={request.run} takes its settings from that run; leave out {other}")
    if resume := [text for text in request.overrides if text.startswith("resume=")]:
        raise ConfigError(f"{resume[0]} continues a run; to inspect it use run={resume[0].partition('=')[2]}")
    for text in chosen:
        if "," in text:
            raise ConfigError(f"{text} has several values; use --compare {text.partition('=')[2]}")
        if request.compare:
            raise ConfigError(f"{text} and --compare both choose the generator; leave out one")
    if request.out is not None:
        check_picture("out", request.out, ".png")


def _place(request: _Request, default: Path) -> Path:
    """Where the picture goes; the default place is checked as one that was given."""
    if request.out is None:
        check_picture("out", default, ".png")
    return request.out or default


def _choices() -> str:
    """The generators with the first line of their files."""
    lines = []
    for option in options("generator"):
        first = file_of("generator", option).read_text(encoding="utf-8").partition("\n")[0]
        lines.append(f"  {option:<22} {first.lstrip('# ')}")
    return "\n".join(lines)


def _is_about_images(request: _Request) -> bool:
    """Whether a dataset is given, and nothing about a generator."""
    names = {text.partition("=")[0] for text in request.overrides}
    has_generator = request.compare or request.run or any(name.startswith("generator") for name in names)
    return "dataset" in names and not has_generator


def _images(request: _Request) -> None:
    from ganlab.data.sources import DATASETS
    from ganlab.inspection import images

    config = plan(request.overrides, multirun=False).cells[0].config
    out = _place(request, Path("outputs/inspect") / f"{picture_name([], request.overrides)}.png")
    split = DATASETS[config.dataset.name](config.dataset)
    print("\n".join(images.describe(config, split)))
    near = images.neighbours(split)
    title = f"{split.train.source}: images to train on, their mean and spectrum, nearest pairs"
    grids.save_png(out, images.picture(config, split, near), title)
    others = near.distance[near.distance > 0]
    differ = f"; the others differ by {others.min():.1f} of 255 or more" if others.size else ""
    print(f"{'nearest':<12} {len(near.distance) - len(others):,} held-out images equal a training image{differ}")
    print(f"picture: {out}")
    fewer = [f"training.batch_size={count}"] if (count := len(split.train.pixels)) < config.training.batch_size else []
    print(f"to train on them: python -m ganlab.train {shlex.join([*request.overrides, *fewer])}")


def _command(request: _Request) -> None:
    if _is_about_images(request):
        _images(request)
        return
    if request.run is None:
        arms = request.compare or [Arm("", [])]
        configs = [plan([*request.overrides, *arm.overrides], multirun=False).cells[0].config for arm in arms]
        device.start("float32")
        from ganlab.inspection import views

        if request.compare:
            labels = [arm.label for arm in request.compare]
            name = picture_name(request.compare, request.overrides)
        else:
            labels = [label(configs[0].generator.name, request.overrides)]
            chosen = any(text.startswith("generator=") for text in request.overrides)
            name = picture_name(
                [], [*([] if chosen else [f"generator={configs[0].generator.name}"]), *request.overrides]
            )
        out = _place(request, Path("outputs/inspect") / f"{name}.png")
        side = views.side(configs)
        shown_views = [
            replace(views.before_training(config, side), arm=arm) for config, arm in zip(configs, labels, strict=True)
        ]
    else:
        from ganlab.run.sampler import open_sampler

        config = read_config(request.run, "run=")
        sampler, step = open_sampler(request.run)
        from ganlab.inspection import views

        out = _place(request, request.run / f"inspect-step-{step:08d}.png")
        view = views.trained(config, sampler, step)
        shown_views = [view]
    views.show(shown_views)
    title = f"{', '.join(view.arm for view in shown_views)}: {shown_views[0].moment}; {shown_views[0].about}"
    grids.save_png(out, views.picture(shown_views), title)
    print(f"picture: {out}")
    if request.run is None and not request.compare:
        print(f"to train it: python -m ganlab.train {shlex.join(request.overrides)}".rstrip())


# --- arms -------------------------------------------------------------------------------------------------------------


def read_arms(texts: Sequence[str]) -> list[Arm]:
    """Arms from `upsample`, `upsample,fir` and `transpose kernel_size=3`; raises ConfigError for others.

    Settings follow a choice, separated by spaces, with their whole name or the short one that `whole_name` reads.
    """
    available, arms = options("generator"), []
    for text in texts:
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise ConfigError(f"--compare={text} cannot be read ({error}); correct its quotes") from None
        choices, settings = (words or [""])[0].split(","), words[1:]
        if settings and len(choices) > 1:
            raise ConfigError(f"--compare={text} has commas and settings; put each generator into its own quotes")
        for choice in choices:
            if choice not in available:
                raise ConfigError(f"--compare={choice} is unknown; {nearest(choice, available)}")
        for setting in settings:
            if "=" not in setting:
                raise ConfigError(f"--compare={text} has {setting}, which is not a setting; write NAME=VALUE")
        full_names = [whole_name(setting) for setting in settings]
        arms += [
            Arm(" ".join([choice, *map(short_name, full_names)]), [f"generator={choice}", *full_names])
            for choice in choices
        ]
    keys = set[tuple[str, ...]]()
    for arm in arms:
        key = (arm.overrides[0], *sorted(arm.overrides[1:]))
        if key in keys:
            raise ConfigError(f"--compare={arm.label} is named twice; leave one out")
        keys.add(key)
    return arms


def _prefixes() -> dict[str, set[str]]:
    """What a setting's name may go without, and the names of such settings, those of loaded plugins too."""
    kinds = get_args(Generator.model_fields["upsampling"].annotation)
    operator = {name for kind in kinds for name in kind.model_fields}
    return {
        "generator.upsampling.": operator - _GENERATOR - set(RunConfig.model_fields) - {"name"},
        "generator.": _GENERATOR,
    }


def whole_name(override: str) -> str:
    """`kernel_size=3` as `generator.upsampling.kernel_size=3`, `body=...` as `generator.body=...`, others unchanged."""
    name, equals, value = override.partition("=")
    plus = name[: len(name) - len(name.lstrip("+~"))]
    bare = name.lstrip("+~")
    prefix = next((prefix for prefix, names in _prefixes().items() if bare in names), "")
    return f"{plus}{prefix}{bare}{equals}{value}"


def short_name(override: str) -> str:
    """The inverse of `whole_name`."""
    name, equals, value = override.partition("=")
    bare = name.lstrip("+~")
    for prefix, names in _prefixes().items():
        if bare.startswith(prefix) and bare.removeprefix(prefix) in names:
            return f"{bare.removeprefix(prefix)}{equals}{value}"
    return f"{bare}{equals}{value}"


def label(name: str, overrides: Iterable[str]) -> str:
    """An arm's name and the settings of its operator: `transpose kernel_size=5`."""
    of_operator = [text for text in overrides if text.lstrip("+~").startswith("generator.upsampling.")]
    return " ".join([name, *map(short_name, of_operator)])


def picture_name(arms: Sequence[Arm], common: Sequence[str]) -> str:
    """A file's name, without its suffix, from all that was set: different settings never have the same name.

    common: overrides of all arms. A name too long for a file system ends in a digest of the whole.
    """
    parts = [_name(arm.overrides) for arm in arms]
    if common:
        parts.append(_name(common))
    return cut_name("-".join(part for part in parts if part))


def _name(overrides: Sequence[str]) -> str:
    """The name of a cell, plus the seed and the experiment, which it leaves out."""
    last = {text.partition("=")[0]: text.partition("=")[2] for text in overrides}
    cell = cell_name(short_name(text) for text in overrides if text.partition("=")[0] not in ("seed", "experiment"))
    parts = [] if cell == "default" else [cell]
    return "-".join(parts + [f"{key}={last[key]}" for key in ("experiment", "seed") if key in last])


if __name__ == "__main__":
    main()
