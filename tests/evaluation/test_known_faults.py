"""Which measures may decide: the faults, how they are measured, and what they say of real data sets."""

import dataclasses

import numpy as np
import pytest

from ganlab.evaluation import ladder, registry
from ganlab.evaluation.features import FEATURES, RealImages
from ganlab.evaluation.protocols import Counts, Measures
from ganlab.runs.result import has_collapsed
from ganlab.study.compare import admitted, missed_fault


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(50, 200, (200, 8, 8, 3))


def test_grain_is_of_two_grey_levels(images):
    random = np.random.default_rng(1)
    for spoil in (ladder.white_noise, ladder.lattice_grain):
        grain = spoil(images, random) - images
        assert grain.std() == pytest.approx(2, rel=0.05)
        assert abs(grain.mean()) < 0.05


def test_lattice_grain_has_a_lattice(images):
    # One kernel at every other pixel: as many random numbers as a quarter of the pixels, in each channel.
    grain = ladder.lattice_grain(images, np.random.default_rng(1)) - images
    assert np.linalg.matrix_rank(grain[..., 0].reshape(len(images), -1)) <= 6 * 6 < 64


def test_faults_are_what_they_are_called(images):
    random = np.random.default_rng(2)
    flat = np.full((5, 8, 10, 1), 90.0)
    np.testing.assert_allclose(ladder.blur(flat, random), flat)
    assert ladder.blur(images, random).std() < 0.6 * images.std()
    spoiled = ladder.malformed(images, random)
    changed = (spoiled != images).any(axis=(1, 2, 3))
    assert changed.sum() == 40
    np.testing.assert_array_equal(spoiled[:, :, 4:], images[:, :, 4:])
    np.testing.assert_array_equal(spoiled[1, :, :4], images[0, :, :4])
    assert len(np.unique(ladder.repeats(images, random).reshape(200, -1), axis=0)) == 2


def measure(pixels):
    """A distance that sees means and contrast, and a share that sees nothing."""
    return {"frechet_distance": 1 + abs(pixels.std() - 43.3), "coverage": 0.5, "decay_slope": 1.0}


def test_a_ladder_has_every_rung_of_every_compared_metric(images):
    labels = np.repeat([0, 1, 2, 3], 50)
    found = ladder.climb(measure, images.round().astype(np.uint8), labels, 150)
    assert set(found) == {"frechet_distance", "coverage"}
    names = [
        "real images", *registry.GRAIN, *registry.FAULTS, *(f"without class {label}" for label in range(4)),
        "deviation over draws",
    ]  # fmt: skip
    assert list(found["frechet_distance"]) == names
    assert missed_fault("coverage", found["coverage"]) is not None
    assert admitted(found) == []  # who sees contrast alone does not see repeated images


def test_a_slow_ladder_says_how_far_it_is(images, monkeypatch):
    clock, said = iter(range(1000, 10**6, 15)), []
    monkeypatch.setattr(ladder.time, "monotonic", lambda: next(clock))
    ladder.climb(measure, images.astype(np.uint8), None, 150, said.append)
    assert said[0] == "  1 of 6 tried, about 150 s left; next: white noise of 2 grey levels"
    assert len(said) == 3


def test_a_rung_is_a_mean_over_draws_and_its_noise_is_pooled_over_those_without_a_fault(images):
    values = np.random.default_rng(3).uniform(size=(6, 3))  # six rungs of three draws, the faultless ones first
    each = iter(values.ravel())
    found = ladder.climb(lambda pixels: {"coverage": next(each)}, images.astype(np.uint8), None, 150)["coverage"]
    noise = np.sqrt(values[:3].var(axis=1, ddof=1).mean())
    assert list(found.values()) == pytest.approx([*values.mean(axis=1), noise])


def test_every_rung_has_as_many_images(images):
    sizes = []
    labels = np.repeat([0, 1], [120, 80])
    ladder.climb(lambda pixels: sizes.append(len(pixels)) or measure(pixels), images.astype(np.uint8), labels, 150)
    assert set(sizes) == {80}


RUNGS = {"real images": 0.1, "white noise of 2 grey levels": 0.2, "lattice grain of 2 grey levels": 0.3,
         "blur of 3x3": 5.0, "one image in five malformed": 1.0, "one image in a hundred, repeated": 7.0,
         "deviation over draws": 0.01}  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "change", "against"),
    [
        ("full/pca/frechet_distance", {}, None),
        ("full/pca/frechet_distance", {"white noise of 2 grey levels": 1.1}, ("one image in five malformed", "white noise of 2 grey levels")),
        # chance reaches to 3 * 0.01 * sqrt(2 / 3) = 0.0245
        ("full/pca/frechet_distance", {"blur of 3x3": 0.324}, ("blur of 3x3", "lattice grain of 2 grey levels")),
        ("full/pca/frechet_distance", {"blur of 3x3": 0.325}, None),
        ("full/pca/frechet_distance", {"without class 0": 0.1, "without class 1": 2.0}, None),  # the mean counts
        ("full/pca/frechet_distance", {"without class 0": 0.1, "without class 1": 0.2}, ("a missing class", "lattice grain of 2 grey levels")),
        ("full/pca/coverage", {}, ("one image in a hundred, repeated", "white noise of 2 grey levels")),  # larger is better
        ("full/high_frequency_bias", {"blur of 3x3": -5.0}, None),  # its distance from 0
    ],
)  # fmt: skip
def test_what_a_ladder_admits(metric, change, against):
    assert missed_fault(metric, RUNGS | change) == against


