"""Rendered images with known factors: what each image shows is a number, not an opinion. NumPy only, no files.

An image shows one shape on a plain ground. Its factors are drawn independently and uniformly; `FACTORS` has their
names, ranges and units, in the order of the columns of every factor array [N, 6].
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganlab.config import Pair, Shapes, pair
from ganlab.data.images import Images, Split

Array = NDArray[np.float64]

SHAPES = ("disc", "square", "triangle", "cross", "bar")
"""The classes, in the order of their labels."""

_PERIODS = (1, 4, 3, 4, 2)  # so many equal positions in a full turn; a disc shows no angle at all


class Factor(NamedTuple):
    """One thing that an image shows.

    low, high: its prior is uniform between them; of a factor with `classes`, over the whole numbers 0 ... classes - 1.
    circular: `high` is `low` again.
    visible_on: the labels of the shapes that show it; on the others it is drawn and changes nothing.
    """

    name: str
    low: float
    high: float
    unit: str
    circular: bool = False
    classes: int = 0
    visible_on: tuple[int, ...] = tuple(range(len(SHAPES)))


_COMMON = (
    Factor("shape", 0, len(SHAPES) - 1, "label", classes=len(SHAPES)),
    Factor("x", 0.375, 0.625, "of the width, from the left to the centre of mass"),
    Factor("y", 0.375, 0.625, "of the height, from the top to the centre of mass"),
    Factor("size", 0.14, 0.2, "of the shorter side: radius of the disc of equal area"),
    Factor("angle", 0, 1, "of the turn that brings the shape back onto itself, clockwise", circular=True,
           visible_on=(1, 2, 3, 4)),
)  # fmt: skip
FACTORS: dict[int, tuple[Factor, ...]] = {
    1: (*_COMMON, Factor("grey", 0, 1, "from 0.5 to 0.9 of white")),
    3: (*_COMMON, Factor("hue", 0, 1, "of the colour circle, from red by green and blue", circular=True)),
}
"""The factors by number of channels. The priors are independent of each other and of the size in pixels."""

_GROUND = 0.2  # of white; not 0, where a saturated tanh would hide an operator's artifacts
_HELD_OUT = 2**40  # the number of the first held-out image: beyond all that can be trained on
_EDGE = 1.5  # pixels on both sides of an outline over which a shape fades: no frequency comes back as another
_EDGE_VARIANCE = _EDGE**2 / 7  # of that fade, seen as a distribution
_BLOCK = 2**18  # pixels that are rendered at once: the arrays stay in the cache


def shapes(settings: Shapes) -> Split:
    """Images 0, 1, 2, ... of a seed to train on, and others, far beyond them, held out."""
    size = pair(settings.size)

    def part(first: int, count: int) -> Images:
        factors = draw_factors(settings.seed, first, count)
        labels = factors[:, 0].astype(np.int64)
        source = f"rendered by ganlab.data.shapes, seed {settings.seed}"
        return Images(render(factors, size, settings.channels), labels, "shapes", source, factors, "Apache-2.0")

    return Split(part(0, settings.images), part(_HELD_OUT, settings.held_out))


def counts(settings: Shapes) -> tuple[int, int]:
    """How many images to train on, and how many held out."""
    return settings.images, settings.held_out


def class_counts(settings: Shapes) -> list[int]:
    """How many training images show each shape."""
    labels = draw_factors(settings.seed, 0, settings.images)[:, 0].astype(np.int64)
    return np.bincount(labels, minlength=settings.classes).tolist()


def draw_factors(seed: int, first: int, count: int) -> Array:
    """The factors of images first ... first + count - 1 of a seed, [count, 6]: image i is a function of (seed, i).

    The generator is a cipher of the image's number (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
    SC 2011), so any stretch can be drawn alone. Raises ValueError for negative numbers.
    """
    if min(seed, first, count) < 0:
        raise ValueError(f"seed={seed}, first={first}, count={count}: none may be negative; use 0 or more")
    stream = np.random.Philox(key=seed)
    stream.advance(2 * first)  # each image takes two steps of four words
    words = stream.random_raw(8 * count).reshape(count, 8)
    uniform = (words[:, : len(_COMMON) + 1] >> np.uint64(11)) * 2.0**-53
    low, span = np.array([(factor.low, factor.high - factor.low) for factor in FACTORS[1]]).T
    factors = low + span * uniform
    factors[:, 0] = np.floor(len(SHAPES) * uniform[:, 0])
    return factors


def render(factors: ArrayLike, size: int | Pair, channels: int) -> NDArray[np.uint8]:
    """Draw images, uint8 [N,H,W,channels], from factors [N,6].

    Outlines are smooth: across an edge brightness follows a polynomial of degree five, 3 pixels wide, whose share at
    the sampling frequency is below 1 %, where counting covered area leaves whole lines of aliases. A shape keeps its
    area and, under the prior, at sides of at least 16 pixels, stays inside the frame.

    size: height and width, an int or a pair. channels: 1 draws shades, 3 colours of equal mean over the channels.
    Raises ValueError, naming the argument.
    """
    factors = np.asarray(factors, np.float64)
    if factors.ndim != 2 or factors.shape[1] != len(_COMMON) + 1 or not np.isfinite(factors).all():
        raise ValueError(f"factors of shape {list(factors.shape)} cannot be rendered; give finite numbers [N,6]")
    if not np.isin(factors[:, 0], range(len(SHAPES))).all():
        raise ValueError(f"factors[:, 0] has unknown shapes; use the labels 0 to {len(SHAPES) - 1}")
    if channels not in FACTORS:
        raise ValueError(f"channels={channels} cannot be rendered; use 1 or 3")
    height, width = pair(size)
    pixels = np.empty((len(factors), height, width, channels), np.uint8)
    block = max(1, _BLOCK // (height * width))
    for label, (draw, period) in enumerate(zip(_DRAWN, _PERIODS, strict=True)):
        places = np.flatnonzero(factors[:, 0] == label)
        for start in range(0, len(places), block):
            rows = places[start : start + block]
            cover = draw(*_frame(factors[rows], period, height, width))
            contrast = _colours(factors[rows, 5], channels) - _GROUND
            shades = cover[..., None] * _single(255 * contrast)[:, None, None, :]
            shades += np.float32(255 * _GROUND + 0.5)  # the half: casting truncates
            pixels[rows] = shades.astype(np.uint8)
    return pixels


def _frame(factors: Array, period: int, height: int, width: int) -> tuple[NDArray[np.float32], ...]:
    """Every pixel's centre in the frame of its shape, u and v [N,H,W], and the shapes' sizes [N,1,1], in pixels."""
    _, x, y, size, angle, _ = factors.T
    turn = 2 * np.pi * angle / period
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    across = np.arange(width) + 0.5 - width * x[:, None]
    down = np.arange(height) + 0.5 - height * y[:, None]
    u = _single(cos * across)[:, None, :] + _single(sin * down)[:, :, None]
    v = _single(-sin * across)[:, None, :] + _single(cos * down)[:, :, None]
    return u, v, _single(min(height, width) * size)[:, None, None]


def _single(values: Array) -> NDArray[np.float32]:
    return values.astype(np.float32)


def _inside(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much a place is inside a straight outline: 0 ... 1 from its distance in pixels, positive within."""
    share = distance * np.float32(0.5 / _EDGE)
    share += np.float32(0.5)
    np.clip(share, 0, 1, out=share)
    smooth = 6 * share
    smooth -= 15
    smooth *= share
    smooth += 10
    for _ in range(3):
        smooth *= share
    return smooth


