"""One file's bytes to pixels: every kind on purpose, what is refused and how, and whatever bytes there may be."""

import contextlib
import io
import pickle
import struct
import subprocess
import sys
import time
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings, strategies
from hypothesis.extra.numpy import arrays
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from ganlab.data import decode as module
from ganlab.data.decode import Facts, Undecodable, read_header
from ganlab.data.images import fit


def Decoding(size=None, channels=None, crop="none", background=(255, 255, 255), frames="first"):
    return module.Decoding(size, channels, crop, background, frames)


def decode(content, name, how):
    """None: the size and the channels that the header says."""
    if None in how:
        known = read_header(content, name)
        how = how._replace(size=how.size or (known.height, known.width), channels=how.channels or known.channels)
    return module.decode(content, name, how)


PLAIN = Decoding()
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (3, 4, 3), np.uint8)
GREY = RNG.integers(0, 256, (3, 4, 1), np.uint8)
ALPHA = np.array([[0, 255, 128, 1]] * 3, np.uint8)[..., None]
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def saved(picture, kind, **more):
    """A picture, or its pixels, as a file of this format."""
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    stream = io.BytesIO()
    picture.save(stream, kind, **more)
    return stream.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, *chunks, interlaced=0):
    """A PNG by hand; rows: what is compressed, each with its filter byte. chunks: (kind, data) before the pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    more = b"".join(chunk(*one) for one in chunks)
    return b"\x89PNG\r\n\x1a\n" + header + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(width, height, bits, photometric, data, *tags):
    """An uncompressed little-endian TIFF by hand, one sample a pixel; tags: (number, type, value)."""
    entries = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 8),
               (277, 3, 1), (278, 4, height), (279, 4, len(data)), *tags]  # fmt: skip
    data += b"\0" * (len(data) % 2)
    table = b"".join(struct.pack("<HHII", number, kind, 1, value) for number, kind, value in sorted(entries))
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries)) + table + b"\0" * 4


def palette(colours, indices):
    picture = Image.fromarray(np.array(indices, np.uint8), "P")
    picture.putpalette([value for colour in colours for value in colour])
    return picture


def over(pixels, alpha, background):
    """What a layer on a background must be, rounded to the nearest."""
    mixed = pixels.astype(int) * alpha + np.array(background) * (255 - alpha.astype(int))
    return ((2 * mixed + 255) // 510).astype(np.uint8)


def adobe(transform, *stored):
    """A flat CMYK JPEG whose four stored components are these, with Adobe's marker."""
    picture = Image.new("CMYK", (8, 8), tuple(255 - value for value in stored))
    content = saved(picture, "JPEG", quality=100, subsampling=0)
    place = content.index(b"Adobe") + 11
    return content[:place] + bytes([transform]) + content[place + 1 :]


def several(kind, *pictures, **more):
    frames = [one if isinstance(one, Image.Image) else Image.new("RGB", (4, 3), one) for one in pictures]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], **more)


def flat(colour, height=3, width=4):
    return np.full((1, height, width, len(colour)), colour, np.uint8)


SIXTEEN = np.array([[0, 128, 129, 385, 386, 32767, 65406, 65407, 65535]], ">u2")  # below and above every half
EIGHT = np.array([0, 0, 1, 1, 2, 127, 254, 255, 255], np.uint8).reshape(1, 1, 9, 1)
THREE = [[[0, 1, 2, 0]] * 3, (RED, BLUE, (9, 9, 9))]
PALETTE = palette(THREE[1], THREE[0])
COLOURS = np.array([[RED, BLUE, (9, 9, 9), RED]] * 3, np.uint8)[None]
NO_BLUE = np.array([[RED, WHITE, (9, 9, 9), RED]] * 3, np.uint8)[None]
GREYS = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
ON_WHITE = "transparent"

