"""Other people's operators, data sets, objectives, penalties and discriminators, added to the tables of the package.

They are code that the person at the keyboard names: `--plugin FILE.py` (repeatable), the environment variable
GANLAB_PLUGINS (paths, separated as in PATH), which reaches the processes of a sweep, or an installed package's entry
points. Neither a YAML nor the files of a run can load one. A file holds tables with the names below, from the name of a
choice to its settings and the function or class that builds it:

    UPSAMPLERS = {"bicubic": (BicubicSettings, Bicubic)}

An entry point, in the group `ganlab.upsamplers` and so on, is one such pair under its name. YAML files in a folder
`conf` beside the file, or in the package, are choices on the command line.
"""

import contextlib
import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Set
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple, Union, get_args

from pydantic import ValidationError

from ganlab import device
from ganlab.config.base import Settings
from ganlab.errors import ConfigError, expand

VARIABLE = "GANLAB_PLUGINS"


class Kind(NamedTuple):
    """A kind of thing that a plugin can add: the module of the table of its builders, and where its settings go.

    base: the model in `ganlab.config` that its settings inherit. fields: of the model `owner`, which can have them.
    needs: what the settings must say.
    """

    module: str
    base: str
    owner: str
    fields: tuple[str, ...]
    needs: tuple[str, ...] = ()


KINDS = {
    "upsamplers": Kind("ganlab.nets.upsampling", "Operator", "Generator", ("upsampling", "elsewhere", "reference")),
    "datasets": Kind(
        "ganlab.data.sources", "DatasetSettings", "RunConfig", ("dataset",), ("size", "channels", "classes")
    ),
    "objectives": Kind("ganlab.training.objectives", "Settings", "RunConfig", ("objective",)),
    "penalties": Kind("ganlab.training.penalties", "PenaltySettings", "RunConfig", ("penalty",)),
    "discriminators": Kind("ganlab.nets.discriminator", "DiscriminatorSettings", "RunConfig", ("discriminator",)),
}
"""By name; a file's table of each kind has that name in capitals."""


class Plugin(Settings):
    """A plugin that a run was made with: its file's name and SHA-256, or its package's name and version."""

    name: str
    digest: str


class _Loaded(NamedTuple):
    plugin: Plugin
    choices: frozenset[tuple[str, str]]


_loaded: dict[str, _Loaded] = {}
_builders: dict[str, dict[str, Callable[..., Any]]] = {kind: {} for kind in KINDS}


def take_plugins(arguments: list[str]) -> list[str]:
    """The arguments of a command without `--plugin FILE`; what they name is noted for this process and its children."""
    rest, paths = [], []
    remaining = iter(arguments)
    for argument in remaining:
        name, equals, value = argument.partition("=")
        if name == "--plugin":
            path = expand(value if equals else next(remaining, ""), "--plugin ")
            _check(path, f"--plugin {path}")
            if os.pathsep in str(path.absolute()):
                raise ConfigError(f"--plugin {path} has a {os.pathsep} in its path, which separates files; move it")
            paths.append(str(path.absolute()))
        else:
            rest.append(argument)
    if paths:
        before = [path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path]
        os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys([*before, *paths]))
    return rest


def plugin_folders() -> list[Path]:
    """The folders of YAML files that plugins bring; nothing is loaded."""
    candidates = [path.parent / "conf" for path in _paths()]
    for point in _entry_points():
        spec = importlib.util.find_spec(point.module.partition(".")[0])
        candidates += [Path(place) / "conf" for place in (spec and spec.submodule_search_locations) or ()]
    return [folder for folder in dict.fromkeys(candidates) if folder.is_dir()]


def load(tree: Mapping[str, Any]) -> list[dict[str, str]]:
    """Load the files that were named and the entry points that settings use; returns the plugins in use.

    They are plain values, `{"name", "digest"}`.

    tree: the settings of a run as plain values. Raises ConfigError, of one line, for a plugin that cannot be used.
    """
    for path in _paths():
        if str(path) not in _loaded:
            _load_file(path)
    used = set(_names(tree))
    for point in _entry_points():
        kind = point.group.removeprefix("ganlab.")
        if point.name in used and f"{point.group}:{point.name}" not in _loaded:
            where = f"entry point {point.group}:{point.name}"
            with _loading(where):
                choice = point.load()
            _join(kind, {point.name: choice}, where)
            dist = point.dist
            name, version = (dist.name, dist.version) if dist else (point.module, "unknown")
            plugin = Plugin(name=name, digest=version)
            _loaded[f"{point.group}:{point.name}"] = _Loaded(plugin, frozenset({(kind, point.name)}))
    plugins_in_use = [loaded.plugin for loaded in _loaded.values() if used & {name for _, name in loaded.choices}]
    return [plugin.model_dump() for plugin in sorted(set(plugins_in_use), key=lambda plugin: plugin.name)]


def require(recorded: Any, present: list[dict[str, str]]) -> None:
    """Raise ConfigError where settings were made with plugins that are missing, or have changed since."""
    here: dict[str, list[str]] = {}
    for plugin in present:
        here.setdefault(plugin["name"], []).append(plugin["digest"])
    try:
        needed = [Plugin.model_validate(plugin) for plugin in recorded]
    except (TypeError, ValidationError):
        raise ConfigError("plugins are not a list of names and digests, as runs record them; leave it out") from None
    for plugin in needed:
        name, digest = plugin.name, plugin.digest
        if name not in here:
            raise ConfigError(f"these settings need the plugin {name}; add --plugin FILE, or set {VARIABLE}")
        if digest not in here[name]:
            raise ConfigError(
                f"the plugin {name} has changed since (its digest was {digest[:12]}, now {here[name][0][:12]}); "
                "use the one that these settings were made with"
            )


