"""The whole life of a run: train, kill, go on, and leave the same bits behind."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from conftest import ROOT
from ganlab.config import Digits
from ganlab.data.digits import digits
from ganlab.data.photos import photo_labels
from ganlab.launch.process import finish
from ganlab.run import build, life
from ganlab.run.build import build_gan
from ganlab.run.callbacks import profile_event
from ganlab.run.life import run
from ganlab.run.sampler import Sampler
from ganlab.runs import grids, signals
from ganlab.runs.folder import finished, read_config
from ganlab.runs.signals import stop_requested
from small_runs import SMALL, TINY, assert_same_run, records, weights


def test_a_generator_that_no_stock_layers_can_be_loses_only_its_file(settings, tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise ValueError("stage1 is not made of stock Keras layers")

    for module in ("ganlab.run.callbacks", "ganlab.exports.portable"):
        monkeypatch.setattr(f"{module}.save_portable", refuse)
    config = settings(*TINY, "metrics=none")
    for _ in "ab":  # the second time the file is missed, and is to be written again
        assert run(config, tmp_path).status == "finished"
        assert "generator.keras cannot be written: stage1 is not made of" in capsys.readouterr().out
    assert not (tmp_path / "generator.keras").exists()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One small run that nobody disturbed."""
    from ganlab.cli.hydra import plan

    directory = tmp_path_factory.mktemp("whole")
    config = plan(list(SMALL), multirun=False).cells[0].config
    run(config, directory, quiet=True)
    return directory


def test_a_run_leaves_the_files_it_promises(whole):
    result = json.loads((whole / "result.json").read_text())
    assert result["status"] == "finished"
    real, generated = (np.log10(result["profiles"][side][1:]) for side in ("real", "generated"))
    assert len(real) == 4  # 8x8 images: rings 1 to 4
    assert result["metrics"]["spectral_distance"] == pytest.approx(np.abs(generated - real).mean())
    for key in ("variant", "seed", "config", "metrics", "protocol", "parameters", "macs", "images_seen", "seconds",
                "images_per_second", "versions", "device"):  # fmt: skip
        assert key in result, key
    began, ended = (datetime.fromisoformat(result[name]) for name in ("started", "ended"))
    assert began.tzinfo and (ended - began).total_seconds() > result["seconds"] - 1
    for key in ("n_real", "n_fake", "features", "split", "hash"):
        assert key in result["protocol"], key
    assert result["images_seen"] == 60 * 16
    assert set(result["metrics"]) >= {
        "frechet_distance",
        "kernel_distance",
        "precision",
        "recall",
        "density",
        "coverage",
    }
    assert result["config"] == json.loads((whole / "config.json").read_text())
    assert sorted(path.name for path in (whole / "samples").iterdir()) == [
        "real.png",
        "step-00000000.png",
        "step-00000030.png",
        "step-00000060.png",
    ]
    held_out = digits(Digits(name="digits", size=8, channels=1, held_out=0.2)).held_out.pixels
    shown = grids.grid(grids.some_of(held_out, 64))
    assert (np.asarray(Image.open(whole / "samples" / "real.png")) == shown[..., 0]).all()
    assert sorted(path.name for path in (whole / "checkpoints").iterdir()) == [
        "step-00000020",
        "step-00000040",
        "step-00000060",
    ]
    assert (whole / "generator.keras").exists()
    tags = {key for line in records(whole) for key in line}
    assert tags >= {"step", "images", "loss/discriminator", "loss/generator", "loss/penalty", "score/real", "score/fake",
                    "metric/frechet_distance"}  # fmt: skip
    assert [line["step"] for line in records(whole) if "loss/generator" in line] == [10, 20, 30, 40, 50, 60]


def test_the_same_run_is_not_made_twice(whole):
    before = (whole / "result.json").stat().st_mtime_ns
    run(read_config(whole), whole, quiet=True)
    assert (whole / "result.json").stat().st_mtime_ns == before


def test_the_same_seed_gives_the_same_bits_and_portions_change_nothing(whole, settings, tmp_path):
    """steps_per_call differs: how steps are portioned into calls must not show."""
    config = settings(*SMALL)
    other = config.model_copy(update={"training": config.training.model_copy(update={"steps_per_call": 60})})
    run(other, tmp_path / "b", quiet=True)
    assert_same_run(whole, tmp_path / "b")