# what, its bytes, what it is called, its facts, and the pixels without settings
TABLE = [
    ("PNG, RGB", saved(COLOUR, "PNG"), "a.png", Facts("PNG", 3, 4, 3, 1, ()), COLOUR[None]),
    ("PNG, grey", saved(GREY, "PNG"), "a.PNG", Facts("PNG", 3, 4, 1, 1, ()), GREY[None]),
    ("PNG, 1 bit", png(4, 1, 1, 0, b"\0\xa0"), "a.png", Facts("PNG", 1, 4, 1, 1, ("1 bit",)),
     np.array([255, 0, 255, 0], np.uint8).reshape(1, 1, 4, 1)),
    ("PNG, 1 bit, white transparent", png(4, 1, 1, 0, b"\0\xa0", (b"tRNS", b"\0\1")), "a.png",
     Facts("PNG", 1, 4, 1, 1, ("1 bit", ON_WHITE)), np.array([255, 0, 255, 0], np.uint8).reshape(1, 1, 4, 1)),
    ("PNG, 4 bit, one grey transparent", png(2, 1, 4, 0, b"\0\x35", (b"tRNS", b"\0\3")), "a.png",
     Facts("PNG", 1, 2, 1, 1, (ON_WHITE,)), np.array([255, 85], np.uint8).reshape(1, 1, 2, 1)),
    ("PNG, palette", saved(PALETTE, "PNG"), "a.png", Facts("PNG", 3, 4, 3, 1, ("palette",)), COLOURS),
    ("PNG, palette, one transparent", saved(PALETTE, "PNG", transparency=1), "a.png",
     Facts("PNG", 3, 4, 3, 1, ("palette", ON_WHITE)), NO_BLUE),
    ("PNG, palette with alphas", saved(PALETTE, "PNG", transparency=b"\x80\0\xff"), "a.png",
     Facts("PNG", 3, 4, 3, 1, ("palette", ON_WHITE)),
     np.array([[(255, 127, 127), WHITE, (9, 9, 9), (255, 127, 127)]] * 3, np.uint8)[None]),
    ("PNG, LA", saved(np.concatenate([GREY, ALPHA], 2), "PNG"), "a.png", Facts("PNG", 3, 4, 1, 1, (ON_WHITE,)),
     over(GREY, ALPHA, 255)[None]),
    ("PNG, RGBA", saved(np.concatenate([COLOUR, ALPHA], 2), "PNG"), "a.png",
     Facts("PNG", 3, 4, 3, 1, (ON_WHITE,)), over(COLOUR, ALPHA, WHITE)[None]),
    ("PNG, RGB, one transparent", png(2, 1, 8, 2, b"\0\1\2\3\4\5\6", (b"tRNS", b"\0\1\0\2\0\3")), "a.png",
     Facts("PNG", 1, 2, 3, 1, (ON_WHITE,)), np.array([[[WHITE, (4, 5, 6)]]], np.uint8)),
    ("PNG, 16 bit", png(9, 1, 16, 0, b"\0" + SIXTEEN.tobytes()), "a.png",
     Facts("PNG", 1, 9, 1, 1, ("16 bit: reduced to 8",)), EIGHT),
    ("PNG, 16 bit, one transparent", png(9, 1, 16, 0, b"\0" + SIXTEEN.tobytes(), (b"tRNS", b"\0\x80")), "a.png",
     Facts("PNG", 1, 9, 1, 1, (ON_WHITE, "16 bit: reduced to 8")),
     np.array([0, 255, 1, 1, 2, 127, 254, 255, 255], np.uint8).reshape(1, 1, 9, 1)),
    ("PNG, 16 bit RGB", png(1, 1, 16, 2, b"\0\x01\xff\x80\x00\xff\x00"), "a.png",
     Facts("PNG", 1, 1, 3, 1, ("16 bit: reduced to 8",)), flat((1, 128, 255), 1, 1)),
    ("PNG, interlaced", png(3, 1, 8, 0, b"\0\1\0\3\0\2", interlaced=1), "a.png", Facts("PNG", 1, 3, 1, 1, ()),
     np.array([1, 2, 3], np.uint8).reshape(1, 1, 3, 1)),
    ("JPEG", saved(np.full((16, 8, 3), (200, 100, 50), np.uint8), "JPEG", quality=100, subsampling=0), "a.jpg",
     Facts("JPEG", 16, 8, 3, 1, ()), flat((200, 100, 50), 16, 8)),
    ("JPEG, progressive", saved(np.full((9, 8, 1), 77, np.uint8), "JPEG", progressive=True), "a.jpeg",
     Facts("JPEG", 9, 8, 1, 1, ()), flat((77,), 9, 8)),
    ("JPEG, named .png", saved(np.full((8, 8, 1), 7, np.uint8), "JPEG", quality=100), "b/a.png",
     Facts("JPEG", 8, 8, 1, 1, ("is JPEG, named .png",)), flat((7,), 8, 8)),
    ("JPEG, CMYK", adobe(0, 255, 0, 255, 102), "a.jpg", Facts("JPEG", 8, 8, 3, 1, ("CMYK: converted",)),
     flat((102, 0, 102), 8, 8)),
    ("JPEG, YCCK", adobe(2, 100, 128, 128, 255), "a.jpg", Facts("JPEG", 8, 8, 3, 1, ("CMYK: converted",)),
     flat((155, 155, 155), 8, 8)),
    ("JPEG with a second picture", several("MPO", Image.new("L", (8, 9), 7), Image.new("L", (8, 9), 99)), "a.jpg",
     Facts("JPEG", 9, 8, 1, 1, ()), flat((7,), 9, 8)),
    ("WebP", saved(COLOUR, "WEBP", lossless=True), "a.webp", Facts("WEBP", 3, 4, 3, 1, ()), COLOUR[None]),
    ("WebP, RGBA", saved(np.concatenate([COLOUR, ALPHA], 2), "WEBP", lossless=True, exact=True), "a.webp",
     Facts("WEBP", 3, 4, 3, 1, (ON_WHITE,)), over(COLOUR, ALPHA, WHITE)[None]),
    ("BMP", saved(COLOUR, "BMP"), "a.bmp", Facts("BMP", 3, 4, 3, 1, ()), COLOUR[None]),
    ("BMP, palette", saved(PALETTE, "BMP"), "a.bmp", Facts("BMP", 3, 4, 3, 1, ("palette",)), COLOURS),
    ("GIF", saved(PALETTE, "GIF"), "a.gif", Facts("GIF", 3, 4, 3, 1, ("palette",)), COLOURS),
    ("GIF of greys", saved(GREYS, "GIF"), "a.gif", Facts("GIF", 16, 16, 3, 1, ("palette",)), GREYS[None].repeat(3, 3)),
    ("GIF, transparent", saved(PALETTE, "GIF", transparency=1), "a.gif",
     Facts("GIF", 3, 4, 3, 1, ("palette", ON_WHITE)), NO_BLUE),
    ("GIF, animated", several("GIF", RED, BLUE), "a.gif",
     Facts("GIF", 3, 4, 3, 2, ("palette", "animated, 2 frames")), flat(RED)),
    ("TIFF", saved(COLOUR, "TIFF"), "a.tif", Facts("TIFF", 3, 4, 3, 1, ()), COLOUR[None]),
    ("TIFF, compressed", saved(COLOUR, "TIFF", compression="tiff_lzw"), "a", Facts("TIFF", 3, 4, 3, 1, ()),
     COLOUR[None]),
    ("TIFF, 16 bit", tiff(9, 1, 16, 1, SIXTEEN.astype("<u2").tobytes()), "a.tiff",
     Facts("TIFF", 1, 9, 1, 1, ("16 bit: reduced to 8",)), EIGHT),
    ("TIFF, 16 bit, white is zero", tiff(9, 1, 16, 0, (65535 - SIXTEEN).astype("<u2").tobytes()), "a.tiff",
     Facts("TIFF", 1, 9, 1, 1, ("16 bit: reduced to 8",)), EIGHT),
    ("TIFF, 8 bit, white is zero", tiff(4, 1, 8, 0, bytes([0, 1, 254, 255])), "a.tif",
     Facts("TIFF", 1, 4, 1, 1, ()), np.array([255, 254, 1, 0], np.uint8).reshape(1, 1, 4, 1)),
    ("TIFF, 12 bit", tiff(2, 1, 12, 1, b"\xff\xf8\x00"), "a.tif",
     Facts("TIFF", 1, 2, 1, 1, ("12 bit: reduced to 8",)), np.array([255, 128], np.uint8).reshape(1, 1, 2, 1)),
    ("TIFF, CMYK", saved(Image.new("CMYK", (4, 3), (0, 255, 0, 153)), "TIFF"), "a.tif",
     Facts("TIFF", 3, 4, 3, 1, ("CMYK: converted",)), flat((102, 0, 102))),
    ("TIFF of two pages", several("TIFF", RED, BLUE), "a.tif", Facts("TIFF", 3, 4, 3, 2, ("2 pages",)),
     flat(RED)),
]  # fmt: skip
FILES = {what: content for what, content, *_ in TABLE}


