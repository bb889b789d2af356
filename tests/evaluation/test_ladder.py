"""The corruption ladder's judgement, on values made up for it, and its faults, on one image."""

import importlib.util

import numpy as np
import pytest

from conftest import ROOT


@pytest.fixture(scope="module")
def ladder():
    folder = ROOT / "experiments" / "metrics"
    spec = importlib.util.spec_from_file_location("ladder", folder / "ladder.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        spec.loader.exec_module(module)
    return module


def levels(*means):
    return np.array(means)[:, None] + np.array([-0.01, 0.01])


@pytest.mark.parametrize(
    ("name", "means", "verdict"),
    [
        ("full/pca/frechet_distance", (1, 2, 3), "monotone"),
        ("full/pca/frechet_distance", (1, 1.001, 1.002), "blind"),
        ("full/pca/frechet_distance", (1, 3, 2), "misled"),
        ("full/pca/frechet_distance", (3, 2, 1), "misled"),
        ("full/pca/coverage", (3, 2, 1), "monotone"),
        ("full/classifier/modes", (10, 10, 8), "monotone"),
        ("full/checkerboard_index_2", (0.1, -1, -2), "monotone"),
        ("full/pca/data_copying", (0, -5, -9), "not asked"),
    ],
)
def test_a_measure_must_get_worse_all_the_way(ladder, name, means, verdict):
    assert ladder.judge(name, "blur", levels(*means), 0.01) == verdict


def test_copies_make_copying_fall(ladder):
    assert ladder.judge("full/pca/data_copying", "copies", levels(0, -5, -9), 0.01) == "monotone"
    assert ladder.judge("full/pca/copying_ratio", "copies", levels(1, 0.5, 0.1), 0.01) == "monotone"


def test_faults_do_what_they_are_called(ladder):
    random = np.random.default_rng(0)
    images = random.uniform(50, 200, (40, 8, 8, 1))
    struck = ladder.checkerboard(images, 0.1, random) - images
    np.testing.assert_allclose(np.abs(struck), 25.5)
    assert (struck[:, ::2, ::2] < 0).all() and (struck[:, ::2, 1::2] > 0).all()
    assert ladder.blur(images, 0.9, random).std() < 0.6 * images.std()
    assert (ladder.noise(images, 0.1, random) - images).std() == pytest.approx(25.5, rel=0.1)
    assert len(np.unique(ladder.repeats(images, 0.9, random), axis=0)) == 4
    for spoil, (nothing, *_) in ladder.FAULTS.values():
        np.testing.assert_array_equal(spoil(images, nothing, random), images)
