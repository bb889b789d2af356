"""What a process takes from its environment: variables, which are recorded, and Keras' settings, which are fixed.

Also the version of the code, and the number of cores. No TensorFlow here.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ganlab.errors import ConfigError

DECIDING = (
    "KERAS_NNX_ENABLED", "MKL_NUM_THREADS", "NPY_DISABLE_CPU_FEATURES", "NVIDIA_TF32_OVERRIDE", "OMP_NUM_THREADS",
    "ONEDNN_DEFAULT_FPMATH_MODE", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS",
    "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_LEVEL", "TF_CUDNN_DETERMINISTIC", "TF_CUDNN_USE_AUTOTUNE",
    "TF_DETERMINISTIC_OPS", "TF_ENABLE_AUTO_MIXED_PRECISION", "TF_ENABLE_CUBLAS_TENSOR_OP_MATH_FP32",
    "TF_ENABLE_CUDNN_TENSOR_OP_MATH_FP32", "TF_ENABLE_ONEDNN_OPTS", "TF_FP16_CONV_USE_FP32_COMPUTE",
    "TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_USE_CUDNN_BATCHNORM_SPATIAL_PERSISTENT", "TF_XLA_FLAGS",
    "XLA_FLAGS",
)  # fmt: skip
"""Variables that libraries read and that can change the numbers of a run, if only their last bits."""


def deciding() -> dict[str, str]:
    """Those of `DECIDING` that are set to something unusual, by name."""
    usual = {"TF_ENABLE_ONEDNN_OPTS": "1"}  # what `device.start` sets
    return {name: value for name in DECIDING if (value := os.environ.get(name)) and value != usual.get(name)}


def choose_backend() -> None:
    """Choose TensorFlow before Keras is imported, whatever keras.json or KERAS_BACKEND says; the latter gets a line."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        print(f"KERAS_BACKEND={backend} is not used: ganlab computes with Keras on TensorFlow", file=sys.stderr)
    os.environ["KERAS_BACKEND"] = "tensorflow"


def check_keras_json() -> None:
    """Raise ConfigError for a keras.json with which Keras cannot be imported, though its settings are not used."""
    home = os.environ.get("KERAS_HOME", "~/.keras")
    path = Path(os.path.expanduser(os.path.join(home, "keras.json")))  # noqa: PTH111, PTH118 - as Keras does
    try:
        settings = json.loads(path.read_text()) if path.exists() else {}
    except ValueError:  # Keras ignores what is not JSON
        return
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}), but Keras reads it; make it readable, or delete it"
        ) from None
    if not isinstance(settings, dict):
        raise ConfigError(f"{path} is not a JSON object, but Keras reads it; correct it, or delete it")
    for name, is_usable, options in (
        ("floatx", settings.get("floatx") in ("float16", "float32", "float64"), "float16 or float32 or float64"),
        ("image_data_format", settings.get("image_data_format") in ("channels_last", "channels_first"),
         "channels_last or channels_first"),
        ("epsilon", isinstance(settings.get("epsilon"), float), "a number such as 1e-07"),
    ):  # fmt: skip
        if name in settings and not is_usable:
            raise ConfigError(f"{path}: {name}={json.dumps(settings[name])} stops Keras; use {options}, or delete it")


def pin(config: Any) -> None:
    """Set the parts of `keras.config` that a user's keras.json may change to Keras' own defaults."""
    config.set_image_data_format("channels_last")
    config.set_floatx("float32")
    config.set_epsilon(1e-7)


def usable_cores() -> int:
    """Cores that the system lets this process use, at least 1; all of them if it does not say (macOS)."""
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """While inside, an environment variable has this value."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def safe_path() -> contextlib.AbstractContextManager[None]:
    """While inside, Python processes started by libraries import nothing from the current directory (`python -P`)."""
    return variable("PYTHONSAFEPATH", "1")


_CHECKOUT = Path(__file__).parents[1]
_CODE = ("ganlab", "conf")  # the folders that decide a run
_PATIENCE = 2.0  # seconds; git takes a few milliseconds


@lru_cache(1)
def commit() -> dict[str, Any] | None:
    """The commit of ganlab's checkout, `{"hash", "changed"}`, when this process first asks.

    changed: whether files of ganlab/ or conf/ differ from the commit, or are new. None if ganlab is installed without
    its repository, and if git is missing or does not answer.
    """
    if not (_CHECKOUT / ".git").exists():
        return None
    # the checkout's settings may name a program (core.fsmonitor), and variables may name another repository
    command = ["git", "-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch", "--", *_CODE]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    try:
        status = subprocess.run(command, cwd=_CHECKOUT, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, errors="replace", timeout=_PATIENCE, check=True)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    lines = status.stdout.splitlines()
    commits = [text.removeprefix("# branch.oid ") for text in lines if text.startswith("# branch.oid ")]
    if not commits or commits[0] == "(initial)":
        return None
    return {"hash": commits[0], "changed": any(not text.startswith("#") for text in lines)}


def processor_lines(name: str) -> list[str]:
    """What Linux reports for each core under a name, such as `model name`; empty on other systems."""
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123 - not a file on a disk
            return [line.split(":", 1)[1].strip() for line in lines if line.startswith(name)]
    except OSError:
        return []