@pytest.mark.parametrize(("content", "name", "facts", "pixels"), [row[1:] for row in TABLE], ids=FILES)
def test_every_kind_of_file(content, name, facts, pixels):
    assert read_header(content, name) == facts
    result = decode(content, name, PLAIN)
    assert result.dtype == np.uint8 and result.flags.writeable and result.flags.c_contiguous
    assert result.shape[1:] == facts[1:4]
    np.testing.assert_array_equal(result, pixels)


@pytest.mark.parametrize("what", FILES)
def test_any_file_has_the_size_and_channels_that_are_asked_for(what):
    for channels in (1, 3):
        for crop in ("none", "centre", "random"):
            assert decode(FILES[what], what, Decoding((5, 2), channels, crop)).shape == (1, 5, 2, channels)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("channels", [1, 3])
@settings(max_examples=20, deadline=None)
@given(strategies.data())
def test_pixels_come_back_as_they_were_saved(kind, channels, data):
    sides = strategies.integers(1, 20)
    pixels = data.draw(arrays(np.uint8, strategies.tuples(sides, sides, strategies.just(channels))))
    content = saved(pixels, kind, **({"lossless": True} if kind == "WEBP" else {}))
    same = pixels.repeat(3, 2) if kind == "WEBP" and channels == 1 else pixels
    np.testing.assert_array_equal(decode(content, "", PLAIN), same[None])