@pytest.mark.slow
def test_another_seed_gives_another_run(whole, settings, tmp_path):
    run(settings(*SMALL, "seed=1"), tmp_path / "c", quiet=True)
    assert records(whole) != records(tmp_path / "c")


def test_both_arms_start_with_the_same_discriminator_and_see_the_same(settings):
    from ganlab.training.randomness import normals

    up, transpose = (build_gan(settings(f"generator={arm}", "seed=5")) for arm in ("upsample", "transpose"))
    for a, b in zip(up.discriminator.get_weights(), transpose.discriminator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(up.generator.get_layer("base").kernel, transpose.generator.get_layer("base").kernel)
    other = build_gan(settings("generator=upsample", "seed=6"))
    assert not np.array_equal(other.discriminator.get_weights()[0], up.discriminator.get_weights()[0])
    one, two = (normals(5, "latents/discriminator", step, (4, 8)).numpy() for step in (0, 1))
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(one, normals(5, "latents/discriminator", 0, (4, 8)))
    assert not np.array_equal(one, normals(5, "latents/generator", 0, (4, 8)))


def test_both_arms_get_the_same_batches_and_latents(settings, tmp_path, monkeypatch):
    """Recorded inside the step itself, not recomputed."""
    from ganlab.run import build

    seen: dict[str, list] = {}
    order, stream = build.order, build.Stream

    def spy_order(*arguments):
        places = order(*arguments)
        tf.py_function(lambda value: seen[arm].append(value.numpy().tolist()), [places], [])
        return places

    class SpyStream(stream):
        def __init__(self, seed, name, **more):
            super().__init__(seed, name, **more)
            self.name = name

        def normals(self, step, shape):
            z = super().normals(step, shape)
            tf.py_function(lambda value: seen[arm].append((self.name, float(value.numpy().sum()))), [z], [])
            return z

    monkeypatch.setattr(build, "order", spy_order)
    monkeypatch.setattr(build, "Stream", SpyStream)
    for arm in ("upsample", "transpose"):
        seen[arm] = []
        run(settings(*SMALL, "training.steps=5", f"generator={arm}"), tmp_path / arm, quiet=True)
    assert len(seen["upsample"]) >= 15
    assert sorted(map(str, seen["upsample"])) == sorted(map(str, seen["transpose"]))


def test_a_folder_that_holds_another_run_is_refused_and_left_alone(whole, settings, command):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    done = command("train", *SMALL, "training.steps=70", f"hydra.run.dir={whole}")
    assert done.returncode == 2
    assert "has training.steps=60, now 70; use another folder" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


@pytest.mark.slow
def test_an_interrupted_run_goes_on_to_the_same_bits(whole, command, tmp_path):
    """SIGINT: save, say how to go on; then `resume=`."""
    directory = tmp_path / "run"
    process = start(directory)
    while process.poll() is None and not (directory / "metrics.jsonl").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert f"python -m ganlab.train resume={directory}" in output
    assert json.loads((directory / "result.json").read_text())["status"] == "interrupted"
    done = command("train", f"resume={directory}")
    assert done.returncode == 0, done.stderr
    assert_same_run(whole, directory)


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    """That of the tests stays."""
    monkeypatch.setattr(signals, "_silence_terminal", lambda: None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])  # the next test has all four
def test_what_asks_to_stop_saves_first(whole, settings, tmp_path, monkeypatch, number):
    from ganlab.runs.records import Records

    write, times = Records.scalars, []

    def warned(self, step, *arguments):
        write(self, step, *arguments)
        if not times:
            times.append(step)
            os.kill(os.getpid(), number)
            time.sleep(0.2)  # a warning comes by way of a thread

    monkeypatch.setattr(Records, "scalars", warned)
    before = signal.getsignal(number)
    days = iter(range(10, 20))
    monkeypatch.setattr(life, "now", lambda: f"2026-11-{next(days)}T01:02:03+00:00")
    first = run(settings(*SMALL), tmp_path, quiet=True)
    assert (first.status, first.started) == ("interrupted", "2026-11-10T01:02:03+00:00")
    (tmp_path / "result.json").unlink()  # as after a kill: a checkpoint alone is gone on from
    assert signal.getsignal(number) == before
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [f"step-{times[0]:08d}"]
    again = run(settings(*SMALL), tmp_path, quiet=True)
    assert (again.status, again.started) == ("finished", first.started)
    assert_same_run(whole, tmp_path)


