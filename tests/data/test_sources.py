"""Images: the right ones, split once for all, and clear words for files that are not what they should be."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ganlab.choose import ConfigError
from ganlab.config import Digits, Mnist
from ganlab.data.sources import digits, mnist


def digits_settings(**more):
    return Digits(**({"name": "digits", "size": 8, "channels": 1, "held_out": 0.2} | more))


def mnist_settings(path, **more):
    return Mnist(**({"name": "mnist", "size": 28, "channels": 1, "path": str(path)} | more))


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


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


IMAGES = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)


def test_an_npz_in_the_layout_of_keras_is_read(tmp_path):
    path = write(tmp_path / "m.npz", x_train=IMAGES, y_train=np.arange(12), x_test=IMAGES[:5], y_test=np.arange(5))
    split = mnist(mnist_settings(path))
    np.testing.assert_array_equal(split.train.pixels[..., 0], IMAGES)
    np.testing.assert_array_equal(split.held_out.labels, np.arange(5))
    unlabelled = write(tmp_path / "u.npz", x_train=IMAGES, x_test=IMAGES[:5])
    assert mnist(mnist_settings(unlabelled)).train.labels is None


def test_rgb_becomes_grey_by_luminance(tmp_path):
    red = np.zeros((4, 28, 28, 3), np.uint8)
    red[..., 0] = 200
    path = write(tmp_path / "rgb.npz", x_train=red, x_test=red)
    assert set(np.unique(mnist(mnist_settings(path)).train.pixels)) == {60}  # .299 x 200
    assert mnist(mnist_settings(path, channels=3)).train.pixels.shape == (4, 28, 28, 3)


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 255
    return content


BAD = {
    "does not exist": lambda p: None,
    "is no .npz": lambda p: p.write_bytes(b"not a zip"),
    "is no .npz; give": lambda p: p.write_bytes(write(p.with_suffix(".whole.npz"), x_train=IMAGES).read_bytes()[:900]),
    "is no readable .npz": lambda p: p.write_bytes(
        flipped(write(p.with_suffix(".whole.npz"), x_train=IMAGES, x_test=IMAGES))
    ),
    "lacks x_test; it has x_train": lambda p: write(p, x_train=IMAGES),
    "lacks x_test and x_train; it has images": lambda p: write(p, images=IMAGES),
    "has x_train of type float32; it must be uint8": lambda p: write(p, x_train=IMAGES / np.float32(9), x_test=IMAGES),
    "has x_train of shape [28, 28]": lambda p: write(p, x_train=IMAGES[0], x_test=IMAGES),
    "has x_test of shape [12, 28, 28, 2]": lambda p: write(p, x_train=IMAGES, x_test=np.stack([IMAGES] * 2, 3)),
    "different shapes": lambda p: write(p, x_train=IMAGES, x_test=IMAGES[:, 1:]),
    "has y_train of shape [3]": lambda p: write(
        p, x_train=IMAGES, x_test=IMAGES, y_train=np.arange(3), y_test=np.arange(12)
    ),
    "labels for one part only": lambda p: write(p, x_train=IMAGES, x_test=IMAGES, y_train=np.arange(12)),
    "has x_train of shape [0, 28, 28]": lambda p: write(p, x_train=IMAGES[:0], x_test=IMAGES),
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


def test_pickles_are_not_read(tmp_path):
    path = write(tmp_path / "p.npz", x_train=np.array([{"a": 1}], object), x_test=IMAGES)
    with pytest.raises(ConfigError, match=r"is no readable \.npz"):
        mnist(mnist_settings(path))


def test_a_single_array_is_no_npz(tmp_path):
    path = tmp_path / "a.npz"
    with path.open("wb") as file:
        np.save(file, IMAGES)
    with pytest.raises(ConfigError, match="is no"):
        mnist(mnist_settings(path))
