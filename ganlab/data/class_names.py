"""What the labels of a set stand for."""

from ganlab.config import DatasetSettings
from ganlab.data.photos import NAMES
from ganlab.data.shapes import SHAPES


def class_names(dataset: DatasetSettings) -> tuple[str, ...]:
    """The names of a set's classes in the order of their labels; empty where a label has no other name."""
    if known := getattr(dataset, "class_names", None):
        return tuple(known)
    return {"shapes": SHAPES, "photos": NAMES}.get(getattr(dataset, "name", ""), ())


def say_classes(dataset: DatasetSettings, labels: list[int]) -> str:
    """Labels as people read them: `0 to 9`, `0 disc, 3 cross`."""
    names = class_names(dataset)
    if not names and len(labels) > 2 and labels == list(range(labels[0], labels[-1] + 1)):
        return f"{labels[0]} to {labels[-1]}"
    return ", ".join(f"{label} {names[label]}" if label < len(names) else f"{label}" for label in labels)
