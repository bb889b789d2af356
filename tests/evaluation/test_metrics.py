"""Distances and overlaps against values, sums by hand and simulations that share no code with them."""

import itertools
import tracemalloc

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ganlab.evaluation import metrics
from ganlab.evaluation.metrics import (
    coverage_null,
    frechet_distance,
    frechet_distance_null,
    kernel_distance,
    precision_recall_density_coverage,
)

DISTANCES = [frechet_distance, kernel_distance, precision_recall_density_coverage]


def column(*values):
    return np.array(values, dtype=float)[:, None]


def lattice(rows, columns, largest=3):
    """Points with whole coordinates: many ties and copies, and arithmetic without rounding."""
    return arrays(np.int64, (rows, columns), elements=st.integers(-largest, largest))


@pytest.fixture
def two_sets():
    rng = np.random.default_rng(7)
    mix = rng.normal(size=(6, 6))
    return rng.normal(size=(53, 6)) @ mix, rng.normal(size=(41, 6)) @ mix * 1.2 + 0.3


# Slow twins: the definitions, written as loops.


def slow_frechet(real, fake):
    first, second = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    shift = real.mean(axis=0) - fake.mean(axis=0)
    return shift @ shift + np.trace(first) + np.trace(second) - 2 * np.trace(scipy.linalg.sqrtm(first @ second)).real


