"""From the runs under a folder to arms that may be compared.

Reads `result.json` files, never directory names. An arm is all runs with the same settings except `seed`, `study` and
`tracking`; arms are compared only if they differ in nothing but what is compared.
"""

import contextlib
import itertools
import json
import re
import shlex
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

from pydantic import ValidationError

from ganlab.config import Comparing, flatten
from ganlab.errors import in_a_line, join_words
from ganlab.runs.result import RESULT, ResultError, RunResult, Status, find_files, find_results, read_result

T = TypeVar("T")
NOT_OF_THE_ARM = re.compile(r"(seed|study|tracking|plugins|comparison\..*)$")


class Arm(NamedTuple):
    """Runs that differ in their seeds only.

    left_out: seeds of runs that somebody left out by hand. collapsed: seeds of finished runs whose images are too alike
    (`comparison.collapse`); the scores of such a run do not count, the run is the worst.
    """

    label: str
    settings: dict[str, Any]
    runs: dict[int, RunResult]
    left_out: frozenset[int] = frozenset()
    collapsed: frozenset[int] = frozenset()

    @property
    def finished(self) -> list[RunResult]:
        """The runs that finished, collapsed ones too."""
        return [run for run in self.runs.values() if run.status == "finished"]

    def statuses(self) -> dict[str, int]:
        """How many runs have each status."""
        counts = Counter(run.status for run in self.runs.values())
        return {status: counts[status] for status in get_args(Status)}

    def values(self, metric: str) -> dict[int, float]:
        """The metric of every finished run that has it and has not collapsed, by seed."""
        return {seed: run.metrics[metric] for seed, run in self.runs.items() if not self.why_missing(seed, metric)}

    def why_missing(self, seed: int, metric: str) -> str:
        """Why a seed has no value, in the words of `Pair.reasons`; empty if it has one."""
        run = self.runs.get(seed)
        if run is None:
            return "left out" if seed in self.left_out else "no result"
        if run.status != "finished":
            return run.status
        if seed in self.collapsed:
            return "collapsed"
        return "" if metric in run.metrics else "not measured"


def gather_arms(directory: str, without: Container[str] = ()) -> list[Arm]:
    """The arms under a folder, in the order of their labels; ResultError where they cannot be compared.

    without: names of runs, their folders below it, that are left out.
    """
    groups = group_runs(directory, without)
    trees = [settings for settings, _ in groups]
    left_out = _read_left_out(Path(directory), without)
    labels = labels_of(trees, [next(iter(runs.values())).variant for _, runs in groups])
    arms = []
    for label, (tree, runs) in zip(labels, groups, strict=True):
        seeds = frozenset(run.seed for run in left_out if settings_of(run.config) == tree)
        arms.append(Arm(label, tree, dict(sorted(runs.items())), seeds))
    arms.sort(key=lambda arm: by_number(arm.label))
    if len(arms) == 1:
        raise ResultError(f"{directory} has only one arm, {arms[0].label}; a comparison needs two")
    refuse_confounded(directory, trees, [list(runs.values()) for _, runs in groups])
    refuse_protocols(directory, [run for _, runs in groups for run in runs.values()])
    return arms


def group_runs(
    directory: str, without: Container[str] = (), *, leaving_out: bool = True
) -> list[tuple[dict[str, Any], dict[int, RunResult]]]:
    """The runs under a folder by their settings but for the seed: [(settings, {seed: run})]; ResultError for none.

    without: names of runs that are left out. leaving_out: whether the command has --leave-out.
    """
    results = find_results(directory, without)
    if not results:
        besides = " besides the runs that are left out" if without else ""
        raise ResultError(
            f"{directory} has no result.json{besides}; give the folder of a study, or let its runs finish"
        )
    groups = []
    for settings, equal in group_equal((settings_of(run.config), run) for run in results):
        runs: dict[int, RunResult] = {}
        for run in equal:
            if run.seed in runs:
                ways = _how_to_leave_out(directory, [run], leaving_out=leaving_out)
                raise ResultError(
                    f"{directory} has two runs of {run.variant} with seed {run.seed} and equal settings "
                    f"({runs[run.seed].path} and {run.path}); keep one of them there{ways}"
                )
            runs[run.seed] = run
        groups.append((settings, runs))
    return groups


