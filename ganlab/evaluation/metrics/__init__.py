"""How far generated images are from real ones: distances, overlaps and tests of sets of feature vectors.

Every function takes features, one image a row, real first, and computes in float64; nothing is clipped. Pairs are taken
in blocks, so memory does not grow with their number. A value means something only together with its count of images and
its null: what equal distributions give.
"""

from ganlab.evaluation.metrics.classes import Modes, classifier_score, largest_class_error, modes
from ganlab.evaluation.metrics.copying import Copying, Nearest, copying, data_copying, nearest
from ganlab.evaluation.metrics.frechet import (
    ExtrapolatedFrechetDistance,
    frechet_distance,
    frechet_distance_extrapolated,
    frechet_distance_null,
)
from ganlab.evaluation.metrics.kernel import energy_distance, kernel_distance, kernel_distance_error
from ganlab.evaluation.metrics.manifold import (
    PrecisionRecallDensityCoverage,
    coverage_null,
    precision_recall_density_coverage,
)
from ganlab.evaluation.metrics.sliced import sliced_wasserstein, sliced_wasserstein_pyramid

__all__ = [
    "Copying",
    "ExtrapolatedFrechetDistance",
    "Modes",
    "Nearest",
    "PrecisionRecallDensityCoverage",
    "classifier_score",
    "copying",
    "coverage_null",
    "data_copying",
    "energy_distance",
    "frechet_distance",
    "frechet_distance_extrapolated",
    "frechet_distance_null",
    "kernel_distance",
    "kernel_distance_error",
    "largest_class_error",
    "modes",
    "nearest",
    "precision_recall_density_coverage",
    "sliced_wasserstein",
    "sliced_wasserstein_pyramid",
]