@pytest.mark.parametrize("size", [(24, 20), (7, 9), (40, 11)])
@pytest.mark.parametrize("before", [1, 3])
@pytest.mark.parametrize("after", [1, 3])
def test_a_file_gives_the_bits_that_an_array_of_its_pixels_gives(size, before, after, monkeypatch):
    pixels = RNG.integers(0, 256, (24, 20, before), np.uint8)
    content, expected = saved(pixels, "PNG"), fit(pixels[None], size, after)
    np.testing.assert_array_equal(decode(content, "", Decoding(size, after)), expected)


def test_grey_is_that_of_arrays_for_large_pictures_too():
    values = np.stack(np.meshgrid(*[np.arange(0, 256, 1)] * 2), -1).astype(np.uint8).reshape(-1, 2)
    pixels = np.stack([np.insert(values, 1, middle, axis=1) for middle in range(0, 256, 6)])  # more than one part of it
    content = saved(pixels, "BMP")
    np.testing.assert_array_equal(decode(content, "", Decoding(None, 1)), fit(pixels[None], pixels.shape[:2], 1))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG", "TIFF"])
def test_exif_turns_a_picture_upright(orientation, kind):
    upright = np.zeros((16, 32, 1), np.uint8)
    upright[:8, :8], upright[:8, 24:], upright[8:, :8] = 60, 120, 180  # each corner another
    turned = {1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
              5: upright.transpose(1, 0, 2), 6: np.rot90(upright, 1), 7: np.rot90(upright, 2).transpose(1, 0, 2),
              8: np.rot90(upright, -1)}[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    more = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}.get(kind, {})
    content = saved(np.ascontiguousarray(turned), kind, exif=exif, **more)
    facts = read_header(content, "")
    assert (facts.height, facts.width) == (16, 32)
    assert facts.remarks == (("rotated by EXIF",) if orientation > 1 else ())
    np.testing.assert_allclose(decode(content, "", Decoding(None, 1)), upright[None], atol=2)
    small = decode(content, "", Decoding((2, 4), 1))[0, ..., 0]
    np.testing.assert_allclose(small, [[60, 0, 0, 120], [180, 0, 0, 0]], atol=30)