def group_equal(pairs: Iterable[tuple[dict[str, Any], T]]) -> list[tuple[dict[str, Any], list[T]]]:
    """Group what has equal settings, in the order of their first: [(settings, [item])]."""
    groups: list[tuple[dict[str, Any], list[T]]] = []
    for settings, item in pairs:
        items = next((items for other, items in groups if other == settings), None)
        if items is None:
            groups.append((settings, items := []))
        items.append(item)
    return groups


def _read_left_out(directory: Path, names: Container[str]) -> list[RunResult]:
    """The results of runs that are left out, as far as they can be read."""
    results = []
    for path in find_files(directory, RESULT):
        if str(path.parent.relative_to(directory)) in names:
            with contextlib.suppress(ResultError):
                results.append(read_result(path))
    return results


def plan_of(arms: Sequence[Arm], directory: str = "") -> Comparing:
    """How the study is to be judged, as its settings say; ResultError where its runs differ in that.

    directory: the folder of the study, for the commands in the message.
    """
    runs = [run for arm in arms for run in arm.runs.values()]
    plans = [run.config.get("comparison", {}) for run in runs]
    if differing := different_plans(plans):
        ways = _how_to_leave_out(directory, _strays(zip(runs, plans, strict=True))) if directory else ""
        raise ResultError(f"{differing}; compare runs of one study{ways}")
    try:
        return Comparing.model_validate_json(json.dumps(plans[0]))
    except ValidationError as error:
        raise ResultError(f"{runs[0].path} has a comparison that cannot be used ({error.errors()[0]['msg']})") from None


def different_plans(plans: Iterable[dict[str, Any]]) -> str:
    """In what runs differ that say how they are to be judged, in a phrase; empty where all say the same."""
    differing = _differing([flatten(plan) for plan in plans])
    listed = ", ".join(f"comparison.{key}: {_listed(column)}" for key, column in differing.items())
    return listed and f"the runs have different plans for their comparison, {listed}"


def settings_of(config: dict[str, Any]) -> dict[str, Any]:
    """The settings that define a run's arm, by dotted name: all but the seed and how the study is judged.

    Files with a hash count by their content, not by their path. Weights to start from count as one setting.
    """
    if start := config.get("init_from"):
        config = config | {"init_from": f"{Path(start['run']).name}@{start['step']}:{start['sha256'][:8]}"}
    flat = flatten(config)
    identified_paths = {f"dataset.{part}path" for part in ("", "held_out_") if flat.get(f"dataset.{part}sha256")}
    return {key: value for key, value in flat.items() if key not in identified_paths and not NOT_OF_THE_ARM.match(key)}


