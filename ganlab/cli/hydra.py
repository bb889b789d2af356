"""From a command line to settings: Hydra composes them, and every cell of a sweep gets its own name.

All use of Hydra is here. Hydra never sees a command line, only overrides. No TensorFlow.
"""

import contextlib
import difflib
import hashlib
import io
import itertools
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from hydra.initialize import get_gh_backup, restore_gh_from_backup
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ganlab.cli.choices import CONF, file_of, groups, options
from ganlab.cli.foreign_yaml import BY_EXPERIMENT, DEEPEST, LAUNCHERS, address, check_hydra, check_place
from ganlab.config import RunConfig, parse
from ganlab.config.plugins import VARIABLE, plugin_folders
from ganlab.errors import ConfigError, UnknownSettingError, expand, in_a_line, join_words, nearest
from ganlab.files import safe_name
from ganlab.run.inputs import complete
from ganlab.runs.tracking import check_installed

LONGEST_OVERRIDE = 4500  # letters: a path has 4096 at most
MOST_CELLS = 10_000
MOST_REFERENCES = 24  # ${...}, each resolved anew: references to two others take exponential time
LONGEST_NAME = 120  # bytes of a cell's name; file systems allow 255
LONGEST_LABEL = 80  # bytes in the name of a single run's folder besides the time


@dataclass(frozen=True)
class Cell:
    """One planned run: its settings and its folder."""

    config: RunConfig
    directory: Path


@dataclass(frozen=True)
class Plan:
    """What a command line asks for: one run, or the cells of a sweep.

    steps: the new last step of a run to resume; None: that of its settings. launcher: the name of Hydra's launcher that
    starts the cells. remaining_sweep: what the experiment still sweeps over if the command line replaces some of it;
    None if it replaces nothing. naming: overrides that name the cells if the defaults would not tell them apart. swept:
    what the cells differ in, as overrides. choices: of the first cell, by group. jobs: how many cells joblib runs at a
    time.
    """

    cells: list[Cell]
    sweep: Path | None
    resume: Path | None
    launcher: str = "basic"
    remaining_sweep: tuple[str, ...] | None = None
    steps: int | None = None
    naming: tuple[str, ...] = ()
    swept: tuple[str, ...] = ()
    choices: Mapping[str, str | None] = field(default_factory=dict)
    jobs: int = 1


# --- names of folders -----------------------------------------------------------------------------------------------


def cell_name(overrides: Iterable[str], *more: str) -> str:
    """A folder's name from every overridden setting but the seed: the generator by its option, others by name=value.

    more: `seed` or `experiment`, to name them too. Of a name too long for a file system, paths are their last part, and
    a digest of the whole is its end.
    """
    overrides = list(overrides)
    name = _short_name(overrides, *more) or "default"
    return cut_name(name, _short_name(overrides, *more, whole_paths=False))


def cut_name(name: str, shorter: str = "") -> str:
    """A name for a file or a folder: of one too long for a file system `shorter`, or its start, and a digest."""
    encoded = name.encode()
    if len(encoded) <= LONGEST_NAME:
        return name
    start = (shorter or name).encode()[: LONGEST_NAME - 11].decode(errors="ignore")
    return f"{start}-{hashlib.sha256(encoded).hexdigest()[:10]}"


_UNNAMED = ("seed", "study", "experiment", "resume", "tracking")


def _short_name(overrides: Iterable[str], *more: str, whole_paths: bool = True) -> str:
    last = {}
    for override in _parsed([str(text) for text in overrides]):
        key = _key(override)
        if key in more or (key not in _UNNAMED and not key.startswith("comparison.")):
            value = override.value()
            text = value if isinstance(value, str) else override.get_value_element_as_str()  # without its quotes
            last[key] = text if whole_paths else text.rstrip("/").rpartition("/")[2]
    arm = [last.pop("generator")] if "generator" in last else []
    parts = arm + [f"{key}={value}" for key, value in sorted(last.items())]
    name = safe_name("-".join(parts), ".,=+[]")
    return re.sub(r"-seed(?!=)", "_seed", name)


