"""Images: the right ones, split once for all, and clear words for files that are not what they should be."""

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ganlab.config import Digits, Published
from ganlab.data import sources
from ganlab.data.digits import digits
from ganlab.data.images import Images, Split
from ganlab.data.libraries import survey_of_parts
from ganlab.data.published import facts
from ganlab.data.published import published as mnist
from ganlab.data.sources import DATASETS, class_counts, counts
from ganlab.data.survey import Part
from ganlab.errors import ConfigError

GENUINE = Path(os.environ.get("GANLAB_MNIST", Path.home() / ".keras/datasets/mnist.npz"))


def digits_settings(**more):
    return Digits(**({"name": "digits", "size": 8, "channels": 1, "held_out": 0.2} | more))


def mnist_settings(path, **more):
    return Published(**({"name": "mnist", "size": 28, "channels": 1, "path": str(path)} | more))


def test_digits_are_split_by_class_and_at_random():
    split = digits(digits_settings())
    train, held = split.train, split.held_out
    assert train.pixels.shape[1:] == (8, 8, 1)
    assert train.pixels.dtype == np.uint8
    assert len(train.pixels) + len(held.pixels) == 1797
    shares = np.bincount(held.labels) / (np.bincount(train.labels) + np.bincount(held.labels))
    np.testing.assert_allclose(shares, 0.2, atol=0.003)
    assert train.pixels.max() == 255  # sixteen of sixteen
    # the file is ordered by writer: a split by place would differ in its means by far more than this
    gap = np.abs(train.pixels.mean(axis=0) - held.pixels.mean(axis=0)).max()
    assert gap < 15
    again = digits(digits_settings())
    np.testing.assert_array_equal(again.held_out.pixels, held.pixels)


def test_the_digits_are_those_that_scikit_learn_gives():
    values, labels = load_digits(return_X_y=True)
    split = digits(digits_settings())
    whole = {tuple(np.rint(row * 255 / 16).astype(int)): digit for row, digit in zip(values, labels, strict=True)}
    for part in (split.train, split.held_out):
        for image, digit in zip(part.pixels, part.labels, strict=True):
            assert whole[tuple(image.ravel())] == digit


def test_images_come_at_the_size_and_channels_asked_for():
    split = digits(digits_settings(size=(10, 12), channels=3))
    assert split.train.pixels.shape[1:] == (10, 12, 3)
    np.testing.assert_array_equal(split.train.pixels[..., 0], split.train.pixels[..., 2])
    plain = digits(digits_settings()).train.pixels
    assert abs(split.train.pixels.mean() - plain.mean()) < 4  # resizing keeps the brightness


@pytest.mark.parametrize(
    "overrides",
    [
        ("dataset=digits",),
        ("dataset=digits", "dataset.held_out=0.37"),
        ("dataset=photos", "dataset.images=3000", "dataset.held_out=70", "dataset.size=48", "dataset.reduction=3"),
        ("dataset=shapes", "dataset.images=700", "dataset.held_out=50", "dataset.seed=4", "dataset.size=16"),
    ],
    ids=" ".join,
)
def test_what_is_said_of_images_before_they_are_loaded_is_so(settings, overrides):
    size = () if "digits" in overrides[0] else ("generator.stages=[[8,2],[8,2],[null,2]]",)
    dataset = settings(*overrides, *size).dataset
    split = DATASETS[dataset.name](dataset)
    assert counts(dataset) == (len(split.train.pixels), len(split.held_out.pixels))
    assert class_counts(dataset) == np.bincount(split.train.labels, minlength=dataset.classes).tolist()


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


IMAGES = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
OTHERS = np.random.default_rng(1).integers(0, 256, (5, 28, 28), np.uint8)


def test_an_npz_in_the_layout_of_keras_is_read(tmp_path):
    path = write(tmp_path / "m.npz", x_train=IMAGES, y_train=np.arange(12), x_test=OTHERS, y_test=np.arange(5))
    split = mnist(mnist_settings(path))
    for part, images in ((split.train, IMAGES), (split.held_out, OTHERS)):
        assert sorted(part.labels) == list(range(len(images)))
        np.testing.assert_array_equal(part.pixels[..., 0], images[part.labels])
    unlabelled = write(tmp_path / "u.npz", x_train=IMAGES, x_test=OTHERS)
    assert mnist(mnist_settings(unlabelled)).train.labels is None


def test_a_file_in_that_layout_is_mnist_by_its_content_only(tmp_path):
    path = write(tmp_path / "m.npz", x_train=IMAGES, x_test=IMAGES)
    split = mnist(mnist_settings(path))
    assert (split.train.source, split.train.licence) == ("m.npz", "unknown")
    first, twins = split.notes
    assert first == "m.npz: 12 images [x_train] to train on, 12 [x_test] held out, no labels; licence unknown"
    assert twins.startswith("12 held-out images are also among the training images: x_test[")
    small = mnist(mnist_settings(path, size=(14, 12), channels=3))
    assert small.notes[1:2] == ("24 images 28x28x1 -> 14x12x3: resized, grey repeated to three channels",)


