"""The only loop over steps. What happens between steps is passed in."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ganlab.training.adam import TROUBLE
from ganlab.training.state import Gan
from ganlab.training.step import LOGS


class DivergedError(ArithmeticError):
    """A loss, a score, a weight or an image is no longer finite, or gradients have not been for long.

    The text says which, and when.
    """


@dataclass(frozen=True)
class Event:
    """`act(step)` whenever the step is a multiple of `every` or one of `at`, and at the end in any case."""

    every: int | None
    act: Callable[[int], None]
    at: tuple[int, ...] = ()

    def due(self, step: int, last: int) -> bool:
        """Whether to act at this step."""
        return step == last or step in self.at or (self.every is not None and step % self.every == 0)

    def next(self, step: int) -> list[int]:
        """The next steps after this one at which to act."""
        regular = [(step // self.every + 1) * self.every] if self.every else []
        return regular + [place for place in self.at if place > step]


def fit(
    gan: Gan,
    steps: Callable[[tf.Tensor], None],
    last: int,
    portion: int,
    events: Iterable[Event],
    stopping: Callable[[], bool],
    enough: Callable[[], bool] = lambda: False,
) -> bool:
    """Train until step `last`, in calls of at most `portion` steps; True if it got there, False if stopped.

    Events run in the order given, exactly at their steps. `stopping()` is called after each call; `enough()` before the
    last event of a step, and where it says so, that step is the last one: the events that were not due follow first,
    since a checkpoint, the last of all, holds what the others did. Raises DivergedError.
    """
    *events, final = events
    now = int(gan.step.numpy())
    while now < last and not enough():
        target = min([last, now + portion] + [place for event in [*events, final] for place in event.next(now)])
        steps(tf.constant(target - now, tf.int64))
        _check_finite(gan, now, target)
        now = target
        for event in events:
            if event.due(now, last):
                event.act(now)
        ending = now < last and enough()
        for event in events:
            if ending and not event.due(now, last):  # but it is at the end
                event.act(now)
        if ending or final.due(now, last):
            final.act(now)
        if not ending and stopping() and now < last:
            return False
    return True


def take_means(gan: Gan, count: int, *, whole: bool = True) -> dict[str, float]:
    """Means over the `count` steps since the last record, by tag; starts the next sums.

    whole: whether these are all the steps of a record. If a run ends before, its sums stay as they are, for the
    record that follows if it is trained longer.
    """
    sums = gan.sums.numpy()
    if whole:
        gan.sums.assign(tf.zeros_like(gan.sums))
    return {tag: float(value) / count for tag, value in zip(LOGS, sums, strict=True)}


def _check_finite(gan: Gan, before: int, after: int) -> None:
    sums = gan.sums.numpy()
    if not np.isfinite(sums).all():
        tag = LOGS[int(np.flatnonzero(~np.isfinite(sums))[0])]
        raise DivergedError(
            f"{tag} became {'nan' if np.isnan(sums).any() else 'infinite'} between steps {before} and {after}"
        )
    for network, optimizer in (("generator", gan.g_optimizer), ("discriminator", gan.d_optimizer)):
        if optimizer.loss_scaled and (skipped := optimizer.skipped_in_a_row()) >= TROUBLE:
            raise DivergedError(
                f"gradients of the {network} were not finite in its last {skipped} updates up to step {after}, "
                f"with losses multiplied by {float(optimizer.scale.numpy()):g}"
            )
