"""Choices together: every pair of operator, number of stages, body, objective and penalty goes from start to export."""

import itertools
import shutil
import sys
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ganlab.cli.choices import options
from ganlab.data.images import Images
from ganlab.export import export
from ganlab.exports import formats as exports
from ganlab.nets.analysis import multiplications
from ganlab.nets.spectral_norm import power_iteration
from ganlab.run.build import build_gan, make_batches, make_step_config, make_traces
from ganlab.run.life import run
from ganlab.sample import main as sampling
from ganlab.training.step import make_steps

ARMS = options("generator")
SMALL = ("generator.latent_size=6", "generator.base_filters=4", "discriminator.filters=[4,4]", "training.batch_size=4")
CLASS = (  # the generator of a class that many take: one transposed convolution, 5x5 to 10x10
    "dataset.size=10",
    "generator.latent_size=100",
    "generator.base_filters=128",
    "generator.stages=[[null,2]]",
)
TEN = (
    "training.steps=10",
    "training.steps_per_call=5",
    "training.log_every_steps=5",
    "metrics=none",
    "metrics.images=60",
)
STAGES = ["[[null,2]]", "[[3,2],[null,2]]", "[[3,2],[3,2],[null,2]]"]
OPERATORS = ["transpose", "upsample", "upsample_bilinear", "pixel_shuffle", "fir", "carafe"]
FACTORS = {
    "generator": OPERATORS,  # the other arms differ from these in numbers
    "generator.stages": STAGES,
    "generator.body": ["plain", "residual"],
    "objective": options("objective"),
    "penalty": options("penalty"),
    "generator.normalization": ["none", "batch"],
    "discriminator": options("discriminator"),
    "conditional": ["false", "true"],
}
REFUSED = {("wasserstein", "none")}


def pairs(row):
    """What stands together in a row {place of a factor: value}."""
    return {(i, row[i], j, row[j]) for i, j in itertools.combinations(sorted(row), 2)}


def covering(factors):
    """Rows, one value of each factor, in which all pairs of values of two factors stand together somewhere.

    Greedily: a row begins with a pair that is left, and each further value is the one with the most pairs left.
    """
    left = set()
    for i, j in itertools.combinations(range(len(factors)), 2):
        left |= {(i, a, j, b) for a, b in itertools.product(factors[i], factors[j]) if (a, b) not in REFUSED}
    rows = []
    while left:
        i, a, j, b = min(left)
        row = {i: a, j: b}
        for place in sorted(set(range(len(factors))) - {i, j}, key=lambda place: -len(factors[place])):
            row = max((row | {place: value} for value in factors[place]), key=partial(gain, left))
        left -= pairs(row)
        rows.append([row[place] for place in range(len(factors))])
    return rows


def gain(left, row):
    """How many pairs a row takes from those that are left; below 0 where it is refused."""
    refused = REFUSED & set(itertools.permutations(row.values(), 2))
    return -1 if refused else len(left & pairs(row))


def test_the_rows_hold_every_pair():
    rows = covering(list(FACTORS.values()))
    for i, j in itertools.combinations(range(len(FACTORS)), 2):
        wanted = set(itertools.product(*(list(FACTORS.values())[place] for place in (i, j)))) - REFUSED
        assert {(row[i], row[j]) for row in rows} == wanted
    assert len(rows) < 90


@pytest.mark.parametrize("arm", ["upsample", "transpose_k5", "carafe"])  # every other one below, in a whole run
def test_a_generator_of_one_stage_steps_and_leaves_traces(settings, arm):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1), dtype=np.uint8)
    quick = ("objective=hinge", "penalty=none", "training.share_fakes=true", "discriminator.filters=[4]")
    config = settings(f"generator={arm}", *SMALL[:2], SMALL[-1], "generator.stages=[[null,2]]", *quick)
    gan = build_gan(config)
    game = make_step_config(config, partial(power_iteration, gan.discriminator))
    make_steps(gan, game, make_batches(config, Images(pixels, None, "noise", "nowhere")), steps_per_call=1)(
        tf.constant(1, tf.int64)
    )
    assert np.isfinite(gan.sums).all() and int(gan.step) == 1
    traces = make_traces(gan.generator, tf.random.stateless_normal((5, 6), [0, 1]))(0)
    assert traces.keys() >= {"artifact/phase_variance/stage1"} and np.isfinite(list(traces.values())).all()


@pytest.fixture
def lives(settings, monkeypatch, tmp_path):
    """`lives("generator=upsample")`: train, draw and export; every picture and every file is opened again."""

    def opened(name, path, latents):
        """In this process, by the same lines: a fresh one starts TensorFlow again."""
        names = {"latents": latents}
        exec(exports.opening(name, str(path)), names)
        return names["images"]

    monkeypatch.setattr(exports, "reopen", opened)

    def live(*overrides, to_the_end=True):
        config, directory = settings(*overrides, *TEN), tmp_path / "run"
        result = run(config, directory, quiet=True)
        assert result.status == "finished", result.error
        assert (directory / "generator.keras").exists()
        if not to_the_end:
            shutil.rmtree(directory)
            return
        monkeypatch.setattr(sys, "argv", ["sample", str(directory), "--folder", "--count", "3"])
        sampling()
        drawn = sorted((directory / "images-step-00000010").iterdir())
        assert len(drawn) == 3
        for path in drawn:
            with Image.open(path) as image:
                assert image.size == (config.dataset.size, config.dataset.size)
        export(directory, "keras", None)  # compares it with the original
        shutil.rmtree(directory)

    return live


@pytest.mark.slow
def test_every_pair_of_choices_trains_and_some_draw_and_export(lives):
    for number, row in enumerate(covering(list(FACTORS.values()))):
        line = [f"{name}={value}" for name, value in zip(FACTORS, row, strict=True)]
        print(*line)  # pytest shows it where one fails
        lives(*line, *SMALL, to_the_end=number % 5 == 0)


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["transpose", *sorted(set(ARMS) - set(OPERATORS))])
def test_the_generator_of_a_class_trains_with_every_arm(lives, arm):
    lives(f"generator={arm}", *CLASS)


@pytest.mark.parametrize("size", [64, 128])
def test_large_images_need_no_large_dense_layer(settings, size):
    gan = build_gan(settings("dataset=shapes", f"dataset.size={size}"))
    assert gan.generator.output_shape == (None, size, size, 3)
    assert gan.generator.get_layer("base").count_params() < 70_000
    assert multiplications(gan.generator).executed < 30e6
    assert gan.discriminator.layers[-2].output.shape[-1] <= 256 * 16


@pytest.mark.slow
def test_large_images_train_with_the_default_networks(lives):
    some = ("dataset.images=20", "dataset.held_out=60", "training.batch_size=4")
    lives("dataset=shapes", "dataset.size=64", *some)
