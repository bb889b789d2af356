"""What upsampling leaves in frequency: how much of a kernel's response to a flat image is a lattice."""

import numpy as np


def lattice_fraction(kernel: np.ndarray, stride: int | tuple[int, int]) -> float:
    """How much of the pattern that a transposed convolution draws on a flat image is checkerboard: 0 ... 1.

    kernel: [k,k,Co,Ci], out before in; kernels of other operators in their transposed form. stride: an int or a pair.

    A flat image comes out as stride x stride values, one for each phase, the sums of the kernel's taps in that phase.
    The lattice fraction is the share of their energy that is not their mean's, averaged over pairs of channels.
    Independent weights give 1 - 1/stride^2 on average, whatever k; kernels whose phases have equal sums give 0, and so
    does a pair of channels without any energy.
    """
    kernel = np.asarray(kernel, np.float64)
    if kernel.ndim != 4:
        raise ValueError(f"kernel of shape {kernel.shape} has no four axes; use [k,k,Co,Ci]")
    down, across = (stride, stride) if isinstance(stride, int) else stride
    phases = np.stack([kernel[y::down, x::across].sum(axis=(0, 1)) for y in range(down) for x in range(across)])
    energy = np.sum(phases**2, axis=0)
    lattice = np.sum((phases - phases.mean(axis=0)) ** 2, axis=0)
    return float(np.mean(np.divide(lattice, energy, out=np.zeros_like(energy), where=energy != 0)))
