"""Look into a generator without training it: `python -m ganlab.inspect [name=value ...]`. `--help` says the rest."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlab.choose import ConfigError, nearest

if TYPE_CHECKING:
    from ganlab.config import RunConfig
    from ganlab.reporting.inspection import View

_IMAGES, _DRAWS, _CHANNELS = 256, 32, 32

_HELP = """\
ganlab.inspect: look into a generator, in the terminal and as one PNG. Nothing is trained; a few seconds.

  python -m ganlab.inspect generator=upsample                     one generator
  python -m ganlab.inspect generator=transpose generator.upsampling.kernel_size=5
  python -m ganlab.inspect --compare upsample,transpose,fir       several, side by side
  python -m ganlab.inspect run=outputs/runs/DATE/TIME             the averaged generator of a trained run

It shows
  the layers: shapes, kernels, parameters, multiply-accumulates (MACs) as written and as executed, what they see
  what the operator does to [[1,2],[3,4]], through a kernel with a single 1 and through all ones
  its overlap: how many taps of the kernel reach each output pixel
  its variance by phase and its lattice fraction, over {draws} draws of the kernel; of a run, those of its kernels
  images, and the power of {images} of them by frequency

Its own settings
  --compare ARMS   choices of `generator`, with commas between
  run=DIR          a trained run; takes all other settings from it
  out=FILE.png     the picture (default: outputs/inspect/ARM.png; with run=, inside the run's folder)
  log=true         write it for TensorBoard as well, into a folder FILE.events beside the picture

Every setting of a run can be given too: python -m ganlab.train --help. Those of training change nothing here, and
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
    if {"--help", "-h"} & set(arguments):
        from ganlab.library import options

        print(_HELP.format(draws=_DRAWS, images=_IMAGES, arms=" ".join(options("generator"))), end="")
        return
    try:
        _command(_read(arguments))
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except (OSError, RuntimeError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


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
    out = Path(own["out"]) if own["out"] else None
    if out is not None and (out.suffix.lower() != ".png" or out.is_dir()):
        raise ConfigError(f"out={out} is no name of a picture; use one that ends in .png")
    arms = [arm.strip() for arm in compare.split(",")] if compare is not None else []
    options = _Options(overrides, arms, Path(own["run"]) if own["run"] else None, out, own["log"] == "true")
    _check(options)
    return options


def _check(options: _Options) -> None:
    from ganlab.library import options as choices

    arms = choices("generator")
    chosen = [text for text in options.overrides if text.startswith("generator=")]
    if options.run is not None and (options.overrides or options.compare):
        other = options.overrides[0] if options.overrides else "--compare"
        raise ConfigError(f"run={options.run} takes its settings from that run; leave out {other}")
    if options.run is not None and not options.run.is_dir():
        raise ConfigError(f"run={options.run} is no folder; give that of a run")
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
        views = [_before_training(config, _side(configs)) for config in configs]
    else:
        view, step = _trained(options.run)
        out = options.out or options.run / f"inspect-step-{step:08d}.png"
        views = [view]
    from ganlab.reporting import grids, inspection

    inspection.show(views)
    pixels = inspection.picture(views)
    grids.save_png(out, pixels)
    print(f"picture: {out}")
    if options.log:
        print(f"tensorboard --logdir {_log(out, pixels, inspection.markdown(views))}")
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


# --- views ----------------------------------------------------------------------------------------------------------


def _side(configs: "list[RunConfig]") -> int:
    """Input pixels across the overlap map: odd, the same for all arms, enough to have an inside."""
    from ganlab.nets import anatomy

    operators = [anatomy.operator(config.generator, 1, 1, scale=_scale(config)) for config in configs]
    return max(5, *(2 * anatomy.reach(layer) + 1 for layer in operators))


def _place(config: "RunConfig") -> int:
    """The last stage that has the operator under study: what it leaves, fewer others can cover."""
    operators = config.generator.operators
    return max(
        (n for n, each in enumerate(operators) if each is config.generator.upsampling), default=len(operators) - 1
    )


def _scale(config: "RunConfig") -> tuple[int, int]:
    """The scale of that stage."""
    from ganlab.config import pair

    return pair(config.generator.stages[_place(config)].scale)


def _before_training(config: "RunConfig", side: int) -> "View":
    import numpy as np

    from ganlab.evaluation.spectrum import lattice_fraction
    from ganlab.nets import anatomy
    from ganlab.run import build_gan

    scale = _scale(config)
    drawn = anatomy.draws(config.generator, scale, _DRAWS, _CHANNELS)
    fractions = [lattice_fraction(draw.sums, scale) for draw in drawn]
    variances = np.stack([draw.variance for draw in drawn])
    mean, spread = _fraction(np.mean(fractions)), _fraction(np.std(fractions))
    fraction = mean if spread == "0" else f"{mean} ± {spread}"
    return _view(
        config,
        build_gan(config).generator,
        "before training",
        side,
        variances.mean(axis=0),
        variances.std(axis=0),
        f"lattice fraction {fraction} over {_DRAWS} draws",
        fraction,
    )


def _trained(directory: Path) -> "tuple[View, int]":
    """A view of the averaged generator of a run's newest good checkpoint, and its step."""
    from ganlab.evaluation.spectrum import lattice_fraction
    from ganlab.run import open_average, read_config

    config = read_config(directory)
    painter, step = open_average(directory)
    from ganlab.nets import anatomy

    trained = anatomy.phases(anatomy.stages_of(painter.generator)[_place(config)])
    fraction = _fraction(lattice_fraction(trained.sums, _scale(config)))
    view = _view(
        config,
        painter.generator,
        f"averaged generator after {step} steps",
        _side([config]),
        trained.variance,
        None,
        f"lattice fraction of stage{_place(config) + 1} {fraction}",
        fraction,
    )
    return view, step


def _view(
    config: "RunConfig",
    generator: Any,
    moment: str,
    side: int,
    variance: Any,
    spread: Any,
    lattice: str,
    fraction: str,
) -> "View":
    """What both kinds have in common: layers, operator, images."""
    import numpy as np

    from ganlab.config import pair
    from ganlab.data.batches import to_pixels
    from ganlab.evaluation.spectrum import power_spectrum, radial_profile
    from ganlab.nets import anatomy
    from ganlab.reporting.inspection import View
    from ganlab.training.randomness import latents

    settings, scale = config.generator, _scale(config)
    z = latents(config.seed, "latents/inspect", 0, (_IMAGES, settings.latent_size)).numpy()
    images = generator(z, training=False).numpy()
    power = profile = None
    odd = ""
    try:
        power = power_spectrum(images)
        profile = radial_profile(power)
    except ValueError as error:
        odd = f"no spectrum: {error}"
    parts = anatomy.parts(generator, z)
    reached = anatomy.overlap(settings, scale, side)
    within = anatomy.inside(reached, scale)
    executed, written = (sum(getattr(part, name) for part in parts) for name in ("executed", "written"))
    facts = {
        "parameters": f"{generator.count_params():,}",
        "MACs as written": f"{written:,}",
        "MACs as executed": f"{executed:,}",
        "its kernel": next(part.kernel for part in parts if part.name == f"stage{_place(config) + 1}"),
        "base map pixels an image pixel sees": _times(parts[-1].sees),
        "taps that reach a pixel, inside": _range(within),
        "variance, largest / smallest phase": f"{_ratio(variance)}",
        "lattice fraction": fraction,
        "deviation of the images": f"{parts[-1].deviation:.3f}",
    }
    height, width = pair(config.dataset.size)
    return View(
        arm=settings.name,
        moment=moment,
        about=f"{_times((height, width, config.dataset.channels))} images from {settings.latent_size} numbers, "
        f"seed {config.seed}",
        layers=_layers(generator, parts),
        notes=_notes(settings, spread is not None),
        facts=facts,
        scale=scale,
        single=anatomy.enlarge(anatomy.with_a_single_one(settings, scale), anatomy.TWO_BY_TWO),
        ones=anatomy.enlarge(anatomy.with_all_ones(settings, scale), anatomy.TWO_BY_TWO),
        overlap=reached,
        variance=np.asarray(variance),
        spread=spread,
        lattice=lattice,
        pixels=to_pixels(images),
        power=power,
        profile=profile,
        odd=odd,
    )


def _layers(generator: Any, parts: list[Any]) -> list[list[str]]:
    """The layer table as texts, header first and total last."""
    from ganlab.evaluation.spectrum import lattice_fraction
    from ganlab.nets import anatomy

    fractions = {}
    for stage in anatomy.stages_of(generator):
        sums = anatomy.phases(stage).sums
        fractions[stage.name] = _fraction(lattice_fraction(sums, (sums.shape[0], sums.shape[1])))
    total = max(1, sum(part.executed for part in parts))
    header = "layer what output kernel parameters MACs_written executed share sees deviation lattice"
    rows = [[name.replace("_", " ") for name in header.split()]]
    for part in parts:
        rows.append(
            [
                part.name,
                part.kind,
                _times(part.shape),
                part.kernel,
                f"{part.parameters:,}" if part.parameters else "",
                f"{part.written:,}" if part.written else "",
                f"{part.executed:,}" if part.executed else "",
                f"{part.executed / total:.1%}" if part.executed else "",
                _times(part.sees) if part.sees else "",
                f"{part.deviation:.3f}",
                fractions.get(part.name, ""),
            ]
        )
    sums = (sum(getattr(part, name) for part in parts) for name in ("parameters", "written", "executed"))
    rows.append(["all", "", "", "", *(f"{each:,}" for each in sums), "100.0%", "", "", ""])
    return rows


def _notes(settings: Any, drawn: bool) -> list[str]:
    notes = [
        "MACs: multiply-accumulates for one image. share: of those executed. sees: pixels of the base map, vertical × "
        "horizontal, that one output pixel is computed from, worked out from kernels and scales; at the border fewer.",
        f"deviation: of all outputs over {_IMAGES} latents. lattice: how much of a flat image's answer is checkerboard "
        "and not its mean; independent weights give 0.75 at scale 2.",
    ]
    if settings.upsampling.name == "carafe":
        notes.append("The weights of carafe follow the image: variance and lattice fraction are measured, with white "
                     "noise and flat images; the others are worked out from the kernel.")  # fmt: skip
    if drawn:
        notes.append(
            f"Variance by phase: white noise of variance 1 goes in, {_CHANNELS} channels to {_CHANNELS}; mean and "
            f"standard deviation over {_DRAWS} draws of the kernel, gain 1."
        )
    return notes


def _times(size: Any) -> str:
    return "×".join(map(str, size))


def _range(values: Any) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low}" if low == high else f"{low} to {high}"


def _ratio(variance: Any) -> str:
    """The largest phase over the smallest; `gaps` where some phase gets nothing at all."""
    return f"{variance.max() / variance.min():.2f}" if variance.min() > 0 else "gaps"


def _fraction(value: Any) -> str:
    return f"{value:.3f}" if value > 1e-6 else "0"


if __name__ == "__main__":
    main()
