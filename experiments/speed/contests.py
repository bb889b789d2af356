"""The sections of a race that hold two sides against each other: peers, bfloat16, gemm, logging, threads."""

import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sides import keras_rate, matmul_rate, torch_rate, train
from turns import ratios, spread, table, take_turns

GFLOP = 0.377  # an image of dcgan_32: the generator passed three times, the discriminator eight
NEVER = 1_000_000  # steps, beyond the end of every run here
PATIENCE = 300.0  # seconds for a process in bfloat16, which some processors only emulate


@dataclass(frozen=True)
class Race:
    """How a race is run.

    torch: an interpreter with PyTorch, or none. also: settings for every run of ganlab. quick: as few steps as
    possible, to see that everything runs; the figures mean nothing.
    """

    rounds: int
    torch: str | None
    also: tuple[str, ...]
    quick: bool

    def spans(self, portion: int, count: int = 7) -> list[str]:
        """Settings for a run of `count` records, one every `portion` steps."""
        portion, count = (1, 3) if self.quick else (portion, count)
        return [
            f"training.steps={portion * count}",
            f"training.log_every_steps={portion}",
            f"training.steps_per_call={portion}",
        ]

    def repeats(self, steps: int, count: int = 5) -> list[str]:
        """The same for the scripts in peers/."""
        return ["--steps=1", "--repeats=1"] if self.quick else [f"--steps={steps}", f"--repeats={count}"]

    def rate(self, *settings: str, **limit: float) -> Callable[[], float]:
        """A side: images per second of a run between its records."""
        return lambda: train(*settings, *self.also, **limit).rate

    def dcgan(self, *settings: str) -> Callable[[], float]:
        """A side: the reference network in float32."""
        return self.rate("experiment=dcgan_32", "precision=float32", *self.spans(15), *settings)

    def half(self) -> Callable[[], float]:
        """A side: the reference network in bfloat16, few steps."""
        return self.rate("experiment=dcgan_32", "precision=mixed_bfloat16", *self.spans(2, 5), limit=PATIENCE)

    def pytorch(self, *arguments: str, **limit: float) -> Callable[[], float]:
        """A side: the same network in PyTorch."""
        return lambda: torch_rate(str(self.torch), *arguments, **limit)

    @property
    def size(self) -> str:
        """Of the matrices that are multiplied."""
        return "--size=512" if self.quick else "--size=4096"


def peers(race: Race) -> list[str]:
    """Images per second of dcgan_32 in ganlab, PyTorch and stock Keras."""
    sides = {
        "ganlab transpose": race.dcgan("generator=transpose"),
        "ganlab upsample": race.dcgan("generator=upsample"),
        "Keras fit": lambda: keras_rate(*race.repeats(15)),
        "Keras fit, oneDNN, fakes shared": lambda: keras_rate("--onednn", "--share", *race.repeats(15)),
    }
    if race.torch:
        for operator in ("transpose", "upsample"):
            for layout in ("default", "channels_last"):
                choice = (f"--upsampling={operator}", f"--layout={layout}")
                sides[f"PyTorch {operator}, {layout}"] = race.pytorch(*choice, *race.repeats(15))
    said = take_turns(sides, race.rounds)

    def better(operator: str) -> str:
        names = [f"PyTorch {operator}, {layout}" for layout in ("default", "channels_last")]
        return max(names, key=lambda name: statistics.median(said[name]))

    pairs = []
    if race.torch:
        pairs += [("ganlab transpose", better("transpose")), ("ganlab upsample", better("upsample"))]
    pairs += [("ganlab transpose", name) for name in said if name.startswith("Keras")]
    pairs += [("ganlab upsample", "ganlab transpose")]
    contests = [[one, other, ratios(said[one], said[other])] for one, other in pairs]
    return [
        "Ratios of images per second, round by round; of PyTorch's two layouts the faster one.",
        "",
        *table(("ours", "against", "ours / theirs"), contests),
        "",
        *table(("side", "images per second"), [[name, spread(rates, 1)] for name, rates in said.items()]),
        *([] if race.torch else ["", "PyTorch was not measured: no interpreter was given (--torch PYTHON)."]),
    ]


