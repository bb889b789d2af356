"""Nearest neighbours and the test of copying against SciPy, values by hand and simulations."""

import numpy as np
import pytest
import scipy.stats
from scipy.spatial.distance import cdist
from sets import column, two_sets

from ganlab.evaluation.metrics import copying, data_copying, nearest


def test_nearest_agrees_with_all_distances():
    images, others = two_sets()
    every = cdist(images, others)
    result = nearest(images, others)
    np.testing.assert_array_equal(result.indices, every.argmin(axis=1))
    np.testing.assert_allclose(result.distances, every.min(axis=1), rtol=1e-12)


def test_of_equally_near_ones_the_first_is_nearest_and_copies_are_at_no_distance():
    result = nearest(column(0, 5), column(1, -1, 5, 5))
    assert result.indices.tolist() == [0, 2]
    assert result.distances.tolist() == [1, 0]


def test_both_have_the_same_z_score():
    real, fake = two_sets()
    train, held_out = real[: len(real) // 2], real[len(real) // 2 :]
    assert copying(train, held_out, fake).data_copying == data_copying(train, held_out, fake)


def test_training_images_may_come_in_parts():
    real, fake = two_sets()
    train, held_out = real[: len(real) // 2], real[len(real) // 2 :]
    for size in (1, 7, len(train)):
        parts = (train[start : start + size] for start in range(0, len(train), size))
        assert copying(parts, held_out, fake) == copying(train, held_out, fake)
    with pytest.raises(ValueError, match=r"^train has no parts; give at least one image\Z"):
        copying(iter(()), held_out, fake)


def test_copying_by_hand():
    """Fakes at 1 and 3, held-out at 2 and 3: of four pairs one fake is farther and one ties, U = 1.5."""
    assert data_copying(column(0, 100), column(2, -3), column(-1, 3)) == pytest.approx(
        0 / (4 * 5 / 12) ** 0.5, abs=1e-12
    )
    assert data_copying(column(0), column(2, -3), column(-1, 1)) == pytest.approx(-1.5 / (4 * 5 / 12) ** 0.5, rel=1e-12)
    assert copying(column(0), column(2, -3), column(-1, 1, 7)).copying_ratio == pytest.approx(0.4, rel=1e-12)


def test_copying_agrees_with_scipy():
    rng = np.random.default_rng(0)
    train, held_out, fake = rng.normal(size=(60, 2)), rng.normal(size=(50, 2)), rng.normal(size=(40, 2)) * 1.3
    held, made = (cdist(images, train).min(axis=1) for images in (held_out, fake))
    u = scipy.stats.mannwhitneyu(made, held).statistic
    expected = (u - 50 * 40 / 2 + 0.5) / (50 * 40 * 91 / 12) ** 0.5
    assert data_copying(train, held_out, fake) == pytest.approx(expected, rel=1e-12)


def test_copies_lie_far_below_zero_and_wrong_fakes_far_above():
    rng = np.random.default_rng(0)
    train, held_out = rng.normal(size=(2, 200, 4))
    copies = train + 0.01 * rng.normal(size=train.shape)
    assert data_copying(train, held_out, copies) < -15
    assert data_copying(train, held_out, held_out + 3) > 15
    assert copying(train, held_out, copies).copying_ratio < 0.05
    assert copying(train, held_out, held_out + 3).copying_ratio > 2


def test_copying_of_equal_distributions_is_standard_normal():
    rng = np.random.default_rng(3)
    scores = [data_copying(*rng.normal(size=(3, 40, 2))) for _ in range(400)]
    assert abs(np.mean(scores)) < 0.15
    assert 0.9 < np.std(scores) < 1.25  # above 1: train is shared


def test_held_out_images_must_not_be_training_images():
    train = np.random.default_rng(0).normal(size=(9, 2))
    with pytest.raises(ValueError, match=r"^held_out has at least half of its images in train"):
        copying(train, train, train + 1)


def test_too_few_images_are_refused_by_name():
    with pytest.raises(ValueError, match=r"^held_out has 1 images; give at least 2"):
        data_copying(np.eye(3), np.eye(3)[:1], np.eye(3))
    with pytest.raises(ValueError, match=r"^fake has 1 images; give at least 2"):
        copying(np.eye(3), np.eye(3), np.eye(3)[:1])
