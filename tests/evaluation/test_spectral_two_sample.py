"""The spectral classifier: at .5 for equal distributions, above for what it should find."""

import numpy as np
import pytest

from ganlab.evaluation.spectrum import _fit, _interval, spectral_two_sample


def noise(seed=0, count=400, side=16):
    return np.random.default_rng(seed).normal(size=(count, side, side, 1))


def checkerboard(images, amplitude):
    sign = 1 - 2 * (np.indices(images.shape[1:3]).sum(axis=0) % 2)
    return images + amplitude * sign[..., None]


def test_equal_distributions_stay_within_the_interval():
    covered = []
    for seed in range(25):
        result = spectral_two_sample(noise(2 * seed, 100, 8), noise(2 * seed + 1, 100, 8), seed)
        assert result.tested == 100 and result.low < result.accuracy < result.high
        covered.append(result.low <= 0.5 <= result.high)
    assert np.mean(covered) >= 0.84


def test_a_small_checkerboard_is_found():
    real, fake = noise(1), checkerboard(noise(2), 0.25)  # a sixteenth of the noise's power
    result = spectral_two_sample(real, fake)
    assert result.accuracy > 0.8 and result.low > 0.75
    assert spectral_two_sample(real, checkerboard(noise(2), 0.02)).low < 0.5


def test_order_of_the_sides_and_scale_change_nothing_and_a_seed_draws():
    real, fake = noise(1), checkerboard(noise(2), 0.1)
    result = spectral_two_sample(real, fake, 3)
    assert result == spectral_two_sample(real, fake, 3)
    assert spectral_two_sample(100 * real + 7, 100 * fake - 7, 3).accuracy == pytest.approx(result.accuracy, abs=0.01)
    assert len({spectral_two_sample(real, fake, seed).accuracy for seed in range(4)}) > 1


def test_classes_are_balanced():
    result = spectral_two_sample(noise(1, 400), noise(2, 101))
    assert result.tested == 2 * 51 and result.low < 0.5 < result.high


def test_interval_of_clopper_and_pearson():
    assert _interval(0, 10) == pytest.approx((0, 0.30850), abs=1e-5)  # 1 - .025^(1/10)
    assert _interval(10, 10) == pytest.approx((0.69150, 1), abs=1e-5)
    assert _interval(81, 263) == pytest.approx((0.2527, 0.3676), abs=1e-4)  # Newcombe 1998, Statistics in Medicine 17


def test_the_regression_against_another():
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    features, signs = random.normal(size=(60, 5)), np.repeat([-1.0, 1.0], 30)
    features[30:] += 0.4
    other = LogisticRegression(C=1 / (0.1 * 60), tol=1e-10, max_iter=1000).fit(features, signs)
    np.testing.assert_allclose(_fit(features, signs), [*other.coef_[0], other.intercept_[0]], atol=1e-4)


def test_some_constant_images_are_no_obstacle():
    fake = noise(2)
    fake[::3] = 0.1
    assert spectral_two_sample(noise(1), fake).accuracy > 0.6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: np.full_like(x, 0.1), "has no power at all"),
        (lambda x: x[:, :8, :8], "has images of shape|fake has images"),
        (lambda x: x[:, :, :1], "of size 16x1"),
        (lambda x: np.where(x > 3, np.inf, x), "numbers that are not finite"),
        (lambda x: x[:3], "has 3 images, too few"),
        (lambda x: (x > 0).astype(np.uint8), "fake holds"),
    ],
)
def test_what_cannot_be_told_apart_is_named(change, words):
    real = noise()
    with pytest.raises(ValueError, match=words) as caught:
        spectral_two_sample(real, change(real))
    assert str(caught.value).startswith("fake")
    with pytest.raises(ValueError, match=words):
        spectral_two_sample(change(real), real)
    with pytest.raises(ValueError, match="seed=-1"):
        spectral_two_sample(real, real, -1)
