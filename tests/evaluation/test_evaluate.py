"""The protocol of a run's measures: counts, floors, and that it tells good images from bad."""

import numpy as np
import pytest

from ganlab.config import Digits
from ganlab.data.sources import digits
from ganlab.evaluation.evaluate import Measures, pixel_features
from ganlab.evaluation.metrics import frechet_distance


@pytest.fixture(scope="module")
def split():
    return digits(Digits(name="digits", size=8, channels=1, held_out=0.2))


@pytest.fixture
def measures(split, settings):
    return Measures(settings().metrics, split.held_out.pixels, split.train.pixels)


def test_the_protocol_says_what_was_compared(measures, split):
    protocol = measures.protocol
    assert (protocol.n_real, protocol.n_fake, protocol.n_equal) == (359, 1438, 359)
    assert measures(split.train.pixels)["frechet_distance"] == pytest.approx(
        frechet_distance(pixel_features(split.held_out.pixels), pixel_features(split.train.pixels))
    )


def test_real_images_are_the_floor_and_noise_is_far_from_it(measures, split):
    floor = measures.real_against_real
    assert floor["coverage"] == pytest.approx(measures.nulls["coverage"], abs=0.06)
    assert floor["density"] == pytest.approx(1, abs=0.15)
    noise = np.random.default_rng(0).integers(0, 256, (1438, 8, 8, 1), np.uint8)
    bad = measures(noise)
    assert bad["frechet_distance"] > 20 * floor["frechet_distance"]
    assert bad["precision"] < 0.05
    assert bad["coverage"] < 0.05
    copies = measures(np.repeat(split.train.pixels[:10], 144, axis=0)[:1438])  # ten images again and again
    assert copies["coverage"] < 0.5
    assert copies["precision"] > 0.7


def test_another_protocol_has_another_hash(measures, split, settings):
    other = Measures(settings("metrics.images=200").metrics, split.held_out.pixels, split.train.pixels)
    assert (other.protocol.n_real, other.protocol.n_fake) == (200, 200)
    assert other.protocol.hash != measures.protocol.hash
