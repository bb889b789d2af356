"""What operators leave behind, on maps whose answer is known."""

import numpy as np
import pytest

from ganlab.evaluation.artifacts import phase_variance


def test_even_maps_have_none_and_known_moments_give_their_variance():
    noise = np.random.default_rng(0).normal(size=(400, 8, 8, 16))
    assert phase_variance(noise, (2, 2)) < 1e-3
    noise[:, 0::2] *= np.sqrt(2)
    noise[:, :, 0::2] *= np.sqrt(2)  # moments 4 : 2 : 2 : 1, as an untrained transposed convolution with kernel 3
    assert phase_variance(noise, (2, 2)) == pytest.approx(1.1875 / 2.25**2, rel=0.03)
    assert phase_variance(noise * 7 + 3, (2, 2)) == pytest.approx(phase_variance(noise, (2, 2)))


def test_scales_may_differ_by_axis_and_constant_maps_have_none():
    maps = np.random.default_rng(0).normal(size=(50, 8, 12, 4))
    assert phase_variance(maps, (2, 3)) < 0.01
    assert phase_variance(np.ones((2, 4, 4, 1)), (2, 2)) == 0


@pytest.mark.parametrize(
    ("maps", "words"),
    [(np.ones((2, 5, 4, 1)), "shape"), (np.ones((2, 4, 4)), "shape"), (np.full((2, 4, 4, 1), np.nan), "finite")],
)
def test_what_cannot_be_measured_is_refused(maps, words):
    with pytest.raises(ValueError, match=words):
        phase_variance(maps, (2, 2))
