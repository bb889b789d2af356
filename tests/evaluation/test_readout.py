"""The read-out: what it was trained on it reads, and from its file it reads the same."""

import re
from functools import partial

import keras
import numpy as np
import pytest

from ganlab.data.shapes import FACTORS, draw_factors, render
from ganlab.evaluation.factors import (
    Readout,
    _decode,
    _encode,
    _quality,
    dependences,
    factor_nulls,
    grid_coverage,
    marginals,
    residuals,
    train_readout,
)

TABLE = FACTORS[3]
DRAW = partial(draw_factors, 0)


def drawn(size):
    return partial(render, size=size, channels=3)


@pytest.fixture(scope="module")
def quick():
    """Hardly trained: enough for everything but its quality."""
    return train_readout(TABLE, DRAW, drawn(16), steps=40, batch=32)


@pytest.fixture(scope="module")
def images():
    return render(draw_factors(1, 0, 700), 16, 3)


def test_points_and_back_are_the_same_factors():
    factors = DRAW(0, 200)
    labels, points, visible = _encode(factors, TABLE)
    outputs = np.hstack([np.eye(5)[labels], points])
    np.testing.assert_allclose(_decode(outputs.astype(float), TABLE), factors, atol=1e-6)
    assert points.shape == visible.shape == (200, 7)
    np.testing.assert_allclose((points**2).mean(axis=0), 1, atol=0.25)  # every column weighs the same
    np.testing.assert_array_equal(visible.all(axis=1), labels != 0)  # a disc shows no angle
    assert visible[labels == 0].sum(axis=1).max() == 5


def test_the_quality_by_hand():
    truth = DRAW(0, 500)
    read = truth.copy()
    read[::5, 0] = (truth[::5, 0] + 1) % 5
    read[:, 1] += 0.1
    read[truth[:, 0] == 0, 4] = 0.0  # a disc shows no angle
    hue = TABLE[5]
    read[:, 5] += (hue.high - hue.low) / 2  # the opposite one
    centre = np.mean(np.exp(2j * np.pi * (truth[:, 5] - hue.low) / (hue.high - hue.low)))
    assert _quality(truth, read, TABLE) == pytest.approx({
        "accuracy_shape": 0.8, "r2_x": 1 - 0.1**2 / truth[:, 1].var(), "r2_y": 1, "r2_size": 1, "r2_angle": 1,
        "r2_hue": 1 - 4 / (1 - abs(centre) ** 2),
    })  # fmt: skip


def test_a_few_steps_already_teach_something(quick):
    assert quick.quality.keys() == {"accuracy_shape", *(f"r2_{name}" for name in ("x", "y", "size", "angle", "hue"))}
    assert quick.quality["accuracy_shape"] > 0.22
    assert quick.quality["r2_x"] > 0


def test_it_reads_the_same_from_its_arrays(quick, images):
    arrays = quick.arrays()
    assert all(array.dtype != object for array in arrays.values())  # fit for .npz without pickle
    again = Readout.from_arrays(arrays, TABLE)
    np.testing.assert_array_equal(again(images), quick(images))
    assert again.digest == quick.digest
    assert again.quality == quick.quality
    with pytest.raises(ValueError, match="of other factors"):
        Readout.from_arrays(arrays, FACTORS[1])


def test_neither_a_second_time_nor_lower_precision_changes_a_bit(quick, images):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        again = train_readout(TABLE, DRAW, drawn(16), steps=40, batch=32)
    finally:
        keras.config.set_dtype_policy("float32")
    assert again.digest == quick.digest
    np.testing.assert_array_equal(again(images), quick(images))


def test_images_of_another_kind_are_refused(quick, images):
    with pytest.raises(ValueError, match=re.escape("this read-out takes uint8 [N,16,16,3]")):
        quick(images[..., :1])
    with pytest.raises(ValueError, match="pixels are float64"):
        quick(images / 255)


@pytest.mark.slow
def test_it_reads_every_factor_well_and_real_images_score_what_perfect_ones_do():
    """SCIENCE asks for 0.99 before anything read this way may be believed."""
    table, draw_images = FACTORS[3], partial(render, size=32, channels=3)
    readout = train_readout(table, DRAW, draw_images)
    assert min(readout.quality.values()) >= 0.99
    truth = draw_factors(1, 0, 5000)
    pixels = draw_images(truth)
    read = readout(pixels)
    measured = marginals(read, table) | dependences(read, table) | grid_coverage(read, table)
    direct = marginals(truth, table) | dependences(truth, table) | grid_coverage(truth, table)
    nulls = factor_nulls(table, 5000)
    for name, null in nulls.items():
        assert abs(measured[name] - direct[name]) < 0.02, name
        assert measured[name] < 3 * null + 0.01, name
    assert residuals(pixels, draw_images(read))["residual_median"] < 0.01
