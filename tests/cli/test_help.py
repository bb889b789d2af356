"""--help and --version: complete, composed from the settings beside them, quick, and quiet where a pipe is closed."""

import itertools
import os
import re
import subprocess
import sys
import types
from typing import Annotated, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from conftest import ROOT
from ganlab import __version__, train
from ganlab.cli.choices import groups, options
from ganlab.cli.help import help_page, wrap_page
from ganlab.config import RunConfig
from ganlab.errors import ConfigError
from ganlab.run.inputs import FILLED_IN

COMMANDS = ["train", "compare", "sample", "evaluate", "inspect", "export", "doctor", "status", "dashboard", "tune"]
OPERATORS = ("generator.elsewhere", "generator.reference")


def listed(*overrides, **more):
    """{name: (value, comment)} of the settings that a page lists."""
    text = help_page(overrides, **more).partition("\nSettings")[2].partition("\nHydra's flags")[0]
    rows = re.findall(r"^ [ *](\+?[\w.]+)=(.*?)(?:  +|(?<=[?\w]) )(\S.*)$", text, re.M)
    return {name: (value, comment) for name, value, comment in rows}


def fields(model, tags, prefix=""):
    """Dotted names of all settings of a model, from its types: of a union, those of the member that `tags` names."""
    found = set()
    for name, field in model.model_fields.items():
        kind, where = field.annotation, f"{prefix}{name}"
        while get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        if get_origin(kind) in (Union, types.UnionType):
            members = [
                member for member in get_args(kind) if isinstance(member, type) and issubclass(member, BaseModel)
            ]
            for member in members:
                if where in tags and tags[where] in get_args(member.model_fields["name"].annotation):
                    found |= fields(member, tags, f"{where}.")
            if members and where not in tags:  # a part that may be null, as `init_from` is
                found.add(where)
            if members:
                continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= fields(kind, tags, f"{where}.")
        else:
            found.add(where)
    return found


def together():
    """Every choice of every group in as few command lines as there are choices of the largest; experiments alone."""
    sets = [[f"{group}={option}" for option in options(group)] for group in groups() if group != "experiment"]
    yield from ([choice for choice in line if choice] for line in itertools.zip_longest(*sets))
    for place, name in enumerate(options("experiment")):
        line = [f"experiment={name}", "seed=0", "generator=fir"]  # one run, not seventy
        yield pytest.param(line, marks=pytest.mark.slow if place else (), id=name)


@pytest.mark.parametrize("line", together(), ids=lambda line: " ".join(line))
def test_every_field_of_every_choice_is_listed_with_its_meaning(line):
    from ganlab.cli.hydra import plan

    config = plan(line, multirun=False, describing=True).cells[0].config
    tags = {"generator.upsampling": config.generator.upsampling.name}
    tags |= {
        name: getattr(config, name).name for name in ("discriminator", "dataset", "objective", "penalty", "metrics")
    }
    tags |= {name: getattr(config.generator, name.partition(".")[2]).name for name in OPERATORS}
    wanted = fields(RunConfig, tags) - {"comparison.margins", *FILLED_IN}
    wanted -= {
        f"{name}.name" for name in tags if name not in OPERATORS
    }  # the tags of choices: `generator=...` sets them
    found = {name.lstrip("+"): row for name, row in listed(*line).items()}
    assert wanted <= found.keys(), sorted(wanted - found.keys())
    assert "seed" in wanted and "training.steps" in wanted and "generator.elsewhere.implementation" in wanted
    assert all(comment for _, comment in found.values())


def test_a_setting_is_typed_as_it_is_listed():
    """Without its plus, that of an operator elsewhere is one line that tells of it."""
    from ganlab.cli.hydra import plan

    rows = listed("generator.elsewhere.name=carafe", "metrics=full").items()
    typed = [f"{name}={value}" for name, (value, _) in rows if name != "resume"]
    assert "+generator.elsewhere.channels=64" in typed
    (cell,) = plan(["metrics=full", *typed], multirun=False).cells
    assert cell.config.generator.elsewhere.channels == 64
    with pytest.raises(ConfigError, match=r"elsewhere\.implementation is not in any YAML file; add it as \+generator"):
        plan(["generator.elsewhere.implementation=plain"], multirun=False)
    with pytest.raises(ConfigError, match=r"add it as \+comparison\.margins\.recall=0\.1$"):
        plan(["comparison.margins.recall=0.1"], multirun=False)


