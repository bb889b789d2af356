"""What XLA is told before TensorFlow is imported, and the compiled programs that it keeps for later runs.

The runs of a sweep differ in their seed alone, which is an argument of their program and not a part of it: the first of
them compiles it, the others and whatever goes on read it from the cache. TensorFlow gives up a run over a file there
that was cut short; so a program counts only with its SHA-256 beside it, written once it has run.
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
_GPU_FLAGS = {
    # The loop over steps becomes one CUDA graph, which the GPU goes through without waiting for the host.
    "--xla_gpu_enable_command_buffer": "+WHILE,+CONDITIONAL",
    "--xla_gpu_graph_min_graph_size": "1",
    # Triton's products were no faster than cuBLAS' for these shapes, and trying them out doubles the compilation.
    "--xla_gpu_enable_triton_gemm": "false",
}
_LARGEST, _FREE = 2**28, 2**30  # bytes of the cache, all read at each start, and of the disk that it leaves alone

_ABANDONED = 3600.0  # seconds after which nobody writes a file any more


def prepare() -> None:
    """Set XLA_FLAGS and TF_XLA_FLAGS; a flag that the user has set stays as it is."""
    gpus = _gpus()
    if gpus:
        _add("XLA_FLAGS", _GPU_FLAGS)
    if folder := _sound_folder(gpus):
        _add("TF_XLA_FLAGS", {_DIRECTORY: str(folder)})


def remember() -> None:
    """Let later runs use what was compiled by now."""
    flags = dict(flag.partition("=")[::2] for flag in os.environ.get("TF_XLA_FLAGS", "").split())
    folder = Path(flags.get(_DIRECTORY, ""))
    if folder.parent.name != "xla" or not folder.is_dir():  # none, or the user's own
        return
    with contextlib.suppress(OSError):
        for program in folder.glob("*.pb"):
            if not _sum_of(program).exists():
                files.sync(program)  # which TensorFlow renames into place, and does not flush
                files.write_bytes(_sum_of(program), _sha256(program).encode())


def _add(variable: str, flags: dict[str, str]) -> None:
    there = os.environ.get(variable, "").strip()
    more = [f"{name}={value}" for name, value in flags.items() if f"{name}=" not in there]
    os.environ[variable] = " ".join([*([there] if there else []), *more])


def _sound_folder(gpus: list[str]) -> Path | None:
    """The folder for programs of this machine, without those that are not whole; None where nothing can be kept."""
    machine = [version("tensorflow"), platform.machine(), *processor_lines("flags")[:1], *gpus]
    try:
        folder = files.cache_folder() / "xla" / hashlib.sha256("\n".join(machine).encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < _FREE or " " in str(folder):
            return None
        programs = sorted(folder.glob("*.pb"), key=lambda path: path.stat().st_mtime, reverse=True)
        for left in folder.glob("*.tmp"):  # of a process that was killed while it wrote
            if time.time() - left.stat().st_mtime > _ABANDONED:
                files.remove(left)
        size = 0
        for program in programs:
            size += program.stat().st_size
            if size > _LARGEST or not _whole(program):
                files.remove(program)
                files.remove(_sum_of(program))
    except (OSError, ConfigError):  # no home directory, another user's, removed by another process meanwhile
        return None
    return folder


def _whole(program: Path) -> bool:
    beside = _sum_of(program)
    return beside.exists() and beside.read_text() == _sha256(program)


def _sum_of(program: Path) -> Path:
    return program.with_suffix(".sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _gpus() -> list[str]:
    """The models of the NVIDIA GPUs that the driver knows; empty where there are none."""
    try:
        tellers = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
        lines = [line for file in tellers for line in file.read_text().splitlines()]
    except OSError:
        return []
    return [line for line in lines if line.startswith("Model")]
