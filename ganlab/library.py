"""Where the YAML files are, and which choices they offer."""

from pathlib import Path

_INSTALLED = Path(__file__).parent / "conf"
CONF = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parent.parent / "conf"
"""The YAML files: inside the package where a wheel put them, beside it in a checkout."""


def groups() -> list[str]:
    """The folders of choices: generator, discriminator, ..."""
    return sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "local")


def options(group: str) -> list[str]:
    """The choices in one folder."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))
