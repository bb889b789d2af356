"""What torch-fidelity and prdc say of two sets of features, in our convention: real first, every image used."""

import contextlib
import io

import numpy as np
import torch

# torch-fidelity imports torchvision for networks that nobody needs here. The wheel on PyPI wants CUDA's libraries;
# without them it still imports when its two operators are declared.
with contextlib.suppress(RuntimeError):
    _operators = torch.library.Library("torchvision", "FRAGMENT")
    for _name in ("nms", "qnms"):
        _operators.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from prdc import compute_prdc
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric


def frechet(real: np.ndarray, fake: np.ndarray) -> float:
    statistics = [fid_features_to_statistics(torch.from_numpy(features)) for features in (fake, real)]
    return fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID]


def kernel(real: np.ndarray, fake: np.ndarray) -> float:
    """One subset of all images: the unbiased estimate whose cross term keeps its diagonal, as ours."""
    whole = {"kid_subsets": 1, "kid_subset_size": len(real), "verbose": False}
    return kid_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), **whole)[KEY_METRIC_KID_MEAN]


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 5) -> tuple[float, float]:
    """Of torch-fidelity, whose first set is the generated one and whose border counts as inside."""
    found = prc_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), prc_neighborhood=k, verbose=False)
    return found[KEY_METRIC_PRECISION], found[KEY_METRIC_RECALL]


def overlaps(real: np.ndarray, fake: np.ndarray, k: int = 5) -> dict[str, float]:
    """Of prdc; its border counts as outside, as ours."""
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the counts
        return {name: float(value) for name, value in compute_prdc(real, fake, nearest_k=k).items()}
