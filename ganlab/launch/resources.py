"""What one of several runs on a machine gets of it: its share of the cores, and GPUs of its own while there are enough.

Both reach the run's process through its environment: its settings stay the same whatever runs beside it.
"""

import contextlib
import itertools
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ganlab.files import lock, safe_name

_TELL_THREADS = ("joblib", "ray")
_VISIBLE = "CUDA_VISIBLE_DEVICES"


def threads_of(launcher: str) -> dict[str, str]:
    """TensorFlow's variables for the share of the cores that a launcher's worker has; empty if it has all of them.

    joblib (cores over `n_jobs`) and Ray (`num_cpus`) tell their workers in OMP_NUM_THREADS, which TensorFlow does not
    read. What stands in TensorFlow's variables already is kept, and `training.threads` comes before them.
    """
    share = os.environ.get("OMP_NUM_THREADS", "")
    if launcher not in _TELL_THREADS or not share.isdecimal():
        return {}
    wanted = {"TF_NUM_INTRAOP_THREADS": share, "TF_NUM_INTEROP_THREADS": str(min(int(share), 2))}
    return {name: value for name, value in wanted.items() if name not in os.environ}


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them, else by their numbers."""
    chosen = os.environ.get(_VISIBLE)
    if chosen is not None:
        names = (part.strip() for part in chosen.split(","))
        return list(itertools.takewhile(lambda name: name not in ("", "-1"), names))  # CUDA stops there too
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return re.findall(r"^GPU (\d+):", listed, re.M)


@contextlib.contextmanager
def dealt_gpus(count: int) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """`count` GPUs for a run: the variable that shows it only these, and descriptors for its process to keep open.

    Nobody else is dealt a GPU while those descriptors are open and another is free; when none is, runs share those
    that the fewest use. On a machine without GPUs to choose from both are empty.
    """
    gpus = visible_gpus()
    if len(gpus) <= count:
        yield {}, ()
        return
    folder = Path(tempfile.gettempdir()) / f"ganlab-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with contextlib.ExitStack() as stack:
        with (folder / "dealing").open("w") as turn:
            lock(turn, wait=True)  # who counts at the same time would choose the same ones
            users = {gpu: sum(map(_is_held, folder.glob(f"{_file(gpu)}.*"))) for gpu in gpus}
            chosen = sorted(users, key=users.__getitem__)[:count]
            held = [_hold_a_place(folder, gpu, stack) for gpu in chosen]
        yield {_VISIBLE: ",".join(chosen)}, tuple(held)


def _file(gpu: str) -> str:
    return safe_name(gpu)


def _is_held(place: Path) -> bool:
    with place.open("w") as file:
        return not lock(file)


def _hold_a_place(folder: Path, gpu: str, stack: contextlib.ExitStack) -> int:
    """The descriptor of the first place on a GPU that nobody holds, ours until the stack is left."""
    files = (stack.enter_context((folder / f"{_file(gpu)}.{place}").open("w")) for place in itertools.count())
    return next(file.fileno() for file in files if lock(file))
