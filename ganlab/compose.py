"""From a command line to settings: Hydra composes, and every cell of a sweep has a name of its own.

All that ganlab asks of Hydra stands here and in `train.py`. No TensorFlow.
"""

import contextlib
import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ganlab.choose import ConfigError, nearest
from ganlab.config import RunConfig, parse
from ganlab.library import CONF, groups, options
from ganlab.run.inputs import complete

LONGEST_NAME = 120  # bytes of a cell's name; file systems allow 255


@dataclass(frozen=True)
class Cell:
    """One run to be made: its settings and its folder."""

    config: RunConfig
    directory: Path


@dataclass(frozen=True)
class Plan:
    """What a command line asks for: one run, or the cells of a sweep.

    launcher: Hydra's, by name, that starts the cells. left: what the experiment sweeps over, where the command line
    replaces some of it; None where it replaces nothing.
    """

    cells: list[Cell]
    sweep: Path | None
    resume: Path | None
    launcher: str = "basic"
    left: tuple[str, ...] | None = None


# --- names of folders -----------------------------------------------------------------------------------------------


def cell_name(overrides: Iterable[str]) -> str:
    """A folder's name from every overridden setting but the seed: the generator by its option, others by name=value.

    A name too long for a file system ends in a digest of the whole.
    """
    last = {}
    for override in _parsed([str(text) for text in overrides]):
        key = _key(override)
        if key not in ("seed", "study", "experiment", "resume") and not key.startswith("comparison."):
            value = override.value()
            last[key] = value if isinstance(value, str) else override.get_value_element_as_str()  # without its quotes
    arm = [last.pop("generator")] if "generator" in last else []
    parts = arm + [f"{key}={value}" for key, value in sorted(last.items())]
    name = re.sub(r"[^\w.,=+\[\]-]+", "_", "-".join(parts)).replace("-seed", "_seed") or "default"
    whole = name.encode()
    if len(whole) <= LONGEST_NAME:
        return name
    return f"{whole[: LONGEST_NAME - 11].decode(errors='ignore')}-{hashlib.sha256(whole).hexdigest()[:10]}"


_NOW = datetime.now().strftime("%Y-%m-%d/%H-%M-%S-%f")  # to the microsecond: two runs never share a folder


def _cell(seed: int, overrides: list[str]) -> str:
    return f"{cell_name(overrides)}-seed{seed}"


def _run_directory(study: str | None, seed: int, overrides: list[str]) -> str:
    return f"outputs/{study}/{_cell(seed, overrides)}" if study else f"outputs/runs/{_NOW}"


def _sweep_directory(study: str | None) -> str:
    return f"outputs/{study}" if study else f"outputs/sweeps/{_NOW}"


for _name, _resolver in {
    "ganlab_cell": _cell,
    "ganlab_run_directory": _run_directory,
    "ganlab_sweep_directory": _sweep_directory,
}.items():
    OmegaConf.register_new_resolver(_name, _resolver, replace=True)


# --- settings -------------------------------------------------------------------------------------------------------


def settings(tree: DictConfig) -> RunConfig:
    """The validated settings in a composed tree; raises ConfigError."""
    values: dict[str, Any] = {}
    for key in tree:
        if key not in ("hydra", "resume"):  # what Hydra is told may hold what only a job knows
            value = tree[key]
            values[str(key)] = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    return parse(complete(values))


