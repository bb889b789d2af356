"""Addresses that open TensorBoard on the answer: runs coloured by arm, the endpoints and the arms' samples pinned."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from ganlab.config import Comparing
from ganlab.errors import ConfigError
from ganlab.evaluation.registry import quick_relative
from ganlab.report.tensorboard.comparison import COMPARISON
from ganlab.report.tensorboard.run_colours import group_pattern
from ganlab.runs.records import arm_of, find_runs, whole_records
from ganlab.runs.status import stand

_MOST = 12  # grids side by side
_LOSSES = ("loss/generator", "loss/discriminator")


def curves(address: str, directory: Path) -> str:
    """The page of all curves, without smoothing.

    Of a single run: its losses, endpoints and samples pinned. Of more: runs coloured by arm, that is by folder less
    `-seed<k>`; the endpoints pinned, and samples from the same seed of each arm, of the first twelve of them.
    Raises ConfigError for a run's settings that cannot be read.
    """
    runs = find_runs(directory)
    arms = _arms(directory, runs)
    alone = len(runs) == 1
    # where runs end well or badly, the first shown may lack what the others have
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


def bands(address: str) -> str:
    """The page of the seed bands, with the arms' runs only: of more than 40 that page shows none."""
    return f"{address}#custom_scalars&regexInput={quote(f'^{COMPARISON}/')}"


def _arms(directory: Path, runs: Sequence[Path]) -> list[Path]:
    """A run of each arm, all with the same seed where there is one that all arms have.

    If it can be, with one that finished in all of them: then their samples are of the same step.
    """
    by_arm: dict[Path, dict[int, Path]] = defaultdict(dict)
    for run in runs:
        seed = re.search(r"-seed(\d+)$", run.name)
        by_arm[run.with_name(arm_of(run)) if run != directory else run][int(seed[1]) if seed else 0] = run
    shared = sorted(set.intersection(*map(set, by_arm.values())))
    ended = (seed for seed in shared if all(_finished(found[seed]) for found in by_arm.values()))
    seed = next(ended, min(shared, default=None))
    return [found[min(found) if seed is None else seed] for found in by_arm.values()]


def _finished(run: Path) -> bool:
    return stand(run, run.name).state == "finished"


def _endpoints(run: Path) -> list[str]:
    """The tags of the metrics that the run is to be judged by, as far as it has them.

    Where one was measured at the end only, its quick relative, which makes a curve.
    """
    config = run / "config.json"
    try:
        tree = json.loads(config.read_text(encoding="utf-8")) if config.exists() else {}
        plan = Comparing().model_dump() | tree.get("comparison", {})
    except (OSError, ValueError, AttributeError, TypeError) as error:  # the last two: no settings, though it is JSON
        raise ConfigError(f"{config} cannot be read ({error}); give the run's command again") from None
    recorded = Counter(tag for record in whole_records(run, "metric/")[0] for tag in record)
    tags = []
    for metric in [plan[title] for title in ("quality", "spectrum", "checkerboard") if plan[title]]:
        times = {tag: recorded[tag] for tag in (f"metric/{metric}", f"metric/{quick_relative(metric)}")}
        tags += sorted((tag for tag, count in times.items() if count), key=lambda tag: times[tag] < 2)[:1]
    return tags
