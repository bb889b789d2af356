"""TensorFlow, started once and quietly, with the threads, precision and determinism of a run."""

import contextlib
import ctypes
import gc
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ganlab import environment, xla
from ganlab.environment import processor_lines, usable_cores
from ganlab.errors import ConfigError


@dataclass(frozen=True)
class Device:
    """What a run computes on: `cpu` or `gpu`, its name, the chosen precision, and TensorFlow's strategy.

    capability: of a GPU, CUDA's compute capability; None for a CPU. replicas: devices that share a batch, over all
    workers. threads: of the CPU, for one operation. bfloat16: whether it has that type in hardware; other CPUs
    emulate it, which is slow.
    """

    kind: str
    name: str
    precision: str
    capability: tuple[int, int] | None
    strategy: Any
    replicas: int
    threads: int
    bfloat16: bool

    @property
    def emulates(self) -> bool:
        """Whether the device emulates the precision of the run."""
        return self.precision == "mixed_bfloat16" and not self.bfloat16

    def xla(self, setting: str, steps: int) -> bool:
        """Whether to compile a run of so many steps with XLA.

        `auto` does on one GPU, if the run is long enough to pay for it, and if bfloat16 is emulated: XLA computes
        in float32 in between.
        """
        pays = self.emulates or (self.kind == "gpu" and steps >= xla.PAYS)
        return setting == "xla" or (setting == "auto" and pays and self.replicas == 1)


def worker() -> int:
    """Which of several worker processes this is, 0 the first, from TensorFlow's own variable TF_CONFIG."""
    task = _part(_cluster(), "task", dict)
    index = _part(task, "index", int | str) or 0
    if not str(index).isdecimal():
        raise ConfigError(f"TF_CONFIG: task.index={index!r} is not a whole number; see TensorFlow's guide {_GUIDE}")
    return int(index) + (1 if task.get("type") == "worker" and "chief" in _workers() else 0)


_GUIDE = "to training with several workers"


def _cluster() -> dict[str, Any]:
    text = os.environ.get("TF_CONFIG", "")
    try:
        cluster = json.loads(text) if text else {}
    except json.JSONDecodeError:
        cluster = None
    if not isinstance(cluster, dict):
        raise ConfigError(f"TF_CONFIG is not a JSON object; see TensorFlow's guide {_GUIDE}")
    return cluster


def _part(tree: dict[str, Any], name: str, kind: Any) -> Any:
    """A part of TF_CONFIG; an absent or null one counts as empty. Raises ConfigError for another type."""
    value = tree.get(name)
    if value is None:
        return {} if kind is dict else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ConfigError(f"TF_CONFIG: {name}={json.dumps(value)} is not usable; see TensorFlow's guide {_GUIDE}")
    return value


