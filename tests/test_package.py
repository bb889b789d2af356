"""The package as people get it: completion, a wheel without the sources, a model file that opens anywhere."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import ganlab
from conftest import ROOT

SCRIPT = Path(sys.executable).parent / "ganlab-train"


def complete(line):
    environment = os.environ | {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    done = subprocess.run(
        [SCRIPT, "-sc", "query=bash"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


@pytest.mark.slow
def test_tab_completion_offers_groups_and_options():
    assert {"generator=", "generator."} <= set(complete("ganlab-train gen"))
    offered = complete("ganlab-train generator=")
    assert {"generator=upsample", "generator=transpose"} <= set(offered)
    assert "training.steps=" in complete("ganlab-train training.st")


@pytest.mark.slow
def test_hydra_flags_do_what_hydra_users_expect(command):
    shown = command("train", "--cfg", "job", "seed=7")
    assert shown.returncode == 0
    assert "seed: 7" in shown.stdout
    assert "generator" in command("train", "--info", "defaults").stdout


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what the format asks for
    assert (citation["cff-version"], citation["version"]) == ("1.2.0", ganlab.__version__)


@pytest.mark.slow
def test_a_wheel_works_without_the_sources_from_another_folder(tmp_path):
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "dist", ROOT], check=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"ganlab/conf/config.yaml", "ganlab/py.typed"} <= set(names)
    assert {path.name for path in (ROOT / "ganlab/report/templates").iterdir()} <= {
        Path(name).name for name in names if name.startswith("ganlab/report/templates/")
    }
    # alone in a folder that comes first; what it needs is here already, as pyproject.toml had it installed
    home = tmp_path / "site"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "-t", home, wheel], check=True)
    environment = os.environ | {"PYTHONPATH": str(home)}
    found = subprocess.run([sys.executable, "-c", "import ganlab; print(ganlab.__file__)"], env=environment,
                           cwd=tmp_path, capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert Path(found).is_relative_to(home)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for line in ([home / "bin" / "ganlab-train"], [sys.executable, "-m", "ganlab.train"]):
        done = subprocess.run([*line, "experiment=debug"], cwd=elsewhere, env=environment)
        assert done.returncode == 0
    assert len(list(elsewhere.glob("outputs/runs/*/*/result.json"))) == 2
