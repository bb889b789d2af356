"""One line for every wrong setting: its name, what is wrong, what would be right. No TensorFlow here."""

import contextlib
import difflib
import fnmatch
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError


class ConfigError(ValueError):
    """A setting, or what it names, cannot be used; the text is one line for people."""


class UnknownSettingError(ConfigError):
    """The chosen option does not have this setting; `key` is its dotted name."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


class MissingSettingError(ConfigError):
    """A required setting is missing."""


def expand(text: str, where: str = "") -> Path:
    """The path for a typed text, in which `~` is the home directory; raises ConfigError if there is none.

    where: the prefix of the path, such as `out=`.
    """
    setting = where + (text if len(text) <= 60 else text[:57] + "...")
    if not text:
        raise ConfigError(f"{where}'' is empty; give a path")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ConfigError(f"{setting!r} contains a line break or another control character; give another name")
    if len(os.fsencode(text)) > 4000 or any(len(os.fsencode(part)) > 255 for part in text.split("/")):
        raise ConfigError(f"{setting} is too long; names have at most 255 bytes, paths 4000")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(f"{where}{text} cannot be found: the home directory is unknown; write out the path") from None


def printable(text: str) -> str:
    """Foreign text with � for characters that control a terminal, reverse text, or cannot be encoded.

    This is decided here only: `files.read_json` calls it for everything that runs record, `in_a_line` for every error.
    Line breaks stay.
    """
    return _UNPRINTABLE.sub("�", text)


# controls except tab and newline; marks and overrides of direction; line separators; lone surrogates
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def without_colours(text: str) -> str:
    """Text without the colours and bold type of a terminal, which Keras' errors have."""
    return re.sub("\x1b\\[[0-9;]*m", "", text)


def in_a_line(text: object, most: int = 300) -> str:
    """Foreign text, such as an exception's, without line breaks, and cut if it is long."""
    line = " ".join(printable(without_colours(str(text))).split())
    return line if len(line) <= most else line[: most - 3] + "..."


def join_words(words: Sequence[str], last: str = " and ") -> str:
    """A, b and c."""
    return last.join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def nearest(word: str, words: Iterable[str]) -> str:
    """The end of an error line: the most similar word, then all of them."""
    words = sorted(words)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return (f"did you mean {close[0]}? " if close else "") + "choose one of: " + ", ".join(words)


def matching(names: Iterable[str], patterns: Iterable[str], flag: str, folder: str | Path = "") -> list[str]:
    """The names that are given, or that match a pattern with * or ?; ConfigError for a pattern without a match.

    A name matches itself, whatever brackets it has. flag: the flag that the patterns were given to. folder: where the
    named runs are; a path below it, as tab completion types it, counts as the name.
    """
    names, matched = list(names), dict[str, None]()
    for pattern in patterns:
        plain = pattern.rstrip("/").removeprefix("./")
        if plain not in names and folder:
            with contextlib.suppress(ValueError):
                plain = str(Path(plain).absolute().relative_to(Path(folder).absolute()))
        pattern_of_names = plain.replace("[", "[[]")  # names of cells contain lists
        matches = [plain] if plain in names else [name for name in names if fnmatch.fnmatchcase(name, pattern_of_names)]
        if not matches:
            raise ConfigError(f"{flag} {pattern} is not a run there; {nearest(plain, names)}")
        matched |= dict.fromkeys(matches)
    return list(matched)


_FAULTS = {
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_type": "is not a number",
    "finite_number": "is not a finite number",
    "bool_type": "is not true or false",
    "string_type": "is not a text",
    "list_type": "is not a list; write one in brackets, as [a,b]",
    "tuple_type": "is not a list; write one in brackets, as [a,b]",
    "named_tuple_type": "is not a list; write it as [filters,scale]",  # a stage
    "dict_type": "is not a mapping",
    "model_type": "is not a mapping",
    "greater_than": "is out of range; use a number above {gt}",
    "greater_than_equal": "is out of range; use a number at least {ge}",
    "less_than": "is out of range; use a number below {lt}",
    "less_than_equal": "is out of range; use a number at most {le}",
    "too_long": "is too long; use at most {max_length} entries",
    "too_short": "is too short; it needs at least {min_length} entries",
    "tuple_too_short": "is too short; it needs at least 1 entries",
}
"""What is wrong with a value, by pydantic's name of the error, with its context filled in."""


def explain(error: ValidationError, tree: dict[str, Any]) -> ConfigError:
    """Turn the most specific of pydantic's errors into one line with the names that people type."""
    first = max(error.errors(), key=lambda item: len(item["loc"]))
    kind, context = first["type"], first.get("ctx", {})
    if kind == "value_error":  # from one of our own validators: already complete
        return ConfigError(in_a_line(context["error"], 1000))
    path, node = _locate(first["loc"], tree)
    where = in_a_line(".".join(path), 100)
    owner = in_a_line(_name_at(path[:-1], tree), 60)
    if kind == "extra_forbidden":
        return UnknownSettingError(where, f"{where} is not a setting of {owner}")
    if kind == "missing" and isinstance(first["loc"][-1], int):  # an entry of a list
        return ConfigError(f"{where}={_printed(node)} has too few entries")
    if kind == "missing":
        return MissingSettingError(f"{where} is missing; {owner} needs it")
    setting = f"{where}={_printed(node)}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tags = [tag.strip(" '") for tag in context.get("expected_tags", "").split(",")] if context else []
        name = node.get("name") if isinstance(node, dict) else node
        if not tags:
            return ConfigError(f"{where}.name is missing; every {path[-1]} has one")
        return ConfigError(f"{where}.name={name!r} is unknown; {nearest(str(name), tags)}")
    if kind == "literal_error":
        options = [option.strip(" '") for option in context["expected"].replace(" or ", ", ").split(",")]
        return ConfigError(f"{setting} is unknown; {nearest(str(node), options)}")
    fault = _FAULTS[kind].format(**context) if kind in _FAULTS else f"is not usable: {first['msg'].lower()}"
    return ConfigError(f"{setting} {fault}")


def _locate(location: tuple[int | str, ...], tree: Any) -> tuple[list[str], Any]:
    """The location without the type names that pydantic inserts, and the value there."""
    path: list[str] = []
    node: Any = tree
    for part in location:
        place = isinstance(node, list) and isinstance(part, int) and part < len(node)
        if place or (isinstance(node, dict) and part in node):
            node = node[part]
        elif isinstance(node, dict) and part == location[-1] and part != node.get("name"):
            node = None  # missing
        else:
            continue
        path.append(str(part))
    return path or ["settings"], node


def _name_at(path: list[str], tree: Any) -> str:
    node = tree
    for part in path:
        node = node[int(part)] if isinstance(node, list) else node.get(part, {})
    if isinstance(node, dict) and "name" in node:
        return str(node["name"])
    return ".".join(path) or "a run"


def _printed(value: Any) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
