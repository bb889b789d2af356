"""YAML files of others: what Hydra may be given of them, checked before it reads a file and before it acts on one.

A file that would take forever or too much memory is refused. Of Hydra's own settings it may have launchers and theirs,
what is swept over, and folders. Hydra would import and call what a file names there, set variables, and write anywhere,
so its node is checked against the lists below, as it was written. The command line may set more than a file: any
folder, and whatever a launcher takes.
"""

import copy
import os
import re
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_store import ConfigStore
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf

from ganlab.config import RESERVED
from ganlab.errors import ConfigError, in_a_line, nearest

# --- files -----------------------------------------------------------------------------------------------------------

MOST_BYTES = 2**20
MOST_VALUES = 10_000  # OmegaConf takes about 0.1 ms for each, and copies what anchors repeat
DEEPEST = 20
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_yaml(path: Path) -> None:
    """Refuse a file that is too large, nested too deeply, or made so by its anchors; raises ConfigError.

    A file that is not YAML passes: its reader will say where.
    """
    if path.stat().st_size > MOST_BYTES:
        raise ConfigError(f"{path} has more than {MOST_BYTES // 2**20} MiB; settings need less")
    anchors: dict[str, int] = {}
    # The anchor of each open node, and how many values it has so far.
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    with path.open("rb") as file:
        try:
            for event in yaml.parse(file, Loader=_Loader):
                size, name = 0, getattr(event, "anchor", None)
                if isinstance(event, yaml.CollectionStartEvent):
                    open_nodes.append((name, 1))
                    if len(open_nodes) > DEEPEST + 1:
                        raise ConfigError(f"{path} is nested more than {DEEPEST} deep; settings are not")
                    continue
                if isinstance(event, yaml.CollectionEndEvent):
                    name, size = open_nodes.pop()
                elif isinstance(event, yaml.ScalarEvent):
                    size = 1
                elif isinstance(event, yaml.AliasEvent):
                    if name not in anchors:
                        raise ConfigError(f"{path} has *{name} before the end of any &{name}; write the values out")
                    size, name = anchors[name], None
                if name is not None:
                    anchors[name] = size
                outer, before = open_nodes[-1]
                open_nodes[-1] = outer, before + size
                if before + size > MOST_VALUES:
                    raise ConfigError(f"{path} has more than {MOST_VALUES} values, because its anchors repeat them; "
                                      "write fewer")  # fmt: skip
        except yaml.YAMLError:
            return


class CheckedFiles(FileConfigSource):
    """Hydra's source of YAML files, with a check of each."""

    @staticmethod
    def scheme() -> str:
        """What the addresses of such files start with."""
        return "checked"

    def load_config(self, config_path: str) -> ConfigResult:
        """As Hydra does, after the check; a file is read again only after a change. Raises ConfigError."""
        path = Path(os.path.realpath(os.path.join(self.path, self._normalize_file_name(config_path))))  # noqa: PTH118
        if not path.is_file():
            return super().load_config(config_path)
        state = path.stat()
        key = self.provider, self.path, config_path, state.st_ino, state.st_size, state.st_mtime_ns
        if key not in _loaded:
            check_yaml(path)
            _loaded[key] = super().load_config(config_path)
        return copy.deepcopy(_loaded[key])


_loaded: dict[tuple[str | int, ...], ConfigResult] = {}
"""The YAML files that were read: composing settings takes most of them again, and reading is a fifth of its time."""


def address(folder: Path) -> str:
    """A folder of YAML files, as Hydra's search path names it."""
    SourcesRegistry.instance().register(CheckedFiles)
    return f"{CheckedFiles.scheme()}://{folder.absolute()}"


# --- Hydra's own settings --------------------------------------------------------------------------------------------

_QUEUE = ("timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes", "stderr_to_stdout")
_SLURM = ("partition", "qos", "constraint", "exclude", "gres", "cpus_per_gpu", "gpus_per_task", "mem_per_gpu",
          "mem_per_cpu", "account", "signal_delay_s", "max_num_timeout", "array_parallelism")  # fmt: skip