def plan(overrides: list[str], *, multirun: bool, config_dir: str | None = None) -> Plan:
    """Compose and check everything a command line asks for, before anything is started; raises ConfigError."""
    if (resume := _resumed(overrides)) is not None:
        return Plan([], None, resume)
    if config_dir is not None and not (config_dir and Path(config_dir).is_dir()):
        raise ConfigError(f"-cd {config_dir} is no folder; give one that holds YAML files")
    try:
        with _files(config_dir):
            plain, sweeps = _split(overrides)
            first = compose("config", plain, return_hydra_config=True)
            if first.resume is not None:
                raise ConfigError(f"resume={first.resume} stands in a YAML file; give it on the command line, alone")
            if not multirun and str(first.hydra.mode) != "RunMode.MULTIRUN":
                if sweeps:
                    several = next(text for text in overrides if text not in plain)
                    raise ConfigError(f"{several} has several values; add -m to run them all, or write a list as [a,b]")
                return Plan([Cell(settings(first), Path(first.hydra.run.dir))], None, None)
            swept = first.hydra.sweeper.params or {}
            given = [_key(override) for override in _parsed(overrides)]
            for key in {_key(_parsed(choices[:1])[0]) for choices in sweeps}:
                if given.count(key) > 1:
                    raise ConfigError(f"{key} is given twice, once with several values; leave one of them out")
            params = [f"{key}={value}" for key, value in swept.items() if key not in given]
            fixed, more = _split(params)
            # Composing takes a tenth of a second: cells that differ in their seed alone share it, where folders are
            # named as the defaults name them; other names may hold what only composing tells.
            ours = "ganlab_cell" in str(OmegaConf.to_container(first.hydra.sweep, resolve=False))
            trees: dict[tuple[str, ...], DictConfig] = {}
            cells, folders = [], set[Path]()
            for choice in itertools.product(*(more + sweeps)):
                seeds = [text for text in choice if ours and text.startswith("seed=")]
                rest = tuple(text for text in choice if text not in seeds)
                if rest not in trees:
                    number = f"hydra.job.num={len(cells)}"
                    whole = [*fixed, *plain, *choice, number]
                    trees[rest] = compose("config", whole, return_hydra_config=True)
                tree = trees[rest]
                for text in seeds:
                    tree.seed = _parsed([text])[0].value()
                folders.add(Path(tree.hydra.sweep.dir))
                directory = Path(tree.hydra.sweep.dir) / tree.hydra.sweep.subdir
                cells.append(Cell(settings(tree), directory))
    except ConfigError:
        raise
    except (HydraException, OmegaConfBaseException) as error:
        raise explain_hydra(error, overrides, config_dir) from None
    except ValueError as error:  # Hydra's, of a group that is no choice, such as experiment=null
        raise ConfigError(f"{' '.join(str(error).split())}; leave it out, or name a choice") from None
    except yaml.MarkedYAMLError as error:
        where = f"{error.problem_mark.name}, line {error.problem_mark.line + 1}" if error.problem_mark else "a file"
        raise ConfigError(f"{where} is no YAML ({error.problem}); mend it there") from None
    if len(folders) > 1:
        asked = " and ".join(sorted(map(str, folders)))
        raise ConfigError(f"a sweep has one folder, not {asked}; give study, and all else that names it, one value")
    seen: dict[Path, Cell] = {}
    for cell in cells:
        if cell.directory in seen:
            raise ConfigError(
                f"hydra.sweep.subdir gives two cells the folder {cell.directory}; "
                "let it name every setting that varies, or leave out the repeated value"
            )
        seen[cell.directory] = cell
    left = tuple(params) if len(params) < len(swept) else None
    launcher = first.hydra.runtime.choices["hydra/launcher"]
    if launcher == "joblib" and not first.hydra.launcher.n_jobs:
        raise ConfigError("hydra.launcher.n_jobs=0 runs nothing; give a number of jobs, or -1 for one on each core")
    return Plan(cells, folders.pop(), None, launcher, left)


@contextlib.contextmanager
def _files(config_dir: str | None) -> Iterator[None]:
    """While inside, Hydra composes from our YAML files, and from those of -cd as it does when it reads that flag.

    As hydra.searchpath they would come too late for glob(...).
    """
    ours = str(CONF.absolute())
    with initialize_config_dir(version_base="1.3", config_dir=ours):
        if config_dir is not None:
            places = create_config_search_path(ours)
            places.prepend("command-line", f"file://{Path(config_dir).absolute()}", SearchPathQuery(provider="schema"))
            GlobalHydra.instance().clear()
            Hydra.create_main_hydra2("app", places)
        yield


