"""Files that scikit-learn brings, read without importing it, which takes as long as a short run's first steps."""

from importlib.metadata import distribution
from pathlib import Path


def bundled(name: str) -> Path:
    """Where one of scikit-learn's data files lies; `name` as beneath its folder `datasets`."""
    return Path(str(distribution("scikit-learn").locate_file(f"sklearn/datasets/{name}")))
