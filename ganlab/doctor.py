"""What this machine is and how it runs some settings: `python -m ganlab.doctor [name=value ...]`."""

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from ganlab import device
from ganlab.cli.exit import HELP, VERSION, one_line
from ganlab.config.plugins import take_plugins
from ganlab.environment import usable_cores
from ganlab.errors import ConfigError
from ganlab.launch.dry_run import chosen, time_step

_HELP = """\
ganlab.doctor: show the device, its precisions, XLA, versions, threads and memory, and time a training step here.

  python -m ganlab.doctor                                      the default settings
  python -m ganlab.doctor generator=upsample dataset.size=32   any settings: python -m ganlab.train --help

For each precision, in graph mode and under XLA, it builds the networks, compiles the step and times it for a few
seconds. It ends with advice. Nothing is written but compiled programs, to the cache.
"""
_LEAST_GAIN = 1.05  # how many times as fast another setting must be to be recommended
_LIBRARIES = ("ganlab-keras", "tensorflow", "keras", "numpy", "hydra-core", "tensorboard")


class Timing(NamedTuple):
    """The time of a step in one precision, compiled in one way; seconds."""

    precision: str
    compile: str
    first_call: float
    step: float


def main() -> None:
    """The command line; exit status 2 for a wrong setting."""
    with one_line():
        arguments = take_plugins(sys.argv[1:])
        if "--version" in arguments:
            print(VERSION)
        elif set(HELP) & set(arguments):
            print(_HELP, end="")
        else:
            for argument in arguments:
                if argument.startswith("-"):
                    raise ConfigError(f"{argument} is not a flag of this command; see --help")
            examine(arguments)


def examine(overrides: list[str]) -> None:
    """Print the facts, the measurements, and what to change."""
    from ganlab.cli.hydra import plan
    from ganlab.run.inputs import check_inputs

    planned = plan(overrides, multirun=False)
    if planned.resume is not None:
        raise ConfigError(f"resume={planned.resume} is a run, but the doctor examines settings; give those instead")
    config = planned.cells[0].config
    check_inputs(config)
    machine = device.start("float32", threads=config.training.threads)
    current = chosen(config, machine)
    from ganlab.data.sources import DATASETS  # TensorFlow: after its start
    from ganlab.run.build import check_images

    images = DATASETS[config.dataset.name](config.dataset).train
    check_images(config, images)
    for name, value in facts(machine):
        print(f"{name:<12} {value}")
    batch = config.training.batch_size * config.training.discriminator_steps
    print(f"\n{'precision':<15} {'compile':<8} {'first call':>10} {'a step':>10} {'images/s':>10}")
    timings = []
    for timing in measure(config, machine, images):
        timings.append(timing)
        print(
            f"{timing.precision:<15} {timing.compile:<8} {timing.first_call:>8.1f} s {timing.step * 1e3:>7.2f} ms "
            f"{batch / timing.step:>10,.0f}",
            flush=True,
        )
    print(f"\n{advice(timings, current, machine.kind)}")
    if machine.kind == "gpu":
        print(room(batch, *_gpu_memory()))
    if config.training.replicas > 1:
        print(f"timed on one device: training.replicas={config.training.replicas} divides the batch among more")


def facts(machine: device.Device) -> Iterator[tuple[str, str]]:
    """Names and values for people."""
    import tensorflow as tf

    yield "device", f"{machine.kind}: {machine.name}"
    if machine.kind == "gpu":
        gpus = tf.config.list_physical_devices("GPU")
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", ("unknown",))
        yield "GPUs", f"{len(gpus)} visible; compute capability {'.'.join(map(str, capability))}"
        cuda = tf.sysconfig.get_build_info().get("cuda_version", "unknown")
        yield "driver", f"{_driver()}; TensorFlow built for CUDA {cuda}"
    else:
        yield "GPU", "none that TensorFlow can use (to use one: pip install 'ganlab-keras[gpu]')"
    yield "bfloat16", "native" if machine.bfloat16 else "emulated: correct, but slow"
    yield "float16", "with loss scaling" if machine.kind == "gpu" else "refused on a CPU"
    yield "oneDNN", "on" if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "1" else "off"
    yield "XLA", "available, " + ", ".join(sorted({d.device_type for d in tf.config.list_logical_devices()}))
    yield "threads", f"{machine.threads} for an operation; {usable_cores()} of {os.cpu_count()} cores usable"
    yield "memory", _memory()
    versions = [f"{name} {number}" for name in _LIBRARIES if (number := _version(name))]
    yield "versions", ", ".join([f"Python {platform.python_version()}", *versions])


def measure(config: Any, machine: device.Device, images: Any) -> Iterator[Timing]:
    """Each precision that the device has, in the graph and under XLA, one after the other."""
    import keras

    precisions = ["float32", "mixed_bfloat16"] + (["mixed_float16"] if machine.kind == "gpu" else [])
    for precision in precisions:
        keras.config.set_dtype_policy(precision)
        for compiled in ("graph", "xla"):
            yield Timing(precision, compiled, *time_step(config, images, xla=compiled == "xla"))
    keras.config.set_dtype_policy("float32")


def advice(timings: list[Timing], current: tuple[str, str], kind: str) -> str:
    """One line: which precision and compilation would be faster than the current ones, or that none would."""
    now = next(timing for timing in timings if (timing.precision, timing.compile) == current)
    best = min(timings, key=lambda timing: timing.step)
    if now.step / best.step >= _LEAST_GAIN:
        return (
            f"advice: precision={best.precision} training.compile={best.compile} is {now.step / best.step:.2f} "
            f"times as fast as {now.precision} with {now.compile}"
        )
    hint = "; a GPU would be much faster for larger images" if kind == "cpu" else ""
    return f"advice: keep precision={now.precision} and training.compile={now.compile}{hint}"


def room(batch: int, peak: int, total: int) -> str:
    """One line: the GPU's memory that steps used, in bytes, the batch that would fit, and how many runs at once pay."""
    fits = batch
    while peak * 2 * fits // batch <= total:  # memory grows no faster than the batch
        fits *= 2
    return (
        f"memory: at most {peak / 2**20:,.0f} of {total / 2**20:,.0f} MB; a batch of {fits} fits. Runs at once on one "
        "GPU share its time: hydra.launcher.n_jobs=2 starts one while another trains, and more gain nothing"
    )


def _gpu_memory() -> tuple[int, int]:
    """The most bytes that were used on the first GPU, and how many TensorFlow may use there."""
    import tensorflow as tf
    from tensorflow.python.client import device_lib  # the only place that knows the limit

    gpu = next(place for place in device_lib.list_local_devices() if place.device_type == "GPU")
    return tf.config.experimental.get_memory_info("GPU:0")["peak"], gpu.memory_limit


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _driver() -> str:
    try:
        with open("/proc/driver/nvidia/version") as lines:  # noqa: PTH123 - not a file on a disk
            return " ".join(lines.readline().split()[:9])
    except OSError:
        return "driver unknown"


def _memory() -> str:
    try:
        with open("/proc/meminfo") as lines:  # noqa: PTH123 - not a file on a disk
            sizes = {line.split(":")[0]: int(line.split()[1]) / 2**20 for line in lines}
        return f"{sizes['MemAvailable']:.1f} of {sizes['MemTotal']:.1f} GiB free"
    except (OSError, KeyError):
        return "unknown"


if __name__ == "__main__":
    main()