_NOW = datetime.now().strftime("%Y-%m-%d/%H-%M-%S-%f")  # to the microsecond: two runs never share a folder


def _cell(seed: int, overrides: list[str], *more: str) -> str:
    return f"{cell_name(overrides, *more)}-seed{seed}"


def _run_directory(study: str | None, seed: int, overrides: list[str]) -> str:
    return f"outputs/{study}/{_cell(seed, overrides)}" if study else f"outputs/runs/{_NOW}{_label(overrides)}"


def _label(overrides: list[str]) -> str:
    """What tells single runs apart in TensorBoard: -upsample-seed=3-steps=200, cut if it is long.

    Settings are named by the last part of their names, without brackets: the time keeps folders apart.
    """
    name = re.sub(r"(^|-)(?:\w+\.)+(?=\w+=)|[][]", r"\1", _short_name(overrides, "seed", "experiment"))
    label = f"-{name}".rstrip("-")
    cut = label.encode()[:LONGEST_LABEL].decode(errors="ignore")
    return label if label == cut else cut.rpartition("-")[0] or cut


def _sweep_directory(study: str | None) -> str:
    return f"outputs/{study}" if study else f"outputs/sweeps/{_NOW}"


OmegaConf.register_new_resolver("ganlab_cell", _cell, replace=True)
OmegaConf.register_new_resolver("ganlab_run_directory", _run_directory, replace=True)
OmegaConf.register_new_resolver("ganlab_sweep_directory", _sweep_directory, replace=True)


# --- settings -------------------------------------------------------------------------------------------------------


def settings(
    tree: DictConfig, *, describing: bool = False, surveyed: dict[str, dict[str, Any]] | None = None
) -> RunConfig:
    """The validated settings in a composed tree; raises ConfigError.

    surveyed: what was read from data sets, so that cells of a sweep that share one read it once.
    """
    values: dict[str, Any] = {}
    for key in tree:
        if key not in ("hydra", "resume"):  # Hydra's node may refer to values that only a job has
            value = tree[key]
            values[str(key)] = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    if (source := values.get("init_from")) is not None:
        from ganlab.run.resume import pin_checkpoint

        if not isinstance(source, str):
            raise ConfigError(f"init_from={source} is not a directory; give that of a run")
        values["init_from"] = pin_checkpoint(source).model_dump()
    for group in groups():
        if isinstance(choice := values.get(group), str):
            raise ConfigError(
                f"{group}={choice} in a YAML file is not among its defaults; write override /{group}: {choice} there"
            )
    try:
        config = parse(complete(values, describing=describing, surveyed=surveyed))
    except UnknownSettingError as error:
        names = error.key.split(".")
        for group, choice in (OmegaConf.select(tree, "hydra.runtime.choices") or {}).items():
            if names == [str(group).partition("/")[0]]:
                raise ConfigError(
                    f"{group}={choice} sets {names[0]}, which is no setting; begin its YAML file with the line "
                    "# @package _global_"
                ) from None
        choices = _choices_with(names)
        raise ConfigError(
            f"{error}; it needs {names[0]}={join_words(choices, ' or ')}" if choices else str(error)
        ) from None
    check_installed(config.tracking)
    return config


