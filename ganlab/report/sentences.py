"""A study in words: every sentence, number and phrase that the terminal and the pages share."""

import math
import re
from collections.abc import Iterable
from typing import Any, get_args

from ganlab.config.comparison import Comparing
from ganlab.errors import join_words, nearest
from ganlab.runs.result import ResultError
from ganlab.runs.status import CellStatus
from ganlab.study.arms import (
    as_typed,
    by_number,
    different_plans,
    group_equal,
    labels_of,
    refuse_confounded,
    settings_of,
)
from ganlab.study.compare import (
    BASELINE,
    COUNTED_AS_WORST,
    LEVEL,
    ArmComparison,
    Caution,
    ChosenAfterwards,
    Endpoint,
    FailureRate,
    Gap,
    LeftOut,
    NoRatio,
    NotAdmitted,
    Study,
)
from ganlab.study.statistics import Verdict, fewest_pairs, holm, smallest_p

SMALL_P = 0.001  # below it the number says nothing more


def describe_comparison(comparison: ArmComparison) -> str:
    """The result in a sentence: how large, how certain, and which pairs are left out."""
    arm, reference, endpoint, c = comparison.arm, comparison.reference, comparison.endpoint, comparison.paired
    missing = sum(pair.missing for pair in comparison.pairs)
    ranked = len(comparison.pairs) - missing  # pairs that count, including those with a run that is the worst
    if c.runs < 2 and not comparison.by_ranks:
        return _describe_too_few(comparison)
    claim = {
        "better": f"{arm} is better than {reference}",
        "worse": f"{arm} is worse than {reference}",
        "equivalent": f"{arm} is equivalent to {reference} within {show_margin(endpoint)}",
        "inconclusive": f"{arm} against {reference} is inconclusive",
        "depends on who looks": f"{arm} against {reference} depends on who looks",
    }[comparison.verdict]
    if not endpoint.primary:
        claim += " (exploratory)"

    mean, low, high = comparison.effect

    def show(value: float) -> str:
        if endpoint.measure.scale == "ratio":
            return f"{per_cent(value):+.1f} %"
        return f"{value + 0.0:+.4g}"  # no -0

    numbers = "no interval of a mean"
    if comparison.has_interval and endpoint.measure.scale == "size":
        numbers = f"{_to_zero(mean)} ({_signed_means(comparison)}), {100 * LEVEL:g} % interval {_span(low, high)}"
    elif comparison.has_interval:
        numbers = f"{show(mean)}, {100 * LEVEL:g} % interval {show(low)} to {show(high)}"
    if comparison.by_ranks:
        over = f" over the {c.runs} finished pairs only" if comparison.has_interval else ""
        numbers += f"{over}, {as_p(c.p_value)} by ranks over {pairs_of(ranked)}; {_worst(comparison)}"
    else:
        numbers += f", {as_p(c.p_value)}, {pairs_of(c.runs)}"
    arms, enough = comparison.tested_arms, comparison.enough
    notes = _why_undecided(comparison) if comparison.deciding >= enough else []
    if comparison.deciding < enough and comparison.verdict == "inconclusive":
        among = f"with {arms} arms " if arms > 1 else ""
        which = " in which not both runs are the worst" if comparison.both_worst else ""
        notes.append(
            f"{among}p <= {1 - LEVEL:.2g} needs at least {enough} pairs{which}, this study has {comparison.deciding}"
        )
    if comparison.p_adjusted is not None:
        method = "" if endpoint.primary else f" ({comparison.adjustment})"
        notes.append(f"{as_p(comparison.p_adjusted)} after adjustment for {comparison.arms} arms{method}")
    if comparison.both_worst and not comparison.by_ranks:
        notes.append(f"both runs diverged or collapsed in {pairs_of(comparison.both_worst)}")
    if comparison.unmeasured:
        notes.append(
            f"no verdict, since finished runs of {pairs_of(comparison.unmeasured)} have no value: measure them again"
        )
    notes += [
        f"through {kind.endpoint.metric.split('/')[1]}: {show(kind.effect[0])}, {kind.verdict}"  # full/pca/...
        for kind in comparison.kinds
        if kind.has_interval
    ]
    if missing:
        notes.append(f"{missing} of {len(comparison.pairs)} seeds {'is' if missing == 1 else 'are'} left out")
    return "; ".join([f"{claim}: {numbers}", *notes]) + "."


