"""The content of a data set before training: in a few lines, and as one picture. No TensorFlow."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ganlab.config import DatasetSettings, Folder, RunConfig, pair
from ganlab.data import folder
from ganlab.data.images import Split, in_blocks
from ganlab.data.sources import class_names
from ganlab.evaluation.spectrum import power_spectrum, radial_profile
from ganlab.runs import grids

_ROWS = 10  # of the contact sheet
_SPECTRUM = 2000  # images at most that a spectrum is the mean of
_PAIRS = 6  # of nearest images to show
_COARSE = 8  # side of the small images among which neighbours are searched first
_NAMED = 20  # names to list


class Neighbours(NamedTuple):
    """Held-out images and the images to train on that are nearest to each, nearest pairs first.

    distance: root mean square difference of their pixels, 0 ... 255.
    """

    held_out: np.ndarray
    train: np.ndarray
    distance: np.ndarray


def describe(config: RunConfig, split: Split) -> list[str]:
    """What the data set holds and what training will see, in lines."""
    settings, train, held_out = config.dataset, split.train, split.held_out
    of_files = isinstance(settings, Folder)
    (height, width), count = pair(settings.size), len(train.pixels) + len(held_out.pixels)
    mean, std = _moments(train.pixels)
    facts = [
        *(_files(settings) if of_files else []),
        ("seen", f"{count:,} images {height}x{width}, {'grey' if settings.channels == 1 else 'RGB'}"),
        ("", f"{len(train.pixels):,} to train on, {len(held_out.pixels):,} held out"),
        ("classes", "" if train.labels is None else _classes(settings, train.labels)),
        ("flip", "" if settings.flip == "none" else settings.flip),
        ("pixels", f"mean {_join(mean)}, standard deviation {_join(std)} of 0 to 255, by channel"),
        ("from", f"{train.source}; licence {train.licence}"),
        *(("note", note) for note in split.notes[1 if of_files else 0 :]),
    ]
    return [f"{name:<12} {text}" for name, text in facts if text]


def _files(settings: Folder) -> list[tuple[str, str]]:
    """What the files hold, as facts by name; one without a name belongs to the one before."""
    listing = folder.list_images(settings.path)
    good, ignored = listing.good, listing.ignored
    kinds = Counter((picture.height, picture.width) for picture in good)
    sizes = sorted(kinds.elements(), key=math.prod)
    small, median, large = (f"{height}x{width}" for height, width in (sizes[0], sizes[len(sizes) // 2], sizes[-1]))
    different = f"{len(kinds):,} different, {small} to {large}, half of them up to {median}"
    bad = [f"{folder.printable(picture.name)}: {picture.problem}" for picture in listing.pictures if picture.problem]
    return [
        ("files", f"{len(listing.pictures):,} images: {_counted(picture.format for picture in good)}"),
        ("", f"{ignored:,} other file{'s' * (ignored > 1)} ignored" if ignored else ""),
        ("sizes", different if len(kinds) > 1 else f"all {small}"),
        ("channels", _counted("grey" if picture.channels == 1 else "RGB" for picture in good)),
        *zip(["unreadable", *[""] * _NAMED], bad[:_NAMED], strict=False),
        ("", f"and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""),
    ]


def _counted(kinds: Iterable[str]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in Counter(kinds).most_common())


def _classes(settings: DatasetSettings, labels: np.ndarray) -> str:
    counts = np.bincount(labels)
    names = class_names(settings) or tuple(map(str, range(len(counts))))
    texts = [f"{name} {count:,}" for name, count in zip(names, counts, strict=False)]
    if len(texts) <= _NAMED:
        return f"{len(texts)}: {', '.join(texts)}"
    return f"{len(texts)}, of {counts.min():,} to {counts.max():,} images: {', '.join(texts[:_NAMED])} and so on"


def _moments(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel over all pixels."""
    total, squares, count = np.zeros(pixels.shape[3]), np.zeros(pixels.shape[3]), 0
    for rows in in_blocks(pixels):
        values = rows.reshape(-1, pixels.shape[3]).astype(np.float64)
        total, squares, count = total + values.sum(axis=0), squares + (values**2).sum(axis=0), count + len(values)
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0))


def _join(values: np.ndarray) -> str:
    return " ".join(f"{value:.1f}" for value in values)


# --- neighbours -----------------------------------------------------------------------------------------------------


def neighbours(split: Split) -> Neighbours:
    """The nearest image to train on of each held-out image, by its pixels, the nearest pairs first.

    The nearest as images of 8x8 pixels is taken, so a nearer one may be missed; an equal one is not.
    """
    equal = {_hash(image): place for place, image in enumerate(_one_by_one(split.train.pixels))}
    train, held_out = _coarse(split.train.pixels), _coarse(split.held_out.pixels)
    squares, nearest = (train**2).sum(axis=1), np.zeros(len(held_out), np.int64)
    for first in range(0, len(held_out), 512):
        block = held_out[first : first + 512]
        nearest[first : first + 512] = np.argmin(squares - 2 * block @ train.T, axis=1)
    for place, image in enumerate(_one_by_one(split.held_out.pixels)):
        nearest[place] = equal.get(_hash(image), nearest[place])
    distance = np.array([
        np.sqrt(np.mean((split.held_out.pixels[place].astype(np.float64) - split.train.pixels[near]) ** 2))
        for place, near in enumerate(nearest)
    ])  # fmt: skip
    order = np.argsort(distance, kind="stable")
    return Neighbours(order, nearest[order], distance[order])


def _one_by_one(pixels: np.ndarray) -> Iterator[np.ndarray]:
    return (image for block in in_blocks(pixels) for image in block)


def _hash(image: np.ndarray) -> int:
    return hash(image.tobytes())