@pytest.mark.skipif(not GENUINE.exists(), reason="the file of MNIST is not here")
def test_the_genuine_file_is_told_by_its_content(tmp_path):
    split = mnist(mnist_settings(GENUINE))
    assert split.train.source == "MNIST of LeCun, Cortes and Burges"
    assert np.bincount(split.train.labels).tolist() == list(facts("mnist").class_counts)
    assert len(split.held_out.pixels) == facts("mnist").held_out
    with np.load(GENUINE) as file:
        arrays = dict(file)
    arrays["x_train"][0, 0, 0] ^= 1
    other = write(tmp_path / "other.npz", **arrays)
    assert mnist(mnist_settings(other)).train.source == "other.npz"


def single(path, array):
    with path.open("wb") as file:
        np.save(file, array)


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 255
    return content


BAD = {
    "does not exist": lambda p: None,
    "is not an .npz": lambda p: p.write_bytes(b"not a zip"),
    "is not an .npz or .npy file; give": lambda p: p.write_bytes(
        write(p.with_suffix(".whole.npz"), x_train=IMAGES).read_bytes()[:900]
    ),
    "is damaged": lambda p: p.write_bytes(flipped(write(p.with_suffix(".whole.npz"), x_train=IMAGES, x_test=IMAGES))),
    "lacks x_test of Keras' mnist.npz (it has x_train); use dataset=arrays": lambda p: write(p, x_train=IMAGES),
    "lacks x_train and x_test of Keras' mnist.npz (it has images); use": lambda p: write(p, images=IMAGES),
    "has x_train float32 [12, 28, 28], but MNIST has uint8 [N,28,28]; use dataset=arrays": lambda p: write(
        p, x_train=IMAGES / np.float32(9), x_test=IMAGES
    ),
    "has x_train uint8 [28, 28]": lambda p: write(p, x_train=IMAGES[0], x_test=IMAGES),
    "has x_test uint8 [12, 28, 28, 3]": lambda p: write(p, x_train=IMAGES, x_test=np.stack([IMAGES] * 3, 3)),
    "has x_test uint8 [12, 27, 28]": lambda p: write(p, x_train=IMAGES, x_test=IMAGES[:, 1:]),
    "has y_train of shape [3]": lambda p: write(
        p, x_train=IMAGES, x_test=IMAGES, y_train=np.arange(3), y_test=np.arange(12)
    ),
    "labels for one part only": lambda p: write(p, x_train=IMAGES, x_test=IMAGES, y_train=np.arange(12)),
    "has x_train uint8 [0, 28, 28]": lambda p: write(p, x_train=IMAGES[:0], x_test=IMAGES),
    "has x_train object [1], but MNIST": lambda p: write(p, x_train=np.array([{"a": 1}], object), x_test=IMAGES),
    "lacks x_train and x_test of Keras' mnist.npz (it has one array without a name)": lambda p: single(p, IMAGES),
}


@pytest.mark.parametrize("what", BAD, ids=range(len(BAD)))
def test_a_file_that_is_not_right_is_named_with_what_is_wrong(what, tmp_path):
    path = tmp_path / "bad.npz"
    BAD[what](path)
    with pytest.raises(ConfigError) as caught:
        mnist(mnist_settings(path))
    assert what in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


class Mine(NamedTuple):
    """Settings of a data set of one's own."""

    name: str = "mine"
    size: tuple[int, int] = (8, 12)
    channels: int = 3
    classes: int = 3


PIXELS, LABELS = np.zeros((5, 8, 12, 3), np.uint8), np.array([0, 1, 2, 2, 0])


@pytest.mark.parametrize(
    ("pixels", "labels", "said"),
    [
        (PIXELS / 1, None, "pixels float64 [5,8,12,3]; they must be uint8 [N,8,12,3]"),
        (PIXELS[..., :1], None, "pixels uint8 [5,8,12,1]; they must be uint8 [N,8,12,3]"),
        (list(PIXELS), None, "pixels that are a list; they must be"),
        (PIXELS, LABELS[1:], "labels int64 [4]; they must be whole numbers [5]"),
        (PIXELS, LABELS / 1, "labels float64 [5]; they must be whole numbers [5]"),
        (PIXELS, LABELS + 1, "labels from 1 to 3; of 3 classes they must be from 0 to 2"),
        (None, None, "a NoneType; its function must give a ganlab.data.images.Split"),
    ],
)
def test_a_data_set_of_ones_own_that_is_not_what_it_says_is_one_line(pixels, labels, said, monkeypatch):
    good = Images(PIXELS, LABELS, "mine", "zeros")
    split = None if pixels is None else Split(good, Images(pixels, labels, "mine", "zeros"))
    monkeypatch.setitem(DATASETS, "mine", lambda _: split)
    sources._load.cache_clear()
    with pytest.raises(ConfigError, match=re.escape(f"dataset=mine gives {said}")):
        counts(Mine())


def test_names_of_classes_are_those_that_config_json_gives_back():
    parts = [Part(1, (8, 8, 1), np.zeros(1, np.int64), list)]
    assert survey_of_parts("x", parts, ("a\u200f", "b"), [], "", None).class_names == ("a�", "b")