@pytest.mark.parametrize(
    ("numbers", "at_once"),
    [
        ("INT INT", True),
        ("TERM INT", True),
        ("USR1", False),
        ("USR1 USR1", False),
        ("USR1 TERM", False),  # a cluster's warning, and what it warned of while the run still saves
        ("TERM USR1", False),
        ("USR1 TERM TERM", True),
        ("HUP HUP", False),  # from the system and from the shell
        ("HUP TERM", False),
        ("HUP TERM TERM", True),
    ],
)
def test_the_second_signal_stops_at_once_and_a_warning_is_none(numbers, at_once):
    with pytest.raises(KeyboardInterrupt) if at_once else contextlib.nullcontext(), stop_requested() as stopping:
        assert not stopping()
        for name in numbers.split():
            os.kill(os.getpid(), getattr(signal, f"SIG{name}"))
            time.sleep(0.2)  # a warning comes by way of a thread
            assert stopping()


def start(directory):
    line = [sys.executable, "-m", "ganlab.train", *SMALL, f"hydra.run.dir={directory}"]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_after(process, directory, changes, moment):
    """kill -9 once the folder has changed so many times, and a moment more; whether it came before the end.

    What has happened decides, not the clock, so that a fast machine is hit as often as a slow one.
    """
    seen, before = -1, None
    while process.poll() is None and seen < changes:
        now = {entry for folder, _, names in os.walk(directory) for entry in sizes(folder, names)}
        seen, before = seen + (now != before), now
    time.sleep(moment)
    killed = process.poll() is None
    process.kill()
    process.communicate()
    return killed


def sizes(folder, names):
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            yield folder, name, Path(folder, name).stat().st_size


@pytest.mark.slow
def test_a_run_that_is_killed_at_random_moments_ends_in_the_same_bits(whole, command, tmp_path):
    """kill -9, and the same command again each time; early moments first, or a few late ones would end the run."""
    directory, random_numbers = tmp_path / "run", random.Random(int.from_bytes(os.urandom(4)))
    moments = sorted(random_numbers.randint(0, 30) for _ in range(4))
    kills = sum(kill_after(start(directory), directory, n, random_numbers.uniform(0, 0.05)) for n in moments)
    assert kills >= 2, moments
    done = command("train", *SMALL, f"hydra.run.dir={directory}")
    assert done.returncode == 0, done.stderr
    assert_same_run(whole, directory)


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_gone_on_from(whole, tmp_path, capsys):
    directory = shutil.copytree(whole, tmp_path / "run")
    (directory / "result.json").unlink()  # as if it had been killed before the end
    data = directory / "checkpoints" / "step-00000060" / "tensors.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[100] ^= 1
    data.write_bytes(content)
    run(read_config(directory), directory)
    said = capsys.readouterr().out
    assert "step-00000060: tensors.data-00000-of-00001 is damaged" in said
    assert "continuing from step 40" in said
    assert_same_run(whole, directory)


def test_checkpoints_that_cannot_be_used_are_an_error_and_nothing_is_lost(whole, capsys, tmp_path):
    directory = shutil.copytree(whole, tmp_path / "run")
    (directory / "result.json").unlink()
    for path in directory.glob("checkpoints/*/manifest.json"):
        path.write_text("{}")
    lines = (directory / "metrics.jsonl").read_text()
    assert finish(directory) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no checkpoint that can be used" in line
    assert (directory / "metrics.jsonl").read_text() == lines


@pytest.mark.slow
def test_a_profile_is_written_for_tensorboard(settings, tmp_path):
    run(settings(*SMALL, "training.steps=12", "training.profile=4:8", "metrics=none"), tmp_path, quiet=True)
    traces = list((tmp_path / "plugins" / "profile").rglob("*.xplane.pb"))
    assert len(traces) == 1
    assert traces[0].stat().st_size > 10_000