def _describe_too_few(comparison: ArmComparison) -> str:
    """Why there is no comparison: too few pairs of finished runs that have a value."""
    arm, reference, runs = comparison.arm, comparison.reference, comparison.paired.runs
    if comparison.unmeasured:
        return (
            f"{arm} against {reference} has no verdict, since finished runs of {pairs_of(comparison.unmeasured)} "
            "have no value: measure them again."
        )
    if both := comparison.both_worst:
        others = f", and finished in {runs}" if runs else ""
        failed = f"of {arm} and {reference} both runs diverged or collapsed in {pairs_of(both)}"
        return f"{failed}{others}; there is no verdict."
    pair_count = "1 pair" if runs else "no pair"
    return f"{arm} and {reference} have {pair_count} of finished runs with equal seed; a comparison needs at least 2."


def _worst(comparison: ArmComparison) -> str:
    """Which runs count as the worst: 4 of 10 runs of upsample collapsed, of transpose 0."""
    runs, parts = len(comparison.pairs) - sum(pair.missing for pair in comparison.pairs), []
    for why in COUNTED_AS_WORST:
        ours, theirs = comparison.worst(why)
        if ours or theirs:
            parts.append(f"{ours} of {comparison.arm} and {theirs} of {comparison.reference} {why}")
    return f"of {runs} runs each, {join_words(parts)}, and count as the worst"


def _why_undecided(comparison: ArmComparison) -> list[str]:
    """Why a verdict is inconclusive though its interval or its p value alone would have decided."""
    c = comparison.paired
    if comparison.verdict != "inconclusive" or comparison.by_ranks or comparison.unmeasured:
        return []
    p = c.p_value if comparison.p_adjusted is None else comparison.p_adjusted
    if c.low <= 0 <= c.high:
        return ["undecided because the interval contains 0"] if p <= 1 - LEVEL else []
    of = "p" if comparison.p_adjusted is None else "the adjusted p"
    return [f"undecided because {of} is above {1 - LEVEL:.2g}"] if p > 1 - LEVEL else []


def _signed_means(comparison: ArmComparison) -> str:
    """What sizes do not say: whether means are above or below 0, such as too much power or too little."""
    pairs = [(pair.theirs, pair.ours) for pair in comparison.pairs if pair.theirs is not None and pair.ours is not None]
    theirs, ours = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
    return f"{comparison.reference} {theirs:+.3g}, {comparison.arm} {ours:+.3g}"


def _to_zero(difference: float) -> str:
    """A difference of sizes in words: closer to 0 by 0.1342."""
    if f"{abs(difference):.4g}" == "0":
        return "as far from 0"
    return f"{'closer to' if difference < 0 else 'farther from'} 0 by {abs(difference):.4g}"


def _span(low: float, high: float) -> str:
    """An interval of such differences, from its smaller end if both are on one side: 0.06 to 0.2."""
    if low < 0 < high:
        return f"{-low:.4g} closer to {high:.4g} farther"
    near, far = sorted((abs(low), abs(high)))
    return f"{near:.4g} to {far:.4g}"


def pairs_of(count: int) -> str:
    """1 pair, 2 pairs."""
    return "1 pair" if count == 1 else f"{count} pairs"


def per_cent(log_ratio: float) -> float:
    """By how many per cent one side is larger; infinite where that overflows."""
    return 100 * math.expm1(log_ratio) if log_ratio < 700 else math.inf


def as_p(value: float) -> str:
    """A p value as people write it."""
    return f"p {'= ' * (value >= SMALL_P)}{bare_p(value)}"