def _workers() -> dict[str, list[str]]:
    cluster = _part(_cluster(), "cluster", dict)
    return {kind: places for kind in cluster if (places := _part(cluster, kind, list | dict) or [])}


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Hold back what native code writes to stderr; print it if an exception is raised."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as captured:
        saved = os.dup(2)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except ConfigError:  # its line is enough
            raise
        except BaseException:
            os.dup2(saved, 2)
            captured.seek(0)
            sys.stderr.write(captured.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _home() -> contextlib.AbstractContextManager[None]:
    """While inside, a user without a home directory has one; otherwise TensorFlow would create a folder named ~."""
    has_one = os.path.expanduser("~") != "~"  # noqa: PTH111 - it never raises
    return contextlib.nullcontext() if has_one else environment.variable("HOME", tempfile.gettempdir())


@contextlib.contextmanager
def _absent(*packages: str) -> Iterator[None]:
    """While inside, packages that are not loaded yet cannot be imported, as if they were not installed."""
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules |= dict.fromkeys(hidden)  # None: Python's own marker for that
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def prepare_environment() -> None:
    """Set what TensorFlow and Keras read when they are imported; call it before the first import.

    Without oneDNN the gradient of a convolution with respect to its input, which is what a transposed convolution
    computes too, runs at a tenth of the processor's speed. TF_ENABLE_ONEDNN_OPTS=0 in the environment disables it.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    xla.prepare()
    environment.choose_backend()


def start(precision: str = "auto", *, threads: int = 0, deterministic: bool = False, replicas: int = 1) -> Device:
    """Import TensorFlow and prepare the process; precision and threads are global to it.

    oneDNN's kernels are enabled on every CPU: TensorFlow disables them on those without AVX-512, where they make a
    training step three times faster. Keras' global settings are its defaults, whatever keras.json says. replicas: GPUs
    of this process that share each batch, or equal parts of its CPU if there is none. threads: for one operation; 0:
    those of TensorFlow's TF_NUM_INTRAOP_THREADS, else all cores. Raises ConfigError for a precision or a number of GPUs
    that the machine does not have.
    """
    environment_threads = check_environment()
    prepare_environment()
    _keep_freed_memory()
    with silence():
        # Keras would import both packages, in case they are used: a third of its import time.
        with _absent("sklearn", "matplotlib"), _home(), _uncollected():
            import keras
            import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(min(threads, 2))
        if gpus and replicas > len(gpus):
            raise ConfigError(f"training.replicas={replicas} needs {replicas} GPUs; this machine has {len(gpus)}")
        gpus = gpus[:replicas]
        if gpus:
            tf.config.set_visible_devices(gpus, "GPU")
        elif replicas > 1:
            cpu = tf.config.list_physical_devices("CPU")[0]
            parts = [tf.config.LogicalDeviceConfiguration()] * replicas
            if tf.config.get_logical_device_configuration(cpu) != parts:
                tf.config.set_logical_device_configuration(cpu, parts)
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        if deterministic:
            tf.config.experimental.enable_op_determinism()
        strategy = _strategy(replicas, bool(gpus))
        tf.zeros(1)  # devices are set up, and print, at the first operation
    details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
    capability = details.get("compute_capability", (0, 0)) if gpus else None
    precision = choose_precision(precision, capability)
    environment.pin(keras.config)
    keras.config.set_dtype_policy(precision)
    return Device(
        kind="gpu" if gpus else "cpu",
        name=details.get("device_name", "GPU") if gpus else _processor(),
        precision=precision,
        capability=capability,
        strategy=strategy,
        replicas=strategy.num_replicas_in_sync,
        threads=threads or environment_threads or usable_cores(),
        bfloat16=capability >= _AMPERE if capability else bool({"avx512_bf16", "amx_bf16"} & _flags()),
    )


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """While inside, the garbage collector rests, and it never looks at what is there afterwards.

    Modules stay until the process ends. Looking through TensorFlow's many objects takes a fifth of its import and of a
    short run.
    """
    if not gc.isenabled() or "tensorflow" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


def check_environment() -> int:
    """Raise ConfigError for variables and files that TensorFlow and Keras cannot read; returns its threads, 0: all."""
    worker()
    environment.check_keras_json()
    for name in ("TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS"):
        text = os.environ.get(name, "").strip()
        if text and not (text.isascii() and text.isdecimal()):
            raise ConfigError(f"{name}={text} is not a whole number; use one, 0 for all cores, or unset it")
    return int(os.environ.get("TF_NUM_INTRAOP_THREADS", "").strip() or 0)


_AMPERE = (8, 0)
"""The first compute capability with bfloat16."""


def choose_precision(setting: str, capability: tuple[int, int] | None) -> str:
    """The precision of a run, from its setting and the GPU's compute capability; None is a CPU.

    `auto`: mixed_bfloat16 on GPUs that have it, mixed_float16 on older ones, float32 on a CPU. Raises ConfigError for
    float16 on a CPU.
    """
    if setting == "auto":
        if capability is None:
            return "float32"
        return "mixed_bfloat16" if capability >= _AMPERE else "mixed_float16"
    if setting == "mixed_float16" and capability is None:
        raise ConfigError("precision=mixed_float16 needs a GPU; use float32 or mixed_bfloat16 on this CPU")
    return setting


def _keep_freed_memory() -> None:
    """Let glibc keep freed blocks up to 1 GiB instead of returning them to the system: 2 % faster steps."""
    with contextlib.suppress(OSError, AttributeError):  # the C library is not glibc
        mallopt = ctypes.CDLL(None).mallopt
        for option in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            mallopt(option, 2**30)


def _strategy(replicas: int, gpu: bool) -> Any:
    """How TensorFlow distributes the work: not at all, over the devices of this process, or over several workers."""
    import tensorflow as tf

    if sum(len(places) for kind, places in _workers().items() if kind in ("chief", "worker")) > 1:
        if replicas > 1 and not gpu:
            raise ConfigError(
                f"training.replicas={replicas} parts of a CPU cannot be combined with TF_CONFIG's workers"
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    if replicas == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([f"{'GPU' if gpu else 'CPU'}:{n}" for n in range(replicas)])


def _processor() -> str:
    name = next(iter(processor_lines("model name")), platform.processor() or platform.machine())
    return f"{name}, {os.cpu_count()} cores"


def _flags() -> set[str]:
    """The instructions that the CPU has, as Linux names them."""
    return set(next(iter(processor_lines("flags")), "").split())
