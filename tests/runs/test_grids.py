import io

import numpy as np
import pytest
from PIL import Image

from ganlab.runs.grids import grid, png, save_gif, save_png

GREY = 128


def images(count, height=2, width=3, channels=1):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_stands_in_its_place_and_the_rest_is_background(channels):
    pixels = images(5, channels=channels)
    picture = grid(pixels, columns=3, border=2, enlarge=4)
    assert picture.dtype == np.uint8
    assert picture.shape == (2 * (8 + 2) + 2, 3 * (12 + 2) + 2, channels)
    expected = np.full_like(picture, GREY)
    for place in range(5):
        for y in range(8):
            for x in range(12):
                expected[2 + place // 3 * 10 + y, 2 + place % 3 * 14 + x] = pixels[place, y // 4, x // 4]
    np.testing.assert_array_equal(picture, expected)


@pytest.mark.parametrize(("size", "factor"), [(8, 8), (28, 2), (32, 2), (64, 1), (256, 1)])
def test_pictures_become_about_512_across(size, factor):
    picture = grid(np.zeros((64, size, size, 1), np.uint8), border=0)
    assert picture.shape == (8 * size * factor, 8 * size * factor, 1)


def test_few_images_make_a_narrow_picture_without_empty_columns():
    assert grid(images(2), border=0, enlarge=1).shape == (2, 6, 1)


@pytest.mark.parametrize(
    "pixels",
    [images(2).astype(np.float32), images(2)[0], images(2, channels=2), images(0)],
    ids=["float", "rank", "two channels", "none"],
)
def test_anything_but_pixels_is_refused(pixels):
    with pytest.raises(ValueError, match=r"must be uint8 \[N,H,W,C\] with C = 1 or 3"):
        grid(pixels)


@pytest.mark.parametrize("layout", [{"columns": 0}, {"border": -1}, {"enlarge": 0}])
def test_an_impossible_layout_is_refused(layout):
    with pytest.raises(ValueError, match=f"{next(iter(layout))}={next(iter(layout.values()))}"):
        grid(images(2), **layout)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_very_pixels(tmp_path, channels):
    pixels = images(1, 7, 5, channels)[0]
    save_png(tmp_path / "samples" / "step.png", pixels)
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["step.png"]
    content = (tmp_path / "samples" / "step.png").read_bytes()
    assert content == png(pixels)
    opened = Image.open(io.BytesIO(content))
    assert opened.mode == {1: "L", 3: "RGB"}[channels]
    np.testing.assert_array_equal(np.asarray(opened).reshape(pixels.shape), pixels)


def test_a_failed_write_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    save_png(path, images(1)[0])
    before = path.read_bytes()

    def full(self, content):
        raise OSError("disk is full")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(OSError, match="full"):
        save_png(path, images(2)[1])
    assert path.read_bytes() == before


def test_a_gif_keeps_its_frames_time_and_repeats(tmp_path):
    frames = images(4, 6, 6)
    save_gif(tmp_path / "walk.gif", frames, seconds_per_frame=0.25)
    with Image.open(tmp_path / "walk.gif") as gif:
        assert gif.info["loop"] == 0
        for place, frame in enumerate(frames):
            gif.seek(place)
            assert gif.info["duration"] == 250
            np.testing.assert_array_equal(np.asarray(gif.convert("L")), frame[..., 0])
        with pytest.raises(EOFError):
            gif.seek(len(frames))


def test_a_gif_needs_frames_of_one_size(tmp_path):
    for frames in ([], [images(1)[0], images(1, 4, 4)[0]]):
        with pytest.raises(ValueError, match="needs at least one frame, and frames of one size"):
            save_gif(tmp_path / "walk.gif", frames, 0.1)
    assert not list(tmp_path.iterdir())