_RAY = ("num_cpus", "num_gpus", "include_dashboard", "object_store_memory")
LAUNCHERS = {
    "basic": (),
    "joblib": ("n_jobs", "verbose", "timeout", "batch_size"),
    "ray": (*(f"ray.init.{name}" for name in _RAY), "ray.remote.num_cpus", "ray.remote.num_gpus"),
    "submitit_local": _QUEUE,
    "submitit_slurm": (*_QUEUE, *_SLURM),
}
"""Hydra's launchers, by name, with the settings of each that a YAML file may set."""

_SILENT = {"version": 1, "root": None, "disable_existing_loggers": False}
_FIXED = {
    "callbacks": {},
    "env": {},
    "hydra_logging": _SILENT,
    "job.chdir": None,
    "job.env_copy": [],
    "job.env_set": {},
    "job_logging": _SILENT,
    "output_subdir": None,
    "searchpath": [],
    "verbose": False,
}
_FILLED_IN = ("help", "hydra_help", "job", "mode", "runtime")  # by Hydra itself, or unused
_FOLDERS = ("run.dir", "sweep.dir", "sweep.subdir")
_CHECKED = ("launcher", "overrides", "sweeper", "run", "sweep")
_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
BY_EXPERIMENT = "${ganlab_cell:${seed},${hydra.overrides.task},experiment}"
_NAMED_BY_US = (
    "${ganlab_run_directory:${study},${seed},${hydra.overrides.task}}",
    "${ganlab_sweep_directory:${study}}",
    "${ganlab_cell:${seed},${hydra.overrides.task}}",
    BY_EXPERIMENT,
)
_PLAIN = r"(?:[^$]|\$\{(?!hydra\b)\w+(?:\.\w+)*\}){0,500}"  # text whose only ${...} are settings of a run
_WORD = r"[\w .,:%@+=/|&*()\[\]-]{0,200}"


def check_hydra(tree: DictConfig, typed: Set[str], overrides: list[str]) -> None:
    """Refuse settings that Hydra may not be given, in a tree that it composed; raises ConfigError.

    typed: the dotted names of what the command line sets. overrides: all that the tree was composed with.
    """
    node: Any = OmegaConf.to_container(tree.hydra, resolve=False)
    for key in sorted(node.keys() - {*_CHECKED, *_FILLED_IN, *(name.partition(".")[0] for name in _FIXED)}):
        raise _refused(key, node[key])
    for key, wanted in _FIXED.items():
        if (value := _select(node, key)) != wanted:
            raise _refused(key, value)
    if not re.fullmatch(r"[\w.-]{1,100}", str(_select(node, "job.name"))):
        raise _refused("job.name", _select(node, "job.name"))
    for kind in ("hydra", "task"):
        if not set(map(str, _select(node, f"overrides.{kind}") or ())) <= set(overrides):
            raise _refused(f"overrides.{kind}", _select(node, f"overrides.{kind}"))
    _check_sweeper(node["sweeper"])
    _check_launcher(node["launcher"], str(tree.hydra.runtime.choices.get("hydra/launcher")), typed)
    for key in _FOLDERS:
        text = _select(node, key)
        if not (_is_typed(f"hydra.{key}", typed) or text in _NAMED_BY_US or re.fullmatch(_PLAIN, str(text), re.DOTALL)):
            raise ConfigError(f"hydra.{key}={_printed(text)} is computed in a YAML file; write it out there, or give "
                              "it on the command line")  # fmt: skip


def check_place(key: str, text: Any, typed: Set[str]) -> None:
    """Refuse what is not a folder's name and, unless it was typed, a folder that is not below the current directory.

    key: `run.dir`, `sweep.dir` or `sweep.subdir`; the last must always be below the sweep's. Raises ConfigError.
    """
    setting = f"hydra.{key}={_printed(text)}"
    if not isinstance(text, str | int | float) or not str(text).strip():
        raise ConfigError(f"{setting} names no folder; write hydra.{key}=FOLDER, or leave it out")
    leads_out = str(text).startswith(("/", "~")) or ".." in str(text).split("/")
    if leads_out and key == "sweep.subdir":
        raise ConfigError(f"{setting} leads out of the sweep's folder; name one below it")
    if key == "sweep.subdir":
        for name in Path(str(text)).parts:
            if name.startswith(".") or name in RESERVED:
                problem = f"is {RESERVED[name]}" if name in RESERVED else "is hidden, so no command would find its runs"
                raise ConfigError(f"{setting} is no place for runs: {name} {problem}; use another name")
    if leads_out and not _is_typed(f"hydra.{key}", typed):
        raise ConfigError(f"{setting} of a YAML file leads out of the current directory; name one below it, or give "
                          "it on the command line")  # fmt: skip


