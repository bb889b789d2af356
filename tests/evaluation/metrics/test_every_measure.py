"""What holds for every measure: blocks, memory, order, symmetry, and what it refuses."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sets import GOOD, PROPERTY, has_balls, lattice, two_sets, with_value

from ganlab.evaluation.metrics import (
    classifier_score,
    copying,
    data_copying,
    energy_distance,
    frechet_distance,
    frechet_distance_extrapolated,
    frechet_distance_null,
    kernel_distance,
    kernel_distance_error,
    nearest,
    pairs,
    precision_recall_density_coverage,
    sliced_wasserstein,
)


def overlaps(real, fake):
    """With few neighbours, for sets of seven."""
    return precision_recall_density_coverage(real, fake, k=2)


DISTANCES = [
    frechet_distance,
    kernel_distance,
    kernel_distance_error,
    energy_distance,
    overlaps,
]
ARGUMENTS = {
    **dict.fromkeys([*DISTANCES, sliced_wasserstein, frechet_distance_extrapolated], ("real", "fake")),
    nearest: ("images", "others"),
    data_copying: ("train", "held_out", "fake"),
    copying: ("train", "held_out", "fake"),
}


def sets_with_ties():
    rng = np.random.default_rng(0)
    return rng.integers(-3, 4, (53, 2)).astype(float), rng.integers(-3, 4, (41, 2)).astype(float)


@pytest.mark.parametrize("sets", [two_sets, sets_with_ties])
def test_blocks_of_any_size_give_the_same_result(monkeypatch, sets):
    real, fake = sets()
    copied = real[:20], real[20:], fake
    whole = [*(distance(real, fake) for distance in DISTANCES), data_copying(*copied), *nearest(real, fake)]
    for side in (1, 7, 41):
        monkeypatch.setattr(pairs, "SIDE", side)
        parts = [*(distance(real, fake) for distance in DISTANCES), data_copying(*copied), *nearest(real, fake)]
        np.testing.assert_allclose(parts[1:4], whole[1:4], rtol=1e-11)
        assert parts[4:6] == whole[4:6]
        np.testing.assert_array_equal(parts[6:], whole[6:])


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_set_may_be_given_twice(distance):
    """The same array on both sides is two sets of equal images, not one."""
    real, _ = two_sets()
    assert distance(real, real) == distance(real, real.copy())


@pytest.mark.parametrize("distance", [kernel_distance, kernel_distance_error, energy_distance, overlaps, nearest])
def test_the_whole_matrix_of_pairs_is_never_held(distance, monkeypatch):
    monkeypatch.setattr(pairs, "SIDE", 128)
    real = np.random.default_rng(0).normal(size=(1500, 2))
    tracemalloc.start()
    distance(real, real + 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1500 * 1500 * 8 / 6


def test_projections_are_never_held_all_at_once(monkeypatch):
    real = np.random.default_rng(0).normal(size=(1500, 2))
    whole = sliced_wasserstein(real, real + 1)
    monkeypatch.setattr("ganlab.evaluation.metrics.sliced._NUMBERS", 5 * 1500)
    tracemalloc.start()
    assert sliced_wasserstein(real, real + 1) == pytest.approx(whole, rel=1e-12)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1500 * 512 * 8 / 6


@PROPERTY
@given(real=lattice(8, 3), fake=lattice(7, 3), shift=lattice(1, 3, largest=1000))
def test_a_common_shift_changes_neither_frechet_distance_nor_overlaps(real, fake, shift):
    assume(has_balls(real, 2))
    moved = frechet_distance(real + shift, fake + shift)
    assert moved == pytest.approx(frechet_distance(real, fake), rel=1e-9, abs=1e-9)
    here, there = ((real + s, fake + s, 2) for s in (0, shift))
    assert precision_recall_density_coverage(*here) == precision_recall_density_coverage(*there)


@PROPERTY
@given(real=lattice(8, 3), fake=lattice(7, 3), order=st.permutations(range(7)))
def test_the_order_of_images_does_not_matter(real, fake, order):
    assume(has_balls(real, 2))
    for distance in (frechet_distance, kernel_distance):
        plain, shuffled = distance(real, fake), distance(real[::-1], fake[order])
        assert shuffled == pytest.approx(plain, rel=1e-9, abs=1e-9)
    plain, shuffled = ((real[::s], fake[o], 2) for s, o in ((1, range(7)), (-1, order)))
    assert precision_recall_density_coverage(*plain) == precision_recall_density_coverage(*shuffled)


@PROPERTY
@given(real=lattice(8, 3), fake=lattice(7, 3))
def test_exchanging_the_sets_keeps_distances_and_swaps_precision_with_recall(real, fake):
    assume(has_balls(real, 2) and has_balls(fake, 2))
    for distance in (frechet_distance, kernel_distance):
        assert distance(fake, real) == pytest.approx(distance(real, fake), rel=1e-9, abs=1e-9)
    there = precision_recall_density_coverage(real, fake, 2)
    back = precision_recall_density_coverage(fake, real, 2)
    assert (there.precision, there.recall) == (back.recall, back.precision)


def test_inputs_stay_as_they_are_and_any_real_type_will_do():
    real, fake = two_sets()
    before = real.copy(), fake.copy()
    for distance in DISTANCES:
        expected = distance(real.astype(np.float32).astype(float), fake.astype(np.float32).astype(float))
        assert distance(real.astype(np.float32), fake.astype(np.float32)) == expected
        assert distance(real.tolist(), np.asfortranarray(fake)) == distance(real, fake)
    np.testing.assert_array_equal(before[0], real)
    np.testing.assert_array_equal(before[1], fake)


# Bad input: one line that begins with the argument.

BAD_FEATURES = [
    (GOOD[:, 0], r" has shape \(21,\); give features \[N, D\]"),
    (GOOD[None], r" has shape \(1, 21, 2\); give features"),
    (GOOD[:0], r" has shape \(0, 2\) and is empty"),
    (GOOD[:, :0], r" has shape \(21, 0\) and is empty"),
    ([[1.0, 2.0], [3.0]], r" has rows of different widths"),
    (GOOD.astype(complex), r" holds complex128; give real numbers"),
    (GOOD.astype(str), r" holds <U32; give real numbers"),
    (with_value(np.nan), r"\[4, 1\]=nan cannot be measured; values must be finite"),
    (with_value(-np.inf), r"\[4, 1\]=-inf cannot be measured; values must be finite"),
    (with_value(1e60), r"\[4, 1\]=1e\+60 cannot be measured; values must be finite, at most 1e\+45"),
]


@pytest.mark.parametrize("measure", ARGUMENTS)
@pytest.mark.parametrize(("bad", "message"), BAD_FEATURES)
def test_bad_features_are_refused_by_name(measure, bad, message):
    names = ARGUMENTS[measure]
    for place, name in enumerate(names):
        given = [GOOD] * len(names)
        given[place] = bad
        with pytest.raises(ValueError, match="^" + name + message):
            measure(*given)


@pytest.mark.parametrize("measure", ARGUMENTS)
def test_sets_of_different_width_are_refused(measure):
    with pytest.raises(
        ValueError, match=r"^(fake|images) has [12] features an image, (real|others|train) has [12]; give"
    ):
        measure(*[GOOD] * (len(ARGUMENTS[measure]) - 1), GOOD[:, :1])


@pytest.mark.parametrize(("bad", "message"), BAD_FEATURES)
def test_bad_features_of_nulls_and_probabilities_are_refused_by_name(bad, message):
    with pytest.raises(ValueError, match="^real" + message):
        frechet_distance_null(bad, 10, 10)
    with pytest.raises(ValueError, match="^probabilities" + message):
        classifier_score(bad)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance, energy_distance])
def test_single_images_are_refused(distance):
    with pytest.raises(ValueError, match=r"^real has 1 images; give at least 2"):
        distance(GOOD[:1], GOOD)
    with pytest.raises(ValueError, match=r"^fake has 1 images; give at least 2"):
        distance(GOOD, GOOD[:1])


@pytest.mark.parametrize("distance", [*DISTANCES, sliced_wasserstein])
def test_the_largest_values_allowed_give_finite_results(distance):
    large = GOOD / GOOD.max() * 1e45
    assert np.isfinite(distance(large, -large)).all()


def test_sets_without_variation_have_a_distance_where_it_is_defined():
    """Of two points 5 apart. What is undefined for such sets says so: see the overlaps, the pyramid, the ratio."""
    here, there = np.zeros((7, 2)), np.tile([3.0, 4.0], (6, 1))
    assert frechet_distance(here, there) == 25
    assert energy_distance(here, there) == pytest.approx(10, rel=1e-12)
    assert kernel_distance(here, there) == pytest.approx(13.5**3 + 1 - 2, rel=1e-12)
    assert nearest(here, there).distances.tolist() == [5] * 7
    assert data_copying(here, there, there) == pytest.approx(0.5 / (36 * 13 / 12) ** 0.5, rel=1e-12)
