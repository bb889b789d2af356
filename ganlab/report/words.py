"""A study in words: one sentence that answers its question, and numbers as people read them."""

import re
from typing import get_args

from ganlab.report.sentences import bare_p, per_cent
from ganlab.study.compare import ArmComparison, Endpoint, Study
from ganlab.study.statistics import Verdict
from ganlab.study.values import LEVEL

_ORDER: tuple[Verdict, ...] = ("better", "equivalent", "worse", "inconclusive")
assert set(_ORDER) == set(get_args(Verdict))


def leading(study: Study) -> tuple[Endpoint, ...]:
    """The endpoints that a reader came for: the primary one and those stated before the first run, else the first."""
    titles = ["", *study.plan.endpoints]
    asked = [endpoint for endpoint in study.endpoints if endpoint.primary or endpoint in study.stated]
    asked.sort(key=lambda endpoint: (not endpoint.primary, endpoint.title in titles and titles.index(endpoint.title)))
    return tuple(asked) or study.endpoints[:1]


def answer(study: Study) -> str:
    """One sentence; another for endpoints that nobody measured.

    Over all leading endpoints where one arm is compared. Of several only the first endpoint has room in a sentence:
    `verdict_rows` has them all.
    """
    if not study.endpoints:
        return "No finished run has metrics that can be compared."
    places: dict[str, list[str]] = {}
    for endpoint in leading(study):
        places.setdefault(standing(study, endpoint), []).append(named(endpoint))
    parts = [f"{found} in {listed(names)}" for found, names in places.items()]
    lacking = [f"The {title} endpoint {metric} was not measured: its verdict is open."
               for title, metric in study.open.items()]  # fmt: skip
    if many_arms(study):
        first = leading(study)[0]
        parts = [f"in {named(first)}: {standing(study, first)}"]
    return " ".join([f"Against {short_labels(study)[study.reference.label]}, {'; '.join(parts)}.", *lacking])


def many_arms(study: Study) -> bool:
    """Whether several arms are compared with the reference, which a table tells better than a sentence."""
    return len(study.arms) > 2


def verdict_rows(study: Study) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The verdict as a table, its head and a row for each arm.

    The first of the leading endpoints with its effect, interval and p, adjusted where it is; of the others the verdict
    and the effect.
    """
    endpoints, short = leading(study), short_labels(study)
    if not endpoints:
        return (), []
    first = study.comparisons[endpoints[0].metric]
    adjusted = any(each.p_adjusted is not None for each in first)
    titles = [f"{endpoint.title} (exploratory)" if not endpoint.primary else endpoint.title for endpoint in endpoints]
    head = ("arm", titles[0], "effect", f"{100 * LEVEL:g} % interval", "adjusted p" if adjusted else "p", *titles[1:])
    rows = []
    for arm in study.arms:
        if arm is study.reference:
            rows.append((short[arm.label], "reference", *["–"] * (len(head) - 2)))
            continue
        main, *others = [_compared(study, endpoint, arm.label) for endpoint in endpoints]
        mean, low, high = main.own
        known = main.paired.runs > 1
        rows.append(
            (
                short[arm.label],
                main.verdict,
                shown_effect(main.endpoint, mean) if known else "–",
                shown_interval(main.endpoint, low, high) if known else "–",
                bare_p(main.paired.p_value if main.p_adjusted is None else main.p_adjusted),
                *(f"{each.verdict}, {shown_effect(each.endpoint, each.own[0])}" if each.paired.runs > 1
                  else each.verdict for each in others),
            )
        )  # fmt: skip
    return head, rows


def _compared(study: Study, endpoint: Endpoint, label: str) -> ArmComparison:
    (found,) = [each for each in study.comparisons[endpoint.metric] if each.arm == label]
    return found


def named(endpoint: Endpoint) -> str:
    """Quality (frechet_distance), spectrum (spectral_distance, exploratory); where nothing was stated, the metric."""
    status = "" if endpoint.primary else ", exploratory"
    bare = f"{endpoint.metric}{' (exploratory)' if status else ''}"
    return bare if endpoint.title == endpoint.metric else f"{endpoint.title} ({endpoint.metric}{status})"


def standing(study: Study, endpoint: Endpoint) -> str:
    """How the arms stand in one endpoint: `upsample is better, fir and carafe are inconclusive`."""
    comparisons, short = study.comparisons[endpoint.metric], short_labels(study)
    parts = []
    for verdict in _ORDER:
        arms = [short[comparison.arm] for comparison in comparisons if comparison.verdict == verdict]
        if arms and len(arms) == len(comparisons) > 2:
            return f"all {len(arms)} arms are {verdict}"
        if arms:
            parts.append(f"{listed(arms)} {'is' if len(arms) == 1 else 'are'} {verdict}")
    return listed(parts, ", ")


def short_labels(study: Study) -> dict[str, str]:
    """Labels of arms for figures and headings: settings without where they stand, if that tells the arms apart."""
    short = {arm.label: re.sub(r"(?<= )[\w.]+\.(\w+)=", r"\1=", arm.label) for arm in study.arms}
    return short if len(set(short.values())) == len(short) else {label: label for label in short}


def listed(names: list[str], last: str = " and ") -> str:
    """A, b and c."""
    return last.join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def heading(endpoint: Endpoint) -> str:
    """An endpoint in a line: `quality, frechet_distance: smaller is better; primary`."""
    return f"{titled(endpoint)}; {'primary' if endpoint.primary else 'exploratory'}"


def titled(endpoint: Endpoint) -> str:
    """An endpoint, and which values are better: `quality, frechet_distance: smaller is better`."""
    title = "" if endpoint.title == endpoint.metric else f"{endpoint.title}, "
    return f"{title}{endpoint.metric}: {side(endpoint)}"


def side(endpoint: Endpoint) -> str:
    """Which values are the better ones."""
    return f"{endpoint.measure.better} is better"


def negligible(endpoint: Endpoint) -> str:
    """What difference counts as none; empty where nothing was said."""
    if endpoint.margin is None:
        return ""
    return f"{100 * endpoint.margin:.3g} %" if endpoint.measure.scale == "ratio" else f"{endpoint.margin:.3g}"


def shown_effect(endpoint: Endpoint, value: float) -> str:
    """A difference as people read it: per cent of a ratio, closer to 0 or farther, else a number with its sign."""
    if endpoint.measure.scale == "size":
        size = f"{abs(value):.3g}"
        return "0" if size == "0" else f"{size} {'closer' if value < 0 else 'farther'}"
    if endpoint.measure.scale != "ratio":
        return f"{value + 0.0:+.3g}"
    change = per_cent(value)
    return f"{change:+.0f} %" if abs(change) >= 100 else f"{change:+.1f} %"


def shown_interval(endpoint: Endpoint, low: float, high: float) -> str:
    """An interval of differences as people read it: -32.4 % to -24.3 %, 0.06 to 0.2 closer."""
    if endpoint.measure.scale == "size" and low * high > 0:
        near, far = sorted((low, high), key=abs)
        return f"{abs(near):.3g} to {shown_effect(endpoint, far)}"
    return f"{shown_effect(endpoint, low)} to {shown_effect(endpoint, high)}"


def number(value: float | None, digits: int = 4) -> str:
    """A value in a table; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}g}"


def count(value: float) -> str:
    """1234567 -> 1,234,567."""
    return f"{value:,.0f}"
