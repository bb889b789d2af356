"""Layers that Keras lacks, or that are slower there.

Downsampling convolutions, the layers at the end of a discriminator, batch normalisation in one kernel.
"""

import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.linalg import convolution_matrix

from ganlab.nets.convolution import convolve, traced_for_gpu
from ganlab.nets.upsampling.base import Macs
from ganlab.nets.upsampling.fusion import fir_taps

ops: Any = keras.ops  # type checkers infer the wrong types from its backends

# --- smaller maps -----------------------------------------------------------------------------------------------------


def taps_of(downsampling: str, stride: int) -> np.ndarray:
    """The filter along each axis, which adds up to 1.

    strided: none. pool: the mean over the stride. blur: [1,3,3,1]/8 for stride 2, `fir_taps` for any (Karras et al.
    2019, arXiv:1812.04948; Zhang 2019, arXiv:1904.11486).
    """
    if downsampling == "strided":
        return np.ones(1)
    if downsampling == "pool":
        return np.ones(stride) / stride
    if downsampling == "blur":
        return fir_taps(stride) / stride
    raise ValueError(f"downsampling={downsampling!r} is unknown; choose one of: strided, pool, blur")


def fold_filter(kernel: Any, taps: np.ndarray) -> Any:
    """The kernel of a convolution followed by a filter: [k,k,Ci,Co] -> [k+L-1,k+L-1,Ci,Co], L taps per axis."""
    ky, kx, ci, co = kernel.shape
    down, across = (convolution_matrix(taps, k) for k in (ky, kx))
    both = ops.convert_to_tensor(np.kron(down, across), keras.backend.standardize_dtype(kernel.dtype))
    flat = ops.matmul(both, ops.reshape(kernel, (ky * kx, ci * co)))
    return ops.reshape(flat, (down.shape[0], across.shape[0], ci, co))


@keras.saving.register_keras_serializable("ganlab")
class DownConv2D(keras.Layer):
    """A convolution, a filter and a stride in one, kernel [k,k,Ci,Co], bias [Co]; height and width must be known.

    [B,H,W,Ci] -> [B,ceil(H/s),ceil(W/s),Co]. Convolving, smoothing with a filter h and keeping every s-th pixel is one
    convolution of stride s whose kernel is the product of the two. Beyond the border an image continues with
    zeros, far enough for the filter too, so that both forms agree at every pixel.
    The kernel stays float32 until it is used, so that folding adds no rounding under mixed precision.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        *,
        stride: int = 2,
        downsampling: str = "pool",
        kernel_initializer: Any = "glorot_uniform",
        use_bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.stride = filters, kernel_size, stride
        self.downsampling, self.use_bias = downsampling, use_bias
        self.taps = taps_of(downsampling, stride)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: Any) -> None:
        """Draw the kernel for the channels that come in."""
        shape = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=self.kernel_initializer, autocast=False)
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros") if self.use_bias else None

    def weight(self) -> Any:
        """The kernel as it is used, float32."""
        return self.kernel

    def call(self, inputs: Any) -> Any:
        """One convolution of stride s."""
        if self.downsampling == "strided":
            outputs = self._convolve(inputs, self.weight(), "same")
        else:
            edges = [self._edges(n) for n in inputs.shape[1:3]]
            padded = ops.pad(inputs, [(0, 0), *edges, (0, 0)])
            outputs = self._convolve(padded, fold_filter(self.weight(), self.taps), "valid")
        return outputs if self.bias is None else ops.add(outputs, self.bias)

    def _convolve(self, inputs: Any, kernel: Any, padding: str) -> Any:
        stride = self.stride
        if kernel.shape[0] == 1 < stride:  # oneDNN would write out of bounds; see `upsampling.transpose`
            inputs, stride = inputs[:, ::stride, ::stride], 1
        return convolve(inputs, ops.cast(kernel, self.compute_dtype), stride, padding)

    def _edges(self, size: int) -> tuple[int, int]:
        """Zeros before and after `size` pixels: those of 'same', those of the filter, and up to a whole last step."""
        length = len(self.taps)
        before = (self.kernel_size - 1) // 2 + (length - self.stride) // 2
        extent = (self._steps(size) - 1) * self.stride + self.kernel_size + length - 1
        return before, extent - size - before

    def _steps(self, size: int) -> int:
        return -(-size // self.stride)

    def macs(self) -> Macs:
        """Written: a convolution at the large size, then the filter; executed: their product at the small size."""
        area, taps = math.prod(self.output.shape[1:3]), len(self.taps)
        channels = math.prod(self.kernel.shape[2:])
        executed = area * (self.kernel_size + taps - 1) ** 2 * channels
        if self.downsampling == "strided":
            return Macs(executed, executed)
        return Macs(area * ((self.stride * self.kernel_size) ** 2 * channels + taps**2 * self.filters), executed)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """[B,H,W,Ci] -> [B,ceil(H/s),ceil(W/s),Co]."""
        return input_shape[0], self._steps(input_shape[1]), self._steps(input_shape[2]), self.filters

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "downsampling": self.downsampling,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "use_bias": self.use_bias,
        }


# --- before the scores; the statistic is float32 under every precision ------------------------------------------------


def minibatch_std(maps: Any, group: int) -> Any:
    """Add a channel that says how much `group` consecutive images differ: [B,H,W,C] -> [B,H,W,C+1].

    One number per group: the standard deviation over its images, mean over positions and channels. It exposes a
    generator that repeats itself. `group` divides B. Karras et al. 2018, arXiv:1710.10196.
    """
    height, width, channels = maps.shape[1:]
    groups = ops.reshape(ops.cast(maps, "float32"), (-1, group, height, width, channels))
    deviations = groups - ops.mean(groups, axis=1, keepdims=True)
    std = ops.sqrt(ops.mean(ops.square(deviations), axis=1, keepdims=True) + 1e-8)
    mean = ops.mean(std, axis=(2, 3, 4), keepdims=True)
    # Not added to zeros: with as many groups as images in one, Keras would add the means as a bias, to the wrong axis.
    everywhere = ops.reshape(ops.ones_like(groups[..., :1]) * mean, (-1, height, width, 1))
    return ops.concatenate([maps, ops.cast(everywhere, maps.dtype)], axis=-1)


# --- batch normalisation, and recomputing its statistics --------------------------------------------------------------


@keras.saving.register_keras_serializable("ganlab")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer, with TensorFlow's fused kernel in training: [B,H,W,C] in any precision, statistics float32.

    The same function as the stock layer, moving statistics included. Momentum and epsilon are those of Radford et al.
    2016, arXiv:1511.06434.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs: Any):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise by the batch in training, by the moving statistics otherwise."""
        if not (training and self.trainable):
            return super().call(inputs, training=training)
        if traced_for_gpu() and _is_summed_by_one_block(inputs):
            gamma, beta = map(tf.convert_to_tensor, (self.gamma, self.beta))
            outputs, mean, variance = _normalise(inputs, gamma, beta, self.epsilon)
        else:
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


