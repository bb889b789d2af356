"""Adam: the same as Keras', its schedule and lazy correction, and what a skipped step leaves alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganlab.config import Adam as Settings
from ganlab.training.adam import FIRST_SCALE, GROWTH_STEPS, LEAST_SCALE, Adam

PLAIN = {
    "g_learning_rate": 1.0,
    "d_learning_rate": 1.0,
    "schedule": "cosine",
    "final_rate": 1.0,
    "warmup_steps": 0,
    "beta_1": 0.5,
    "beta_2": 0.99,
    "epsilon": 1e-8,
}
RANDOM = np.random.default_rng(0)


def settings(**more):
    return Settings(**(PLAIN | more))


def rates(optimizer, updates):
    values = []
    for _ in range(updates):
        values.append(float(optimizer.learning_rate()))
        optimizer.descend([tf.constant([1.0])])
    return values


def one(**more):
    options = {key: more.pop(key) for key in ("rate", "updates", "loss_scaled", "lazy") if key in more}
    return Adam([tf.Variable([0.0])], settings(**more), **({"rate": 1.0, "updates": 10} | options))


def test_it_moves_weights_as_keras_does():
    start = [RANDOM.normal(size=(4, 3)).astype("float32"), RANDOM.normal(size=5).astype("float32")]
    ours, theirs = [tf.Variable(value) for value in start], [keras.Variable(value) for value in start]
    mine = Adam(ours, settings(), 0.01, 100)
    stock = keras.optimizers.Adam(0.01, 0.5, 0.99, 1e-8)
    for _ in range(20):
        gradients = [tf.constant(RANDOM.normal(size=value.shape), tf.float32) for value in start]
        assert bool(mine.descend(gradients))
        stock.apply_gradients(zip(gradients, theirs, strict=True))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_rates_fall_to_their_share_and_stay_there():
    cosine = rates(one(final_rate=0.2), 12)
    assert cosine[0] == 1
    assert cosine[5] == pytest.approx(0.6)
    assert cosine[10:] == pytest.approx([0.2, 0.2])
    linear = rates(one(final_rate=0.2, schedule="linear"), 12)
    assert linear[2] == pytest.approx(1 - 0.8 * 0.2)
    assert linear[10:] == pytest.approx([0.2, 0.2])
    assert rates(one(), 3) == [1, 1, 1]


def test_a_warm_up_rises_to_the_whole_rate():
    assert rates(one(warmup_steps=4), 6) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])
    assert rates(one(warmup_steps=4, final_rate=0.0, schedule="linear"), 11)[4:] == pytest.approx(
        [1 - n / 6 for n in range(7)], abs=1e-6
    )


def test_the_correction_for_a_lazy_penalty_is_the_published_one():
    lazy = one(rate=0.0025, lazy=16, beta_2=0.99)
    assert float(lazy.learning_rate()) == pytest.approx(0.002352941, rel=1e-6)
    assert lazy.beta_2 == pytest.approx(0.9905855, rel=1e-6)
    assert lazy.beta_1 == pytest.approx(0.5 ** (16 / 17), rel=1e-6)
    assert one(rate=0.0025).beta_2 == 0.99


def test_a_gradient_that_is_not_finite_is_skipped_and_advances_nothing():
    optimizer = one(loss_scaled=True, final_rate=0.1)
    assert float(optimizer.scaled(tf.constant(2.0))) == 2 * FIRST_SCALE
    assert bool(optimizer.descend([tf.constant([FIRST_SCALE])]))
    before = [variable.numpy().copy() for variable in (*optimizer.weights, *optimizer.first, *optimizer.second)]
    rate = float(optimizer.learning_rate())
    for bad in (np.inf, -np.inf, np.nan):
        assert not bool(optimizer.descend([tf.constant([bad])]))
    after = [variable.numpy() for variable in (*optimizer.weights, *optimizer.first, *optimizer.second)]
    np.testing.assert_array_equal(before, after)
    assert (int(optimizer.count), int(optimizer.skipped), int(optimizer.good_steps)) == (1, 3, -3)
    assert float(optimizer.scale) == FIRST_SCALE / 8
    assert float(optimizer.learning_rate()) == rate


def test_scaling_changes_no_update():
    scaled, plain = one(loss_scaled=True), one()
    for gradient in (0.3, -2.0, 0.01):
        scaled.descend([tf.constant([gradient]) * scaled.scale])
        plain.descend([tf.constant([gradient])])
    np.testing.assert_allclose(scaled.weights[0], plain.weights[0], rtol=1e-6)


def test_the_scale_doubles_after_a_long_calm():
    optimizer = one(loss_scaled=True)
    optimizer.good_steps.assign(GROWTH_STEPS - 2)
    optimizer.descend([tf.constant([1.0])])
    assert float(optimizer.scale) == FIRST_SCALE
    optimizer.descend([tf.constant([1.0])])
    assert (float(optimizer.scale), int(optimizer.good_steps)) == (2 * FIRST_SCALE, 0)


def test_the_scale_keeps_a_floor_and_the_next_finite_update_is_a_number():
    optimizer = one(loss_scaled=True)
    for skipped in range(1, 201):
        assert not bool(optimizer.descend([tf.constant([np.inf])]))
        assert optimizer.skipped_in_a_row() == skipped
    assert float(optimizer.scale) == LEAST_SCALE
    assert bool(optimizer.descend([tf.constant([0.5])]))
    assert np.isfinite(optimizer.weights[0]).all() and float(optimizer.weights[0][0]) != 0
    assert (optimizer.skipped_in_a_row(), int(optimizer.good_steps), int(optimizer.skipped)) == (0, 1, 200)


def test_the_scale_never_grows_beyond_numbers():
    optimizer = one(loss_scaled=True)
    optimizer.scale.assign(2.0**127)
    optimizer.good_steps.assign(GROWTH_STEPS - 1)
    optimizer.descend([tf.constant([1.0])])
    assert (float(optimizer.scale), int(optimizer.good_steps)) == (2.0**127, 0)
