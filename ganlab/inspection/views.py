"""What to show of a generator, as numbers and words: its layers, its operator, its images."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ganlab.config import RunConfig, pair
from ganlab.data.batches import to_pixels
from ganlab.evaluation.spectrum import lattice_fraction, power_spectrum, radial_profile
from ganlab.inspection import DRAWS, IMAGES
from ganlab.nets import analysis
from ganlab.run.build import build_gan
from ganlab.run.sampler import Sampler

_CHANNELS = 32


@dataclass(frozen=True)
class View:
    """One generator, ready to be shown.

    moment: "before training" or after how many steps. about: seed and sizes in a few words. layers: the layer table,
    header first. notes: the meaning of its columns. facts: what arms are compared by, name -> text. single, ones: what
    the operator does to [[1,2],[3,4]]. overlap: taps by output pixel of a larger image, with `scale` pixels for each
    input pixel. variance: by phase, with its std over draws or None. lattice: the fraction in words.
    pixels: uint8 [N,H,W,C]. power and profile: of the images, None if they have no spectrum; `no_spectrum` says why.
    """

    arm: str  # followed by its settings, with spaces in between
    moment: str
    about: str
    layers: list[list[str]]
    notes: list[str]
    facts: dict[str, str]
    scale: tuple[int, int]
    single: np.ndarray
    ones: np.ndarray
    overlap: np.ndarray
    variance: np.ndarray
    std: np.ndarray | None
    lattice: str
    pixels: np.ndarray
    power: np.ndarray | None
    profile: np.ndarray | None
    no_spectrum: str = ""


def short(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def even(value: float) -> str:
    """Three decimals, so that numbers align, unless they are too small."""
    return f"{value:.2g}" if 0 < abs(value) < 5e-4 else f"{value:.3f}"


def stacked(arm: str) -> str:
    """An arm's name and its settings, one per line."""
    return arm.replace(" ", "\n")


def times(size: tuple[int, ...]) -> str:
    """A size such as 8×8×1."""
    return "×".join(map(str, size))


def log10(power: np.ndarray) -> np.ndarray:
    """log10, with nan where the power is 0."""
    return np.log10(power, out=np.full(power.shape, np.nan), where=power > 0)


# --- making a view --------------------------------------------------------------------------------------------------


def side(configs: list[RunConfig]) -> int:
    """Input pixels across the overlap map: odd, the same for all arms, enough for pixels away from the border."""
    operators = [analysis.operator(config.generator, 1, 1, scale=_scale(config)) for config in configs]
    return max(5, *(2 * analysis.reach(layer) + 1 for layer in operators))


def _place(config: RunConfig) -> int:
    """The last stage with the operator under study: the fewest others follow to cover its artifacts."""
    operators = config.generator.operators
    return max(
        (n for n, operator in enumerate(operators) if operator is config.generator.upsampling),
        default=len(operators) - 1,
    )


def _scale(config: RunConfig) -> tuple[int, int]:
    """The scale of that stage."""
    return pair(config.generator.stages[_place(config)].scale)


def before_training(config: RunConfig, side: int) -> View:
    """A view of the generator that a run would start with; `side`: input pixels across the overlap map."""
    scale = _scale(config)
    draws = analysis.draws(config.generator, scale, DRAWS, _CHANNELS)
    fractions = [lattice_fraction(draw.sums, scale) for draw in draws]
    variances = np.stack([draw.variance for draw in draws])
    mean, std = _fraction(np.mean(fractions)), _fraction(np.std(fractions))
    fraction = mean if std == "0" else f"{mean} ± {std}"
    return _view(
        config,
        build_gan(config).generator,
        "before training",
        side,
        variances.mean(axis=0),
        variances.std(axis=0),
        f"lattice fraction {fraction} over {DRAWS} draws",
        fraction,
    )


def trained(config: RunConfig, sampler: Sampler, step: int) -> View:
    """A view of a run's averaged generator, opened from a checkpoint of this step."""
    phases = analysis.phases(analysis.stages_of(sampler.generator)[_place(config)])
    fraction = _fraction(lattice_fraction(phases.sums, _scale(config)))
    return _view(
        config,
        sampler.generator,
        f"averaged generator after {step} steps",
        side([config]),
        phases.variance,
        None,
        f"lattice fraction of stage{_place(config) + 1} {fraction}",
        fraction,
    )


