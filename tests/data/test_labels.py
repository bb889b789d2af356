"""Labels: what is refused and where, classes by their shares, and no memory for large numbers."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.data.arrays import read_labels, to_classes
from ganlab.data.sources import class_sequence
from ganlab.errors import ConfigError


@settings(deadline=None)
@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=40), st.integers(1, 300))
def test_after_every_image_each_class_has_its_share_to_within_one(counts, total):
    row = class_sequence(counts, total)
    given = np.cumsum(row[:, None] == np.arange(len(counts)), axis=0)
    shares = np.arange(1, total + 1)[:, None] * (np.array(counts) / sum(counts))
    assert np.abs(given - shares).max() < 1
    np.testing.assert_array_equal(
        class_sequence(counts, total // 2), row[: total // 2]
    )  # the same row, however much is asked


def test_equal_classes_come_in_turn_and_absent_ones_not_at_all():
    assert class_sequence([7, 7, 7], 7).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert class_sequence([5], 3).tolist() == [0, 0, 0]
    assert set(class_sequence([3, 0, 1], 40)) == {0, 2}
    assert np.bincount(class_sequence([91, 6, 3], 1000)).tolist() == [910, 60, 30]


GOOD = {
    "column": np.arange(4)[:, None],
    "float": np.array([0.0, 3.0, 3.0, 7.0]),
    "bool": np.array([True, False, True, True]),
    "float16": np.array([0, 3, 3, 7], np.float16),
    "uint8": np.array([9, 0, 9, 1], np.uint8),
    "huge": np.array([90_000_000, 3, 2**62, 3]),
}


@pytest.mark.parametrize("array", GOOD.values(), ids=GOOD)
def test_numbers_become_classes_without_memory_for_those_between(array):
    tracemalloc.start()
    labels = read_labels(array, 4, "FILE has y")
    classes = to_classes(labels, np.unique(labels), "FILE has y")
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()
    np.testing.assert_array_equal(classes, np.unique(array, return_inverse=True)[1].reshape(-1))


BAD = {
    "y[2]=-1; labels are whole": np.array([0, 1, -1, -1]),
    "y[1]=nan; labels are whole": np.array([0, np.nan, 1, 2]),
    "y[3]=inf; labels": np.array([0, 1, 2, np.inf]),
    "y[0]=0.5; labels": np.arange(4) + 0.5,
    "y[0]=18446744073709551615; labels": np.array([2**64 - 1, 0, 0, 0], np.uint64),
    "y of type <U3; labels": np.array(["cat", "dog", "cat", "dog"]),
    "y of type complex128; labels": np.zeros(4, complex),
    "y of shape [3]; it must be one label per image, [4] or [4,1]": np.arange(3),
    "or [4,1]; for one-hot labels use argmax": np.eye(4),
}


@pytest.mark.parametrize("message", BAD)
def test_labels_that_are_none_are_named_with_their_place(message):
    with pytest.raises(ConfigError) as caught:
        read_labels(BAD[message], 4, "FILE has y")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_held_out_labels_that_nothing_was_trained_on_are_refused():
    with pytest.raises(ConfigError, match=r"FILE has y\[2\]=5, a label that no training image has"):
        to_classes(np.array([3, 4, 5]), np.array([3, 4]), "FILE has y")
