"""`python -m ganlab.evaluate`: a checkpoint measured again, under a protocol that its name tells."""

import json
import os
import shutil
from functools import partial

import numpy as np
import pytest

from ganlab.errors import ConfigError
from ganlab.evaluate import measure_again, protocol
from ganlab.files import write_json
from ganlab.run import measuring
from ganlab.run.life import run
from ganlab.training.checkpoints import CheckpointError

SMALL = (
    "training.steps=20",
    "training.batch_size=16",
    "training.save_every_steps=10",
    "generator.base_filters=8",
    "generator.stages=[[8,2],[null,2]]",
    "discriminator.filters=[8,8]",
)
STAGES = "generator.stages=[[16,2],[8,2],[null,2]]"
CHEAP = ["metrics.final.features=[random]", "metrics.final.images=200"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from ganlab.cli.hydra import plan

    directory = tmp_path_factory.mktemp("trained")
    run(plan(list(SMALL), multirun=False).cells[0].config, directory, quiet=True)
    return directory


@pytest.mark.slow
def test_the_full_protocol_is_taken_and_written(trained):
    told = measure_again(trained, CHEAP, record=False)
    (folder,) = (trained / "evaluations").glob("step-*")
    found = json.loads((folder / "measures.json").read_text())
    assert found["protocol"]["name"] == "full"
    assert (found["protocol"]["n_real"], found["protocol"]["n_fake"], found["protocol"]["sets"]) == (200, 200, 2)
    assert found["step"] == 20
    assert found["metrics"].keys() == found["spread"].keys() == found["real_against_real"].keys()
    assert found["spread"]["full/random/frechet_distance"] > 0  # each set is another one
    assert "full/random/frechet_distance" in told
    assert "full/random/frechet_distance" not in json.loads((trained / "result.json").read_text())["metrics"]
    assert {path.suffix for path in folder.iterdir()} == {".json", ".png"}
    before = (folder / "measures.json").read_text()
    litter = [folder / ".77.measures.json", folder / ".unfinished.spectrum.png"]
    for path in litter:  # of a process that was killed
        path.write_bytes(b"half")
    measure_again(trained, CHEAP, record=False)
    assert (folder / "measures.json").read_text() == before
    assert not [path for path in litter if path.exists()]


@pytest.mark.slow
def test_a_record_stands_in_the_result_beside_the_quick_measures(trained):
    before = json.loads((trained / "result.json").read_text())
    measure_again(trained, CHEAP, record=True)
    tree = json.loads((trained / "result.json").read_text())
    old = {
        "draws": {"full/random/frechet_distance": [1.0, 2.0]},
        "ladder": {"full/random/frechet_distance": {"x": 1.0}},
    }
    (trained / "result.json").write_text(json.dumps(tree | old))
    measure_again(trained, [*CHEAP[1:], "metrics.final.features=[pca]"], record=True)
    after = json.loads((trained / "result.json").read_text())
    assert after["protocol"]["full"]["features"].keys() == {"pca"}
    assert not any("random" in name for name in after["metrics"])
    assert not after["draws"]  # those of other features
    assert not any("random" in name for name in after["ladder"])
    assert before["metrics"].items() <= after["metrics"].items()
    assert after["metrics"].keys() - before["metrics"].keys() == {n for n in after["metrics"] if n.startswith("full/")}


def test_the_quick_protocol_gives_what_the_run_measured_at_its_end(trained):
    measure_again(trained, ["metrics=quick"], record=False)
    (folder,) = (path for path in (trained / "evaluations").iterdir() if "-quick-" in path.name)
    found = json.loads((folder / "measures.json").read_text())
    result = json.loads((trained / "result.json").read_text())
    quick = {name: value for name, value in result["metrics"].items() if not name.startswith("full/")}
    assert found["metrics"] == pytest.approx(quick, rel=1e-6, abs=1e-9)
    assert found["protocol"].items() <= result["protocol"].items()


@pytest.mark.slow
def test_a_full_run_measures_both_ways(settings, tmp_path):
    result = run(settings(*SMALL, "metrics=full", *CHEAP), tmp_path, quiet=True)
    assert {"frechet_distance", "full/random/frechet_distance"} <= result.metrics.keys()
    assert result.protocol["name"] == "quick"
    assert result.protocol["full"]["name"] == "full"
    assert result.metrics.keys() <= result.real_against_real.keys()
    assert list((tmp_path / "pictures").glob("*.png"))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert any("metric/full/random/frechet_distance" in line for line in lines)


@pytest.mark.slow
def test_shapes_are_held_against_their_factors(settings, tmp_path, monkeypatch):
    small = ("dataset=shapes", "dataset.size=16", "dataset.images=60", "dataset.held_out=50", "dataset.channels=1")
    config = settings(*small, "generator.stages=[[8,2],[null,2]]", "metrics=full", "metrics.final.features=[pca]")
    lines = []
    monkeypatch.setattr(measuring, "train_readout", partial(measuring.train_readout, steps=10, batch=8))
    split = measuring.open_images(config)
    full = measuring.prepare(config, split, lines.append).full
    assert any("read-out" in line for line in lines)
    assert full.protocol["factors"]["quality"].keys() == {
        "accuracy_shape",
        "r2_x",
        "r2_y",
        "r2_size",
        "r2_angle",
        "r2_grey",
    }
    found = full([split.train.pixels]).values
    assert {
        "full/factors/total_variation_shape",
        "full/factors/grid_coverage",
        "full/factors/residual_median",
    } <= found.keys()
    assert "full/factors/grid_coverage" in full.nulls
    dark = full([np.zeros_like(split.train.pixels)]).values
    assert "full/factors/grid_coverage" in dark and "full/factors/residual_median" not in dark
    lines.clear()
    assert measuring.prepare(config, split, lines.append).full.protocol == full.protocol
    assert lines == []  # the second time nothing is trained


@pytest.fixture
def opening_fails(monkeypatch):
    """Nothing is measured in this test."""
    monkeypatch.setattr(measuring, "open_images", lambda config: pytest.fail("it measures"))


def test_record_needs_a_finished_run(trained, tmp_path, opening_fails):
    shutil.copytree(trained, tmp_path / "run")
    result = json.loads((trained / "result.json").read_text())
    (tmp_path / "run" / "result.json").write_text(json.dumps(result | {"status": "interrupted"}))
    with pytest.raises(ConfigError, match="--record needs a finished run"):
        measure_again(tmp_path / "run", CHEAP, record=True)


def test_record_needs_the_checkpoint_of_the_last_step(trained, tmp_path, opening_fails):
    """An earlier one is measured without --record, and must not stand for the end of the run."""
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "step-00000020" / "manifest.json").write_text("damaged")
    with pytest.raises(CheckpointError, match="no checkpoint that can be used: step-00000020"):
        measure_again(tmp_path / "run", CHEAP, record=True)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["seed=3"], "seed=3 is not a setting of measuring"),
        (["metrics=none"], "measures nothing"),
        (["metrics=fuller"], "fuller"),
        (["metrics.final.features=[]"], "must name at least one kind"),
        (["metrics.final.features=[pca,pca]"], "none twice"),
        (["metrics.final.features=[clip]"], "clip"),
        (["metrics.final.neighbours=0"], "metrics.final.neighbours=0"),
        (["metrics.final.images=49"], "metrics.final.images=49 is out of range; use a number at least 50"),
    ],
)
def test_wrong_settings_are_one_line(settings, overrides, words):
    with pytest.raises(ConfigError, match=words.replace("[", r"\[")) as error:
        protocol(settings().metrics, overrides)
    assert "\n" not in str(error.value)


