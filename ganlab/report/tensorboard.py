"""A study in TensorBoard: a band over the seeds of each arm, the columns of HParams, the verdict, and links to them.

They are written as separate runs: `comparison/<arm>` holds the bands of an arm, `comparison` everything else.
"""

# pyright: reportAttributeAccessIssue=false
# (protobuf makes the classes of its messages when it is imported)

import hashlib
import json
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as layout_metadata
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb

from ganlab import __version__, files
from ganlab.config import Comparing
from ganlab.errors import ConfigError, in_a_line
from ganlab.evaluation.registry import quick_relative
from ganlab.report import sentences
from ganlab.report.drawing import Style, styles_of
from ganlab.report.figures import Curve, curves_of, read_histories
from ganlab.runs import records, status
from ganlab.runs.result import CONFIG, LOCK, RESULT, ResultError, find_files
from ganlab.study.arms import Arm, as_typed, gather_arms
from ganlab.study.compare import Endpoint, Study, compare_study

COMPARISON = "comparison"
BAND = {"median": "median", "low": "lowest", "high": "highest"}  # the tags of a band, and what they hold
_DIGEST = "inputs.sha256"
_OF_A_RUN = (CONFIG, records.METRICS, RESULT)
_SPEED = "speed/images_per_second"
_ALWAYS = ("training.steps",)  # a column even where all arms share it


class Drawn(NamedTuple):
    """A metric that has bands: the curves of the arms that have one, by label, and the endpoint they are drawn for.

    That is the metric itself, or an endpoint of the plan that is measured only at the end and has this metric as its
    quick counterpart.
    """

    endpoint: Endpoint
    curves: dict[str, Curve]


# --- what is written --------------------------------------------------------------------------------------------------


def write_comparison(directory: Path) -> None:
    """Update `comparison` of a study if its runs have changed.

    Raises ResultError where there is nothing to compare, after removing what an earlier comparison wrote; and where
    runs are in the way, such as those of a study named `comparison`, whose event files have the same names.
    """
    folder = directory / COMPARISON
    try:
        files.refuse_link(folder, directory)
    except files.FileError as error:
        raise ResultError(str(error)) from None
    if any(find_files(folder, name) for name in _OF_A_RUN):
        raise ResultError(f"{folder} holds runs, where a comparison would be written; rename it, or give that folder")
    digest_file = folder / _DIGEST
    try:
        digest = _digest(directory)
        if _is_up_to_date(digest_file, digest):
            return
        study = compare_study(directory)
    except ResultError:
        if digest_file.exists():
            _clear(folder)
            for path in (digest_file, folder / LOCK):
                path.unlink(missing_ok=True)
            records.remove_events(folder)
        raise
    with files.sole_writer(folder):  # two dashboards of one study: the second finds what the first wrote
        if not _is_up_to_date(digest_file, digest):
            _write(study, folder)
            files.write_bytes(digest_file, digest.encode())


def has_bands(directory: Path) -> bool:
    """Whether there is a comparison, of these runs or of earlier ones, with at least one band."""
    folder = directory / COMPARISON
    return (folder / _DIGEST).exists() and any(folder.glob("*/events.out.tfevents.*"))


def _is_up_to_date(digest_file: Path, digest: str) -> bool:
    """Whether the comparison there is of the same inputs."""
    return digest_file.exists() and files.read_text(digest_file) == digest


def _write(study: Study, folder: Path) -> None:
    names = arm_names(study.arms, records.shared_tail(_runs(study.directory)))
    bands = bands_of(study)
    arms_with_bands = [arm for arm in study.arms if any(arm.label in metric.curves for metric in bands.values())]
    for arm in arms_with_bands:
        records.replace_events(folder / names[arm.label], _band(arm, bands))
    records.replace_events(folder, [(0, summary) for summary in (_layout(bands), _table(study), _verdict(study))])
    _clear(folder, keep=[names[arm.label] for arm in arms_with_bands])


def arm_names(arms: Sequence[Arm], tail: str) -> dict[str, str]:
    """The name of an arm's run in `comparison`, by label: that of its cells, less `tail`, in which all names end.

    So its colour is that of its runs. Where folders have other names, the label, in characters that a path can have.
    """
    trials: dict[str, set[str]] = {}
    for arm in arms:
        names = [(run.path.parent.name, f"-seed{run.seed}") for run in arm.runs.values() if run.path]
        trials[arm.label] = {name.removesuffix(seed) if name.endswith(seed) else "" for name, seed in names}
    unique = {name for names in trials.values() if len(names) == 1 for name in names if name}
    if len(unique) < len(arms):
        return {label: _folder(label) for label in trials}
    return {label: str(*names).removesuffix(tail) for label, names in trials.items()}


