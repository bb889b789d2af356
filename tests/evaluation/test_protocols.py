"""Protocols: counts, floors, names, and that measures tell good images from bad."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ganlab.config import Digits
from ganlab.data.digits import digits
from ganlab.errors import ConfigError
from ganlab.evaluation.features import FEATURES, Features, RealImages
from ganlab.evaluation.features.base import some
from ganlab.evaluation.metrics import (
    coverage_null,
    frechet_distance,
    frechet_distance_null,
    sliced_wasserstein_pyramid,
)
from ganlab.evaluation.protocols import Counts, Measures
from ganlab.evaluation.registry import TABLE, base_name


@pytest.fixture(scope="module")
def split():
    return digits(Digits(name="digits", size=8, channels=1, held_out=0.2))


@pytest.fixture(scope="module")
def real(split):
    order = np.random.default_rng(0).permutation(len(split.train.pixels))  # the file is ordered by writer
    return RealImages(split.train.pixels[order], split.held_out.pixels, split.train.labels[order])


def see(name, real):
    return FEATURES[name](real)


@pytest.fixture
def quick(real):
    return Measures("quick", [see("pixels", real)], real, Counts(2000, 5))


@pytest.fixture(scope="module")
def few(real):
    return RealImages(real.train[:300], real.held_out, real.train_labels[:300])


@pytest.fixture
def full(few):
    return Measures("full", [see("pca", few), see("random", few)], few, Counts(200, 5, sets=2))


def as_vectors(pixels):
    return pixels.reshape(len(pixels), -1) / 127.5 - 1


def test_the_protocol_says_what_was_compared(quick, real):
    protocol = quick.protocol
    assert (protocol["n_real"], protocol["n_fake"], protocol["n_equal"]) == (359, 1438, 359)
    assert quick([real.train]).values["frechet_distance"] == pytest.approx(
        frechet_distance(as_vectors(real.held_out), as_vectors(real.train))
    )


def test_nulls_are_those_of_the_counts_that_are_compared(quick, real):
    null = frechet_distance_null(as_vectors(real.held_out), 359, 1438, gaussian=False)
    others = {"kernel_distance": 0, "density": 1, "coverage": coverage_null(359, 359, 5)}
    assert quick.nulls == pytest.approx({"frechet_distance": null} | others)


def test_real_images_are_the_floor_and_noise_is_far_from_it(quick, real):
    floor = quick.real_against_real
    assert floor["coverage"] == pytest.approx(quick.nulls["coverage"], abs=0.06)
    assert floor["density"] == pytest.approx(1, abs=0.15)
    noise = np.random.default_rng(0).integers(0, 256, (1438, 8, 8, 1), np.uint8)
    bad = quick([noise]).values
    assert bad["frechet_distance"] > 20 * floor["frechet_distance"]
    assert bad["precision"] < 0.05
    assert bad["coverage"] < 0.05
    assert bad["high_frequency_bias"] > 0.5
    copies = quick([np.repeat(real.train[:10], 144, axis=0)[:1438]]).values  # ten images again and again
    assert copies["coverage"] < 0.5
    assert copies["precision"] > 0.7


def test_each_of_many_draws_is_compared_with_itself():
    random = np.random.default_rng(0)
    train, held_out = (random.integers(0, 256, (count, 4, 4, 1), dtype=np.uint8) for count in (60, 30))
    real = RealImages(train, held_out)
    measures = Measures("full", [FEATURES["pca"](real, draws=12)], real, Counts(60, 5))
    values, _, _, draws = measures([some(train, measures.n_fake)])
    distance = "full/pca/frechet_distance"
    assert len(set(draws[distance])) == 12  # each of its own part of the training images
    assert values[distance] == pytest.approx(measures.real_against_real[distance])
    with pytest.raises(ConfigError, match=r"draws\.pca=12 parts of 23 training images are too many; use fewer"):
        FEATURES["pca"](real._replace(train=train[:23]), draws=12)


def test_another_protocol_has_another_hash(quick, real):
    other = Measures("quick", [see("pixels", real)], real, Counts(200, 5))
    assert (other.protocol["n_real"], other.protocol["n_fake"]) == (200, 200)
    assert other.protocol["hash"] != quick.protocol["hash"]
    darker = Measures("quick", [see("pixels", real)], real._replace(held_out=real.held_out // 2), Counts(200, 5))
    assert darker.protocol["hash"] != other.protocol["hash"]


def test_the_real_side_is_computed_once(quick, real, monkeypatch):
    monkeypatch.setattr(Measures, "_prepare", None)
    again = Measures("quick", [see("pixels", real)], real, Counts(2000, 5))
    assert again.protocol == quick.protocol
    assert again.real_against_real == quick.real_against_real
    assert again([real.train]).values == quick([real.train]).values


def test_no_name_of_one_protocol_is_one_of_the_other(quick, full):
    assert not quick.real_against_real.keys() & full.real_against_real.keys()
    assert all(name.startswith("full/") for name in full.real_against_real)
    assert {"full/pca/frechet_distance", "full/random/coverage", "full/spectral_distance"} <= set(
        full.real_against_real
    )
    assert {"full/sliced_wasserstein_8", "full/sliced_wasserstein_4", "full/spectral_two_sample"} <= set(
        full.real_against_real
    )
    assert set(full.protocol["features"]) == {"pca", "random"}


def test_values_are_means_over_sets_of_generated_images(full, real):
    one, other = some(real.train, 200), some(real.train[::-1], 200)
    together, alone, beside = full([one, other]), full([one]), full([other])
    assert alone.std == {}
    for name, value in together.values.items():
        assert value == pytest.approx((alone.values[name] + beside.values[name]) / 2), name
        assert together.std[name] == pytest.approx(abs(alone.values[name] - beside.values[name]) / 2**0.5), name


def test_training_images_in_the_place_of_generated_ones_are_called_copies(full, few, real):
    copied = full([few.train[:200]]).values["full/pca/data_copying"]
    fresh = full([real.train[300:500]]).values["full/pca/data_copying"]
    assert copied < -10
    assert abs(fresh) < 4
    assert abs(full.real_against_real["full/pca/data_copying"]) < 4


def test_a_generator_that_collapsed_is_measured_but_for_what_has_no_value(quick, full):
    grey = np.full((1438, 8, 8, 1), 128, np.uint8)
    values = quick([grey]).values
    assert values["frechet_distance"] > quick.real_against_real["frechet_distance"]
    assert (values["recall"], values["coverage"]) == (0, 0)
    assert "spectral_distance" not in values
    thorough = full([grey[:200], full.train[:200]])
    assert "full/spectral_distance" not in thorough.values  # the first set has none
    assert "full/spectral_two_sample" in full([full.train[:200]]).values
    assert "full/pca/energy_distance" in thorough.values
    assert thorough.values.keys() == thorough.std.keys()


def test_another_number_of_images_is_refused(full, few):
    with pytest.raises(ValueError, match="a set has 199 images; the protocol compares 200, give as many"):
        full([few.train[:200], few.train[:199]])


def test_only_distances_of_inception_features_have_their_names(few):
    (vectors,) = see("pca", few).embed(few.held_out)
    inception = Features("inception", lambda pixels: [vectors[: len(pixels)]], None, {}, "stand-in")
    named = Measures("full", [inception], few, Counts(50, 5)).real_against_real
    assert {"full/inception/fid", "full/inception/kid", "full/inception/coverage"} <= named.keys()
    assert not any(name.endswith(("frechet_distance", "kernel_distance")) for name in named)


@pytest.fixture
def drawn():
    """Measures through two kinds of features, of two draws and of three, of images made up: 60 and 40, or 40 and 60."""

    def measures(train=60, held_out=40, size=(8, 8)):
        random = np.random.default_rng(0)
        images = [random.integers(0, 256, (count, *size, 1), dtype=np.uint8) for count in (train, held_out)]

        def see(name, *seeds):
            maps = [np.random.default_rng(seed).normal(size=(64, 3)) for seed in seeds]
            return Features(
                name, lambda pixels: [as_vectors(pixels) @ each for each in maps], None, {}, f"made {seeds}"
            )

        kinds = [see("one", 1, 2), see("other", 3, 4, 5)]
        return Measures("full", kinds, RealImages(*images), Counts(100, 5, 2), mean_over=("one", "other"))

    return measures


def test_every_draw_of_a_kind_of_features_counts_equally_and_every_kind_too(drawn):
    measures = drawn()
    measured = measures([some(measures.train, 60), some(255 - measures.train, 60)])
    for name in ("frechet_distance", "precision", "recall", "density", "coverage"):
        columns = [np.array(measured.draws[f"full/{kind}/{name}"]) for kind in ("one", "other")]
        assert [len(column) for column in columns] == [2, 3]
        each = [np.log(column).mean() if name == "frechet_distance" else column.mean() for column in columns]
        mean = np.exp(np.mean(each)) if name == "frechet_distance" else np.mean(each)
        assert measured.values[f"full/mean/{name}"] == pytest.approx(mean), name
    assert len([name for name in measured.values if name.startswith("full/mean/")]) == 5


def test_what_is_cheap_are_the_measures_of_training_and_their_means(drawn):
    measures = drawn()
    cheap = measures.measure_cheap(fake := measures.train[::-1])
    assert {base_name(name) for name in cheap} == {row.name for row in TABLE if row.quick}
    values = measures([fake]).values
    assert cheap == pytest.approx({name: values[name] for name in cheap})
    assert "full/mean/coverage" in cheap


@pytest.mark.parametrize(("train", "held_out"), [(60, 40), (40, 60)])
def test_patches_are_compared_at_equal_counts(drawn, train, held_out):
    measures = drawn(train, held_out)
    fake = measures.train[::-1]
    wanted = sliced_wasserstein_pyramid(measures._held_out[:40], fake[:40])
    assert measures([fake]).values["full/sliced_wasserstein_8"] == pytest.approx(wanted[8])


def test_lines_of_pixels_have_no_spectrum(drawn):
    measures = drawn(size=(1, 64))
    values, _, power, _ = measures([measures.train[::-1]])
    assert power is measures.spectrum is None
    assert "full/mean/coverage" in values and not any("spectr" in name or "index" in name for name in values)


PREPARING = """
import json, sys, tracemalloc
import numpy as np
from ganlab.evaluation.features import FEATURES, RealImages
from ganlab.evaluation.protocols import Counts, Measures

