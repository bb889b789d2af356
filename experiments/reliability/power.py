"""What a power cut may leave of a folder: of what was not flushed to the disk, some is there and some is not.

A file keeps what it had at its last `fsync`, and a folder the names that it had at its own. What came later may be
there or not, and a file may have its new length with nothing in it. Data that were cut off are not brought back, and
the run's folder itself is taken to be there.
"""

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

LOSSES = ("content cut", "content zeros", "names and content", "by chance")
"""Of what was not flushed: content is gone, or reads as zeros; names are gone too; each by chance."""


@dataclass
class _File:
    inode: int
    flushed: int = 0


@dataclass
class _Folder:
    names: dict = field(default_factory=dict)
    flushed: dict = field(default_factory=dict)


class Cut:
    """A folder whose process has ended, and that was missing when it began; `record` is from `faults.Runner`."""

    def __init__(self, folder: Path, record: Path):
        self._folder, self._root = folder, _Folder()
        for line in (record / "calls").read_text().splitlines():
            what, number, path, other = line.split("\t")
            if path != str(folder) or what == "flushed":
                self._replay(what, int(number), path, other)
        found = [path for path in [*folder.rglob("*"), *record.glob("[0-9]*")] if path.is_file()]
        self._contents = {path.stat().st_ino: path.read_bytes() for path in found}
        self._nothing_lost = dict(self._walk(self._root, Path(), "nothing", random.Random()))
        there = {path.relative_to(folder) for path in folder.rglob("*")}
        assert there == self._nothing_lost.keys(), there ^ self._nothing_lost.keys()

    def leave(self, loss: str, chance: random.Random) -> bool:
        """Let the folder hold what is left after a cut; whether anything is lost. chance: for the loss `by chance`."""
        left = dict(self._walk(self._root, Path(), loss, chance))
        shutil.rmtree(self._folder)
        self._folder.mkdir()
        for path, content in left.items():
            if content is None:
                (self._folder / path).mkdir()
            else:
                (self._folder / path).write_bytes(content)
        return left != self._nothing_lost

    def _replay(self, what: str, number: int, path: str, other: str) -> None:
        above, name = self._place(path)
        if what == "file":
            above.names[name] = _File(number)
        elif what == "folder":
            above.names[name] = _Folder()
        elif what == "removed":
            del above.names[name]
        elif what == "renamed":
            target, new = self._place(other)
            target.names[new] = above.names.pop(name)
        elif node := above.names.get(name) if name else self._root:  # else a file without a name by now
            if isinstance(node, _Folder):
                node.flushed = dict(node.names)
            else:
                node.flushed = min(node.flushed, number) if what == "cut" else number

    def _place(self, path: str) -> tuple[_Folder, str]:
        *above, name = Path(path).relative_to(self._folder).parts or ("",)
        folder = self._root
        for part in above:
            folder = folder.names[part]
        return folder, name

    def _walk(self, folder: _Folder, path: Path, loss: str, chance: random.Random):
        """Each path below with its content, None for a folder."""
        names_kept = chance.random() < 0.5 if loss == "by chance" else loss != "names and content"
        for name, node in (folder.names if names_kept else folder.flushed).items():
            if isinstance(node, _Folder):
                yield path / name, None
                yield from self._walk(node, path / name, loss, chance)
            else:
                whole = self._contents[node.inode]
                cut = whole[: node.flushed]
                zeros = cut + bytes(len(whole) - len(cut))
                ways = {"nothing": [whole], "content zeros": [zeros], "by chance": [whole, cut, zeros]}
                yield path / name, chance.choice(ways.get(loss, [cut]))
