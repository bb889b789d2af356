"""Settings of runs that take seconds, and what must be equal where two of them are."""

import json

import numpy as np
import tensorflow as tf

TINY = (
    "training.steps=4",
    "training.log_every_steps=2",
    "training.sample_every_steps=4",
    "training.save_every_steps=2",
    "training.batch_size=16",
    "generator.base_filters=4",
    "generator.stages=[[4,2],[null,2]]",
    "discriminator.filters=[4,4]",
)

BRIEF = (
    "training.steps_per_call=4",
    "training.log_every_steps=5",
    "training.sample_every_steps=6",
    "training.save_every_steps=6",
    "metrics.every_steps=6",
    "metrics.images=60",
    "training.batch_size=8",
    "generator.base_filters=4",
    "generator.stages=[[4,2],[null,2]]",
    "discriminator.filters=[4,4]",
)

SMALL = (
    "training.steps=60",
    "training.steps_per_call=7",
    "training.log_every_steps=10",
    "training.sample_every_steps=30",
    "training.save_every_steps=20",
    "metrics.every_steps=30",
    "training.batch_size=16",
    "generator.base_filters=8",
    "generator.stages=[[8,2],[null,2]]",
    "discriminator.filters=[8,8]",
)


def weights(directory):
    """Every tensor of the newest checkpoint, by name."""
    newest = max((directory / "checkpoints").glob("step-*"))
    reader = tf.train.load_checkpoint(str(newest / "tensors"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name}


def records(directory):
    """metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    timed = ("seconds", "speed/images_per_second")
    return [{key: value for key, value in line.items() if key not in timed} for line in lines]


def assert_same_run(one, other):
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    assert records(one) == records(other)
    for picture in (one / "samples").iterdir():
        assert picture.read_bytes() == (other / "samples" / picture.name).read_bytes()
    results = [json.loads((path / "result.json").read_text()) for path in (one, other)]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert results[0]["profiles"] == results[1]["profiles"]
    assert results[0]["best"] == results[1]["best"]
    assert {result["status"] for result in results} == {"finished"}


def assert_same_end(one, other, extra=lambda line: False):
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    assert records(one) == [line for line in records(other) if not extra(line)]
    ends = [json.loads((path / "result.json").read_text()) for path in (one, other)]
    for key in ("status", "config", "metrics", "profiles", "images_seen", "protocol", "nulls"):
        assert ends[0][key] == ends[1][key], key
    assert json.loads((one / "config.json").read_text()) == json.loads((other / "config.json").read_text())
