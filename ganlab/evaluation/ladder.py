"""How measures rate known faults: spoiled real images take the place of generated ones.

They are spoiled by grain of 2 grey levels, which hardly anyone sees and which must count for little, and by faults that
must count for more. `ganlab/study/compare.py` says which measures may decide.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from ganlab.evaluation.registry import FAULTS, GRAIN, RUNG_DRAWS, RUNG_NOISE, UNTOUCHED, WITHOUT_CLASS, Rungs, compared

Spoil = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Pixels as floats [N,H,W,C] -> spoiled ones, not rounded."""

_GREY_LEVELS = 2.0
_FEW, _VALUES = 200, 2**25
_CLASSES = 5  # at most this many classes are left out, one at a time
_SILENCE = 20.0  # seconds after which a line says how far it is


def white_noise(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Add noise that is independent in every pixel, with a standard deviation of 2 grey levels."""
    return pixels + _GREY_LEVELS * random.standard_normal(pixels.shape)


def lattice_grain(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Add what a transposed convolution makes of noise: a 4x4 kernel at every other pixel, also of 2 grey levels."""
    count, height, width, channels = pixels.shape
    noise = np.zeros((count, height + 3, width + 3, channels))
    noise[:, ::2, ::2] = random.standard_normal(noise[:, ::2, ::2].shape)
    grain = _correlate(noise, random.standard_normal((4, 4)))
    return pixels + _GREY_LEVELS * grain / grain.std()


def blur(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Apply a binomial filter of 3x3."""
    padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")
    return _correlate(padded, np.outer([1, 2, 1], [1, 2, 1]) / 16)


def malformed(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Give one image in five the left half of another one."""
    spoiled, count, half = pixels.copy(), -(-len(pixels) // 5), pixels.shape[2] // 2
    spoiled[:count, :, :half] = pixels[np.roll(np.arange(count), 1), :, :half]
    return spoiled


def repeats(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw all images from one in a hundred."""
    return pixels[random.integers(0, max(2, len(pixels) // 100), len(pixels))]


def _correlate(pixels: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Correlate each image with a window, only where the window is inside."""
    height, width = pixels.shape[1] - len(window) + 1, pixels.shape[2] - len(window) + 1
    total = np.zeros((len(pixels), height, width, pixels.shape[3]))
    for (row, column), weight in np.ndenumerate(window):
        total += weight * pixels[:, row : row + height, column : column + width]
    return total


SPOILS: dict[str, Spoil] = {
    "white noise of 2 grey levels": white_noise,
    "lattice grain of 2 grey levels": lattice_grain,
    "blur of 3x3": blur,
    "one image in five malformed": malformed,
    "one image in a hundred, repeated": repeats,
}
assert set(SPOILS) == {*GRAIN, *FAULTS}


def climb(
    measure: Callable[[np.ndarray], Mapping[str, float]],
    train: np.ndarray,
    labels: np.ndarray | None,
    count: int,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Rungs]:
    """The value of each measure on each rung: {metric: {rung: value}}, means over draws of images.

    measure: of pixels uint8 [N,H,W,C]. train, labels: real images to spoil. count: how many take the place of generated
    ones; if fewer are left without a class, fewer on every rung. say: takes a line now and then. `RUNG_NOISE` among
    the rungs is the standard deviation over draws, pooled over the rungs without a fault.
    """
    rungs: dict[str, list[Mapping[str, float]]] = {}
    absent = _absent(labels, count // 2)
    count = min([count, len(train), *(int(np.sum(labels != label)) for label in absent)])
    planned = list(_rungs(train, labels, absent, count))
    began = said = time.monotonic()
    for place, (name, draw) in enumerate(planned):
        if (now := time.monotonic()) - said > _SILENCE:
            left = (now - began) / place * (len(planned) - place)
            say(f"  {place} of {len(planned)} tried, about {left:.0f} s left; next: {name}")
            said = now
        rungs[name] = []
        for number in range(RUNG_DRAWS):
            pixels = draw(np.random.default_rng([number, 0]))
            rungs[name].append(measure(np.clip(np.rint(pixels), 0, 255).astype(np.uint8)))
    measured = [one for rung in rungs.values() for one in rung]
    metrics = [name for name in measured[0] if compared(name) and all(name in one for one in measured)]
    ladder = {}
    for metric in metrics:
        values = {name: [one[metric] for one in rung] for name, rung in rungs.items()}
        noise = float(np.sqrt(np.mean([np.var(values[name], ddof=1) for name in (UNTOUCHED, *GRAIN)])))
        ladder[metric] = {name: float(np.mean(column)) for name, column in values.items()} | {RUNG_NOISE: noise}
    return ladder


def images_of_a_rung(most: int, shape: tuple[int, ...]) -> int:
    """How many images of a shape [H,W,C] a rung has: at most so many, and no more than memory holds several times."""
    return min(most, max(_FEW, _VALUES // int(np.prod(shape))))


def _absent(labels: np.ndarray | None, least: int) -> list[int]:
    """The classes that are left out in turn: at most five, evenly from all without which `least` images are left."""
    classes = [] if labels is None else np.unique(labels).tolist()
    classes = [label for label in classes if np.sum(labels != label) >= max(least, 1)]
    if not classes:
        return []
    places = np.linspace(0, len(classes) - 1, min(_CLASSES, len(classes))).round().astype(int)
    return [classes[place] for place in places]


def _rungs(
    train: np.ndarray, labels: np.ndarray | None, absent: Sequence[int], count: int
) -> Iterator[tuple[str, Callable[[np.random.Generator], np.ndarray]]]:
    """Each rung's name, and a function that draws its images."""

    def spoiled(spoil: Spoil) -> Callable[[np.random.Generator], np.ndarray]:
        return lambda random: spoil(train[random.permutation(len(train))[:count]].astype(float), random)

    def without(label: int) -> Callable[[np.random.Generator], np.ndarray]:
        places = np.flatnonzero(labels != label)
        return lambda random: train[random.permutation(places)[:count]]

    yield UNTOUCHED, spoiled(lambda pixels, _: pixels)
    for name, spoil in SPOILS.items():
        yield name, spoiled(spoil)
    for label in absent:
        yield f"{WITHOUT_CLASS}{label}", without(label)
