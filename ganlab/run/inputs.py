"""Checks of what a run reads, before anything starts: paths, files, numbers of images. No TensorFlow.

NumPy is imported where it is needed, since most wrong settings can be reported without it.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ganlab.config import LEAST, Folder, Full, RunConfig, parse
from ganlab.errors import ConfigError, printable
from ganlab.evaluation.registry import KNOWN_AS, metric_of, quick_relative

_DOWNLOADED = ("cifar10", "cifar100", "emnist", "fashion_mnist", "kmnist", "mnist", "svhn")
_OF_FILES = ("arrays", "folder", "huggingface", "tfds", *_DOWNLOADED)
_PATHS = (
    ("dataset", "path"),
    ("dataset", "held_out_path"),
    ("dataset", "data_dir"),
    ("dataset", "set"),
    ("metrics", "final", "inception_weights"),
)


FILLED_IN = (
    "dataset.bytes",
    "dataset.classes",
    "dataset.class_counts",
    "dataset.class_names",
    "dataset.held_out_sha256",
    "plugins",
)
"""Settings that nobody types: `complete` takes them from files, for config.json."""

NO_FILE = "FILE"
"""A placeholder for a file that has not been named yet, where settings are only described."""


def complete(
    tree: Mapping[str, Any], *, describing: bool = False, surveyed: dict[str, dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Settings from YAML with absolute paths, and with values from files where settings are null.

    So config.json means the same from any folder, and records what the files held. Raises ConfigError for files that
    are missing or not what they should be. describing: for a page about settings, which needs no images. surveyed: a
    cache of what was read for other settings; it is added to.
    """
    whole = dict(tree)
    dataset = whole.get("dataset")
    for place in _PATHS:
        if not (isinstance(dataset, dict) and place[0] == "dataset" and _is_name(dataset, place[1])):
            whole = _absolute(whole, place)
    dataset = whole.get("dataset")
    if not isinstance(dataset, dict) or dataset.get("name") not in _OF_FILES:
        return whole
    unnamed = [key for key in ("path", "set") if dataset.get(key, "") is None]
    if describing and unnamed and dataset["name"] not in _DOWNLOADED:
        filled = {"size": dataset.get("size") or 32, "channels": dataset.get("channels") or 3, "classes": 2}
        return whole | {"dataset": dataset | filled | dict.fromkeys(unnamed, NO_FILE)}
    conditional, surveyed = whole.get("conditional") is True, {} if surveyed is None else surveyed
    key = json.dumps([dataset, conditional], sort_keys=True)
    if key not in surveyed:
        surveyed[key] = _fill_in(dataset, conditional)
        if dataset["name"] == "folder" and not describing:
            from ganlab.data import folder

            settings: Any = parse(whole | {"dataset": surveyed[key]}).dataset  # reports other mistakes before decoding
            surveyed[key] |= folder.settle(settings, conditional)
    return whole | {"dataset": surveyed[key]}


def _fill_in(dataset: dict[str, Any], conditional: bool) -> dict[str, Any]:
    """Settings of a set of files, completed from the files; ConfigError where the two contradict each other."""
    from ganlab.data import arrays, folder, huggingface, published, tfds

    sources = {"arrays": arrays.fill_in, "huggingface": huggingface.fill_in, "tfds": tfds.fill_in}
    if dataset["name"] == "folder":
        return folder.fill_in(dataset)
    return sources.get(dataset["name"], published.fill_in)(dataset, conditional)


def check_all_inputs(configs: Iterable[RunConfig]) -> None:
    """`check_inputs` for the runs of a sweep: those that read and measure the same are checked once."""
    checked = set()
    for config in configs:
        _check_plateau(config)
        fields = {"dataset", "conditional", "metrics"}
        key = config.training.batch_size, config.model_dump_json(include=fields)
        if key not in checked:
            check_inputs(config)
            checked.add(key)


