"""What a run measures: its images, its features and its protocols, put together."""

import contextlib
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import NamedTuple

import numpy as np

from ganlab.config import Full, RunConfig, Shapes, pair
from ganlab.config.metrics import USUAL_FEATURES
from ganlab.data import shapes
from ganlab.data.images import Split
from ganlab.data.sources import DATASETS
from ganlab.errors import ConfigError
from ganlab.evaluation.cache import cached
from ganlab.evaluation.factors import (
    Factor,
    Readout,
    dependences,
    factor_nulls,
    grid_coverage,
    marginals,
    residuals,
    train_readout,
)
from ganlab.evaluation.features import FEATURES, RealImages
from ganlab.evaluation.protocols import Counts, ExtraMeasures, Measured, Measures
from ganlab.evaluation.registry import Rungs
from ganlab.evaluation.spectrum import radial_profile
from ganlab.run import pictures
from ganlab.run.inputs import check_measured
from ganlab.run.sampler import Sampler

_READOUT_SEED = 2**40  # beyond all settings: no run trains on the images of the read-out


class Measuring(NamedTuple):
    """The protocols of a run: the one during training, and the one at the end, if the settings ask for it.

    ladder: how the measures of the end rate known faults, if the settings ask for it.
    """

    quick: Measures
    full: Measures | None
    ladder: dict[str, Rungs] = {}  # noqa: RUF012  (nobody changes it)

    def measure_quick(self, sampler: Sampler) -> Measured:
        """The quick measures of the generator as it is."""
        return self.quick([sampler.sample("latents/evaluation", self.quick.n_fake)])

    def measure_full(self, sampler: Sampler) -> Measured:
        """The full measures, each set of images from its own latents."""
        assert self.full is not None
        sets = range(self.full.protocol["sets"])
        return self.full([sampler.sample(f"latents/evaluation/full/{number}", self.full.n_fake) for number in sets])

    def measure_cheap(self, sampler: Sampler) -> dict[str, float]:
        """Those of the full measures that are taken during training, under the names that they have at the end."""
        assert self.full is not None
        return self.full.measure_cheap(sampler.sample("latents/evaluation/full/0", self.full.n_fake))

    def draw(self, sampler: Sampler, measured: Measured) -> dict[str, np.ndarray]:
        """Pictures of the results, by name."""
        measures, samples = self.full or self.quick, sampler.sample("latents/samples", 64)
        return pictures.draw(measures.spectrum, measured.spectrum, measures.train, samples)

    def sketch(self, measured: Measured) -> np.ndarray | None:
        """A quick picture of the spectra during training; None where images have no spectrum."""
        real, fake = self.quick.spectrum, measured.spectrum
        return None if real is None or fake is None else pictures.draw_raster(real.power, fake.power)

    def profiles(self, measured: Measured) -> dict[str, list[float]]:
        """Mean power by ring of real and of generated images, r = 0 ... side/2; empty where images have no spectrum."""
        real, fake = (self.full or self.quick).spectrum, measured.spectrum
        if real is None or fake is None:
            return {}
        return {"real": radial_profile(real.power).tolist(), "generated": radial_profile(fake.power).tolist()}

    @property
    def protocol(self) -> dict:
        """As in `result.json`: the quick one, with the other one in it as `full`."""
        return self.quick.protocol | ({"full": self.full.protocol} if self.full else {})

    @property
    def real_against_real(self) -> dict[str, float]:
        """What real images score in place of generated ones."""
        return self.quick.real_against_real | (self.full.real_against_real if self.full else {})

    @property
    def nulls(self) -> dict[str, float]:
        """What equal distributions score by formula."""
        return self.quick.nulls | (self.full.nulls if self.full else {})


def open_images(config: RunConfig) -> Split:
    """The images of a run; ConfigError where they are too few for the measures in its settings."""
    split = DATASETS[config.dataset.name](config.dataset)
    check_measured(config, len(split.train.pixels), len(split.held_out.pixels))
    return split


def prepare(config: RunConfig, split: Split, say: Callable[[str], None]) -> Measuring:
    """Everything that measuring needs before the first image is generated; ConfigError where it cannot be had.

    say: takes a line before each slow step.
    """
    try:
        return _prepare(config, split, say)
    except ConfigError:
        raise
    except ValueError as error:  # real images that are all alike, or copies of each other
        raise ConfigError(f"dataset={config.dataset.name} cannot be measured: {error}") from error


def _prepare(config: RunConfig, split: Split, say: Callable[[str], None]) -> Measuring:
    settings, train, held_out = config.metrics, split.train, split.held_out
    real = RealImages(train.pixels, held_out.pixels, train.labels, held_out.labels)
    quick_features = FEATURES[settings.features](real, say=say)
    quick = Measures("quick", [quick_features], real, Counts(settings.images, settings.neighbours))
    if not isinstance(settings, Full):
        return Measuring(quick, None)
    final = settings.final
    has_classes = train.labels is not None and len(np.unique(train.labels)) > 1
    names = final.features or [name for name in USUAL_FEATURES if has_classes or name != "classifier"]
    for name in final.mean_over or ():
        if name not in names:
            raise ConfigError(f"metrics.final.mean_over has {name}, which these images do not allow; use {names}")
    counts = Counts(final.images, final.neighbours, final.sets)
    weights = {"inception": {"weights": final.inception_weights}}
    features = [FEATURES[name](real, say=say, **final.draws.of(name), **weights.get(name, {})) for name in names]
    full = Measures("full", features, real, counts, _factor_measures(config, say), final.mean_over or ())
    return Measuring(quick, full, full.ladder(train.labels, say) if final.ladder else {})


def _factor_measures(config: RunConfig, say: Callable[[str], None]) -> dict[str, ExtraMeasures]:
    """Measures that use how the images were made: their factors, if these are known.

    They are read off the images by a network, which is trained on first use for images of this kind.
    """
    if not isinstance(config.dataset, Shapes):
        return {}
    size, channels = pair(config.dataset.size), config.dataset.channels
    table = [Factor(*factor) for factor in shapes.FACTORS[channels]]

    def render(factors: np.ndarray) -> np.ndarray:
        return shapes.render(factors, size, channels)

    def train() -> dict[str, np.ndarray]:
        say("training the read-out of factors, once for images of this kind")
        readout = train_readout(table, partial(shapes.draw_factors, _READOUT_SEED), render)
        say("  " + ", ".join(f"{name} {value:.4f}" for name, value in readout.quality.items()))
        return readout.arrays()

    def measure(pixels: np.ndarray) -> dict[str, float]:
        read = readout(pixels)
        values = marginals(read, table) | dependences(read, table) | grid_coverage(read, table)
        with contextlib.suppress(ValueError):  # a black image has no brightness to relate a residual to
            values |= residuals(pixels, render(read))
        return values

    libraries = {name: version(name) for name in ("tensorflow", "keras")}
    key = {"recipe": 1, "size": size, "channels": channels, "table": [list(factor) for factor in table], **libraries}
    readout = Readout.from_arrays(cached("readout", key, train), table)
    facts = {"quality": readout.quality, "weights": readout.digest}
    return {"factors": ExtraMeasures(measure, facts, partial(factor_nulls, table))}
