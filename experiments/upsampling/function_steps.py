"""How far do the first steps move the images, for each operator, and which rates make these steps equal?

    python experiments/upsampling/function_steps.py experiment=upsampling_digits
    python experiments/upsampling/function_steps.py experiment=upsampling_shapes --generators transpose upsample

Adam moves every weight by about the rate, whatever the operator; how far that moves the images depends on the operator.
From the matched start the steps of the training itself are taken (the discriminator's updates too), and after each the
images of fixed latents are drawn, by the generator itself, not by its average. A change is the root mean square over
images, pixels and channels, divided by that of the images' deviation from their mean image before the first step; all
in float32. Steps are equal where the mean of the first ten is: the factor of the rate is found by linear interpolation
between a few trial rates, in logarithms. (What ten steps change together is shown too; it cannot decide, as it hardly
grows with the rate once single steps change images by as much as they differ.) Means over seeds are geometric.
"""

import argparse
import math
import shlex
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np

from ganlab import device
from ganlab.cli.hydra import plan
from ganlab.config import RunConfig
from ganlab.errors import ConfigError

GENERATORS = ("transpose", "upsample", "upsample_bilinear", "transpose_k3")
FACTORS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0)
"""Of the equal rate: those that are tried for each arm."""


class Change(NamedTuple):
    """How far images were moved: by the first step, by one of the steps in the mean, and by all of them together."""

    first: float
    mean: float
    together: float


class Curve(NamedTuple):
    """One arm with one seed: the changes at the trial factors, and what gives that at any factor."""

    changes: tuple[Change, ...]
    at: Callable[[float], Change]


class Row(NamedTuple):
    """One arm: its changes at the equal rate and with the factor; the factor, and the lowest and highest of one seed.

    factor: makes the mean step that of the reference; None where that lies outside what the trial rates give.
    """

    arm: str
    equal: Change
    factor: float | None
    lowest: float | None
    highest: float | None
    with_factor: Change | None


def settings_of(overrides: Sequence[str], generator: str, seed: int) -> RunConfig:
    """The settings of one run, of an experiment that sweeps too; ConfigError where they are still several."""
    line = [*overrides, f"generator={generator}", f"seed={seed}", "precision=float32"]
    cells = plan(line, multirun=False).cells
    if len(cells) != 1:
        raise ConfigError(f"these settings are of {len(cells)} runs; give what else is swept over one value")
    return cells[0].config


def rms(values: np.ndarray) -> float:
    """The root mean square."""
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def change_of(drawn: Sequence[np.ndarray]) -> Change:
    """From the images [N,H,W,C] before the first step and after each."""
    before, *after = drawn
    deviation = rms(before - before.mean(axis=0))
    steps = [rms(now - then) / deviation for then, now in zip(drawn, after, strict=False)]
    return Change(steps[0], fmean(steps), rms(after[-1] - before) / deviation)


def measure(
    config: RunConfig, images, *, steps: int = 10, latents: int = 256, factors: Sequence[float] = FACTORS
) -> Curve:
    """Take the first steps of a run again for each factor of its rate; images: those to train on."""
    import tensorflow as tf

    from ganlab.run.build import build_gan, build_steps
    from ganlab.run.sampler import Sampler

    gan = build_gan(config)
    equal = gan.g_optimizer.rate
    rate = tf.Variable(equal, dtype=tf.float32, trainable=False)
    gan.g_optimizer.rate = rate  # so that all trials share one compiled step
    take = build_steps(gan, config, images, xla=False)
    z = tf.constant(Sampler(gan.generator, config).latents("latents/function_steps", latents))
    generate = tf.function(lambda: gan.generator(z, training=False), autograph=False)
    variables = gan.tensors().values()
    start = [variable.numpy() for variable in variables]

    def at(factor: float) -> Change:
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)
        rate.assign(equal * factor)
        drawn = [generate().numpy()]
        for _ in range(steps):
            take(tf.constant(1, tf.int64))
            drawn.append(generate().numpy())
        return change_of(drawn)

    return Curve(tuple(map(at, factors)), at)


