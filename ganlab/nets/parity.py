"""Arms that cost the same: filters are multiplied by a factor, so that the operator is compared and not the size."""

import keras

from ganlab.config import ConfigError, Generator
from ganlab.nets.analysis import multiplications
from ganlab.nets.generator import build_generator

TOLERANCE = 0.05
"""How much costs may differ because filters are whole numbers; ConfigError beyond."""


def at_parity(settings: Generator, image_shape: tuple[int, int, int]) -> Generator:
    """The settings with their filters scaled until the generator costs what it would with `settings.reference`.

    Cost: trainable weights, or multiply-accumulates as executed, of the whole generator. Every count of filters but the
    image's is multiplied by one factor and rounded, then the base map's alone is adjusted until the cost is nearest;
    what remains is the rounding to whole filters. With parity `none` the settings are returned as they are.
    """
    if settings.parity == "none":
        return settings
    cost = _parameters if settings.parity == "parameters" else _macs
    reference = settings.model_copy(update={"upsampling": settings.reference, "elsewhere": settings.reference})

    def measure(candidate: Generator) -> int:
        return cost(build_generator(candidate, image_shape, seed_of=lambda name: 0))

    target = measure(reference)
    low, high = 1 / 16, 16.0
    for _ in range(10):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if measure(_scale_filters(settings, middle)) < target else (low, middle)
    near = _scale_filters(settings, (low * high) ** 0.5)
    bases = range(max(1, near.base_filters - 3), near.base_filters + 4)
    costs = {base: measure(near.model_copy(update={"base_filters": base})) for base in bases}
    best = min(costs, key=lambda base: abs(costs[base] - target))
    if abs(costs[best] / target - 1) > TOLERANCE:
        raise ConfigError(
            f"generator.parity={settings.parity} cannot be reached by {settings.name}: {costs[best]} instead of "
            f"{target}; use wider generator.stages, or parity=none"
        )
    return near.model_copy(update={"base_filters": best})


def _scale_filters(settings: Generator, factor: float) -> Generator:
    def times(filters: int) -> int:
        return max(1, round(filters * factor))

    stages = tuple(
        stage._replace(filters=None if stage.filters is None or makes_images else times(stage.filters))
        for stage, makes_images in _with_last(settings)
    )
    return settings.model_copy(update={"base_filters": times(settings.base_filters), "stages": stages})


def _with_last(settings: Generator) -> list[tuple]:
    """Each stage, and whether its filters are the image's channels."""
    plain, last = settings.body == "plain", len(settings.stages)
    return [(stage, plain and number == last) for number, stage in enumerate(settings.stages, start=1)]


def _parameters(model: keras.Model) -> int:
    return sum(int(weight.shape.num_elements() or 1) for weight in model.trainable_weights)


def _macs(model: keras.Model) -> int:
    return multiplications(model).executed
