"""What a run reads: found before anything starts, known again by its content, dealt by its classes."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from conftest import ROOT
from ganlab.cli.hydra import plan
from ganlab.config import pair, parse
from ganlab.data.digits import digits
from ganlab.data.sources import DATASETS
from ganlab.errors import ConfigError
from ganlab.report.page import _data
from ganlab.run import inputs, measuring
from ganlab.run.build import make_batches
from ganlab.run.inputs import check_inputs
from ganlab.run.life import run
from ganlab.run.sampler import Sampler
from ganlab.runs.folder import read_config
from ganlab.study.arms import gather_arms

SMALL = (
    "training.steps=4",
    "training.batch_size=8",
    "training.save_every_steps=2",
    "generator.base_filters=8",
    "generator.stages=[[8,2],[null,2]]",
    "discriminator.filters=[8,8]",
)


@pytest.fixture(scope="module")
def ten():
    return digits(plan([], multirun=False).cells[0].config.dataset).train


def write(path, pixels, labels=None):
    np.savez(path, images=pixels, **({} if labels is None else {"labels": labels}))
    return f"dataset.path={path}"


@pytest.fixture
def own(tmp_path, ten):
    """The arguments that name a small file of one's own."""
    return "dataset=arrays", write(tmp_path / "own.npz", ten.pixels[:200], ten.labels[:200])


REFUSED = {
    "dataset=arrays dataset.path=nowhere.npz": "dataset.path={here}/nowhere.npz does not exist; give an .npz or .npy",
    "dataset=arrays dataset.path=\"~/nowhere.npz\"": "dataset.path={home}/nowhere.npz does not exist",
    "dataset=arrays dataset.path=\"~nobody-of-that-name/x.npz\"": "dataset.path=~nobody-of-that-name/x.npz does not name a home folder; write the whole path",
    "dataset=arrays dataset.path=.": "is a directory; give an .npz or .npy file",
    "dataset=arrays dataset.path=own.npz dataset.held_out_path=nowhere.npy": "dataset.held_out_path={here}/nowhere.npy does",
    "dataset=mnist dataset.path=nowhere.npz": "dataset.path={here}/nowhere.npz does not exist",
    "dataset=mnist dataset.path=own.npz": "lacks x_train and x_test of Keras' mnist.npz (it has images, labels); use",
    "metrics=full metrics.final.inception_weights=nowhere.h5": "inception_weights={here}/nowhere.h5 is not an .h5 file",
    "training.batch_size=1439": "training.batch_size=1439 is more than the 1438 training images there are",
    "dataset=arrays dataset.path=own.npz training.batch_size=161": "batch_size=161 is more than the 160 training images",
    "dataset.held_out=0.0001": "dataset.held_out=0.0001 leaves one side empty",
    "metrics.neighbours=359": "metrics.neighbours=359 needs more images than that; there are 359 to measure with",
    "dataset=arrays dataset.path=own.npz metrics=full": "metrics=full needs 50 images to train on and 50 held out; there are 40",
    "dataset=photos dataset.size=32 dataset.images=120000": "exceed the number of different crops; use at most",
    "dataset=photos dataset.size=128 dataset.reduction=4": "use at most 0 together",
    "dataset=arrays dataset.path=bare.npz metrics=full metrics.final.features=[classifier]": "needs two classes, this dataset "
    "has no labels",
    "dataset=arrays dataset.path=bare.npz metrics=full comparison.quality=full/classifier/coverage": "comparison.quality="
    "full/classifier/coverage needs two classes, this dataset has no labels",
    "study=s seed=0,1 dataset=arrays dataset.path=own.npz,nowhere.npz": "dataset.path={here}/nowhere.npz does not exist",
}  # fmt: skip