def plan(overrides: list[str], *, multirun: bool, config_dir: str | None = None, describing: bool = False) -> Plan:
    """Compose and check everything a command line asks for, before anything is started; raises ConfigError.

    describing: for a help page, for which no file of images need be named.
    """
    if (resume := _find_resume(overrides)) is not None:
        if config_dir is not None:
            raise ConfigError(f"resume={resume[0]} takes its settings from that run; leave out -cd {config_dir}")
        return Plan([], None, resume[0], steps=resume[1])
    overrides = [quoted(text) for text in overrides]
    with _in_one_line(overrides, config_dir), _files(config_dir):
        plain, sweeps = _split(overrides)
        given = [_key(override) for override in _parsed(overrides)]
        first = _compose(plain, set(given))
        if first.resume is not None:
            raise ConfigError(f"resume={first.resume} is in a YAML file; give it on the command line, alone")
        if multirun or str(first.hydra.mode) == "RunMode.MULTIRUN":
            planned = _plan_sweep(overrides, plain, sweeps, given, first, describing)
        elif sweeps:
            several = next(text for text in overrides if text not in plain)
            raise ConfigError(f"{several} has several values; add -m to run them all, or write a list as [a,b]")
        else:
            cell = Cell(settings(first, describing=describing), _folder(first, "run.dir", set(given)))
            planned = Plan([cell], None, None, choices=first.hydra.runtime.choices)
        _check_factors(planned.cells, config_dir)
    return planned


def _plan_sweep(
    overrides: list[str],
    plain: list[str],
    sweeps: list[list[str]],
    given: list[str],
    first: DictConfig,
    describing: bool,
) -> Plan:
    """The plan of a sweep.

    plain, sweeps: the overrides of one value and those of several, as `_split` gives them. given: the setting of each
    override. first: what is composed from those of one value.
    """
    typed = set(given)
    for key in {_key_of(choices[0]) for choices in sweeps}:
        if given.count(key) > 1:
            raise ConfigError(f"{key} is given twice, once with several values; leave one of them out")
    by_experiment = first.hydra.sweeper.params or {}
    params = [f"{key}={value}" for key, value in by_experiment.items() if key.lstrip("+~") not in given]
    fixed, from_yaml = _split(params)
    if math.prod(map(len, from_yaml + sweeps)) > MOST_CELLS:
        raise ConfigError(f"these values give more than {MOST_CELLS} runs; name fewer, or sweep in parts")
    # Composing takes a tenth of a second: cells that differ only in their seed share it if folders have the default
    # names; other names may depend on what is composed.
    sweep: Any = OmegaConf.to_container(first.hydra.sweep, resolve=False)
    if "${now:" in str(sweep["subdir"]):
        raise ConfigError(
            f"hydra.sweep.subdir={sweep['subdir']} holds the time, so the same command would not continue its runs; "
            "leave it out there"
        )
    by_default = "ganlab_cell" in str(sweep)
    several_experiments = any(_key_of(choices[0]) == "experiment" for choices in sweeps)
    naming = (_BY_EXPERIMENT,) if by_default and several_experiments else ()
    trees: dict[tuple[str, ...], DictConfig] = {}
    surveyed: dict[str, dict[str, Any]] = {}
    cells, sweep_folders = list[Cell](), set[Path]()
    for choice in itertools.product(*(from_yaml + sweeps)):
        seeds = [text for text in choice if by_default and text.startswith("seed=")]
        others = tuple(text for text in choice if text not in seeds)
        if others not in trees:
            number = f"hydra.job.num={len(cells)}"
            trees[others] = _compose([*fixed, *plain, *choice, *naming, number], typed)
            _refuse_nested(trees[others], first, choice)
        tree = trees[others]
        for text in seeds:
            tree.seed = _parsed([text])[0].value()
        config = settings(tree, describing=describing, surveyed=surveyed)
        folder = _folder(tree, "sweep.dir", typed)
        sweep_folders.add(folder)
        cells.append(Cell(config, folder / _folder(tree, "sweep.subdir", typed)))
    _check_cells(cells, sweep_folders)
    launcher = first.hydra.runtime.choices["hydra/launcher"]
    return Plan(
        cells,
        sweep_folders.pop(),
        None,
        launcher,
        remaining_sweep=tuple(params) if len(params) < len(by_experiment) else None,
        naming=naming,
        swept=(*params, *(text for text in overrides if text not in plain)),
        choices=next(iter(trees.values())).hydra.runtime.choices,
        jobs=_jobs(first) if launcher == "joblib" else 1,
    )