def _is_summed_by_one_block(maps: Any) -> bool:
    """Whether XLA for a GPU leaves the sums of each 128 channels to one block of threads, although they are long.

    It splits sums of more than 4096 numbers itself. Whether a second kernel pays for up to 1024 has not been measured.
    `experiments/speed/README.md` says what these sums took.
    """
    return None not in maps.shape[:3] and 1024 < math.prod(maps.shape[:3]) <= 4096


def _normalise(maps: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """What the fused kernel computes: normalised maps, and the mean and the biased variance of the batch, [C]."""
    count, channels = math.prod(maps.shape[:3]), maps.shape[3]
    parts = next(n for n in range(math.isqrt(count), 0, -1) if count % n == 0)
    values = tf.reshape(tf.cast(maps, tf.float32), [parts, -1, channels])
    mean, square = (total / count for total in _sums(values, values * values))
    variance = tf.maximum(square - mean * mean, 0.0)  # rounding could make it negative
    values = _scale(values, mean, gamma * tf.math.rsqrt(variance + epsilon), beta)
    return tf.reshape(tf.cast(values, maps.dtype), maps.shape), mean, variance


@tf.custom_gradient
def _scale(values: Any, mean: Any, factor: Any, offset: Any) -> Any:
    """(values - mean) * factor + offset, with sums in two stages in the gradient too."""

    def gradient(upstream: Any) -> Any:
        d_factor, d_offset = _sums(upstream * (values - mean), upstream)
        return upstream * factor, -factor * d_offset, d_factor, d_offset

    return (values - mean) * factor + offset, gradient


def _sums(*values: Any) -> Any:
    """Of each [parts,n,C] the sum [C], in two stages. XLA would make them one if nothing were in between."""
    parts = tf.concat([tf.reduce_sum(value, axis=1) for value in values], axis=1)
    return tf.split(tf.reduce_sum(parts, axis=0), len(values))


def recompute_statistics(model: keras.Model, batches: Iterable[Any]) -> None:
    """Set the moving statistics of every batch normalisation to the mean of the statistics of each of `batches`.

    For a generator with averaged weights, which has seen no batch in training. batches: inputs of the model; each goes
    through as in training, normalised by itself. A model without batch normalisation is left alone.
    """
    norms: list[Any] = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0  # the moving statistics are now those of the last batch
        # traced at the first call, with these momenta
        forward = tf.function(lambda batch: model(batch, training=True), autograph=False, reduce_retracing=True)
        sums, count = [0.0] * (2 * len(norms)), 0
        for batch in batches:
            forward(batch)
            statistics = (statistic for norm in norms for statistic in (norm.moving_mean, norm.moving_variance))
            sums = [
                total + ops.convert_to_numpy(statistic).astype(np.float64)
                for total, statistic in zip(sums, statistics, strict=True)
            ]
            count += 1
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    means = [total / count for total in sums]
    for place, norm in enumerate(norms):
        norm.moving_mean.assign(means[2 * place])
        norm.moving_variance.assign(means[2 * place + 1])
