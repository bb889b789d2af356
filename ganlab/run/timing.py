"""What a training step of some settings takes on this machine."""

import time
from dataclasses import replace
from typing import Any

from ganlab import device

_SECONDS = 3.0  # for which a step is timed, in rounds


def chosen(config: Any, machine: device.Device) -> tuple[str, str]:
    """The precision and the way of compiling that a run of these settings would take here."""
    there = replace(machine, precision=device.choose_precision(config.precision, machine.capability))
    return there.precision, "xla" if there.xla(config.training.compile) else "graph"


def time_step(config: Any, images: Any, *, xla: bool, seconds: float = _SECONDS) -> tuple[float, float]:
    """Seconds of the first call, which compiles, and of a step after it: the median of five rounds.

    seconds: for which steps are timed in all.
    """
    import numpy as np
    import tensorflow as tf

    from ganlab.nets.spectral_norm import power_iteration
    from ganlab.run.networks import build_gan
    from ganlab.run.rules import make_batches, make_step_config
    from ganlab.training.step import make_steps

    gan = build_gan(config)
    game = make_step_config(config, lambda: power_iteration(gan.discriminator))
    steps = make_steps(gan, game, make_batches(config, images), xla=xla)

    def timed(count: int) -> float:
        before = time.perf_counter()
        steps(tf.constant(count, tf.int64))
        gan.step.numpy()
        return time.perf_counter() - before

    first, second = timed(1), timed(1)
    count = max(1, int(seconds / 5 / second))
    return first, float(np.median([timed(count) / count for _ in range(5)]))
