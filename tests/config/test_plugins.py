"""Plugins: the examples join every command from another folder; what cannot be used is one line; runs name theirs."""

import json
import os
import shutil
import sys

import pytest
import tensorflow as tf

from conftest import ROOT, forget
from ganlab.cli.help import help_page
from ganlab.cli.hydra import plan
from ganlab.config import parse, plugins
from ganlab.config.plugins import VARIABLE, take_plugins
from ganlab.errors import ConfigError
from ganlab.runs.folder import read_config
from small_runs import TINY

EXAMPLES = ROOT / "examples"


@pytest.fixture
def plugged(monkeypatch, plugins_forgotten):
    """`plugged("bicubic.py")`: as after `--plugin`; what was loaded goes again."""

    def use(*names):
        monkeypatch.setenv(VARIABLE, "")
        take_plugins([part for name in names for part in ("--plugin", str(EXAMPLES / name))])

    return use


def test_settings_name_the_plugins_that_they_use_and_no_others(plugged):
    plugged("bicubic.py", "two_moons.py", "logistic_objective.py")
    (cell,) = plan(["generator=bicubic", "objective=logistic"], multirun=False).cells
    assert [plugin.name for plugin in cell.config.plugins] == ["bicubic.py", "logistic_objective.py"]
    (cell,) = plan([], multirun=False).cells
    assert cell.config.plugins == ()


def test_help_says_nothing_of_plugins_that_nobody_can_type(plugged):
    plugged("bicubic.py")
    assert "plugins" not in help_page(["generator=bicubic"]).partition("\nChoices")[0]


def test_settings_of_a_plugin_are_checked_as_all_others(plugged):
    plugged("bicubic.py")
    with pytest.raises(ConfigError, match=r"generator.upsampling.kernel_size=0 is out of range"):
        plan(["generator=bicubic", "generator.upsampling.kernel_size=0"], multirun=False)
    with pytest.raises(ConfigError, match=r"taps is not a setting of bicubic"):
        plan(["generator=bicubic", "+generator.upsampling.taps=3"], multirun=False)


def test_a_run_without_its_plugin_or_with_another_is_one_line(plugged, tmp_path, monkeypatch):
    plugged("bicubic.py")
    tree = plan(["generator=bicubic"], multirun=False).cells[0].config.model_dump(mode="json")
    (tmp_path / "config.json").write_text(json.dumps(tree))
    assert read_config(tmp_path).generator.upsampling.name == "bicubic"
    tree["plugins"][0]["digest"] = "0" * 64
    with pytest.raises(ConfigError, match=r"the plugin bicubic.py has changed since \(its digest was 000000000000"):
        parse(tree)
    forget(set(plugins._loaded))
    monkeypatch.setenv(VARIABLE, "")
    with pytest.raises(ConfigError, match=r"need the plugin bicubic.py; add --plugin FILE, or set GANLAB_PLUGINS"):
        read_config(tmp_path)


WRONG = {
    "": "adds nothing; define one of UPSAMPLERS",
    "UPSAMPLERS = [1]": "has UPSAMPLERS that is not a dictionary",
    "UPSAMPLERS = {'new': 3}": "has 'new' that is not (settings, build)",
    "import nowhere_at_all": "cannot be loaded (ModuleNotFoundError: No module named 'nowhere_at_all')",
    "from ganlab.config import Operator\nUPSAMPLERS = {'new': (Operator, print)}": "without `name: Literal['new']`",
    "from ganlab.config.generator import Nearest\nUPSAMPLERS = {'nearest': (Nearest, print)}": "which exists already",
    "from typing import Literal\nfrom ganlab.config import Settings\nclass S(Settings):\n    name: Literal['new']\n"
    "PENALTIES = {'new': (S, print)}": "has settings of 'new' that do not inherit ganlab.config.PenaltySettings",
    "from typing import Literal\nfrom ganlab.config import DatasetSettings\nclass S(DatasetSettings):\n"
    "    name: Literal['new']\nDATASETS = {'new': (S, print)}": "has settings of 'new' without `size`; add that field",
    "from typing import Literal\nfrom ganlab.config import Settings\nclass S(Settings):\n    name: Literal['new']\n"
    "    x: 'Nowhere'\nOBJECTIVES = {'new': (S, print)}": "cannot be loaded (PydanticUndefinedAnnotation: name 'Nowhere'",
    "1 +": "cannot be loaded (SyntaxError",
    "import sys\nsys.exit(0)": "cannot be loaded (SystemExit: 0)",
}


