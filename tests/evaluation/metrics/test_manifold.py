"""Precision, recall, density and coverage against values, whole numbers, loops and simulations."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sets import GOOD, column, draws, has_balls, lattice

from ganlab.evaluation.metrics import coverage_null, pairs, precision_recall_density_coverage


def slow_overlaps(real, fake, k):
    """On whole numbers Python's integers keep every comparison exact, whatever the offset."""
    real, fake = real.tolist(), fake.tolist()

    def squared(x, y):
        return sum((a - b) ** 2 for a, b in zip(x, y, strict=True))

    def radii(points):
        return [sorted(squared(x, y) for j, y in enumerate(points) if j != i)[k - 1] for i, x in enumerate(points)]

    real_radii, fake_radii = radii(real), radii(fake)
    holds = [[squared(x, y) < radius for y in fake] for x, radius in zip(real, real_radii, strict=True)]
    met = [any(squared(x, y) < radius for y, radius in zip(fake, fake_radii, strict=True)) for x in real]
    precision = np.mean([any(line[j] for line in holds) for j in range(len(fake))])
    return precision, np.mean(met), np.sum(holds) / (k * len(fake)), np.mean([any(line) for line in holds])


def test_acceptance_9_one_stray_fake_inflates_recall():
    overlaps = precision_recall_density_coverage(column(0, 1, 2, 3), column(0.5, 10), k=1)
    assert overlaps == (0.5, 1, 1, 0.5)
    assert overlaps._fields == ("precision", "recall", "density", "coverage")


@settings(max_examples=60, deadline=None)
@given(real=lattice(9, 2), fake=lattice(7, 2), k=st.integers(1, 6), offset=st.sampled_from([0, 1, 10**6, 10**12]))
def test_overlaps_agree_with_whole_numbers_through_ties_and_copies(real, fake, k, offset):
    assume(has_balls(real, k))
    assert precision_recall_density_coverage(real + offset, fake + offset, k) == slow_overlaps(real, fake, k)


def test_overlaps_agree_with_loops_between_far_clusters():
    """Centring cannot help here: the products are 1e18 times as large as the distances that decide."""
    rng = np.random.default_rng(1)
    places = rng.integers(-20, 20, size=(60, 3)) + 10**9 * rng.integers(0, 2, size=(60, 1))
    real, fake = places[:35], places[35:]
    assert precision_recall_density_coverage(real, fake, 3) == slow_overlaps(real, fake, 3)


def test_far_from_the_origin_a_fast_path_still_decides(monkeypatch):
    """Centring changes the cost alone: few pairs but each image's own k neighbours are measured by coordinates."""
    measured = []
    exact = pairs.exact_squares
    monkeypatch.setattr(pairs, "exact_squares", lambda x, y: measured.append(len(x)) or exact(x, y))
    images = np.random.default_rng(4).normal(size=(120, 4)) + 1e7
    precision_recall_density_coverage(images[:60], images[60:], k=5)
    assert sum(measured) < 1.05 * 120 * 5


def test_a_perfect_copy_has_density_one_and_is_covered():
    """Each fake neighbour lies exactly on a border, where only strict membership gives k per ball."""
    real = np.random.default_rng(2).normal(size=(80, 5))
    for k in (1, 5):
        assert precision_recall_density_coverage(real, real[::-1], k) == (1, 1, 1, 1)


def test_balls_of_copied_images_are_empty():
    real = np.array([[0.1, 0.7]] * 3 + [[5.0, 5.0]])
    assert precision_recall_density_coverage(real, real[:3], k=2) == (0, 0, 0, 0)


def test_real_sets_without_any_ball_are_refused_and_collapsed_fakes_are_measured():
    real = np.random.default_rng(0).normal(size=(30, 3))
    with pytest.raises(ValueError, match=r"^real has 2 copies of each of its images"):
        precision_recall_density_coverage(np.repeat(real, 3, axis=0), real, k=2)
    with pytest.raises(ValueError, match=r"^real has 5 copies of each"):
        precision_recall_density_coverage(np.ones((30, 3)), real)
    collapsed = precision_recall_density_coverage(real, np.tile(real[:1], (30, 1)))
    assert collapsed.precision == 1
    assert collapsed.recall == 0
    assert 0 < collapsed.coverage < 1