def test_more_neighbours_than_images_is_one_line(trained):
    with pytest.raises(ConfigError, match=r"metrics\.final\.neighbours=400 needs more images"):
        measure_again(trained, ["metrics.final.neighbours=400"], record=False)


def test_too_few_images_for_the_full_protocol_is_one_line(settings):
    config = settings("dataset=photos", "dataset.held_out=49", "dataset.images=60", "metrics=full", STAGES)
    with pytest.raises(ConfigError, match="metrics=full needs 50 images to train on and 50 held out; there are 49"):
        measuring.open_images(config)


def test_as_few_images_as_allowed_are_measured(settings):
    images = (
        "dataset.size=16",
        "dataset.held_out=50",
        "dataset.images=50",
        "metrics=full",
        "metrics.final.features=[pca]",
    )
    config = settings("dataset=photos", *images, "generator.stages=[[8,2],[null,2]]")
    split = measuring.open_images(config)
    full = measuring.prepare(config, split, print).full
    assert full([split.train.pixels, split.held_out.pixels]).values.keys() == full.real_against_real.keys()


def test_real_images_that_cannot_be_measured_are_one_line(settings, tmp_path):
    same = np.tile(np.random.default_rng(0).integers(0, 256, (1, 8, 8), np.uint8), (60, 1, 1))
    train = np.random.default_rng(1).integers(0, 256, (60, 8, 8), np.uint8)
    np.savez(tmp_path / "copies.npz", x_train=train, x_test=same)
    path = ("dataset=arrays", f"dataset.path={tmp_path / 'copies.npz'}")
    config = settings(*path, "generator.stages=[[8,2],[null,2]]")
    with pytest.raises(ConfigError, match=r"^dataset=arrays cannot be measured: real ") as caught:
        measuring.prepare(config, measuring.open_images(config), print)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_run_is_one_line(command, tmp_path):
    done = command("evaluate", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "config.json" in done.stderr


def test_measures_that_could_not_be_written_are_not_taken(settings, tmp_path, monkeypatch):
    write_json(tmp_path / "config.json", settings().model_dump(mode="json"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match=f"^{tmp_path} is read-only, and the measures go there; copy "):
        measure_again(tmp_path, [], record=False)
