"""Generators to inspect, from the command line: choices of `generator`, each with its own settings."""

import hashlib
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from ganlab.cli.choices import options
from ganlab.cli.hydra import LONGEST_NAME, cell_name
from ganlab.config.generator import Generator, Upsampling
from ganlab.errors import ConfigError, nearest

_OPERATOR = {name for kind in get_args(get_args(Upsampling)[0]) for name in kind.model_fields} - {"name"}
_GENERATOR = set(Generator.model_fields) - {"name", "upsampling", "elsewhere", "reference"}


@dataclass(frozen=True)
class Arm:
    """One generator: its label, such as `transpose kernel_size=3`, and its overrides."""

    label: str
    overrides: list[str]


def read_arms(texts: Sequence[str]) -> list[Arm]:
    """Arms from `upsample`, `upsample,fir` and `transpose kernel_size=3`; raises ConfigError for others.

    Settings follow a choice, separated by spaces, with their whole name or the short one that `whole_name` reads.
    """
    available, arms = options("generator"), []
    for text in texts:
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise ConfigError(f"--compare={text} cannot be read ({error}); correct its quotes") from None
        choices, settings = (words or [""])[0].split(","), words[1:]
        if settings and len(choices) > 1:
            raise ConfigError(f"--compare={text} has commas and settings; put each generator into its own quotes")
        for choice in choices:
            if choice not in available:
                raise ConfigError(f"--compare={choice} is unknown; {nearest(choice, available)}")
        for setting in settings:
            if "=" not in setting:
                raise ConfigError(f"--compare={text} has {setting}, which is not a setting; write NAME=VALUE")
        full_names = [whole_name(setting) for setting in settings]
        arms += [
            Arm(" ".join([choice, *map(short_name, full_names)]), [f"generator={choice}", *full_names])
            for choice in choices
        ]
    keys = set[tuple[str, ...]]()
    for arm in arms:
        key = (arm.overrides[0], *sorted(arm.overrides[1:]))
        if key in keys:
            raise ConfigError(f"--compare={arm.label} is named twice; leave one out")
        keys.add(key)
    return arms


def whole_name(override: str) -> str:
    """`kernel_size=3` as `generator.upsampling.kernel_size=3`, `body=...` as `generator.body=...`, others unchanged."""
    name, equals, value = override.partition("=")
    plus = name[: len(name) - len(name.lstrip("+~"))]
    bare = name.lstrip("+~")
    prefix = "generator.upsampling." if bare in _OPERATOR else "generator." if bare in _GENERATOR else ""
    return f"{plus}{prefix}{bare}{equals}{value}"


def short_name(override: str) -> str:
    """The inverse of `whole_name`."""
    name, equals, value = override.partition("=")
    bare = name.lstrip("+~")
    for prefix, names in (("generator.upsampling.", _OPERATOR), ("generator.", _GENERATOR)):
        if bare.startswith(prefix) and bare.removeprefix(prefix) in names:
            return f"{bare.removeprefix(prefix)}{equals}{value}"
    return f"{bare}{equals}{value}"


def label(name: str, overrides: Iterable[str]) -> str:
    """An arm's name and the settings of its operator: `transpose kernel_size=5`."""
    of_operator = [text for text in overrides if text.lstrip("+~").startswith("generator.upsampling.")]
    return " ".join([name, *map(short_name, of_operator)])


def picture_name(arms: Sequence[Arm], common: Sequence[str]) -> str:
    """A file's name, without its suffix, from all that was set: different settings never have the same name.

    common: overrides of all arms. A name too long for a file system ends in a digest of the whole.
    """
    parts = [_name(arm.overrides) for arm in arms]
    if common:
        parts.append(_name(common))
    name = "-".join(part for part in parts if part)
    encoded = name.encode()
    if len(encoded) <= LONGEST_NAME:
        return name
    return f"{encoded[: LONGEST_NAME - 11].decode(errors='ignore')}-{hashlib.sha256(encoded).hexdigest()[:10]}"


def _name(overrides: Sequence[str]) -> str:
    """The name of a cell, plus the seed and the experiment, which it leaves out."""
    last = {text.partition("=")[0]: text.partition("=")[2] for text in overrides}
    cell = cell_name(short_name(text) for text in overrides if text.partition("=")[0] not in ("seed", "experiment"))
    parts = [] if cell == "default" else [cell]
    return "-".join(parts + [f"{key}={last[key]}" for key in ("experiment", "seed") if key in last])
