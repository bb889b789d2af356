"""Many small images as one picture for people, and pictures as files."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from ganlab.errors import in_a_line
from ganlab.files import FileError, open_regular, read_bytes, write_bytes

_MARK = "ganlab"  # in a PNG the text chunk Software, in a GIF the start of the comment
WIDTH = 512  # of a grid, about: large enough to see pixels, small enough for two on a screen
COLUMNS, BORDER = 8, 6  # of a grid, unless it is asked for another layout
BACKGROUND = 128  # between black and white, so that images of either kind have an edge


def grid(
    pixels: np.ndarray,
    columns: int = COLUMNS,
    border: int = BORDER,
    enlarge: int | None = None,
    background: int = BACKGROUND,
) -> np.ndarray:
    """Lay images out in rows: uint8 [N,H,W,C], C = 1 or 3, -> uint8 [rows,across,C].

    columns: images in a row, at least 1; fewer images than that make a narrower picture.
    border: pixels of the background, a shade from 0 to 255, between and around the images, at least 0.
    enlarge: whole factor, at least 1; every pixel becomes a square, nothing is interpolated. None chooses
    the factor that brings the picture closest to 512 pixels across.

    Raises ValueError for anything else.
    """
    _check(pixels, "[N,H,W,C]", 4)
    if columns < 1 or border < 0 or (enlarge is not None and enlarge < 1):
        raise ValueError(
            f"columns={columns}, border={border}, enlarge={enlarge} is not a layout; use at least 1, 0 and 1"
        )
    columns = min(columns, len(pixels))
    rows = -(-len(pixels) // columns)
    enlarge = enlarge or max(1, round(WIDTH / (columns * pixels.shape[2])))
    tiles = pixels.repeat(enlarge, axis=1).repeat(enlarge, axis=2)
    margins = (0, rows * columns - len(tiles)), (0, border), (0, border), (0, 0)
    tiles = np.pad(tiles, margins, constant_values=background)
    _, down, across, channels = tiles.shape
    picture = tiles.reshape(rows, columns, down, across, channels).swapaxes(1, 2)
    picture = picture.reshape(rows * down, columns * across, channels)
    return np.pad(picture, ((border, 0), (border, 0), (0, 0)), constant_values=background)


def by_class(pixels: np.ndarray, labels: Sequence[int], classes: Sequence[int], columns: int = COLUMNS) -> np.ndarray:
    """As `grid`, but each class starts a new row, in the order given; it may have no images, one row or several.

    labels: the class of each image. Places without an image have the background.
    """
    empty = np.full((1, *pixels.shape[1:]), BACKGROUND, np.uint8)
    images_and_gaps = []
    for label in classes:
        images = pixels[np.asarray(labels) == label]
        images_and_gaps += [images, empty.repeat(-len(images) % columns if len(images) else columns, axis=0)]
    # a few columns are not enlarged to the full width
    enlarge = max(1, round(WIDTH / (max(columns, 8) * pixels.shape[2])))
    return grid(np.concatenate(images_and_gaps), columns=columns, enlarge=enlarge)


def rows_of(picture: np.ndarray, size: tuple[int, int]) -> int:
    """The number of rows of images, each of height and width `size`, in a picture made by `grid`, [rows,across,...]."""
    height, width = size
    down = (picture.shape[1] - BORDER - COLUMNS * BORDER) // COLUMNS * height // width + BORDER
    return max(1, (picture.shape[0] - BORDER) // max(1, down))


def some_of(pixels: np.ndarray, count: int) -> np.ndarray:
    """`count` images of a set, always the same of the same set; all if there are fewer: [N,...]."""
    chosen = np.random.default_rng(0).permutation(len(pixels))[:count]
    return pixels[chosen]


def render(figure: Any) -> np.ndarray:
    """A figure of matplotlib as pixels, uint8 [H,W,3]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def png(pixels: np.ndarray, about: str = "") -> bytes:
    """The PNG file of one picture, uint8 [H,W,C] with C = 1 or 3; ValueError for anything else.

    about: a description; the file holds it, and that ganlab wrote it.
    """
    file, info = io.BytesIO(), PngInfo()
    if about:
        info.add_text("Software", _MARK)
        info.add_itxt("Description", about)
    _picture(pixels).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def save_png(path: Path, pixels: np.ndarray, about: str = "") -> None:
    """Write one picture, uint8 [H,W,C] with C = 1 or 3; `path` is missing, old or complete, never half written.

    about: as in `png`.
    """
    _replace(path, png(pixels, about))


def read_png(path: Path) -> tuple[bytes, np.ndarray]:
    """A PNG file and its pixels, uint8 [H,W] or [H,W,C]; raises FileError if it is not a PNG, or too large for a page.

    Pillow's other readers are not used: some run programs.
    """
    content = read_bytes(path, _BYTES)
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            if image.width * image.height > _PIXELS:
                raise FileError(path, f"is {image.width}x{image.height} pixels large, too many for a page")
            if image.mode not in ("L", "RGB"):
                raise FileError(path, "is neither grey nor RGB")
            image.verify()  # all checksums; after that it must be opened again
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            return content, np.asarray(image)
    except FileError:
        raise
    except _DAMAGED as error:
        raise FileError(path, f"is not a complete PNG ({in_a_line(error, 80)})") from None


_BYTES, _PIXELS = 2**25, 2**24
_DAMAGED = (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError)


def is_ours(path: Path) -> bool:
    """Whether a file is a picture marked as written by ganlab."""
    try:
        with open_regular(path) as file, Image.open(file, formats=["PNG", "GIF"]) as image:
            info = image.info
    except _DAMAGED:
        return False
    return info.get("Software") == _MARK or info.get("comment", b"").startswith(f"{_MARK}: ".encode())


def save_gif(path: Path, frames: Iterable[np.ndarray], seconds_per_frame: float, about: str = "") -> None:
    """Write pictures of one size, each uint8 [H,W,C] with C = 1 or 3, as an animation that repeats forever.

    seconds_per_frame: GIF counts hundredths, and browsers slow down below 0.02. Colours are reduced to 256
    per frame, as GIF requires. As with `save_png`, `path` is never half written. No frames are a ValueError.
    about: a description for the file's comment, of which GIF takes 255 bytes.
    """
    pictures = [_picture(frame) for frame in frames]
    if not pictures or len({picture.size for picture in pictures}) > 1:
        raise ValueError(f"{path} needs at least one frame, and frames of one size; got {[p.size for p in pictures]}")
    file = io.BytesIO()
    milliseconds = max(1, round(100 * seconds_per_frame)) * 10
    comment = {"comment": f"{_MARK}: {about}".encode()[:255]} if about else {}
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, **comment)
    _replace(path, file.getvalue())


def _picture(pixels: np.ndarray) -> Image.Image:
    _check(pixels, "[H,W,C]", 3)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _check(pixels: np.ndarray, axes: str, rank: int) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != rank or pixels.shape[-1] not in (1, 3) or 0 in pixels.shape:
        raise ValueError(f"pixels are {pixels.dtype} {list(pixels.shape)}; they must be uint8 {axes} with C = 1 or 3")


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content, alone=True)