def test_collapsed_sets_cost_no_more_than_others(monkeypatch):
    """Where all distances are equal, all pairs are near ties; only the first block of each row needs measuring."""
    measured = []
    exact = pairs.exact_squares
    monkeypatch.setattr(pairs, "SIDE", 20)
    monkeypatch.setattr(pairs, "exact_squares", lambda x, y: measured.append(len(x)) or exact(x, y))
    real = np.random.default_rng(4).normal(size=(400, 3))
    precision_recall_density_coverage(real, np.full((400, 3), 0.1))
    assert sum(measured) < 0.2 * 400 * 400


@settings(max_examples=60, deadline=None)
@given(left=lattice(9, 2), right=lattice(8, 2), k=st.integers(1, 7), side=st.sampled_from([1, 3, 1024]))
def test_neighbours_are_those_of_a_full_sort(left, right, k, side):
    """Ties stand in the order of their places, whatever the blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "SIDE", side)
        first, second = pairs.prepare(left.astype(float), right.astype(float))
        squares, places = pairs.neighbours(first, second, k)
        own, _ = pairs.neighbours(second, second, k, own=True)
    every = ((left[:, None] - right) ** 2).sum(axis=2)
    order = np.argsort(every, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(places, order)
    np.testing.assert_array_equal(squares, np.take_along_axis(every, order, axis=1))
    others = ((right[:, None] - right) ** 2).sum(axis=2)[~np.eye(8, dtype=bool)].reshape(8, 7)
    np.testing.assert_array_equal(own, np.sort(others, axis=1)[:, :k])


def test_a_distance_has_the_same_bits_wherever_it_stands():
    rng = np.random.default_rng(0)
    for width in (1, 3, 8, 61, 64, 200):
        left, right = rng.normal(size=(2, 57, width))
        whole = pairs.exact_squares(left, right)
        np.testing.assert_array_equal(whole, pairs.exact_squares(right, left))
        for start in (1, 5, 56):
            np.testing.assert_array_equal(whole[start:], pairs.exact_squares(left[start:], right[start:]))


def test_coverage_and_density_nulls_are_the_means_over_equal_gaussians():
    results = [precision_recall_density_coverage(a, b, 3) for a, b in draws(400, 30, 20, width=2)]
    coverage, density = np.array([s.coverage for s in results]), np.array([s.density for s in results])
    assert coverage.mean() == pytest.approx(coverage_null(30, 20, 3), rel=0.02)
    assert density.mean() == pytest.approx(1, rel=0.04)


def test_coverage_null_counts_arrangements():
    """Around a real image the others come in any order: it is missed when the first k are all real."""
    for n, m, k in [(4, 3, 1), (4, 3, 2), (5, 2, 3)]:
        orders = set(itertools.permutations("r" * (n - 1) + "f" * m))
        missed = sum(order[:k] == ("r",) * k for order in orders)
        assert coverage_null(n, m, k) == pytest.approx(1 - missed / len(orders), rel=1e-12)
    assert coverage_null(10**6, 10**6, 5) == pytest.approx(1 - 2**-5, rel=1e-6)


def test_fewer_images_than_neighbours_are_refused():
    with pytest.raises(ValueError, match=r"^real has 5 images, too few for k=5 neighbours; give at least 6"):
        precision_recall_density_coverage(GOOD[:5], GOOD)
    with pytest.raises(ValueError, match=r"^fake has 3 images, too few for k=3 neighbours; give at least 4"):
        precision_recall_density_coverage(GOOD, GOOD[:3], k=3)
    precision_recall_density_coverage(GOOD[:4], GOOD[:4], k=3)


@pytest.mark.parametrize(("k", "message"), [(0, "k=0 is too small"), (2.0, "k=2.0 is not"), (True, "k=True is not")])
def test_neighbours_are_a_whole_number_above_zero(k, message):
    with pytest.raises(ValueError, match="^" + message):
        precision_recall_density_coverage(GOOD, GOOD, k)
    with pytest.raises(ValueError, match="^" + message):
        coverage_null(10, 10, k)


def test_counts_of_the_coverage_null_are_checked():
    with pytest.raises(ValueError, match=r"^n_real=5 is too small; use at least 6"):
        coverage_null(5, 10, 5)
    with pytest.raises(ValueError, match=r"^n_fake=0 is too small; use at least 1"):
        coverage_null(10, 0, 5)