def slow_kernel(real, fake):
    def k(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3

    def within(points):
        return np.mean([k(x, y) for i, x in enumerate(points) for j, y in enumerate(points) if i != j])

    return within(real) + within(fake) - 2 * np.mean([k(x, y) for x in real for y in fake])


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


# Acceptance values, worked by hand or published.


def test_acceptance_7_frechet_distance_of_two_gaussians_on_a_line():
    half = 0.5**0.5
    assert frechet_distance(column(-half, half), column(3 - 2**0.5, 3 + 2**0.5)) == pytest.approx(10, rel=1e-12)


def test_acceptance_8_kernel_distance_of_two_points():
    assert kernel_distance(column(0, 1), column(0, 1)) == pytest.approx(-3.5, rel=1e-12)
    assert kernel_distance(column(0, 1), column(1, 2)) == pytest.approx(9.5, rel=1e-12)


def test_acceptance_9_one_stray_fake_inflates_recall():
    overlaps = precision_recall_density_coverage(column(0, 1, 2, 3), column(0.5, 10), k=1)
    assert overlaps == (0.5, 1, 1, 0.5)
    assert overlaps._fields == ("precision", "recall", "density", "coverage")


# Two routes agree.


def test_frechet_distance_agrees_with_the_matrix_square_root(two_sets):
    real, fake = two_sets
    assert frechet_distance(real, fake) == pytest.approx(slow_frechet(real, fake), rel=1e-10)
    assert frechet_distance(fake, real) == pytest.approx(slow_frechet(real, fake), rel=1e-10)


def test_frechet_distance_of_flat_sets_has_no_rounding_floor():
    """Roots of eigenvalues that should be 0 leave about 1e-8 for each empty direction; singular values do not."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=(30, 5)) @ rng.normal(size=(5, 40))  # 30 images of 40 features fill 5 directions
    variance = np.trace(np.cov(real, rowvar=False))
    assert abs(frechet_distance(real, real)) < 1e-13 * variance
    assert frechet_distance(real, real + 2) == pytest.approx(160, rel=1e-12)
    assert frechet_distance(real, 3 * real - 2 * real.mean(axis=0)) == pytest.approx(4 * variance, rel=1e-12)


def test_kernel_distance_agrees_with_loops(two_sets):
    assert kernel_distance(*two_sets) == pytest.approx(slow_kernel(*two_sets), rel=1e-10)


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


@settings(max_examples=60, deadline=None)
@given(real=lattice(9, 2), fake=lattice(7, 2), k=st.integers(1, 6), offset=st.sampled_from([0, 1, 10**6, 10**12]))
def test_overlaps_agree_with_whole_numbers_through_ties_and_copies(real, fake, k, offset):
    assert precision_recall_density_coverage(real + offset, fake + offset, k) == slow_overlaps(real, fake, k)


def test_overlaps_agree_with_loops_between_far_clusters():
    """Centring cannot help here: the products are 1e18 times as large as the distances that decide."""
    rng = np.random.default_rng(1)
    places = rng.integers(-20, 20, size=(60, 3)) + 10**9 * rng.integers(0, 2, size=(60, 1))
    real, fake = places[:35], places[35:]
    assert precision_recall_density_coverage(real, fake, 3) == slow_overlaps(real, fake, 3)


def test_far_from_the_origin_a_fast_path_still_decides(monkeypatch):
    """Centring changes the cost alone: only each image's own k neighbours are measured coordinate by coordinate."""
    measured = []
    cdist = metrics.cdist
    monkeypatch.setattr(metrics, "cdist", lambda x, y, metric: measured.append(len(y)) or cdist(x, y, metric))
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


def test_blocks_of_any_size_give_the_same_result(two_sets, monkeypatch):
    whole = [distance(*two_sets) for distance in DISTANCES]
    for side in (1, 7, 41):
        monkeypatch.setattr(metrics, "_SIDE", side)
        parts = [distance(*two_sets) for distance in DISTANCES]
        assert parts[1] == pytest.approx(whole[1], rel=1e-11)
        assert parts[2] == whole[2]


@pytest.mark.parametrize("distance", [kernel_distance, precision_recall_density_coverage])
def test_the_whole_matrix_of_pairs_is_never_held(distance, monkeypatch):
    monkeypatch.setattr(metrics, "_SIDE", 128)
    real = np.random.default_rng(0).normal(size=(1500, 2))
    tracemalloc.start()
    distance(real, real + 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1500 * 1500 * 8 / 6


# Properties.

PROPERTY = settings(max_examples=40, deadline=None)


@PROPERTY
@given(real=lattice(8, 3), fake=lattice(7, 3), shift=lattice(1, 3, largest=1000))
def test_a_common_shift_changes_neither_frechet_distance_nor_overlaps(real, fake, shift):
    moved = frechet_distance(real + shift, fake + shift)
    assert moved == pytest.approx(frechet_distance(real, fake), rel=1e-9, abs=1e-9)
    here, there = ((real + s, fake + s, 2) for s in (0, shift))
    assert precision_recall_density_coverage(*here) == precision_recall_density_coverage(*there)


@PROPERTY
@given(real=lattice(8, 3), fake=lattice(7, 3), order=st.permutations(range(7)))
def test_the_order_of_images_does_not_matter(real, fake, order):
    for distance in (frechet_distance, kernel_distance):
        plain, shuffled = distance(real, fake), distance(real[::-1], fake[order])
        assert shuffled == pytest.approx(plain, rel=1e-9, abs=1e-9)
    plain, shuffled = ((real[::s], fake[o], 2) for s, o in ((1, range(7)), (-1, order)))
    assert precision_recall_density_coverage(*plain) == precision_recall_density_coverage(*shuffled)


@PROPERTY
@given(real=lattice(8, 3), fake=lattice(7, 3))
def test_exchanging_the_sets_keeps_distances_and_swaps_precision_with_recall(real, fake):
    for distance in (frechet_distance, kernel_distance):
        assert distance(fake, real) == pytest.approx(distance(real, fake), rel=1e-9, abs=1e-9)
    there = precision_recall_density_coverage(real, fake, 2)
    back = precision_recall_density_coverage(fake, real, 2)
    assert (there.precision, there.recall) == (back.recall, back.precision)


@PROPERTY
@given(real=lattice(6, 2), fake=lattice(5, 2))
def test_frechet_distance_is_never_below_zero_but_for_rounding(real, fake):
    assert frechet_distance(real, fake) > -1e-12


def test_inputs_stay_as_they_are_and_any_real_type_will_do(two_sets):
    real, fake = two_sets
    before = real.copy(), fake.copy()
    for distance in DISTANCES:
        expected = distance(real.astype(np.float32).astype(float), fake.astype(np.float32).astype(float))
        assert distance(real.astype(np.float32), fake.astype(np.float32)) == expected
        assert distance(real.tolist(), np.asfortranarray(fake)) == distance(real, fake)
    np.testing.assert_array_equal(before[0], real)
    np.testing.assert_array_equal(before[1], fake)


# Nulls: what equal distributions give.


def draws(times, *counts, width):
    rng = np.random.default_rng(11)
    scale = np.linspace(0.5, 2, width)
    for _ in range(times):
        yield tuple(rng.normal(size=(count, width)) * scale for count in counts)


def test_frechet_null_is_the_mean_over_equal_gaussians():
    seen = np.array([frechet_distance(a, b) for a, b in draws(250, 600, 400, width=10)])
    everything = next(draws(1, 20_000, width=10))[0]
    assert 3 * seen.std() / 250**0.5 < 0.05 * seen.mean()  # else the next line could not fail
    assert seen.mean() == pytest.approx(frechet_distance_null(everything, 600, 400), rel=0.05)


def test_frechet_null_of_isotropic_features_has_a_closed_form():
    white = np.vstack([np.eye(5), -np.eye(5)]) * (9 / 2) ** 0.5 * 3  # covariance 9 I, exactly
    assert frechet_distance_null(white, 50, 200) == pytest.approx((1 / 50 + 1 / 200) * 9 * (5 + 5 * 6 / 4), rel=1e-12)


def test_frechet_null_agrees_with_its_formula_and_leaves_out_empty_directions():
    real = np.random.default_rng(5).normal(size=(30, 3)) @ np.diag([1, 2, 5])
    values = np.linalg.eigvalsh(np.cov(real, rowvar=False))
    total = sum(values)
    for (i, a), (j, b) in itertools.product(enumerate(values), repeat=2):
        total += 0.5 * a * b * (1 + (i == j)) / (a + b)
    wider = np.hstack([real, np.full((30, 2), 0.1)])
    for given_images in (real, wider):
        assert frechet_distance_null(given_images, 10, 40) == pytest.approx(total * (1 / 10 + 1 / 40), rel=1e-10)
    assert frechet_distance_null(np.full((4, 3), 0.5), 10, 40) == 0


def test_kernel_distance_of_equal_gaussians_is_zero_on_average():
    seen = np.array([kernel_distance(a, b) for a, b in draws(400, 40, 30, width=3)])
    assert abs(seen.mean()) < 3 * seen.std() / 20
    assert 3 * seen.std() / 20 < 1  # counting an image against itself would add more than 2
    assert (seen < 0).any()


def test_coverage_and_density_nulls_are_the_means_over_equal_gaussians():
    seen = [precision_recall_density_coverage(a, b, 3) for a, b in draws(400, 30, 20, width=2)]
    coverage, density = np.array([s.coverage for s in seen]), np.array([s.density for s in seen])
    assert coverage.mean() == pytest.approx(coverage_null(30, 20, 3), rel=0.02)
    assert density.mean() == pytest.approx(1, rel=0.04)


def test_coverage_null_counts_arrangements():
    """Around a real image the others come in any order: it is missed when the first k are all real."""
    for n, m, k in [(4, 3, 1), (4, 3, 2), (5, 2, 3)]:
        orders = set(itertools.permutations("r" * (n - 1) + "f" * m))
        missed = sum(order[:k] == ("r",) * k for order in orders)
        assert coverage_null(n, m, k) == pytest.approx(1 - missed / len(orders), rel=1e-12)
    assert coverage_null(10**6, 10**6, 5) == pytest.approx(1 - 2**-5, rel=1e-6)


# Bad input: one line that begins with the argument.

GOOD = np.arange(14.0).reshape(7, 2) ** 2


def with_value(value):
    bad = GOOD.copy()
    bad[4, 1] = value
    return bad


BAD_FEATURES = [
    (GOOD[:, 0], r" has shape \(7,\); give features \[N, D\]"),
    (GOOD[None], r" has shape \(1, 7, 2\); give features"),
    (GOOD[:0], r" has shape \(0, 2\) and is empty"),
    (GOOD[:, :0], r" has shape \(7, 0\) and is empty"),
    ([[1.0, 2.0], [3.0]], r" has rows of different widths"),
    (GOOD.astype(complex), r" holds complex128; give real numbers"),
    (GOOD.astype(str), r" holds <U32; give real numbers"),
    (with_value(np.nan), r"\[4, 1\]=nan cannot be measured; values must be finite"),
    (with_value(-np.inf), r"\[4, 1\]=-inf cannot be measured; values must be finite"),
    (with_value(1e60), r"\[4, 1\]=1e\+60 cannot be measured; values must be finite, at most 1e\+45"),
]


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(("bad", "message"), BAD_FEATURES)
def test_bad_features_are_refused_by_name(distance, bad, message):
    with pytest.raises(ValueError, match="^real" + message):
        distance(bad, GOOD)
    with pytest.raises(ValueError, match="^fake" + message):
        distance(GOOD, bad)
    with pytest.raises(ValueError, match="^real" + message):
        frechet_distance_null(bad, 10, 10)


@pytest.mark.parametrize("distance", DISTANCES)
def test_sets_of_different_width_are_refused(distance):
    with pytest.raises(ValueError, match=r"^fake has 1 features an image, real has 2"):
        distance(GOOD, GOOD[:, :1])


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_single_images_are_refused(distance):
    with pytest.raises(ValueError, match=r"^real has 1 images; give at least 2"):
        distance(GOOD[:1], GOOD)
    with pytest.raises(ValueError, match=r"^fake has 1 images; give at least 2"):
        distance(GOOD, GOOD[:1])


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


def test_counts_of_the_nulls_are_checked():
    with pytest.raises(ValueError, match=r"^n_real=1 is too small; use at least 2"):
        frechet_distance_null(GOOD, 1, 10)
    with pytest.raises(ValueError, match=r"^n_fake=2\.5 is not a whole number"):
        frechet_distance_null(GOOD, 10, 2.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"^n_real=5 is too small; use at least 6"):
        coverage_null(5, 10, 5)
    with pytest.raises(ValueError, match=r"^n_fake=0 is too small; use at least 1"):
        coverage_null(10, 0, 5)


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_largest_values_allowed_give_finite_results(distance):
    large = GOOD / GOOD.max() * 1e45
    assert np.isfinite(distance(large, -large)).all()
