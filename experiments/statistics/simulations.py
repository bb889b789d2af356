"""Studies of known truth, compared by the code that compares runs: how often is it right?"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ganlab.config import Comparing
from ganlab.runs.result import RunResult
from ganlab.study.arms import Arm
from ganlab.study.compare import Study, compare_arms
from ganlab.study.statistics import comparison_over_draws, paired_comparison, probability_of_improvement

Values = NDArray[np.float64]


class Shape(NamedTuple):
    """Random numbers of a size, their mean, and the name of their distribution."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], Values]
    mean: float


NORMAL = Shape("normal", lambda random, size: random.normal(size=size), 0.0)
HEAVY = Shape("heavy tails (Student, 3 degrees)", lambda random, size: random.standard_t(3, size=size), 0.0)
SHAPES = (
    NORMAL,
    Shape("skewed (lognormal, sigma 0.5)", lambda random, size: random.lognormal(0, 0.5, size), math.exp(0.125)),
    Shape("very skewed (lognormal, sigma 1)", lambda random, size: random.lognormal(0, 1, size), math.exp(0.5)),
    HEAVY,
)


def coverage(repeats: int, pairs: int, shape: Shape) -> float:
    """How often the 95 % interval of the mean difference holds the true mean."""
    draws = shape.draw(np.random.default_rng(pairs), (repeats, pairs))
    found = [paired_comparison(d) for d in draws]
    return float(np.mean([result.low <= shape.mean <= result.high for result in found]))


def compared(
    logs: Values,
    diverged: NDArray[np.bool_] | None = None,
    collapsed: NDArray[np.bool_] | None = None,
    margins: dict[str, float] | None = None,
) -> Study:
    """The study of arms whose log distances are given, [arms, seeds]; the first is the reference.

    diverged, collapsed: which runs did, of the same shape. margins: as in the settings.
    """
    arms = []
    for place, row in enumerate(logs):
        runs = {}
        for seed, value in enumerate(row):
            lost = diverged is not None and bool(diverged[place, seed])
            flat = collapsed is not None and bool(collapsed[place, seed])
            runs[seed] = RunResult(
                status="diverged" if lost else "finished",
                variant=f"arm{place}",
                seed=seed,
                config={},
                metrics={} if lost else {"frechet_distance": math.exp(value), "coverage": 0.0 if flat else 0.9},
            )
        arms.append(Arm(f"arm{place}", {}, runs))
    return compare_arms(arms, Comparing(reference="arm0", margins=margins or {}))


def false_positives(
    repeats: int, seeds: int, lost: float = 0.0, shape: Shape = NORMAL, arms: int = 6
) -> tuple[float, float]:
    """How often any of several equal arms is called better or worse: by raw p <= 0.05, and by the verdict.

    lost: the part of the runs that diverge, whatever their arm. What equal seeds have in common is not simulated: it
    is the same in both values of a pair and leaves no trace in their difference.
    """
    random = np.random.default_rng(seeds)
    raw = wrong = 0
    for _ in range(repeats):
        logs = 0.1 * shape.draw(random, (arms + 1, seeds))
        found = compared(logs, random.random((arms + 1, seeds)) < lost).comparisons["frechet_distance"]
        raw += any(comparison.paired.p_value <= 0.05 for comparison in found)
        wrong += any(comparison.verdict in ("better", "worse") for comparison in found)
    return raw / repeats, wrong / repeats


def unlike_arms(repeats: int, seeds: int, collapse: float = 0.0, shape: Shape = NORMAL) -> tuple[float, float]:
    """How often one arm is called better, and how often worse, though it draws as well as the reference on average.

    collapse: the part of its runs that collapse; the reference has none. shape: of its logarithms, the mean taken off;
    those of the reference are normal.
    """
    random = np.random.default_rng(seeds)
    found = []
    for _ in range(repeats):
        ours, theirs = shape.draw(random, (seeds,)) - shape.mean, random.normal(size=seeds)
        flat = np.stack([np.zeros(seeds, bool), random.random(seeds) < collapse])
        study = compared(0.1 * np.stack([theirs, ours]), collapsed=flat)
        found.append(study.comparisons["frechet_distance"][0].verdict)
    return found.count("better") / repeats, found.count("worse") / repeats


def false_equivalents(repeats: int, seeds: int, margin: float, arms: int = 6) -> tuple[float, float]:
    """How often any of several arms at the margin is called equivalent: each test by itself, and by the verdict.

    margin: in standard deviations of a paired difference; each arm differs from the reference by just that.
    """
    random = np.random.default_rng(seeds)
    edge = math.log1p(0.05)
    alone = wrong = 0
    for _ in range(repeats):
        logs = edge / margin / math.sqrt(2) * random.normal(size=(arms + 1, seeds))
        logs[1:] += edge
        found = compared(logs, margins={"frechet_distance": 0.05}).comparisons["frechet_distance"]
        alone += any(comparison.paired.verdict == "equivalent" for comparison in found)
        wrong += any(comparison.verdict == "equivalent" for comparison in found)
    return alone / repeats, wrong / repeats


def coverage_over_draws(repeats: int, seeds: int, draws: int, share: float) -> tuple[float, float]:
    """How often the 95 % interval holds the true mean where features are drawn: over seeds alone, and over both.

    share: of the standard deviation over draws to that over seeds; two kinds of features with so many draws each.
    """
    random = np.random.default_rng([seeds, draws])
    alone = both = 0
    for _ in range(repeats):
        of_seeds = random.normal(size=(seeds, 1))
        tables = [of_seeds + share * random.normal(size=draws) + 0.3 * random.normal(size=(seeds, draws)) for _ in "ab"]
        d = np.mean([table.mean(axis=1) for table in tables], axis=0)
        narrow, (wide, _) = paired_comparison(d), comparison_over_draws(d, tables)
        alone += narrow.low <= 0 <= narrow.high
        both += wide.low <= 0 <= wide.high
    return alone / repeats, both / repeats


def power(repeats: int, pairs: int, effect: float) -> tuple[float, float]:
    """How often a difference of `effect` standard deviations is found: by the t interval alone, and by the verdict."""
    draws = np.random.default_rng(pairs).normal(-effect, 1, (repeats, pairs))
    found = [paired_comparison(d) for d in draws]
    return float(np.mean([r.high < 0 or r.low > 0 for r in found])), float(
        np.mean([r.verdict == "better" for r in found])
    )


def equivalence(repeats: int, pairs: int, margin: float, true: float = 0.0) -> float:
    """How often arms that differ by `true` are called equivalent; both in standard deviations."""
    draws = np.random.default_rng(pairs).normal(true, 1, (repeats, pairs))
    return float(np.mean([paired_comparison(d, margin=margin).verdict == "equivalent" for d in draws]))


def improvement_coverage(repeats: int, seeds: int, effect: float, shared: float) -> float:
    """How often the interval holds P(better) = Phi(effect / sqrt 2), the arms' correlation being `shared`."""
    random = np.random.default_rng(seeds)
    true = float(ndtr(effect / math.sqrt(2)))
    held = 0
    for _ in range(repeats):
        block = math.sqrt(shared) * random.normal(size=seeds)
        ours, theirs = math.sqrt(1 - shared) * random.normal(size=(2, seeds)) + block
        _, low, high = probability_of_improvement(ours + effect, theirs)
        held += low <= true <= high
    return held / repeats
