"""The doctor: what it measures is measured, and its advice follows from it."""

import pytest

from ganlab.doctor import Timing, advice, examine, room
from ganlab.errors import ConfigError


def timing(precision, compile_, step):
    return Timing(precision, compile_, 1.0, step)


@pytest.mark.slow
def test_it_names_the_machine_and_measures_each_precision_and_way_of_compiling(command):
    done = command(
        "doctor", "generator.base_filters=8", "generator.stages=[[8,2],[null,2]]", "discriminator.filters=[8]"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for word in ("device", "bfloat16", "XLA", "versions", "threads", "memory", "tensorflow 2."):
        assert word in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("float32", "mixed_"))]
    assert [row[:2] for row in rows] == [
        ["float32", "graph"],
        ["float32", "xla"],
        ["mixed_bfloat16", "graph"],
        ["mixed_bfloat16", "xla"],
    ]
    for row in rows:
        first, step, rate = float(row[2]), float(row[4]), float(row[6].replace(",", ""))
        assert first > 0
        assert rate == pytest.approx(64 / step * 1000, rel=0.05)
    assert done.stdout.splitlines()[-1].startswith("advice: ")


def test_a_wrong_setting_is_one_line(command):
    done = command("doctor", "training.stepz=3")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("training.batch_size=4096", "is more than the 1438 training images there are"),
        ("precision=mixed_float16", "mixed_float16"),
        ("resume=somewhere", "resume=somewhere is a run, but the doctor examines settings"),
    ],
)
def test_what_a_run_would_refuse_is_refused_before_anything_is_timed(line, said, capsys):
    with pytest.raises(ConfigError, match=said):
        examine([line])
    assert "images/s" not in capsys.readouterr().out


def test_advice_names_what_is_faster_and_by_how_much():
    both = [timing("float32", "graph", 0.02), timing("float32", "xla", 0.01)]
    assert advice(both, ("float32", "graph"), "cpu") == (
        "advice: precision=float32 training.compile=xla is 2.00 times as fast as float32 with graph"
    )


def test_advice_to_keep_what_is_fast_enough():
    both = [timing("float32", "graph", 0.0102), timing("float32", "xla", 0.01)]
    assert advice(both, ("float32", "graph"), "gpu") == "advice: keep precision=float32 and training.compile=graph"


def test_room_says_what_batch_fits_and_how_many_runs_pay():
    said = room(64, peak=3 * 2**20, total=50 * 2**20)
    assert said.startswith("memory: at most 3 of 50 MB; a batch of 1024 fits.")  # 16 times 3 MB
    assert "n_jobs=2" in said
