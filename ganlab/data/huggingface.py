"""Image sets of Hugging Face's `datasets`: on disk, as Parquet files, or by name on the hub."""

import io
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ganlab.config import HuggingFace
from ganlab.data.libraries import classes, columns, fill_in_from, library, survey_of_parts
from ganlab.data.survey import Part, Survey
from ganlab.errors import ConfigError, expand, in_a_line, nearest

_ORIENTATION, _ON_ITS_SIDE = 0x0112, 5  # EXIF


@lru_cache(4)
def find_huggingface(
    path_or_name: str,
    config: str | None,
    train_split: str,
    held_out_split: str | None,
    images_key: str | None = None,
    labels_key: str | None = None,
) -> Survey:
    """A directory that `save_to_disk` wrote, a Parquet file or a directory of them, or the name of a set on the hub.

    Sets on the hub are downloaded by the library, or taken from its cache (HF_HUB_OFFLINE=1: only from there). No code
    of a set is run. Keys: None for the only column of images and of class labels; an empty labels_key for no labels.
    Images are grey where all of them are, otherwise RGB, laid on white where they are transparent, and upright by their
    EXIF data; sizes are read from the images' headers. Raises ConfigError.
    """
    where = f"dataset.path={path_or_name}"
    datasets = library("datasets", "datasets", "huggingface")
    splits, parquet = _open(datasets, path_or_name, config, where)
    names = [train_split] if held_out_split is None else [train_split, held_out_split]
    for name in names:
        if name not in splits:
            raise ConfigError(f"{where} has no split {name}; {nearest(name, splits)}")
        if not len(splits[name]):
            raise ConfigError(f"{where} has no images in split {name}; {nearest(name, splits)}")
    first = splits[train_split]
    image, label = columns(first.features, datasets, (images_key, labels_key), where)
    if held_out_split is not None and splits[held_out_split].features != first.features:
        raise ConfigError(
            f"{where} has different columns in splits {held_out_split} and {train_split}; choose another split"
        )
    class_names = () if label is None else tuple(first.features[label].names)
    raw = {
        name: splits[name].select_columns([image]).cast_column(image, datasets.Image(decode=False)) for name in names
    }
    sizes = {name: _sizes(raw[name], image, name, where) for name in names}
    channels = 3 if any(colour for *_, colour in set().union(*sizes.values())) else 1

    def part(name: str) -> Part:
        shapes = {(height, width) for height, width, _ in sizes[name]}
        shape = (*shapes.pop(), channels) if len(shapes) == 1 else None
        numbers = None if label is None else classes(_column(splits[name], label), len(class_names), name, where)
        pixels = partial(_images, raw[name], image, channels, name, where)
        return Part(len(raw[name]), shape, numbers, pixels, channels)

    files = parquet or [Path(file["filename"]) for name in names for file in splits[name].cache_files]
    title = Path(path_or_name).name if Path(path_or_name).exists() else path_or_name
    return survey_of_parts(where, [part(name) for name in names], class_names, sorted(set(files)),
                           f"{title} of Hugging Face", first.info.license)  # fmt: skip


def survey_of(settings: HuggingFace) -> Survey:
    """Look into the set that settings name; it is downloaded if it is missing. Raises ConfigError."""
    return find_huggingface(settings.path, settings.config, settings.train_split, settings.held_out_split,
                            settings.images_key, settings.labels_key)  # fmt: skip


def fill_in(tree: Mapping[str, Any], conditional: bool) -> dict[str, Any]:
    """Settings with null values filled in from what the library says; raises ConfigError."""
    return fill_in_from(find_huggingface, ("path", "config"), tree, conditional)


def _open(datasets: Any, path_or_name: str, config: str | None, where: str) -> tuple[dict[str, Any], list[Path]]:
    """Splits by name, and the Parquet files on this machine that hold them; a set saved without splits is `train`."""
    path = expand(path_or_name, "dataset.path=")
    local, parquet = path.exists(), []
    try:
        if local and any((path / name).is_file() for name in ("dataset_dict.json", "state.json")):
            loaded = datasets.load_from_disk(str(path))
        elif path.is_file():
            if path.suffix != ".parquet":
                raise ConfigError(f"{where} is not a Parquet file; give a .parquet file, or a directory")
            parquet = [path]
            loaded = datasets.load_dataset("parquet", data_files=str(path))
        else:
            parquet = list(path.rglob("*.parquet")) if local else []
            if local and not parquet:
                raise ConfigError(
                    f"{where} holds no Parquet files and was not written by save_to_disk; give a directory that does"
                )
            loaded = datasets.load_dataset(str(path) if local else path_or_name, config)
    except ConfigError:
        raise
    except Exception as error:  # of the library, of its network, of Arrow
        if local:
            raise ConfigError(f"{where} cannot be read ({in_a_line(error, 200)}); write it again") from error
        raise ConfigError(
            f"{where} is not on this machine and could not be downloaded ({in_a_line(error, 160)}); save it with "
            "save_to_disk where there is a network, and give dataset.path=DIRECTORY"
        ) from error
    return ({"train": loaded} if isinstance(loaded, datasets.Dataset) else dict(loaded)), parquet


def _column(dataset: Any, key: str) -> np.ndarray:
    labels = dataset.with_format("numpy", columns=[key])[:][key]
    return np.where(np.isnan(labels), -1, labels) if labels.dtype.kind == "f" else labels  # a missing label


def _sizes(dataset: Any, key: str, split: str, where: str) -> set[tuple[int, int, bool]]:
    """Heights, widths and whether there is colour, of all images, by their headers."""
    sizes = set()
    for _, image in _open_images(dataset, key, split, where):
        width, height = image.size
        if image.getexif().get(_ORIENTATION, 1) >= _ON_ITS_SIDE:
            width, height = height, width
        sizes.add((height, width, image.mode not in ("1", "L")))
    return sizes


def _images(dataset: Any, key: str, channels: int, split: str, where: str) -> Iterator[np.ndarray]:
    for place, image in _open_images(dataset, key, split, where):
        try:
            upright = ImageOps.exif_transpose(image)
            if upright.has_transparency_data:
                layer, upright = upright.convert("RGBA"), Image.new("RGB", upright.size, "white")
                upright.paste(layer.convert("RGB"), mask=layer.getchannel("A"))
            yield np.asarray(upright.convert("L" if channels == 1 else "RGB")).reshape(1, *upright.size[::-1], channels)
        except Exception as error:  # Pillow raises almost anything for a damaged image
            raise _unreadable(place, split, where, error) from error


def _open_images(dataset: Any, key: str, split: str, where: str) -> Iterator[tuple[int, Image.Image]]:
    """Each image with its place, its pixels not decoded yet."""
    for place, row in enumerate(dataset):
        stored = row[key]
        try:
            if stored is None or (stored["bytes"] is None and "://" in (stored["path"] or "://")):
                raise ValueError("it is missing" if not stored or not stored["path"] else "it is stored elsewhere")
            with Image.open(io.BytesIO(stored["bytes"]) if stored["bytes"] is not None else stored["path"]) as image:
                if image.mode.startswith(("I", "F")):
                    raise ValueError(f"its mode is {image.mode}, but images have 8 bits")
                image.getexif()
                yield place, image
        except Exception as error:  # Pillow raises almost anything for a damaged image
            raise _unreadable(place, split, where, error) from error


def _unreadable(place: int, split: str, where: str, error: Exception) -> ConfigError:
    return ConfigError(f"{where}: image {place} of split {split} cannot be read ({in_a_line(error)}); leave it out")
