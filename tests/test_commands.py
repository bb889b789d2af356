"""Every command in the README does what it says, or at least is understood: a page that lies is worse than none."""

import re
import shlex

import numpy as np
import pytest

from conftest import ROOT
from ganlab.compose import plan
from ganlab.evaluate import protocol
from ganlab.run.inputs import check_inputs

README = (ROOT / "README.md").read_text()


def commands(name):
    """Argument lists of `python -m ganlab.<name>` in the README, and in the YAML files of experiments."""
    texts = [README] + [path.read_text() for path in (ROOT / "conf" / "experiment").glob("*.yaml")]
    found = re.findall(rf"(?:python -m ganlab\.|ganlab-){name}\b([^\n`]*)", "\n".join(texts))
    return sorted({line.split("   ")[0].split("#")[0].strip() for line in found})


@pytest.fixture(scope="module")
def own_images(tmp_path_factory):
    """A folder with the files that the README speaks of."""
    folder, pixels = tmp_path_factory.mktemp("own"), np.zeros((80, 16, 16, 3), np.uint8)
    np.savez(folder / "my.npz", images=pixels, labels=np.arange(80) % 4)
    np.save(folder / "my.npy", pixels)
    return folder


@pytest.mark.parametrize("line", commands("train"))
def test_every_training_command_is_understood(line, own_images, monkeypatch):
    monkeypatch.chdir(own_images)
    arguments = shlex.split(line.replace('"', ""))
    if (
        {"--help", "--cfg"} & set(arguments)
        or "install=bash" in line
        or "training.stepz=3" in arguments
        or "resume=RUN" in arguments
    ):
        return  # their own tests run them
    flags = {"-m"} & set(arguments)
    wanted = plan([word for word in arguments if word not in flags and "<TAB>" not in word and word != "generator="],
                  multirun=bool(flags))  # fmt: skip
    assert wanted.cells
    for cell in wanted.cells:
        check_inputs(cell.config)


@pytest.mark.parametrize("line", commands("evaluate"))
def test_every_command_that_measures_is_understood(line, settings):
    _run, *overrides = shlex.split(line)
    assert protocol(settings().metrics, overrides).name == "full"


@pytest.mark.parametrize(
    "name", ["train", "compare", "sample", "evaluate", "inspect", "export", "doctor", "status", "dashboard"]
)
def test_every_command_is_in_the_readme(name):
    assert commands(name), f"the README does not mention ganlab.{name}"


def test_the_table_of_arms_is_complete():
    for path in (ROOT / "conf" / "generator").glob("*.yaml"):
        assert f"| `{path.stem}` |" in README, path.stem


def test_every_picture_and_link_of_the_pages_is_there():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "experiments").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page}: {target}"


def test_no_page_or_source_names_a_path_of_one_machine():
    for path in [*ROOT.glob("*.md"), *(ROOT / "ganlab").rglob("*.py"), *(ROOT / "conf").rglob("*.yaml")]:
        assert not re.search(r"/(work|root|home)/[A-Za-z]", path.read_text()), path


WRONG = {
    ("train", "resume=nowhere"): "resume=nowhere is no folder",
    ("train", "-sc"): "Expecting one subcommand",
    ("train", "-cd", "nowhere", "seed=0"): "-cd nowhere is no folder",
    ("sample", "nowhere", "--count", "many"): "argument --count: invalid int value: 'many'",
    ("sample", "nowhere"): "nowhere is no folder",
    ("export", "nowhere", "--fromat", "onnx"): "unrecognized arguments: --fromat onnx",
    ("export", "nowhere"): "nowhere is no folder",
    ("inspect", "run=nowhere"): "run=nowhere is no folder",
    ("evaluate", "nowhere"): "nowhere is no folder",
    ("evaluate", "nowhere", "seed=3"): "nowhere is no folder",
    ("compare", "nowhere"): "nowhere does not exist",
    ("compare",): "required: DIR",
    ("status", "nowhere"): "nowhere does not exist",
    ("status",): "required: DIR",
}


@pytest.mark.parametrize("line", WRONG, ids=" ".join)
def test_a_wrong_command_line_is_one_line(line, command):
    done = command(*line)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(WRONG[line]) or "argument" in done.stderr
    assert WRONG[line] in done.stderr
    assert len(done.stderr.splitlines()) == 1