def bare_p(value: float | None) -> str:
    """A p value in a table: 0.0312, < 0.001, a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:.3g}" if value >= SMALL_P else f"< {SMALL_P}"


def describe_caution(caution: Caution) -> str:
    """What weakens a study, as a sentence."""
    if isinstance(caution, ChosenAfterwards):
        return f"The {chosen_after(caution)}; {caution.stated} was stated before them."
    if isinstance(caution, LeftOut):
        count, which = len(caution.cells), "; ".join(map(describe_cell, caution.cells))
        return f"Left out by hand, after the runs (--leave-out): {count} run{'s' * (count > 1)}, {which}."
    if isinstance(caution, NotAdmitted):
        return (
            f"{caution.metric} should not decide on these images: it finds {caution.fault} no worse than "
            f"{caution.grain}, which hardly anyone sees."
        )
    values = "; ".join(f"{value} ({', '.join(arms)})" for value, arms in caution.values)
    return f"Not all runs were made alike: {caution.what} {values}."


def chosen_after(caution: ChosenAfterwards) -> str:
    """Primary metric recall was chosen after the runs."""
    return f"{caution.what} {caution.chosen} was chosen after the runs"


def describe_cell(cell: CellStatus) -> str:
    """A cell of the sweep and its state: `fir-seed1: not started`."""
    return f"{cell.name}: {'not started' if cell.state == 'missing' else cell.state}"


def describe_gap(gap: Gap | NoRatio) -> str:
    """Which run lacks a value and why: `fir, seed 3: failed`."""
    if isinstance(gap, NoRatio):
        return f"{gap.path} has metrics.{gap.metric}={gap.value}, which has no ratio"
    why = f"no {gap.metric}" if gap.metric else gap.why
    return f"{run_of(gap)}: {why}{', without a partner' if gap.alone else ''}"


def run_of(gap: Gap) -> str:
    """The run without the value: `fir, seed 3`."""
    return f"{gap.arm}, seed {gap.seed}"


# --- the study as a whole ---------------------------------------------------------------------------------------------


_ORDER: tuple[Verdict, ...] = ("better", "equivalent", "worse", "depends on who looks", "inconclusive")
assert set(_ORDER) == set(get_args(Verdict))


def answer(study: Study) -> str:
    """One sentence, and one for each endpoint that was not measured.

    Over all leading endpoints where one arm is compared. With several arms a sentence has room for the first endpoint
    only: `verdict_rows` has them all.
    """
    if not study.endpoints:
        return "No finished run has metrics that can be compared."
    places: dict[str, list[str]] = {}
    for endpoint in study.leading:
        places.setdefault(list_verdicts(study, endpoint), []).append(name_endpoint(endpoint))
    parts = [f"{outcome} in {join_words(names)}" for outcome, names in places.items()]
    if many_arms(study):
        first = study.leading[0]
        parts = [f"in {name_endpoint(first)}: {list_verdicts(study, first)}"]
    return " ".join(
        [f"Against {short_labels(study)[study.reference.label]}, {'; '.join(parts)}.", *describe_open(study)]
    )


def describe_open(study: Study) -> list[str]:
    """A sentence for each endpoint of the plan that no run has measured."""
    return [
        f"The {title} endpoint {metric} was not measured: its verdict is open." for title, metric in study.open.items()
    ]


def many_arms(study: Study) -> bool:
    """Whether several arms are compared with the reference, so that a table is clearer than a sentence."""
    return len(study.arms) > 2


def verdict_rows(study: Study) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The verdict as a table: its head and a row for each arm.

    The first of the leading endpoints has its effect, interval and p, adjusted if it is; the others have the verdict
    and the effect.
    """
    endpoints, short = study.leading, short_labels(study)
    first = study.comparisons[endpoints[0].metric]
    adjusted = any(comparison.p_adjusted is not None for comparison in first)
    titles = [f"{endpoint.title} (exploratory)" if not endpoint.primary else endpoint.title for endpoint in endpoints]
    head = ("arm", titles[0], "effect", f"{100 * LEVEL:g} % interval", "adjusted p" if adjusted else "p", *titles[1:])
    rows = []
    for arm in study.arms:
        if arm is study.reference:
            rows.append((short[arm.label], "reference", *["–"] * (len(head) - 2)))
            continue
        main, *others = [
            comparison
            for endpoint in endpoints
            for comparison in study.comparisons[endpoint.metric]
            if comparison.arm == arm.label
        ]
        mean, low, high = main.effect
        rows.append(
            (
                short[arm.label],
                main.verdict,
                show_effect(main.endpoint, mean) if main.has_interval else "–",
                show_interval(main.endpoint, low, high) if main.has_interval else "–",
                bare_p(main.paired.p_value if main.p_adjusted is None else main.p_adjusted),
                *(f"{other.verdict}, {show_effect(other.endpoint, other.effect[0])}" if other.has_interval
                  else other.verdict for other in others),
            )
        )  # fmt: skip
    return head, rows


def name_endpoint(endpoint: Endpoint) -> str:
    """Quality (frechet_distance), spectrum (spectral_distance, exploratory); the metric alone if it was not stated."""
    status = "" if endpoint.primary else ", exploratory"
    bare = f"{endpoint.metric}{' (exploratory)' if status else ''}"
    return bare if endpoint.title == endpoint.metric else f"{endpoint.title} ({endpoint.metric}{status})"


