"""The files of a report: pages, figures, `verdict.json` and `scores.csv`.

Each file is replaced as a whole, and the same study gives the same bytes.
"""

import base64
import csv
import html
import io
import math
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic_core import from_json, to_json

from ganlab.files import make_folder, sole_writer, write_bytes, write_json
from ganlab.report.drawing import THEMES
from ganlab.report.page import Page, compose_page
from ganlab.report.sentences import answer, describe_caution, describe_cell, describe_comparison, describe_gap
from ganlab.study.arms import Arm
from ganlab.study.compare import COUNTED_AS_WORST, LEVEL, ArmComparison, Endpoint, FailureRate, Study, admitted

_TEMPLATES: dict[str, Any] = {
    "loader": PackageLoader("ganlab.report"),
    "trim_blocks": True,
    "lstrip_blocks": True,
    "undefined": StrictUndefined,
}
_MARKS = re.compile(r"([\\`*\[\]|~]|(?<!\w)_|_(?!\w)|<(?=[\w/!]))")  # what Markdown would interpret


def write_report(study: Study, folder: Path | None = None) -> Path:
    """Write `report/` into the study's folder; returns it. What an earlier report left there is replaced or removed.

    folder: used instead of that one. report.html is self-contained; report.md shows the files in figures/. Raises
    ResultError where records of a run are damaged, OSError where the folder cannot be written.
    """
    page = compose_page(study)
    folder = folder or study.directory / "report"
    with sole_writer(folder):
        # first: it tells whose folder it is, should this be stopped
        write_json(folder / "verdict.json", {"answer": answer(study), **as_json(study)})
        _write_pages(page, study, folder)
    return folder


def _write_pages(page: Page, study: Study, folder: Path) -> None:
    figures = folder / "figures"
    make_folder(figures)
    contents = {
        figures / f"{drawing.name}-{theme}.svg": drawing.svg(theme).encode()
        for drawing in page.drawings()
        for theme in THEMES
    }
    contents |= {figures / f"{name}.png": png for name, png in page.pictures().items()}
    contents[folder / "report.html"] = as_html(page).encode()
    contents[folder / "report.md"] = as_markdown(page).encode()
    contents[folder / "scores.csv"] = _as_csv(scores(study)).encode()
    for path, content in contents.items():
        write_bytes(path, content, durable=False)  # easily made again
    for stale in {*figures.glob("*.svg"), *figures.glob("*.png")} - contents.keys():
        stale.unlink()


def as_html(page: Page) -> str:
    """One file without requests and without scripts."""
    environment = Environment(autoescape=True, **_TEMPLATES)
    environment.filters["inline"] = lambda drawing: Markup(drawing.inline())  # its texts are escaped where it is drawn
    environment.filters["breakable"] = lambda text: Markup(re.sub(r"([._=]+)", r"\1<wbr>", html.escape(text)))
    environment.filters["data"] = lambda png: f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return environment.get_template("report.html.jinja").render(page=page, themes=THEMES)


def as_markdown(page: Page) -> str:
    """As GitHub shows it, with the files in figures/."""
    environment = Environment(finalize=_escaped, **_TEMPLATES)
    environment.filters["html"] = lambda text: _Plain(html.escape(text))
    environment.filters["code"] = lambda text: _Plain(text)
    text = environment.get_template("report.md.jinja").render(page=page)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _as_csv(rows: list[dict[str, Any]]) -> str:
    """Rows of equal columns; an empty field where there is no value.

    Text that a spreadsheet would run as a formula gets an apostrophe before it, which makes it text there.
    """
    file = io.StringIO()
    table = csv.DictWriter(file, rows[0], lineterminator="\n")
    table.writeheader()
    table.writerows({key: _as_text(value) for key, value in row.items()} for row in rows)
    return file.getvalue()


