"""Training on several devices at once: each replica takes its part of the global batch and does the same update.

Gradients are averaged before they are used, so every replica computes the same new values and sets its own copy of a
variable: only gradients and means are sent. With one device all of this is the identity.
"""

from collections.abc import Callable

import tensorflow as tf


def count() -> int:
    """How many replicas there are, over all workers."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def part(whole: tf.Tensor) -> tf.Tensor:
    """This replica's share of something of the global batch, [B,...] -> [B/replicas,...]; B must be divisible."""
    if count() == 1:
        return whole
    share = whole.shape[0] // count()
    number = tf.distribute.get_replica_context().replica_id_in_sync_group
    begin = tf.concat([[tf.cast(number, tf.int32) * share], tf.zeros(whole.shape.rank - 1, tf.int32)], axis=0)
    return tf.slice(whole, begin, [share, *whole.shape[1:]])


def mean(values: tf.Tensor) -> tf.Tensor:
    """The mean of values over all replicas, []; gradients pass."""
    local = tf.reduce_mean(values)
    context = tf.distribute.get_replica_context()
    if count() == 1 or context is None:
        return local
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, local)


def average(tensors: list[tf.Tensor]) -> list[tf.Tensor]:
    """Tensors averaged over all replicas, one by one."""
    if count() == 1:
        return tensors
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, tensors)


def assign(variable: tf.Variable, value: tf.Tensor) -> None:
    """Set this replica's copy of a variable; every replica must set it to the same value."""
    # Through the handle: `variable.assign` would ask all replicas at once, which a tf.cond cannot do.
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=tf.cast(value, variable.dtype))


def agreed(ask: Callable[[], bool]) -> Callable[[], bool]:
    """A question with one answer for all workers: yes as soon as one of them says yes."""
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return ask

    def anyone() -> bool:
        answer = float(ask())
        return bool(strategy.run(lambda: mean(tf.constant([answer]))) > 0)

    return anyone