def _jobs(tree: DictConfig) -> int:
    """How many cells joblib runs at a time; -1: one on each core. It starts a batch once the one before has ended."""
    jobs, batch = tree.hydra.launcher.n_jobs, tree.hydra.sweeper.max_batch_size
    if batch is None:
        return jobs
    import joblib

    return min(joblib.effective_n_jobs(jobs), batch)


def _check_cells(cells: list[Cell], sweep_folders: Set[Path]) -> None:
    """Refuse endpoints that cells do not measure, a sweep in several folders, and two cells in one."""
    try:
        for cell in cells:
            cell.config.check_endpoints(of_a_study=True)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if len(sweep_folders) > 1:
        listed = " and ".join(sorted(map(str, sweep_folders)))
        raise ConfigError(
            f"a sweep has one folder, not {listed}; give study, and everything else that names it, one value"
        )
    seen = set[Path]()
    for cell in cells:
        if cell.directory in seen:
            raise ConfigError(
                f"hydra.sweep.subdir gives two cells the folder {cell.directory}; "
                "include every setting that varies, or leave out the repeated value"
            )
        seen.add(cell.directory)


def _check_factors(cells: list[Cell], config_dir: str | None) -> None:
    """Refuse factors of rates for generators that are neither a choice nor in any cell: they would change nothing."""
    asked = {name for cell in cells for name in cell.config.optimizer.g_rate_factors}
    if unknown := sorted(asked - {cell.config.generator.name for cell in cells}):
        files = options("generator", config_dir)
        names = {str(_node(["generator", each], config_dir).get("name", each)) for each in files}
        for name in unknown:
            if name not in names:
                shown = in_a_line(name, 40)
                raise ConfigError(f"optimizer.g_rate_factors.{shown} is not a generator; {nearest(name, names)}")


_BY_EXPERIMENT = f"hydra.sweep.subdir='{BY_EXPERIMENT}'"


def _compose(overrides: list[str], typed: Set[str]) -> DictConfig:
    """The whole tree, after a check that Hydra's own node is safe to use; typed: what the command line sets."""
    with _composing():
        tree = compose("config", overrides, return_hydra_config=True)
    check_hydra(tree, typed, overrides)
    whole: Any = OmegaConf.to_container(tree, resolve=False)
    if (count := str(whole | {"hydra": None}).count("${")) > MOST_REFERENCES:
        raise ConfigError(f"these settings refer to others {count} times; write out values until there are at most "
                          f"{MOST_REFERENCES} ${{...}}")  # fmt: skip
    return tree


@contextlib.contextmanager
def _composing() -> Iterator[None]:
    """While inside, errors of Hydra over a YAML file are ConfigErrors; its own are left to `_in_one_line`."""
    try:
        yield
    except (ConfigError, HydraException, OmegaConfBaseException, yaml.YAMLError):
        raise
    except RecursionError:
        raise ConfigError(
            "these settings refer to one another without end; see the defaults of the YAML files"
        ) from None
    except OSError as error:
        if error.filename is None:  # the reader of a pipe has gone
            raise
        raise ConfigError(f"{error.filename} cannot be read ({error.strerror}); make it readable") from None
    except UnicodeDecodeError:
        raise ConfigError("one of the YAML files is not UTF-8; save it as UTF-8") from None
    except (AssertionError, AttributeError, LookupError, TypeError) as error:
        raise ConfigError(f"these settings cannot be combined ({in_a_line(error) or type(error).__name__}); "
                          "correct the YAML files") from None  # fmt: skip


def _folder(tree: DictConfig, key: str, typed: Set[str]) -> Path:
    """A folder for Hydra to use, such as sweep.dir; raises ConfigError for one that it may not use."""
    text = OmegaConf.select(tree.hydra, key)
    check_place(key, text, typed)
    return expand(str(text), f"hydra.{key}=")


