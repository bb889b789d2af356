"""One kernel for two steps: every linear operator is a transposed convolution, and this is its kernel.

Enlarging by a filter h and convolving with W is the transposed convolution of stride s whose kernel is the product of
the two: `K = flip(W) * h` along each axis, or `K = A W A'` with a small matrix A. A transposed convolution with 'same'
padding then gives the same image at every pixel, borders too, if W has odd size and h is not cropped at the border.

NumPy arrays give NumPy arrays, anything else gives tensors of the Keras backend, so that gradients reach W.
"""

from typing import Any

import keras
import numpy as np
from scipy.linalg import convolution_matrix

from ganlab.config import Pair

ops: Any = keras.ops  # type checkers infer the wrong types from its backends


def as_pair(where: str, value: Any) -> Pair:
    """A size or scale as (vertical, horizontal); raises ValueError unless it is one or two whole numbers from 1."""
    pair = (value, value) if isinstance(value, int | np.integer) else tuple(value) if np.iterable(value) else ()
    if len(pair) != 2 or any(isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1 for n in pair):
        raise ValueError(f"{where}={value!r} is not a size; use a whole number from 1, or a pair of them")
    return int(pair[0]), int(pair[1])


def require_odd(where: str, value: Any, why: str, instead: str = "") -> None:
    """Refuse an even size in one line."""
    if any(n % 2 == 0 for n in as_pair(where, value)):
        raise ValueError(f"{where}={value!r} is even, {why}; use an odd {where}{instead}")


def bilinear_taps(scale: int) -> np.ndarray:
    """What one pixel becomes under linear interpolation with half-pixel centres: a triangle; [1,3,3,1]/4 for 2."""
    length = 2 * scale - scale % 2
    return 1 - np.abs(np.arange(length) - (length - 1) / 2) / scale


def fir_taps(scale: int) -> np.ndarray:
    """StyleGAN2's [1,3,3,1]/4 for 2, and for any scale s the filter of the same kind: three boxes of length s.

    Its 3s-2 taps add up to s, and its response has a triple zero at each frequency onto which zero insertion copies
    the mean of an image, so no scale leaves a checkerboard.
    """
    box = np.ones(scale)
    return np.convolve(np.convolve(box, box), box) / scale**2


def fold_nearest(kernel: Any, scale: int | Pair) -> Any:
    """The transposed-convolution kernel of nearest enlargement and convolution: [k,k,Ci,Co] -> [k+s-1,k+s-1,Co,Ci].

    Exact at every pixel with stride `scale` and 'same' padding. Raises ValueError for even k, where 'same' pads one
    pixel less before than after and the two would differ by a shift.
    """
    return _fold(kernel, scale, np.ones)


def fold_bilinear(kernel: Any, scale: int | Pair) -> Any:
    """The same for bilinear enlargement: [k,k,Ci,Co] -> [k+L-1,k+L-1,Co,Ci] with L = 2s (even s) or 2s-1 taps.

    Exact except near the border, where interpolation repeats the outermost pixels and a transposed convolution
    continues with zeros: for s=2, k=3 the outer two rows and columns.
    """
    return _fold(kernel, scale, bilinear_taps)


def fold_fir(kernel: Any, scale: int | Pair) -> Any:
    """The same for zero insertion and `fir_taps`: [k,k,Ci,Co] -> [k+3s-3,k+3s-3,Co,Ci].

    Exact at every pixel of ganlab's `fir`, whose filtered image is not cropped before the convolution.
    """
    return _fold(kernel, scale, fir_taps)


def fold_pixel_shuffle(kernel: Any, scale: int | Pair) -> Any:
    """The transposed-convolution kernel of a sub-pixel convolution: [k,k,Ci,s*s*Co] -> [k*s,k*s,Co,Ci].

    Exact at every pixel for odd k; the numbers only move. Channels are phase-major, as in TensorFlow: channel
    (ry*s+rx)*Co+o becomes pixel (ry,rx) of output channel o. Shi et al. 2016, arXiv:1609.07009.
    """
    kernel, np_or_ops = _array(kernel)
    (sy, sx), (ky, kx, ci, channels) = as_pair("scale", scale), kernel.shape
    require_odd("kernel_size", (ky, kx), "which a transposed convolution reproduces only with a shift")
    if channels % (sy * sx):
        raise ValueError(f"kernel has {channels} output channels, not a multiple of {sy * sx}; use scale^2 times Co")
    phases = np_or_ops.reshape(np_or_ops.flip(kernel, (0, 1)), (ky, kx, ci, sy, sx, channels // (sy * sx)))
    return np_or_ops.reshape(
        np_or_ops.transpose(phases, (0, 3, 1, 4, 5, 2)), (ky * sy, kx * sx, channels // (sy * sx), ci)
    )


def _fold(kernel: Any, scale: int | Pair, taps: Any) -> Any:
    kernel, np_or_ops = _array(kernel)
    size = tuple(kernel.shape[:2])
    require_odd("kernel_size", size, "which a transposed convolution reproduces only with a shift")
    dtype = keras.backend.standardize_dtype(kernel.dtype)
    # A[r+k-1-t, t] = taps[r]: weight t, reversed, spread over the filter.
    down, across = (convolution_matrix(taps(s), k)[:, ::-1] for k, s in zip(size, as_pair("scale", scale), strict=True))
    # One matrix for both axes: a single product over [k*k, Ci*Co], which is cheap compared with any convolution.
    both = np_or_ops.array(np.kron(down, across), dtype)
    ci, co = kernel.shape[2:]
    flat = np_or_ops.reshape(np_or_ops.transpose(kernel, (0, 1, 3, 2)), (size[0] * size[1], co * ci))
    return np_or_ops.reshape(np_or_ops.matmul(both, flat), (down.shape[0], across.shape[0], co, ci))


def _array(kernel: Any) -> tuple[Any, Any]:
    """The kernel, and the module to compute with it."""
    if isinstance(kernel, np.ndarray | list | tuple):
        kernel, np_or_ops = np.asarray(kernel), np
        kernel = kernel if np.issubdtype(kernel.dtype, np.floating) else kernel.astype(np.float64)
    else:
        kernel, np_or_ops = ops.convert_to_tensor(kernel), ops
    if len(kernel.shape) != 4:
        raise ValueError(f"kernel of shape {tuple(kernel.shape)} does not have four axes; use [k,k,Ci,Co]")
    return kernel, np_or_ops
