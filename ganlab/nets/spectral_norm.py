"""Spectral normalisation as published: layers whose kernel, as a matrix, has largest singular value 1.

Miyato et al. 2018, arXiv:1802.05957. The stored kernel stays as the optimizer leaves it; the one in use
is W / sigma with sigma = u'Wv, the gradient goes through sigma, and u and v are constants. Keras' own wrapper
differs: it overwrites the stored kernel at every call.
"""

import math
from typing import Any

import keras

from ganlab.nets.layers import DownConv2D

ops: Any = keras.ops  # type checkers infer the wrong types from its backends
AT_BUILD = 10  # power iterations, so that sigma is close before the first step


class Spectral(keras.Layer):
    """A layer with a float32 `kernel`, its last axis the outputs. W: the kernel as [outputs, everything else].

    u [outputs], v [everything else]: the current estimate of the singular vectors; only `iterate` changes them.
    """

    kernel: Any

    def add_vectors(self) -> None:
        """Add the singular vectors of a new kernel and estimate them."""
        *others, outputs = self.kernel.shape
        draw = keras.initializers.RandomNormal(seed=0)
        options = {"initializer": draw, "trainable": False, "autocast": False, "dtype": "float32"}
        self.u = self.add_weight(name="u", shape=(outputs,), **options)
        self.v = self.add_weight(name="v", shape=(math.prod(others),), **options)
        for _ in range(AT_BUILD):
            self.iterate()

    def sigma(self) -> Any:
        """u'Wv: the largest singular value, from below."""
        u, v = ops.stop_gradient(self.u), ops.stop_gradient(self.v)
        return ops.sum(ops.matmul(v, self._matrix()) * u)

    def weight(self) -> Any:
        """The kernel as it is used: W / sigma, float32."""
        return self.kernel / self.sigma()

    def iterate(self) -> None:
        """One power iteration: v = W'u, then u = Wv, each of length 1."""
        matrix = ops.stop_gradient(self._matrix())
        v = _unit(ops.matmul(matrix, self.u))
        self.v.assign(v)
        self.u.assign(_unit(ops.matmul(v, matrix)))

    def _matrix(self) -> Any:
        """W transposed: [everything else, outputs], the order of kernels in memory."""
        return ops.reshape(ops.convert_to_tensor(self.kernel), (-1, self.kernel.shape[-1]))


@keras.saving.register_keras_serializable("ganlab")
class SpectralConv2D(Spectral, DownConv2D):
    """A convolution of any `downsampling`; W is the kernel before a filter is folded into it."""

    def build(self, input_shape: Any) -> None:
        """Draw the kernel and find its singular vectors."""
        super().build(input_shape)
        self.add_vectors()


@keras.saving.register_keras_serializable("ganlab")
class SpectralDense(Spectral, keras.layers.Dense):  # pyright: ignore[reportIncompatibleMethodOverride]
    """A dense layer in float32: [B,n] -> [B,units]."""

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(units, **kwargs | {"dtype": "float32"})

    def build(self, input_shape: Any) -> None:
        """Draw the kernel and find its singular vectors."""
        super().build(input_shape)
        self.add_vectors()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """A product and a sum."""
        outputs = ops.matmul(inputs, self.weight())
        return outputs if self.bias is None else ops.add(outputs, self.bias)


def power_iteration(model: keras.Model) -> None:
    """One power iteration in every layer that has one: once for each step of the discriminator, before it."""
    for layer in model.layers:
        if isinstance(layer, Spectral):
            layer.iterate()


def _unit(vector: Any) -> Any:
    return vector / ops.maximum(ops.norm(vector), 1e-12)
