"""What an operator leaves in the maps that it makes: cheap numbers for the way, no judgement of quality."""

import numpy as np


def phase_variance(maps: np.ndarray, stride: tuple[int, int]) -> float:
    """How unevenly an enlarging layer serves the positions between its inputs; 0 where all are alike.

    maps: what the layer gave, [N,H,W,C]; stride: by how much it enlarged, (vertical, horizontal). The maps' second
    moment about each channel's mean is taken for each of the sv*sh phases, without the outer stride of pixels where
    there is enough inside; the result is the variance of these moments over phases by their squared mean. A
    transposed convolution with kernel 3 and stride 2 starts near 0.23 (moments as 4:2:2:1). Raises ValueError for
    other shapes and for values that are not finite.
    """
    maps = np.asarray(maps, np.float64)
    vertical, horizontal = stride
    if maps.ndim != 4 or 0 in maps.shape or maps.shape[1] % vertical or maps.shape[2] % horizontal:
        raise ValueError(f"maps has shape {list(maps.shape)}; it must be [N,H,W,C] with sides that {stride} divides")
    if not np.isfinite(maps).all():
        raise ValueError("maps has values that are not finite")
    if maps.shape[1] > 2 * vertical and maps.shape[2] > 2 * horizontal:
        maps = maps[:, vertical:-vertical, horizontal:-horizontal]
    squares = (maps - maps.mean(axis=(0, 1, 2))) ** 2
    count, height, width, channels = squares.shape
    phases = squares.reshape(count, height // vertical, vertical, width // horizontal, horizontal, channels)
    moments = phases.mean(axis=(0, 1, 3, 5))
    mean = moments.mean()
    return float(moments.var() / mean**2) if mean > 0 else 0.0