def test_the_page_has_the_values_of_what_was_chosen():
    assert listed("dataset=mnist")["dataset.size"][0] == "28"
    assert "npz" in listed("dataset=mnist")["dataset.path"][1]
    assert "dataset.path" not in listed()
    assert listed("metrics=full")["metrics.final.images"][0] == "10000"
    assert listed("seed=7", "generator.stages=[[4,2],[null,2]]")["generator.stages"][0] == "[[4,2],[null,2]]"
    quick = help_page(["experiment=quick"])
    assert "  Does nearest + convolution make better small digits" in quick
    assert "12 runs in outputs/quick, over generator=transpose,upsample seed=range(1,7); below, the first" in quick
    assert "  sets study=quick training.steps=500 training.sample_every_steps=100" in quick
    assert "\n *training.steps=500 " in quick
    assert "\n *experiment=quick " in quick
    assert "4 runs in outputs/x, over generator=fir,carafe seed=0,1" in help_page(
        ["study=x", "generator=fir,carafe", "seed=0,1"], multirun=True
    )


@pytest.mark.parametrize(("line", "said"), [
    (["training.stepz=3"], "training.stepz is not a setting of training"),
    (["dataset=mnistt"], "dataset=mnistt is unknown"),
    (["generator=upsample,fir"], "has several values; add -m"),
    (["experiment=quick", "training.steps=0"], "training.steps=0 is out of range"),
    (["resume=nowhere"], "resume=nowhere is no"),
])  # fmt: skip
def test_what_is_wrong_beside_help_is_refused(line, said):
    with pytest.raises(ConfigError, match=said):
        help_page(line)


def test_choices_and_experiments_of_ones_own_are_listed_as_such(tmp_path):
    for group, name, text in (
        ("experiment", "ours", "# @package _global_\n# Is mine better?\ntraining:\n  steps: 5\n"),
        ("generator", "mine", "# My own arm.\ndefaults: [upsample]\nname: mine\nupsampling:\n  kernel_size: 5\n"),
    ):
        (tmp_path / group).mkdir()
        (tmp_path / group / f"{name}.yaml").write_text(text)
    text = help_page([], config_dir=str(tmp_path))
    assert re.search(r"^  experiment=ours +\(yours\) Is mine better\?$", text, re.M)
    assert re.search(r"^  generator=mine +\(yours\) My own arm\.$", text, re.M)
    found = listed("generator=mine", "experiment=ours", config_dir=str(tmp_path))
    assert found["training.steps"][0] == "5"
    assert found["generator.upsampling.kernel_size"] == ("5", "1 to 31; odd where fused")  # what upsample says of it
    assert "(yours)" not in help_page()
    (tmp_path / "generator" / "upsample.yaml").write_text("# Another.\nname: upsample\n")  # Hydra would take ours
    with pytest.raises(ConfigError, match=r"upsample.yaml has the name of a choice of ganlab's"):
        help_page([], config_dir=str(tmp_path))


def test_examples_of_sweeps_have_seeds_enough_for_a_verdict():
    """Six pairs are the fewest whose sign permutation test can reach p = 0.05 for one comparison: 2/64."""
    examples = re.findall(r"ganlab\.train -m .*?seed=(\S+)", help_page())
    assert examples
    assert all(2 / 2 ** len(seeds.split(",")) <= 0.05 for seeds in examples)


def test_long_lines_go_on_below_their_comments():
    wide = help_page(["experiment=quick"])
    narrow = wrap_page(wide, 100)
    assert max(map(len, narrow.splitlines())) <= 100
    assert " ".join(narrow.split()) == " ".join(wide.split())
    assert wrap_page(wide, 1000) == wide


def test_help_and_version_need_no_tensorflow():
    lines = [[command, flag] for command in COMMANDS for flag in ("--help", "--version")]
    lines += [
        ["train", "metrics=full", "--help"],
        ["train", "experiment=quick", "-h"],
        ["train", "-m", "seed=0,1", "-h"],
    ]
    program = f"""
import contextlib, importlib, io, sys
for command, *rest in {lines!r}:
    sys.argv = [command, *rest]
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        importlib.import_module(f"ganlab.{{command}}").main()
    said = text.getvalue()
    if "--version" in rest:
        assert said == "ganlab {__version__}\\n", said
    else:
        assert f"ganlab.{{command}}" in said and len(said) > 300, said
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_a_closed_pipe_ends_help_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    lines = [(name, "--help" if number % 2 else "--version") for number, name in enumerate(COMMANDS)]
    lines += [("train", "--help"), ("train", "--cfg", "job"), ("train", "--info", "searchpath")]
    children = []
    for number, (name, *flags) in enumerate(lines):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1" if number % 3 else ""}
        line = [sys.executable, "-m", f"ganlab.{name}", *flags]
        children.append(subprocess.Popen(line, stdout=writer, stderr=subprocess.PIPE, text=True, env=environment))
    os.close(writer)
    for line, child in zip(lines, children, strict=True):
        assert (line, child.communicate()[1], child.returncode) == (line, "", 141)


def test_the_first_lines_of_help_can_be_read(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["ganlab.train", "dataset=mnist", "--help", "training.stepz=3"])
    with pytest.raises(SystemExit) as ended:
        train.main()
    output, errors = capsys.readouterr()
    assert (ended.value.code, output, errors.count("\n")) == (2, "", 1)