def by_number(label: str) -> list[float | str]:
    """The key by which labels are sorted: 8 comes before 16, 1e-05 before 0.0002, and that before 0.001."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e[-+]?\d+)?)", label)  # every second one is a number
    return [float(part) if place % 2 else part for place, part in enumerate(parts)]


def labels_of(trees: list[dict[str, Any]], variants: Sequence[str] = ()) -> list[str]:
    """The label of each arm; equal ones, of long names that are cut, are numbered.

    variants: the generators' names in results whose settings do not have them.
    """
    labels = [label_of(tree, trees, name) for tree, name in itertools.zip_longest(trees, variants, fillvalue="")]
    return [
        label if labels.count(label) == 1 else f"{label} ({labels[: place + 1].count(label)})"
        for place, label in enumerate(labels)
    ]


def label_of(settings: dict[str, Any], trees: list[dict[str, Any]], variant: str = "") -> str:
    """The generator's name; where several arms share it, also the settings in which they differ.

    variant: its name in results whose settings do not have one.
    """
    name = settings.get("generator.name", variant)
    namesakes = [tree for tree in trees if tree.get("generator.name") == settings.get("generator.name")]
    differing = [key for key in _differing(namesakes) if key in settings]
    return " ".join(
        [in_a_line(name, _LONGEST_NAME), *(f"{in_a_line(key)}={as_typed(settings[key])}" for key in differing)]
    )


def _differing(trees: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """The keys that differ between trees, and their values; _ABSENT stands for a key that a tree lacks."""
    keys = sorted(set().union(*trees))
    columns = {key: [tree.get(key, _ABSENT) for tree in trees] for key in keys}
    return {key: column for key, column in columns.items() if any(value != column[0] for value in column)}


def refuse_confounded(directory: str, trees: list[dict[str, Any]], runs: Sequence[Sequence[RunResult]] = ()) -> None:
    """Raise ResultError unless arms differ only in the generator or in one setting: two causes could not be told apart.

    runs: those of each arm, if there are any yet.
    """
    differing = _differing(trees)
    for key in ("dataset.sha256", "dataset.held_out_sha256"):
        if key in differing and "dataset.name" not in differing:
            raise ResultError(
                f"{directory} has runs of different data, {key}: {_listed(differing[key])}; "
                "compare runs of one data set"
            )
    outside = {key: column for key, column in differing.items() if not key.startswith("generator.")}
    choices = [key.removesuffix("name") for key in outside if key.endswith(".name")]
    for choice in choices:  # another penalty brings its own settings: one difference
        outside = {key: c for key, c in outside.items() if not key.startswith(choice) or key == f"{choice}name"}
    generator = any(key.startswith("generator.") for key in differing)
    if generator + len(outside) > 1:
        listed = ", ".join(f"{key}: {_listed(column)}" for key, column in outside.items())
        besides = "not only in the generator but also in" if generator else "in more than one setting:"
        values_of_runs = [
            (run, [tree.get(key) for key in outside])
            for tree, arm_runs in zip(trees, runs, strict=False)
            for run in arm_runs
        ]
        ways = _how_to_leave_out(directory, _strays(values_of_runs))
        raise ResultError(
            f"{directory} has runs that differ {besides} {listed}; "
            f"compare a folder of runs in which one thing differs{ways}"
        )


def refuse_protocols(directory: str, results: Sequence[RunResult], *, leaving_out: bool = True) -> None:
    """Refuse numbers measured under different protocols; runs that did not finish have none."""
    measured = [run for run in results if run.status == "finished" and run.protocol]
    protocols = [flatten(run.protocol) for run in measured]
    differing = _differing(protocols)
    if differing:
        listed = ", ".join(f"protocol.{key}: {_listed(column)}" for key, column in differing.items())
        raise ResultError(
            f"{directory} has runs measured differently, {listed}; "
            "measure them again under one protocol (python -m ganlab.evaluate RUN --record)"
            f"{_how_to_leave_out(directory, _strays(zip(measured, protocols, strict=True)), leaving_out=leaving_out)}"
        )


def _strays(runs: Iterable[tuple[RunResult, Any]]) -> list[RunResult]:
    """Of runs, each with its kind, those that differ from the majority; empty where no kind has more than half."""
    keys = [(run, json.dumps(kind, sort_keys=True)) for run, kind in runs]
    usual = [key for key, count in Counter(key for _, key in keys).items() if 2 * count > len(keys)]
    return [run for run, key in keys if usual and key not in usual]


def _how_to_leave_out(directory: str, strays: Sequence[RunResult], *, leaving_out: bool = True) -> str:
    """The end of a message: how to leave stray runs out of this comparison, or take them out of the study.

    leaving_out: whether the command has --leave-out.
    """
    if not strays:
        return ""
    names = [str(run.path.parent.relative_to(directory)) for run in strays if run.path]
    typed = " ".join(map(shlex.quote, names)) if len(names) <= _MOST_NAMED else "CELL..."
    forget = f"python -m ganlab.status {shlex.quote(directory)} --forget {typed}"
    if not leaving_out:
        return f", or take the stray out of the study: {forget}"
    return f", or leave the stray out: --leave-out {typed} (for good: {forget})"


_MOST_NAMED = 4  # runs that an error line names
_LONGEST_VALUE = 200  # characters of a value that people see
_LONGEST_NAME = 40  # characters of a generator's name


_ABSENT = object()


def as_typed(value: Any) -> str:
    """A value as people type it, in one line."""
    if value is _ABSENT:
        return "absent"
    return in_a_line(
        value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False),
        _LONGEST_VALUE,
    )


def _listed(values: list[Any]) -> str:
    distinct = sorted({as_typed(value) for value in values}, key=lambda text: (len(text), text))
    return join_words(distinct)