def _as_text(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


class _Plain(str):
    """Text that needs no escaping in Markdown."""


def _escaped(value: Any) -> str:
    """Text with Markdown's marks escaped, in one line: another line could begin with a mark."""
    return value if isinstance(value, _Plain) else _MARKS.sub(r"\\\1", " ".join(str(value).split("\n")))


# --- a study as plain values ------------------------------------------------------------------------------------------


def as_json(study: Study) -> dict[str, Any]:
    """Everything that a program needs from a study, in values that JSON has; None where there is no number.

    - `question`, `reference`, `level` of all intervals, `protocol`, `shown_only` (metrics without a better side).
    - `endpoints`, the primary one first: `title`, `metric`, `better` (smaller or larger), `unit`, `primary`, `stated`
      (before the first run), `margin`, `verdicts` (one for each arm but the reference), `summaries` (one for each arm:
      `runs`, `mean`, `sd`, `median`, `interquartile_mean`).
    - of a verdict: `arm`, `verdict`, `exploratory`, `sentence`; `estimate`, `low`, `high` of arm against
      reference, in the metric's own direction, as the endpoint's unit says: a `ratio` is ours / theirs (1 where
      they are equal), a `difference` and a `size` (of absolute values) are ours - theirs; `effect_size` in the
      same direction; `p_value`, `p_adjusted`, `adjustment`; `by_ranks` (see ArmComparison); `pairs` (finished
      ones, behind the interval), `diverged` and `collapsed` {arm, reference}, how many runs are the worst for
      that; `kinds`, for a mean over kinds of features the verdict of each; `robust` (see Robust; its two locations
      are like the estimate, and `improvement` is the chance that the arm is better); `lacking`, the seeds
      without a pair of values: `seed`, `why`, `missing` (whether it counts nowhere; if not, the run is the
      worst). Where runs of one arm collapsed there is no estimate. Values are in scores.csv.
    - `arms`: `arm`, `reference` (whether it is), `runs` by status, `failure_rate` {share, low, high, runs} (of
      the runs that came to an end, those that diverged or collapsed; of these `collapsed`), `parameters` and
      `macs` as their results have them.
    - `missing`, `pending` (cells of the sweep that have no result yet), `left_out` (by hand; only if there are any),
      `diverged`, `unmeasured` (by metric): a line for each such run. `open`: endpoints of the plan, by title, that no
      run has measured. `cautions`: sentences on choices that were made after the runs, and on runs that were not made
      alike.
    - `admitted`: the metrics that may decide, by known faults of real images; null where that was not tried.
    - `versions`, `devices`: all that the runs name.
    """
    runs = study.runs
    versions = sorted({(name, version) for run in runs for name, version in run.versions.items()})
    tree = {
        "question": study.plan.question,
        "reference": study.reference.label,
        "level": LEVEL,
        "endpoints": [_endpoint(study, endpoint) for endpoint in study.endpoints],
        "arms": [_arm(study, arm, rate) for arm, rate in zip(study.arms, study.failures, strict=True)],
        "missing": [describe_gap(gap) for gap in study.gaps],
        "pending": [describe_cell(cell) for cell in study.pending],
        **({"left_out": [describe_cell(cell) for cell in study.left_out]} if study.left_out else {}),
        "open": study.open,
        "diverged": [describe_gap(gap) for gap in study.diverged],
        "unmeasured": {name: [describe_gap(gap) for gap in gaps] for name, gaps in study.unmeasured.items()},
        "cautions": [describe_caution(caution) for caution in study.cautions],
        "shown_only": study.shown_only,
        "admitted": admitted(study.ladder) if study.ladder else None,
        "protocol": study.protocol,
        "versions": {name: [v for n, v in versions if n == name] for name, _ in versions},
        "devices": sorted({run.device for run in runs if run.device}),
    }
    return from_json(to_json(tree, inf_nan_mode="null"))


def scores(study: Study) -> list[dict[str, Any]]:
    """A row for each run, all with the same columns in the same order; None where a run has no value.

    arm, seed, status, every metric, parameters and macs of the generator, seconds, images_per_second, and the path of
    its result.json below the study's folder.
    """
    return [
        {
            "arm": arm.label,
            "seed": run.seed,
            "status": "collapsed" if run.seed in arm.collapsed else run.status,
            **{name: run.metrics.get(name) if run.status == "finished" else None for name in study.summaries},
            "parameters": run.of_generator("parameters"),
            "macs": run.of_generator("macs"),
            "seconds": run.seconds,
            "images_per_second": run.images_per_second,
            "path": run.path.relative_to(study.directory).as_posix() if run.path else None,
        }
        for arm in study.arms
        for run in arm.runs.values()
    ]


def _endpoint(study: Study, endpoint: Endpoint) -> dict[str, Any]:
    return {
        "title": endpoint.title,
        "metric": endpoint.metric,
        "better": "larger" if endpoint.measure.direction == "larger" else "smaller",
        "unit": endpoint.measure.scale,
        "primary": endpoint.primary,
        "stated": endpoint in study.stated and (not endpoint.primary or endpoint.metric == study.plan.quality),
        "margin": endpoint.margin,
        "verdicts": [_verdict(comparison) for comparison in study.comparisons[endpoint.metric]],
        "summaries": [vars(summary) for summary in study.summaries[endpoint.metric]],
    }


def _verdict(comparison: ArmComparison) -> dict[str, Any]:
    c, endpoint = comparison.paired, comparison.endpoint
    mean, low, high = comparison.effect

    def in_unit(value: float | None, shown: bool = comparison.has_interval) -> float | None:
        """A location in the unit of the endpoint; None where it is not shown, or overflows."""
        if value is None or not shown or not math.isfinite(value):
            return None
        if endpoint.measure.scale == "ratio":
            return math.exp(value) if value < 700 else None
        return value

    robust = vars(comparison.robust)
    centres = {
        name: in_unit(None if robust[name] is None else endpoint.measure.orient(robust[name]))
        for name in ("interquartile_mean", "hodges_lehmann")
    }
    worst = {why: dict(zip(("arm", "reference"), comparison.worst(why), strict=True)) for why in COUNTED_AS_WORST}
    return {
        "arm": comparison.arm,
        "verdict": comparison.verdict,
        "exploratory": not endpoint.primary,
        "sentence": describe_comparison(comparison),
        "estimate": in_unit(mean, comparison.has_interval or (c.runs == 1 and not any(comparison.worst("collapsed")))),
        "low": in_unit(low),
        "high": in_unit(high),
        "effect_size": endpoint.measure.orient(c.effect_size) if comparison.has_interval else None,
        "p_value": c.p_value,
        "p_adjusted": comparison.p_adjusted,
        "adjustment": comparison.adjustment,
        "by_ranks": comparison.by_ranks,
        "pairs": c.runs,
        **worst,
        "kinds": [
            {"metric": k.endpoint.metric} | {key: value for key, value in _verdict(k).items() if key in _OF_A_KIND}
            for k in comparison.kinds
        ],
        "robust": robust | centres,
        "lacking": [
            {"seed": p.seed, "why": ", ".join(p.reasons), "missing": p.missing} for p in comparison.pairs if p.reasons
        ],
    }


_OF_A_KIND = ("verdict", "estimate", "low", "high", "p_value", "pairs")


def _arm(study: Study, arm: Arm, rate: FailureRate) -> dict[str, Any]:
    counted = [run for run in arm.runs.values() if run.parameters is not None]
    return {
        "arm": arm.label,
        "reference": arm is study.reference,
        "runs": arm.statuses(),
        "failure_rate": {
            "share": (rate.diverged + rate.collapsed) / rate.runs if rate.runs else None,
            "collapsed": rate.collapsed,
            "low": rate.low,
            "high": rate.high,
            "runs": rate.runs,
        },
        "parameters": counted[0].parameters if counted else None,
        "macs": counted[0].macs if counted else None,
    }
