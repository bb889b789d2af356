"""What the labels of the built-in sets stand for."""

from ganlab.data.photos import NAMES
from ganlab.data.shapes import SHAPES


def class_names(dataset: str) -> tuple[str, ...]:
    """The names of a set's classes in the order of their labels; empty where a label has no other name."""
    return {"shapes": SHAPES, "photos": NAMES}.get(dataset, ())


def say_classes(dataset: str, labels: list[int]) -> str:
    """Labels as people read them: `0 to 9`, `0 disc, 3 cross`."""
    names = class_names(dataset)
    if not names and len(labels) > 2 and labels == list(range(labels[0], labels[-1] + 1)):
        return f"{labels[0]} to {labels[-1]}"
    return ", ".join(f"{label} {names[label]}" if label < len(names) else f"{label}" for label in labels)
