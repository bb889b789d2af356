"""TensorFlow, started once and quietly, with the threads, precision and determinism that a run asks for."""

import contextlib
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from ganlab.choose import ConfigError


@dataclass(frozen=True)
class Device:
    """What a run computes on: `cpu` or `gpu`, its name, and the precision that was chosen."""

    kind: str
    name: str
    precision: str


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Hold back what native code writes to stderr; show it after all if an exception passes."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            sys.stderr.write(held.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def start(precision: str = "auto", *, threads: int = 0, deterministic: bool = False) -> Device:
    """Import TensorFlow and prepare the process; precision and threads are global to it.

    oneDNN's kernels are asked for on every CPU: TensorFlow leaves them off on those without AVX-512, where they make
    a training step three times faster. Raises ConfigError for a precision that the device lacks.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with _silence():
        import keras
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(min(threads, 2))
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        if deterministic:
            tf.config.experimental.enable_op_determinism()
        tf.zeros(1)  # devices are set up, and talk, at the first operation
    details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
    if precision == "auto":
        capable = details.get("compute_capability", (0, 0)) >= (8, 0)
        precision = ("mixed_bfloat16" if capable else "mixed_float16") if gpus else "float32"
    if precision == "mixed_float16" and not gpus:
        raise ConfigError("precision=mixed_float16 needs a GPU; use float32 or mixed_bfloat16 on this CPU")
    keras.config.set_dtype_policy(precision)
    if gpus:
        return Device("gpu", details.get("device_name", "GPU"), precision)
    return Device("cpu", _processor(), precision)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123 - not a file on a disk
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"
