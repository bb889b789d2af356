"""A TensorBoard profile of some steps: what ran when, on which device."""

from pathlib import Path

import tensorflow as tf

from ganlab.config import profiled


class Profile:
    """The profile that `training.profile` asks for; None asks for none. steps: where `turn` wants to be called."""

    def __init__(self, directory: Path, asked: str | None):
        self.steps: tuple[int, ...] = profiled(asked) or () if asked else ()
        self._directory, self._running = directory, False

    def turn(self, step: int) -> None:
        """Start the profile if it is time, end it if it runs."""
        if self._running:
            self.close()
        elif step in self.steps[:1]:
            tf.profiler.experimental.start(str(self._directory))
            self._running = True

    def close(self) -> None:
        """End the profile if it still runs; to be called at the end of a run in any case."""
        if self._running:
            tf.profiler.experimental.stop()
            self._running = False
