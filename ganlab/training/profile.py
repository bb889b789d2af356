"""A TensorBoard profile of some steps: what ran when, on which device."""

from pathlib import Path

import tensorflow as tf

from ganlab.config import profiled


class Profile:
    """Called at a step, starts or ends the profile that `training.profile` asks for; None asks for none.

    steps: where it wants to be called; at the end of a run it must be called in any case.
    """

    def __init__(self, directory: Path, asked: str | None):
        self.steps: tuple[int, ...] = profiled(asked) or () if asked else ()
        self._directory, self._running = directory, False

    def __call__(self, step: int) -> None:
        if self._running:
            tf.profiler.experimental.stop()
            self._running = False
        elif step in self.steps[:1]:
            tf.profiler.experimental.start(str(self._directory))
            self._running = True