held_out = np.random.default_rng(1).integers(0, 256, (400, 3, 32, 1), np.uint8)
tracemalloc.start()
peaks = []
for count in (20_000, 120_000):
    tracemalloc.reset_peak()
    real = RealImages(np.load(sys.argv[1], mmap_mode="r")[:count], held_out)
    pca = FEATURES["pca"](real)
    for name in ("quick", "full"):
        Measures(name, [pca], real, Counts(100, 5))([held_out[:100]])
    peaks.append(tracemalloc.get_traced_memory()[1])
print(json.dumps({"peaks": peaks, "tensorflow": "tensorflow" in sys.modules}))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_training_images(tmp_path):
    """Pixels stay on the disk: of 100,000 more neither their 10 MB are ever copied nor their 51 MB of features held."""
    np.save(tmp_path / "train.npy", np.random.default_rng(0).integers(0, 256, (120_000, 3, 32, 1), np.uint8))
    own = {"PYTHONPATH": str(Path(__file__).parent.parent.parent), "GANLAB_CACHE": str(tmp_path / "cache")}
    line = [sys.executable, "-c", PREPARING, str(tmp_path / "train.npy")]
    report = json.loads(subprocess.run(line, env=os.environ | own, check=True, stdout=subprocess.PIPE).stdout)
    few, many = report["peaks"]
    assert many - few < 3e6  # an order of all images is 8 bytes for each
    assert not report["tensorflow"]
