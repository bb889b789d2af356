"""A study on the terminal: the verdict first, a sentence for each arm and metric, then the runs behind it."""

import shlex
from pathlib import Path

from rich.table import Table

from ganlab.config import flatten
from ganlab.errors import join_words
from ganlab.evaluation.registry import better
from ganlab.report import sentences
from ganlab.runs.console import Console, plain_console, table
from ganlab.study.arms import Arm, as_typed
from ganlab.study.compare import Endpoint, Study, admitted

SCREEN = 24  # sentences that are printed without --all


def print_report(study: Study, everything: bool = False) -> None:
    """Print the verdict in the leading endpoints; in all metrics if they fit a screen, or if everything is True."""
    console = plain_console()
    endpoints = study.leading
    if everything or len(study.endpoints) * (len(study.arms) - 1) <= SCREEN:
        endpoints = (*endpoints, *(endpoint for endpoint in study.endpoints if endpoint not in endpoints))
    if study.plan.question:
        console.print(study.plan.question)
    if endpoints:
        console.print(sentences.answer(study))
        if sentences.many_arms(study):
            console.print(table(*sentences.verdict_rows(study), numbers=(2, 3, 4), overflow="fold"))
    for endpoint in endpoints:
        _print_endpoint(console, study, endpoint)
    if not (study.endpoints or study.shown_only):
        console.print("No finished run has metrics.")
    console.print()
    console.print(_runs_table(study.arms))
    for line in (
        *(f"not in any pair: {sentences.describe_gap(gap)}" for gap in study.gaps),
        *(f"no result yet: {sentences.describe_cell(cell)}" for cell in study.pending),
        *(f"counts as the worst: {sentences.describe_gap(gap)}" for gap in study.diverged),
        *filter(None, [sentences.describe_rollbacks(study)]),
        *(f"not compared: {sentences.describe_gap(value)}" for value in study.dropped),
        *map(sentences.describe_caution, study.cautions),
    ):
        console.print(line)
    if study.ladder:
        names = [endpoint.metric for endpoint in study.leading if endpoint.metric in admitted(study.ladder)]
        console.print(f"known faults of real images admit, of these endpoints: {join_words(names) or 'none'}")
    if endpoints or study.shown_only:
        shown_only = study.shown_only if len(endpoints) == len(study.endpoints) else ()
        console.print(_metrics_table(study, [*(endpoint.metric for endpoint in endpoints), *shown_only]))
        protocol = ", ".join(f"{key} {as_typed(value)}" for key, value in flatten(study.protocol).items())
        console.print(f"protocol: {protocol or 'not recorded'}")
    if study.shown_only and len(endpoints) == len(study.endpoints):
        console.print(f"not compared, because neither larger nor smaller is better: {', '.join(study.shown_only)}")
    hidden = len(study.endpoints) - len(endpoints)
    if hidden:
        console.print(f"{hidden} more metrics, all exploratory, are in the report; --all prints them here")


def print_places(report: Path, runs: Path | None) -> None:
    """Print where the report is, and what to type next. runs: the folder of the study, None if it is in an archive."""
    print(f"everything is in {report}")
    print(f"  to read:     {report / 'report.html'} (one file, can be mailed), report.md")
    print("  to compute:  scores.csv, verdict.json", flush=True)
    if runs:
        print(f"  curves:      python -m ganlab.dashboard {shlex.quote(str(runs))}", flush=True)


def _print_endpoint(console: Console, study: Study, endpoint: Endpoint) -> None:
    console.print(f"\n{sentences.endpoint_heading(endpoint)}")
    for comparison in study.comparisons[endpoint.metric]:
        console.print(f"  {sentences.describe_comparison(comparison)}")
    for arm in study.arms:
        missing = [str(seed) for seed in arm.runs if arm.why_missing(seed, endpoint.metric) == "not measured"]
        if missing:
            console.print(f"  not in any pair: {arm.label} has no {endpoint.metric} in seed {', '.join(missing)}")


def _runs_table(arms: tuple[Arm, ...]) -> Table:
    any_collapsed = any(arm.collapsed for arm in arms)
    rows = []
    for arm in arms:
        collapsed = [len(arm.collapsed)] if any_collapsed else []
        rows.append([arm.label, *map(str, (len(arm.runs), *arm.statuses().values(), *collapsed))])
    return table(["arm", "runs", *arms[0].statuses(), *(["of these collapsed"] if any_collapsed else [])], rows)


def _metrics_table(study: Study, metrics: list[str]) -> Table:
    rows = []
    for metric in metrics:
        for place, summary in enumerate(study.summaries[metric]):
            mean = "-" if summary.mean is None else f"{summary.mean:.4g}"
            sd = "-" if summary.sd is None else f"{summary.sd:.2g}"
            first, last = ("", "") if place else (metric, better(metric))
            rows.append([first, summary.arm, mean, sd, str(summary.runs), last])
    return table(["metric", "arm", "mean", "sd", "runs", "better"], rows, numbers=(2, 3, 4))