def _refuse_nested(tree: DictConfig, first: DictConfig, choice: tuple[str, ...]) -> None:
    """Refuse an experiment within a sweep that sets what only the whole sweep can set."""
    chosen = next((text for text in choice if _key_of(text) == "experiment"), None)
    if chosen is None:
        return
    if params := tree.hydra.sweeper.params:
        raise ConfigError(
            f"{chosen} is a sweep itself (over {', '.join(params)}); run such experiments one after the other"
        )
    launcher, its_launcher = (composed.hydra.runtime.choices["hydra/launcher"] for composed in (first, tree))
    if launcher != its_launcher:
        raise ConfigError(
            f"{chosen} sets hydra/launcher={its_launcher}, but this sweep has {launcher}; give hydra/launcher too"
        )


@contextlib.contextmanager
def _files(config_dir: str | None) -> Iterator[Hydra]:
    """While inside, Hydra composes from our YAML files, from those of plugins, and from those of -cd."""
    if config_dir is not None and not (config_dir and Path(config_dir).is_dir()):
        raise ConfigError(f"-cd {config_dir} is not a directory; give one with YAML files")
    before = get_gh_backup()
    version.setbase("1.3")
    places = create_config_search_path(address(CONF))
    for place in [*plugin_folders(), *([Path(config_dir)] if config_dir is not None else [])]:
        _refuse_namesakes(place)
        places.prepend("command-line", address(place), SearchPathQuery(provider="schema"))
    GlobalHydra.instance().clear()
    try:
        yield Hydra.create_main_hydra2("train", places)
    finally:
        restore_gh_from_backup(before)


def _refuse_namesakes(place: Path) -> None:
    """Refuse a folder with another file under the name of a choice of ours: Hydra would take ours instead."""
    for ours in CONF.glob("*/**/*.yaml"):
        theirs = place / ours.relative_to(CONF)
        if theirs.is_file() and theirs.read_bytes() != ours.read_bytes():
            raise ConfigError(f"{theirs} has the name of a choice of ganlab's, which would be taken; rename the file")


@contextlib.contextmanager
def _in_one_line(overrides: list[str], config_dir: str | None) -> Iterator[None]:
    """While inside, errors of Hydra and YAML, of several lines or without an explanation, are ConfigErrors."""
    try:
        yield
    except ConfigError:
        raise
    except (HydraException, OmegaConfBaseException) as error:
        raise explain_hydra(error, overrides, config_dir) from None
    except ValueError as error:  # Hydra's, for a group without a choice, such as experiment=null
        raise ConfigError(f"{' '.join(str(error).split())}; leave it out, or name a choice") from None
    except yaml.MarkedYAMLError as error:
        where = f"{error.problem_mark.name}, line {error.problem_mark.line + 1}" if error.problem_mark else "a file"
        raise ConfigError(f"{where} is not YAML ({error.problem}); correct it there") from None
    except yaml.reader.ReaderError as error:
        raise ConfigError(f"{error.name} is not YAML ({error.reason}); correct it there") from None


def show(kind: str, value: str, overrides: list[str], config_dir: str | None, *, package: str | None = None,
         resolve: bool = False) -> None:  # fmt: skip
    """Print what Hydra makes of overrides: settings (cfg), where they come from (info), or completions.

    value: the part to print. package: the node of the settings to print. resolve: whether to resolve interpolations.
    Raises ConfigError.
    """
    if kind in ("cfg", "info") and (resume := _find_resume(overrides)) is not None:
        raise ConfigError(f"resume={resume[0]} takes its settings from its config.json, which --{kind} does not read; "
                          "leave one of them out, or see --help with it")  # fmt: skip
    overrides = [quoted(text) for text in overrides]
    with _in_one_line(overrides, config_dir), _composing(), _files(config_dir) as hydra:
        if kind == "cfg":
            hydra.show_cfg("config", overrides, value, package, resolve)
        elif kind == "info":
            with contextlib.redirect_stdout(io.StringIO()) as lines:  # logging prints a traceback for a closed pipe
                hydra.show_info(value, "config", overrides)
            print(lines.getvalue(), end="")
        else:
            hydra.shell_completion("config", overrides)


