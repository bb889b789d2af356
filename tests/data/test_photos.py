"""Crops of photographs: all different, held-out ones like those to train on, and their spectra are natural."""

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from ganlab.config import Photos
from ganlab.data.photos import photos
from ganlab.errors import ConfigError
from ganlab.evaluation.metrics import coverage_null, precision_recall_density_coverage
from ganlab.evaluation.spectrum import power_spectrum, radial_profile


def crops(**more):
    plain = {"name": "photos", "size": 32, "channels": 3, "reduction": 2, "images": 200, "held_out": 100}
    return photos(Photos(**(plain | more)))


@pytest.fixture
def photograph(monkeypatch, tmp_path):
    """A function that puts an array [H,W,3] in the place of both photographs."""

    def place(pixels):
        Image.fromarray(pixels).save(tmp_path / "photograph.png")
        monkeypatch.setattr("ganlab.data.photos.bundled", lambda _: tmp_path / "photograph.png")

    return place


def test_the_photographs_are_those_that_scikit_learn_gives():
    names = ("china.jpg", "flower.jpg")
    views = [
        np.lib.stride_tricks.sliding_window_view(sklearn.datasets.load_sample_image(name), (128, 128), axis=(0, 1))
        for name in names
    ]
    held = crops(size=128, reduction=1).held_out
    assert {*held.labels} == {0, 1}
    for image, label in zip(held.pixels[:20], held.labels, strict=False):
        there = (views[label][..., 0, 0] == image[0, 0]).all(axis=-1)
        assert any(
            np.array_equal(np.moveaxis(views[label][place], 0, -1), image)
            for place in zip(*np.nonzero(there), strict=True)
        )


def test_every_crop_is_a_different_one_and_lies_in_the_photograph(photograph):
    rows, columns = np.mgrid[:200, :250]
    photograph(np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8))
    split = crops(reduction=1, images=3000, held_out=500)
    places = set()
    for part in (split.train, split.held_out):
        top, left = part.pixels[:, 0, 0, 0].astype(int), part.pixels[:, 0, 0, 1].astype(int)
        places |= {*zip(part.labels, top, left, strict=True)}
        np.testing.assert_array_equal(part.pixels[:, :, :, 0], (top[:, None] + np.arange(32))[:, :, None].repeat(32, 2))
        np.testing.assert_array_equal(part.pixels[:, 0, :, 1], left[:, None] + np.arange(32))
    assert len(places) == 3500  # no crop is in both


def test_held_out_crops_are_drawn_like_those_to_train_on():
    split = crops(images=2000, held_out=2000)
    one, other = (part.pixels[:, ::4, ::4].reshape(2000, -1) / 127.5 - 1 for part in (split.train, split.held_out))
    assert abs(precision_recall_density_coverage(one, other).coverage - coverage_null(2000, 2000)) < 0.02


def test_crops_are_the_same_for_every_run_and_whatever_their_number():
    few, many = crops(), crops(images=300, held_out=150)
    np.testing.assert_array_equal(few.train.pixels, many.train.pixels[:200])
    np.testing.assert_array_equal(few.held_out.pixels, many.held_out.pixels[:100])
    assert set(few.train.labels) == {0, 1}
    assert few.train.licence == "CC BY 2.0" and "vultilion" in few.train.source
    sky, flower = (many.train.pixels[many.train.labels == label].mean(axis=(0, 1, 2)) for label in (0, 1))
    assert sky[2] > flower[2] + 50  # china.jpg is bright and blue, flower.jpg dark and orange


@pytest.mark.parametrize(("size", "channels", "reduction"), [(16, 1, 4), (64, 3, 2), (128, 1, 1), ((32, 48), 3, 2)])
def test_crops_come_at_the_size_and_channels_asked_for(size, channels, reduction):
    split = crops(size=size, channels=channels, reduction=reduction)
    sides = size if isinstance(size, tuple) else (size, size)
    assert split.train.pixels.shape == (200, *sides, channels)
    assert split.held_out.pixels.shape == (100, *sides, channels)


def slope(images):
    profile = radial_profile(power_spectrum(images))
    rings = np.arange(2, len(profile))
    return np.polyfit(np.log(rings), np.log(profile[2:]), 1)[0]


@pytest.mark.parametrize("reduction", [1, 2])
def test_power_falls_with_frequency_as_in_natural_images(reduction):
    split = crops(channels=1, reduction=reduction, images=2000, held_out=1000)
    for part in (split.train, split.held_out):
        assert -3 < slope(part.pixels) < -1.5
    noise = np.random.default_rng(0).integers(0, 256, (500, 32, 32, 1))
    assert abs(slope(noise)) < 0.05


def test_more_crops_than_there_are_is_one_line():
    with pytest.raises(ConfigError) as caught:
        crops(images=10**6)
    assert "dataset.images=1000000 and dataset.held_out=100 exceed the number of different crops" in str(caught.value)
    assert "\n" not in str(caught.value)
    most = int(str(caught.value).rsplit(" at most ", 1)[1].split()[0])
    assert len(crops(images=most - 100).train.pixels) == most - 100