def _check_sweeper(node: Any) -> None:
    if not isinstance(node, dict) or node.get("_target_") != _SWEEPER:
        raise _refused("sweeper", node)
    for key in sorted(node.keys() - {"_target_", "max_batch_size", "params"}):
        raise _refused(f"sweeper.{key}", node[key])
    size, params = node.get("max_batch_size"), node.get("params")
    if not (size is None or (isinstance(size, int) and size > 0)):
        raise ConfigError(
            f"hydra.sweeper.max_batch_size={_printed(size)} is out of range; use a number above 0, or null"
        )
    if not isinstance(params, dict | None):
        raise _not_params("", params)
    for key, value in (params or {}).items():
        if not (isinstance(key, str) and re.fullmatch(r"[+~]{0,2}[\w.@/-]+", key)):
            raise _not_params("", params)
        if not isinstance(value, str | int | float):
            raise _not_params(f".{key}", value)


def _not_params(where: str, value: Any) -> ConfigError:
    return ConfigError(
        f"hydra.sweeper.params{where}={_printed(value)} cannot be swept over; write name: value,value there"
    )


def _check_launcher(node: Any, name: str, typed: Set[str]) -> None:
    if name not in LAUNCHERS:
        raise ConfigError(f"hydra/launcher={name} is not supported; {nearest(name, LAUNCHERS)}")
    default_node: Any = OmegaConf.to_container(
        ConfigStore.instance().load(f"hydra/launcher/{name}.yaml").node, resolve=False
    )
    defaults = dict(_leaves(default_node))
    if not isinstance(node, dict) or node.get("_target_") != defaults.pop("_target_"):
        raise _refused("launcher", node)
    for key, value in _leaves(node):
        where = f"hydra.launcher.{key}"
        if key == "_target_" or (key in defaults and defaults[key] == value) or (value == {} and key not in defaults):
            continue
        if _is_typed(where, typed):
            continue
        if key not in LAUNCHERS[name]:
            raise ConfigError(
                f"{where}={_printed(value)} is not accepted from a YAML file; give it on the command line"
            )
        if not isinstance(value, bool | int | float | None) and not re.fullmatch(_WORD, str(value)):
            raise ConfigError(f"{where}={_printed(value)} is neither a number nor a word; use one")
    jobs = node.get("n_jobs", 1)
    if not (isinstance(jobs, int) and jobs and abs(jobs) <= _MOST_JOBS):
        raise ConfigError(f"hydra.launcher.n_jobs={_printed(jobs)} is out of range; use 1 to {_MOST_JOBS} jobs at a "
                          "time, or -1 for one on each core")  # fmt: skip


_MOST_JOBS = 1024


def _refused(key: str, value: Any) -> ConfigError:
    return ConfigError(
        f"hydra.{key}={_printed(value)} is not accepted; of Hydra's settings use run.dir, sweep.dir, sweep.subdir, "
        "sweeper.params, launcher and a launcher's own"
    )


def _is_typed(key: str, typed: Set[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in typed)


def _leaves(node: dict[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values; lists and empty nodes are values."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _select(node: Any, key: str) -> Any:
    for name in key.split("."):
        node = node.get(name) if isinstance(node, dict) else node
    return node


def _printed(value: Any) -> str:
    return in_a_line("null" if value is None else value, 60)


def _no_environment(*_: Any) -> None:
    raise ConfigError("${oc.env:...} would put a variable of this machine into settings, which are stored and shared; "
                      "write the value, or give it on the command line")  # fmt: skip


OmegaConf.register_new_resolver("oc.env", _no_environment, replace=True)
