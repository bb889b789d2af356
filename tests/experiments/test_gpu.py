"""The script that measures on a GPU runs on a CPU too, with networks too small for figures."""

import json
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT


@pytest.mark.slow
def test_checks_speed_and_sweep_run_and_are_written(tmp_path):
    folder = tmp_path / "experiments" / "speed"
    shutil.copytree(ROOT / "experiments" / "speed", folder)
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    (folder / "gpu.json").unlink()
    done = subprocess.run(
        [sys.executable, folder / "gpu.py", "--tiny", "--write"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    kept = json.loads((folder / "gpu.json").read_text())
    assert kept.keys() == {"speed", "sweep", "checks"}
    checks = [row for row in kept["checks"]["rows"] if "check" in row]
    assert len(checks) == 2 + 4 + 2 * 1
    assert all(row["right"] for row in checks)
    assert [row["at_once"] for row in kept["sweep"]["rows"]] == [2]
    assert all(row["step_ms"] > 0 for row in kept["speed"]["rows"])
    page = (folder / "README.md").read_text()
    assert page.count(checks[0]["check"]) == 1
