"""Steps in the space of functions: what is measured, the factor that makes them equal, and its table."""

import importlib.util
import shlex

import numpy as np
import pytest
import tensorflow as tf

from conftest import ROOT
from ganlab.cli.hydra import plan
from ganlab.errors import ConfigError
from ganlab.run.build import build_gan, build_steps
from ganlab.run.measuring import open_images
from ganlab.run.sampler import Sampler

SMALL = ("experiment=upsampling_digits", "training.batch_size=16", "generator.base_filters=8",
         "generator.stages=[[8,2],[null,2]]", "discriminator.filters=[8,8]")  # fmt: skip


@pytest.fixture(scope="module")
def bed():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("function_steps", ROOT / "experiments/upsampling/function_steps.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def images(bed):
    return open_images(bed.settings_of(SMALL, "transpose", 0)).train


def test_a_change_is_a_share_of_the_deviation_from_the_mean_image(bed):
    before = np.array([1.0, 3.0], np.float32).reshape(2, 1, 1, 1)  # deviation 1
    drawn = [before, before + 0.5, before + 0.5 - 0.25]
    assert bed.change_of(drawn) == pytest.approx((0.5, 0.375, 0.25))
    assert bed.change_of([4 * each + 7 for each in drawn]) == pytest.approx((0.5, 0.375, 0.25))


def test_the_factor_lies_where_the_curve_reaches_the_target(bed):
    factors = (0.25, 0.5, 1.0, 2.0)
    straight = [3 * factor**0.5 for factor in factors]  # a straight line in logarithms
    assert bed.factor_for(3 * 0.7**0.5, straight, factors) == pytest.approx(0.7)
    assert bed.factor_for(straight[0], straight, factors) == pytest.approx(0.25)
    assert bed.factor_for(7.0, straight, factors) is bed.factor_for(1.0, straight, factors) is None
    falling = [1.0, 4.0, 2.0, 16.0]
    assert bed.factor_for(2.0, falling, factors) == pytest.approx(0.25 * 2**0.5)  # the first time
    assert bed.factor_for(8.0, falling, factors) == pytest.approx(2**0.5)


def made(bed, gain):
    """A curve whose mean step is so many times the factor."""
    return bed.Curve(tuple(at(bed, gain, factor) for factor in bed.FACTORS), lambda factor: at(bed, gain, factor))


def at(bed, gain, factor):
    return bed.Change(2 * gain * factor, gain * factor, 5 * gain * factor)


def test_arms_get_the_steps_of_the_reference(bed):
    curves = {
        "transpose": [made(bed, 0.1), made(bed, 0.4)],  # 0.2 in the geometric mean
        "upsample": [made(bed, 0.2), made(bed, 1.6)],  # 0.57
        "far": [made(bed, 50.0), made(bed, 50.0)],
    }
    reference, upsample, far = bed.compare(curves, "transpose")
    assert reference.factor == reference.lowest == reference.highest == 1
    assert upsample.factor == pytest.approx(1 / 8**0.5)
    assert (upsample.lowest, upsample.highest) == pytest.approx((0.25, 0.5))
    assert upsample.with_factor == pytest.approx(reference.equal)
    assert reference.equal == pytest.approx((0.4, 0.2, 1.0))
    assert (far.factor, far.lowest, far.with_factor) == (None, None, None)
    lines = bed.table([reference, upsample, far], "transpose", 10).splitlines()
    assert lines[2].startswith(
        "| `transpose` | 0.400 | 0.200 | 1.000 | 1.00 | 1.00 | 1.00 | 1 | 1.00 to 1.00 | 0.200 |"
    )
    assert lines[3].endswith("| 2.83 | 2.83 | 2.83 | 0.354 | 0.25 to 0.50 | 0.200 |")
    assert lines[4].endswith("| outside |  |  |")
    typed = shlex.split(bed.override([reference, upsample, far]))
    assert typed == ["optimizer.g_rate_factors={upsample: 0.354}"]
    assert plan(typed, multirun=False).cells


@pytest.mark.slow
def test_the_steps_are_those_of_a_run(bed, images):
    """At a factor of one half they are those of half the rate, from a start of its own."""
    config = bed.settings_of(SMALL, "upsample", 3)
    curve = bed.measure(config, images, steps=2, latents=20, factors=(0.5, 1.0))
    half = bed.settings_of([*SMALL, "optimizer.g_rate_factors.upsample=0.5"], "upsample", 3)
    for settings, found in ((half, curve.changes[0]), (config, curve.changes[1])):
        gan = build_gan(settings)
        z = Sampler(gan.generator, settings).latents("latents/function_steps", 20)
        take, drawn = build_steps(gan, settings, images, xla=False), [gan.generator(z).numpy()]
        for _ in range(2):
            take(tf.constant(1, tf.int64))
            drawn.append(gan.generator(z).numpy())
        assert bed.change_of(drawn) == pytest.approx(found, rel=1e-3)
    assert curve.at(1.0) == curve.changes[1]  # and each trial begins at the start
    assert curve.changes[0].first < curve.changes[1].first


def test_an_experiment_that_sweeps_gives_one_run_and_others_are_refused(bed):
    config = bed.settings_of(["experiment=upsampling_digits"], "fir", 7)
    assert (config.generator.name, config.seed, config.precision) == ("fir", 7, "float32")
    with pytest.raises(ConfigError, match=r"these settings are of 5 runs; give what else is swept over one value"):
        bed.settings_of(["experiment=tuning_digits"], "fir", 7)
    assert bed.settings_of(["experiment=tuning_digits", "optimizer.g_learning_rate=0.001"], "fir", 7)


@pytest.mark.slow
def test_the_script_prints_a_table_and_an_override(bed, monkeypatch, capsys):
    line = ["x", *SMALL, "--generators", "transpose", "upsample", "--seeds", "0", "--steps", "2", "--latents", "20"]
    monkeypatch.setattr("sys.argv", line)
    bed.main()
    said = capsys.readouterr().out
    assert "equal rate" not in said and "rate 0.001, seeds 0\n" in said
    assert "\n| `transpose` | " in said and "\n| `upsample` | " in said
    assert "'optimizer.g_rate_factors={upsample: " in said
    monkeypatch.setattr("sys.argv", ["x", "experiment=nosuch"])
    with pytest.raises(SystemExit) as ended:
        bed.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("experiment=nosuch is unknown; ")
