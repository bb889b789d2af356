import numpy as np
import pytest

from ganlab.evaluation.spectrum import lattice_fraction


def kernel_of(rows):
    return np.asarray(rows, float)[:, :, None, None]


def test_by_hand():
    # Phase sums 1, 1, 1, 1: all of it is mean. 1, 0, 0, 0: a quarter is. 1, -1, 1, -1: none is.
    assert lattice_fraction(kernel_of([[1, 1], [1, 1]]), 2) == 0
    assert lattice_fraction(kernel_of([[1]]), 2) == 0.75
    assert lattice_fraction(kernel_of([[1, -1], [1, -1]]), 2) == 1


def test_ones_of_size_three_overlap_unevenly():
    # Phase sums 4, 2, 2, 1: 1 - 81 / (4 * 25).
    assert lattice_fraction(np.ones((3, 3, 2, 5)), 2) == pytest.approx(0.19)
    assert lattice_fraction(np.ones((4, 4, 2, 5)), 2) == 0


def test_it_is_a_mean_over_pairs_of_channels_whatever_their_scale():
    kernel = np.zeros((2, 2, 1, 3))
    kernel[..., 0, 0], kernel[0, 0, 0, 1] = 1e6, 1e-6  # a flat pair, a single tap, a silent pair
    assert lattice_fraction(kernel, 2) == pytest.approx(0.75 / 3)


@pytest.mark.parametrize("stride", [2, 3, (2, 3), (1, 4), 1])
@pytest.mark.parametrize("size", [4, 5])
def test_independent_weights_share_it_evenly_among_phases(stride, size):
    phases = np.prod(np.broadcast_to(stride, 2))
    kernel = np.random.default_rng(0).normal(size=(size, size, 64, 64))
    assert lattice_fraction(kernel, stride) == pytest.approx(1 - 1 / phases, abs=0.02)


def test_it_does_not_hide_a_broken_kernel():
    assert np.isnan(lattice_fraction(kernel_of([[np.nan, 1]]), 2))
    with pytest.raises(ValueError, match="four axes"):
        lattice_fraction(np.ones((3, 3)), 2)
    assert lattice_fraction(np.ones((4, 4, 1, 1)), np.int64(2)) == 0
    for stride in (0, 2.0, True, (2,), (2, 2, 2)):
        with pytest.raises(ValueError, match=r"^stride=.* is no stride; use a whole number from 1, or a pair of them$"):
            lattice_fraction(np.ones((4, 4, 1, 1)), stride)
