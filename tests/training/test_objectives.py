"""Objectives and penalties against values worked by hand."""

import inspect
import math

import numpy as np
import pytest
import tensorflow as tf

from ganlab.training.objectives import OBJECTIVES
from ganlab.training.penalties import PENALTIES

LN2 = math.log(2)
ZERO = {
    "non_saturating": (2 * LN2, LN2),
    "hinge": (2, 0),
    "least_squares": (0.5, 0.5),
    "wasserstein": (0, 0),
    "relativistic": (LN2, LN2),
    "relativistic_average": (2 * LN2, 2 * LN2),
}


def softplus(x):
    return math.log1p(math.exp(x))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_at_zero_scores(name):
    objective, zero = OBJECTIVES[name](), tf.zeros([5])
    assert (float(objective.discriminator(zero, zero)), float(objective.generator(zero, zero))) == pytest.approx(
        ZERO[name], rel=1e-6
    )


A, B = tf.constant([1.0, -2.0]), tf.constant([0.5, 3.0])  # real, generated; means -0.5 and 1.75
OTHER = {
    "non_saturating": (
        (softplus(-1) + softplus(2)) / 2 + (softplus(0.5) + softplus(3)) / 2,
        (softplus(-0.5) + softplus(-3)) / 2,
    ),
    "hinge": ((0 + 3) / 2 + (1.5 + 4) / 2, -1.75),
    "least_squares": (((0 + 9) / 2 + (0.25 + 9) / 2) / 2, (0.25 + 4) / 2 / 2),
    "wasserstein": (2.25, -1.75),
    "relativistic": ((softplus(-0.5) + softplus(5)) / 2, (softplus(0.5) + softplus(-5)) / 2),
    "relativistic_average": (
        (softplus(0.75) + softplus(3.75)) / 2 + (softplus(1.0) + softplus(3.5)) / 2,
        (softplus(-1.0) + softplus(-3.5)) / 2 + (softplus(-0.75) + softplus(-3.75)) / 2,
    ),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_at_other_scores(name):
    objective = OBJECTIVES[name]()
    losses = float(objective.discriminator(A, B)), float(objective.generator(A, B))
    assert losses == pytest.approx(OTHER[name], rel=1e-6)


@pytest.mark.parametrize("name", ["relativistic", "relativistic_average", "wasserstein"])
def test_the_level_of_the_scores_means_nothing(name):
    objective = OBJECTIVES[name]()
    assert float(objective.discriminator(A + 9, B + 9)) == pytest.approx(float(objective.discriminator(A, B)), rel=1e-5)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_says_whether_its_generator_looks_at_real_scores(name):
    objective = OBJECTIVES[name]()
    looks = float(objective.generator(A, B)) != float(objective.generator(A + 1, B))
    assert objective.relative == looks


def test_label_smoothing_moves_what_the_discriminator_wants_of_real_images_only():
    plain, smooth = OBJECTIVES["non_saturating"](), OBJECTIVES["non_saturating"](label_smoothing=0.1)
    real = 0.9 * (softplus(-1) + softplus(2)) / 2 + 0.1 * (softplus(1) + softplus(-2)) / 2
    assert float(smooth.discriminator(A, B)) == pytest.approx(real + (softplus(0.5) + softplus(3)) / 2, rel=1e-6)
    assert float(smooth.generator(A, B)) == float(plain.generator(A, B))
    squares = OBJECTIVES["least_squares"](label_smoothing=0.1)
    assert float(squares.discriminator(A, B)) == pytest.approx((0.01 + 8.41) / 4 + 9.25 / 4, rel=1e-6)
    assert float(squares.generator(A, B)) == pytest.approx(4.25 / 4, rel=1e-6)


IMAGES = tf.constant(np.random.default_rng(0).normal(size=(6, 4, 4, 2)), tf.float32)
OTHERS = tf.constant(np.random.default_rng(1).normal(size=(6, 4, 4, 2)), tf.float32)
WEIGHTS = tf.constant(np.random.default_rng(2).normal(size=(4, 4, 2)), tf.float32)


def linear(images):
    return tf.reduce_sum(images * WEIGHTS, axis=[1, 2, 3])


def bowl(images):
    return tf.reduce_sum(images**2, axis=[1, 2, 3]) / 2


def squared(images):
    return float(tf.reduce_mean(tf.reduce_sum(images**2, axis=[1, 2, 3])))


SLOPE, LENGTH = float(tf.reduce_sum(WEIGHTS**2)), float(tf.sqrt(tf.reduce_sum(WEIGHTS**2)))
MIX = tf.constant(np.random.default_rng(3).uniform(size=6), tf.float32)
BETWEEN = OTHERS + MIX[:, None, None, None] * (IMAGES - OTHERS)
LENGTHS = tf.sqrt(tf.reduce_sum(BETWEEN**2, axis=[1, 2, 3]))
KNOWN = {  # cost of w.x and of |x|^2/2, whose gradients are w and x, with weight 3
    "none": (0.0, 0.0),
    "r1": (1.5 * SLOPE, 1.5 * squared(IMAGES)),
    "r2": (1.5 * SLOPE, 1.5 * squared(OTHERS)),
    "r1_r2": (3 * SLOPE, 1.5 * (squared(IMAGES) + squared(OTHERS))),
    "interpolation": (3 * (LENGTH - 1) ** 2, 3 * float(tf.reduce_mean((LENGTHS - 1) ** 2))),
    "zero_centred": (3 * SLOPE, 3 * squared(BETWEEN)),
}


def options(name):
    known = {"weight": 3.0, "mix": MIX}
    return {key: known[key] for key in inspect.signature(PENALTIES[name]).parameters if key in known}


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_of_known_gradient_norms(name):
    costs = [float(PENALTIES[name](judge, IMAGES, OTHERS, **options(name))[2]) for judge in (linear, bowl)]
    assert costs == pytest.approx(KNOWN[name], rel=1e-5)


def test_a_discriminator_without_slope_has_a_finite_penalty_gradient():
    flat = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        cost = PENALTIES["interpolation"](lambda x: flat * linear(x), IMAGES, OTHERS, weight=10.0, mix=MIX)[2]
    assert float(cost) == pytest.approx(10.0, rel=1e-4)
    assert np.isfinite(float(tape.gradient(cost, flat)))


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_return_the_scores_of_each_side(name):
    real, fake, _ = PENALTIES[name](linear, IMAGES, OTHERS, **options(name))
    np.testing.assert_allclose(real, linear(IMAGES), rtol=1e-5)
    np.testing.assert_allclose(fake, linear(OTHERS), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "weight", "expected"),
    [
        ("none", None, [0.5j, -0.5j]),
        ("r1", 1.0, [-0.5, -0.5]),
        ("r2", 1.0, [-0.5, -0.5]),
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
    eigenvalues = sorted(np.linalg.eigvals(jacobian), key=lambda v: (v.imag, v.real))
    np.testing.assert_allclose(eigenvalues, sorted(expected, key=lambda v: (v.imag, v.real)), atol=2e-2)
