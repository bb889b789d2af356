"""Well-known data sets, from their authors' files: the MNIST family, CIFAR and SVHN."""

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganlab.config import Emnist, Published
from ganlab.data import mnist
from ganlab.data.cifar import find_cifar
from ganlab.data.images import Split
from ganlab.data.official import DOWNLOADS, FACTS, Facts, download, facts
from ganlab.data.survey import Survey, filled, identify, read
from ganlab.data.svhn import find_svhn
from ganlab.errors import ConfigError


def published(settings: Published | Emnist) -> Split:
    """A set from its authors' files, which are downloaded if no path is given; their test set is held out."""
    data = survey(settings.name, settings.path, _split(settings))
    if settings.name == "mnist" and not mnist.is_genuine(data):
        data = replace(data, source=Path(settings.path or "").name, licence="unknown")
    return read(data, settings)


def survey(name: str, path: str | None, split: str | None = None) -> Survey:
    """Look into the files of a set; ConfigError if they are not those of the set."""
    set_facts = facts(name, split)
    if name == "mnist" and (path is None or mnist.is_npz(Path(path))):
        return replace(mnist.find_npz(path), source=set_facts.source, licence=set_facts.licence)
    place = download(name) if path is None else Path(path)
    where = f"dataset={name}" if path is None else f"dataset.path={path}"
    if name in ("cifar10", "cifar100", "svhn") and place.is_file() and zipfile.is_zipfile(place):
        raise ConfigError(
            f"{where} is a .zip, but {set_facts.title} is not published as one; for a .zip of pictures use "
            "dataset=folder"
        )
    if name == "svhn":
        found = find_svhn(place, where)
    elif name in ("cifar10", "cifar100"):
        found = find_cifar(place, where, classes=10 if name == "cifar10" else 100)
    else:
        found = mnist.find_idx(place, where, name=name, split=split)
    if path is not None and name in ("mnist", "fashion_mnist", "kmnist"):
        _refuse_another(found, name)
    complete = _has_sizes(found, set_facts)
    return replace(
        found,
        class_names=set_facts.names,
        files={} if path is None else found.files,
        source=set_facts.source if complete else place.name,
        licence=set_facts.licence if complete else "unknown",
    )


def _has_sizes(found: Survey, known: Facts) -> bool:
    """Whether there are as many images, in all and by class, as a set is known to have."""
    assert found.held_out
    counts = found.train.count, found.held_out.count
    return counts == (known.train, known.held_out) and known.class_counts in (None, tuple(found.sizes()))


def _refuse_another(found: Survey, name: str) -> None:
    """Raise ConfigError if files with the names of MNIST's are those of another set, by their sums or their classes."""
    sums = {sha256: other for other, source in DOWNLOADS.items() for sha256 in source.files.values()}
    others = {sums.get(identify((path,), found.where).sha256, name) for path in found.files["path"]}
    others |= {"mnist"} if _has_sizes(found, FACTS["mnist"]) else set()
    if others := sorted(others - {name}):
        raise ConfigError(
            f"{found.where} holds {FACTS[others[0]].title}, not {FACTS[name].title}; use dataset={others[0]}"
        )


def fill_in(tree: Mapping[str, Any], conditional: bool) -> dict[str, Any]:
    """Settings with null values filled in from what is known about the set, or from its files; raises ConfigError."""
    name, path, split = tree["name"], tree.get("path"), tree.get("split")
    key = name if name != "emnist" else f"{name}-{split}"
    if isinstance(path, str) and key in FACTS:
        return filled(tree, survey(name, path, split), conditional)
    if path is not None or key not in FACTS:
        return dict(tree)
    set_facts = FACTS[key]
    counts = _class_counts(name, None, split) if conditional else None
    classes = {"classes": len(set_facts.class_names), "class_names": list(set_facts.names) or None}
    return dict(tree) | classes | {"class_counts": counts}


def counts(settings: Published | Emnist) -> tuple[int, int]:
    """How many images to train on, and how many held out."""
    if settings.path is None:
        set_facts = facts(settings.name, _split(settings))
        return set_facts.train, set_facts.held_out
    return survey(settings.name, settings.path, _split(settings)).counts(0.0)


def class_counts(settings: Published | Emnist) -> list[int]:
    """How many training images each class has; empty without labels."""
    return _class_counts(settings.name, settings.path, _split(settings))


def _class_counts(name: str, path: str | None, split: str | None) -> list[int]:
    set_facts = facts(name, split)
    if path is None and set_facts.class_counts is not None:
        return list(set_facts.class_counts)
    return survey(name, path, split).class_counts(0.0) or []


def _split(settings: Published | Emnist) -> str | None:
    return settings.split if isinstance(settings, Emnist) else None