def test_a_profile_that_a_stop_cuts_short_is_ended(tmp_path, monkeypatch):
    told = []

    @contextlib.contextmanager
    def profile(_directory):
        told.append("start")
        yield
        told.append("stop")

    monkeypatch.setattr("tensorflow.profiler.experimental.Profile", profile)
    with contextlib.ExitStack() as stack:
        event = profile_event(tmp_path, "1:9", 0, stack)
        assert event.at == (1, 9) and not told
        event.act(1)
        assert told == ["start"]
    assert told == ["start", "stop"]
    with contextlib.ExitStack() as stack:
        event = profile_event(tmp_path, "1:9", 1, stack)  # a run that continues there
        event.act(9)
        assert told == ["start", "stop"] * 2


def test_batch_statistics_have_the_classes_of_the_training_images(settings):
    config = settings("conditional=true", "dataset=photos", "dataset.size=16", "dataset.reduction=4")
    sampler = Sampler(lambda z, training: z, config)
    batches = np.concatenate(sampler.batches(8, 50))
    classes = batches[:, config.generator.latent_size :].argmax(axis=1)
    share = np.mean(photo_labels(config.dataset))
    assert 0.4 < share < 0.6
    for size in (8, 100, 400):
        assert abs(classes[:size].sum() - share * size) < 1
    one = sampler.latents("latents/statistics/7", 8, 56)  # the same whatever was asked before
    np.testing.assert_array_equal(Sampler(sampler.generator, config).latents("latents/statistics/7", 8, 56), one)


@pytest.mark.slow
def test_statistics_of_the_average_are_taken_anew_where_asked(settings, tmp_path):
    batch = (*SMALL, "training.steps=20", "generator.normalization=batch", "metrics=none")
    found = {}
    for how in ("average", "recompute"):
        run(settings(*batch, f"training.ema_statistics={how}"), tmp_path / how, quiet=True)
        found[how] = weights(tmp_path / how)
    for name, value in found["average"].items():
        statistics = name.startswith("tensors/ema") and "moving" in name
        assert np.array_equal(value, found["recompute"][name]) == (not statistics), name


def test_a_run_that_diverges_says_where(settings, tmp_path):
    config = settings(*SMALL, "optimizer.d_learning_rate=1e30", "penalty=none", "generator.output=linear")
    result = run(config, tmp_path, quiet=True)
    assert result.status == "diverged"
    assert "between steps" in result.error
    assert "checkpoint" in result.error
    assert finished(config, tmp_path).status == "diverged"  # it would do so again


@pytest.mark.parametrize("first", ["log", pytest.param("save", marks=pytest.mark.slow)])
def test_a_generator_that_explodes_in_a_step_has_diverged_before_a_loss_shows_it(settings, tmp_path, first):
    often = (f"training.{first}_every_steps=1", "training.steps=3", "optimizer.g_learning_rate=1e30", "metrics=none")
    result = run(settings(*TINY, "training.log_every_steps=9", *often), tmp_path, quiet=True)
    assert result.status == "diverged"
    assert result.error.endswith("no longer finite at step 1; no checkpoint yet")


def test_a_generator_that_makes_no_numbers_from_the_start_has_diverged(settings, tmp_path, monkeypatch):
    def build_broken(config):
        gan = build_gan(config)
        gan.ema.variables[0].assign(gan.ema.variables[0] * np.nan)
        return gan

    monkeypatch.setattr(build, "build_gan", build_broken)
    result = run(settings(*TINY, "metrics=none"), tmp_path, quiet=True)
    assert (result.status, result.images_seen) == ("diverged", 0)
    assert result.error == "images of the averaged generator are no longer finite at step 0; no checkpoint yet"


def test_two_processes_never_write_one_run(settings, tmp_path):
    import fcntl

    from ganlab.errors import ConfigError

    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="is being written by another process"):
            run(settings(*SMALL), tmp_path / "run", quiet=True)


