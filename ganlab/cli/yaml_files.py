"""YAML files, checked before Hydra reads them: one that would take forever or too much memory is refused."""

import os
from pathlib import Path

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigResult

from ganlab.errors import ConfigError

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
        """As Hydra does, after the check; raises ConfigError."""
        path = Path(os.path.realpath(os.path.join(self.path, self._normalize_file_name(config_path))))  # noqa: PTH118
        if path.is_file():
            check_yaml(path)
        return super().load_config(config_path)


def address(folder: Path) -> str:
    """A folder of YAML files, as Hydra's search path names it."""
    SourcesRegistry.instance().register(CheckedFiles)
    return f"{CheckedFiles.scheme()}://{folder.absolute()}"
