"""The script that compiles for a GPU without one: everything compiles, and no long sum is left to a few blocks."""

import re
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")
@pytest.mark.skipif(sys.platform != "linux", reason="only TensorFlow's wheels for Linux compile for a GPU")
def test_no_batch_normalisation_of_more_than_1024_values_is_summed_in_a_few_blocks():
    done = subprocess.run(
        [sys.executable, ROOT / "experiments" / "speed" / "kernels.py", "16", "64",],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    if "install CUDA's toolkit" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(r"^\d+ take sums of ", done.stdout, re.MULTILINE)
    few = [line for line in done.stdout.splitlines() if "BatchNorm" in line]
    assert [line for line in few if int(re.findall(r"f32\[(\d+)", line)[0]) > 1024] == []
