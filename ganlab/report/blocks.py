"""What pages are made of: each block is rendered once as HTML and once as Markdown, by its `kind`."""

from dataclasses import dataclass
from typing import ClassVar

from ganlab.report.drawing import Drawing
from ganlab.report.samples import Grid


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Claims:
    """Sentences of the verdict under one heading; each with its verdict in a word, empty where there is none."""

    kind: ClassVar[str] = "claims"
    heading: str
    note: str
    sentences: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Bullets:
    """Sentences that stand on their own."""

    kind: ClassVar[str] = "bullets"
    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """The first column says what a row is about. words: the others hold words, which may wrap, not numbers."""

    kind: ClassVar[str] = "table"
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: bool = False


@dataclass(frozen=True)
class Figures:
    """Drawings beside each other where there is room."""

    kind: ClassVar[str] = "figures"
    drawings: tuple[Drawing, ...]


@dataclass(frozen=True)
class Grids:
    """Pictures of samples or of spectra beside each other; `names` of their files, without what comes after the dot."""

    kind: ClassVar[str] = "grids"
    caption: str
    grids: tuple[Grid, ...]
    names: tuple[str, ...]
    pixelated: bool = True


@dataclass(frozen=True)
class Commands:
    """Lines to copy, each with what it is about."""

    kind: ClassVar[str] = "commands"
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Fold:
    """What is shown when asked for."""

    kind: ClassVar[str] = "fold"
    summary: str
    blocks: "tuple[Block, ...]"


Block = Text | Claims | Bullets | Table | Figures | Grids | Commands | Fold


@dataclass(frozen=True)
class Section:
    """A part of the page with an anchor."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """title: what the page says, in one sentence. lead: who asked what, of which folder."""

    title: str
    lead: str
    sections: tuple[Section, ...]

    def drawings(self) -> list[Drawing]:
        """Every figure, in the order of the page."""
        return [drawing for block in self._all() if isinstance(block, Figures) for drawing in block.drawings]

    def pictures(self) -> dict[str, bytes]:
        """Every PNG by its name."""
        grids = [block for block in self._all() if isinstance(block, Grids)]
        return {name: grid.png for block in grids for name, grid in zip(block.names, block.grids, strict=True)}

    def _all(self) -> list[Block]:
        found: list[Block] = []
        waiting = [block for section in self.sections for block in section.blocks]
        while waiting:
            block = waiting.pop(0)
            found.append(block)
            if isinstance(block, Fold):
                waiting[:0] = block.blocks
        return found