@pytest.mark.slow
def test_everything_is_refused_without_tensorflow_and_leaves_nothing(tmp_path, own, ten):
    """One process for all, for the command line itself: each a line, status 2, no folder."""
    write(tmp_path / "bare.npz", ten.pixels[:400])
    lines = [[*text.split(), *(["-m"] if "study" in text else [])] for text in REFUSED]
    program = (
        "import contextlib, io, json, sys\nimport ganlab.train as train\nfound = []\n"
        f"for line in {lines!r}:\n"
        "    sys.argv[1:] = line\n    said = io.StringIO()\n"
        "    with contextlib.redirect_stderr(said):\n"
        "        try:\n            train.main()\n        except SystemExit as end:\n            status = end.code\n"
        "    found.append([status, said.getvalue()])\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\nprint(json.dumps(found))\n"
    )
    there = {path.name for path in tmp_path.iterdir()}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for (text, said), (status, line) in zip(REFUSED.items(), json.loads(done.stdout), strict=True):
        assert said.format(here=tmp_path, home=tmp_path) in line, (text, line)
        assert (status, line.count("\n")) == (2, 1), text
    assert {path.name for path in tmp_path.iterdir()} == there  # no outputs/


def test_what_only_the_images_can_tell_leaves_no_folder_either(settings, tmp_path):
    same = np.zeros((60, 8, 8), np.uint8)  # of which there is nothing to measure
    config = settings(*SMALL, "dataset=arrays", write(tmp_path / "same.npz", same))
    with pytest.raises(ConfigError, match="needs images that differ"):
        run(config, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_settings_of_a_file_mean_the_same_from_any_folder(settings, tmp_path, own, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = settings(*SMALL, "dataset=arrays", "dataset.path=own.npz").dataset
    assert config == settings(*SMALL, *own).dataset
    assert (config.path, config.size, config.channels, config.classes) == (f"{tmp_path}/own.npz", 8, 1, 10)
    assert (config.source, config.licence, config.bytes) == (
        "own.npz",
        "unknown",
        (tmp_path / "own.npz").stat().st_size,
    )
    link = tmp_path / "home"
    link.symlink_to(tmp_path)
    monkeypatch.setenv("HOME", str(link))
    assert settings(*SMALL, "dataset=arrays", 'dataset.path="~/own.npz"').dataset.path == f"{link}/own.npz"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, ten):
    """A run of a file that has half its steps, and its file."""
    folder = tmp_path_factory.mktemp("stopped")
    write(folder / "own.npz", ten.pixels[:200], ten.labels[:200])
    line = [*SMALL, "dataset=arrays", f"dataset.path={folder / 'own.npz'}", "conditional=true", "dataset.licence=CC0"]
    config = plan(line, multirun=False).cells[0].config
    run(config, folder / "run", quiet=True)
    (folder / "run" / "result.json").unlink()
    return folder, line


def test_a_run_is_not_gone_on_with_from_other_data(stopped, tmp_path, ten, monkeypatch):
    folder, line = stopped
    monkeypatch.chdir(tmp_path)
    assert run(read_config(folder / "run"), folder / "run", quiet=True).status == "finished"  # from another folder
    shutil.copy(folder / "own.npz", tmp_path / "own.npz")
    before = read_config(folder / "run").dataset.sha256
    (folder / "run" / "result.json").unlink()
    try:
        write(folder / "own.npz", ten.pixels[1:201], ten.labels[1:201])
        now = plan(line, multirun=False).cells[0].config
        assert now.dataset.sha256 != before
        for config in (read_config(folder / "run"), now):  # resume=RUN, and the same command again
            with pytest.raises(ConfigError) as caught:
                run(config, folder / "run", quiet=True)
            for text in ("own.npz", before[:16], now.dataset.sha256[:16], "restore that file"):
                assert text in str(caught.value)
            assert "\n" not in str(caught.value)
    finally:
        shutil.copy(tmp_path / "own.npz", folder / "own.npz")


def test_a_result_says_what_it_was_made_of(stopped):
    folder, line = stopped
    config = plan(line, multirun=False).cells[0].config
    result = run(config, folder / "run", quiet=True)
    data = result.data
    assert (data["source"], data["licence"], data["train"], data["held_out"], data["classes"]) == (
        "own.npz", "CC0", 160, 40, 10,
    )  # fmt: skip
    split = DATASETS["arrays"](config.dataset)
    assert data["sha256"] == split.facts["sha256"] != config.dataset.sha256
    split.held_out.labels[0] ^= 1
    assert data["sha256"] != split.facts["sha256"]
    ((name, row),) = [row for row in _data([result]) if "sha256" in row[1]]
    assert name == "data" and row.startswith("own.npz; licence CC0; 160 images to train on, 40 held out; 10 classes; ")
    assert result.config["dataset"]["class_counts"] == np.bincount(split.train.labels).tolist()


def test_runs_of_different_data_are_not_compared(stopped, tmp_path):
    folder, line = stopped
    result = run(plan(line, multirun=False).cells[0].config, folder / "run", quiet=True)

    def place(name, seed, generator, path="/a/own.npz", sha256="1" * 64):
        tree = json.loads((folder / "run" / "result.json").read_text())
        tree["seed"] = tree["config"]["seed"] = seed
        tree["config"]["generator"]["name"] = tree["variant"] = generator
        tree["config"]["dataset"] |= {"path": path, "sha256": sha256}
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "result.json").write_text(json.dumps(tree))

    assert result.status == "finished"
    place("a", 0, "transpose")
    place("b", 0, "upsample", path="/b/elsewhere/own.npz")  # where a file lies is no difference
    assert [arm.label for arm in gather_arms(tmp_path)] == ["transpose", "upsample"]
    for generator in ("upsample", "transpose"):
        place("b", 0, generator, sha256="2" * 64)
        with pytest.raises(ConfigError, match=r"has runs of different data, dataset\.sha256: 1+ and 2+; compare runs"):
            gather_arms(tmp_path)


