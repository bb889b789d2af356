"""Draw images from a run: `python -m ganlab.sample RUN [--folder | --walk]`; a grid by default."""

import argparse

from ganlab.choose import ConfigError
from ganlab.command import Parser, one_line, path

_WALKERS = 16  # images that walk side by side


def main() -> None:
    """The command line; exit status 2 for a wrong setting, 1 where the run has no usable checkpoint."""
    parser = Parser("ganlab.sample", description="Generate images with the averaged generator (EMA) of a run.")
    parser.add_argument("run", type=path, metavar="RUN", help="folder of a run, finished or running")
    parser.add_argument("--count", type=int, default=64, help="images in the grid or the folder (default: 64)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the latents (default: 0)")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--folder", action="store_true", help="write one PNG per image, at its true size, not a grid")
    kinds.add_argument("--walk", action="store_true", help="write a GIF that interpolates between latents, not a grid")
    parser.add_argument("--frames", type=int, default=60, help="frames of the GIF (default: 60)")
    parser.add_argument("--out", type=path, help="output file, or folder with --folder (default: in RUN)")
    options = parser.parse_args()
    with one_line():
        for name in ("count", "frames"):
            if not 1 <= getattr(options, name) <= 100_000:
                raise ConfigError(f"--{name}={getattr(options, name)} is out of range; use a number from 1 to 100000")
        print(draw(options))


def draw(options: argparse.Namespace) -> str:
    """Write what the options ask for; returns a line that says where it is."""
    import numpy as np

    from ganlab.reporting import grids
    from ganlab.run import open_average

    painter, step = open_average(options.run)
    stream = f"latents/drawn/{options.seed}"
    if options.walk:
        out = options.out or options.run / f"walk-step-{step:08d}.gif"
        one, other = painter.latents(stream, 2 * _WALKERS).reshape(2, _WALKERS, -1)
        angles = np.linspace(0, 2 * np.pi, options.frames, endpoint=False)
        frames = (painter.between(one, other, angle) for angle in angles)  # ends where it began
        grids.save_gif(out, [grids.grid(painter.paint(frame), columns=4) for frame in frames], 0.08)
        return f"a walk of {options.frames} frames at step {step}: {out}"
    pixels = painter.invent(stream, options.count)
    if options.folder:
        out = options.out or options.run / f"images-step-{step:08d}"
        for number, image in enumerate(pixels):
            grids.save_png(out / f"{number:06d}.png", image)
        return f"{options.count} images at step {step}: {out}"
    out = options.out or options.run / f"grid-step-{step:08d}.png"
    grids.save_png(out, grids.grid(pixels))
    return f"a grid of {options.count} images at step {step}: {out}"


if __name__ == "__main__":
    main()
