"""What measures look like: real images beside generated ones, drawn as pictures uint8 [H,W,3], by name."""

import numpy as np
from scipy.spatial.distance import cdist

from ganlab.evaluation.artifacts import phase_moments
from ganlab.evaluation.spectrum import Spectrum, radial_profile, strides
from ganlab.run import drawings as spectra

_SAMPLES, _NEAREST = 8, 5


def draw(real: Spectrum | None, fake: Spectrum | None, train: np.ndarray, samples: np.ndarray) -> dict[str, np.ndarray]:
    """`neighbours`: some samples with the training images nearest to them; where images have a spectrum also
    `spectrum`: its profile and both axes, and `means`: mean images and how strong detail is at each phase.

    train, samples: pixels uint8 [N,H,W,C].
    """
    drawn = {"neighbours": _neighbours(train, samples[:_SAMPLES])}
    if real is not None and fake is not None:
        marked = [stride for stride in strides(*real.size) if real.side >= 4 * stride]  # more would hide what they mark
        drawn["spectrum"] = spectra.draw_spectrum(_side(real), _side(fake), marked)
        phases = {s: (phase_moments(real, s), phase_moments(fake, s)) for s in (2, 4) if _has_phases(real.size, s)}
        drawn["means"] = spectra.draw_means(real.mean, fake.mean, phases)
    return drawn


def sketch(real: Spectrum, fake: Spectrum) -> np.ndarray:
    """Both spectra beside each other, in a millisecond."""
    return spectra.paint_powers(real.power, fake.power)


def _side(spectrum: Spectrum) -> spectra.Side:
    return spectra.Side(spectrum.count, spectrum.power, radial_profile(spectrum.power), spectrum.band)


def _has_phases(size: tuple[int, int], stride: int) -> bool:
    return all(side % stride == 0 and side >= 3 * stride for side in size)


def _neighbours(train: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Nearest by the root mean squared difference of pixels, 0 ... 255."""
    shown = samples.reshape(len(samples), -1).astype(np.float64)
    count = min(_NEAREST, len(train))
    distances = np.full((len(samples), count), np.inf)
    places = np.zeros((len(samples), count), np.intp)
    for start in range(0, len(train), 10_000):  # 60 MB of 28x28 images at a time
        block = train[start : start + 10_000]
        far = np.hstack([distances, cdist(shown, block.reshape(len(block), -1))])
        where = np.hstack([places, np.tile(np.arange(start, start + len(block)), (len(samples), 1))])
        order = np.argsort(far, axis=1, kind="stable")[:, :count]
        distances, places = np.take_along_axis(far, order, 1), np.take_along_axis(where, order, 1)
    return spectra.draw_neighbours(samples, train[places], distances / np.sqrt(shown.shape[1]))
