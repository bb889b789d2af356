"""How likely counts are; `scipy.special` stands here for `scipy.stats`, whose import alone takes most of a second."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, xlog1py, xlogy


def binomial(hits: ArrayLike, count: int, share: float) -> NDArray[np.float64]:
    """The probability of so many hits among `count` independent trials that each hit with probability `share`.

    hits: whole numbers from 0 to count, of any shape, which is that of the answer.
    """
    hits = np.asarray(hits)
    ways = gammaln(count + 1) - gammaln(hits + 1) - gammaln(count - hits + 1)
    return np.exp(ways + xlogy(hits, share) + xlog1py(count - hits, -share))
