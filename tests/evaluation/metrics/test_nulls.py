"""Over random splits of real digits each measure's mean is its null: the script that writes the table, asserted."""

import importlib.util

import pytest

from conftest import ROOT


@pytest.mark.slow
def test_means_over_splits_of_digits_are_within_three_standard_errors_of_the_nulls(monkeypatch):
    folder = ROOT / "experiments/metrics"
    monkeypatch.syspath_prepend(folder)
    spec = importlib.util.spec_from_file_location("nulls", folder / "nulls.py")
    assert spec is not None and spec.loader is not None
    nulls = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(nulls)
    for name, calibration in nulls.calibrate(60).items():
        assert abs(calibration.off()) < 3, name
