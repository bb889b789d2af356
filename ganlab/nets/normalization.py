"""Batch normalisation in one kernel, and its statistics taken anew."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

ops: Any = keras.ops  # what a type checker infers of it, over all backends, is wrong


@keras.saving.register_keras_serializable("ganlab")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer, with TensorFlow's fused kernel in training: [B,H,W,C] in any precision, statistics float32.

    The same function as the stock layer, moving statistics included; whatever is not an image on TensorFlow goes
    through the stock layer itself. Momentum and epsilon are those of Radford et al. 2016, arXiv:1511.06434.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs: Any):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise by the batch in training, by the moving statistics otherwise."""
        if training and self.trainable and mask is None and self._fits(inputs):
            return self._fused(inputs)
        return super().call(inputs, training=training, mask=mask)

    def _fits(self, inputs: Any) -> bool:
        images = len(inputs.shape) == 4 and self.axis in (-1, 3)
        usual = self.scale and self.center and not self.renorm and not self.synchronized
        return (
            keras.backend.backend() == "tensorflow"
            and images
            and usual
            and keras.backend.standardize_dtype(inputs.dtype) in ("float32", "bfloat16", "float16")
        )

    def _fused(self, inputs: Any) -> Any:
        import tensorflow as tf

        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=ops.convert_to_tensor(self.gamma),
            offset=ops.convert_to_tensor(self.beta),
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
            is_training=True,
        )
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:3]), tf.float32)
        variance *= (count - 1) / count  # the kernel's is unbiased, Keras keeps the biased one
        pairs: Any = ((self.moving_mean, mean), (self.moving_variance, variance))
        for moving, now in pairs:
            moving.assign(moving * self.momentum + now * (1.0 - self.momentum))
        return ops.cast(outputs, self.compute_dtype)


def recompute_statistics(model: keras.Model, batches: Iterable[Any]) -> None:
    """Set the moving statistics of every batch normalisation to the mean over `batches` of what these have themselves.

    For a generator with averaged weights, to which no batch that was seen in training belongs. batches: inputs of the
    model; each goes through as in training, normalised by itself. A model without batch normalisation is left alone.
    """
    norms: list[Any] = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not norms:
        return
    kept = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0  # the moving statistics are now those of the last batch
        forward = _traced(lambda batch: model(batch, training=True))
        sums, count = [0.0] * (2 * len(norms)), 0
        for batch in batches:
            forward(batch)
            found = (each for norm in norms for each in (norm.moving_mean, norm.moving_variance))
            sums = [
                total + ops.convert_to_numpy(each).astype(np.float64) for total, each in zip(sums, found, strict=True)
            ]
            count += 1
    finally:
        for norm, momentum in zip(norms, kept, strict=True):
            norm.momentum = momentum
    means = [total / count for total in sums]
    for place, norm in enumerate(norms):
        norm.moving_mean.assign(means[2 * place])
        norm.moving_variance.assign(means[2 * place + 1])


def _traced(function: Any) -> Any:
    """The function, compiled where that is TensorFlow's business; traced now, while the momentum is what it is."""
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, autograph=False, reduce_retracing=True)
