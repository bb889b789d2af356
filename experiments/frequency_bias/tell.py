"""What the runs of the testbed say: the tables and the figure of README.md."""

import math
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl

mpl.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from turns import table, write_into

from ganlab.study.statistics import paired_comparison

HERE = Path(__file__).parent
STEP = 400
"""The step that the expectations are about."""
HALF = STEP // 2
SCHWARZ = ("bilinear", "nearest", "zeros", "shuffle")
PAIRS = (
    ("bilinear", "nearest"),
    ("nearest", "zeros"),
    ("nearest", "shuffle"),
    ("transpose_resize", "nearest"),
    ("transpose_resize", "transpose"),
    ("shuffle_icnr", "shuffle"),
    ("fir", "bilinear"),
)
STYLES = {
    "bilinear": ("#0072b2", "-"),
    "nearest": ("#d55e00", "--"),
    "zeros": ("#009e73", "-."),
    "shuffle": ("#7f3c8d", ":"),
    "fir": ("#0072b2", "-"),
    "transpose_resize": ("#d55e00", "--"),
    "transpose": ("#009e73", "-."),
    "shuffle_icnr": ("#7f3c8d", ":"),
}


class Arm(NamedTuple):
    """The runs of an arm over the same seeds as all others, in their order."""

    steps: list[int]
    low: np.ndarray
    high: np.ndarray
    """[seeds, steps], as `low`: band errors."""
    peaks: np.ndarray
    parameters: int

    def at(self, step: int, band: str = "high") -> np.ndarray:
        """Band errors at a step, [seeds]."""
        return getattr(self, band)[:, self.steps.index(step)]


def arms_of(held: dict) -> dict[str, Arm]:
    """The runs by arm. Every arm must have the same seeds, since pairs are paired by seed."""
    runs: dict[str, list[dict]] = {}
    for run in sorted(held["runs"], key=lambda run: run["seed"]):
        runs.setdefault(run["arm"], []).append(run)
    seeds = {arm: [run["seed"] for run in some] for arm, some in runs.items()}
    if len({tuple(each) for each in seeds.values()}) != 1:
        raise SystemExit(f"the arms have different seeds, {seeds}; run all arms on the same ones first")
    return {
        arm: Arm(
            some[0]["steps"],
            np.array([run["low"] for run in some]),
            np.array([run["high"] for run in some]),
            np.array([run["nyquist_peak"] for run in some]),
            some[0]["parameters"],
        )
        for arm, some in runs.items()
    }


def claims(arms: dict[str, Arm]) -> list[list[str]]:
    """What was expected of Schwarz's arms, and what came: rows."""
    bilinear, nearest, zeros, shuffle = (arms[name] for name in SCHWARZ)
    low = np.max([arms[name].at(STEP, "low") for name in SCHWARZ], axis=0)
    peak = zeros.peaks / nearest.peaks

    def above(name: str, values: np.ndarray, limit: float, more: str = "") -> list[str]:
        return [name, f"{np.count_nonzero(values > limit)} of {values.size}", f"smallest {values.min():.3g}{more}"]

    def below(name: str, values: np.ndarray, limit: float) -> list[str]:
        return [name, f"{np.count_nonzero(values < limit)} of {values.size}", f"largest {values.max():.3f}"]

    return [
        above("high band, bilinear / nearest > 1", bilinear.at(STEP) / nearest.at(STEP), 1),
        above("high band, nearest / zeros > 1", nearest.at(STEP) / zeros.at(STEP), 1),
        above("high band, bilinear > 0.8", bilinear.at(STEP), 0.8),
        below("high band, zeros < 0.15", zeros.at(STEP), 0.15),
        below("high band, shuffle < 0.15", shuffle.at(STEP), 0.15),
        below("low band, all four < 0.05", low, 0.05),
        above("before training, peak of zeros / peak of nearest > 10", peak, 10, f", geometric mean {_mean(peak):.0f}"),
        above(f"seen afterwards: bilinear / nearest > 1 at step {HALF}", bilinear.at(HALF) / nearest.at(HALF), 1),
        above(f"seen afterwards: nearest / zeros > 1 at step {HALF}", nearest.at(HALF) / zeros.at(HALF), 1),
    ]


