"""The Frechet distance, its null and its extrapolation against values, the matrix square root and simulations."""

import itertools

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from sets import GOOD, PROPERTY, column, draws, lattice, two_sets

from ganlab.evaluation.metrics import frechet_distance, frechet_distance_extrapolated, frechet_distance_null


def slow_frechet(real, fake):
    first, second = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    shift = real.mean(axis=0) - fake.mean(axis=0)
    return shift @ shift + np.trace(first) + np.trace(second) - 2 * np.trace(scipy.linalg.sqrtm(first @ second)).real


def test_acceptance_7_frechet_distance_of_two_gaussians_on_a_line():
    half = 0.5**0.5
    assert frechet_distance(column(-half, half), column(3 - 2**0.5, 3 + 2**0.5)) == pytest.approx(10, rel=1e-12)


def test_frechet_distance_agrees_with_the_matrix_square_root():
    real, fake = two_sets()
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


@PROPERTY
@given(real=lattice(6, 2), fake=lattice(5, 2))
def test_frechet_distance_is_never_below_zero_but_for_rounding(real, fake):
    assert frechet_distance(real, fake) > -1e-12


# Nulls: what equal distributions give.


def test_frechet_null_is_the_mean_over_equal_gaussians():
    distances = np.array([frechet_distance(a, b) for a, b in draws(250, 600, 400, width=10)])
    everything = next(draws(1, 20_000, width=10))[0]
    assert 3 * distances.std() / 250**0.5 < 0.05 * distances.mean()  # else the next line could not fail
    assert distances.mean() == pytest.approx(frechet_distance_null(everything, 600, 400), rel=0.05)


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


@pytest.mark.parametrize("kind", ["uniform", "two points", "heavy"])
def test_null_of_other_distributions_is_the_mean_with_their_fourth_moments(kind):
    """Light tails lower it, by a fifth for two points; heavy ones raise it."""
    rng = np.random.default_rng(0)
    draw = {
        "uniform": lambda n: rng.uniform(-1, 1, size=(n, 4)),
        "two points": lambda n: rng.choice([-1.0, 1.0], size=(n, 4)),
        "heavy": lambda n: rng.laplace(size=(n, 4)) ** 3 / 10,
    }[kind]
    many = draw(200_000) if kind == "heavy" else draw(20_000)
    own, normal = (frechet_distance_null(many, 2000, 1000, gaussian=g) for g in (False, True))
    if kind != "heavy":
        distances = np.array([frechet_distance(draw(2000), draw(1000)) for _ in range(300)])
        assert 3 * distances.std() / 300**0.5 < 0.11 * distances.mean()
        assert distances.mean() == pytest.approx(own, abs=3 * distances.std() / 300**0.5)
        assert own < 0.93 * normal
    else:
        assert own > 1.5 * normal


def test_null_with_fourth_moments_by_hand():
    """Plus and minus a: the square does not vary, so only the mean moves, variance a^2 for each image."""
    two_points = column(-3, 3)
    variance = 18  # unbiased: (9 + 9) / 1
    null = frechet_distance_null(two_points, 10, 40, gaussian=False)
    assert null == pytest.approx((1 / 10 + 1 / 40) * (variance + 0.5 * (81 - variance**2) / (2 * variance)), rel=1e-12)
    assert frechet_distance_null(np.full((4, 3), 0.5), 10, 40, gaussian=False) == 0


# Extrapolation.


def test_extrapolation_finds_the_distance_that_finite_sets_hide():
    """Two Gaussians 1 apart, in 20 dimensions: at 300 images the bias is the larger part."""
    rng = np.random.default_rng(0)
    shift = np.eye(20)[0]
    pairs = [(rng.normal(size=(300, 20)), rng.normal(size=(300, 20)) + shift) for _ in range(30)]
    plain = np.array([frechet_distance(*sets) for sets in pairs])
    distances = np.array([frechet_distance_extrapolated(*sets).value for sets in pairs])
    assert plain.mean() > 1.7
    assert distances.mean() == pytest.approx(1, abs=0.1)
    assert distances.std() < 0.25


def test_the_slope_is_the_null_for_one_image_of_each():
    """Each 1/N adds the null's bracket twice, once for each set."""
    rng = np.random.default_rng(1)
    nulls = [frechet_distance_extrapolated(*rng.normal(size=(2, 800, 8))).slope for _ in range(20)]
    assert np.mean(nulls) == pytest.approx(2 * (8 + 8 * 9 / 4), rel=0.1)


def test_extrapolation_is_a_line_through_means_over_disjoint_parts():
    """Of sets whose images do not differ, parts have the distance of the whole, and the line is flat."""
    real, fake = np.zeros((40, 2)), np.ones((50, 2))
    value, slope = frechet_distance_extrapolated(real, fake)
    assert value == pytest.approx(2, rel=1e-12)
    assert slope == pytest.approx(0, abs=1e-9)


def test_extrapolation_agrees_with_its_description():
    """Of 53 and 41 images: twelve sizes from 10 to 41, in as many parts as the 41 fill."""
    rng = np.random.default_rng(3)
    real, fake = (rng.permutation(images) for images in two_sets())
    sizes = [10, 13, 15, 18, 21, 24, 27, 29, 32, 35, 38, 41]
    means = []
    for size in sizes:
        starts = range(0, size * (41 // size), size)
        means.append(np.mean([slow_frechet(real[n : n + size], fake[n : n + size]) for n in starts]))
    (value, slope), *_ = np.linalg.lstsq(np.column_stack([np.ones(12), 1 / np.array(sizes)]), means)
    assert frechet_distance_extrapolated(*two_sets(), seed=3) == pytest.approx((value, slope), rel=1e-9)


def test_the_seed_decides_the_order():
    real, fake = two_sets()
    first, again, other = (frechet_distance_extrapolated(real, fake, seed=seed) for seed in (0, 0, 1))
    assert first == again != other


def test_an_extrapolation_needs_twenty_images():
    with pytest.raises(ValueError, match=r"^real has 7 images; give at least 20"):
        frechet_distance_extrapolated(GOOD[:7], GOOD)


def test_counts_of_the_null_are_checked():
    with pytest.raises(ValueError, match=r"^n_real=1 is too small; use at least 2"):
        frechet_distance_null(GOOD, 1, 10)
    with pytest.raises(ValueError, match=r"^n_fake=2\.5 is not a whole number"):
        frechet_distance_null(GOOD, 10, 2.5)  # pyright: ignore[reportArgumentType]