def _view(
    config: RunConfig,
    generator: Any,
    moment: str,
    side: int,
    variance: Any,
    std: Any,
    lattice: str,
    fraction: str,
) -> View:
    """What both kinds of view have in common: layers, operator, images."""
    settings, scale = config.generator, _scale(config)
    z = Sampler(generator, config).latents("latents/inspect", IMAGES)
    images = generator(z, training=False).numpy()
    power = profile = None
    no_spectrum = ""
    try:
        power = power_spectrum(images)
        profile = radial_profile(power)
    except ValueError as error:
        no_spectrum = f"No spectrum: {error}"
    parts = analysis.parts(generator, z)
    stage = next(part for part in parts if part.name == f"stage{_place(config) + 1}")
    overlap = analysis.overlap(settings, scale, side)
    inside = analysis.inside(overlap, scale)
    executed, written = (sum(getattr(part, name) for part in parts) for name in ("executed", "written"))
    facts = {
        "parameters": f"{generator.count_params():,}",
        "MACs as written": f"{written:,}",
        "MACs as executed": f"{executed:,}",
        "its layers": stage.kind,
        "its kernel": stage.kernel,
        "base map pixels an image pixel sees": times(parts[-1].sees),
        "taps that reach a pixel, inside": _range(inside),
        "variance, largest / smallest phase": f"{_ratio(variance)}",
        "lattice fraction": fraction,
        "std of the images": f"{parts[-1].std:.3f}",
    }
    height, width = pair(config.dataset.size)
    return View(
        arm=settings.name,
        moment=moment,
        about=f"{times((height, width, config.dataset.channels))} images from {settings.latent_size} numbers"
        f"{f' and {config.classes} classes' if config.classes else ''}, seed {config.seed}",
        layers=_layers(generator, parts),
        notes=_notes(generator, settings, std is not None),
        facts=facts,
        scale=scale,
        single=_through_a_single_one(settings, scale),
        ones=analysis.enlarge(analysis.with_all_ones(settings, scale), analysis.TWO_BY_TWO),
        overlap=overlap,
        variance=np.asarray(variance),
        std=std,
        lattice=lattice,
        pixels=to_pixels(images),
        power=power,
        profile=profile,
        no_spectrum=no_spectrum,
    )


def _through_a_single_one(settings: Any, scale: tuple[int, int]) -> np.ndarray:
    """What the operator makes of [[1,2],[3,4]] if its weights change nothing; nan if it has no such weights."""
    layer = analysis.with_a_single_one(settings, scale)
    return (
        np.full((2 * scale[0], 2 * scale[1]), np.nan) if layer is None else analysis.enlarge(layer, analysis.TWO_BY_TWO)
    )


def _layers(generator: Any, parts: list[Any]) -> list[list[str]]:
    """The layer table as texts, header first and total last."""
    fractions = {}
    for stage in analysis.stages_of(generator):
        sums = analysis.phases(stage).sums
        fractions[stage.name] = _fraction(lattice_fraction(sums, (sums.shape[0], sums.shape[1])))
    total = max(1, sum(part.executed for part in parts))
    header = "layer what output kernel parameters MACs_written executed share sees std lattice"
    rows = [[name.replace("_", " ") for name in header.split()]]
    for part in parts:
        rows.append(
            [
                part.name,
                part.kind,
                times(part.shape),
                part.kernel,
                f"{part.parameters:,}" if part.parameters else "",
                f"{part.written:,}" if part.written else "",
                f"{part.executed:,}" if part.executed else "",
                f"{part.executed / total:.1%}" if part.executed else "",
                times(part.sees) if part.sees else "",
                f"{part.std:.3f}",
                fractions.get(part.name, ""),
            ]
        )
    sums = (sum(getattr(part, name) for part in parts) for name in ("parameters", "written", "executed"))
    rows.append(["all", "", "", "", *(f"{amount:,}" for amount in sums), "100.0%", "", "", ""])
    return rows


def _notes(generator: Any, settings: Any, drawn: bool) -> list[str]:
    notes = [
        *dict.fromkeys(note for stage in analysis.stages_of(generator) if (note := stage.explained)),
        "MACs: multiply-accumulates for one image. share: of those executed. sees: pixels of the base map, vertical × "
        "horizontal, that one output pixel is computed from, worked out from kernels and scales; at the border fewer.",
        f"std: of all outputs over {IMAGES} latents. lattice: how much of a flat image's answer is checkerboard "
        "and not its mean; independent weights give 0.75 at scale 2.",
    ]
    if settings.upsampling.name == "carafe":
        notes.append("The weights of carafe follow the image: variance and lattice fraction are measured, with white "
                     "noise and flat images; the others are worked out from the kernel.")  # fmt: skip
    if drawn:
        notes.append(
            f"Variance by phase: white noise of variance 1 goes in, {_CHANNELS} channels to {_CHANNELS}; mean and "
            f"standard deviation over {DRAWS} draws of the kernel, gain 1."
        )
    return notes


def _range(values: Any) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low}" if low == high else f"{low} to {high}"


def _ratio(variance: Any) -> str:
    """The largest phase over the smallest; `gaps` if some phase gets nothing."""
    return f"{variance.max() / variance.min():.2f}" if variance.min() > 0 else "gaps"


def _fraction(value: Any) -> str:
    return f"{value:.3f}" if value > 1e-6 else "0"