def test_exif_after_the_pixels_of_a_png_counts():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(GREY, "PNG", exif=exif)
    parts = sorted(chunks(content), key=lambda part: [b"IHDR", b"IDAT", b"eXIf", b"IEND"].index(part[0]))
    content = content[:8] + b"".join(chunk(*part) for part in parts)
    assert read_header(content, "").remarks == ("rotated by EXIF",)
    np.testing.assert_array_equal(decode(content, "", PLAIN), np.rot90(GREY, -1)[None])


def test_exif_that_cannot_be_read_is_told():
    content = saved(GREY, "PNG", exif=b"Exif\0\0MM\0*\0\0\xff\xff")
    content = content.replace(b"MM\0*\0\0\xff\xff", b"what is this"[:8])
    content = content[:8] + b"".join(chunk(kind, data) for kind, data in chunks(content))
    assert read_header(content, "").remarks == ("unreadable EXIF: not rotated",)
    np.testing.assert_array_equal(decode(content, "", PLAIN), GREY[None])


def chunks(content):
    place = 8
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        yield content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        place += 12 + length


def test_the_background_shows_through_and_hidden_colours_do_not():
    hidden = np.zeros((8, 8, 4), np.uint8)
    hidden[..., 0], hidden[:, :4] = 255, (0, 255, 0, 255)  # half of it green, half a red that nobody sees
    content = saved(hidden, "PNG")
    result = decode(content, "", Decoding((3, 3), 3, background=(0, 0, 200)))
    assert not result[..., 0].any()
    np.testing.assert_allclose(result[0, :, 2], [(0, 0, 200)] * 3, atol=20)
    assert read_header(content, "").remarks == ("transparent",)
    clear = saved(np.zeros((2, 2, 2), np.uint8), "PNG")
    assert (decode(clear, "", Decoding(None, 3, background=RED)) == RED).all()
    assert (decode(clear, "", Decoding(None, None, background=RED)) == 76).all()  # grey stays grey: red's luminance


def test_crops_have_the_wanted_aspect():
    columns = np.tile(np.arange(100, dtype=np.uint8), (20, 1))[..., None]
    content = saved(columns, "PNG")
    np.testing.assert_array_equal(decode(content, "", Decoding((20, 20), 1, "centre"))[0], columns[:, 40:60])
    np.testing.assert_array_equal(decode(content, "", Decoding((20, 10), 1, "centre"))[0], columns[:, 45:55])
    np.testing.assert_array_equal(decode(content, "", Decoding((20, 100), 1, "centre"))[0], columns)
    tall = saved(columns.transpose(1, 0, 2), "PNG")
    np.testing.assert_array_equal(decode(tall, "", Decoding((10, 20), 1, "centre"))[0, :, 0, 0], np.arange(45, 55))
    whole = decode(content, "", Decoding((20, 20), 1, "none"))
    assert whole.min() < 5 and whole.max() > 95


