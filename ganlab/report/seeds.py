"""Before a study's runs: whether its seeds can give a verdict, by the rules of the comparison."""

from collections.abc import Iterable, Sequence
from typing import Any

from ganlab.config.comparison import Comparing
from ganlab.report.words import listed
from ganlab.runs.result import ResultError
from ganlab.study.arms import as_typed, by_number, label_of, refuse_confounded, settings_of
from ganlab.study.compare import BASELINE
from ganlab.study.robustness import fewest_pairs, smallest_p
from ganlab.study.values import LEVEL


def can_decide(configs: Iterable[dict[str, Any]], plan: Comparing) -> list[str]:
    """Whether runs with these settings can show an arm to be better or worse in the primary metric, in a line.

    Further lines name what would be lost: seeds that an arm lacks and others have. configs: of all runs of the study,
    those that are there and those to come. Equivalence needs no smallest p value, and can be found with fewer.
    """
    groups: list[tuple[dict[str, Any], set[int]]] = []
    for config in configs:
        settings = settings_of(config)
        seeds = next((seeds for known, seeds in groups if known == settings), None)
        if seeds is None:
            groups.append((settings, seeds := set()))
        seeds.add(config["seed"])
    trees = [settings for settings, _ in groups]
    if len(trees) < 2:
        return ["one arm: there is nothing to compare it with"]
    try:
        refuse_confounded("the study", trees)
    except ResultError as error:
        return [f"no verdict: {error}"]
    arms = {label_of(tree, trees): seeds for tree, seeds in groups}
    labels = sorted(arms, key=by_number)
    reference = next((name for name in (plan.reference, BASELINE) if name in arms), labels[0])
    pairs = {name: len(arms[name] & arms[reference]) for name in labels if name != reference}
    return [_verdict(pairs, reference, arms), *_lacking({name: arms[name] for name in labels})]


def _verdict(pairs: dict[str, int], reference: str, arms: dict[str, set[int]]) -> str:
    comparisons, fewest = len(pairs), fewest_pairs((1 - LEVEL) / len(pairs))
    over = f" after Holm's adjustment over {comparisons} comparisons" if comparisons > 1 else ""
    few = [name for name, count in pairs.items() if count < fewest]
    most = max(pairs.values()) if not few else max(pairs[name] for name in few)
    p = min(1.0, smallest_p(most) * comparisons)
    smallest = f"the smallest p value of {len(arms)} arms with {most} pair{'s' * (most != 1)} is {p:.2g}{over}"
    common = "" if len(set(map(frozenset, arms.values()))) == 1 else "common "
    seeds = f"{most} {common}seed{'s' * (most != 1)}"
    if not few:
        return f"{seeds} can give a verdict: {smallest}"
    if len(few) < comparisons:
        whose = "; ".join(f"{name} has {pairs[name]}" for name in few)
        return f"no verdict is possible for {listed(few)} against {reference}, which takes {fewest} pairs: {whose}"
    return f"{seeds} can give no verdict of better or worse: {smallest}; {fewest} seeds are the fewest"


def _lacking(arms: dict[str, set[int]]) -> list[str]:
    every = set().union(*arms.values())
    return [
        f"{name} lacks {_numbers(sorted(every - seeds))}, which other arms have: they are in no pair with it"
        for name, seeds in arms.items()
        if seeds != every
    ]


def _numbers(seeds: Sequence[int]) -> str:
    shown = [as_typed(seed) for seed in seeds[:10]] + [f"{len(seeds) - 10} more"] * (len(seeds) > 10)
    return f"seed{'s' * (len(seeds) > 1)} {listed(shown)}"
