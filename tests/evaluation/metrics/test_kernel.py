"""The kernel distance and its standard error against values, loops and simulations."""

import numpy as np
import pytest
from sets import column, draws, two_sets

from ganlab.evaluation.metrics import kernel_distance, kernel_distance_error


def slow_kernel(real, fake):
    def k(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3

    def within(points):
        return np.mean([k(x, y) for i, x in enumerate(points) for j, y in enumerate(points) if i != j])

    return within(real) + within(fake) - 2 * np.mean([k(x, y) for x in real for y in fake])


def test_acceptance_8_kernel_distance_of_two_points():
    assert kernel_distance(column(0, 1), column(0, 1)) == pytest.approx(-3.5, rel=1e-12)
    assert kernel_distance(column(0, 1), column(1, 2)) == pytest.approx(9.5, rel=1e-12)


def test_kernel_distance_agrees_with_loops():
    assert kernel_distance(*two_sets()) == pytest.approx(slow_kernel(*two_sets()), rel=1e-10)


def test_kernel_distance_on_a_line_is_a_sum_over_three_moments():
    rng = np.random.default_rng(3)
    real, fake = rng.normal(size=31), rng.normal(0.5, size=23)
    moments = [[np.mean(x**power) for power in (1, 2, 3)] for x in (real, fake)]
    total = 0.0
    for x, (one, two, three) in zip((real, fake), moments, strict=True):
        everything = len(x) ** 2 * (1 + 3 * one**2 + 3 * two**2 + three**2)
        total += (everything - np.sum((x**2 + 1) ** 3)) / (len(x) * (len(x) - 1))
    (a, b, c), (d, e, f) = moments
    total -= 2 * (1 + 3 * a * d + 3 * b * e + c * f)
    assert kernel_distance(real[:, None], fake[:, None]) == pytest.approx(total, rel=1e-10)


def test_kernel_distance_of_equal_gaussians_is_zero_on_average():
    distances = np.array([kernel_distance(a, b) for a, b in draws(400, 40, 30, width=3)])
    assert abs(distances.mean()) < 3 * distances.std() / 20
    assert 3 * distances.std() / 20 < 1  # counting an image against itself would add more than 2
    assert (distances < 0).any()


# The standard error.


@pytest.mark.parametrize("shift", [0, 0.3, 1])
def test_the_error_is_the_std_over_draws(shift):
    """From equal sets, where only pairs make it vary, to far ones, where each image does: 0.9 to 1.3 of the truth."""
    rng = np.random.default_rng(0)
    sets = [(rng.normal(size=(80, 4)), rng.normal(size=(60, 4)) + shift) for _ in range(300)]
    std = np.std([kernel_distance(*each) for each in sets], ddof=1)
    error = np.sqrt(np.mean([kernel_distance_error(*each) ** 2 for each in sets]))
    assert 0.9 < error / std < 1.3


def test_the_error_agrees_with_variances_taken_from_whole_matrices():
    real, fake = two_sets()
    n, m = len(real), len(fake)
    k = {name: (x @ y.T / 6 + 1) ** 3 for name, x, y in (("rr", real, real), ("ff", fake, fake), ("rf", real, fake))}
    variance, means = {}, {}
    for name, size in (("rr", n), ("ff", m)):
        apart = ~np.eye(size, dtype=bool)
        means[name] = np.array([row[others].mean() for row, others in zip(k[name], apart, strict=True)])
        variance[name] = (k[name][apart].var() - 2 * means[name].var()) * (size - 1) / (size - 3)
    rows, columns = k["rf"].mean(axis=1), k["rf"].mean(axis=0)
    residual = k["rf"] - rows[:, None] - columns + k["rf"].mean()
    variance["rf"] = np.mean(residual**2)
    pairs = 2 * variance["rr"] / (n * (n - 1)) + 2 * variance["ff"] / (m * (m - 1)) + 4 * variance["rf"] / (n * m)
    linear = ((means["rr"] - rows).var(ddof=1) - variance["rr"] / n - variance["rf"] / m) / n
    linear += ((means["ff"] - columns).var(ddof=1) - variance["ff"] / m - variance["rf"] / n) / m
    assert linear > 0
    assert kernel_distance_error(real, fake) == pytest.approx(np.sqrt(4 * linear + pairs), rel=1e-9)


def test_the_error_falls_as_the_root_of_the_count_for_unequal_sets():
    rng = np.random.default_rng(0)
    small, large = (kernel_distance_error(rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + 1) for n in (100, 1600))
    assert small / large == pytest.approx(4, rel=0.3)


def test_sets_without_variation_have_no_error_and_three_images_are_too_few():
    assert kernel_distance_error(np.ones((5, 2)), np.full((6, 2), 3.0)) == pytest.approx(0, abs=1e-4)
    with pytest.raises(ValueError, match=r"^fake has 3 images; give at least 4"):
        kernel_distance_error(np.eye(4), np.eye(4)[:3])
