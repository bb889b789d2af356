"""One image file's bytes -> pixels: PNG, JPEG, WebP, BMP, GIF and TIFF, by their content, whatever their names.

Every file comes out as uint8, upright, grey or RGB, and without transparency; one that cannot raises `Undecodable`,
with the reason in a few words. Colour profiles (ICC) are ignored: the numbers in the file are taken as they are.
Nothing is guessed: 32-bit and floating-point pixels, whose range no file states, and LAB are refused. The output of
Pillow and libtiff is kept off the terminal, which is not safe among threads: use processes.
"""

import contextlib
import hashlib
import io
import logging
import os
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import PurePath
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from ganlab.config import Pair
from ganlab.data.images import fit

MOST_PIXELS = 100_000_000
"""The most pixels of one file, in all its requested frames together, before and after resizing."""

logging.getLogger("PIL").setLevel(logging.CRITICAL)  # it logs what it then raises

# The readers are called directly, not through Image.open: no other plugin can claim a file, the size is known before
# anything is decoded, and a JPEG that holds further pictures (MPO) is the JPEG that it begins with.
_READERS: dict[re.Pattern[bytes], type[ImageFile.ImageFile]] = {
    re.compile(rb"\x89PNG\r\n\x1a\n"): PngImageFile,
    re.compile(rb"\xff\xd8\xff"): JpegImageFile,
    re.compile(rb"RIFF....WEBP", re.DOTALL): WebPImageFile,
    re.compile(rb"BM"): BmpImageFile,
    re.compile(rb"GIF8[79]a"): GifImageFile,
    re.compile(rb"II[*+]\0|MM\0[*+]"): TiffImageFile,
}
"""By how a file begins."""
_OTHERS = (
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "an AVIF file"),
    (re.compile(rb"....ftyp(hei|hev|mif1|msf1)", re.DOTALL), "a HEIC file"),
    (re.compile(rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", re.DOTALL), "a video"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*(<\?xml.{,2000}?)?(<!--.{,2000}?-->\s*)?(<!DOCTYPE svg.{,2000}?)?<svg", re.DOTALL),
     "an SVG file"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "a JPEG XL file"),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), "a JPEG 2000 file"),
    (re.compile(rb"8BPS"), "a Photoshop file"),
    (re.compile(rb"%PDF|%!PS|\xc5\xd0\xd3\xc6"), "a PDF or PostScript file"),
    (re.compile(rb"\0\0[\1\2]\0[^\0]"), "an ICO file"),
    (re.compile(rb"P[1-7]\s"), "a PNM file"),
)  # fmt: skip
_SUFFIXES = {
    ".png": "PNG", ".apng": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".mpo": "JPEG",
    ".webp": "WEBP", ".bmp": "BMP", ".dib": "BMP", ".gif": "GIF", ".tif": "TIFF", ".tiff": "TIFF",
}  # fmt: skip

_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT")
_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))

_SIXTEEN = ("I;16", "I;16B", "I;16L")
_GREY = ("1", "L", "LA", "La", *_SIXTEEN)
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_MODES = (*_GREY, "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr")

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Undecodable(ValueError):  # noqa: N818
    """A file that gives no pixels; its text is what is wrong with it, in a few words: "truncated"."""


class Decoding(NamedTuple):
    """How files become pixels.

    size: (height, width). channels: 1 (grey by luminance) or 3. crop, if a picture's aspect is not the wanted one:
    "centre", the largest window of the wanted aspect, in the middle; "random", the same window at a place drawn from
    the file's bytes, so the same in every run; "none", the whole picture, its aspect changed. background: the colour,
    three values 0 ... 255, that transparent pixels are laid on before any resizing; a picture that stays grey is laid
    on its luminance. frames: of an animated file or a TIFF of several pages; "first" is what a viewer of still
    pictures shows.
    """

    size: Pair
    channels: Literal[1, 3]
    crop: Literal["none", "centre", "random"]
    background: tuple[int, int, int]
    frames: Literal["first", "all"]


