"""Measures as people read them: a line for each, with what real images score in the place of generated ones."""

from collections.abc import Mapping
from typing import Any

from ganlab.evaluation.registry import better

Values = Mapping[str, float]


def table(values: Values, spread: Values, floor: Values, nulls: Values) -> str:
    """A header and a line for each measure; columns that no measure fills are left out. The last says what is better.

    spread: standard deviation over sets of generated images. floor: real images in their place. nulls: what equal
    distributions score by formula.
    """
    columns = {"": values, "+-": spread, "real images": floor, "equal": nulls}
    columns = {title: column for title, column in columns.items() if column}
    width = max(len(name) for name in values)
    sides = {name: better(name) for name in values}
    last = "better" if any(sides.values()) else ""
    rows = [" " * width + "".join(f"  {title:>11}" for title in columns) + f"  {last}"]
    rows += [
        f"{name:<{width}}"
        + "".join(f"  {_number(column.get(name)):>11}" for column in columns.values())
        + f"  {sides[name]}"
        for name in values
    ]
    return "\n".join(f"  {row.rstrip()}" for row in rows)


def directed(metric: str, value: float) -> str:
    """A measure in a line, with which values are the better ones: `coverage 0.921 (larger is better)`."""
    side = better(metric)
    return f"{metric} {value:.3g}" + (f" ({side} is better)" if side else "")


def counts(protocol: Mapping[str, Any]) -> str:
    """How many images of each side, and through which features."""
    features, sets = protocol["features"], protocol["sets"]
    generated = f"{sets} x {protocol['n_fake']}" if sets > 1 else str(protocol["n_fake"])
    return (
        f"distances: {protocol['n_real']} held-out and {generated} generated images, "
        f"precision to coverage: {protocol['n_equal']} of each; "
        f"features: {features if isinstance(features, str) else ', '.join(features)}"
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}" if value and abs(value) < 1e-3 else f"{value:.4f}"