def _disc(u, v, size):
    return _inside(np.sqrt(size * size - np.float32(_EDGE_VARIANCE)) - np.hypot(u, v))  # as it fades, a disc grows


def _box(u, v, size, ratio):
    half = size * np.float32(np.sqrt(np.pi / ratio) / 2)
    return _inside(np.float32(ratio) * half - np.abs(u)) * _inside(half - np.abs(v))


def _cross(u, v, size):
    half = size * np.float32(np.sqrt(np.pi / 5) / 2)  # five squares of this half side
    across, down = np.abs(u), np.abs(v)
    middle_column, middle_row = _inside(half - across), _inside(half - down)
    row = _inside(3 * half - across) * middle_row
    column = _inside(3 * half - down) * middle_column
    return row + column - middle_column * middle_row


def _triangle(u, v, size):
    inner = np.sqrt(size * size * np.float32(np.pi / np.sqrt(27)) - np.float32(_EDGE_VARIANCE / 3))  # as of a disc
    slope = np.float32(np.sqrt(0.75)) * u
    half_v = 0.5 * v
    return _inside(inner - v) * _inside(inner + half_v - slope) * _inside(inner + half_v + slope)


_DRAWN = (_disc, partial(_box, ratio=1), _triangle, _cross, partial(_box, ratio=2.5))


def _colours(colour: Array, channels: int) -> Array:
    """The colour of the last factor: [N] -> [N,channels], 0 black and 1 white."""
    if channels == 1:
        return 0.5 + 0.4 * colour[:, None]
    return 0.6 + 0.3 * np.cos(2 * np.pi * (colour[:, None] - np.arange(3) / 3))