def guides(race: Race) -> list[str]:
    """The same against PyTorch as guides have it, and as a careful user writes it."""
    sides = {"ganlab": race.dcgan("generator=transpose")}
    if race.torch:
        for name, more in (("PyTorch as guides have it", ["--plain"]), ("PyTorch, careful", [])):
            sides[name] = race.pytorch("--layout=channels_last", *more, *race.repeats(15))
    said = take_turns(sides, race.rounds)
    rows = [["ganlab", name, ratios(said["ganlab"], said[name])] for name in said if name != "ganlab"]
    figures = [[name, spread(rates, 1)] for name, rates in said.items()]
    return [*table(("ours", "against", "ours / theirs"), rows), "", *table(("side", "images per second"), figures)]


def bfloat16(race: Race) -> list[str]:
    """The reference network in bfloat16 on both sides, and its share of the matrix multiplication in that type."""
    sides = {
        "ganlab transpose, bfloat16": race.half(),
        "matmul bfloat16": lambda: matmul_rate("--precision=bfloat16", race.size, "--repeats=1", limit=PATIENCE),
    }
    if race.torch:
        choice = ("--precision=bfloat16", "--layout=channels_last", *race.repeats(1, 1))
        sides["PyTorch transpose, channels_last, bfloat16"] = race.pytorch(*choice, limit=PATIENCE)
    said = take_turns(sides, race.rounds)
    ours = said["ganlab transpose, bfloat16"]
    names = [name for name in said if name.startswith("PyTorch")]
    rows = [["ganlab / PyTorch", ratios(ours, said[name])] for name in names]
    rows += [["share of the multiplication", ratios([GFLOP * rate for rate in ours], said["matmul bfloat16"])]]
    figures = [[name, spread(rates, 1)] for name, rates in said.items()]
    return [*table(("ratio", "median"), rows), "", *table(("side", "images/s, GFLOP/s of matmul"), figures)]


def gemm(race: Race) -> list[str]:
    """Which share of the processor's rate of multiplying matrices a training step reaches, in float32."""
    sides = {
        "training": race.dcgan("generator=transpose"),
        "matmul": lambda: matmul_rate("--precision=float32", race.size, "--repeats=3"),
    }
    said = take_turns(sides, race.rounds)
    reached = [GFLOP * rate for rate in said["training"]]
    row = [spread(reached, 1), spread(said["matmul"], 1), ratios(reached, said["matmul"])]
    return table(("training, GFLOP/s", "matmul 4096, GFLOP/s", "share"), [row])


def logging(race: Race) -> list[str]:
    """What records, progress, pictures, measures and checkpoints cost a whole run: the default and dcgan_32."""
    silence = [f"training.{what}_every_steps={NEVER}" for what in ("log", "sample", "save")] + ["metrics=none"]
    networks = {"the default (digits, 8x8)": (2000, ()), "dcgan_32": (1000, ("experiment=dcgan_32",))}

    def whole(steps: int, *settings: str) -> Callable[[], float]:
        length = f"training.steps={3 if race.quick else steps}"
        return lambda: train(length, *settings, *race.also).whole

    rows = []
    for name, (steps, settings) in networks.items():
        said = take_turns({"on": whole(steps, *settings), "off": whole(steps, *settings, *silence)}, race.rounds)
        rows.append([name, spread(said["on"], 1), spread(said["off"], 1), ratios(said["on"], said["off"])])
    return table(("run", "all on, images/s", "all off, images/s", "on / off"), rows)


def threads(race: Race) -> list[str]:
    """Two runs of one thread each, at once, against one run of two threads."""
    settings = ("experiment=dcgan_32", *race.spans(10), *race.also)

    def together() -> float:
        with ThreadPoolExecutor(2) as pool:
            return sum(run.rate for run in pool.map(lambda _: train(*settings, "training.threads=1"), range(2)))

    said = take_turns({"two": together, "one": lambda: train(*settings, "training.threads=2").rate}, race.rounds)
    row = [spread(said["two"], 1), spread(said["one"], 1), ratios(said["two"], said["one"])]
    return table(("two runs, 1 thread each: images/s together", "one run, 2 threads", "two / one"), [row])
