"""The site: it builds, its pages ask nothing of a network, and what is broken fails the build."""

import re
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT

BROKEN = {
    "a page": "[x](nowhere.md)",
    "a file of the repository": "[x](../conf/nowhere.yaml)",
    "an anchor of another page": "[x](limits.md#nowhere)",
    "an anchor of this page": "[x](#nowhere)",
    "a picture": "![x](../experiments/nowhere.png)",
    "a picture of two themes": '<picture><source media="(prefers-color-scheme: dark)" srcset="nowhere-dark.png">'
    '<img alt="x" src="nowhere-light.png"></picture>',
}


def build(source, out, *more):
    line = [
        sys.executable,
        "-m",
        "sphinx",
        "-b",
        "html",
        "-c",
        "docs",
        "-E",
        "-q",
        "-W",
        "--keep-going",
        *more,
        ".",
        out,
    ]
    return subprocess.run(line, cwd=source, capture_output=True, text=True)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """What the site is made of, in a folder of its own."""
    pytest.importorskip("sphinx")
    source = tmp_path_factory.mktemp("source")
    for name in ("docs", "examples", "experiments", "conf", "ganlab"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff"):
        shutil.copy(ROOT / name, source)
    return source


@pytest.mark.slow
def test_the_site_builds_and_asks_nothing_of_a_network(copy, tmp_path):
    done = build(copy, tmp_path)
    assert done.returncode == 0, done.stderr
    for page in tmp_path.rglob("*.html"):
        text = page.read_text()
        asked = re.findall(r"<(?:script|img|source|iframe|link)[^>]*(?:src|srcset|href)=\"(?:https?:)?//[^\"]*\"", text)
        assert asked == [], page
        for target in re.findall(r"<img[^>]*\bsrc=\"([^\"]+)\"", text):
            assert target.startswith("data:") or (page.parent / target).exists(), f"{page}: {target}"
    for sheet in tmp_path.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text()), sheet
    reference = (tmp_path / "docs" / "reference.html").read_text()
    surface = {
        "ganlab.nets.upsampling": ["nearest", "bilinear", "transpose", "pixel_shuffle", "fir", "carafe", "fold_nearest"],
        "ganlab.evaluation.metrics": ["frechet_distance", "frechet_distance_null", "kernel_distance", "classifier_score",
                                      "precision_recall_density_coverage", "sliced_wasserstein", "data_copying"],
        "ganlab.evaluation.spectrum": ["power_spectrum", "radial_profile", "spectral_distance", "checkerboard_index",
                                       "lattice_fraction"],
    }  # fmt: skip
    for module, names in surface.items():
        for name in names:
            assert f'id="{module}.{name}"' in reference, name
    for name in ("paired_comparison", "holm"):
        assert re.search(rf'id="ganlab\.[\w.]*statistics\.{name}"', reference), name
    assert 'url=docs/index.html"' in (tmp_path / "index.html").read_text().replace("; ", "")


@pytest.mark.slow
def test_what_is_broken_fails_the_build(copy, tmp_path):
    page = copy / "docs" / "limits.md"
    before = page.read_text()
    page.write_text(before + "".join(f"\n\n{text}\n" for text in BROKEN.values()))
    try:
        done = build(copy, tmp_path, "-D", "include_patterns=docs/limits.md,docs/index.md")  # the others take minutes
    finally:
        page.write_text(before)
    lines = {number: line for line in done.stderr.splitlines() for number in re.findall(r"limits\.md:(\d+)", line)}
    assert done.returncode != 0
    first = before.count("\n") + 3
    for place, what in enumerate(BROKEN):
        assert str(first + 3 * place) in lines or any(
            str(number) in lines for number in range(first + 3 * place - 1, first + 3 * place + 2)
        ), f"{what}: {done.stderr}"
