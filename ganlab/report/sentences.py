"""A comparison as a sentence: the verdict in four fixed forms, then the numbers in the metric's own direction."""

import math

from ganlab.study.robustness import fewest_pairs
from ganlab.study.values import LEVEL, ArmComparison, Caution, Cell, ChosenAfterwards, Gap, LeftOut, NoRatio

SMALL_P = 0.001  # below it the number says nothing more


def tell(comparison: ArmComparison) -> str:
    """What was found, how surely, and what it does not rest on."""
    arm, reference, endpoint, c = comparison.arm, comparison.reference, comparison.endpoint, comparison.paired
    missing = sum(pair.missing for pair in comparison.pairs)
    ranked = len(comparison.pairs) - missing  # pairs that count, diverged ones too
    if c.runs < 2 and not comparison.by_ranks:
        have = "1 pair" if c.runs else "no pair"
        return f"{arm} and {reference} have {have} of finished runs with equal seed; a comparison needs at least 2."
    claim = {
        "better": f"{arm} is better than {reference}",
        "worse": f"{arm} is worse than {reference}",
        "equivalent": f"{arm} is equivalent to {reference}",
        "inconclusive": f"{arm} against {reference} is inconclusive",
    }[comparison.verdict]
    ratio = endpoint.measure.scale == "ratio"
    if endpoint.margin is not None and comparison.verdict == "equivalent":
        claim += f" within {100 * endpoint.margin:.3g} %" if ratio else f" within {endpoint.margin:.3g}"
    if not endpoint.primary:
        claim += " (exploratory)"

    mean, low, high = comparison.own

    def show(value: float) -> str:
        return f"{per_cent(value):+.1f} %" if ratio else f"{value + 0.0:+.4g}"  # no -0

    numbers = ""
    if c.runs > 1 and endpoint.measure.scale == "size":
        numbers = f"{_to_zero(mean)} ({_signed_means(comparison)}), {100 * LEVEL:g} % interval {_span(low, high)}"
    elif c.runs > 1:
        numbers = f"{show(mean)}, {100 * LEVEL:g} % interval {show(low)} to {show(high)}"
    ours, theirs = comparison.diverged
    if comparison.by_ranks:
        one = "1 finished pair" if c.runs else "no finished pair"
        numbers = f"{numbers} over the {c.runs} finished pairs only" if numbers else f"no interval ({one})"
        worst = " and ".join(f"{n} of {whose}" for n, whose in ((ours, arm), (theirs, reference)) if n)
        numbers += f", {as_p(c.p_value)} by ranks over {pairs_of(ranked)}, diverged runs counted as the worst ({worst})"
    else:
        numbers += f", {as_p(c.p_value)}, {pairs_of(c.runs)}"
    arms = comparison.arms if endpoint.primary else 1
    enough = fewest_pairs((1 - LEVEL) / arms)

    notes = _undecided(comparison) if comparison.deciding >= enough else []
    if comparison.deciding < enough:
        among = f"with {arms} arms " if arms > 1 else ""
        notes.append(f"{among}p <= {1 - LEVEL:.2g} needs at least {enough} pairs, this study has {comparison.deciding}")
    if comparison.p_adjusted is not None:
        how = "" if endpoint.primary else f" ({comparison.adjustment})"
        notes.append(f"{as_p(comparison.p_adjusted)} after adjustment for {comparison.arms} arms{how}")
    if ours and not comparison.by_ranks:
        notes.append(f"both runs diverged in {pairs_of(ours)}")
    if missing:
        notes.append(f"{missing} of {len(comparison.pairs)} seeds {'is' if missing == 1 else 'are'} left out")
    return "; ".join([f"{claim}: {numbers}", *notes]) + "."