def factor_for(target: float, changes: Sequence[float], factors: Sequence[float] = FACTORS) -> float | None:
    """The least factor whose change is the target, between those that were tried; None where it lies outside.

    changes: by rising factor; where one falls, the curve goes on from the highest before.
    """
    rising = np.maximum.accumulate(np.log(changes))
    if not changes[0] <= target <= math.exp(rising[-1]):
        return None
    return math.exp(float(np.interp(math.log(target), rising, np.log(factors))))


def compare(curves: dict[str, list[Curve]], reference: str, factors: Sequence[float] = FACTORS) -> list[Row]:
    """A row for each arm, from its curves by seed; the reference has the factor 1."""
    equal = factors.index(1.0)
    targets = [curve.changes[equal].mean for curve in curves[reference]]
    rows = []
    for arm, own in curves.items():
        by_seed = [[change.mean for change in curve.changes] for curve in own]
        means = [geometric_mean(column) for column in zip(*by_seed, strict=True)]
        factor = 1.0 if arm == reference else factor_for(geometric_mean(targets), means, factors)
        single = [factor_for(target, each, factors) for target, each in zip(targets, by_seed, strict=True)]
        known = [1.0] if arm == reference else [one for one in single if one is not None]
        found = factor and mean_change([curve.at(factor) for curve in own])
        at_equal = mean_change([curve.changes[equal] for curve in own])
        rows.append(Row(arm, at_equal, factor, min(known, default=None), max(known, default=None), found or None))
    return rows


def geometric_mean(values: Sequence[float]) -> float:
    """Of numbers above 0."""
    return math.exp(fmean(map(math.log, values)))


def mean_change(changes: Sequence[Change]) -> Change:
    """The geometric means over seeds."""
    return Change(*map(geometric_mean, zip(*changes, strict=True)))


def table(rows: Sequence[Row], reference: str, steps: int) -> str:
    """The rows in Markdown: changes in shares of the images' deviation, then as multiples of the reference's."""
    base = next(row.equal for row in rows if row.arm == reference)
    head = ["arm", "first step", f"mean of {steps}", f"{steps} together", "first", "mean", "together", "factor",
            "over seeds", "mean with it"]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for row in rows:
        shares = [f"{value:.3f}" for value in row.equal]
        ratios = [f"{value / other:.2f}" for value, other in zip(row.equal, base, strict=True)]
        found = ["outside", "", ""]
        if row.factor is not None and row.with_factor is not None:
            over = f"{row.lowest:.2f} to {row.highest:.2f}" if row.lowest is not None else ""
            found = [f"{row.factor:.3g}", over, f"{row.with_factor.mean:.3f}"]
        lines.append(f"| {' | '.join([f'`{row.arm}`', *shares, *ratios, *found])} |")
    return "\n".join(lines)


def override(rows: Sequence[Row]) -> str:
    """What to type, in a shell, for a study in which the first steps are equal."""
    factors = ", ".join(f"{row.arm}: {row.factor:.3g}" for row in rows if row.factor not in (None, 1.0))
    return shlex.quote(f"optimizer.g_rate_factors={{{factors}}}")


def main() -> None:
    """Measure, print the table and the override."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("overrides", nargs="*", default=["experiment=upsampling_digits"], help="settings of the runs")
    parser.add_argument("--generators", nargs="+", default=GENERATORS)
    parser.add_argument("--reference", default="transpose", help="whose steps the others get")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1000, 1001, 1002, 1003])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--latents", type=int, default=256)
    chosen = parser.parse_args()
    names = [chosen.reference, *(name for name in chosen.generators if name != chosen.reference)]
    try:
        configs = [[settings_of(chosen.overrides, name, seed) for seed in chosen.seeds] for name in names]
    except ConfigError as error:
        parser.exit(2, f"{error}\n")
    first = configs[0][0]
    device.start("float32", threads=first.training.threads)
    from ganlab.run.measuring import open_images

    images = open_images(first).train
    curves = {
        own[0].generator.name: [measure(each, images, steps=chosen.steps, latents=chosen.latents) for each in own]
        for own in configs
    }
    rows = compare(curves, first.generator.name)
    seeds = ", ".join(map(str, chosen.seeds))
    print(f"{' '.join(chosen.overrides)}, rate {first.optimizer.g_learning_rate:g}, seeds {seeds}\n")
    print(table(rows, first.generator.name, chosen.steps))
    print(f"\n{override(rows)}")


if __name__ == "__main__":
    main()
