"""`optimizer.g_rate_factors`: a rate of its own for each operator, by one mapping that all runs of a study share."""

import json

import numpy as np
import pytest

from ganlab.cli.help import help_page
from ganlab.cli.hydra import plan
from ganlab.config import parse
from ganlab.errors import ConfigError
from ganlab.run.build import build_gan
from ganlab.run.life import run
from ganlab.run.resume import _changes as changes
from ganlab.run.resume import with_steps
from ganlab.runs.folder import read_config
from ganlab.study.arms import refuse_confounded, settings_of
from small_runs import BRIEF, assert_same_end, weights


def train(directory, *overrides, **more):
    return run(plan([*BRIEF, *overrides], multirun=False).cells[0].config, directory, quiet=True, **more)


def assert_same_weights(one, other):
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    directory = tmp_path_factory.mktemp("plain") / "run"
    train(directory, "training.steps=3")
    return directory


@pytest.mark.slow
def test_a_factor_of_the_rate_is_another_rate(plain, tmp_path):
    train(tmp_path / "factor", "training.steps=3", "optimizer.g_rate_factors={transpose: 0.3}")
    train(tmp_path / "rate", "training.steps=3", f"optimizer.g_learning_rate={0.001 * 0.3!r}")
    assert_same_weights(tmp_path / "factor", tmp_path / "rate")
    without, with_factor = weights(plain), weights(tmp_path / "factor")
    assert any((without[name] != with_factor[name]).any() for name in without)


def test_factors_of_other_generators_change_no_bit(plain, tmp_path):
    train(tmp_path / "other", "training.steps=3", "optimizer.g_rate_factors={upsample: 3, fir: 0.1}")
    assert_same_weights(plain, tmp_path / "other")


def test_without_factors_the_rate_is_the_one_that_was_set(settings):
    assert settings().optimizer.g_rate_factors == {}
    assert build_gan(settings(*BRIEF)).g_optimizer.rate == 0.001


@pytest.mark.slow
def test_a_run_that_goes_on_keeps_its_factors(tmp_path):
    factors = "optimizer.g_rate_factors.transpose=0.3"
    train(tmp_path / "straight", "training.steps=12", factors)
    train(tmp_path / "short", "training.steps=6", factors)
    assert read_config(tmp_path / "short").optimizer.g_rate_factors == {"transpose": 0.3}
    run(read_config(tmp_path / "short"), tmp_path / "short", quiet=True, steps=12)
    assert_same_end(
        tmp_path / "straight", tmp_path / "short", lambda line: line["step"] == 6 and "loss/generator" in line
    )


def test_a_run_without_the_setting_in_its_files_is_one_without_factors(plain, settings):
    tree = json.loads((plain / "config.json").read_text())
    del tree["optimizer"]["g_rate_factors"]
    assert parse(tree) == read_config(plain)
    assert settings_of(tree) == settings_of(read_config(plain).model_dump(mode="json"))


FALLING = ("optimizer.final_rate=0.5", "optimizer.schedule=linear", "training.steps=100")


def test_a_longer_schedule_keeps_the_rate_and_is_said_to_change_it_on_the_way(settings):
    falling = settings(*FALLING, "optimizer.g_rate_factors={transpose: 10}")
    assert (
        "reach 0.5 of their start at step 200 instead of 100, so they change at step 50" in changes(falling, 50, 200)[1]
    )
    assert with_steps(falling, 200).optimizer == falling.optimizer


def test_arms_with_rates_of_their_own_differ_in_one_thing(settings):
    def trees(*lines):
        return [settings_of(settings(*line).model_dump(mode="json")) for line in lines]

    mapping = "optimizer.g_rate_factors={transpose: 2, upsample: 0.5}"
    arms = [["generator=transpose", mapping], ["generator=upsample", mapping]]
    refuse_confounded("study", trees(*arms))
    with pytest.raises(ConfigError, match=r"also in optimizer\.g_rate_factors\.transpose: 2\.0 and absent"):
        refuse_confounded("study", trees(arms[0], ["generator=upsample", mapping.replace("transpose: 2, ", "")]))


