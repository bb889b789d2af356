"""What XLA compiles is kept for later runs, and nothing in the cache can stop one."""

import json
import os

import pytest

from ganlab import xla

SMALL = ("training.compile=xla", "training.steps=3", "training.batch_size=8", "generator.base_filters=8",
         "generator.stages=[[8,2],[null,2]]", "discriminator.filters=[8,8]", "metrics=none")  # fmt: skip


def programs(cache):
    return {path: path.stat().st_mtime_ns for path in cache.rglob("*.pb")}


def test_the_second_cell_of_a_sweep_and_a_resumed_run_compile_nothing(command, tmp_path):
    cache = tmp_path / "cache"
    fresh = {"GANLAB_CACHE": str(cache), "TF_XLA_FLAGS": ""}

    def train(*arguments):
        done = command("train", *SMALL, *arguments, env=fresh)
        assert done.returncode == 0, done.stderr

    train("seed=1", "hydra.run.dir=one")
    first = programs(cache)
    assert len(first) == 1
    train("seed=2", "hydra.run.dir=two")
    done = command("train", "resume=one", "training.steps=5", env=fresh)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "one" / "result.json").read_text())["compiled"] == "xla"
    after = programs(cache)
    assert {path: after[path] for path in first} == first  # neither written again nor thrown away
    assert len(after) <= 2  # longer training is another schedule

    train("generator=upsample", "hydra.run.dir=three")  # it notices what is another program
    assert len(programs(cache)) > len(after)


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
    xla.prepare()
    assert sorted(path.name for path in folder().iterdir()) == ["good.pb", "good.sha256"]


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