# --- classes ----------------------------------------------------------------------------------------------------------


class Perfect:
    """A generator that gives, for each latent, a training image of the class that it is told."""

    def __init__(self, images):
        self._images = images

    def __call__(self, z, training):
        z, size = np.asarray(z), z.shape[1] - len(np.unique(self._images.labels))
        classes = z[:, size:].argmax(axis=1)
        picked = np.empty((len(z), *self._images.pixels.shape[1:]), np.float32)
        for label in np.unique(classes):
            mine, where = self._images.pixels[self._images.labels == label], classes == label
            picked[where] = mine[(np.abs(z[where, 0]) * 1e6).astype(int) % len(mine)] / 127.5 - 1
        return tf.constant(picked)


def in_turn(sampler, stream, count):
    """Latents as they would be if all classes were equally frequent."""
    z = sampler.latents(stream, count)
    size = z.shape[1] - sampler._config.classes
    z[:, size:] = np.eye(sampler._config.classes)[np.arange(count) % sampler._config.classes]
    return z


@pytest.mark.parametrize(
    ("counts", "worse"), [((170, 170, 60), 1.5), ((364, 24, 12), 6)], ids=["three classes", "91 % in one"]
)
def test_measures_are_of_the_mixture_that_was_trained_on(settings, tmp_path, ten, counts, worse):
    places = np.concatenate([np.resize(np.flatnonzero(ten.labels == n), count) for n, count in enumerate(counts)])
    path = write(tmp_path / "own.npz", ten.pixels[places], ten.labels[places])
    config = settings("dataset=arrays", path, "conditional=true", "generator.latent_size=8")
    split = measuring.open_images(config)
    sampler = Sampler(Perfect(split.train), config)
    sampler._generate = lambda z: sampler.generator(z, training=False)  # not in a graph
    told = measuring.prepare(config, split, print)
    ours = told.measure_quick(sampler).values["frechet_distance"]
    count = told.quick.n_fake
    theirs = told.quick([sampler.generate(in_turn(sampler, "latents/evaluation", count))]).values["frechet_distance"]
    floor = told.real_against_real["frechet_distance"]
    assert ours < 1.5 * floor
    assert theirs > worse * floor
    dealt = sampler.latents("latents/evaluation", count)[:, 8:].sum(axis=0)
    np.testing.assert_allclose(dealt, np.bincount(split.train.labels) / len(split.train.labels) * count, atol=1)