def list_verdicts(study: Study, endpoint: Endpoint) -> str:
    """The verdicts of all arms in one endpoint: `upsample is better, fir and carafe are inconclusive`."""
    comparisons, short = study.comparisons[endpoint.metric], short_labels(study)
    parts = []
    for verdict in _ORDER:
        arms = [short[comparison.arm] for comparison in comparisons if comparison.verdict == verdict]
        is_, are = ("", "depend on who looks") if verdict.startswith("depends") else ("is ", f"are {verdict}")
        if arms and len(arms) == len(comparisons) > 2:
            return f"all {len(arms)} arms {are}"
        if arms:
            parts.append(f"{join_words(arms)} {is_ + verdict if len(arms) == 1 else are}")
    return join_words(parts, ", ")


def short_labels(study: Study) -> dict[str, str]:
    """Labels of arms for figures and headings: settings without their prefix, if that tells the arms apart."""
    short = {arm.label: re.sub(r"(?<= )[\w.]+\.(\w+)=", r"\1=", arm.label) for arm in study.arms}
    return short if len(set(short.values())) == len(short) else {label: label for label in short}


def endpoint_heading(endpoint: Endpoint) -> str:
    """An endpoint in a line: `quality, frechet_distance: smaller is better; primary`."""
    return f"{endpoint_title(endpoint)}; {'primary' if endpoint.primary else 'exploratory'}"


def endpoint_title(endpoint: Endpoint) -> str:
    """An endpoint, and which values are better: `quality, frechet_distance: smaller is better`."""
    title = "" if endpoint.title == endpoint.metric else f"{endpoint.title}, "
    return f"{title}{endpoint.metric}: {endpoint.measure.better} is better"


def show_margin(endpoint: Endpoint) -> str:
    """The difference that counts as none; empty where none was stated."""
    if endpoint.margin is None:
        return ""
    return f"{100 * endpoint.margin:.3g} %" if endpoint.measure.scale == "ratio" else f"{endpoint.margin:.3g}"


def show_effect(endpoint: Endpoint, value: float) -> str:
    """A difference as people read it: per cent of a ratio, closer to 0 or farther, else a number with its sign."""
    if endpoint.measure.scale == "size":
        size = f"{abs(value):.3g}"
        return "0" if size == "0" else f"{size} {'closer' if value < 0 else 'farther'}"
    if endpoint.measure.scale != "ratio":
        return f"{value + 0.0:+.3g}"
    change = per_cent(value)
    return f"{change:+.0f} %" if abs(change) >= 100 else f"{change:+.1f} %"


def show_interval(endpoint: Endpoint, low: float, high: float) -> str:
    """An interval of differences as people read it: -32.4 % to -24.3 %, 0.06 to 0.2 closer."""
    if endpoint.measure.scale == "size" and low * high > 0:
        near, far = sorted((low, high), key=abs)
        return f"{abs(near):.3g} to {show_effect(endpoint, far)}"
    return f"{show_effect(endpoint, low)} to {show_effect(endpoint, high)}"


def show_number(value: float | None, digits: int = 4) -> str:
    """A value in a table; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}g}"


# --- other statistics of a study --------------------------------------------------------------------------------------


def robust_columns(comparison: ArmComparison) -> dict[str, str]:
    """Other statistics of the same pairs by name, as a table shows them."""
    robust, endpoint = comparison.robust, comparison.endpoint

    def effect(value: float | None) -> str:
        return "–" if value is None else show_effect(endpoint, endpoint.measure.orient(value))

    chance = show_number(robust.improvement, 2)
    if robust.improvement_low is not None and robust.improvement_high is not None:
        chance += f" ({robust.improvement_low:.2f} to {robust.improvement_high:.2f})"
    return {
        "Wilcoxon p": show_number(robust.wilcoxon_p, 3),
        "interquartile mean": effect(robust.interquartile_mean if comparison.has_interval else None),
        "Hodges-Lehmann": effect(robust.hodges_lehmann if comparison.has_interval else None),
        "P(better)": chance,
        "correlation": show_number(robust.correlation, 2),
    }


def show_failures(rate: FailureRate) -> str:
    """How many of an arm's runs that came to an end diverged or collapsed, with an interval."""
    if not rate.runs:
        return "–"
    failed = rate.diverged + rate.collapsed
    return f"{failed} of {rate.runs} ({math.floor(100 * rate.low)} to {math.ceil(100 * rate.high)} %)"


