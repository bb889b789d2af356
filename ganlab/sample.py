"""Draw images from a run: `python -m ganlab.sample RUN [--folder | --walk]`; a grid by default."""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganlab.cli import destination
from ganlab.cli.exit import Parser, one_line, path, step_of
from ganlab.config import RunConfig
from ganlab.data.arrays import headers, load
from ganlab.data.sources import class_names, describe_classes
from ganlab.errors import ConfigError, in_a_line
from ganlab.run.sampler import open_sampler, with_classes
from ganlab.runs import grids
from ganlab.runs.folder import read_config

_GRID = 64  # images by default
_PER_CLASS = 8
_WIDEST = 32  # images in a row of one class
_WALKERS = 16  # images in a walk, or 4 of each class
_MOST = 100_000
_NAMES = r"\d{6}(-class-\d+)?\.png"  # of the images in a folder
_EPILOG = (
    "Truncation: each number of a latent is drawn from the standard normal distribution cut off at -T and T (Brock et "
    "al. 2019). Below about 1, images look more alike and more typical. The same seed gives the same images, nearer to "
    "the average one: numbers keep their rank. A walk goes between such latents; on its way numbers reach at most "
    "1.41 T. In a grid of a conditional run, each row is one class."
)


class _Request(NamedTuple):
    """Which images to draw, of which classes, from a seed or from latents in a file."""

    labels: list[int]  # the class of each image; empty if the run has none
    images: int
    latents: np.ndarray | None  # [count,Z+K]
    columns: int


def main() -> None:
    """The command line; exit status 2 for a wrong setting, 1 if the run has no usable checkpoint."""
    parser = Parser(
        "ganlab.sample", description="Generate images with the averaged generator (EMA) of a run.", epilog=_EPILOG
    )
    parser.add_argument("run", type=path, metavar="RUN", help="folder of a run, finished or running")
    parser.add_argument(
        "--count", type=int, help=f"images in the grid or the folder (default: {_GRID}, or {_PER_CLASS} of each class)"
    )
    parser.add_argument("--seed", type=int, help="other latents for another seed (default: 0)")
    parser.add_argument("--step", type=step_of, help="an earlier checkpoint, or best (default: the newest)")
    parser.add_argument(
        "--class",
        dest="classes",
        metavar="K",
        help="only this class of a conditional run, by number or name, or several with commas",
    )
    parser.add_argument("--truncation", type=float, metavar="T", help="cut the latents off at -T and T; above 0")
    parser.add_argument(
        "--latents", type=path, metavar="FILE",
        help="an .npy or .npz of your own latents [N,Z] (with --class), or [N,Z+K] with the one-hot class after them",
    )  # fmt: skip
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--folder", action="store_true", help="one PNG for each image, at its true size")
    kinds.add_argument("--walk", action="store_true", help="a GIF that walks between latents")
    parser.add_argument("--frames", type=int, help="frames of the walk (default: 60)")
    parser.add_argument("--out", type=path, help="output: .png, .gif or a folder (default: in the run's folder)")
    options = parser.parse_args()
    with one_line():
        print(draw(options))


def draw(options: argparse.Namespace) -> str:
    """Write what the options ask for; returns lines that say where it is and what it shows."""
    _check(options)
    run = options.run
    config = read_config(run)
    request = _request(options, config)
    if options.out is not None:
        _check_place(options.out, options)
    sampler, step = open_sampler(run, options.step)
    kind, ending = ("images", "") if options.folder else ("walk", ".gif") if options.walk else ("grid", ".png")
    out = options.out or run / f"{kind}-step-{step:08d}{ending}"
    _check_place(out, options)
    stream = f"latents/drawn/{options.seed or 0}"
    about = f"{config.generator.name}, step {step}, {_describe_latents(options)}"
    if options.walk:
        frames = [_picture(pixels, request) for pixels in _walk(sampler, config, request, stream, options)]
        grids.save_gif(out, frames, 0.08, about)
        return f"a walk of {len(frames)} frame{'s' * (len(frames) > 1)} at step {step}: {out}{_rows(config, request)}"
    latents = request.latents
    if latents is None:
        z = _normals(sampler, config, stream, request.images, options.truncation)
        latents = with_classes(z, request.labels, config.classes)
    pixels = sampler.generate(latents)
    if options.folder:
        names = [f"{n:06d}" + (f"-class-{request.labels[n]}" if request.labels else "") for n in range(request.images)]
        destination.clear_others(out, _NAMES, [f"{name}.png" for name in names])
        for name, image in zip(names, pixels, strict=True):
            grids.save_png(out / f"{name}.png", image, about)
        return f"{request.images} image{'s' * (request.images > 1)} at step {step}: {out}"
    grids.save_png(out, _picture(pixels, request), about)
    return f"a grid of {request.images} image{'s' * (request.images > 1)} at step {step}: {out}{_rows(config, request)}"