@pytest.mark.slow
def test_a_run_of_many_classes_is_trained_measured_and_drawn(settings, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (520, 8, 8), np.uint8)
    path = write(tmp_path / "letters.npz", pixels, np.arange(520) % 26 + 1)
    config = settings(*SMALL, "dataset=arrays", path, "conditional=true")
    result = run(config, tmp_path / "run", quiet=True)
    assert result.status == "finished"
    from ganlab.run.sampler import open_sampler

    (tmp_path / "letters.npz").rename(tmp_path / "away.npz")  # what is drawn later needs no data
    sampler, _ = open_sampler(tmp_path / "run")
    assert sampler.latents("latents/samples", 64).shape == (64, 64 + 26)
    assert sampler.sample("latents/samples", 26).shape == (26, 8, 8, 1)


# --- flips ------------------------------------------------------------------------------------------------------------


def rounds(config, step):
    images = DATASETS[config.dataset.name](config.dataset).train
    batches, step = make_batches(config, images), tf.constant(step, tf.int64)
    (places,) = batches.order(step, 1)
    return batches.make(step, places, [batches.read(at) for at in places])


@pytest.mark.parametrize(
    "overrides", [(), ("dataset=shapes", "dataset.images=90", "dataset.size=16")], ids=["digits", "shapes"]
)
def test_half_of_the_real_images_are_mirrored_and_no_others(settings, overrides):
    stages = ("generator.stages=[[8,2],[null,2]]",) if overrides else ()
    plain = settings(*overrides, *stages)
    flipped = settings(*overrides, *stages, "dataset.flip=horizontal")
    coins = []
    for step in (3, 4):
        for one, other in zip(
            *([*part[0], part[1]] for part in (rounds(plain, step), rounds(flipped, step))), strict=True
        ):
            before, after = one.real.numpy(), other.real.numpy()
            np.testing.assert_array_equal(one.latents, other.latents)
            same = (before == after).all(axis=(1, 2, 3))
            mirrored = (before[:, :, ::-1] == after).all(axis=(1, 2, 3))
            assert (same | mirrored).all() and 0.2 < mirrored.mean() < 0.8
            coins.append(mirrored)
    assert len({coin.tobytes() for coin in coins}) == 4  # of each step and round its own
    again = rounds(flipped, 4)[1].real.numpy()
    np.testing.assert_array_equal(again, after)  # and the same whenever it is asked for
    measured = [DATASETS[config.dataset.name](config.dataset).held_out.pixels for config in (plain, flipped)]
    np.testing.assert_array_equal(*measured)


def test_settings_of_before_mean_what_they_meant(settings):
    tree = settings().model_dump(mode="json")
    del tree["dataset"]["flip"]
    assert parse(tree) == settings()
    check_inputs(settings())
    assert pair(settings().dataset.size) == (8, 8)


def test_a_path_that_config_json_would_change_is_refused(settings):
    with pytest.raises(
        ConfigError, match=r"^dataset\.path=.*/a�\.npz has characters that cannot be printed.*; rename it$"
    ):
        settings("dataset=arrays", "dataset.path=a\u200f.npz")


def test_a_setting_of_a_later_run_of_a_sweep_is_refused_too():
    line = ["training.plateau=0.02", "metrics.every_steps=10", "optimizer.final_rate=1,0.1"]
    with pytest.raises(ConfigError, match=r"^training\.plateau=0\.02 ends runs before rates and noise have fallen"):
        inputs.check_all_inputs(cell.config for cell in plan(line, multirun=True).cells)


def test_a_sweep_looks_at_its_images_once(monkeypatch):
    looked = []
    monkeypatch.setattr(inputs, "check_inputs", lambda config: looked.append(config.training.batch_size))
    for line, times in ((["seed=range(9)", "generator=fir,carafe"], 1), (["seed=0,1", "training.batch_size=8,16"], 2)):
        looked.clear()
        inputs.check_all_inputs(cell.config for cell in plan(line, multirun=True).cells)
        assert len(looked) == times
