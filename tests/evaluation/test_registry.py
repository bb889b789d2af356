"""One table of metrics: what protocols yield is in it, and what is in it is yielded; words, directions, one line more."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ganlab.config import Comparing
from ganlab.data.shapes import FACTORS, draw_factors, render
from ganlab.evaluation import protocols, registry
from ganlab.evaluation.factors import dependences, factor_nulls, grid_coverage, marginals, residuals
from ganlab.evaluation.features import Features, RealImages
from ganlab.evaluation.protocols import Counts, ExtraMeasures, Measures
from ganlab.evaluation.registry import METRICS, TABLE, Metric, base_name, metric_of, names_under

ROOT = Path(__file__).parents[2]
SIZE = (16, 16)


def numbers(pixels):
    """Features that need no network: sixteen values of a small part of each image."""
    return pixels.reshape(len(pixels), -1)[:, 5::17].astype(float)


def probabilities(pixels):
    scores = 1 + numbers(pixels)[:, :4]
    return scores / scores.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Every name that a protocol can give: both protocols, each kind of features, images whose factors are known."""
    random, table = np.random.default_rng(0), FACTORS[1]

    def images(seed, count):
        return render(draw_factors(seed, 0, count), SIZE, 1)

    def factors(pixels):
        drawn = draw_factors(5, 0, len(pixels))
        values = marginals(drawn, table) | dependences(drawn, table) | grid_coverage(drawn, table)
        return values | residuals(pixels, pixels)

    def see(name, classes):
        return Features(name, lambda pixels: [numbers(pixels)], probabilities if classes else None, {}, f"made {name}")

    labels = random.permutation(np.arange(60) % 4)
    real = RealImages(images(0, 60), images(1, 60), labels, None)
    patch = pytest.MonkeyPatch()
    patch.setenv("GANLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
    quick = Measures("quick", [see("pixels", False)], real, Counts(60, 3))
    features = [see("pca", False), see("classifier", True), see("inception", True)]
    extra = {"factors": ExtraMeasures(factors, {}, lambda count: factor_nulls(table, count))}
    full = Measures("full", features, real, Counts(60, 3), extra)
    fake = [images(2, 60)]
    patch.undo()
    return [*quick(fake).values], [*full(fake).values]


def test_every_metric_of_a_protocol_is_in_the_table_and_the_other_way_round(given):
    quick, full = given
    assert {base_name(name) for name in (*quick, *full)} == set(METRICS)
    assert {base_name(name) for name in quick} == {row.name for row in TABLE if row.quick}
    assert all(metric_of(name).words for name in (*quick, *full))


def test_what_can_be_an_endpoint_is_what_the_protocols_give(given):
    quick, full = given
    promised = names_under(["pca", "classifier", "inception"], True, SIZE)
    names = dict.fromkeys(name.rpartition("/")[0] + "/" + base_name(name) if "/factors/" in name else name
                          for name in (*quick, *full) if registry.compared(name))  # fmt: skip
    assert set(promised) == set(names)


def test_rows_of_one_name_are_compared_alike_and_every_function_is_there():
    for row in TABLE:
        first = METRICS[row.name]
        assert (row.direction, row.scale) == (first.direction, first.scale)
        assert (row.scale == "size") == (row.direction == "closer to 0")
        function, _ = row.load()
        assert callable(function)


@pytest.mark.parametrize("row", METRICS.values(), ids=METRICS)
def test_more_is_better_in_what_is_subtracted(row):
    one, other = row.outcome(2.0), row.outcome(3.0)
    assert (one > other) == row.is_better(2.0, 3.0) == (row.direction != "larger")
    assert not any(row.is_better(value, 2.0) for value in (2.0, math.inf, -math.inf, math.nan))
    back = row.orient(other - one)  # in the metric's own direction: 3 lies above 2
    assert back == pytest.approx(math.log(1.5) if row.scale == "ratio" else 1.0)


def test_a_metric_more_is_a_function_and_a_row(monkeypatch):
    row = Metric("largest_gap", "metrics:largest_gap", "smaller", "difference", "features", "made up", quick=True)
    monkeypatch.setattr(protocols.metrics, "largest_gap", lambda real, fake: float(fake.max() - real.max()),
                        raising=False)  # fmt: skip
    monkeypatch.setattr(registry, "TABLE", (*TABLE, row))
    monkeypatch.setattr(protocols, "TABLE", (*TABLE, row))
    monkeypatch.setitem(METRICS, row.name, row)
    real = RealImages(*(np.random.default_rng(0).integers(0, 256, (2, 40, 8, 8, 1), np.uint8)), None, None)
    measures = Measures("quick", [Features("made", lambda p: [numbers(p)], None, {}, "gap")], real, Counts(40, 3))
    assert "largest_gap" in measures([real.train[:40]]).values
    assert "full/pca/largest_gap" in names_under(["pca"], False)
    assert Comparing(quality="largest_gap", margins={"largest_gap": 0.1}).quality == "largest_gap"


def test_the_table_is_read_without_numpy():
    program = "import sys, ganlab.evaluation.registry; assert not {'numpy', 'scipy', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
