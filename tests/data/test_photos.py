"""Crops of photographs: none held out overlaps one to train on, and their spectra are natural."""

import numpy as np
import pytest
import sklearn.datasets

from ganlab.choose import ConfigError
from ganlab.config import Photos
from ganlab.data.photos import photos
from ganlab.evaluation.spectrum import power_spectrum, radial_profile


def crops(**more):
    plain = {"name": "photos", "size": 32, "channels": 3, "reduction": 2, "images": 200, "held_out": 100}
    return photos(Photos(**(plain | more)))


@pytest.fixture
def photograph(monkeypatch):
    """A function that puts an array [H,W,3] in the place of both photographs."""

    def place(pixels):
        monkeypatch.setattr(sklearn.datasets, "load_sample_image", lambda name: pixels)

    return place


@pytest.mark.parametrize(("size", "reduction", "width"), [(16, 1, 100), (16, 1, 170), (16, 2, 165), ((20, 24), 1, 103)])
def test_no_column_of_a_photograph_is_both_trained_on_and_held_out(photograph, size, reduction, width):
    plain = np.random.default_rng(0).integers(0, 256, (60, width, 3)).astype(np.uint8)
    photograph(plain)
    every = {"size": size, "reduction": reduction, "images": 400, "held_out": 100}
    before = crops(**every)
    seen = np.zeros((2, width), bool)
    for column in range(width):
        changed = plain.copy()
        changed[:, column] ^= 255
        photograph(changed)
        after = crops(**every)
        for part, (one, other) in enumerate([(before.train, after.train), (before.held_out, after.held_out)]):
            seen[part, column] = not np.array_equal(one.pixels, other.pixels)
    assert not seen.all(axis=0).any()
    assert seen[0].mean() > 0.5
    assert 0.15 < seen[1].mean() <= 0.25


def test_every_crop_is_a_different_one_and_lies_in_the_photograph(photograph):
    rows, columns = np.mgrid[:200, :250]
    photograph(np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8))
    split = crops(reduction=1, images=3000, held_out=500)
    for part in (split.train, split.held_out):
        top, left = part.pixels[:, 0, 0, 0].astype(int), part.pixels[:, 0, 0, 1].astype(int)
        assert len({*zip(part.labels, top, left, strict=True)}) == len(part.pixels)
        np.testing.assert_array_equal(part.pixels[:, :, :, 0], (top[:, None] + np.arange(32))[:, :, None].repeat(32, 2))
        np.testing.assert_array_equal(part.pixels[:, 0, :, 1], left[:, None] + np.arange(32))


def test_crops_are_the_same_for_every_run_and_whatever_their_number():
    few, many = crops(), crops(images=300, held_out=150)
    np.testing.assert_array_equal(few.train.pixels, many.train.pixels[:200])
    np.testing.assert_array_equal(few.held_out.pixels, many.held_out.pixels[:100])
    assert set(few.train.labels) == {0, 1}
    assert "CC BY 2.0" in few.train.source
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


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"images": 10**6}, "dataset.images=1000000 is more than there are different crops; use at most "),
        ({"held_out": 10**6}, "dataset.held_out=1000000 is more than there are different crops; use at most "),
        ({"size": 128}, "dataset.size=[128, 128] is more than the held-out strips of 213x80 pixels; use a smaller"),
    ],
)
def test_what_the_photographs_cannot_give_is_one_line(more, what):
    with pytest.raises(ConfigError) as caught:
        crops(**more)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_as_many_crops_as_the_line_says_are_there():
    with pytest.raises(ConfigError) as caught:
        crops(held_out=10**6)
    most = int(str(caught.value).rsplit(" ", 1)[1])
    assert len(crops(held_out=most).held_out.pixels) == most