def test_random_crops_are_the_files_own_and_lie_everywhere():
    starts = []
    for number in range(300):
        columns = np.tile(np.arange(30, dtype=np.uint8), (20, 1))[..., None]
        columns[0, 0] = number % 256
        content = saved(columns, "PNG", compress_level=number // 256)
        crop = decode(content, "", Decoding((20, 20), 1, "random"))
        np.testing.assert_array_equal(crop, decode(content, "another name", Decoding((20, 20), 1, "random")))
        starts.append(int(crop[0, 5, 0, 0]))
    assert set(starts) == set(range(11)) and max(starts.count(start) for start in range(11)) < 60


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_all_frames(kind):
    colours = (RED, BLUE, (0, 255, 0))
    more = {"lossless": True} if kind == "WEBP" else {}
    content = several(kind, *colours, **more)
    how = Decoding(frames="all")
    expected = np.concatenate([flat(colour) for colour in colours])
    np.testing.assert_array_equal(decode(content, "", how), expected)
    np.testing.assert_array_equal(decode(content, "", PLAIN), expected[:1])
    facts = read_header(content, "")
    assert facts.frames == 3
    assert facts.remarks[-1] == ("3 pages" if kind == "TIFF" else "animated, 3 frames")
    assert decode(content, "", Decoding((2, 2), 1, frames="all")).shape == (3, 2, 2, 1)


def test_of_an_apng_the_picture_for_others_is_no_frame():
    content = several("PNG", (9, 9, 9), RED, BLUE, default_image=True)
    assert read_header(content, "").frames == 2
    assert (decode(content, "", PLAIN) == 9).all()
    np.testing.assert_array_equal(decode(content, "", Decoding(frames="all")), np.concatenate([flat(RED), flat(BLUE)]))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_frames_that_are_parts_are_composed(kind):
    pictures = []
    for column in range(3):
        picture = Image.new("RGB", (16, 16), (10, 20, 30))
        picture.paste((200, 0, 0), (5 * column, 4, 5 * column + 5, 9))
        pictures.append(picture)
    content = several(kind, *pictures, **({"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(
        decode(content, "", Decoding(frames="all")), np.stack([np.asarray(picture) for picture in pictures])
    )


def test_pages_of_different_sizes_come_at_one_size():
    content = several("TIFF", RED, Image.new("RGB", (9, 9), BLUE))
    assert decode(content, "", Decoding((4, 4), frames="all")).shape == (2, 4, 4, 3)


REFUSED = [
    (b"", "empty file"),
    (b"these are words", "not an image"),
    (b"<!DOCTYPE html><html>", "a web page, not an image"),
    (b'<?xml version="1.0"?>\n<svg xmlns="">', "an SVG file, which is not supported: convert it to PNG"),
    (b"<svg>", "an SVG file"),
    (b"\0\0\0\x1cftypavif", "an AVIF file"),
    (b"\0\0\0\x1cftypheic", "a HEIC file"),
    (b"\0\0\0\x1cftypisom", "a video"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a PDF or PostScript file"),
    (b"8BPS\0\1", "a Photoshop file"),
    (saved(GREY, "ICO"), "an ICO file"),
    (saved(GREY, "PPM"), "a PNM file"),
    (saved(GREY, "JPEG2000"), "a JPEG 2000 file"),
    (saved(Image.new("I", (4, 3)), "TIFF"), "32-bit, signed or floating-point"),
    (saved(Image.new("F", (4, 3)), "TIFF"), "32-bit, signed or floating-point"),
    (saved(Image.new("LAB", (4, 3)), "TIFF"), "its pixels are LAB, which is not supported"),
    (tiff(1, 1, 64, 1, b"\0" * 8), "an unsupported kind of this format"),
    (png(1, 1, 16, 2, b"\0" * 7, (b"tRNS", b"\0" * 6)), "16-bit RGB with one transparent colour"),
    (png(40_000, 40_000, 1, 0, b""), "40000x40000 pixels is more than 100 million"),
    (png(2, 4, 8, 0, b"\0\1\1" * 3), "truncated"),  # a whole file, but of three rows
    (png(5, 1, 8, 0, b"\0\1" * 3, interlaced=1), "truncated"),  # of 9 bytes in its passes
    (tiff(4, 1, 8, 1, b"\0" * 4, (322, 4, 20_000), (323, 4, 20_000)), "20000x20000 pixels is more than 100 million"),
    (saved(COLOUR, "PNG")[:-1], "truncated"),
    (saved(COLOUR, "PNG").replace(b"IDAT", b"IDAT\0")[:-1], "damaged"),
    (saved(PALETTE, "GIF")[:-1], "truncated"),
    (several("GIF", RED, BLUE)[:-9], "truncated"),
    (saved(COLOUR, "JPEG")[:-1], "truncated"),
    (saved(COLOUR, "WEBP")[:-1], "truncated"),
    (saved(COLOUR, "BMP")[:-1], "truncated"),
    (saved(COLOUR, "TIFF")[:-1], "truncated|damaged"),
]


@pytest.mark.parametrize(("content", "why"), REFUSED, ids=range(len(REFUSED)))
def test_what_gives_no_pixels_says_why(content, why):
    with pytest.raises(Undecodable, match=why) as error:
        decode(content, "a.png", PLAIN)
    assert "\n" not in str(error.value)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)  # as it comes from another process


@pytest.mark.parametrize("what", FILES)
@settings(max_examples=25, deadline=None)
@given(strategies.data())
def test_no_bytes_do_more_than_be_refused(what, data):
    """Cut, changed or both: pixels of the right shape, or Undecodable; no warning and nothing printed."""
    content = bytearray(FILES[what])
    content = (
        content[: data.draw(strategies.integers(0, len(content)))] if data.draw(strategies.booleans()) else content
    )
    places = strategies.integers(0, max(0, len(content) - 1))
    for place, value in data.draw(strategies.lists(strategies.tuples(places, strategies.integers(0, 255)), max_size=4)):
        if content:
            content[place] = value
    if data.draw(strategies.booleans()) and content.startswith(b"\x89PNG"):
        content = content[:8] + b"".join(chunk(bytes(kind), data) for kind, data in chunks(content))  # past checksums
    how = Decoding(
        (5, 4), data.draw(strategies.sampled_from([1, 3])), frames=data.draw(strategies.sampled_from(["first", "all"]))
    )
    check_bytes(bytes(content), how)


def check_bytes(content, how):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as caught:
        patch.setattr(module, "MOST_PIXELS", 10**6)  # damaged headers say anything; what is less is decoded, in time
        warnings.simplefilter("always")
        with contextlib.suppress(Undecodable):
            assert read_header(content, "").frames >= 1
        with contextlib.suppress(Undecodable):
            assert decode(content, "", how).shape[1:] == (5, 4, how.channels)
    assert not caught


@pytest.mark.parametrize("kind", [kind for kind in FILES if not kind.startswith("JPEG, C")])
def test_a_cut_file_is_refused(kind):
    content = FILES[kind]
    for end in range(0, len(content), 1 + len(content) // 100):
        try:
            result = decode(content[:end], "", Decoding())
        except Undecodable:
            continue
        np.testing.assert_array_equal(result, decode(content, "", Decoding()))  # cut after its pixels


def test_nothing_is_printed_by_the_libraries_below(capfd):
    generator = np.random.default_rng(1)
    for content in (*FILES.values(), saved(RNG.integers(0, 256, (32, 32, 3), np.uint8), "TIFF", compression="jpeg"),
                    saved(COLOUR, "TIFF", compression="tiff_adobe_deflate")):  # fmt: skip
        for _ in range(40):
            damaged = np.frombuffer(content, np.uint8).copy()
            damaged[generator.integers(4, len(damaged), 5)] = generator.integers(0, 256, 5)
            check_bytes(damaged.tobytes()[: None if generator.random() < 0.5 else -9], Decoding((5, 4), 3))
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_animations_are_bounded_as_a_whole(monkeypatch):
    monkeypatch.setattr(module, "MOST_PIXELS", 2_000_000)
    content = several("GIF", *(Image.new("L", (1000, 999), shade) for shade in (0, 100, 200)))
    assert decode(content, "", Decoding((2, 2))).shape == (1, 2, 2, 3) and read_header(content, "").frames == 3
    with pytest.raises(Undecodable, match="3 times 1000x999 pixels is more than 2 million"):
        decode(content, "", Decoding((2, 2), frames="all"))
    with pytest.raises(Undecodable, match="3 times 900x900 pixels"):
        decode(several("GIF", RED, BLUE, WHITE), "", Decoding((900, 900), frames="all"))


@pytest.mark.parametrize("text", [
    (b"zTXt", b"Comment\0\0" + zlib.compress(b" " * 200_000_000)),
    (b"iCCP", b"icc\0\0" + zlib.compress(b"\0" * 200_000_000)),
    (b"tEXt", b"Comment\0" + b"\xff" * 3_000_000),
], ids=["zTXt", "iCCP", "tEXt"])  # fmt: skip
def test_text_and_profiles_of_a_png_are_not_read(text):
    content = png(2, 1, 8, 0, b"\0\1\2", text)
    np.testing.assert_array_equal(decode(content, "", PLAIN).ravel(), [1, 2])
    assert read_header(content, "").remarks == ()


def test_pages_are_counted_as_they_come(monkeypatch):
    content = several("TIFF", RED, Image.new("RGB", (1500, 1000)))
    monkeypatch.setattr(module, "MOST_PIXELS", 1_000_000)
    with pytest.raises(Undecodable, match="1500012 pixels is more than 1 million"):
        decode(content, "", Decoding((2, 2), frames="all"))


def test_pillow_logs_nothing(caplog):
    content = tiff(4, 1, 8, 1, b"\0" * 4)
    samples = [struct.pack("<HHII", 277, 3, 1, count) for count in (1, 60)]
    with pytest.raises(Undecodable):
        read_header(content.replace(*samples), "")
    assert not caplog.records


MEMORY = """
import resource, struct, sys, zlib
import numpy as np
from ganlab.data.decode import Decoding, Undecodable, decode, read_header
content = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for function in (read_header, lambda *file: decode(*file, Decoding((8, 8), 3, "none", (0, 0, 0), "first"))):
    try:
        print(function(content, "a.png") is not None)
    except Undecodable as error:
        print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(("content", "lines"), [
    (png(40_000, 40_000, 1, 0, b""), ["40000x40000 pixels is more than 100 million"] * 2),
    (png(2, 2, 8, 0, b"\0\1\1" + b"\0" * 400_000_000), ["True", "True"]),  # the rows that there are; no more is inflated
    (png(9_000, 9_000, 8, 0, b"\0" * 100), ["True", "truncated"]),
    (b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0" + b"\0" * 9, ["it has more than 100 million pixels"] * 2),
    (b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;", ["65535x65535 pixels is more than 100 million"] * 2),
], ids=["1-bit PNG", "PNG of too many rows", "PNG of too few rows", "WebP", "GIF"])  # fmt: skip
def test_bombs_are_refused_before_they_take_memory(content, lines):
    process = subprocess.run([sys.executable, "-c", MEMORY], input=content, capture_output=True, timeout=60)
    *printed, megabytes = process.stdout.decode().splitlines()
    assert process.stderr == b"" and printed == lines
    assert int(megabytes) < (100 if lines == ["True", "truncated"] else 50)  # that picture is taken memory for: 81 MB


def test_a_very_wide_picture_takes_no_longer_than_a_square_one():
    content = saved(Image.new("RGB", (20_000_000, 1)), "BMP")
    start = time.process_time()
    assert decode(content, "", Decoding((2, 2), 1)).shape == (1, 2, 2, 1)
    assert time.process_time() - start < 10


@pytest.mark.parametrize(("height", "width"), [(1200, 1600), (400, 330), (300, 2000)])
def test_a_large_jpeg_is_decoded_smaller_but_nearly_the_same(height, width, monkeypatch):
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([rows // 5, columns // 8, 127 + 120 * np.sin(rows / 40) * np.cos(columns / 60)], -1)
    exif = Image.Exif()
    exif[0x0112] = 6
    content, sizes = saved(pixels.astype(np.uint8), "JPEG", quality=95, exif=exif), []
    how, draft = Decoding((40, 20), 3, "centre"), JpegImageFile.draft

    def spy(picture, *wanted):
        draft(picture, *wanted)
        sizes.append(picture.size)

    monkeypatch.setattr(JpegImageFile, "draft", spy)
    quick = decode(content, "", how)
    np.testing.assert_array_equal(quick, decode(content, "", how))
    assert len(sizes) == (2 if width >= 8 * 40 else 0)
    assert all(across >= 4 * 40 and down >= 4 * 20 and across < width for across, down in sizes)
    monkeypatch.setattr(JpegImageFile, "draft", lambda *_: None)
    np.testing.assert_allclose(quick.astype(int), decode(content, "", how), atol=3)