def launch_cells(task: Callable[[DictConfig], None], overrides: list[str], config_dir: str | None) -> None:
    """Let Hydra's launcher call `task` with the composed tree of each cell; raises ConfigError."""
    overrides = [*(quoted(text) for text in overrides), "hydra.mode=MULTIRUN"]
    try:
        with _files(config_dir) as hydra:
            hydra.multirun("config", task, overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise explain_hydra(error, overrides, config_dir) from None
    except OSError as error:
        if error.filename is None:  # not about a folder: the reader of a pipe has gone, a host did not answer
            raise
        raise ConfigError(f"{error.filename} cannot be written ({error.strerror}); choose another folder") from None


def _find_resume(overrides: list[str]) -> tuple[Path, int | None] | None:
    """The run to resume, and its last step if that is given.

    Its path is not parsed by Hydra, whose grammar refuses the names of cells (a=b).
    """
    for text in overrides:
        name, _, path = text.partition("=")
        if name.lstrip("+") == "resume" and path != "null":
            others = [other for other in overrides if other != text]
            steps = [other for other in others if other.startswith(_STEPS)]
            if surplus := [*(other for other in others if other not in steps), *steps[1:]]:
                raise ConfigError(
                    f"{text} takes its settings from that run; leave out {surplus[0]} "
                    f"(only {_STEPS}... may be added, to train it longer)"
                )
            in_quotes = len(path) > 1 and path[0] == path[-1] and path[0] in "'\""
            directory = expand(path[1:-1] if in_quotes else path, "resume=")
            try:
                return directory, int(steps[0].removeprefix(_STEPS)) if steps else None
            except ValueError:
                raise ConfigError(
                    f"{steps[0]} is not a whole number; use one above the steps that the run has taken"
                ) from None
    return None


_STEPS = "training.steps="


def quoted(text: str) -> str:
    """An override that Hydra's grammar can read: words with `~`, `=` or letters of other scripts are put in quotes.

    What it can read already, or cannot even read quoted, is returned unchanged; entries of a mapping that has none need
    no plus. Raises ConfigError for bytes that are not text.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{text!a} is not UTF-8; write it in a terminal that uses UTF-8 (LC_ALL=C.UTF-8)") from None
    printed = in_a_line(text, 60)
    if len(text) > LONGEST_OVERRIDE:
        raise ConfigError(
            f"{printed} is longer than {LONGEST_OVERRIDE} letters; write it into a YAML file, and see -cd"
        )
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ConfigError(f"{text[:60]!r} holds a line break or another control character; leave it out")
    if max(itertools.accumulate((letter in "[{(") - (letter in ")}]") for letter in text), default=0) > DEEPEST:
        raise ConfigError(f"{printed} is nested more than {DEEPEST} deep; settings are not")
    if _OF_A_MAPPING.match(text) and _readable(text):
        text = f"++{text}"
    name, equals, value = text.partition("=")
    escaped = value.replace("'", r"\'")
    whole = f"{name}='{escaped}'"
    if name.lstrip("+") == "comparison.question" and not re.match(r"['\"]|null$|$", value) and _readable(whole):
        return whole  # a sentence, whose commas separate no values
    if _readable(text) or not equals:
        return text
    words = re.split(r"""('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[][(){},])""", value)
    words[::2] = [
        re.sub(r"\S(?:.*\S)?", r"'\g<0>'", word) if re.search(r"[^ -}]|=", word) else word for word in words[::2]
    ]
    other = f"{name}={''.join(words)}"
    if _readable(other):
        return other
    return whole if name.lstrip("+") == "init_from" and _readable(whole) else text


_OF_A_MAPPING = re.compile(r"optimizer\.g_rate_factors[.=]")


def _readable(text: str) -> bool:
    try:
        OverridesParser.create().parse_override(text)
    except HydraException:
        return False
    return True


def _key_of(text: str) -> str:
    return _key(_parsed([text])[0])


def _parsed(overrides: list[str]) -> list[Override]:
    hydra = GlobalHydra.instance()
    return OverridesParser.create(hydra.config_loader() if hydra.is_initialized() else None).parse_overrides(overrides)


def _key(override: Override) -> str:
    """The name that is set, without +, ++ or ~."""
    return override.get_key_element().lstrip("+~")


def _split(overrides: list[str]) -> tuple[list[str], list[list[str]]]:
    """Overrides with one value, and for each one that sweeps, an override per value."""
    plain, sweeps = [], []
    for text, override in zip(overrides, _parsed(overrides), strict=True):
        if override.is_interval_sweep():
            raise ConfigError(f"{text} has no countable values; list them, or write range(START,STOP,STEP)")
        if override.is_sweep_override():
            values = itertools.islice(override.sweep_string_iterator(), MOST_CELLS + 1)
            choices = [f"{override.get_key_element()}={value}" for value in values]
            if len(choices) > MOST_CELLS:
                raise ConfigError(f"{text} gives more than {MOST_CELLS} runs; name fewer values")
            if not choices:
                raise ConfigError(f"{text} gives no values; write a pattern or a range that does, or leave it out")
            sweeps.append(choices)
        else:
            plain.append(text)
    return plain, sweeps


def explain_hydra(error: Exception, overrides: Iterable[str] = (), config_dir: str | None = None) -> ConfigError:
    """One line for an error that Hydra explains in several; overrides, config_dir: what Hydra was given."""
    text = str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        if error.options:
            hint = (
                f"; one of a plugin needs a file conf/{group}/{option}.yaml beside it"
                if os.environ.get(VARIABLE)
                else ""
            )
            return ConfigError(f"{group}={option} is unknown; {nearest(option, error.options)}{hint}")
        if group in groups():  # in the defaults of one of its files
            return ConfigError(f"{group}={option} is unknown; {nearest(option, options(group, config_dir))}")
        return ConfigError(f"{error.missing_cfg_file} is not a group of options; {nearest(group, groups())}")
    if isinstance(error, OverrideParseException):
        return ConfigError(
            f"{error.override!r} cannot be read; write name=value, quoted where it holds spaces or commas"
        )
    if match := re.search(r"Could not append to config\. An item is already at '(.+?)'", text):
        return ConfigError(f"{match[1]} already exists; set it without +")
    if match := re.search(r"Multiple values for (\S+)\. To override a value use 'override /?(.+?)'", text):
        return ConfigError(f"{match[1]} is chosen twice; write override /{match[2]} in the defaults of the YAML file")
    if match := re.search(r"In '(.+/)(.+?)': Could not override '\1([^@']+)", text):
        return ConfigError(
            f"{match[1]}{match[2]}.yaml overrides {match[3]}, which is not in its folder; "
            f"write override /{match[3]}: ..."
        )
    if match := re.search(r"Could not (?:override|append to config[^']*) '(.+?)'", text):
        return _explain_unknown(match[1].split("=")[0].lstrip("+~"), overrides, config_dir)
    if match := re.search(
        r"ConfigError raised while resolving interpolation: (.*?)(?:$|\n)", f"{text}\n{error.__cause__}"
    ):
        return ConfigError(match[1])
    if isinstance(error, ConfigCompositionException) and error.__cause__ is not None:
        text = f"{text}: {error.__cause__}"
    return ConfigError(" ".join(text.split()))


def _explain_unknown(key: str, overrides: Iterable[str], config_dir: str | None) -> ConfigError:
    given = [text for text in overrides if text.partition("=")[0] in groups()]
    if key.startswith("hydra.launcher."):
        having_it = [name for name, known in LAUNCHERS.items() if key.removeprefix("hydra.launcher.") in known]
        if any(f"hydra/launcher={name}" in overrides for name in having_it):
            return ConfigError(f"{key} is not in any YAML file; add it as +{key}=...")
        needs = f"; it needs hydra/launcher={join_words(having_it, ' or ')}" if having_it else ""
        return ConfigError(f"{key} is not a setting of this launcher{needs}")
    if key in groups():
        wrong = next((text for text in given if text.startswith(f"{key}=")), key)
        return ConfigError(f"{wrong} is not a choice; choose one of: {', '.join(options(key))}")
    try:
        with _files(config_dir):
            choices, sweeps = _split(given)
            composed = compose("config", choices, return_hydra_config=True)
            swept = {_key_of(values[0]) for values in sweeps} | set(composed.hydra.sweeper.params or {})
            tree: Any = OmegaConf.to_container(composed, resolve=False)
            del tree["hydra"]
    except (HydraException, OmegaConfBaseException):  # a choice is wrong as well
        return ConfigError(f"{key} is not a setting; see --help for all settings")
    parent, names = tree, key.split(".")
    for name in names[:-1]:
        parent = parent.get(name) if isinstance(parent, dict) else None
    group = tree.get(names[0])
    if isinstance(group, dict) and names[0] not in swept:
        chosen = any(text.startswith(f"{names[0]}=") for text in given)
        owner = group.get("name") or names[0]
        if having_it := _choices_with(names, config_dir):
            if len(having_it) == 1 and not chosen:
                return ConfigError(f"{key} needs {names[0]}={having_it[0]}; add it")
            return ConfigError(
                f"{key} is not a setting of {owner}; it needs {names[0]}={join_words(having_it, ' or ')}"
            )
        if override := _addable(key, overrides, choices, config_dir):
            return ConfigError(f"{key} is not in any YAML file; add it as +{override}")
        siblings = {str(name) for node in _nodes(names, config_dir).values() for name in node}
        near = difflib.get_close_matches(names[-1], siblings, n=1, cutoff=0.7)
        if near and near[0] not in (parent or {}):
            other = [*names[:-1], near[0]]
            needs = f"{names[0]}={join_words(_choices_with(other, config_dir), ' or ')}"
            return ConfigError(f"{key} is not a setting; did you mean {'.'.join(other)}? it needs {needs}")
    if isinstance(parent, dict) and len(names) > 1:
        owner = parent.get("name") or ".".join(names[:-1])
        several = f"; because {names[0]} is swept over, write ++{key}=... (every choice must have it)"
        several = several if names[0] in swept else ""
        return ConfigError(f"{key} is not a setting of {owner}; {nearest(names[-1], parent)}{several}")
    if len(names) > 1 and names[0] not in tree:
        return ConfigError(f"{key} is not a setting; {nearest(names[0], tree)}")
    return ConfigError(f"{key} is not a setting; {nearest(key, tree)}")


def _choices_with(names: list[str], config_dir: str | None = None) -> list[str]:
    """The choices of a group whose YAML has a setting, given as [group, ..., name]."""
    return [choice for choice, node in _nodes(names, config_dir).items() if names[-1] in node and len(names) > 1]


def _nodes(names: list[str], config_dir: str | None) -> dict[str, dict[Any, Any]]:
    """The node around a setting in each choice of its group, given as [group, ..., name]."""
    choices = options(names[0], config_dir) if names[0] in groups() else []
    return {choice: _node([names[0], choice, *names[1:-1]], config_dir) for choice in choices}


def _node(place: list[str], config_dir: str | None) -> dict[Any, Any]:
    """The node of a choice's YAML at a place, [group, choice, ...]; empty if there is none."""
    try:
        node = yaml.safe_load(file_of(place[0], place[1], config_dir).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    for name in place[2:]:
        node = node.get(name) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def _addable(key: str, overrides: Iterable[str], choices: list[str], config_dir: str | None) -> str:
    """The override of a setting that is valid though no YAML file has it; empty if it is not."""
    override = next((text for text in overrides if text.partition("=")[0] == key), "")
    try:
        with _files(config_dir):
            settings(compose("config", [*choices, f"+{override}"]))
    except (ConfigError, HydraException, OmegaConfBaseException):
        return ""
    return override
