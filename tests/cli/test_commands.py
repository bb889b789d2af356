"""Every command in the README and the docs does what it says, or at least is understood: a page that lies is worse than none."""

import importlib
import io
import re
import shlex
import shutil
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import yaml
from PIL import Image

from conftest import ROOT
from ganlab.cli.hydra import plan
from ganlab.config.plugins import take_plugins
from ganlab.errors import ConfigError
from ganlab.evaluate import protocol
from ganlab.inspect import Arm
from ganlab.inspect import _read as read_line
from ganlab.run.inputs import check_inputs

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = ["train", "compare", "sample", "evaluate", "inspect", "export", "doctor", "status", "dashboard", "tune"]


def commands(name):
    """Argument lists of `python -m ganlab.<name>` in the pages, and in the YAML files of experiments."""
    texts = [page.read_text() for page in [*PAGES, *(ROOT / "conf" / "experiment").glob("*.yaml")]]
    found = re.findall(rf"(?:python -m ganlab\.|ganlab-){name}(?![\w.])([^\n`]*)", "\n".join(texts))
    return sorted({re.split(r"\s{2,}|#|\.$", line)[0].strip() for line in found})


def words_of(line):
    """The words of a command, after its plugin, which pages also name in the environment."""
    words = shlex.split(line.replace('"', ""))
    return take_plugins([*words, "--plugin", str(ROOT / "examples" / "bicubic.py")] if "bicubic" in line else words)


@pytest.fixture(scope="module")
def own_images(tmp_path_factory):
    """A folder with the files that the pages speak of."""
    folder, pixels = tmp_path_factory.mktemp("own"), np.zeros((400, 32, 32, 3), np.uint8)
    np.savez(folder / "my.npz", images=pixels, labels=np.arange(400) % 4)
    np.save(folder / "my.npy", pixels)
    digits = {f"{name}_{part}": np.zeros((200, *size), np.uint8) for part in ("train", "test") for name, size in
              (("x", (28, 28)), ("y", ()))}  # fmt: skip
    np.savez(folder / "mnist.npz", **digits)
    for number in range(250):  # a fifth is held out: the 50 that metrics=full needs
        path = folder / "pictures" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((32, 32, 3), number, np.uint8)).save(path)
    shutil.make_archive(str(folder / "cifar10"), "zip", folder / "pictures")
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name in [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]:
            records = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            records.size = 60 * 3073
            archive.addfile(records, io.BytesIO(bytes(records.size)))
    return folder


@pytest.mark.parametrize("line", [
    pytest.param(line, marks=pytest.mark.slow) if "experiment=tuning" in line else line  # 70 cells
    for line in commands("train")
])  # fmt: skip
def test_every_training_command_is_understood(line, own_images, monkeypatch, plugins_forgotten):
    arguments = words_of(line)
    if {"--help", "--cfg", "training.stepz=3"} & set(arguments) or "install=bash" in line:
        return  # their own tests run them
    monkeypatch.chdir(own_images)
    if arguments and arguments[0].startswith("resume="):  # their own tests run them
        assert {word.partition("=")[0] for word in arguments} <= {"resume", "training.steps"}
        return
    if any(word.startswith("init_from=") for word in arguments):  # without the run all is in order but for that
        with pytest.raises(ConfigError, match=r"^init_from=RUN is not a directory"):
            plan(arguments, multirun=False)
        return
    if {"dataset=tfds", "dataset=huggingface"} & set(arguments):  # their own tests run them
        for library in ("tensorflow_datasets", "datasets"):  # not installed; one that is would download
            monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(ConfigError, match=r"needs (tensorflow-datasets|datasets); pip install"):
            plan(arguments, multirun=False)
        return
    flags = {"-m", "--dry-run"} & set(arguments)
    wanted = plan([word for word in arguments if word not in flags and "<TAB>" not in word and word != "generator="],
                  multirun="-m" in flags)  # fmt: skip
    assert wanted.cells
    for cell in wanted.cells:
        check_inputs(cell.config)


@pytest.mark.parametrize("line", commands("evaluate"))
def test_every_command_that_measures_is_understood(line, settings, plugins_forgotten):
    _run, *overrides = [word for word in words_of(line) if word not in ("--record", "--step", "best")] or ["RUN"]
    assert protocol(settings().metrics, overrides).name == "full"


