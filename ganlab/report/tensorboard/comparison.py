"""What TensorBoard lacks for a study: seed bands for each arm, one HParams table, the verdict, the report's figures.

Written as runs of their own: `comparison` says what there is to see, `comparison/<arm>` holds an arm's bands.
"""

# pyright: reportAttributeAccessIssue=false
# (protobuf makes the classes of its messages when it is imported)

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as layout_metadata
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.util.tensor_util import make_tensor_proto

from ganlab import __version__, files
from ganlab.evaluation.registry import quick_relative
from ganlab.report.sentences import answer, many_arms, side, tell, verdict_rows
from ganlab.report.tensorboard.bands import Band, seed_bands
from ganlab.report.tensorboard.gaps import what_lacks
from ganlab.runs.records import (
    METRICS,
    arm_of,
    find_runs,
    image_pb,
    remove_events,
    replace_events,
    shared_tail,
)
from ganlab.runs.result import CONFIG, LOCK, RESULT, ResultError, find_files
from ganlab.runs.status import without_result
from ganlab.study.arms import Arm, as_typed
from ganlab.study.compare import compare_study
from ganlab.study.values import Endpoint, Study

COMPARISON = "comparison"
BAND = {"median": "median", "low": "lowest", "high": "highest"}  # the tags of a band, and what they hold
_DIGEST = "inputs.sha256"
_OF_A_RUN = (CONFIG, METRICS, RESULT)
_SPEED = "speed/images_per_second"
_ALWAYS = ("training.steps",)  # what the numbers are of, also where all arms share it

Pictures = Callable[[Study], Mapping[str, bytes]]
"""The figures of a study as PNG files, by name."""


def write_comparison(directory: Path, pictures: Pictures = lambda _: {}) -> list[str]:
    """Bring `comparison` of a study up to date, if its runs have changed since; what is missing in it, in lines.

    Raises ResultError where there is nothing to compare; what stood there of an earlier comparison is taken away. Also
    where runs are in the way, as those of a study named `comparison` are: their event files have the same names.
    """
    folder = directory / COMPARISON
    if any(find_files(folder, name) for name in _OF_A_RUN):
        raise ResultError(f"{folder} holds runs, where a comparison would be written; rename it, or give that folder")
    noted = folder / _DIGEST
    try:
        digest = _digest(directory)
        if known := _known(noted, digest):
            return known[1:]
        study = compare_study(directory)
    except ResultError:
        if noted.exists():
            _clear(folder)
            for path in (noted, folder / LOCK):
                path.unlink(missing_ok=True)
            remove_events(folder)
        raise
    folder.mkdir(exist_ok=True)
    with (folder / LOCK).open("w") as lock:  # two dashboards of one study: the second finds what the first wrote
        files.lock(lock, wait=True)
        known = _known(noted, digest)
        return known[1:] if known else _write(study, folder, digest, pictures)


def has_bands(directory: Path) -> bool:
    """Whether a comparison stands there, of these runs or of earlier ones, in which there is a band to see."""
    folder = directory / COMPARISON
    return (folder / _DIGEST).exists() and any(folder.glob("*/events.out.tfevents.*"))


def _known(noted: Path, digest: str) -> list[str]:
    """What was noted beside a comparison of the same inputs; nothing where there is none."""
    lines = noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []
    return lines if lines[:1] == [digest] else []


def _write(study: Study, folder: Path, digest: str, pictures: Pictures) -> list[str]:
    names = arm_names(study.arms, shared_tail(find_runs(study.directory)))
    metrics = sorted({name for end in study.endpoints for name in (end.metric, quick_relative(end.metric))})
    bands = {arm.label: seed_bands(arm, metrics) for arm in study.arms}
    drawn = _drawn(study, bands)
    shown = [arm for arm in study.arms if any(bands[arm.label][metric] for metric in drawn)]
    for arm in shown:
        replace_events(folder / names[arm.label], _curves(arm, drawn, bands[arm.label]))
    lines = what_lacks(study, drawn, bands)
    texts = [text_pb("comparison/verdict", _verdict(study, lines))]
    images = [image_pb(f"report/{name}", png) for name, png in pictures(study).items()]
    replace_events(folder, [(0, summary) for summary in [_layout(drawn), _table(study), *texts, *images]])
    _clear(folder, keep=[names[arm.label] for arm in shown])
    files.write_bytes(folder / _DIGEST, ("\n".join([digest, *lines]) + "\n").encode())
    return lines


def arm_names(arms: Sequence[Arm], tail: str) -> dict[str, str]:
    """The name of an arm's run in `comparison`, by label: that of its cells, less `tail`, in which all names end.

    So its colour is that of its runs. Where folders are named otherwise, the label, in letters a path can have.
    """
    folders = {arm.label: [(run.path, run.seed) for run in arm.runs.values() if run.path] for arm in arms}
    trials = {
        label: {arm_of(path.parent) if path.parent.name.endswith(f"-seed{seed}") else None for path, seed in found}
        for label, found in folders.items()
    }
    alone = {name for found in trials.values() if len(found) == 1 for name in found if name}
    if len(alone) < len(arms):
        return {label: files.safe_name(label, ".,=+") for label in trials}
    return {label: str(*found).removesuffix(tail) for label, found in trials.items()}


def _drawn(study: Study, bands: Mapping[str, Mapping[str, Band]]) -> dict[str, Endpoint]:
    """The metrics that have bands, each with the endpoint it is drawn for, those of the plan first.

    That is itself, or an endpoint of the plan that was measured at the end only and has it as its quick relative.
    """
    drawn: dict[str, Endpoint] = {}
    for end in [*study.stated, *study.endpoints]:
        names = dict.fromkeys((end.metric, quick_relative(end.metric) if end in study.stated else end.metric))
        for metric in [name for name in names if any(len(bands[arm.label][name]) > 1 for arm in study.arms)][:1]:
            drawn.setdefault(metric, end)
    return drawn


