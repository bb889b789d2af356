"""Classifier score and modes against values by hand, SciPy and simulations."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sets import PROPERTY

from ganlab.evaluation.metrics import classifier_score, largest_class_error, modes
from ganlab.evaluation.metrics.classes import binomial


@pytest.mark.parametrize("classes", [1, 2, 10])
def test_acceptance_10_classifier_score_of_even_and_of_sure_predictions(classes):
    assert classifier_score(np.full((7, classes), 1 / classes)) == pytest.approx(1, rel=1e-12)
    assert classifier_score(np.tile(np.eye(classes), (3, 1))) == pytest.approx(classes, rel=1e-12)


def test_classifier_score_agrees_with_entropies():
    """The mean divergence is the mutual information of image and class: H(y) - H(y|x)."""
    rows = np.random.default_rng(0).dirichlet(np.ones(5), size=30)
    information = scipy.stats.entropy(rows.mean(axis=0)) - scipy.stats.entropy(rows, axis=1).mean()
    assert classifier_score(rows) == pytest.approx(np.exp(information), rel=1e-12)


@PROPERTY
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 20))
def test_classifier_score_lies_between_one_and_the_classes(seed, classes, count):
    rows = np.random.default_rng(seed).dirichlet(np.full(classes, 0.3), size=count)
    assert 1 - 1e-9 <= classifier_score(rows) <= classes + 1e-9


def test_classifier_score_takes_single_precision():
    rows = np.random.default_rng(0).dirichlet(np.ones(1000), size=20)
    assert classifier_score(rows.astype(np.float32)) == pytest.approx(classifier_score(rows), rel=1e-5)


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match=r"^probabilities\[1\] has the sum 0\.9; probabilities sum to 1"):
        classifier_score([[0.5, 0.5], [0.5, 0.4]])
    with pytest.raises(ValueError, match=r"^probabilities holds -0\.5; probabilities are 0 or more"):
        classifier_score([[1.5, -0.5]])


def test_modes_by_hand():
    result = modes([0, 0, 2, 2], [0.25, 0.25, 0.5])
    assert result.hit == 2
    assert result.divergence == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(1), rel=1e-12)
    assert modes([1, 0], [0.5, 0.5]) == (2, 0)
    assert modes(np.zeros(5, np.int64), np.full(10, 0.1)).divergence == pytest.approx(np.log(10), rel=1e-12)


@pytest.mark.parametrize(
    ("counts", "shares", "error"),
    [
        ([6, 2, 2], [0.25, 0.25, 0.5], 0.6 / 0.25 - 1),  # too many
        ([9, 1], [0.75, 0.25], 1 - 0.1 / 0.25),  # too few
        ([3, 0, 1], [0.5, 0.25, 0.25], 1),  # none
        ([3, 1], [0.75, 0.25], 0),
    ],
)
def test_the_largest_error_by_hand(counts, shares, error):
    assert largest_class_error(np.repeat(range(len(counts)), counts), shares) == pytest.approx(error, rel=1e-12)


@pytest.mark.parametrize("measure", [modes, largest_class_error])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "labels holds float64 of shape"),
        ([0.0, 1.0], "labels holds float64 of shape"),
        ([[0], [1]], "labels holds int64 of shape"),
        ([0, 3], "labels holds 3, but shares has 2 modes; use 0 to 1"),
        ([0, -1], "labels holds -1, but shares has 2 modes"),
    ],
)
def test_bad_labels_are_refused(measure, labels, message):
    with pytest.raises(ValueError, match="^" + message):
        measure(labels, [0.5, 0.5])


@pytest.mark.parametrize("measure", [modes, largest_class_error])
@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ([[0.5, 0.5]], r"shares has shape \(1, 2\); give one share for each mode"),
        ([0.5, 0.4], r"shares has the sum 0\.9; probabilities sum to 1"),
        ([1.0, 0.0], r"shares\[1\]=0\.0 makes the measure infinite"),
        ([0.5, np.nan], r"shares\[0, 1\]=nan cannot be measured"),
        ([], r"shares has shape \(1, 0\) and is empty"),
    ],
)
def test_bad_shares_are_refused(measure, shares, message):
    with pytest.raises(ValueError, match="^" + message):
        measure([0, 0], shares)


@pytest.mark.parametrize("count", [1, 7, 2000, 100_000])
@pytest.mark.parametrize("share", [1e-4, 0.1, 0.5, 0.999, 1.0])
def test_binomial_probabilities_are_scipys(count, share):
    hits = np.arange(count + 1)
    probabilities = binomial(hits, count, share)
    np.testing.assert_allclose(probabilities, scipy.stats.binom.pmf(hits, count, share), rtol=1e-9, atol=1e-300)
    assert probabilities.sum() == pytest.approx(1, abs=1e-9)