def _undecided(comparison: ArmComparison) -> list[str]:
    """Why a verdict is inconclusive though its interval or its p value alone would have decided."""
    c, by_adjusted = comparison.paired, comparison.endpoint.primary and comparison.p_adjusted is not None
    if comparison.verdict != "inconclusive" or comparison.by_ranks:
        return []
    p = comparison.p_adjusted if by_adjusted else c.p_value
    assert p is not None
    if c.low <= 0 <= c.high:
        return ["undecided because the interval contains 0"] if p <= 1 - LEVEL else []
    return [f"undecided because {'the adjusted p' if by_adjusted else 'p'} is above {1 - LEVEL:.2g}"]


def _signed_means(comparison: ArmComparison) -> str:
    """What the sizes leave out: above 0 or below; a checkerboard or its contrary, too much power or too little."""
    pairs = [(pair.theirs, pair.ours) for pair in comparison.pairs if pair.theirs is not None and pair.ours is not None]
    theirs, ours = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
    return f"{comparison.reference} {theirs:+.3g}, {comparison.arm} {ours:+.3g}"


def _to_zero(difference: float) -> str:
    """A difference of sizes in words: closer to 0 by 0.1342."""
    if f"{abs(difference):.4g}" == "0":
        return "as far from 0"
    return f"{'closer to' if difference < 0 else 'farther from'} 0 by {abs(difference):.4g}"


def _span(low: float, high: float) -> str:
    """An interval of such differences, from its smaller end where both lie on one side: 0.06 to 0.2."""
    if low < 0 < high:
        return f"{-low:.4g} closer to {high:.4g} farther"
    near, far = sorted((abs(low), abs(high)))
    return f"{near:.4g} to {far:.4g}"


def pairs_of(count: int) -> str:
    """1 pair, 2 pairs."""
    return "1 pair" if count == 1 else f"{count} pairs"


def per_cent(log_ratio: float) -> float:
    """By how many per cent one side is larger; infinite where that is more than a number holds."""
    return 100 * math.expm1(log_ratio) if log_ratio < 700 else math.inf


def as_p(value: float) -> str:
    """A p value as people write it."""
    return f"p = {bare_p(value)}" if value >= SMALL_P else f"p {bare_p(value)}"


def bare_p(value: float) -> str:
    """A p value in a table: 0.0312, < 0.001."""
    return f"{value:.3g}" if value >= SMALL_P else f"< {SMALL_P}"


def warn(caution: Caution) -> str:
    """What weakens a study, as a sentence."""
    if isinstance(caution, ChosenAfterwards):
        return f"The {chosen_after(caution)}; {caution.stated} was stated before them."
    if isinstance(caution, LeftOut):
        runs = f"{len(caution.cells)} run{'s' * (len(caution.cells) > 1)}"
        which = "; ".join(map(stand, caution.cells))
        return f"Left out by hand, after the runs (--leave-out): {runs}, {which}."
    values = "; ".join(f"{value} ({', '.join(arms)})" for value, arms in caution.values)
    return f"Not all runs were made alike: {caution.what} {values}."


def chosen_after(caution: ChosenAfterwards) -> str:
    """Primary metric recall was chosen after the runs."""
    return f"{caution.what} {caution.chosen} was chosen after the runs"


def stand(cell: Cell) -> str:
    """How a cell of the sweep stands: `fir-seed1: not started`."""
    return f"{cell.name}: {'not started' if cell.state == 'missing' else cell.state}"


def lack(gap: Gap | NoRatio) -> str:
    """Which run lacks a value and why: `fir, seed 3: failed`."""
    if isinstance(gap, NoRatio):
        return f"{gap.path} has metrics.{gap.metric}={gap.value}, of which there is no ratio"
    why = f"no {gap.metric}" if gap.metric else gap.why
    return f"{run_of(gap)}: {why}{', without a partner' if gap.alone else ''}"


def run_of(gap: Gap) -> str:
    """The run that a value lacks of: `fir, seed 3`."""
    return f"{gap.arm}, seed {gap.seed}"
