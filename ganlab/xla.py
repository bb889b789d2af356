"""XLA's flags, set before TensorFlow is imported, and its cache of compiled programs for later runs.

The runs of a sweep differ only in their seed, which is an argument of their program and not a part of it: the first of
them compiles it, the others and resumed runs read it from the cache. TensorFlow aborts a run over a truncated file
there; so a program counts only with its SHA-256 beside it, written once it has run.
"""

import contextlib
import hashlib
import os
import platform
import shutil
import time
from importlib.metadata import version
from pathlib import Path

from ganlab import files
from ganlab.environment import processor_lines
from ganlab.errors import ConfigError

PAYS = 4000
"""Steps from which compiling with XLA pays on a GPU: `experiments/speed/README.md`."""
_DIRECTORY = "--tf_xla_persistent_cache_directory"
GPU_FLAGS = {
    # The loop over steps becomes one CUDA graph, which the GPU runs without waiting for the host.
    "--xla_gpu_enable_command_buffer": "+WHILE,+CONDITIONAL",
    "--xla_gpu_graph_min_graph_size": "1",
    # Triton's products were no faster than cuBLAS' for these shapes, and trying them doubles the compile time.
    "--xla_gpu_enable_triton_gemm": "false",
}
_LARGEST, _FREE = 2**28, 2**30  # bytes of the cache, all read at each start, and of the disk to leave free

_ABANDONED = 3600.0  # seconds after which no process is still writing a file


def prepare() -> None:
    """Set XLA_FLAGS and TF_XLA_FLAGS; a flag that the user has set stays as it is."""
    gpus = _gpus()
    if gpus:
        _add("XLA_FLAGS", GPU_FLAGS)
    if folder := _usable_folder(gpus):
        _add("TF_XLA_FLAGS", {_DIRECTORY: str(folder)})


def remember() -> None:
    """Let later runs use what has been compiled so far."""
    flags = dict(flag.partition("=")[::2] for flag in os.environ.get("TF_XLA_FLAGS", "").split())
    folder = Path(flags.get(_DIRECTORY, ""))
    if folder.parent.name != "xla" or not folder.is_dir():  # no cache, or the user's own
        return
    with contextlib.suppress(OSError):
        for program in folder.glob("*.pb"):
            if not _checksum_file(program).exists():
                files.sync(program)  # TensorFlow renames it into place, but does not flush it
                files.write_bytes(_checksum_file(program), _sha256(program).encode())


def _add(variable: str, flags: dict[str, str]) -> None:
    current = os.environ.get(variable, "").strip()
    added = [f"{name}={value}" for name, value in flags.items() if f"{name}=" not in current]
    os.environ[variable] = " ".join([*([current] if current else []), *added])


def _usable_folder(gpus: list[str]) -> Path | None:
    """The folder for programs of this machine, after removing incomplete ones; None if nothing can be stored."""
    machine = [version("tensorflow"), platform.machine(), *processor_lines("flags")[:1], *gpus]
    try:
        folder = files.cache_folder() / "xla" / hashlib.sha256("\n".join(machine).encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < _FREE or " " in str(folder):
            return None
        programs = sorted(folder.glob("*.pb"), key=lambda path: path.stat().st_mtime, reverse=True)
        for unfinished in folder.glob("*.tmp"):  # from a process that was killed while writing
            if time.time() - unfinished.stat().st_mtime > _ABANDONED:
                files.remove(unfinished)
        size = 0
        for program in programs:
            size += program.stat().st_size
            if size > _LARGEST or not _is_whole(program):
                files.remove(program)
                files.remove(_checksum_file(program))
    except (OSError, ConfigError):  # no home directory, another user's folder, removed by another process meanwhile
        return None
    return folder


def _is_whole(program: Path) -> bool:
    checksum = _checksum_file(program)
    return checksum.exists() and checksum.read_text() == _sha256(program)


def _checksum_file(program: Path) -> Path:
    return program.with_suffix(".sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _gpus() -> list[str]:
    """The models of the NVIDIA GPUs that the driver knows; empty if there are none."""
    try:
        paths = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
        lines = [line for file in paths for line in file.read_text().splitlines()]
    except OSError:
        return []
    return [line for line in lines if line.startswith("Model")]