def builders(kind: str) -> dict[str, Callable[..., Any]]:
    """What plugins add to a table, by name."""
    return _builders[kind]


def as_typed(recorded: list[dict[str, str]]) -> str:
    """The flags that open a run with these plugins, after a space; empty for plugins of packages."""
    names = {plugin["name"] for plugin in recorded}
    files = [key for key, loaded in _loaded.items() if loaded.plugin.name in names and Path(key).is_absolute()]
    return "".join(f" --plugin {shlex.quote(file)}" for file in files)


def _paths() -> list[Path]:
    files = [Path.cwd() / path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path]
    return list(dict.fromkeys(files))


def _entry_points() -> tuple[importlib.metadata.EntryPoint, ...]:
    return _entry_points_on(tuple(sys.path))


@lru_cache(1)
def _entry_points_on(_path: tuple[str, ...]) -> tuple[importlib.metadata.EntryPoint, ...]:
    """What installed packages offer; finding out takes ten milliseconds, which each cell of a sweep would spend."""
    installed = importlib.metadata.entry_points()
    return tuple(point for kind in KINDS for point in installed.select(group=f"ganlab.{kind}"))


def _check(path: Path, where: str) -> None:
    if not path.is_file() or path.suffix != ".py":
        why = "is not a Python file" if path.exists() else "does not exist"
        raise ConfigError(f"{where} {why}; give the path of a .py file")


class _Loader(importlib.machinery.SourceFileLoader):
    """Runs the very bytes that are hashed. No compiled file, which may be of other code, is read or written."""

    def __init__(self, name: str, path: str, source: bytes):
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        """The code of the module."""
        return self.source_to_code(self._source, self.path)


def _load_file(path: Path) -> None:
    where = f"the plugin {path}"
    _check(path, where)
    source = path.read_bytes()
    digest = hashlib.sha256(source).hexdigest()
    name = f"ganlab_plugin_{path.stem}_{digest[:12]}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_Loader(name, str(path), source))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with _loading(where):
        spec.loader.exec_module(module)
    choices: set[tuple[str, str]] = set()
    for kind in KINDS:
        entries = getattr(module, table := kind.upper(), {})
        if not isinstance(entries, dict):
            raise ConfigError(
                f"{where} has {table} that is not a dictionary; write {table} = {{name: (settings, build)}}"
            )
        choices |= {(kind, name) for name in _join(kind, entries, where)}
    if not choices:
        raise ConfigError(f"{where} adds nothing; define one of {', '.join(KINDS).upper()}")
    _loaded[str(path)] = _Loaded(Plugin(name=path.name, digest=digest), frozenset(choices))


@contextlib.contextmanager
def _loading(where: str) -> Iterator[None]:
    """Turn errors in other people's code into one line. A plugin may import TensorFlow before a run does."""
    device.prepare_environment()
    with device.silence():
        try:
            yield
        except (Exception, SystemExit) as error:
            why = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise ConfigError(f"{where} cannot be loaded ({why})") from error


def _join(kind: str, entries: Mapping[Any, Any], where: str) -> list[str]:
    """Put choices into the table and the settings of their kind."""
    from ganlab import config

    place = KINDS[kind]
    owner, joined = getattr(config, place.owner), set()  # one model may be the settings of several choices
    for name, entry in entries.items():
        is_a_pair = isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], type) and callable(entry[1])
        if not (isinstance(name, str) and is_a_pair and issubclass(entry[0], Settings)):
            raise ConfigError(
                f"{where} has {name!r} that is not (settings, build); give a model of settings and a builder"
            )
        if not issubclass(entry[0], getattr(config, place.base)):
            raise ConfigError(f"{where} has settings of {name!r} that do not inherit ganlab.config.{place.base}")
        with _loading(where):
            entry[0].model_rebuild()  # a type that is not defined
        told = {*dir(entry[0]), *entry[0].model_fields}
        if missing := [needed for needed in place.needs if needed not in told]:
            raise ConfigError(f"{where} has settings of {name!r} without `{missing[0]}`; add that field")
        if name in _tags(owner.model_fields[place.fields[0]].annotation, besides=joined):
            raise ConfigError(f"{where} adds {name!r}, which exists already; give it another name")
        if name not in _tags(entry[0]):
            raise ConfigError(f"{where} has settings of {name!r} without `name: Literal[{name!r}]`; add that field")
        for field in place.fields:
            info = owner.model_fields[field]
            info.annotation = Union[info.annotation, entry[0]]  # noqa: UP007 - the types are known only at run time
        joined.add(entry[0])
        _builders[kind][name] = entry[1]
        if module := sys.modules.get(place.module):
            getattr(module, kind.upper())[name] = entry[1]
    if entries:
        for model in (config.Generator, config.RunConfig):
            model.model_rebuild(force=True)
    return list(entries)


def _tags(annotation: Any, besides: Set[type] = frozenset()) -> set[str]:
    """The names of the choices in a union of settings, besides those of some models."""
    if isinstance(annotation, type) and annotation in besides:
        return set()
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return set(get_args(annotation.model_fields["name"].annotation)) if "name" in annotation.model_fields else set()
    return set().union(*(_tags(part, besides) for part in get_args(annotation)))


def _names(tree: Any) -> Iterator[str]:
    """Every `name` in nested settings."""
    if isinstance(tree, Mapping):
        if isinstance(name := tree.get("name"), str):
            yield name
        for value in tree.values():
            yield from _names(value)