def check_inputs(config: RunConfig) -> None:
    """Refuse files that are missing or were replaced, and settings that ask for more images than there are.

    Raises ConfigError. Everything about a run's inputs that can be checked without loading images is checked here.
    """
    from ganlab.data import folder
    from ganlab.data.sources import counts

    _check_plateau(config)
    dataset = config.dataset
    if isinstance(dataset, Folder):
        folder.check(folder.list_images(dataset.path), dataset.sha256)
    elif dataset.name in _OF_FILES:
        _fill_in(dataset.model_dump(mode="json"), config.conditional)
    train, held_out = counts(dataset)
    if (size := config.training.batch_size) > train:
        raise ConfigError(f"training.batch_size={size} is more than the {train} training images there are")
    check_measured(config, train, held_out)
    if isinstance(config.metrics, Full):
        if config.metrics.final.inception_weights is not None:
            from ganlab.evaluation.features.inception import check_weights

            check_weights(config.metrics.final.inception_weights)
        classes = getattr(dataset, "classes", None) or 0
        asked = {"metrics.final.features=[classifier]": "classifier" in (config.metrics.final.features or ())}
        for title, metric in config.comparison.endpoints.items():
            asked[f"comparison.{title}={metric}"] = metric.startswith("full/classifier/")
        if classes < 2 and (where := next((text for text, needed in asked.items() if needed), "")):
            have = "this dataset has one" if classes else "this dataset has no labels"
            raise ConfigError(f"{where} needs two classes, {have}; use random or pca")


def check_measured(config: RunConfig, train: int, held_out: int) -> None:
    """Refuse measures for which there are too few images; ConfigError."""
    protocols, available = [("metrics", config.metrics)], min(train, held_out)
    if isinstance(config.metrics, Full):
        protocols.append(("metrics.final", config.metrics.final))
        if available < LEAST:
            raise ConfigError(
                f"metrics=full needs {LEAST} images to train on and {LEAST} held out; there are {available}"
            )
    for where, settings in protocols:
        measured = min(available, settings.images)
        if measured <= settings.neighbours:
            raise ConfigError(
                f"{where}.neighbours={settings.neighbours} needs more images than that; "
                f"there are {measured} to measure with"
            )


def _check_plateau(config: RunConfig) -> None:
    """Refuse `training.plateau` where nothing measures it, or where rates would not have fallen when it is reached."""
    where, metric = f"training.plateau={config.training.plateau}", metric_of(config.comparison.quality)
    if config.training.plateau is None:
        return
    if metric is None or metric.scale != "ratio":
        raise ConfigError(f"{where} needs a distance as comparison.quality, such as frechet_distance")
    if not (full_measures_every(config) or config.metrics.every_steps):
        raise ConfigError(
            f"{where} needs measures during training; set metrics.every_steps or metrics.final.every_steps"
        )
    quality = config.comparison.quality
    if full_measures_every(config) and quality.startswith("full/"):
        taken = metric.quick or metric.name in KNOWN_AS.values()
    else:
        quick = metric_of(quick_relative(quality))
        taken = quick is not None and quick.quick and config.metrics.every_steps is not None
    if not taken:
        raise ConfigError(
            f"{where} needs comparison.quality={quality} during training, where it is not measured; "
            "use frechet_distance and metrics.every_steps, or full/pca/frechet_distance and metrics.final.every_steps"
        )
    if config.optimizer.final_rate != 1 or config.augment.noise:
        raise ConfigError(
            f"{where} ends runs before rates and noise have fallen; use optimizer.final_rate=1 and augment.noise=0"
        )


def full_measures_every(config: RunConfig) -> int | None:
    """The steps between full measures during training; None where they are taken only at the end."""
    return config.metrics.final.every_steps if isinstance(config.metrics, Full) else None


def _is_name(dataset: dict[str, Any], key: str) -> bool:
    """Whether a text is the name of a set in a library, not a path on this machine."""
    value = dataset.get(key)
    if not isinstance(value, str):
        return False
    path = Path(os.path.expanduser(value))  # noqa: PTH111 - leaves a home folder that does not exist to `_absolute`
    if (dataset.get("name"), key) == ("huggingface", "path"):
        return not path.exists()
    return key == "set" and not ("/" in value and (path / "dataset_info.json").is_file())


def _absolute(tree: dict[str, Any], place: tuple[str, ...], above: str = "") -> dict[str, Any]:
    """The tree with the path at a place made absolute, ~ expanded; values that are not paths are left alone.

    above: the name of the tree in messages, with a dot.
    """
    key, *rest = place
    value = tree.get(key)
    if rest and isinstance(value, dict):
        return tree | {key: _absolute(value, tuple(rest), f"{above}{key}.")}
    if rest or not isinstance(value, str):
        return tree
    try:
        path = str(Path(value).expanduser().absolute())
    except RuntimeError:  # no user of that name, or no home folder
        raise ConfigError(f"{above}{key}={value} does not name a home folder; write the whole path") from None
    if (shown := printable(path)) != path:  # config.json would be read with another path
        raise ConfigError(f"{above}{key}={shown} has characters that cannot be printed, shown as �; rename it")
    return tree | {key: path}
