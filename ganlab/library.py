"""Where the YAML files are, and which choices they offer."""

from pathlib import Path

_INSTALLED = Path(__file__).parent / "conf"
CONF = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parent.parent / "conf"
"""The YAML files: inside the package where a wheel put them, beside it in a checkout."""


def groups() -> list[str]:
    """The folders of choices: generator, discriminator, ..."""
    return sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "local")


def options(group: str, config_dir: str | None = None) -> list[str]:
    """The choices in one folder, with one's own of the folder that -cd names."""
    places = [CONF, Path(config_dir)] if config_dir else [CONF]
    return sorted({path.stem for place in places for path in (place / group).glob("*.yaml")})


def file_of(group: str, option: str, config_dir: str | None = None) -> Path:
    """The YAML of a choice: one's own comes before one that is here."""
    own = Path(config_dir or "", group, f"{option}.yaml")
    return own if config_dir and own.is_file() else CONF / group / f"{option}.yaml"
