"""Images that stay on the disk: the same batches as from memory, from any step on, and runs of the same bits."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ganlab.cli.hydra import plan
from ganlab.data.batches import order, reader, stream
from ganlab.run.life import run
from ganlab.runs.folder import read_config

RANDOM = np.random.default_rng(0)
SMALL = (
    "training.steps=40", "training.steps_per_call=7", "training.log_every_steps=10", "training.sample_every_steps=40",
    "training.save_every_steps=20", "metrics.every_steps=20", "training.batch_size=16", "training.discriminator_steps=2",
    "generator.base_filters=8", "generator.stages=[[8,2],[null,2]]", "discriminator.filters=[8,8]", "conditional=true",
    "dataset.flip=horizontal",
)  # fmt: skip


@pytest.fixture
def mapped(tmp_path):
    np.save(tmp_path / "pixels.npy", RANDOM.integers(0, 256, (50, 4, 3, 1), np.uint8))
    return np.load(tmp_path / "pixels.npy", mmap_mode="r")


@pytest.mark.parametrize("first", [0, 5, 23])
def test_batches_are_those_of_their_places_from_any_step_on(mapped, first):
    following = stream(mapped, key=3, batch=8, first=first)
    for step in range(first, first + 9):
        places = order(3, tf.constant(step, tf.int64), 8, 50)
        np.testing.assert_array_equal(following(), mapped[places])


def test_batches_are_read_within_a_compiled_loop(mapped):
    following = stream(mapped, key=3, batch=8, first=0)

    @tf.function(autograph=False)
    def total():
        return tf.while_loop(
            lambda step, _: step < 5,
            lambda step, sums: (step + 1, sums + tf.reduce_sum(tf.cast(following(), tf.int64))),
            [tf.constant(0), tf.constant(0, tf.int64)],
        )[1]

    places = [order(3, tf.constant(step, tf.int64), 8, 50).numpy() for step in range(5)]
    assert total().numpy() == sum(mapped[at].sum(dtype=np.int64) for at in places)


def test_places_are_read_one_by_one(mapped):
    np.testing.assert_array_equal(reader(mapped)(tf.constant([7, 7, 0, 49])), mapped[[7, 7, 0, 49]])


def records(directory):
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if "second" not in key} for line in lines]


@pytest.mark.slow
def test_a_run_is_the_same_from_the_disk_from_memory_and_after_a_stop(tmp_path, monkeypatch):
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "kept"))
    for number in range(120):
        path = tmp_path / "own" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RANDOM.integers(0, 256, (8, 8), np.uint8)).save(path)

    def train(name, how, *more):
        overrides = [
            *SMALL,
            "dataset=folder",
            f"dataset.path={tmp_path / 'own'}",
            f"training.stream_images={how}",
            *more,
        ]
        config = plan(overrides, multirun=False).cells[0].config
        return run(config, tmp_path / name, quiet=True)

    whole = train("memory", "never")
    train("disk", "always", "training.steps=20")
    resumed = run(read_config(tmp_path / "disk"), tmp_path / "disk", quiet=True, steps=40)
    assert whole.metrics == resumed.metrics
    assert records(tmp_path / "memory") == records(tmp_path / "disk")
    assert whole.data["sha256"] == resumed.data["sha256"]
    names = (tmp_path / "disk" / "held_out.txt").read_text().splitlines()
    assert len(names) == 24 and all((tmp_path / "own" / name).is_file() for name in names)