def test_a_folder_that_cannot_be_made_is_one_line(command, tmp_path):
    (tmp_path / "file").write_text("")
    done = command("train", *SMALL, f"hydra.run.dir={tmp_path}/file/run")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "size",
    [
        ("generator.stages=[[null,2]]", "generator.base_size=5", "dataset.size=10"),
        ("dataset.size=28",),
        ("dataset.size=32", "generator.stages=[[16,2],[8,2],[null,2]]", "dataset.channels=3"),
        ("dataset.size=[12,8]", "generator.stages=[[8,[3,2]],[null,[2,2]]]"),
        ("dataset.size=64", "generator.stages=[[16,4],[8,2],[null,2]]"),
    ],
)
@pytest.mark.parametrize("arm", ["upsample", "transpose"])
def test_any_size_is_reached_by_both_arms(settings, size, arm):
    from ganlab.config import pair

    config = settings(f"generator={arm}", "generator.base_filters=8", *size)
    gan = build_gan(config)
    shape = (*pair(config.dataset.size), config.dataset.channels)
    images = gan.generator(tf.zeros([2, config.generator.latent_size]))
    assert images.shape == (2, *shape)
    assert gan.discriminator(images).shape == (2, 1)


@pytest.mark.parametrize("arm", ["upsample", "transpose"])
def test_the_worked_example_has_its_parameters(settings, arm):
    """100 -> 5x5x128 -> 10x10: 100 x 3200 + 3200 for the dense map, 128 x 9 + 1 for the kernel of either operator."""
    config = settings(
        f"generator={arm}", "generator.latent_size=100", "generator.base_filters=128", "generator.stages=[[null,2]]",
        "generator.upsampling.kernel_size=3", "dataset.size=10",
    )  # fmt: skip
    generator = build_gan(config).generator
    assert generator.get_layer("base_map").output.shape == (None, 5, 5, 128)
    assert generator.count_params() == 324_353


@pytest.mark.parametrize("precision", ["mixed_bfloat16"])
@pytest.mark.parametrize("penalty", [pytest.param("none", marks=pytest.mark.slow), "r1_r2"])
def test_half_precision_trains_and_gives_float32_images(settings, tmp_path, precision, penalty):
    import keras

    try:
        result = run(settings(*SMALL, f"precision={precision}", f"penalty={penalty}"), tmp_path, quiet=True)
    finally:
        keras.config.set_dtype_policy("float32")
    assert result.status == "finished"
    assert precision in result.device


@pytest.mark.slow  # tests/test_device.py asks for it without a process
def test_float16_is_refused_on_a_cpu(command, tmp_path):
    done = command("train", *SMALL, "precision=mixed_float16", f"hydra.run.dir={tmp_path}/run")
    assert done.returncode == 2
    assert "precision=mixed_float16 needs a GPU" in done.stderr


def test_a_damaged_result_is_one_line_and_is_left_alone(whole, command, tmp_path):
    directory = shutil.copytree(whole, tmp_path / "run")
    (directory / "result.json").write_text('{"status": "fin')
    before = sorted(directory.rglob("*"))
    done = command("train", *SMALL, f"hydra.run.dir={directory}")
    assert done.returncode == 2
    assert "result.json is damaged" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(directory.rglob("*")) == before


@pytest.mark.slow
def test_a_run_of_rectangles_has_spectra_to_the_end(settings, tmp_path):
    config = settings(
        "dataset=shapes", "dataset.size=[16,32]", "dataset.images=100", "dataset.held_out=60", "training.steps=10",
        "training.batch_size=16", "generator.base_filters=4", "generator.stages=[[4,2],[null,2]]",
        "discriminator.filters=[4,4]", "metrics.every_steps=5", "metrics.images=50",
    )  # fmt: skip
    result = run(config, tmp_path / "run", quiet=True)
    assert result.status == "finished"
    wanted = {"spectral_distance", "high_frequency_bias", *(f"checkerboard_index_{stride}" for stride in (2, 4, 8))}
    assert wanted <= result.metrics.keys()
    assert result.real_against_real is not None
    assert wanted <= result.real_against_real.keys()
    assert not result.model_extra  # RunResult is the whole schema
    assert [len(result.profiles[side]) for side in ("real", "generated")] == [9, 9]
