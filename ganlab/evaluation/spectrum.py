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


def power_spectrum(images: np.ndarray) -> np.ndarray:
    """How much an image varies at each frequency: [N,H,W,C] -> [H,W], |DFT|^2 averaged over the images.

    Of the luminance (one channel: itself; three: .299, .587, .114), less each image's own mean. No window and no
    factor: white noise of variance v gives H*W*v everywhere but at [0,0], which is 0. Frequencies stand in the order
    of `numpy.fft.fftfreq`.

    Raises ValueError unless the images are square, of even side, of one or three channels, finite, and at least one.
    """
    images = np.asarray(images, np.float64)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"images of shape {images.shape} cannot be used; give [N,H,W,C], at least one, C = 1 or 3")
    _square(images.shape[1:3], "images")
    _finite(images, "images")
    luminance = images[..., 0] if images.shape[-1] == 1 else images @ np.array([0.299, 0.587, 0.114])
    luminance = luminance - luminance.mean(axis=(1, 2), keepdims=True)
    return np.mean(np.abs(np.fft.fft2(luminance)) ** 2, axis=0)


def radial_profile(power: np.ndarray) -> np.ndarray:
    """A spectrum by distance from the mean alone: [H,W] -> [H/2+1], ring r = 0 ... H/2, the last one Nyquist's.

    Each value is the mean over the frequencies (u,v) with rint(sqrt(u^2+v^2)) = r; the corners beyond H/2 are left out.
    Raises ValueError unless the spectrum is square, of even side, and finite.
    """
    power = np.asarray(power, np.float64)
    if power.ndim != 2 or 0 in power.shape:
        raise ValueError(f"power of shape {power.shape} cannot be used; give [H,W]")
    _square(power.shape, "power")
    _finite(power, "power")
    side = len(power)
    ring = rings(side)
    inside = ring <= side // 2
    return np.bincount(ring[inside], power[inside]) / np.bincount(ring[inside])


def rings(side: int) -> np.ndarray:
    """Which ring each frequency of a side x side spectrum lies in: whole numbers [side,side]."""
    along = np.fft.fftfreq(side, 1 / side)
    return np.rint(np.hypot(along[:, None], along[None, :])).astype(int)


def _square(size: tuple[int, ...], what: str) -> None:
    if size[0] != size[1] or size[0] % 2:
        raise ValueError(f"{what} of size {size[0]}x{size[1]} have no rings; use a square of even side")


def _finite(values: np.ndarray, what: str) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"{what} hold {np.count_nonzero(~np.isfinite(values))} numbers that are not finite")