def _digest(directory: Path) -> str:
    """Of everything that a comparison is made from, by size and time: runs are not read again to see it."""
    found = [path for name in (RESULT, METRICS) for path in find_files(directory, name)]
    inputs = [(str(path.relative_to(directory)), path.stat().st_size, path.stat().st_mtime_ns) for path in found]
    waiting = [(cell.name, cell.state) for cell in without_result(directory)]
    return hashlib.sha256(json.dumps([__version__, inputs, waiting]).encode()).hexdigest()


def _clear(folder: Path, keep: Iterable[str] = ()) -> None:
    """Take away the bands of arms that are no longer there. A run is never touched."""
    kept = {folder / name for name in keep}
    for path in [path for path in folder.iterdir() if path.is_dir() and path not in kept]:
        if not any((path / name).exists() for name in _OF_A_RUN):
            remove_events(path)


def _curves(arm: Arm, drawn: Mapping[str, Endpoint], bands: Mapping[str, Band]) -> Iterator[tuple[int, Summary]]:
    seeds = sum(run.status == "finished" for run in arm.runs.values())
    for metric, end in drawn.items():
        for place, (what, word) in enumerate(BAND.items()):
            for step, values in bands[metric].items():
                yield step, scalar_pb(f"{metric}/{what}", values[place], f"{word} of {seeds} seeds; {side(end)}")


def _title(end: Endpoint, metric: str) -> str:
    name = metric if end.title == end.metric else f"{end.title}: {metric}"
    name += "" if metric == end.metric else f", because {end.metric} is measured only at the end"
    return f"{name} ({side(end)})"


def _layout(drawn: Mapping[str, Endpoint]) -> Summary:
    """One chart an endpoint, all arms in it; those of the plan first, the others folded."""

    def chart(metric: str, end: Endpoint) -> Any:
        median, low, high = (f"{metric}/{what}" for what in BAND)  # plain names: here patterns are not understood
        series = layout_pb2.MarginChartContent.Series(value=median, lower=low, upper=high)
        title = f"{_title(end, metric)}, median of the seeds"
        return layout_pb2.Chart(title=title, margin=layout_pb2.MarginChartContent(series=[series]))

    stated = [chart(metric, end) for metric, end in drawn.items() if end.title != end.metric]
    others = [chart(metric, end) for metric, end in drawn.items() if end.title == end.metric]
    what = "median of the seeds, band from the lowest to the highest"
    categories = [  # TensorBoard 2.21 shows a category's charts from the last to the first
        layout_pb2.Category(title=f"{title}: {what}", chart=charts[::-1], closed=closed)
        for title, charts, closed in (("Endpoints", stated, False), ("Other metrics", others, bool(stated)))
        if charts
    ]
    content = layout_pb2.Layout(category=categories).SerializeToString()
    summary = Summary()
    summary.value.add(
        tag=layout_metadata.CONFIG_SUMMARY_TAG,
        tensor=make_tensor_proto(np.array(content, dtype=object)),
        metadata=layout_metadata.create_summary_metadata(),
    )
    return summary


def _table(study: Study) -> Summary:
    """Which columns HParams shows: the endpoints, the speed, and the settings in which arms differ.

    No setting has a domain: a value that is not in one hides its rows. Only this run carries such a table: one in each
    run would hide arms.
    """
    trees = [arm.settings for arm in study.arms]
    keys = sorted(set().union(*trees))
    differing = [key for key in keys if len({as_typed(tree[key]) if key in tree else None for tree in trees}) > 1]
    hparams = [
        api_pb2.HParamInfo(
            name=key,
            display_name=".".join(key.split(".")[-2:]),  # columns are narrow
            type=_type([tree[key] for tree in trees if key in tree]),
            differs=key in differing,
        )
        for key in [*differing, *(key for key in _ALWAYS if key in keys and key not in differing)]
    ]
    metrics = [
        api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=title)
        for tag, title in [
            *((f"metric/{end.metric}", _title(end, end.metric)) for end in study.stated or study.endpoints),
            (_SPEED, "images per second"),
        ]
    ]
    summary = Summary()
    summary.value.add(
        tag=hparams_metadata.EXPERIMENT_TAG,
        tensor=hparams_metadata.NULL_TENSOR,
        metadata=hparams_metadata.create_summary_metadata(
            HParamsPluginData(experiment=api_pb2.Experiment(hparam_infos=hparams, metric_infos=metrics))
        ),
    )
    return summary


def _type(values: Sequence[Any]) -> Any:
    # TensorBoard cannot sort a column that mixes numbers and text.
    if all(isinstance(value, bool) for value in values):
        return api_pb2.DATA_TYPE_BOOL
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return api_pb2.DATA_TYPE_FLOAT64 if numbers else api_pb2.DATA_TYPE_STRING


def _verdict(study: Study, lines: Sequence[str]) -> str:
    """The sentences of the study, as Markdown."""
    parts = [f"# {study.plan.question}"] if study.plan.question else []
    parts += [answer(study)] if study.endpoints else []
    if study.endpoints and many_arms(study):
        head, rows = verdict_rows(study)
        lines_of = [f"| {' | '.join(row)} |" for row in (head, *rows)]
        parts.append("\n".join([lines_of[0], "|---" * len(head) + "|", *lines_of[1:]]))
    for end in study.stated or study.endpoints:
        status = "primary" if end.primary else "exploratory"
        parts.append(f"**{_title(end, end.metric)}**, {status}")
        parts.append("\n".join(f"- {tell(comparison)}" for comparison in study.comparisons[end.metric]))
    return "\n\n".join([*parts, *lines])