def _mean(ratios: np.ndarray) -> float:
    return float(np.exp(np.log(ratios).mean()))


def span(values: np.ndarray, digits: int) -> str:
    """`median (smallest to largest)`."""
    return f"{np.median(values):.{digits}f} ({values.min():.{digits}f} to {values.max():.{digits}f})"


def halfway(arm: Arm) -> str:
    """The first step whose error in the high band is below one half, median over seeds."""
    first = [next((s for s, e in zip(arm.steps, each, strict=True) if s and e < 0.5), math.inf) for each in arm.high]
    middle = float(np.median(first))
    return f"{middle:.0f}" if math.isfinite(middle) else f"after {arm.steps[-1]}"


def pairs(arms: dict[str, Arm]) -> list[list[str]]:
    """Pairs of arms by their high-band errors at STEP: rows of ratio, interval, seeds and p."""
    rows = []
    for one, other in PAIRS:
        ratios = np.log(arms[one].at(STEP) / arms[other].at(STEP))
        c = paired_comparison(ratios)
        ratio = f"{math.exp(c.mean):.2f} ({math.exp(c.low):.2f} to {math.exp(c.high):.2f})"
        larger = f"{np.count_nonzero(ratios > 0)} of {c.runs}"
        rows.append([f"`{one}` / `{other}`", ratio, larger, f"{c.p_value:.3f}"])
    return rows


def draw(arms: dict[str, Arm], path: Path) -> None:
    """Errors by step: low band, high band, and the high band of the other arms; medians in bands over all seeds."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained", sharey=True)
    others = [name for name in arms if name not in SCHWARZ]
    panels = (("low band", "low", SCHWARZ), ("high band", "high", SCHWARZ), ("high band, other arms", "high", others))
    for axis, (title, band, names) in zip(axes, panels, strict=True):
        ends = []
        for name in names:
            arm, (colour, style) = arms[name], STYLES[name]
            errors = getattr(arm, band)
            axis.fill_between(arm.steps, errors.min(0), errors.max(0), color=colour, alpha=0.15, linewidth=0)
            axis.plot(arm.steps, np.median(errors, 0), style, color=colour, linewidth=1.8)
            ends.append((np.median(errors, 0)[-1], name, colour))
        place = -math.inf  # labels beside the ends of their lines, moved up where they would meet
        for value, name, colour in sorted(ends):
            place = max(place + 0.22, math.log10(max(value, 2e-4)))
            axis.text(arm.steps[-1] * 1.02, 10**place, name, color=colour, va="center")
        axis.axvline(STEP, color="0.8", linewidth=1, zorder=0)
        axis.set(title=title, xlabel="steps", xlim=(0, arm.steps[-1]), yscale="log", ylim=(1e-4, 30))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("power of the difference\nby power of the target")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def lines_of(held: dict) -> dict[str, list[str]]:
    """The lines of the page's places."""
    arms = arms_of(held)
    seconds = sum(run["seconds"] for run in held["runs"]) / 60
    seeds = len(next(iter(arms.values())).peaks)
    machine = [f"{held['machine']}; {seeds} seeds, {seconds:.0f} minutes of one thread beside other work.", ""]
    heads = ["arm", "parameters", f"high band at {STEP}", f"low band at {STEP}", "high band halved at step",
             "peak before training"]  # fmt: skip
    rows = [
        [f"`{name}`", f"{arm.parameters:,}", span(arm.at(STEP), 4), span(arm.at(STEP, "low"), 4), halfway(arm),
         span(arm.peaks, 1)]
        for name, arm in arms.items()
    ]  # fmt: skip
    return {
        "claims": [*machine, *table([f"expected at step {STEP}", "seeds", "the closest call"], claims(arms))],
        "arms": table(heads, rows),
        "pairs": table(["high-band error of", "ratio (95 % interval)", "above 1 in", "exact p"], pairs(arms)),
    }


def tell(held: dict) -> None:
    """Print the tables and put them and the figure into the folder."""
    for name, lines in lines_of(held).items():
        print("\n".join(lines), end="\n\n")
        write_into(HERE / "README.md", name, lines)
    draw(arms_of(held), HERE / "errors.png")