def _folder(label: str) -> str:
    """A label as the name of a folder, whatever it holds and however long it is."""
    name = files.safe_name(label, ".,=+")[:200]
    return name if name.strip(".") else "_" * max(1, len(name))


def bands_of(study: Study) -> dict[str, Drawn]:
    """The metrics that have bands, those of the plan first, as the report draws them over training."""
    histories = read_histories(study)
    bands: dict[str, Drawn] = {}
    for end in [*study.stated, *study.endpoints]:
        metric, curves = curves_of(study, end, histories)
        if curves and (metric == end.metric or end in study.stated):
            bands.setdefault(metric, Drawn(end, curves))
    return bands


def _band(arm: Arm, bands: Mapping[str, Drawn]) -> Iterator[tuple[int, Summary]]:
    """The median, the lowest and the highest of an arm's finished seeds, at each step that all of them recorded."""
    for metric, (end, curves) in bands.items():
        if curve := curves.get(arm.label):
            values = curve.values
            columns = np.median(values, axis=0), values.min(axis=0), values.max(axis=0)
            for (statistic, word), column in zip(BAND.items(), columns, strict=True):
                description = f"{word} of {len(values)} seeds; {end.measure.better} is better"
                for step, value in zip(curve.steps, column, strict=True):
                    if np.isfinite(value):
                        yield int(step), scalar_pb(f"{metric}/{statistic}", value, description)


