"""From the runs under a folder to arms that may be compared.

Reads `result.json` files, never directory names. An arm is everything that ran with the same settings but for `seed`
and `study`; arms are compared only if nothing differs but the thing in question.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from ganlab.config import Comparing, flatten
from ganlab.reporting.results import ResultError, RunResult, find_results

NOT_OF_THE_ARM = re.compile(r"(seed|study|comparison\..*)$")


class Arm(NamedTuple):
    """Runs that differ in their seeds only."""

    label: str
    settings: dict[str, Any]
    runs: dict[int, RunResult]

    def values(self, metric: str) -> dict[int, float]:
        """The metric of every finished run that has it, by seed."""
        return {
            seed: run.metrics[metric]
            for seed, run in self.runs.items()
            if run.status == "finished" and metric in run.metrics
        }

    def lack(self, seed: int, metric: str) -> str:
        """Why a seed has no value: no result, diverged, failed, interrupted, not measured; empty if it has one."""
        run = self.runs.get(seed)
        if run is None:
            return "no result"
        if run.status != "finished":
            return run.status
        return "" if metric in run.metrics else "not measured"


def gather_arms(directory: str) -> list[Arm]:
    """The arms under a folder, in the order of their labels; ResultError where they cannot be compared."""
    results = find_results(directory)
    if not results:
        raise ResultError(f"{directory} has no result.json; give the folder of a study, or let its runs finish")
    groups: list[tuple[dict[str, Any], dict[int, RunResult]]] = []
    for run in results:
        settings = _settings(run)
        runs = next((runs for known, runs in groups if known == settings), None)
        if runs is None:
            groups.append((settings, runs := {}))
        if run.seed in runs:
            raise ResultError(
                f"{directory} has two runs of {run.variant} with seed {run.seed} and equal settings "
                f"({runs[run.seed].path} and {run.path}); keep one of them there"
            )
        runs[run.seed] = run
    trees = [settings for settings, _ in groups]
    arms = [Arm(_label(tree, trees, runs), tree, dict(sorted(runs.items()))) for tree, runs in groups]
    arms.sort(key=lambda arm: [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", arm.label)])
    if len(arms) == 1:
        raise ResultError(f"{directory} has one arm only, {arms[0].label}; a comparison needs two")
    _refuse_confounded(directory, trees)
    _refuse_protocols(directory, results)
    return arms


def _settings(run: RunResult) -> dict[str, Any]:
    """What an arm is made of; of files that were identified what is in them counts, not where they lie."""
    whole = flatten(run.config)
    known = {f"dataset.{part}path" for part in ("", "held_out_") if whole.get(f"dataset.{part}sha256")}
    return {key: value for key, value in whole.items() if key not in known and not NOT_OF_THE_ARM.match(key)}


def plan_of(arms: Sequence[Arm]) -> Comparing:
    """How the study said that it would be judged; ResultError where its runs say different things."""
    runs = [run for arm in arms for run in arm.runs.values()]
    plans = [run.config.get("comparison", {}) for run in runs]
    differing = _differing([flatten(plan) for plan in plans])
    if differing:
        listed = ", ".join(f"comparison.{key}: {_spoken(column)}" for key, column in differing.items())
        raise ResultError(f"its runs were to be judged differently, {listed}; compare runs of one study")
    try:
        return Comparing.model_validate_json(json.dumps(plans[0]))
    except ValidationError as error:
        raise ResultError(f"{runs[0].path} has a comparison that cannot be used ({error.errors()[0]['msg']})") from None


def _label(settings: dict[str, Any], trees: list[dict[str, Any]], runs: dict[int, RunResult]) -> str:
    """The generator's name; where several arms have it, also the settings in which those differ."""
    name = settings.get("generator.name", next(iter(runs.values())).variant)
    namesakes = [tree for tree in trees if tree.get("generator.name") == settings.get("generator.name")]
    return " ".join(
        [str(name), *(f"{key}={as_typed(settings[key])}" for key in _differing(namesakes) if key in settings)]
    )


def _differing(trees: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Which keys differ between trees, and the values there; _ABSENT stands for a key that a tree lacks."""
    keys = sorted(set().union(*trees))
    columns = {key: [tree.get(key, _ABSENT) for tree in trees] for key in keys}
    return {key: column for key, column in columns.items() if any(value != column[0] for value in column)}


def _refuse_confounded(directory: str, trees: list[dict[str, Any]]) -> None:
    """Arms may differ in the generator or in one setting outside it; of two causes nobody could tell which acts."""
    differing = _differing(trees)
    for key in ("dataset.sha256", "dataset.held_out_sha256"):
        if key in differing and "dataset.name" not in differing:
            raise ResultError(
                f"{directory} has runs of different data, {key}: {_spoken(differing[key])}; "
                "compare runs of one data set"
            )
    outside = {key: column for key, column in differing.items() if not key.startswith("generator.")}
    choices = [key.removesuffix("name") for key in outside if key.endswith(".name")]
    for choice in choices:  # another penalty brings its own settings: one difference
        outside = {key: c for key, c in outside.items() if not key.startswith(choice) or key == f"{choice}name"}
    generator = any(key.startswith("generator.") for key in differing)
    if generator + len(outside) > 1:
        listed = ", ".join(f"{key}: {_spoken(column)}" for key, column in outside.items())
        besides = "not only in the generator but also in" if generator else "in more than one setting:"
        raise ResultError(
            f"{directory} has runs that differ {besides} {listed}; compare a folder of runs in which one thing differs"
        )


def _refuse_protocols(directory: str, results: list[RunResult]) -> None:
    """Numbers taken under different protocols are different quantities; runs that did not finish have none."""
    differing = _differing([flatten(run.protocol) for run in results if run.status == "finished" and run.protocol])
    if differing:
        listed = ", ".join(f"protocol.{key}: {_spoken(column)}" for key, column in differing.items())
        raise ResultError(
            f"{directory} has runs measured differently, {listed}; "
            "measure them again under one protocol (python -m ganlab.evaluate RUN --record)"
        )


_ABSENT = object()


def as_typed(value: Any) -> str:
    """A value as people type it."""
    if value is _ABSENT:
        return "absent"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _spoken(values: list[Any]) -> str:
    distinct = sorted({as_typed(value) for value in values}, key=lambda text: (len(text), text))
    return " and ".join(distinct) if len(distinct) < 3 else ", ".join(distinct[:-1]) + " and " + distinct[-1]