def pairs_needed(comparison: ArmComparison) -> str:
    """With how many pairs an inconclusive comparison would probably be decided; empty where that is not known."""
    if comparison.by_ranks:  # the numbers below are of finished pairs, which do not decide
        return ""
    needs = {
        "find a difference as large as the one seen": comparison.robust.seeds_for_power,
        "show equivalence if there is no difference": comparison.robust.seeds_for_equivalence,
    }
    have = comparison.paired.runs
    numbers = ", or ".join(f"{seeds} pairs to {aim}" for aim, seeds in needs.items() if seeds and seeds > have)
    if numbers and comparison.drawn:
        numbers += ", not counting the draw of the features, whose error more pairs do not lessen"
    return numbers


# --- before the runs --------------------------------------------------------------------------------------------------


def can_decide(configs: Iterable[dict[str, Any]], plan: Comparing) -> list[str]:
    """A line that says whether runs with these settings can show an arm to be better or worse in the primary metric.

    Further lines name seeds that one arm lacks and others have. configs: of all runs of the study, existing ones and
    those to come. Equivalence does not depend on the smallest p value, and can be found with fewer seeds.
    """
    configs = list(configs)
    groups = group_equal((settings_of(config), config["seed"]) for config in configs)
    trees = [settings for settings, _ in groups]
    if len(trees) < 2:
        return ["one arm: there is nothing to compare it with"]
    if differing := different_plans(config.get("comparison", {}) for config in configs):
        return [f"no verdict: {differing}; give all runs of a study one plan"]
    try:
        refuse_confounded("the study", trees)
    except ResultError as error:
        return [f"no verdict: {error}"]
    arms = {label: set(seeds) for label, (_, seeds) in zip(labels_of(trees), groups, strict=True)}
    if plan.reference is not None and plan.reference not in arms:
        return [f"no verdict: comparison.reference={plan.reference} is not an arm; {nearest(plan.reference, arms)}"]
    labels = sorted(arms, key=by_number)
    reference = next((name for name in (plan.reference, BASELINE) if name in arms), labels[0])
    pairs = {name: len(arms[name] & arms[reference]) for name in labels if name != reference}
    return [_can_decide(pairs, reference, arms), *_missing_seeds({name: arms[name] for name in labels})]


def _can_decide(pairs: dict[str, int], reference: str, arms: dict[str, set[int]]) -> str:
    comparisons, fewest = len(pairs), fewest_pairs((1 - LEVEL) / len(pairs))
    at_best = holm([smallest_p(count) for count in pairs.values()])
    over = f" after Holm's adjustment over {comparisons} comparisons" if comparisons > 1 else ""
    few = [name for name, p in zip(pairs, at_best, strict=True) if p > 1 - LEVEL]
    most = max(pairs.values()) if not few else max(pairs[name] for name in few)
    p = min(1.0, smallest_p(most) * comparisons)
    smallest = f"the smallest p value of {len(arms)} arms with {most} pair{'s' * (most != 1)} is {p:.2g}{over}"
    common = "" if len(set(map(frozenset, arms.values()))) == 1 else "common "
    seeds = f"{most} {common}seed{'s' * (most != 1)}"
    if not few:
        return f"{seeds} can give a verdict: {smallest}"
    if len(few) < comparisons:
        whose = "; ".join(f"{name} has {pairs[name]}" for name in few)
        fewest = fewest_pairs((1 - LEVEL) / len(few))  # once the others are decided
        return f"no verdict is possible for {join_words(few)} against {reference}, which takes {fewest} pairs: {whose}"
    return f"{seeds} can give no verdict of better or worse: {smallest}; {fewest} seeds are the fewest"


def _missing_seeds(arms: dict[str, set[int]]) -> list[str]:
    all_seeds = set().union(*arms.values())
    lines = []
    for name, seeds in arms.items():
        if lacking := sorted(all_seeds - seeds):
            numbers = [as_typed(seed) for seed in lacking[:10]] + [f"{len(lacking) - 10} more"] * (len(lacking) > 10)
            which = f"seed{'s' * (len(lacking) > 1)} {join_words(numbers)}"
            lines.append(f"{name} lacks {which}, which other arms have: they are in no pair with it")
    return lines


def describe_rollbacks(study: Study) -> str:
    """Which runs went back to a checkpoint after diverging, and how often; empty where none did."""
    runs = [
        f"{arm.label}, seed {seed}{f' ({len(run.rollbacks)} times)' if len(run.rollbacks) > 1 else ''}"
        for arm in study.arms
        for seed, run in sorted(arm.runs.items())
        if run.rollbacks
    ]
    return f"Went back to a checkpoint after diverging: {'; '.join(runs)}." if runs else ""
