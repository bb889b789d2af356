"""Where the YAML files are, and which choices they offer."""

from pathlib import Path

from ganlab.config.plugins import plugin_folders

_INSTALLED = Path(__file__).parent.parent / "conf"
CONF = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parent.parent.parent / "conf"
"""The YAML files: inside the package if installed from a wheel, beside it in a checkout."""


def groups() -> list[str]:
    """The folders of choices: generator, discriminator, ..."""
    return sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "local")


def options(group: str, config_dir: str | None = None) -> list[str]:
    """The choices in one folder, with those of plugins and of the folder that -cd names."""
    return sorted({path.stem for place in _places(config_dir) for path in (place / group).glob("*.yaml")})


def file_of(group: str, option: str, config_dir: str | None = None) -> Path:
    """The YAML file of a choice: files of -cd and of plugins come before ours."""
    files = [place / group / f"{option}.yaml" for place in _places(config_dir)]
    return next((file for file in files if file.is_file()), files[-1])


def _places(config_dir: str | None) -> list[Path]:
    return [*([Path(config_dir)] if config_dir else []), *plugin_folders(), CONF]
