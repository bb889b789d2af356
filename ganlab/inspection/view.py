"""One generator as numbers and words, and how both are written."""

from dataclasses import dataclass

import numpy as np

INPUT = np.array([[1.0, 2.0], [3.0, 4.0]])
"""The image that operators are shown with."""


@dataclass(frozen=True)
class View:
    """One generator, ready to be shown.

    moment: "before training" or after how many steps. about: seed and sizes in a few words. layers: the layer table,
    header first. notes: what its columns mean. facts: what arms are compared by, name -> text. single, ones: what
    the operator does to [[1,2],[3,4]]. overlap: taps by output pixel of a larger image, of which `scale` pixels stand
    for one input pixel. variance: by phase, with its deviation over draws or None. lattice: the fraction in words.
    pixels: uint8 [N,H,W,C]. power and profile: of the images, None where they have no spectrum, `odd` then says why.
    """

    arm: str  # with what is set of it behind spaces
    moment: str
    about: str
    layers: list[list[str]]
    notes: list[str]
    facts: dict[str, str]
    scale: tuple[int, int]
    single: np.ndarray
    ones: np.ndarray
    overlap: np.ndarray
    variance: np.ndarray
    spread: np.ndarray | None
    lattice: str
    pixels: np.ndarray
    power: np.ndarray | None
    profile: np.ndarray | None
    odd: str = ""


def short(value: float) -> str:
    """Three digits that count."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def even(value: float) -> str:
    """Three decimals, so that numbers stand below each other, unless they are too small for it."""
    return f"{value:.2g}" if 0 < abs(value) < 5e-4 else f"{value:.3f}"


def stacked(arm: str) -> str:
    """An arm's name with its settings below each other."""
    return arm.replace(" ", "\n")


def times(size: tuple[int, ...]) -> str:
    """A size such as 8×8×1."""
    return "×".join(map(str, size))


def log10(power: np.ndarray) -> np.ndarray:
    """log10, with nan where there is no power at all."""
    return np.log10(power, out=np.full(power.shape, np.nan), where=power > 0)
