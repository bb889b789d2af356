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
from ganlab.study.compare import compare_arms
from ganlab.study.statistics import paired_comparison, probability_of_improvement
from ganlab.study.values import Study

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


def compared(logs: Values, diverged: NDArray[np.bool_] | None = None) -> Study:
    """The study of arms whose log distances are given, [arms, seeds]; the first is the reference."""
    arms = []
    for place, row in enumerate(logs):
        runs = {}
        for seed, value in enumerate(row):
            lost = diverged is not None and bool(diverged[place, seed])
            runs[seed] = RunResult(
                status="diverged" if lost else "finished",
                variant=f"arm{place}",
                seed=seed,
                config={},
                metrics={} if lost else {"frechet_distance": math.exp(value)},
            )
        arms.append(Arm(f"arm{place}", {}, runs))
    return compare_arms(arms, Comparing(reference="arm0", margins={}))


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