@pytest.mark.parametrize("line", [*commands("inspect"), *commands("doctor")])
def test_every_command_that_looks_is_understood(line, own_images, monkeypatch, plugins_forgotten):
    words = words_of(line)
    if "--plugin" not in line:
        monkeypatch.chdir(own_images)
    asked = read_line(words)
    for arm in asked.compare or [Arm("", [])]:
        assert plan([*asked.overrides, *arm.overrides], multirun=False).cells


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (name, line)
        for name in ("compare", "tune", "sample", "export", "status", "dashboard")
        for line in commands(name)
        if line
    ],
)
def test_every_command_about_runs_is_understood(name, line, tmp_path, monkeypatch, capsys, plugins_forgotten):
    """Without the run all is in order but for that."""
    arguments = words_of(line)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"ganlab.{name}", *arguments])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"ganlab.{name}").main()
    said = capsys.readouterr().err
    assert (ended.value.code, said.split()[0]) == (2, arguments[0]), said


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_readme_has_help(name, command):
    assert f"python -m ganlab.{name}" in README, f"the README does not mention ganlab.{name}"
    assert f"\n## {name}\n" in (ROOT / "docs" / "commands.md").read_text()
    done = command(name, "--help")
    assert done.returncode == 0, done.stderr
    assert name in done.stdout
    text = re.sub(r"-\n +", "-", done.stdout)
    for path in re.findall(r"\b(?:experiments|examples)/[\w./-]+\w", text):
        assert (ROOT / path).exists(), f"an example of --help names {path}"
    assert set(re.findall(r"outputs/quick/\w+-seed(\d+)", text)) <= {str(seed) for seed in range(1, 7)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_can_be_pasted_into_a_shell(page):
    """Parentheses are a mistake in every shell; brackets and stars are patterns, which zsh refuses."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    done = subprocess.run(["bash", "-n"], input="\n".join(blocks), text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    for line in "\n".join(blocks).splitlines():
        bare = re.sub(r"'[^']*'|\"[^\"]*\"|#.*", "", line)
        assert not set("[]*?()") & set(bare), f"{page.name}: {line}"


def test_the_readme_takes_three_minutes():
    assert len(README.split()) <= 1000  # with code and tables


def test_the_pages_show_one_verdict():
    pages = (README, (ROOT / "docs" / "tutorial.md").read_text())
    first, second = (re.findall(r"<!-- comparison -->.*?<!-- end -->", page, re.DOTALL) for page in pages)
    assert first == second and len(first) == 1


def test_the_table_of_arms_is_what_the_settings_say():
    page = (ROOT / "docs" / "operators.md").read_text()
    for path in (ROOT / "conf" / "generator").glob("*.yaml"):
        text = path.read_text()
        operator = yaml.safe_load(text)["upsampling"]
        reason = text.splitlines()[0].lstrip("# ")
        assert f"| `{path.stem}` | {reason} ({operator['name']}, kernel {operator['kernel_size']}) |" in page, path.stem


def test_every_picture_and_link_of_the_pages_is_there():
    for page in [*PAGES, *(ROOT / "experiments").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)|(?:src|srcset)=\"([^\"]+)\"", page.read_text()):
            link = "".join(target)
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page}: {link}"


def test_every_path_that_the_pages_name_is_there():
    for page in PAGES:
        for path in re.findall(r"`((?:ganlab|conf|docs|experiments|examples|tests)/[^\s`*<]*)`", page.read_text()):
            assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_the_page_about_operators_shows_the_example():
    page = (ROOT / "docs" / "your-own-operator.md").read_text()
    assert "literalinclude} ../examples/bicubic.py" in page


def test_the_site_lists_every_page_of_the_docs():
    index = (ROOT / "docs" / "index.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.stem == "index" or f"\n{page.stem}\n" in index, page.stem


def test_no_page_or_source_names_a_path_of_one_machine():
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "ganlab").rglob("*.py"),
        *(ROOT / "conf").rglob("*.yaml"),
    ]:
        assert not re.search(r"/(work|root|home)/[A-Za-z]", path.read_text()), path
