"""What the operators' kernels are before training: draws that make arms comparable, or confound them on purpose."""

import zlib
from typing import Any

import keras

from ganlab.nets.initializers import INITS
from ganlab.nets.upsampling.fusion import Pair, as_pair, fold_nearest

ops: Any = keras.ops  # what a type checker infers of it, over all backends, is wrong


def kernel_initializer(
    init: str, *, gain: float, seed: int | None, stride: Pair = (1, 1), transposed: bool = False
) -> Any:
    """The initializer of a convolution kernel [k,k,Ci,Co] or, transposed, [k,k,Co,Ci].

    matched: normal with variance gain^2 / (n Ci), where n counts the kernel's taps that an output pixel sees: k*k, and
    k*k divided by the strides for a transposed kernel (the mean over phases). The output then has `gain` times the
    input's root mean square, whatever the operator. Use gain sqrt(2) before a ReLU and 1 for a last layer.
    keras: Glorot uniform as Keras computes it, which gives a transposed kernel s*s times less variance at its output.
    dcgan: normal with deviation 0.02 (Radford et al. 2016). Both leave `gain` aside.

    Equal seeds and shapes give equal numbers, and across operators numbers in equal proportion.
    """
    if init == "keras":
        return keras.initializers.GlorotUniform(seed=seed)
    if init == "dcgan":
        return keras.initializers.RandomNormal(0.0, 0.02, seed=seed)
    if init != "matched":
        raise ValueError(f"init={init!r} is unknown; choose one of: {', '.join(INITS)} (transpose also takes resize)")
    return keras.initializers.VarianceScaling(
        gain**2 * stride[0] * stride[1], "fan_out" if transposed else "fan_in", "untruncated_normal", seed=seed
    )


@keras.saving.register_keras_serializable("ganlab")
class FoldedInitializer(keras.initializers.Initializer):
    """A transposed kernel that starts as nearest enlargement and convolution: draws [k-s+1,...] and folds it."""

    def __init__(self, draw: Any, scale: Pair):
        self.draw: Any = keras.initializers.get(draw)
        self.scale = as_pair("scale", scale)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Draw and fold."""
        ky, kx, co, ci = shape
        return fold_nearest(self.draw((ky - self.scale[0] + 1, kx - self.scale[1] + 1, ci, co), dtype), self.scale)

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the initializer."""
        return {"draw": keras.initializers.serialize(self.draw), "scale": self.scale}


@keras.saving.register_keras_serializable("ganlab")
class Icnr(keras.initializers.Initializer):
    """A sub-pixel kernel whose phases start equal, so that the layer starts as convolution and nearest enlargement.

    `draw` fills one phase [k,k,Ci,Co], which is repeated phase after phase in TensorFlow's channel order.
    Aitken et al. 2017, arXiv:1707.02937;
    """

    def __init__(self, draw: Any, phases: int):
        self.draw: Any = keras.initializers.get(draw)
        self.phases = phases

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Draw and repeat."""
        return ops.tile(self.draw((*shape[:3], shape[3] // self.phases), dtype), (1, 1, 1, self.phases))

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the initializer."""
        return {"draw": keras.initializers.serialize(self.draw), "phases": self.phases}


def other_seed(seed: int | None, part: str) -> int | None:
    """A seed for another kernel of the same layer; the layer's own seed stays with its last kernel."""
    return None if seed is None else zlib.crc32(f"{seed}/{part}".encode()) & 0x7FFFFFFF
