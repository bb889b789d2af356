import numpy as np
import pytest
import scipy.stats

from ganlab.evaluation.chance import binomial


@pytest.mark.parametrize("count", [1, 7, 2000, 100_000])
@pytest.mark.parametrize("share", [1e-4, 0.1, 0.5, 0.999, 1.0])
def test_binomial_probabilities_are_scipys(count, share):
    hits = np.arange(count + 1)
    found = binomial(hits, count, share)
    np.testing.assert_allclose(found, scipy.stats.binom.pmf(hits, count, share), rtol=1e-9, atol=1e-300)
    assert found.sum() == pytest.approx(1, abs=1e-9)
