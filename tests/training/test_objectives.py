"""Objectives and penalties against values worked by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from ganlab.training.objectives import OBJECTIVES
from ganlab.training.penalties import PENALTIES

ZERO = {"non_saturating": (2 * math.log(2), math.log(2)), "relativistic": (math.log(2), math.log(2))}


def softplus(x):
    return math.log1p(math.exp(x))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_at_zero_scores(name):
    objective, zero = OBJECTIVES[name](), tf.zeros([5])
    assert (float(objective.discriminator(zero, zero)), float(objective.generator(zero, zero))) == pytest.approx(
        ZERO[name], rel=1e-6
    )


def test_losses_at_other_scores():
    a, b = tf.constant([1.0, -2.0]), tf.constant([0.5, 3.0])
    plain, paired = OBJECTIVES["non_saturating"](), OBJECTIVES["relativistic"]()
    assert float(plain.discriminator(a, b)) == pytest.approx(
        (softplus(-1) + softplus(2)) / 2 + (softplus(0.5) + softplus(3)) / 2, rel=1e-6
    )
    assert float(plain.generator(a, b)) == pytest.approx((softplus(-0.5) + softplus(-3)) / 2, rel=1e-6)
    assert float(paired.discriminator(a, b)) == pytest.approx((softplus(-0.5) + softplus(5)) / 2, rel=1e-6)
    assert float(paired.generator(a, b)) == pytest.approx((softplus(0.5) + softplus(-5)) / 2, rel=1e-6)
    assert float(paired.discriminator(a + 9, b + 9)) == pytest.approx(float(paired.discriminator(a, b)), rel=1e-5)


IMAGES = tf.constant(np.random.default_rng(0).normal(size=(6, 4, 4, 2)), tf.float32)
OTHERS = tf.constant(np.random.default_rng(1).normal(size=(6, 4, 4, 2)), tf.float32)
WEIGHTS = tf.constant(np.random.default_rng(2).normal(size=(4, 4, 2)), tf.float32)


def linear(images):
    return tf.reduce_sum(images * WEIGHTS, axis=[1, 2, 3])


def bowl(images):
    return tf.reduce_sum(images**2, axis=[1, 2, 3]) / 2


def squared(images):
    return float(tf.reduce_mean(tf.reduce_sum(images**2, axis=[1, 2, 3])))


def test_penalties_of_known_slopes():
    slope = float(tf.reduce_sum(WEIGHTS**2))
    assert float(PENALTIES["none"](linear, IMAGES, OTHERS)[2]) == 0
    assert float(PENALTIES["r1"](linear, IMAGES, OTHERS, weight=3.0)[2]) == pytest.approx(1.5 * slope, rel=1e-5)
    assert float(PENALTIES["r1_r2"](linear, IMAGES, OTHERS, weight=3.0)[2]) == pytest.approx(3 * slope, rel=1e-5)
    assert float(PENALTIES["r1"](bowl, IMAGES, OTHERS, weight=2.0)[2]) == pytest.approx(squared(IMAGES), rel=1e-5)
    assert float(PENALTIES["r1_r2"](bowl, IMAGES, OTHERS, weight=2.0)[2]) == pytest.approx(
        squared(IMAGES) + squared(OTHERS), rel=1e-5
    )


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_return_the_scores_of_each_side(name):
    weight = {} if name == "none" else {"weight": 1.0}
    real, fake, _ = PENALTIES[name](linear, IMAGES, OTHERS, **weight)
    np.testing.assert_allclose(real, linear(IMAGES), rtol=1e-5)
    np.testing.assert_allclose(fake, linear(OTHERS), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "weight", "expected"),
    [
        ("none", None, [0.5j, -0.5j]),
        ("r1", 1.0, [-0.5, -0.5]),
        ("r1_r2", 0.5, [-0.5, -0.5]),
        ("r1", 10.0, [-0.02506, -9.97494]),
    ],
)
def test_dirac_gan_has_the_published_eigenvalues(name, weight, expected):
    """D(x) = psi x, generated at theta, real at 0 (Mescheder et al. 2018): the Jacobian of the gradient flow."""
    objective = OBJECTIVES["non_saturating"]()
    more = {} if weight is None else {"weight": weight}

    def flow(point):
        theta, psi = point[0], point[1]

        def judge(images):
            return psi * tf.reduce_sum(images, axis=[1, 2, 3])

        real, fake = tf.zeros([1, 1, 1, 1]), tf.reshape(theta, [1, 1, 1, 1])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([theta, psi])
            real_scores, fake_scores, cost = PENALTIES[name](judge, real, tf.stop_gradient(fake), **more)
            d_loss = objective.discriminator(real_scores, fake_scores) + cost
            g_loss = objective.generator(judge(real), judge(tf.reshape(theta, [1, 1, 1, 1])))
        return -tape.gradient(g_loss, theta), -tape.gradient(d_loss, psi)

    h, jacobian = 1e-2, np.zeros((2, 2))
    for column in range(2):
        for sign in (1, -1):
            point = [tf.constant(0.0), tf.constant(0.0)]
            point[column] = tf.constant(sign * h)
            jacobian[:, column] += sign * np.array([float(v) for v in flow(point)]) / (2 * h)
    found = sorted(np.linalg.eigvals(jacobian), key=lambda v: (v.imag, v.real))
    np.testing.assert_allclose(found, sorted(expected, key=lambda v: (v.imag, v.real)), atol=2e-2)