@pytest.mark.parametrize(
    "line",
    ["optimizer.g_rate_factors={upsample: 0.5}", "+optimizer.g_rate_factors={upsample: 0.5}",
     "optimizer.g_rate_factors.upsample=0.5", "+optimizer.g_rate_factors.upsample=0.5",
     "++optimizer.g_rate_factors.upsample=0.5"],
)  # fmt: skip
def test_a_factor_is_typed_with_or_without_a_plus(line):
    (cell,) = plan([line, "study=x"], multirun=False).cells
    assert cell.config.optimizer.g_rate_factors == {"upsample": 0.5}
    assert plan([line, "study=x", "seed=0,1"], multirun=True).cells[0].directory == cell.directory


def test_a_yaml_file_gives_factors_that_the_command_line_adds_to(tmp_path):
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\noptimizer:\n  g_rate_factors: {upsample: 0.5}\n"
    (tmp_path / "experiment" / "own.yaml").write_text(text)
    line = ["experiment=own", "optimizer.g_rate_factors={fir: 2}"]
    (cell,) = plan(line, multirun=False, config_dir=str(tmp_path)).cells
    assert cell.config.optimizer.g_rate_factors == {"upsample": 0.5, "fir": 2}


def test_a_generator_of_ones_own_has_a_factor_too(tmp_path):
    own = ["generator.name=mine", "optimizer.g_rate_factors={mine: 2}"]
    assert plan(own, multirun=False).cells[0].config.optimizer.g_rate_of("mine") == 0.002
    (tmp_path / "generator").mkdir()
    (tmp_path / "generator" / "file.yaml").write_text("name: arm\n")
    assert plan(["optimizer.g_rate_factors.arm=2"], multirun=False, config_dir=str(tmp_path)).cells
    with pytest.raises(ConfigError, match=r"g_rate_factors\.file is not a generator; did you mean fir\?"):
        plan(["optimizer.g_rate_factors.file=2"], multirun=False, config_dir=str(tmp_path))


WRONG = {
    "={upsampel: 1}": r"\.upsampel is not a generator; did you mean upsample\? choose one of: carafe, ",
    ".upsampel=1": r"\.upsampel is not a generator; did you mean upsample\?",
    "={upsample: 0}": r"\.upsample=0 is out of range; use a number above 0",
    "={upsample: x}": r"\.upsample='x' is not a number",
    "={upsample: 1e400}": r"\.upsample=inf is not a finite number",
    ".upsample=1e-322": r"\.upsample=9\.88131e-323 times optimizer\.g_learning_rate=0\.001 is no rate; use a factor near",
    "={x-seed1: 2}": r" has 'x-seed1', which cannot name a generator",
    "=3": "=3 is not a mapping",
    "=null": "=null is not a mapping",
}


@pytest.mark.parametrize("more", WRONG)
def test_a_factor_that_cannot_be_used_is_one_line(more):
    with pytest.raises(ConfigError, match=rf"^optimizer\.g_rate_factors{WRONG[more]}"):
        plan([f"optimizer.g_rate_factors{more}"], multirun=False)
    with pytest.raises(ConfigError, match=rf"^optimizer\.g_rate_factors{WRONG[more]}"):
        plan([f"optimizer.g_rate_factors{more}", "seed=0,1"], multirun=True)


def test_the_page_of_help_lists_the_factors_as_they_are_typed():
    assert "\n  optimizer.g_rate_factors={} " in help_page()
    with_factors = help_page(["optimizer.g_rate_factors={upsample: 0.5, fir: 2}"])
    assert "\n *optimizer.g_rate_factors={upsample: 0.5, fir: 2.0} " in with_factors