def _resumed(overrides: list[str]) -> Path | None:
    """The run to go on with. Its path is no value of Hydra's grammar, to which the names of cells (a=b) are wrong."""
    for text in overrides:
        name, _, path = text.partition("=")
        if name.lstrip("+") == "resume" and path != "null":
            if others := [other for other in overrides if other != text]:
                raise ConfigError(f"{text} takes its settings from that run; leave out {others[0]}")
            quoted = len(path) > 1 and path[0] == path[-1] and path[0] in "'\""
            return Path(path[1:-1] if quoted else path)
    return None


def _parsed(overrides: list[str]) -> list[Override]:
    hydra = GlobalHydra.instance()
    return OverridesParser.create(hydra.config_loader() if hydra.is_initialized() else None).parse_overrides(overrides)


def _key(override: Override) -> str:
    """What is set, without what says how (+, ++, ~)."""
    return override.get_key_element().lstrip("+~")


def _split(overrides: list[str]) -> tuple[list[str], list[list[str]]]:
    """Overrides with one value, and for each that sweeps, the overrides of its values."""
    plain, sweeps = [], []
    for text, override in zip(overrides, _parsed(overrides), strict=True):
        if override.is_interval_sweep():
            raise ConfigError(f"{text} has no values that can be counted; name them, or write range(START,STOP,STEP)")
        if override.is_sweep_override():
            choices = [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
            if not choices:
                raise ConfigError(f"{text} gives no value; write a pattern or a range that does, or leave it out")
            sweeps.append(choices)
        else:
            plain.append(text)
    return plain, sweeps


def explain_hydra(error: Exception, overrides: Iterable[str] = (), config_dir: str | None = None) -> ConfigError:
    """One line for what Hydra says in several; `overrides` are what was asked for, with the YAML files of -cd."""
    text = str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        if error.options:
            return ConfigError(f"{group}={option} is unknown; {nearest(option, error.options)}")
        return ConfigError(f"{error.missing_cfg_file} is not a group of options; {nearest(group, groups())}")
    if isinstance(error, OverrideParseException):
        return ConfigError(
            f"{error.override!r} cannot be read; write name=value, quoted where it holds spaces or commas"
        )
    if found := re.search(r"Could not append to config\. An item is already at '(.+?)'", text):
        return ConfigError(f"{found[1]} is there already; set it without +")
    if found := re.search(r"Could not (?:override|append to config[^']*) '(.+?)'", text):
        return _unknown(found[1].split("=")[0].lstrip("+~"), overrides, config_dir)
    if isinstance(error, ConfigCompositionException) and error.__cause__ is not None:
        text = f"{text}: {error.__cause__}"
    return ConfigError(" ".join(text.split()))


def _unknown(key: str, overrides: Iterable[str], config_dir: str | None) -> ConfigError:
    given = [text for text in overrides if text.partition("=")[0] in groups()]
    if key in groups():
        wrong = next((text for text in given if text.startswith(f"{key}=")), key)
        return ConfigError(f"{wrong} names no choice; choose one of: {', '.join(options(key))}")
    try:
        with _files(config_dir):
            choices, sweeps = _split(given)
            tree: Any = OmegaConf.to_container(compose("config", choices), resolve=False)
    except (HydraException, OmegaConfBaseException):  # a choice is wrong as well
        return ConfigError(f"{key} is not a setting; see --help for those that there are")
    parent, names = tree, key.split(".")
    for name in names[:-1]:
        parent = parent.get(name) if isinstance(parent, dict) else None
    if isinstance(parent, dict) and len(names) > 1:
        owner = parent.get("name") or ".".join(names[:-1])
        swept = any(values[0].startswith(f"{names[0]}=") for values in sweeps)
        several = f"; as {names[0]} is swept over, write ++{key}=... (every choice must have it)" if swept else ""
        return ConfigError(f"{key} is not a setting of {owner}; {nearest(names[-1], parent)}{several}")
    if len(names) > 1 and names[0] not in tree:
        return ConfigError(f"{key} is not a setting; {nearest(names[0], tree)}")
    return ConfigError(f"{key} is not a setting; {nearest(key, tree)}")