def _coarse(pixels: np.ndarray) -> np.ndarray:
    """Images of at most 8x8 pixels as vectors, float32 [N,D]; means over rectangles."""
    _, height, width, _ = pixels.shape
    rows, columns = (np.linspace(0, side, min(side, _COARSE) + 1).astype(int)[:-1] for side in (height, width))
    small = []
    for block in in_blocks(pixels):
        sums = np.add.reduceat(np.add.reduceat(block.astype(np.float32), rows, axis=1), columns, axis=2)
        small.append(sums.reshape(len(block), -1))
    return np.concatenate(small) / (max(height // len(rows), 1) * max(width // len(columns), 1))


# --- the picture ----------------------------------------------------------------------------------------------------


def picture(config: RunConfig, split: Split, near: Neighbours) -> np.ndarray:
    """A contact sheet, the mean image, the spectrum and the nearest pairs: uint8 [H,W,3]."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.06), dpi=100, figsize=(13.0, 9.4))
    figure.suptitle(f"{_plain(split.train.source)}: {len(split.train.pixels):,} images to train on, "
                    f"{len(split.held_out.pixels):,} held out", fontsize=13, fontweight="bold")  # fmt: skip
    halves: Any = figure.subfigures(1, 2, width_ratios=[6.6, 6.4])
    left, right = halves
    sheet, title = _contact_sheet(config.dataset, split)
    _show(left.subplots(), sheet, title)
    axes = right.subplots(2, 2)
    total = np.zeros(split.train.pixels.shape[1:])
    for rows in in_blocks(split.train.pixels):
        total += rows.sum(axis=0, dtype=np.float64)
    _show(axes[0, 0], np.rint(total / len(split.train.pixels)).astype(np.uint8), "the mean image")
    _show(axes[0, 1], _pairs(split, near), _pairs_title(near))
    _spectrum(axes[1], split.train.pixels)
    return grids.render(figure)


def _contact_sheet(settings: DatasetSettings, split: Split) -> tuple[np.ndarray, str]:
    """Images to train on; with classes, a row for each."""
    pixels, labels = split.train.pixels, split.train.labels
    side = max(pixels.shape[1:3])
    enlarge = max(1, round(560 / (_ROWS * side)))
    if labels is None:
        images = np.asarray(pixels[: _ROWS * _ROWS])
        return grids.grid(images, columns=_ROWS, border=2, enlarge=enlarge, background=255), "images to train on"
    present = [int(label) for label in np.unique(labels)[:_ROWS]]
    rows = []
    for label in present:
        of_class = np.asarray(pixels[np.flatnonzero(labels == label)[:_ROWS]])
        rows.append(np.concatenate([of_class, np.full((_ROWS - len(of_class), *of_class.shape[1:]), 255, np.uint8)]))
    names = class_names(settings) or tuple(map(str, range(int(labels.max()) + 1)))
    legend = ", ".join(names[label] for label in present)
    note = f" (the first {_ROWS} of {len(np.unique(labels))})" if len(np.unique(labels)) > _ROWS else ""
    title = f"images to train on, a class a row{note}:\n{legend}"
    return grids.grid(np.concatenate(rows), columns=_ROWS, border=2, enlarge=enlarge, background=255), title


def _pairs(split: Split, near: Neighbours) -> np.ndarray:
    count = min(_PAIRS, len(near.held_out))
    held_out = np.asarray(split.held_out.pixels[near.held_out[:count]])
    train = np.asarray(split.train.pixels[near.train[:count]])
    enlarge = max(1, round(300 / (count * max(held_out.shape[1:3]))))
    return grids.grid(np.concatenate([held_out, train]), columns=count, border=2, enlarge=enlarge, background=255)


def _pairs_title(near: Neighbours) -> str:
    equal = int((near.distance == 0).sum())
    return (
        f"held out (top) and nearest to train on\n{equal:,} of {len(near.distance):,} are equal; the nearest\n"
        f"differ by {near.distance[0]:.1f}, half by less than {np.median(near.distance):.0f} of 255"
    )


def _spectrum(axes: Any, pixels: np.ndarray) -> None:
    if min(pixels.shape[1:3]) < 2:
        for axis in axes:
            axis.set_axis_off()
        return
    places = np.linspace(0, len(pixels) - 1, min(len(pixels), _SPECTRUM)).astype(int)
    power = power_spectrum(np.asarray(pixels[places]))
    logs = np.log10(np.maximum(power, 1e-12))
    logs[0, 0] = np.nan
    axes[0].imshow(np.fft.fftshift(logs), cmap="magma", extent=(-0.5, 0.5, 0.5, -0.5))
    axes[0].set_title("log10 power by frequency\nmean at the centre, left out", fontsize=10)
    axes[0].set_xticks([])
    axes[0].set_yticks([])
    if power.shape[0] != power.shape[1]:
        axes[1].set_axis_off()
        return
    profile = radial_profile(power)
    axes[1].plot(np.arange(1, len(profile)), np.log10(np.maximum(profile, 1e-12))[1:], marker="o", markersize=4)
    axes[1].set_title(f"log10 power by ring\nmean over {len(places):,} images", fontsize=10)
    axes[1].set_xlabel("ring: waves across the image", fontsize=9)
    axes[1].xaxis.get_major_locator().set_params(integer=True)
    axes[1].grid(alpha=0.3)


def _show(axis: Any, pixels: np.ndarray, title: str) -> None:
    axis.imshow(pixels.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axis.set_title(_plain(title), fontsize=10, wrap=True)
    axis.set_xticks([])
    axis.set_yticks([])


def _plain(text: str) -> str:
    """A text in which dollar signs are not mathematics; wrapping does not know of parse_math=False."""
    return text.replace("$", r"\$")
