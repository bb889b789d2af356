"""When has a generator collapsed? Where what it makes covers hardly any of the real images."""

from collections.abc import Mapping


def coverage_beside(primary: str) -> str:
    """The coverage that is taken with a primary metric: full/mean/frechet_distance, full/mean/coverage."""
    place, slash, _ = primary.rpartition("/")
    return f"{place}{slash}coverage"


def has_collapsed(
    primary: str, metrics: Mapping[str, float], real: Mapping[str, float] | None, least: float | None
) -> bool | None:
    """Whether the coverage is below a share of what real images score; None where it was not measured, or no rule.

    primary: the metric whose features count; where no coverage is taken with it, the quick one does. real: what real
    images score in the place of generated ones, taken as 1 where it is not known. least: `comparison.collapse`.
    """
    if least is None:
        return None
    name = next((name for name in (coverage_beside(primary), "coverage") if name in metrics), None)
    return None if name is None else metrics[name] < least * (real or {}).get(name, 1.0)