class Facts(NamedTuple):
    """What a file's header says.

    format: a name of Pillow's, such as PNG or WEBP. height, width: of the upright picture, in pixels, the first one's
    if there are several. channels: 1 for grey, 3 for colours and for every palette, so for every GIF. frames: of an
    animation, or pages. remarks: notes for people.
    """

    format: str
    height: int
    width: int
    channels: int
    frames: int
    remarks: tuple[str, ...]


def read_header(content: bytes, name: str) -> Facts:
    """What a file's header says, without decoding its pixels.

    name: the file's, for a remark if its suffix is another format's. Raises Undecodable; a file that passes may
    still be damaged later on.
    """
    with _pillow_errors_explained():
        picture = _open_picture(content)
        _check_mode(picture)
        frames = _frames(picture, content)
        _check_pixels(picture.height, picture.width)
        depth, orientation = _depth(picture), _orientation(picture)
        kind = str(picture.format)
        suffix = PurePath(name).suffix
        remarks = {
            f"is {kind}, named {suffix}": _SUFFIXES.get(suffix.lower(), kind) != kind,
            "1 bit": picture.mode == "1",
            "palette": picture.mode in ("P", "PA") or kind == "GIF",
            "transparent": _is_transparent(picture),
            f"{depth} bit: reduced to 8": depth > 8,
            "CMYK: converted": picture.mode == "CMYK",
            "rotated by EXIF": orientation in _UPRIGHT,
            "unreadable EXIF: not rotated": orientation is None,
            f"{len(frames)} pages": len(frames) > 1 and kind == "TIFF",
            f"animated, {len(frames)} frames": len(frames) > 1 and kind != "TIFF",
        }
        width, height = picture.size
        if kind != "TIFF" and orientation in (5, 6, 7, 8):
            width, height = height, width
        true_remarks = tuple(remark for remark, is_true in remarks.items() if is_true)
        return Facts(kind, height, width, 1 if _is_grey(picture) else 3, len(frames), true_remarks)


def decode(content: bytes, name: str, decoding: Decoding) -> np.ndarray:
    """A file's pixels, uint8 [F,H,W,C]; F is 1 unless all frames are requested.

    Each frame of an animation is the whole picture as shown at that time. Resizing and grey are those of
    `images.fit`, so a PNG gives the bits that an array of its pixels gives. 16-bit grey is scaled by 1/257 and rounded;
    16-bit RGB loses its low byte: Pillow reads no more. CMYK and YCCK become RGB without a profile; in a JPEG they
    are taken as inverted, as Adobe and others write them. A JPEG at least eight times as large as wanted is
    decoded at a half, a quarter or an eighth, never below four times what is wanted.

    name: as in `read_header`. Raises Undecodable for a file that is damaged, truncated, too large, or of another kind.
    Damage that the decoder of a JPEG or a TIFF does not notice goes unnoticed here.
    """
    pixels, count = [], 0
    with _pillow_errors_explained():
        picture = _open_picture(content)
        frames = _frames(picture, content) if decoding.frames == "all" or picture.format == "GIF" else range(1)
        if decoding.frames == "first":
            frames = range(1)
        _check_pixels(picture.height, picture.width, len(frames))
        _check_pixels(*decoding.size, len(frames))
        for number in frames:
            if number != picture.tell():
                picture.seek(number)
            _check_mode(picture)
            count += picture.width * picture.height
            _check_pixels(1, count)
            pixels.append(_pixels(picture, content, decoding))
    return np.concatenate(pixels)


