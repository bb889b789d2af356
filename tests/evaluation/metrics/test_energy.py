"""The energy distance against loops, a closed form and simulations."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from sets import PROPERTY, column, draws, lattice, two_sets

from ganlab.evaluation.metrics import energy_distance


def slow_energy(real, fake):
    def mean(left, right):
        return np.mean([np.sqrt(np.sum((x - y) ** 2)) for x in left for y in right])

    n, m = len(real), len(fake)
    return 2 * mean(real, fake) - mean(real, real) * n / (n - 1) - mean(fake, fake) * m / (m - 1)


def test_energy_distance_by_hand():
    """Across 1, 3, 0, 2, the mean 1.5; within each set one pair, 1 and 2 apart."""
    assert energy_distance(column(0, 1), column(1, 3)) == pytest.approx(2 * 1.5 - 1 - 2, abs=1e-12)
    assert energy_distance(column(0, 1), column(0, 1)) == pytest.approx(-1, rel=1e-12)


def test_energy_distance_agrees_with_loops():
    assert energy_distance(*two_sets()) == pytest.approx(slow_energy(*two_sets()), rel=1e-10)


def test_energy_distance_on_a_line_agrees_with_scipy():
    """SciPy's counts an image with itself, and takes the root."""
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=40), rng.normal(1, 2, size=30)
    within = sum(np.abs(x[:, None] - x).sum() * (1 / n**2 - 1 / (n * (n - 1))) for n, x in ((40, real), (30, fake)))
    expected = scipy.stats.energy_distance(real, fake) ** 2 + within
    assert energy_distance(real[:, None], fake[:, None]) == pytest.approx(expected, rel=1e-10)


def test_energy_distance_of_equal_gaussians_is_zero_on_average():
    distances = np.array([energy_distance(a, b) for a, b in draws(400, 40, 30, width=3)])
    assert abs(distances.mean()) < 3 * distances.std() / 20
    assert 3 * distances.std() / 20 < 0.03  # counting an image against itself would add 0.15
    assert (distances < 0).any()


def test_energy_distance_sees_what_moments_miss():
    """Plus and minus one against a Gaussian and a third of the time 0: equal mean, covariance and third moments."""
    rng = np.random.default_rng(0)
    assert energy_distance(rng.choice([-1.0, 1.0], size=(500, 1)), rng.normal(size=(500, 1))) > 0.1


@PROPERTY
@given(real=lattice(8, 3), fake=lattice(7, 3), shift=lattice(1, 3, largest=10**6))
def test_energy_distance_is_symmetric_and_has_no_origin(real, fake, shift):
    expected = energy_distance(real, fake)
    assert energy_distance(fake, real) == pytest.approx(expected, rel=1e-9, abs=1e-6)
    assert energy_distance(real + shift, fake + shift) == pytest.approx(expected, rel=1e-9, abs=1e-6)
    assert energy_distance(2 * real, 2 * fake) == pytest.approx(2 * expected, rel=1e-9, abs=1e-6)


def test_copies_far_from_the_origin_are_at_no_distance():
    here = np.full((5, 3), 1e8)
    assert energy_distance(here, here + 1e4) == pytest.approx(2 * 3**0.5 * 1e4, rel=1e-9)
