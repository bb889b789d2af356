"""Sets of feature vectors that several tests use."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

PROPERTY = settings(max_examples=40, deadline=None)
GOOD = np.arange(42.0).reshape(21, 2) ** 2


def column(*values):
    return np.array(values, dtype=float)[:, None]


def lattice(rows, columns, largest=3):
    """Points with whole coordinates: many ties and copies, and arithmetic without rounding."""
    return arrays(np.int64, (rows, columns), elements=st.integers(-largest, largest))


def has_balls(images, k):
    """Whether any image has fewer than k copies; else overlaps are refused."""
    return np.unique(images, axis=0, return_counts=True)[1].min() <= k


def two_sets():
    """Sets of different size, mean and covariance."""
    rng = np.random.default_rng(7)
    mix = rng.normal(size=(6, 6))
    return rng.normal(size=(53, 6)) @ mix, rng.normal(size=(41, 6)) @ mix * 1.2 + 0.3


def draws(times, *counts, width):
    rng = np.random.default_rng(11)
    scale = np.linspace(0.5, 2, width)
    for _ in range(times):
        yield tuple(rng.normal(size=(count, width)) * scale for count in counts)


def with_value(value):
    bad = GOOD.copy()
    bad[4, 1] = value
    return bad