def _pixels(picture: ImageFile.ImageFile, content: bytes, decoding: Decoding) -> np.ndarray:
    """The current frame of the picture, uint8 [1,H,W,C]."""
    orientation = _orientation(picture) if picture.format != "TIFF" else 1  # Pillow rotates a TIFF itself
    if isinstance(picture, JpegImageFile):
        height, width = decoding.size[::-1] if orientation in (5, 6, 7, 8) else decoding.size
        if picture.width >= 8 * width and picture.height >= 8 * height:
            picture.draft(None, (4 * width, 4 * height))
    depth = _depth(picture)
    picture.decodermaxblock = max(2**16, 8 * picture.width)  # at least a row: parts of a row take quadratic time
    with _discard_stderr() if isinstance(picture, TiffImageFile) else contextlib.nullcontext():
        picture.load()
    if picture.format == "PNG" and picture.tell() == 0:
        _check_rows(picture, content)
    image = _flatten(picture, depth, decoding)
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    if decoding.crop != "none":
        image = _window(image, content, decoding.size, decoding.crop)
    array = np.asarray(image)
    array = array.reshape(1, *array.shape[:2], -1)
    if decoding.channels < array.shape[3]:
        array = _grey(array)
    return fit(array, decoding.size, decoding.channels)


def _flatten(picture: Image.Image, depth: int, decoding: Decoding) -> Image.Image:
    """A loaded picture as 8 bits, L or RGB, laid on the background where it is transparent."""
    if picture.mode in ("L", "RGB") and not _is_transparent(picture) and picture.format != "GIF":
        return picture
    grey = _is_grey(picture) and decoding.channels != 3
    transparent = _is_transparent(picture)
    if picture.mode in _SIXTEEN:
        picture = _eight_bits(picture, depth)
    elif depth < 8 and picture.mode == "L" and picture.info.get("transparency", 256) < 2**depth:
        picture.info["transparency"] *= 255 // (2**depth - 1)  # Pillow scales the pixels only
    elif depth == 16 and "transparency" in picture.info:
        raise Undecodable("16-bit RGB with one transparent colour is not supported: convert it to 8 bits")
    if not transparent:
        return picture.convert("L" if grey else "RGB")
    layer = picture.convert("LA" if grey else "RGBA")
    if not grey:
        flat = Image.new("RGB", layer.size, tuple(decoding.background))
    else:
        colour = np.array(decoding.background, np.uint8).reshape(1, 1, 1, 3)
        flat = Image.new("L", layer.size, int(fit(colour, (1, 1), 1).item()))
    flat.paste(layer.convert(flat.mode), mask=layer.getchannel("A"))
    return flat


