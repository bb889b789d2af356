"""What the measures of a study leave in a run: draws, the ladder of known faults, curves, and collapse."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from ganlab.errors import ConfigError
from ganlab.run import callbacks
from ganlab.run.life import run
from ganlab.run.measuring import open_images, prepare
from ganlab.training.checkpoints import best
from small_runs import SMALL, records

STUDY = (
    *SMALL,
    "metrics=study",
    "metrics.final.features=[pca,random]",
    "metrics.final.mean_over=[pca,random]",
    "metrics.final.draws={classifier: 1, random: 2, pca: 2}",
    "metrics.final.images=200",
    "metrics.final.every_steps=20",
    "comparison.quality=full/mean/frechet_distance",
)


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    from ganlab.cli.hydra import plan

    directory = tmp_path_factory.mktemp("studied")
    return run(plan(list(STUDY), multirun=False).cells[0].config, directory, quiet=True), directory


def test_the_primary_is_taken_during_training_and_at_the_end(studied):
    result, directory = studied
    tag = "metric/full/mean/frechet_distance"
    assert [record["step"] for record in records(directory) if tag in record] == [20, 40, 60]
    assert not any("metric/full/pca/energy_distance" in record for record in records(directory)[:-1])
    assert result.best is not None and result.best.metric == "full/mean/frechet_distance"
    assert result.best.step == best(directory / "checkpoints") == 60  # it has become better all the time


def test_every_draw_stands_in_the_result(studied):
    result, _ = studied
    draws = [result.draws[f"full/{kind}/frechet_distance"] for kind in ("pca", "random")]
    assert [len(column) for column in draws] == [2, 2]
    mean = np.exp(np.mean([np.log(column).mean() for column in draws]))
    assert result.metrics["full/mean/frechet_distance"] == pytest.approx(mean)
    assert "full/mean/frechet_distance" in result.ladder
    assert result.protocol["full"]["mean_over"] == ["pca", "random"]
    assert result.real_against_real is not None and "full/mean/coverage" in result.real_against_real


@pytest.mark.slow
def test_a_run_says_since_when_it_has_been_collapsed(settings, tmp_path, capsys):
    flat = ("generator.normalization=none", "optimizer.g_learning_rate=1e-9", "training.ema_half_life_images=0")
    strict = "comparison.collapse=0.9"
    result = run(settings(*SMALL, *flat, strict, "metrics.every_steps=20"), tmp_path / "strict")
    assert result.collapsed_at == 20
    assert capsys.readouterr().out.count("the generator has collapsed at step 20: ") == 1
    written = json.loads((tmp_path / "strict" / "result.json").read_text())
    assert written["collapsed_at"] == 20
    lenient = run(settings(*SMALL, *flat, "comparison.collapse=null"), tmp_path / "lenient", quiet=True)
    assert lenient.collapsed_at is None


def test_a_mean_over_what_the_images_do_not_have_is_refused(settings, tmp_path):
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 255, (400, 8, 8, 1), np.uint8))
    config = settings("metrics=study", "dataset=arrays", f"dataset.path={tmp_path / 'images.npy'}", "dataset.size=8",
                      "dataset.channels=1", "metrics.final.features=null")  # fmt: skip
    with pytest.raises(ConfigError, match=r"^metrics.final.mean_over has classifier, which these images do not allow"):
        prepare(config, open_images(config), lambda line: None)


def test_the_quick_coverage_decides_where_the_primary_has_none(settings):
    config = settings(*STUDY, "comparison.quality=full/spectral_distance")
    during = callbacks.Callbacks.__new__(callbacks.Callbacks)
    during._config, during._history, during.collapsed_at = config, {}, None
    during._measuring = SimpleNamespace(real_against_real={"coverage": 0.9, "full/pca/coverage": 0.9})
    during._progress = SimpleNamespace(say=lambda line: None)
    during._note_progress(20, {"coverage": 0.0})
    assert during.collapsed_at == 20


@pytest.mark.slow
def test_quick_measures_do_not_contradict_the_primary_about_a_collapse(settings, tmp_path, monkeypatch):
    # Only the features of the primary say so; quick ones are taken between, and at the last step.
    monkeypatch.setattr(callbacks, "has_collapsed", lambda _, measured, *__: "full/mean/coverage" in measured)
    assert run(settings(*STUDY), tmp_path / "run", quiet=True).collapsed_at == 20
