"""`python -m ganlab.inspect dataset=...`: what it says of images, its picture, and which images are nearest."""

import sys

import numpy as np
import pytest
from PIL import Image

from ganlab import inspect
from ganlab.data.images import Images, Split
from ganlab.inspection.images import neighbours

RANDOM = np.random.default_rng(0)


@pytest.fixture
def look(monkeypatch, capsys, tmp_path):
    """`look("dataset=digits")`: what the command prints, and the path of its picture."""

    def run(*arguments):
        out = tmp_path / "look.png"
        monkeypatch.setattr(sys, "argv", ["ganlab.inspect", *arguments, f"out={out}"])
        inspect.main()
        return capsys.readouterr().out, out

    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "kept"))
    return run


def test_a_folder_is_told_in_a_few_lines_and_a_picture(look, tmp_path):
    for number in range(40):
        shape = (20, 30) if number == 7 else (16, 16, 3)
        path = tmp_path / "own pictures" / ("cat$^^", "dog$")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RANDOM.integers(0, 256, shape, np.uint8)).save(path, format="JPEG" if number == 9 else "PNG")
    (tmp_path / "own pictures" / "cat$^^" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "own pictures" / "words.txt").write_text("words")
    output, picture = look("dataset=folder", f"dataset.path={tmp_path / 'own pictures'}", "dataset.size=16")
    lines = {" ".join(line.split()) for line in output.splitlines()}
    assert {
        "files 41 images: 39 PNG, 1 JPEG",
        "1 other file ignored",
        "sizes 2 different, 16x16 to 20x30, half of them up to 16x16",
        "channels 39 RGB, 1 grey",
        "seen 40 images 16x16, RGB",
        "32 to train on, 8 held out",
        "classes 2: cat$^^ 16, dog$ 16",
        "from own pictures; licence unknown",
        "note 1 grey image is repeated to three channels",
    } <= lines
    assert any(line.startswith("unreadable cat$^^/bad.png: ") for line in lines)
    assert "python -m ganlab.train dataset=folder 'dataset.path=" in output
    assert "dataset.size=16 training.batch_size=32\n" in output  # as many as there are
    with Image.open(picture) as drawn:
        assert drawn.size == (1300, 940) and np.asarray(drawn).std() > 10


@pytest.mark.parametrize("overrides", [("dataset=digits",), ("dataset=shapes", "dataset.images=100"),
                                       ("dataset=photos", "dataset.images=80", "dataset.size=[16,32]")])  # fmt: skip
def test_every_data_set_can_be_looked_into(look, overrides):
    output, picture = look(*overrides)
    assert "to train on" in output and "licence" in output and picture.is_file()


def test_where_all_images_are_equal_no_others_differ(look, tmp_path):
    np.savez(tmp_path / "same.npz", images=np.full((50, 8, 8, 1), 7, np.uint8))
    output, _ = look("dataset=arrays", f"dataset.path={tmp_path / 'same.npz'}")
    assert "10 held-out images equal a training image\n" in output


def test_with_a_generator_it_is_about_that(look):
    output, _ = look("dataset=digits", "generator=upsample")
    assert "parameters" in output and "to train it" in output


def test_nearest_pairs_are_those_of_a_slow_search():
    train, held_out = RANDOM.integers(0, 256, (60, 8, 8, 3), np.uint8), RANDOM.integers(0, 256, (9, 8, 8, 3), np.uint8)
    held_out[4] = train[33]
    held_out[5] = np.clip(train[12].astype(int) + 2, 0, 255)
    near = neighbours(Split(Images(train, None, "", ""), Images(held_out, None, "", "")))
    apart = np.sqrt(((held_out[:, None].astype(float) - train[None]) ** 2).mean(axis=(2, 3, 4)))
    order = np.argsort(apart.min(axis=1), kind="stable")
    np.testing.assert_array_equal(near.held_out, order)
    np.testing.assert_array_equal(near.train, apart.argmin(axis=1)[order])
    np.testing.assert_allclose(near.distance, apart.min(axis=1)[order])
    assert (near.held_out[0], near.train[0], near.distance[0]) == (4, 33, 0.0)


def test_an_equal_image_is_found_beside_one_that_hardly_differs():
    image = RANDOM.integers(0, 256, (1, 32, 32, 3), np.uint8)
    brighter, swapped = image.copy(), image.copy()
    brighter[0, 5, 5, 0] ^= 1
    swapped[0, 0, :2] = image[0, 0, 1::-1]
    train = np.concatenate([brighter, swapped, image])
    near = neighbours(Split(Images(train, None, "", ""), Images(image, None, "", "")))
    assert (near.train[0], near.distance[0]) == (2, 0.0)
