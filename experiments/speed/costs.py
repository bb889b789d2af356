"""The sections of a race that have one side only: how cost grows, and how long a run takes to start."""

import math

from contests import NEVER, Race
from sides import Trained, train
from turns import spread, table, take_turns

BATCHES = (16, 32, 64, 128, 256, 512)
SIZES = (16, 32, 64, 128)
WIDTHS = (0.5, 1, 2)


def network(size: int, width: float) -> list[str]:
    """Settings of dcgan_32 for other images: each doubling adds a stage and a convolution, twice as wide as the last.

    width: a factor for all channels. The smallest map stays 4x4, and size=32, width=1 is dcgan_32 itself.
    """
    channels = [int(64 * width * 2**number) for number in range(int(math.log2(size // 4)))]
    stages = [f"[{filters},2]" for filters in reversed(channels[:-1])] + ["[null,2]"]
    return [
        "experiment=dcgan_32",
        f"dataset.size={size}",
        f"generator.base_filters={channels[-1]}",
        f"generator.stages=[{','.join(stages)}]",
        f"discriminator.filters=[{','.join(map(str, channels))}]",
    ]


def growth(race: Race) -> list[str]:
    """Rate and memory against batch, image size and width."""
    cells = {f"batch {batch}": (batch, 32, 1) for batch in BATCHES}
    cells |= {f"{size}x{size} images": (64, size, 1) for size in SIZES}
    cells |= {f"channels times {width}": (64, 32, width) for width in WIDTHS}
    sides = {}
    for batch, size, width in dict.fromkeys(cells.values()):
        work = batch / 64 * width**2 * (size / 32) ** 2.6  # roughly, with dcgan_32 as 1: records take alike long
        line = (
            *network(size, width),
            f"training.batch_size={batch}",
            *race.spans(max(1, round(15 / work)), 6),
            *race.also,
        )
        sides[f"batch {batch}, {size}x{size}, width {width}"] = lambda line=line: train(*line)
    said = dict(zip(dict.fromkeys(cells.values()), take_turns(sides, race.rounds).values(), strict=True))

    def row(name: str, runs: list[Trained]) -> list[str]:
        if not runs:
            return [name, "", "over the time limit", "", ""]
        work = [run.rate * run.gflop for run in runs]
        figures = spread([run.rate for run in runs], 1), spread(work, 1), spread([run.peak for run in runs], 0)
        return [name, f"{runs[0].gflop:.3f}", *figures]

    heads = ("dcgan_32 with", "GFLOP an image", "images/s", "GFLOP/s", "peak memory, MB")
    return table(heads, [row(name, said[cell]) for name, cell in cells.items()])


def measuring(race: Race) -> list[str]:
    """What the quick measures take of the time of training, at their default interval of 1000 steps."""
    often = [f"training.{what}_every_steps={NEVER}" for what in ("sample", "save")]
    lengths = {"the default (digits, 8x8)": (200, []), "dcgan_32": (20, ["experiment=dcgan_32"])}
    rows = []
    for name, (steps, settings) in lengths.items():
        steps = 2 if race.quick else steps
        line = [
            *settings,
            *often,
            f"training.steps={steps * 5}",
            f"training.log_every_steps={steps // 2}",
            f"training.steps_per_call={steps // 2}",
            f"metrics.every_steps={steps}",
        ]
        runs = take_turns({name: lambda line=line: train(*line, *race.also)}, race.rounds)[name]
        shares = [run.evaluation / (run.evaluation + 1000 * 64 / run.rate) for run in runs]
        percent = [100 * share for share in shares]
        rows.append([name, spread([run.evaluation for run in runs], 2), spread(percent, 2)])
    return table(("run", "seconds for one evaluation", "% of the time, one every 1000 steps"), rows)


def start(race: Race) -> list[str]:
    """Seconds from the command to the first step, and the memory and length of the whole default run."""
    once = ("training.steps=2", "training.log_every_steps=1", "training.steps_per_call=1", *race.also)
    length = ("training.steps=3",) if race.quick else ()
    train(*once)  # files are read from the disk, bytecode is compiled
    waits = take_turns({"first step": lambda: train(*once)}, race.rounds)["first step"]
    whole = train(*length, *race.also)
    figures = [
        ["seconds from the command to the record of the first step", spread([run.first for run in waits], 1)],
        ["seconds of one whole run, start and end included", f"{whole.seconds:.1f}"],
        ["peak memory of that run, MB", f"{whole.peak:.0f}"],
    ]
    return table(("`python -m ganlab.train` (digits, 8x8)", "figure"), figures)