def _eight_bits(picture: Image.Image, depth: int) -> Image.Image:
    """16-bit grey, or 12-bit as a TIFF may be, scaled to 8 and rounded: mode L, or LA where a value is transparent."""
    values, top = np.asarray(picture).astype(np.uint32), 2**depth - 1
    clear = values == picture.info["transparency"] if "transparency" in picture.info else None
    if isinstance(picture, TiffImageFile) and picture.tag_v2.get(262) == 0:
        values = top - values  # zero is white: Pillow inverts 8 bits only
    image = Image.fromarray(((values * 255 + top // 2) // top).astype(np.uint8))
    if clear is not None:
        image.putalpha(Image.fromarray(np.where(clear, 0, 255).astype(np.uint8)))
    return image


def _window(image: Image.Image, content: bytes, size: Pair, crop: str) -> Image.Image:
    """The largest window of the wanted aspect, in the middle or at a place drawn from the file's bytes."""
    (height, width), (across, down) = size, image.size
    wide = min(across, max(1, (2 * down * width + height) // (2 * height)))
    high = min(down, max(1, (2 * across * height + width) // (2 * width)))
    if (wide, high) == (across, down):
        return image
    share = 0.5
    if crop == "random":
        share = int.from_bytes(hashlib.blake2b(content, digest_size=6).digest(), "big") / 2**48
    spare = (across - wide, down - high)  # one of them is 0
    left, top = (room // 2 if crop == "centre" else int(share * (room + 1)) for room in spare)
    return image.crop((left, top, left + wide, top + high))


def _grey(pixels: np.ndarray) -> np.ndarray:
    """RGB as grey by `fit`, some rows at a time: `fit` takes 32 bytes per pixel."""
    rows = max(1, 2**21 // pixels.shape[2])
    parts = [pixels[:, row : row + rows] for row in range(0, pixels.shape[1], rows)]
    return np.concatenate([fit(part, part.shape[1:3], 1) for part in parts], axis=1)


def _open_picture(content: bytes) -> ImageFile.ImageFile:
    """The picture in a file, its header read; raises Undecodable if there is none or it is too large."""
    if not content:
        raise Undecodable("empty file")
    reader = next((reader for beginning, reader in _READERS.items() if beginning.match(content)), None)
    if not reader:
        raise Undecodable(_why_unsupported(content))
    if reader is WebPImageFile and int.from_bytes(content[4:8], "little") + 8 > len(content):
        raise Undecodable("truncated")
    picture = reader(io.BytesIO(_pixel_chunks(content) if reader is PngImageFile else content), "")
    _check_pixels(picture.height, picture.width)
    return picture


def _why_unsupported(content: bytes) -> str:
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html)", content, re.IGNORECASE):
        return "a web page, not an image"
    kind = next((kind for beginning, kind in _OTHERS if beginning.match(content)), None)
    return f"{kind}, which is not supported: convert it to PNG" if kind else "not an image"


def _check_pixels(height: int, width: int, frames: int = 1) -> None:
    if height * width * frames > MOST_PIXELS:
        size = f"{width}x{height}" if height > 1 else str(width)
        times = f"{frames} times " if frames > 1 else ""
        raise Undecodable(f"{times}{size} pixels is more than {MOST_PIXELS // 10**6} million")


def _check_mode(picture: ImageFile.ImageFile) -> None:
    """Raise Undecodable for pixels that cannot be converted to 8 bits."""
    if picture.mode in ("I", "F"):
        raise Undecodable("its pixels are 32-bit, signed or floating-point, with no known range: convert it to PNG")
    if picture.mode not in _MODES:
        raise Undecodable(f"its pixels are {picture.mode}, which is not supported: convert it to PNG")
    if isinstance(picture, TiffImageFile):
        _check_pixels(picture.tag_v2.get(322, 1), picture.tag_v2.get(323, 1))  # a tile, which may exceed the picture


def _pixel_chunks(content: bytes) -> bytes:
    """A PNG without the chunks that hold no pixels, such as text and profiles, which may inflate without limit.

    Raises Undecodable if it ends early or a checksum is wrong; Pillow verifies only a few of them.
    """
    chunks: list[bytes | memoryview] = [content[:8]]
    for kind, chunk in _all_chunks(content):
        if kind in _CHUNKS:
            if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
                raise Undecodable("damaged")
            chunks.insert(2 if kind == b"eXIf" else len(chunks), chunk)  # wherever it is: it turns the pixels
    return b"".join(chunks)


def _all_chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """The chunks of a PNG, with their kinds; raises Undecodable if the last is missing."""
    place, kind = 8, b""
    while kind != b"IEND":
        end = place + 12 + int.from_bytes(content[place : place + 4], "big")
        kind = content[place + 4 : place + 8]
        if end > len(content):
            raise Undecodable("truncated")
        yield kind, memoryview(content)[place:end]
        place = end


def _check_rows(picture: ImageFile.ImageFile, content: bytes) -> None:
    """Raise Undecodable for a PNG with fewer rows than its header says; Pillow leaves the missing rows 0."""
    last = picture.getpixel((picture.width - 1, picture.height - 1))
    width, height, bits, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", content, 16)
    if not interlaced and (any(last) if isinstance(last, tuple) else last):
        return
    bits *= {2: 3, 4: 2, 6: 4}.get(colour, 1)
    sides = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in (_ADAM7 if interlaced else _WHOLE)]
    missing = sum(high * (1 + (wide * bits + 7) // 8) for wide, high in sides if wide > 0)
    inflate = zlib.decompressobj()
    for kind, chunk in _all_chunks(content):
        data = chunk[8:-4] if kind == b"IDAT" else b""
        while data and missing > 0:
            missing -= len(inflate.decompress(data, 2**20))
            data = inflate.unconsumed_tail
    if missing > 0:
        raise Undecodable("truncated")


def _frames(picture: ImageFile.ImageFile, content: bytes) -> range:
    """The numbers of a file's frames; raises Undecodable if a GIF ends early."""
    count = _gif_frames(content) if picture.format == "GIF" else getattr(picture, "n_frames", 1)
    # The first frame of an APNG may be a still for viewers without animation, and not part of it.
    return range(1 if count > 1 and getattr(picture, "default_image", False) else 0, count)


def _gif_frames(content: bytes) -> int:
    """How many frames a GIF has, by its blocks; raises Undecodable if it ends early."""
    count = 0
    try:
        place = 13 + _palette_bytes(content[10])
        while (block := content[place]) != 0x3B:
            if block == 0x2C:
                count += 1
                place += 11 + _palette_bytes(content[place + 9])
            elif block == 0x21:
                place += 2
            else:
                place += 1
                continue
            while content[place]:
                place += content[place] + 1
            place += 1
    except IndexError:
        raise Undecodable("truncated") from None
    if not count:
        raise Undecodable("holds no picture")
    return count


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 128 else 0


def _is_transparent(picture: Image.Image) -> bool:
    return picture.mode in _ALPHA or "transparency" in picture.info


def _is_grey(picture: Image.Image) -> bool:
    return picture.mode in _GREY and picture.format != "GIF"


def _depth(picture: ImageFile.ImageFile) -> int:
    """Bits of a channel, by how Pillow will unpack them; 8 if it does not say."""
    if not isinstance(picture, PngImageFile | TiffImageFile) or not picture.tile:
        return 8
    layout = picture.tile[0][3]
    match = re.search(r";(2|4|12|16)", str(layout[0] if isinstance(layout, tuple) else layout))
    return int(match[1]) if match else 8


def _orientation(picture: ImageFile.ImageFile) -> int | None:
    """The EXIF orientation, 1 ... 8, found before the pixels; 1 if there is none, None if it cannot be read."""
    if isinstance(picture, TiffImageFile):
        return picture.tag_v2.get(_ORIENTATION, 1)
    if "exif" not in picture.info:
        return 1
    try:
        exif = Image.Exif()
        exif.load(picture.info["exif"])
        return exif.get(_ORIENTATION, 1)
    except Exception:  # Pillow raises almost anything for broken EXIF data
        return None


@contextlib.contextmanager
def _discard_stderr() -> Iterator[None]:
    """Discard what is written to standard error within: libtiff has no other way to report errors."""
    try:
        stderr = os.dup(2)
    except OSError:  # no standard error
        yield
        return
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


@contextlib.contextmanager
def _pillow_errors_explained() -> Iterator[None]:
    """Turn whatever Pillow raises within into Undecodable, and silence its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except Undecodable:
            raise
        except MemoryError:
            raise Undecodable("needs more memory than is available") from None
        except Image.DecompressionBombError:
            raise Undecodable(f"it has more than {MOST_PIXELS // 10**6} million pixels") from None
        except Exception as error:  # its decoders raise almost anything
            raise Undecodable(_explain(error)) from error


def _explain(error: Exception) -> str:
    cause = error.__cause__ or error
    if re.search("unsupported|unknown pixel|unknown data|not supported|cannot handle", str(error), re.IGNORECASE):
        return "an unsupported kind of this format: convert it to PNG"
    if isinstance(cause, EOFError | IndexError | struct.error) or "truncated" in str(error).lower():
        return "truncated"
    return "damaged"
