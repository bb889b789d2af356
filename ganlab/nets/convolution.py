"""Convolutions, computed by a library's kernel or as a product of matrices.

On a GPU a library's convolution of small maps takes longer to start than to compute, cannot be part of a CUDA graph,
and is slow with as few channels as an image has. As a product it is one matrix multiplication and one kernel, generated
by XLA, that gathers or adds its patches. The function is the same up to rounding; so are its gradients.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from math import prod
from typing import Any

import keras

from ganlab.config import Pair

ops: Any = keras.ops  # type checkers infer the wrong types from its backends

FEW_CHANNELS = 4  # as images have
LARGEST_PRODUCT = 2**22
"""Elements of a matrix of patches up to which it is worth making: measured in experiments/speed/gpu.py."""
_products: ContextVar[bool] = ContextVar("products", default=False)


@contextlib.contextmanager
def products() -> Iterator[None]:
    """While inside, convolutions are computed as products, and long sums in two stages, where that suits a GPU."""
    token = _products.set(True)
    try:
        yield
    finally:
        _products.reset(token)


def traced_for_gpu() -> bool:
    """Whether this is inside `products`."""
    return _products.get()


def convolve(maps: Any, kernel: Any, stride: int | Pair = 1, padding: str = "same") -> Any:
    """[B,H,W,Ci] with a kernel [k,k,Ci,Co] of the same type -> [B,H',W',Co]; padding: `same` or `valid`."""
    strides = (stride, stride) if isinstance(stride, int) else stride
    axes = [
        _places_along(n, k, s, padding) if n else (0, 0, 0)
        for n, k, s in zip(maps.shape[1:3], kernel.shape[:2], strides, strict=True)
    ]
    if _is_worth_it(maps, kernel, prod(steps for steps, _, _ in axes)):
        return _as_product(maps, kernel, strides, axes)
    return ops.conv(maps, kernel, strides, padding, "channels_last")


def convolve_transposed(maps: Any, kernel: Any, stride: Pair) -> Any:
    """[B,H,W,Ci] with a kernel [k,k,Co,Ci] of the same type, `same` padding -> [B,sH,sW,Co]."""
    if _is_worth_it(maps, kernel, prod(n or 0 for n in maps.shape[1:3])) and all(
        k >= s for k, s in zip(kernel.shape[:2], stride, strict=True)
    ):
        return _as_transposed_product(maps, kernel, stride)
    if stride[0] == 1 < stride[1] and maps.shape[2] == 1 and kernel.shape[2] == 1:
        # oneDNN's gradient of it reads out of bounds, but not with rows and columns exchanged.
        return _exchanged(convolve_transposed(_exchanged(maps), ops.transpose(kernel, (1, 0, 2, 3)), stride[::-1]))
    return ops.conv_transpose(maps, kernel, stride, "same", data_format="channels_last")


def _exchanged(maps: Any) -> Any:
    return ops.transpose(maps, (0, 2, 1, 3))


def _is_worth_it(maps: Any, kernel: Any, places: int) -> bool:
    """Whether to multiply matrices with `places` rows per image; a kernel's channels are its last two axes."""
    *size, first_channels, last_channels = kernel.shape
    if not _products.get() or maps.shape[0] is None or not places:
        return False
    return (
        min(first_channels, last_channels) <= FEW_CHANNELS
        or maps.shape[0] * places * prod(size) * first_channels <= LARGEST_PRODUCT
    )


def _places_along(size: int, k: int, stride: int, padding: str) -> tuple[int, int, int]:
    """Along one axis: how many places a kernel takes; the zeros before and after `size` pixels, below 0: cropped."""
    places = -(-size // stride) if padding == "same" else (size - k) // stride + 1
    before = max((places - 1) * stride + k - size, 0) // 2 if padding == "same" else 0
    blocks = places - 1 + -(-k // stride)  # of `stride` pixels
    return places, before, blocks * stride - size - before


def _as_product(maps: Any, kernel: Any, stride: Pair, axes: list[tuple[int, int, int]]) -> Any:
    """Patches [B*H'*W', k*k*Ci] times the kernel as a matrix."""
    ky, kx, ci, co = kernel.shape
    (high, top, bottom), (wide, left, right) = axes
    maps = maps[:, : maps.shape[1] + min(bottom, 0), : maps.shape[2] + min(right, 0)]
    maps = ops.pad(maps, ((0, 0), (top, max(bottom, 0)), (left, max(right, 0)), (0, 0)))
    rows, columns = maps.shape[1] // stride[0], maps.shape[2] // stride[1]
    blocks = ops.reshape(maps, (-1, rows, stride[0], columns, stride[1], ci))
    (sy, sx), patches = stride, []
    for i in range(ky):
        for j in range(kx):
            patches.append(blocks[:, i // sy : i // sy + high, i % sy, j // sx : j // sx + wide, j % sx])
    # Not concatenated: of more than 16 parts XLA cannot compile the second derivative in a lazy penalty's branch.
    matrix = ops.reshape(ops.stack(patches, axis=-2), (-1, ky * kx * ci))
    return ops.reshape(ops.matmul(matrix, ops.reshape(kernel, (-1, co))), (-1, high, wide, co))


def _as_transposed_product(maps: Any, kernel: Any, stride: Pair) -> Any:
    """What each pixel adds to its neighbours, [B*H*W, k*k*Co], summed in float32."""
    ky, kx, co, ci = kernel.shape
    (_, height, width, _), (sy, sx) = maps.shape, stride
    down, across = -(-ky // sy), -(-kx // sx)  # blocks of pixels that a kernel covers
    kernel = ops.pad(kernel, ((0, down * sy - ky), (0, across * sx - kx), (0, 0), (0, 0)))
    matrix = ops.matmul(ops.reshape(maps, (-1, ci)), ops.transpose(ops.reshape(kernel, (-1, ci))))
    parts = ops.cast(ops.reshape(matrix, (-1, height, width, down, sy, across, sx, co)), "float32")
    total = 0
    for i in range(down):
        for j in range(across):
            around = ((0, 0), (i, down - 1 - i), (j, across - 1 - j), (0, 0), (0, 0), (0, 0))
            total = total + ops.pad(parts[:, :, :, i, :, j], around)
    rows, columns = (height + down - 1) * sy, (width + across - 1) * sx
    images = ops.reshape(ops.transpose(total, (0, 1, 3, 2, 4, 5)), (-1, rows, columns, co))
    top, left = (ky - sy) // 2, (kx - sx) // 2
    return ops.cast(images[:, top : top + height * sy, left : left + width * sx], maps.dtype)