def _check_place(out: Path, options: argparse.Namespace) -> None:
    """Refuse a place for the pictures that cannot be written, or that holds what ganlab did not write; ConfigError."""
    if options.folder:
        destination.check_folder("--out", out, _NAMES)
    else:
        destination.check_picture("--out", out, ".gif" if options.walk else ".png")


# --- the request ---------------------------------------------------------------------------------------------------


def _check(options: argparse.Namespace) -> None:
    """Check what needs no look at the run; raises ConfigError."""
    for name in ("count", "frames"):
        value = getattr(options, name)
        if value is not None and not 1 <= value <= _MOST:
            raise ConfigError(f"--{name}={value} is out of range; use a number from 1 to {_MOST}")
    if options.truncation is not None and not 0 < options.truncation < float("inf"):
        raise ConfigError(f"--truncation={options.truncation:g} is out of range; use a number above 0, such as 0.7")
    if options.walk and options.count is not None:
        raise ConfigError(f"--count={options.count} does not apply to a walk; leave it out, or use --frames")
    if options.frames is not None and not options.walk:
        raise ConfigError(f"--frames={options.frames} is for --walk; add that, or leave it out")
    if options.latents is not None:
        for name in ("count", "seed", "truncation", "walk"):
            if (value := getattr(options, name)) is not None and value is not False:
                flag = f"--{name}" if value is True else f"--{name}={value}"
                raise ConfigError(f"{flag} is for drawn latents; leave it out, or leave out --latents")


def _request(options: argparse.Namespace, config: RunConfig) -> _Request:
    """The images of this run that the options ask for; raises ConfigError."""
    chosen = _chosen_classes(options.classes, config)
    if options.latents is not None:
        latents = _read_latents(options.latents, config, chosen)
        labels = chosen * len(latents) if len(chosen) == 1 else []
        return _Request(labels, len(latents), latents, 8)
    classes = chosen or list(range(config.classes))
    if not classes:
        return _Request([], _WALKERS, None, 4) if options.walk else _Request([], options.count or _GRID, None, 8)
    if options.walk:
        per_class = _WALKERS if len(classes) == 1 else 4
        return _Request([label for label in classes for _ in range(per_class)], per_class * len(classes), None, 4)
    count = options.count or (_GRID if len(classes) == 1 else _PER_CLASS * len(classes))
    quotient, remainder = divmod(count, len(classes))
    labels = [label for place, label in enumerate(classes) for _ in range(quotient + (place < remainder))]
    columns = 8 if len(classes) == 1 else min(_WIDEST, quotient + (remainder > 0))
    return _Request(labels, count, None, columns)


def _chosen_classes(text: str | None, config: RunConfig) -> list[int]:
    if text is None:
        return []
    if not config.classes:
        raise ConfigError(f"--class={text} needs a conditional run; train one with conditional=true, or leave it out")
    chosen, numbers = [], {name: number for number, name in enumerate(class_names(config.dataset))}
    for word in map(str.strip, text.split(",")):
        if word in numbers:
            chosen.append(numbers[word])
        elif word.isdecimal() and int(word) < config.classes:
            chosen.append(int(word))
        else:
            names = f", or names: {in_a_line(', '.join(numbers), 200)}" if numbers else ""
            raise ConfigError(f"--class={text} is not among this run's classes; use numbers from 0 to "
                              f"{config.classes - 1}{names}")  # fmt: skip
    if len(set(chosen)) < len(chosen):
        raise ConfigError(f"--class={text} names a class twice; leave one out")
    return chosen


