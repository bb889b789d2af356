"""What XLA compiles is kept for later runs, and nothing in the cache can stop one."""

import json
import os
import time

import numpy as np
import pytest
import tensorflow as tf

from ganlab import files, xla
from ganlab.cli.hydra import plan
from ganlab.data.images import Images
from ganlab.errors import ConfigError
from ganlab.run.build import build_gan, build_steps

SMALL = ("training.compile=xla", "training.steps=3", "training.batch_size=8", "generator.base_filters=8",
         "generator.stages=[[8,2],[null,2]]", "discriminator.filters=[8,8]", "metrics.images=200")  # fmt: skip


def programs(cache):
    return {path: path.stat().st_mtime_ns for path in cache.rglob("*.pb")}


@pytest.fixture
def train(command, tmp_path):
    """`train("seed=1")`: a run under XLA with a cache of this test's own; the programs that the cache has then."""
    cache = tmp_path / "cache"

    def run(*arguments):
        done = command("train", *arguments, env={"GANLAB_CACHE": str(cache), "TF_XLA_FLAGS": ""})
        assert done.returncode == 0, done.stderr
        return programs(cache)

    return run


@pytest.mark.slow
def test_the_second_cell_of_a_sweep_compiles_nothing(train, tmp_path):
    first = train(*SMALL, "seed=1", "hydra.run.dir=one")
    assert len(first) == 1
    assert json.loads((tmp_path / "one" / "result.json").read_text())["compiled"] == "xla"
    assert train(*SMALL, "seed=2", "hydra.run.dir=two") == first  # neither written again nor thrown away


@pytest.mark.slow
def test_a_resumed_run_compiles_nothing_and_another_operator_does(train, tmp_path):
    first = train(*SMALL, "training.save_every_steps=1", "hydra.run.dir=one")
    for gone in ("result.json", "checkpoints/step-00000003", "checkpoints/step-00000002"):
        files.remove(tmp_path / "one" / gone)
    assert train("resume=one") == first
    assert len(train(*SMALL, "generator=upsample", "hydra.run.dir=two")) == 2


def test_an_operation_that_xla_lacks_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setattr(
        "ganlab.training.augment.apply",
        lambda settings, images, draws: tf.raw_ops.ResizeBicubic(images=images, size=images.shape[1:3]),
    )
    config = plan([*SMALL, "penalty=none", "dataset.size=8"], multirun=False).cells[0].config
    images = Images(np.zeros((8, 8, 8, 1), np.uint8), None, "black", "made here")
    steps = build_steps(build_gan(config), config, images, xla=True)
    with pytest.raises(ConfigError, match=r"training.compile=xla compiles .* has no ResizeBicubic; use graph"):
        steps(tf.constant(1, tf.int64))


@pytest.fixture
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path))
    for name in ("XLA_FLAGS", "TF_XLA_FLAGS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def folder():
    return xla.Path(os.environ["TF_XLA_FLAGS"].partition("=")[2])


def test_a_program_that_is_not_whole_is_thrown_away_before_tensorflow_sees_it(environment):
    xla.prepare()
    good, torn, alone = (folder() / f"{name}.pb" for name in ("good", "torn", "alone"))
    for program in (good, torn):
        program.write_bytes(b"compiled")
    xla.remember()
    torn.write_bytes(b"comp")
    alone.write_bytes(b"compiled by a process that was killed")
    for name, age in (("old", 4000), ("new", 10)):
        (folder() / f"{name}.tmp").touch()
        os.utime(folder() / f"{name}.tmp", (time.time() - age,) * 2)
    xla.prepare()
    assert sorted(path.name for path in folder().iterdir()) == ["good.pb", "good.sha256", "new.tmp"]


def test_the_oldest_go_when_there_are_too_many(environment, monkeypatch):
    xla.prepare()
    for age in range(4):
        program = folder() / f"{age}.pb"
        program.write_bytes(bytes(100))
        os.utime(program, (1000 - age, 1000 - age))
    xla.remember()
    monkeypatch.setattr(xla, "_LARGEST", 250)
    xla.prepare()
    assert sorted(path.name for path in folder().glob("*.pb")) == ["0.pb", "1.pb"]


def test_where_nothing_can_be_kept_nothing_is_asked_for(environment, monkeypatch):
    (environment / "file").touch()
    monkeypatch.setenv("GANLAB_CACHE", str(environment / "file"))
    xla.prepare()
    xla.remember()
    assert "TF_XLA_FLAGS" not in os.environ


def test_flags_of_the_user_stay(environment, monkeypatch):
    monkeypatch.setattr(xla, "_gpus", lambda: ["Model: a GPU"])
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_graph_min_graph_size=7 --xla_mine=1")
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_persistent_cache_directory=mine")
    xla.prepare()
    xla.prepare()
    assert os.environ["XLA_FLAGS"].startswith("--xla_gpu_graph_min_graph_size=7 --xla_mine=1 --xla_gpu_enable")
    assert os.environ["XLA_FLAGS"].count("min_graph_size") == 1
    assert os.environ["TF_XLA_FLAGS"] == "--tf_xla_persistent_cache_directory=mine"