def _digest(directory: Path) -> str:
    """A hash of the inputs of a comparison, by size and time, so that runs need not be read again."""
    paths = [path for name in (RESULT, records.METRICS) for path in find_files(directory, name)]
    inputs = [(str(path.relative_to(directory)), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    pending = [(cell.name, cell.state) for cell in status.without_result(directory)]
    return hashlib.sha256(json.dumps([__version__, inputs, pending]).encode()).hexdigest()


def _clear(folder: Path, keep: Iterable[str] = ()) -> None:
    """Remove the bands of arms that no longer exist. A run is never touched."""
    kept_folders = {folder / name for name in keep}
    folders = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    for path in [path for path in folders if path not in kept_folders]:
        if not any((path / name).exists() for name in _OF_A_RUN):
            records.remove_events(path)


def _title(end: Endpoint, metric: str) -> str:
    name = metric if end.title == end.metric else f"{end.title}: {metric}"
    name += "" if metric == end.metric else f", because {end.metric} is measured only at the end"
    return f"{name} ({end.measure.better} is better)"


def _layout(bands: Mapping[str, Drawn]) -> Summary:
    """One chart for each endpoint, with all arms; those of the plan first, the others folded."""

    def chart(metric: str, end: Endpoint) -> Any:
        # plain names: this plugin does not take patterns
        median, low, high = (f"{metric}/{statistic}" for statistic in BAND)
        series = layout_pb2.MarginChartContent.Series(value=median, lower=low, upper=high)
        title = f"{_title(end, metric)}, median of the seeds"
        return layout_pb2.Chart(title=title, margin=layout_pb2.MarginChartContent(series=[series]))

    stated, others = (
        [chart(metric, end) for metric, (end, _) in bands.items() if (end.title != end.metric) is named]
        for named in (True, False)
    )
    legend = "median of the seeds, band from the lowest to the highest"
    categories = [  # TensorBoard 2.21 shows a category's charts from the last to the first
        layout_pb2.Category(title=f"{title}: {legend}", chart=charts[::-1], closed=closed)
        for title, charts, closed in (("Endpoints", stated, False), ("Other metrics", others, bool(stated)))
        if charts
    ]
    content = layout_pb2.Layout(category=categories).SerializeToString()
    return records.bytes_summary(layout_metadata.CONFIG_SUMMARY_TAG, content, layout_metadata.create_summary_metadata())


def _table(study: Study) -> Summary:
    """Which columns HParams shows: the endpoints, the speed, and the settings in which arms differ.

    No setting has a domain: a value outside a domain hides its rows. Only this run has such a table: one in each run
    would hide arms.
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
    experiment = api_pb2.Experiment(hparam_infos=hparams, metric_infos=metrics)
    return records.hparams_summary(hparams_metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=experiment))


def _type(values: Sequence[Any]) -> Any:
    # TensorBoard cannot sort a column that mixes numbers and text.
    types = {type(value) for value in values}
    if types == {bool}:
        return api_pb2.DATA_TYPE_BOOL
    return api_pb2.DATA_TYPE_FLOAT64 if types <= {int, float} else api_pb2.DATA_TYPE_STRING


def _verdict(study: Study) -> Summary:
    """The sentences of the study as Markdown, and the runs that they do not include."""
    parts = [f"# {study.plan.question}"] if study.plan.question else []
    parts += [sentences.answer(study)] if study.endpoints else []
    if study.endpoints and sentences.many_arms(study):
        head, rows = sentences.verdict_rows(study)
        lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
        parts.append("\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]]))
    for end in study.stated or study.endpoints:
        status = "primary" if end.primary else "exploratory"
        parts.append(f"**{_title(end, end.metric)}**, {status}")
        claims = map(sentences.describe_comparison, study.comparisons[end.metric])
        parts.append("\n".join(f"- {claim}" for claim in claims))
    parts += [f"not in any pair: {sentences.describe_gap(gap)}" for gap in study.gaps]
    parts += [f"counts as the worst: {sentences.describe_gap(gap)}" for gap in study.diverged]
    parts += [f"no result yet: {sentences.describe_cell(cell)}" for cell in study.pending]
    begun = [cell for cell in study.pending if cell.state != "missing"]
    if begun or any(run.status != "finished" for run in study.runs):
        parts.append("HParams averages in runs that have not finished: tick Success alone there")
    return text_pb("comparison/verdict", "\n\n".join(parts))


# --- links ------------------------------------------------------------------------------------------------------------

_MOST = 12  # grids side by side
_LOSSES = ("loss/generator", "loss/discriminator")


def curves_address(address: str, directory: Path) -> str:
    """The page of all curves, without smoothing.

    Of a single run: its losses, endpoints and samples pinned. Of more: runs coloured by arm, that is by folder less
    `-seed<k>`; the endpoints pinned, and samples from the same seed of each arm, of the first twelve of them.
    Raises ConfigError for a run's settings that cannot be read.
    """
    runs = _runs(directory)
    arms = _arms(directory, runs)
    alone = len(runs) == 1
    # some runs end early: the first may lack what the others have
    endpoints = next(filter(None, map(_endpoints, arms)), [])
    cards: list[dict[str, Any]] = [
        {"plugin": "scalars", "tag": tag} for tag in [*(_LOSSES if alone or not endpoints else ()), *endpoints]
    ]
    for run in arms[:_MOST]:
        name = f"defaultExperimentId/{run.relative_to(directory)}"  # without the prefix the card is dropped
        cards.append({"plugin": "images", "runId": name, "tag": "samples", "sample": 0})
    query = {"smoothing": "0", "pinnedCards": json.dumps(cards, separators=(",", ":"))}
    if not alone:
        query["runColorGroup"] = f"regex:{group_pattern(directory)}"
    return f"{address}?{urlencode(query, quote_via=quote)}#timeseries"


def bands_address(address: str) -> str:
    """The page of the seed bands, with the arms' runs only: of more than 40 that page shows none."""
    return f"{address}#custom_scalars&regexInput={quote(f'^{COMPARISON}/')}"


def _runs(directory: Path) -> list[Path]:
    """The runs there, and those that a sweep has still to begin: an arm has its colour and place from the start."""
    try:
        sweep = status.read_sweep(directory)
    except ResultError:
        sweep = None
    return sorted({*records.find_runs(directory), *(directory / name for name in (sweep.asked if sweep else ()))})


def _arms(directory: Path, runs: Sequence[Path]) -> list[Path]:
    """A run of each arm, all with the same seed if there is one that all arms have.

    If possible a seed that finished in all of them, so that their samples are of the same step.
    """
    by_arm: dict[Path, dict[int, Path]] = defaultdict(dict)
    for run in runs:
        seed = re.search(r"-seed(\d+)$", run.name)
        arm = run.with_name(records.without_seed(run.name)) if run != directory else run
        by_arm[arm][int(seed[1]) if seed else 0] = run
    shared = sorted(set.intersection(*map(set, by_arm.values())))

    def finished(seed: int) -> bool:
        return all(status.read_status(by_seed[seed], "").state == "finished" for by_seed in by_arm.values())

    seed = next(filter(finished, shared), min(shared, default=None))
    return [by_seed[min(by_seed) if seed is None else seed] for by_seed in by_arm.values()]


def _endpoints(run: Path) -> list[str]:
    """The tags of the endpoints of a run, as far as it has recorded them.

    For one that is measured only at the end, its quick counterpart, which makes a curve.
    """
    config = run / "config.json"
    try:
        tree = files.read_json(config) if config.exists() else {}
        plan = Comparing().model_dump() | tree.get("comparison", {})
    except (OSError, ValueError, AttributeError, TypeError) as error:  # the last two: JSON that does not hold settings
        why = files.why(error) if isinstance(error, OSError) else in_a_line(error)
        raise ConfigError(f"{config} cannot be read ({why}); give the run's command again") from None
    recorded = Counter(tag for record in records.readable_records(run, "metric/") for tag in record)
    tags = []
    for metric in [plan[title] for title in ("quality", "spectrum", "checkerboard") if plan[title]]:
        times = {tag: recorded[tag] for tag in (f"metric/{metric}", f"metric/{quick_relative(metric)}")}
        tags += sorted((tag for tag, count in times.items() if count), key=lambda tag: times[tag] < 2)[:1]
    return tags


# --- colours ----------------------------------------------------------------------------------------------------------

# TensorBoard assigns the colours of its palette in the order in which runs started, differently on each of its pages,
# and a colour cannot be set in an address or a flag (its issue 893, open since 2018; pull request 7075). So its page
# gets the table of arms, and looks a colour up there before the palette. It also reloads the data every 30 s, which
# otherwise has to be asked for in its settings. A TensorBoard with another page keeps its own ways.

_SCRIPT = "index.js"
_TIME_SERIES = re.compile(
    r"(\.forEach\(\((\w+),(\w+)\)=>\{let (?:(?!forEach).){0,300}?)((\w+)\.colors\[\2%\5\.colors\.length\])"
)
_OLDER_PAGES = re.compile(r"(this\.identifiers\.set\((\w+),)(this\.palette\[\w+%this\.palette\.length\])\)")
_ADDRESS = re.compile(rb"(index\.js\?_file_hash=)\w+")  # a browser keeps what is there for a day, for any study
_RELOAD = re.compile(r"(reloadPeriodInMs:\w+,reloadEnabled:)!1")


def group_pattern(directory: Path) -> str:
    """A pattern for the names of runs whose first group is the arm, for both JavaScript and Python."""
    tail = re.escape(records.shared_tail(_runs(directory))).replace("\\-", "-")
    optional = f"(?:{tail})?" if tail else ""
    return rf"^(?:comparison/)?(.+?){optional}(?:-seed\d+)?$"


def arm_styles(directory: Path) -> dict[str, Style]:
    """The style of each arm by what TensorBoard calls it, as `group_pattern` reads it off the names of its runs."""
    pattern = re.compile(group_pattern(directory))

    def group_of(run: Path) -> str:
        name = run.relative_to(directory).as_posix()
        match = pattern.match(name)
        return match[1] if match else name

    try:
        arms = gather_arms(str(directory))
    except ResultError:  # one arm, or none has finished yet
        arms = []
    labels = {group_of(run.path.parent): arm.label for arm in arms for run in arm.runs.values() if run.path}
    for run in _runs(directory):
        labels.setdefault(group_of(run), group_of(run).rpartition("/")[2].replace("-", " ", 1))
    styles = styles_of([*dict.fromkeys(arm.label for arm in arms), *sorted(labels.values())])
    return {group: styles[label] for group, label in labels.items()}


def write_page(served: Path, target: Path, styles: Mapping[str, Style], pattern: str) -> bool:
    """Copy TensorBoard's page, a zip file, with the arms' colours; False, and no file, if the page is a different one.

    styles: by arm. pattern: of the names of runs, with the arm as its first group.
    """
    with zipfile.ZipFile(served) as page:
        if _SCRIPT not in page.namelist():
            return False
        script, changed = coloured(page.read(_SCRIPT).decode(), styles, pattern)
        if not changed:
            return False
        digest = hashlib.sha256(script.encode()).hexdigest()[:16]
        with zipfile.ZipFile(target, "w") as copy:
            for entry in page.infolist():
                content = script.encode() if entry.filename == _SCRIPT else page.read(entry)
                if entry.filename.endswith(".html"):
                    content = _ADDRESS.sub(rb"\g<1>" + digest.encode(), content)
                copy.writestr(entry.filename, content)
    return True


def coloured(script: str, styles: Mapping[str, Style], pattern: str) -> tuple[str, int]:
    """The script of the page, reloading data and with the lookup of colours, and in how many of two places that is."""
    time_series, one = _TIME_SERIES.subn(r'\1(ganlabColour(\3.replace(/^[^\/]*\//,""))||\4)', script, count=1)
    older, other = _OLDER_PAGES.subn(r"\1ganlabHex(\2)||\3)", time_series, count=1)
    table = {name: {"lightHex": style.light, "darkHex": style.dark} for name, style in styles.items()}
    head = (
        f"var ganlabArms={json.dumps(table)},ganlabName=new RegExp({json.dumps(pattern)});"
        "function ganlabColour(run){var found=run.match(ganlabName);"
        "return found&&Object.hasOwn(ganlabArms,found[1])?ganlabArms[found[1]]:null}"
        "function ganlabHex(run){var found=ganlabColour(run);"
        'return found&&(document.body.classList.contains("dark-mode")?found.darkHex:found.lightHex)}\n'
    )
    return (head + _RELOAD.sub(r"\1!0", older), one + other) if one + other else (script, 0)