def _read_latents(path: Path, config: RunConfig, chosen: list[int]) -> np.ndarray:
    """Latents [N,Z+K], float32, from a file; raises ConfigError."""
    where, size, classes = f"--latents={path}", config.generator.latent_size, config.classes
    if not path.is_file():
        raise ConfigError(f"{where} is not a file; give an .npy or .npz with latents")
    try:
        arrays = headers(path, where)
    except ConfigError:
        raise ConfigError(f"{where} cannot be read as numbers; give an .npy or .npz with latents") from None
    if "latents" not in arrays and len(arrays) != 1:
        names = in_a_line(", ".join(arrays) or "nothing")
        raise ConfigError(f"{where} holds {names}; name the array to use latents")
    header = arrays.get("latents") or next(iter(arrays.values()))
    shape, width = header.shape, size if chosen else size + classes
    found = f"{where} is {header.dtype} {list(shape)}"
    if classes and not chosen and shape[1:] == (size,):
        raise ConfigError(f"{found}; add --class=K, or the one-hot class after the {size} numbers")
    if header.dtype.kind not in "fiu" or len(shape) != 2 or shape[1] != width or not shape[0]:
        parts = f"{size} numbers" + (f" and {classes} of the one-hot class" if width > size else "")
        raise ConfigError(f"{found}; it must be floating-point [N,{width}]: {parts} for each image")
    if shape[0] > _MOST:
        raise ConfigError(f"{where} holds {shape[0]} latents; give at most {_MOST} at once")
    if len(chosen) > 1:
        raise ConfigError(f"--class={','.join(map(str, chosen))} names several classes; with --latents give one")
    with np.errstate(over="ignore"):
        latents = np.asarray(load(path, header, where), np.float32)
    if not np.isfinite(latents).all():
        raise ConfigError(f"{where} holds numbers that are not finite in float32; give finite ones")
    return with_classes(latents, chosen * len(latents), classes) if chosen else latents


# --- latents --------------------------------------------------------------------------------------------------------


def truncate(z: np.ndarray, threshold: float) -> np.ndarray:
    """Standard normal numbers as numbers of the normal distribution cut off at -threshold and threshold, same rank.

    threshold: above 0. z goes through its own distribution function and the inverse of the other's, so that one draw
    serves every threshold and large ones change nothing; Brock, Donahue and Simonyan 2019, arXiv:1809.11096, draw
    values outside again, which gives the same distribution.
    """
    from scipy.special import ndtr, ndtri

    outside = ndtr(-float(threshold))  # on either side
    below = outside + ndtr(-np.abs(np.asarray(z, np.float64))) * (1 - 2 * outside)
    size = np.minimum(-ndtri(below), np.minimum(threshold, np.abs(z)))  # minimum: against rounding
    return np.copysign(size, z).astype(z.dtype)


def _normals(sampler: Any, config: RunConfig, stream: str, count: int, truncation: float | None) -> np.ndarray:
    """The first numbers of a stream's latents, [count,Z], without classes, truncated if that is asked for."""
    z = sampler.latents(stream, count)[:, : config.generator.latent_size]
    return z if truncation is None else truncate(z, truncation)


def _walk(sampler: Any, config: RunConfig, request: _Request, stream: str, options: argparse.Namespace) -> Any:
    """Pixels of each frame: from one set of latents to another and back by their mirror images; ends where it began."""
    z = _normals(sampler, config, stream, 2 * request.images, options.truncation)
    start, end = (with_classes(half, request.labels, config.classes) for half in np.split(z, 2))
    for angle in np.linspace(0, 2 * np.pi, options.frames or 60, endpoint=False):
        yield sampler.generate(sampler.between(start, end, angle))


# --- the grid -------------------------------------------------------------------------------------------------------


def _picture(pixels: np.ndarray, request: _Request) -> np.ndarray:
    """The images as one picture; with several classes, each starts a new row."""
    if len(set(request.labels)) < 2:
        return grids.grid(pixels, columns=request.columns)
    return grids.by_class(pixels, request.labels, list(dict.fromkeys(request.labels)), request.columns)


def _rows(config: RunConfig, request: _Request) -> str:
    """A line that says which classes the rows are; empty if there are none."""
    labels = list(dict.fromkeys(request.labels))
    if not labels:
        return ""
    names = describe_classes(config.dataset, labels)
    if len(labels) == 1:
        return f"\nall of class {names}"
    fewest, *_, most = sorted(-(-request.labels.count(label) // request.columns) for label in labels)
    rows = "a row" if most == 1 else f"{most} rows" if fewest == most else f"{fewest} or {most} rows"
    return f"\n{rows} for each class, from the top: {names}"


def _describe_latents(options: argparse.Namespace) -> str:
    """The latents in a few words, for the file's description."""
    if options.latents is not None:
        return f"latents of {options.latents.name}"
    return f"seed {options.seed or 0}" + (f", truncation {options.truncation:g}" if options.truncation else "")


if __name__ == "__main__":
    main()
