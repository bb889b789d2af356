"""Which code a result came from."""

import os
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

_CHECKOUT = Path(__file__).parents[2]
_CODE = ("ganlab", "conf")  # what decides a run
_PATIENCE = 2.0  # seconds; git takes a few milliseconds


@lru_cache(1)
def commit() -> dict[str, Any] | None:
    """The commit of ganlab's checkout, `{"hash", "changed"}`, as it is when this process first asks.

    changed: whether files of ganlab/ or conf/ are other than in the commit, or new. None where ganlab is installed
    without its repository, and where git is absent or does not answer.
    """
    if not (_CHECKOUT / ".git").exists():
        return None
    # the checkout's own settings may name a program (core.fsmonitor), and variables another repository
    line = ["git", "-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch", "--", *_CODE]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            line,
            cwd=_CHECKOUT,
            env=environment | {"GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.splitlines()
    named = [text.removeprefix("# branch.oid ") for text in lines if text.startswith("# branch.oid ")]
    if not named or named[0] == "(initial)":
        return None
    return {"hash": named[0], "changed": any(not text.startswith("#") for text in lines)}