def test_collapse_looks_at_the_coverage_of_the_primary():
    metrics, real = {"full/mean/coverage": 0.04, "coverage": 0.5}, {"full/mean/coverage": 0.9, "coverage": 0.9}
    assert has_collapsed("full/mean/frechet_distance", metrics, real, 0.05)
    assert not has_collapsed("full/mean/frechet_distance", metrics, real, 0.04)
    assert not has_collapsed("full/random/frechet_distance", metrics, real, 0.05)  # the quick one
    assert has_collapsed("frechet_distance", {"coverage": 0.04}, None, 0.05)  # real ones taken as 1
    assert has_collapsed("frechet_distance", {"precision": 0.0}, real, 0.05) is None
    assert has_collapsed("frechet_distance", {"coverage": 0.0}, real, None) is None


def digits():
    from ganlab.cli.hydra import plan
    from ganlab.data.sources import DATASETS

    split = DATASETS["digits"](plan(["dataset=digits"], multirun=False).cells[0].config.dataset)
    return RealImages(split.train.pixels, split.held_out.pixels, split.train.labels, split.held_out.labels)


@pytest.mark.slow
def test_several_draws_of_features_and_their_mean(tmp_path, monkeypatch):
    real = digits()
    two = [FEATURES["random"](real, draws=2), FEATURES["pca"](real, draws=3)]
    assert [len(each.embed(real.held_out[:50])) for each in two] == [2, 3]
    one = FEATURES["pca"](real)
    assert len(one.embed(real.held_out)) == 1
    assert len({each.digest for each in (one, two[1], FEATURES["pca"](real, draws=2))}) == 3

    measures = Measures("full", two, real, Counts(300, 5, 2), mean_over=("random", "pca"))
    sets = [real.train[:300], real.train[300:600]]
    measured = measures(sets)
    for name in ("frechet_distance", "coverage"):
        columns = [np.array(measured.draws[f"full/{kind}/{name}"]) for kind in ("random", "pca")]
        assert [len(column) for column in columns] == [2, 3]
        assert [measured.values[f"full/{kind}/{name}"] for kind in ("random", "pca")] == pytest.approx(
            [column.mean() for column in columns]
        )
        expected = np.mean([np.log(column).mean() for column in columns])
        means = [np.exp(expected), np.mean([column.mean() for column in columns])]
        assert measured.values[f"full/mean/{name}"] == pytest.approx(means[name == "coverage"])
    assert "full/mean/kernel_distance" not in measured.values
    assert measures.protocol["mean_over"] == ["random", "pca"]
    assert "mean_over" not in Measures("full", two, real, Counts(300, 5, 2)).protocol
    quick = measures.measure_cheap(sets[0])
    assert quick["full/pca/frechet_distance"] == pytest.approx(measures(sets[:1]).values["full/pca/frechet_distance"])
    assert "full/pca/energy_distance" not in quick


@pytest.mark.slow
def test_a_ladder_is_climbed_once(monkeypatch, tmp_path):
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path))
    real = digits()
    measures = Measures("full", [FEATURES["pca"](real)], real, Counts(10_000, 5))
    said = []
    first = measures.ladder(real.train_labels, said.append)
    assert measures.ladder(real.train_labels, said.append) == first
    assert len(said) == 1
    assert "full/pca/frechet_distance" in admitted(first)
    assert "full/pca/precision" not in admitted(first)


def test_a_class_that_holds_most_images_is_never_the_missing_one():
    # Without it too few would be left for any measure; on the other rungs as many would be missing.
    labels = np.repeat([0, 1, 2], [140, 50, 10])
    sizes = []
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (200, 8, 8, 1), np.uint8)
    found = ladder.climb(lambda pixels: sizes.append(len(pixels)) or measure(pixels), images, labels, 150)
    assert {name for name in found["coverage"] if name.startswith(registry.WITHOUT_CLASS)} == {
        "without class 1",
        "without class 2",
    }
    assert set(sizes) == {150}


def test_rungs_of_large_images_have_fewer_of_them():
    assert [ladder.images_of_a_rung(5000, shape) for shape in ((32, 32, 3), (128, 128, 3), (1024, 1024, 3))] == [
        5000, 682, 200,
    ]  # fmt: skip
    assert ladder.images_of_a_rung(60, (1024, 1024, 3)) == 60


def test_inception_is_not_tried(monkeypatch, tmp_path):
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path))
    real = digits()
    pca = FEATURES["pca"](real)
    inception = dataclasses.replace(pca, name="inception")
    found = Measures("full", [pca, inception], real, Counts(60, 5)).ladder(real.train_labels, lambda line: None)
    assert "full/pca/frechet_distance" in found
    assert not any("inception" in name for name in found)
