"""What a run reads, found and looked into before anything starts: paths, files, counts of images. No TensorFlow.

NumPy is imported where it is needed, since most wrong settings are told without it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganlab.config import LEAST, Arrays, Folder, Full, Mnist, RunConfig, parse
from ganlab.errors import ConfigError

_OF_FILES = ("arrays", "folder", "mnist")
_PATHS = (("dataset", "path"), ("dataset", "held_out_path"), ("metrics", "final", "inception_weights"))


FILLED_IN = (
    "dataset.bytes",
    "dataset.classes",
    "dataset.class_counts",
    "dataset.class_names",
    "dataset.held_out_sha256",
    "plugins",
)
"""Settings that nobody types: what `complete` found in files, for config.json."""

NO_FILE = "FILE"
"""What stands for a file that nobody has named yet, where settings are only described."""


def complete(tree: Mapping[str, Any], *, describing: bool = False) -> dict[str, Any]:
    """Settings as YAML gives them, with absolute paths, and with what files say in the place of what is null.

    So config.json means the same from any folder, and says what was there. Raises ConfigError for files that are not
    there or not what they should be. describing: for a page about settings, which needs no file of images.
    """
    whole = dict(tree)
    for place in _PATHS:
        whole = _absolute(whole, place)
    dataset = whole.get("dataset")
    name = dataset.get("name") if isinstance(dataset, dict) else None
    if not isinstance(dataset, dict) or name not in _OF_FILES:
        return whole
    if describing and "path" in dataset and dataset["path"] is None and name in ("arrays", "folder"):
        filled = {"path": NO_FILE, "size": dataset.get("size") or 32, "channels": dataset.get("channels") or 3}
        return whole | {"dataset": dataset | filled}
    conditional = whole.get("conditional") is True
    if name == "folder":
        from ganlab.data import folder

        whole["dataset"] = folder.fill_in(dataset)
        if describing:
            return whole
        settings = parse(whole).dataset  # whatever else is wrong is told before images are decoded
        return whole | {"dataset": whole["dataset"] | folder.settle(settings, conditional)}
    from ganlab.data import arrays, mnist

    fill_in = {"arrays": arrays.fill_in, "mnist": mnist.fill_in}[name]
    return whole | {"dataset": fill_in(dataset, conditional)}


def check_inputs(config: RunConfig) -> None:
    """Refuse files that are missing or were replaced, and settings that ask for more images than there are.

    Raises ConfigError. Whatever can be known of a run's inputs without loading images is known here.
    """
    from ganlab.data import folder
    from ganlab.data.counts import counts
    from ganlab.data.files import identify
    from ganlab.data.survey import refuse_other

    dataset = config.dataset
    if isinstance(dataset, Folder):
        folder.settle(dataset, config.conditional)
    if isinstance(dataset, Arrays | Mnist) and dataset.path is not None:
        files = [("path", dataset.path, dataset.sha256)]
        if isinstance(dataset, Arrays) and dataset.held_out_path is not None:
            files.append(("held_out_path", dataset.held_out_path, dataset.held_out_sha256))
        for setting, path, wanted in files:
            where = f"dataset.{setting}={path}"
            found = identify(Path(path), where)
            if wanted is not None:
                refuse_other(where, found.sha256, wanted)
    train, held_out = counts(dataset)
    if (size := config.training.batch_size) > train:
        raise ConfigError(f"training.batch_size={size} is more than the {train} training images there are")
    check_measured(config, train, held_out)
    if isinstance(config.metrics, Full):
        if config.metrics.final.inception_weights is not None:
            from ganlab.evaluation.features.imagenet import check_weights

            check_weights(config.metrics.final.inception_weights)
        told = getattr(dataset, "classes", None) or 0
        if "classifier" in (config.metrics.final.features or ()) and told < 2:
            have = "this dataset has one" if told else "this dataset has no labels"
            raise ConfigError(f"metrics.final.features=[classifier] needs two classes, {have}; use random or pca")


def check_measured(config: RunConfig, train: int, held_out: int) -> None:
    """Refuse measures for which so many images are too few; ConfigError."""
    asked, least = [("metrics", config.metrics)], min(train, held_out)
    if isinstance(config.metrics, Full):
        asked.append(("metrics.final", config.metrics.final))
        if least < LEAST:
            raise ConfigError(f"metrics=full needs {LEAST} images to train on and {LEAST} held out; there are {least}")
    for where, settings in asked:
        measured = min(least, settings.images)
        if measured <= settings.neighbours:
            raise ConfigError(
                f"{where}.neighbours={settings.neighbours} needs more images than that; "
                f"there are {measured} to measure with"
            )


def _absolute(tree: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    """The tree with the path at a place made absolute, ~ for the home folder; what is no path there is left alone."""
    key, *rest = place
    value = tree.get(key)
    if rest and isinstance(value, dict):
        return tree | {key: _absolute(value, tuple(rest))}
    if rest or not isinstance(value, str):
        return tree
    try:
        return tree | {key: str(Path(value).expanduser().absolute())}
    except RuntimeError:  # nobody of that name, or no home at all
        raise ConfigError(f"{'.'.join(place)}={value} names no home folder; write the whole path") from None