@pytest.mark.parametrize("source", WRONG)
def test_what_cannot_be_used_is_one_line(source, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    (tmp_path / "mine.py").write_text(source)
    take_plugins(["--plugin", str(tmp_path / "mine.py")])
    with pytest.raises(ConfigError) as caught:
        plan([], multirun=False)
    assert WRONG[source] in str(caught.value) and "mine.py" in str(caught.value)
    assert "\n" not in str(caught.value)


SOURCE = """from typing import Literal
from ganlab.config import Positive, Settings
VALUE = {value}
class S(Settings):
    name: Literal['{name}']
    weight: Positive = 1.0
OBJECTIVES = {{'{name}': (S, print)}}
"""


def test_the_example_of_an_operator_can_be_trained_as_on_a_gpu_in_bfloat16_and_under_xla(plugged):
    plugged("bicubic.py")
    plan(["generator=bicubic"], multirun=False)  # loads it
    layer = plugins.builders("upsamplers")["bicubic"](3, scale=(2, 1), dtype="mixed_bfloat16")
    layer.build((1, 4, 5, 2))

    @tf.function(jit_compile=True, autograph=False)
    def gradient(maps):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            total = tf.reduce_sum(layer(maps))
        return tape.gradient(total, maps)

    assert gradient(tf.ones([1, 4, 5, 2], tf.bfloat16)).shape == (1, 4, 5, 2)


def test_two_choices_may_have_one_model_of_settings(tmp_path, monkeypatch, plugins_forgotten):
    file = tmp_path / "mine.py"
    monkeypatch.setenv(VARIABLE, str(file))
    text = SOURCE.format(name="one", value=1).replace("'one'", "'one', 'two'", 1)
    file.write_text(text.replace("(S, print)}", "(S, print), 'two': (S, repr)}"))
    (plugin,) = plugins.load({"a": {"name": "two"}})
    assert plugin["name"] == "mine.py" and plugins.builders("objectives")["two"] is repr


def test_a_choice_without_its_yaml_file_says_that_it_needs_one(plugged):
    plugged("bicubic.py")
    with pytest.raises(
        ConfigError, match=r"objective=one is unknown; .*needs a file conf/objective/one.yaml beside it"
    ):
        plan(["objective=one"], multirun=False)


def test_two_files_of_one_name_are_two_plugins(tmp_path, monkeypatch, plugins_forgotten):
    monkeypatch.setenv(VARIABLE, "")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(SOURCE.format(name=name, value=1))
        take_plugins(["--plugin", str(tmp_path / name / "mine.py")])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, os.environ[VARIABLE] + os.pathsep + "./one/mine.py")  # the same file once more
    present = plugins.load({"a": {"name": "one"}, "b": {"name": "two"}})
    assert [plugin["name"] for plugin in present] == ["mine.py", "mine.py"]
    plugins.require(present, present)
    with pytest.raises(ConfigError, match=r"the plugin mine.py has changed since"):
        plugins.require([present[0] | {"digest": "0" * 64}], present)


def test_the_code_that_runs_is_the_code_that_is_hashed(tmp_path, monkeypatch, plugins_forgotten):
    file = tmp_path / "mine.py"
    monkeypatch.setenv(VARIABLE, str(file))
    for value in (1, 2):  # of one size and one time, as a compiled file is told by
        file.write_text(SOURCE.format(name="one", value=value))
        os.utime(file, (1e9, 1e9))
        (plugin,) = plugins.load({"a": {"name": "one"}})
        module = sys.modules[f"ganlab_plugin_mine_{plugin['digest'][:12]}"]
        assert value == module.VALUE
        forget(set(plugins._loaded))
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.parametrize(("given", "line"), [("nowhere.py", "does not exist"), (".", "is not a Python file")])
def test_a_file_that_is_none_is_refused_at_once(given, line):
    with pytest.raises(ConfigError, match=line):
        take_plugins(["--plugin", given])


def test_an_entry_point_joins_when_it_is_used(tmp_path, monkeypatch):
    package, info = tmp_path / "mypackage", tmp_path / "mypackage-1.5.dist-info"
    package.mkdir()
    info.mkdir()
    shutil.copy(EXAMPLES / "bicubic.py", package / "__init__.py")
    shutil.copytree(EXAMPLES / "conf", package / "conf")
    with (package / "__init__.py").open("a") as file:
        file.write('\nBICUBIC = UPSAMPLERS["bicubic"]\n')
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mypackage\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[ganlab.upsamplers]\nbicubic = mypackage:BICUBIC\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(plugins._loaded)
    try:
        assert plan([], multirun=False).cells[0].config.plugins == ()
        assert "mypackage" not in sys.modules  # what is not used is not imported
        (cell,) = plan(["generator=bicubic"], multirun=False).cells
        assert [(plugin.name, plugin.digest) for plugin in cell.config.plugins] == [("mypackage", "1.5")]
    finally:
        forget(set(plugins._loaded) - before)
        sys.modules.pop("mypackage", None)


@pytest.mark.slow
def test_the_examples_go_through_every_command_from_another_folder(command, tmp_path):
    """Train, sample, inspect, export; a sweep with joblib, whose processes hear of the plugins, and its comparison."""
    flags = ["--plugin", str(EXAMPLES / "bicubic.py"), "--plugin", str(EXAMPLES / "two_moons.py"),
             f"--plugin={EXAMPLES / 'logistic_objective.py'}", f"--plugin={EXAMPLES / 'small_discriminator.py'}"]  # fmt: skip

    def done(name, *arguments):
        finished = command(name, *flags, *arguments)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    more = ["objective=logistic", "discriminator=small", "penalty=drift", "dataset=two_moons"]
    tiny = [text for text in TINY if not text.startswith("discriminator.")]
    done("train", "-m", "study=mine", "generator=bicubic,upsample", "seed=0", *more, *tiny,
         "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")  # fmt: skip
    (run,) = (tmp_path / "outputs/mine").glob("bicubic-*")
    assert (run / "generator.keras").exists()
    assert "bicubic.py" in (run / "config.json").read_text()
    done("sample", str(run))
    done("export", str(run))
    assert "Bicubic" in done("inspect", "generator=bicubic")
    assert "bicubic" in done("train", "--help")
    alone = command("sample", str(run))
    assert alone.returncode == 2
    assert "need the plugin bicubic.py" in alone.stderr
    compared = command("compare", "outputs/mine")  # a comparison reads results alone
    assert compared.returncode == 0, compared.stderr
    assert "Against bicubic, upsample" in compared.stdout
