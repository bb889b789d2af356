"""Settings: what is refused, in one line, and that the committed YAML means what it says."""

import ast
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hydra.errors import ConfigCompositionException
from PIL import Image

from ganlab import __version__
from ganlab.cli.choices import CONF, groups, options
from ganlab.cli.help import last_lines
from ganlab.cli.hydra import cell_name, explain_hydra, plan
from ganlab.config import differences, pair, parse
from ganlab.data.images import Images
from ganlab.errors import ConfigError
from ganlab.evaluation.protocols import _artifacts, _patches, _spectrum
from ganlab.evaluation.registry import names_under
from ganlab.launch.sweep import _to_workers
from ganlab.run.build import check_images
from ganlab.runs.folder import read_config
from ganlab.runs.result import RunResult
from ganlab.train import _read

ROOT = Path(__file__).parents[2]
EXTRA = {"dataset=mnist": ["generator.stages=[[32,2],[null,2]]"]}


def every_choice():
    return [f"{group}={option}" for group in groups() for option in options(group)]


@pytest.mark.parametrize(
    "choice", [pytest.param(one, marks=pytest.mark.slow if "tuning" in one else ()) for one in every_choice()]
)
def test_every_committed_yaml_composes_and_validates(choice, tmp_path):
    np.save(tmp_path / "own.npy", np.zeros((9, 8, 8), np.uint8))
    (tmp_path / "own").mkdir()
    for number in range(9):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(tmp_path / "own" / f"{number}.png")
    files = {"dataset=arrays": "own.npy", "dataset=folder": "own"}
    own = [f"dataset.path={tmp_path / files[choice]}"] if choice in files else []
    if choice in ("dataset=tfds", "dataset=huggingface"):  # which name no set by themselves
        with pytest.raises(ConfigError, match=r"=null names no images; give dataset\.(set|path)=NAME"):
            plan([choice], multirun=False)
        return
    wanted = plan([choice, *own], multirun=False)
    assert wanted.cells


def test_every_setting_in_yaml_has_a_comment():
    for path in CONF.rglob("*.yaml"):
        if "experiment" in path.parts:
            continue
        text = path.read_text().partition("\nhydra:")[0]
        assert text.startswith("#"), path
        for line in text.splitlines():
            bare = line.strip()
            plain = bare and not bare.startswith(("#", "-", "name:")) and not bare.endswith(":")
            assert not plain or "#" in bare or "none" in path.stem, f"{path}: {line}"


def test_an_endpoint_is_one_that_the_runs_measure(settings):
    def accepted(metric, *more):
        try:
            return bool(settings("metrics=full", f"comparison.quality={metric}", *more))
        except ConfigError as error:
            return not str(error).startswith(f"comparison.quality={metric} is not measured in these runs; ")

    shapes = "dataset=shapes"
    inception = "metrics.final.features=[inception]"
    assert accepted("full/inception/kid", inception) and accepted("full/inception/inception_score", inception)
    assert not accepted("full/inception/modes", inception)  # it knows other classes than those of the images
    for metric in ("full/pca/coverage", "full/classifier/modes", "full/coherent_checkerboard_index_4",
                   "full/sliced_wasserstein_8", "full/random/sliced_wasserstein", "coverage"):  # fmt: skip
        assert accepted(metric), metric
    assert accepted("full/factors/kolmogorov_size", shapes)
    assert accepted("full/factors/mutual_information_x_y", shapes)
    for metric in ("full/clasifier/coverage", "full/coverage", "full/inception/frechet_distance", "full/pca/modes",
                   "full/inception/kid", "full/pixels/coverage",
                   "full/factors/kolmogorov_size", "full/checkerboard_index_3", "full/pca/fid"):  # fmt: skip
        assert not accepted(metric), metric
    assert not accepted("full/classifier/coverage", "metrics.final.features=[pca]")
    assert not accepted("full/factors/coverage", shapes)


@pytest.mark.parametrize("size", [*((n, n) for n in (*range(1, 18), 20, 24, 28, 31, 32, 33, 40, 64)), (16, 32), (32, 16), (8, 12),
                                  (28, 32), (2, 64), (1, 8), (20, 18), (9, 15)])  # fmt: skip
def test_what_images_of_a_size_cannot_have_is_known_before_they_are_measured(size):
    """Two routes: the rule by which settings are refused, and what the measures themselves give of noise."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (12, *size, 1)).astype(np.uint8)
    spectra = _spectrum(images)
    given = {*_artifacts(spectra, spectra, thorough=True), *_patches(images, images)}
    promised = {name.removeprefix("full/") for name in names_under(["pca"], False, size) if "/pca/" not in name}
    of_sides = re.compile(r"spectral_distance|spectral_distance_high|high_frequency_bias|\w+_\d+")
    assert {name for name in promised if of_sides.fullmatch(name)} == {
        name for name in given if of_sides.fullmatch(name) and not name.startswith("phase_variance")
    }


def test_an_endpoint_that_images_cannot_have_is_refused_where_runs_are_compared(settings):
    odd = ["dataset.size=9", "generator.stages=[[null,3]]", "comparison.checkerboard=checkerboard_index_2"]
    assert settings(*odd)  # alone, and nobody chose it
    words = "checkerboard_index_2 cannot be measured on images of 9x9 pixels; use comparison.checkerboard=null"
    for more, multirun in ((["study=mine"], False), (["seed=0,1"], True)):
        with pytest.raises(ConfigError, match=words):
            plan([*odd, *more], multirun=multirun)
        assert plan([*odd[:2], *more, "comparison.checkerboard=null"], multirun=multirun).cells
    with pytest.raises(ConfigError, match="checkerboard_index_4 cannot be measured on images of 9x9"):
        settings(*odd[:2], "comparison.checkerboard=checkerboard_index_4")


WRONG = {
    "hydra.launcher.n_jobs=2": "hydra.launcher.n_jobs is not a setting of this launcher; it needs hydra/launcher=joblib",
    "comparison.quality=coverige": "comparison.quality=coverige is not a measure with a better side; did you mean coverage?",
    "comparison.spectrum=full/spectral_distance": "comparison.spectrum=full/spectral_distance is measured with metrics=full only",
    "comparison.quality=coverage_7": "comparison.quality=coverage_7 is not measured in these runs; did you mean coverage?",
    "comparison.checkerboard=checkerboard_index_3": "comparison.checkerboard=checkerboard_index_3 is not measured in these runs",
    "comparison.quality=ful/pca/coverage": "comparison.quality=ful/pca/coverage is not measured in these runs; did you mean",
    "comparison.checkerboard=checkerboard_index_8": "comparison.checkerboard=checkerboard_index_8 cannot be measured on images of 8x8 pixels; use comparison.checkerboard=null, or did you mean checkerboard_index_4?",
    "comparison.quality=fid": "comparison.quality=fid is not measured in these runs",
    "+comparison.margins.foo=1": "comparison.margins.foo is not a measure; choose one of",
    "comparison.margins.coverage=0": "comparison.margins.coverage=0 is out of range; use a number above 0",
    "generator=transposed": "generator=transposed is unknown; did you mean transpose?",
    "generatr=transpose": "generatr is not a setting; did you mean generator?",
    "training.stepz=3": "training.stepz is not a setting of training; did you mean steps?",
    "+training.foo=3": "training.foo is not a setting of training",
    "training.steps=abc": "training.steps='abc' is not a whole number",
    "training.steps=0": "training.steps=0 is out of range; use a number at least 1",
    "training.batch_size=-4": "training.batch_size=-4 is out of range; use a number at least 1",
    "seed=1.5": "seed=1.5 is not a whole number",
    "seed=-1": "seed=-1 is out of range; use a number at least 0",
    "seed=1,2": "seed=1,2 has several values; add -m",
    "foo": "'foo' cannot be read; write name=value",
    "generator.upsampling.name=transposed": "generator.upsampling.name='transposed' is unknown; did you mean transpose?",
    "generator.upsampling.kernel_size=0": "generator.upsampling.kernel_size=0 is out of range",
    "generator.stages=[[0,2],[null,2]]": "generator.stages.0.0=0 is out of range",
    "generator.stages=[]": "generator.stages=[] is too short",
    "generator.stages=7": "generator.stages=7 is not a list; write one in brackets",
    "generator.stages=[7]": "generator.stages.0=7 is not a list; write it as [filters,scale]",
    "generator.stages=[[null,2],[4,2]]": "generator.stages.0 has no filters",
    "generator.stages=[[64,2],[3,2]]": "generator.stages ends in 3 filters; the images have dataset.channels=1",
    "dataset.size=9": "dataset.size=9 cannot be reached by the generator's stages, which enlarge 4 times; use 8 or 12",
    "dataset.size=[8]": "dataset.size=[8] has too few entries",
    "dataset.size=[8,0]": "dataset.size.1=0 is out of range",
    "generator.base_size=5": "use dataset.size=20, or generator.base_size=2",
    "dataset.channels=2": "dataset.channels=2 is unknown; choose one of: 1, 3",
    "precision=float16": "precision='float16' is unknown; did you mean",
    "discriminator.normalization=batch": "penalty=r1_r2 needs a gradient for each image",
    "optimizer.beta_1=1": "optimizer.beta_1=1 is out of range; use a number below 1",
    "study=a/b": "study='a/b' cannot name a folder",
    "study=report": "study=report is where ganlab.compare writes a report; use another word",
    "study=comparison": "study=comparison is where ganlab.dashboard writes a comparison; use another word",
    f"study={'x' * 300}": f"study={'x' * 20}... names a folder with 300 bytes; use at most 255",
    "penalty.weight=0": "penalty.weight=0 is out of range; use a number above 0",
    "training.profile=five": "training.profile='five' names no steps; write START:STOP, such as 100:110",
    "training.profile=9:3": "with START below STOP",
    "training.profile=4000:4010": "begins after the last step, training.steps=4000; name earlier ones",
    "training.replicas=3": "training.batch_size=64 cannot be shared by training.replicas=3; use a multiple",
    "training.compile=jit": "training.compile='jit' is unknown",
    "training.ema_rampup=0": "training.ema_rampup=0 is out of range; use a number above 0",
    "optimizer.schedule=step": "optimizer.schedule='step' is unknown; choose one of: cosine, linear",
    "augment.cutout=1.5": "augment.cutout=1.5 is out of range; use a number at most 1",
    "objective.label_smoothing=0.1": "objective.label_smoothing is not a setting of relativistic",
    "objective=non_saturatin": "did you mean non_saturating?",
    "penalty.every_steps=0": "penalty.every_steps=0 is out of range; use a number at least 1",
    "generator={a:b}": "generator={a:b} is not a choice; choose one of: carafe",
    "~generator": "generator.name is missing",
    "metrics.final.images=100": "metrics.final.images is not a setting of quick; it needs metrics=full or study",
    "metrics.final.imagez=100": "metrics.final.imagez is not a setting; did you mean metrics.final.images? it needs metrics=full",
    "+metrics.final.images=100": "metrics.final is not a setting of quick; it needs metrics=full",
    "generator.upsampling.phase_bias=true": "is not a setting of transpose; it needs generator=pixel_shuffle or pixel_shuffle_icnr",
    "objective.label_smoothing=0.2": "it needs objective=least_squares or non_saturating",
    "dataset.reduction=2": "dataset.reduction needs dataset=photos; add it",
    "dataset.reductoin=2": "dataset.reductoin is not a setting; did you mean dataset.reduction? it needs dataset=photos",
}


@pytest.mark.parametrize("override", WRONG)
def test_a_wrong_setting_is_one_line_that_says_where_and_what(override):
    with pytest.raises(ConfigError) as caught:
        plan([override], multirun=False)
    assert str(caught.value).startswith(WRONG[override]) or WRONG[override] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_error_names_the_settings_of_the_choice_that_was_made():
    needed = r"penalty.weight is not a setting of none; it needs penalty=interpolation, r1, r1_r2, r2 or zero_centred"
    with pytest.raises(ConfigError, match=needed):
        plan(["penalty=none", "penalty.weight=3"], multirun=False)
    with pytest.raises(ConfigError, match=r"metrics.final.images is not a setting of none; it needs metrics=full"):
        plan(["metrics=none", "metrics.final.images=100"], multirun=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: {steps: 3}", "experiment=mine sets experiment, which is no setting; begin its YAML file with the line # @package _global_"),
        ("# @package _global_\ndefaults: [override generator: fir]", "experiment/mine.yaml overrides generator, which is not in its folder; write override /generator: ..."),
        ("# @package _global_\ndefaults: [/generator: fir]", "generator is chosen twice; write override /generator: fir in the defaults of the YAML file"),
        ("# @package _global_\ndefaults: [upsampling_digit]", "experiment=upsampling_digit is unknown; did you mean upsampling_digits?"),
        ("# @package _global_\ngenerator: fir", "generator=fir in a YAML file is not among its defaults; write override /generator: fir there"),
        ("# @package _global_\ntraining: 3", "training=3 is not a mapping"),
        ("# @package _global_\ndefaults: [override /metrics: full]\nmetrics: {final: {features: pca}}", "metrics.final.features='pca' is not a list"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_yaml_file_of_ones_own_is_told_with_its_remedy(tmp_path, text, message):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)):
        plan(["experiment=mine"], multirun=False, config_dir=str(tmp_path))


@pytest.mark.parametrize("question", ["Is it better, or isn't it?", "'Is it, or not?'", "null"])
def test_a_question_is_a_sentence(question):
    (cell,) = plan([f"comparison.question={question}"], multirun=True).cells
    assert cell.config.comparison.question == {"null": None}.get(question, question.strip("'"))


def test_an_error_names_the_choice_of_ones_own_that_has_a_setting(tmp_path):
    (tmp_path / "penalty").mkdir()
    (tmp_path / "penalty" / "mine.yaml").write_text("# Mine.\nname: r1\nweight: 1.0\nevery_steps: 1\nextra: 1\n")
    with pytest.raises(ConfigError, match=r"penalty.extra needs penalty=mine; add it"):
        plan(["penalty.extra=3"], multirun=False, config_dir=str(tmp_path))


LEFT_ALONE = ["dataset.size=8", "generator.placement=all_but_last", "generator.stages=[[null,2]]"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["objective=wasserstein", "penalty=none"], "penalty=none leaves objective=wasserstein without a bound"),
        (["objective=wasserstein", "penalty=none", "discriminator=residual"], "use penalty=interpolation or another"),
        (LEFT_ALONE, "generator.placement=all_but_last leaves no stage to the operator under study"),
        (["metrics.images=5"], "metrics.images=5 is too few for each image to have 5 neighbours; use at least 6"),
        (
            ["metrics=none", "metrics.images=3"],
            "metrics.images=3 is too few for each image to have 5 neighbours; use at least 6",
        ),
        (
            ["metrics=full", "metrics.final.images=50", "metrics.final.neighbours=50"],
            "metrics.final.images=50 is too few",
        ),
        (
            ["metrics=full", "metrics.final.mean_over=[pca]"],
            "metrics.final.mean_over=['pca'] must name at least two kinds",
        ),
        (
            ["metrics=full", "metrics.final.mean_over=[pca,pca]"],
            "must name at least two kinds of features, and none twice",
        ),
        (
            ["metrics=study", "metrics.final.features=[pca]"],
            "metrics.final.mean_over has classifier, and metrics.final.features=['pca'] does not; add it",
        ),
        (["metrics=full", "comparison.quality=full/mean/frechet_distance"], "is not measured in these runs"),
        (["metrics=study", "comparison.quality=full/mean/kernel_distance"], "is not measured in these runs"),
        (["metrics=full", "metrics.final.draws.pca=0"], "metrics.final.draws.pca"),
        (["metrics=full", "metrics.final.every_steps=0"], "metrics.final.every_steps"),
        (["comparison.collapse=1.5"], "comparison.collapse"),
    ],
)
def test_choices_that_cannot_work_together_are_refused(line, message):
    with pytest.raises(ConfigError) as caught:
        plan(line, multirun=False)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_wasserstein_objective_takes_every_penalty_and_spectral_normalization():
    def config(*overrides):
        return plan(["objective=wasserstein", *overrides], multirun=False).cells[0].config

    for penalty in set(options("penalty")) - {"none"}:
        run_config = config(f"penalty={penalty}")
        assert (run_config.objective.name, run_config.penalty.name) == ("wasserstein", penalty)
    for body in options("discriminator"):
        run_config = config("penalty=none", "discriminator.normalization=spectral", f"discriminator={body}")
        assert (run_config.objective.name, run_config.penalty.name) == ("wasserstein", "none")
        assert (run_config.discriminator.name, run_config.discriminator.normalization) == (body, "spectral")


@pytest.mark.parametrize(
    ("size", "doublings", "base"),
    [
        *((f"{side}", 2, (side // 4, side // 4)) for side in (4, 8, 12, 16, 20, 24, 28, 32)),  # as they always were
        ("[8,16]", 2, (2, 4)),
        ("40", 3, (5, 5)),
        ("48", 3, (6, 6)),
        ("56", 3, (7, 7)),
        ("64", 4, (4, 4)),
        ("96", 4, (6, 6)),
        ("128", 5, (4, 4)),
        ("[64,32]", 3, (8, 4)),
        ("[32,128]", 3, (4, 16)),
        ("36", 2, (9, 9)),  # 9 cannot be halved
        ("72", 3, (9, 9)),
        ("100", 2, (25, 25)),
    ],
)
def test_stages_that_nobody_chose_fit_the_images(settings, size, doublings, base):
    config = settings(f"dataset.size={size}", "dataset=digits")
    stages = [(32, 2)] * (doublings - 1) + [(None, 2)]
    assert list(config.generator.stages) == stages and config.model_dump(mode="json")["generator"]["stages"]
    height, width = pair(config.dataset.size)
    assert (height // config.generator.scale[0], width // config.generator.scale[1]) == base
    assert config == settings(f"dataset.size={size}", f"generator.stages={json.dumps(stages)}")
    assert parse(config.model_dump(mode="json")) == config


def test_stages_that_nobody_chose_lead_from_a_base_that_somebody_did(settings):
    assert [len(settings(f"generator.base_size={base}").generator.stages) for base in (1, 2, 4)] == [3, 2, 1]
    wide = settings("dataset.size=[64,32]", "generator.base_size=[4,2]")
    assert wide.generator.scale == (16, 16)
    assert settings("generator.stages=null") == settings()


@pytest.mark.parametrize("tree", [{}, {"generator": 3}, {"generator": {"stages": None}, "dataset": None}])
def test_a_tree_that_is_wrong_in_another_way_is_refused_for_that(tree):
    with pytest.raises(ConfigError):
        parse(tree)


def test_the_groups_of_a_minibatch_deviation_fit_into_a_replica():
    plan(["discriminator.minibatch_std=64"], multirun=False)
    with pytest.raises(ConfigError, match=r"minibatch_std=64 does not divide the 32 images .* use 32"):
        plan(["discriminator.minibatch_std=64", "training.replicas=2"], multirun=False)


def test_xla_and_several_devices_are_not_asked_for_together():
    with pytest.raises(ConfigError, match=r"training\.compile=xla works on one device; use graph"):
        plan(["training.compile=xla", "training.replicas=2"], multirun=False)


def test_xla_is_refused_where_workers_share_the_batch(settings):
    images = Images(np.zeros((64, 8, 8, 1), np.uint8), None, "x", "x")
    check_images(settings(), images, replicas=2)
    with pytest.raises(ConfigError, match=r"training\.compile=xla works on one device, and 2 share the batch"):
        check_images(settings("training.compile=xla"), images, replicas=2)


def test_a_wrong_setting_answers_without_tensorflow(command):
    done = command("train", "training.stepz=3")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    code = (
        "import sys; sys.argv=['x','training.stepz=3']\nimport ganlab.train as t\n"
        "try: t.main()\nexcept SystemExit as e: assert e.code==2\nassert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)


def test_help_is_one_page_that_has_every_choice_and_setting(command):
    done = command("train", "--help")
    assert done.returncode == 0
    for choice in every_choice():
        assert f"{choice} " in done.stdout
    for name in ("training.batch_size=64", "optimizer.beta_2=0.99", "generator.latent_size=64", "penalty.weight="):
        assert name in done.stdout
    assert "-m study=mine generator=upsample,transpose seed=" in done.stdout


def test_an_experiment_wins_over_the_plain_settings():
    """`_self_` stands first in the defaults list; behind `experiment` it would silently undo it."""
    assert plan(["experiment=debug"], multirun=False).cells[0].config.training.steps == 10
    assert plan(["experiment=debug", "training.steps=7"], multirun=False).cells[0].config.training.steps == 7


def test_the_command_line_replaces_what_an_experiment_sweeps_over(tmp_path):
    def cells(*overrides):
        wanted = plan(["experiment=quick", *overrides], multirun=False)
        return wanted.remaining_sweep, sorted((cell.config.generator.name, cell.config.seed) for cell in wanted.cells)

    both = [(name, seed) for name in ("transpose", "upsample") for seed in range(1, 7)]
    assert cells() == (None, both)
    assert cells("seed=7") == (("generator=transpose,upsample",), [("transpose", 7), ("upsample", 7)])
    assert cells("++seed=7") == cells("seed=7")
    four = [("carafe", 0), ("carafe", 1), ("fir", 0), ("fir", 1)]
    assert cells("generator=fir,carafe", "seed=0,1") == ((), four)
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {++optimizer.g_rate_factors.fir: '1,2'}}}"
    )
    (cell,) = plan(
        ["experiment=mine", "optimizer.g_rate_factors.fir=3"], multirun=False, config_dir=str(tmp_path)
    ).cells
    assert cell.config.optimizer.g_rate_factors == {"fir": 3}


def test_what_workers_are_told_gives_the_same_sweep_also_of_dotted_settings(tmp_path):
    (tmp_path / "experiment").mkdir()
    sweeper = "hydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n"
    params = "      optimizer.g_learning_rate: 0.001,0.002\n      generator: fir,carafe\n"
    (tmp_path / "experiment" / "dotted.yaml").write_text(f"# @package _global_\nstudy: x\n{sweeper}{params}")
    line = ["experiment=dotted", "optimizer.g_learning_rate=0.003"]
    wanted = plan(line, multirun=False, config_dir=str(tmp_path))
    again = plan([*line, *_to_workers(wanted, line)], multirun=False, config_dir=str(tmp_path))
    names = [cell.directory.name for cell in wanted.cells]
    assert names == [f"{name}-optimizer.g_learning_rate=0.003-seed0" for name in ("fir", "carafe")]
    assert names == [cell.directory.name for cell in again.cells]
    assert [cell.config for cell in wanted.cells] == [cell.config for cell in again.cells]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("study=a,b", "a sweep has one folder, not outputs/a and outputs/b; give study"),
        ("training.steps=3,5 training.steps=7", "training.steps is given twice, once with several values; leave one"),
        (
            "hydra.sweep.subdir=${now:%H}-${seed}",
            "hydra.sweep.subdir=${now:%H}-${seed} holds the time, so the same command would not continue its runs; leave",
        ),
        (
            "hydra/launcher=joblib hydra.launcher.n_jobs=0",
            "hydra.launcher.n_jobs=0 is out of range; use 1 to 1024 jobs at a time, or -1 for one on each core",
        ),
        (
            "optimizer.g_learning_rate=range(3,0)",
            "optimizer.g_learning_rate=range(3,0) gives no values; write a pattern",
        ),
        ("generator=glob(zzz*)", "generator=glob(zzz*) gives no values; write a pattern or a range that does"),
        ("optimizer.g_learning_rate=interval(0,1)", "has no countable values; list them"),
        ("generator=glob(up*) training.stepz=3", "training.stepz is not a setting of training; did you mean steps?"),
        ("generator=glob(up*) generator.stagez=3", "because generator is swept over, write ++generator.stagez=..."),
        ("experiment=null", "Got NoneType; leave it out, or name a choice"),
        ("+training.steps=3", "training.steps already exists; set it without +"),
        ("generator=upsample,fir generator.upsampling.implementation=plain", "write ++generator.upsampling.implement"),
    ],
)
def test_a_sweep_that_cannot_be_planned_is_one_line(line, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        plan([*line.split(), "seed=0,1"], multirun=True)


def test_cells_may_be_chosen_by_a_pattern_and_named_by_number():
    wanted = plan(["generator=glob(up*)", "study=x", "hydra.sweep.subdir='${hydra.job.num}'"], multirun=True)
    cells = [(cell.config.generator.name, str(cell.directory)) for cell in wanted.cells]
    assert cells == [("upsample", "outputs/x/0"), ("upsample_bilinear", "outputs/x/1")]
    line = ["generator=upsample,fir", "++generator.upsampling.implementation=plain"]
    assert all(cell.config.generator.upsampling.implementation == "plain" for cell in plan(line, multirun=True).cells)


@pytest.fixture(params=["größe", 'it\'s "a=b, [c]"'])
def more(tmp_path, request):
    """A folder of further YAML files, as -cd names it: an experiment and a generator."""
    folder = tmp_path / request.param
    for group, text in {"experiment": "# @package _global_\ntraining:\n  steps: 5\n", "generator": UP}.items():
        (folder / group).mkdir(parents=True)
        (folder / group / "mine_up.yaml").write_text(text)
    return str(folder)


UP = (CONF / "generator" / "upsample.yaml").read_text()


def test_more_yaml_files_are_found_in_any_folder_and_by_a_pattern(more):
    (cell,) = plan(["experiment=mine_up"], multirun=False, config_dir=more).cells
    assert cell.config.training.steps == 5
    cells = plan(["experiment=mine_up", "generator=glob(*up*)"], multirun=True, config_dir=more).cells
    assert [cell.directory.name for cell in cells] == ["mine_up-seed0", "upsample-seed0", "upsample_bilinear-seed0"]
    with pytest.raises(ConfigError, match=r"training\.stepz is not a setting of training; did you mean steps"):
        plan(["experiment=mine_up", "training.stepz=3"], multirun=False, config_dir=more)
    assert plan(["generator=upsample"], multirun=False).cells  # and what is composed next is ours again
    with pytest.raises(ConfigError, match=r"experiment=mine_up is unknown"):
        plan(["experiment=mine_up"], multirun=False)


@pytest.mark.parametrize("folder", ["nowhere", ""])
def test_a_folder_of_more_yaml_files_that_is_not_there_is_refused(folder):
    with pytest.raises(ConfigError, match=rf"-cd {folder} ?is not a directory; give one with YAML files"):
        plan(["seed=0"], multirun=False, config_dir=folder)


def test_one_run_and_many_are_not_asked_for_together(capsys):
    assert _read(["-r", "seed=0"]).overrides == ["seed=0"]
    with pytest.raises(SystemExit, match="2"):
        _read(["-r", "seed=0,1", "-m"])
    assert "-m/--multirun: not allowed with argument -r/--run" in capsys.readouterr().err


def test_a_setting_is_unknown_also_where_the_choices_cannot_be_composed():
    error = ConfigCompositionException("Could not override 'training.stepz'.")
    assert str(explain_hydra(error, ["experiment=nowhere"])).startswith("training.stepz is not a setting; see --help")


def test_a_file_that_is_no_yaml_is_named_with_its_line(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "bad.yaml").write_text("# @package _global_\ntraining:\n  steps: [1\n  x: 3\n")
    with pytest.raises(ConfigError, match=r"bad\.yaml, line 4 is not YAML \(expected"):
        plan(["experiment=bad"], multirun=False, config_dir=str(tmp_path))


@pytest.mark.parametrize("folder", ["outputs/mine/training.steps=20-seed0", "a [1,2] b", "größe", "it's", "5", "true"])
def test_the_command_that_goes_on_with_a_run_takes_any_folder(folder):
    stopped = RunResult(status="interrupted", variant="transpose", seed=0, config={})
    *_, typed = shlex.split(last_lines(stopped, Path(folder)))
    assert plan([typed], multirun=False).resume == Path(folder)


def test_resume_is_given_alone():
    assert plan(["resume='a=b'"], multirun=False).resume == Path("a=b")  # as Hydra wanted it
    assert plan(["resume=null"], multirun=False).resume is None
    for other in ("seed=1", "resume=b"):
        with pytest.raises(ConfigError, match=rf"resume=a takes its settings from that run; leave out {other}"):
            plan(["resume=a", other], multirun=False)


def test_what_hydra_is_told_does_not_enter_the_settings():
    """It holds the number of a job, which there is none of before; a setting may hold Hydra's all the same."""
    wanted = plan(["training.steps=${hydra.launcher.n_jobs}", "hydra/launcher=joblib", "hydra.launcher.n_jobs=3",
                   "seed=0,1"], multirun=True)  # fmt: skip
    assert [cell.config.training.steps for cell in wanted.cells] == [3, 3]


@pytest.mark.parametrize("text", ["{}", "[]", '{"seed": 1e999}', "{"])
def test_settings_of_a_run_that_are_damaged_are_named_with_their_file(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path}/config.json")):
        read_config(tmp_path)


@pytest.mark.parametrize("old", [{"half_life_images": 20000}, {"ema_half_life_images": 20000, "average_ramp": 0.05}])
def test_settings_of_another_version_are_one_line_that_says_so(old, settings, tmp_path):
    tree = settings().model_dump(mode="json")
    training = {name: value for name, value in tree["training"].items() if name != "ema_half_life_images"}
    (tmp_path / "config.json").write_text(json.dumps(tree | {"training": training | old}))
    with pytest.raises(ConfigError) as refused:
        read_config(tmp_path)
    text = str(refused.value)
    assert text.startswith(f"{tmp_path}/config.json was written by another version of ganlab (training.")
    assert text.endswith(f"or train again with this one, {__version__}")
    assert "\n" not in text


def test_a_result_without_its_times_can_be_told_of():
    facts = {"status": "finished", "variant": "transpose", "seed": 0, "config": {}}
    assert last_lines(RunResult(**facts), Path("x")).startswith("finished\neverything is in x")
    timed = RunResult(**facts, seconds=61.0, images_per_second=1234.5)
    assert last_lines(timed, Path("x")).startswith("finished in 61 s, 1234 images/s\n")


def test_settings_survive_json_and_differences_are_named(settings):
    one = settings("generator=upsample")
    assert parse(one.model_dump(mode="json")) == one
    assert differences(one, settings("generator=upsample", "seed=2")) == {"seed": (0, 2)}


def test_cells_are_named_from_every_override_but_the_seed():
    assert cell_name(["generator=transpose", "seed=3"]) == "transpose"
    assert cell_name(["seed=3"]) == cell_name(["++seed=3", "+study=x"]) == "default"
    assert cell_name(['generator="transpose"']) == "transpose"
    assert cell_name(["training.steps=20", "generator=upsample", "study=x"]) == "upsample-training.steps=20"
    assert cell_name(["penalty=none", "generator=upsample"]) == "upsample-penalty=none"
    assert "/" not in cell_name(["dataset=mnist", "dataset.path=/a/b.npz"])
    assert "-seed" not in cell_name(["generator.name=x-seed3"])
    long = [[f"training.log_every_steps={'1' * n}", *["optimizer.g_learning_rate=1e-3"] * 3] for n in (200, 201)]
    long += [[f"dataset.path='{'絵' * n}'"] for n in (60, 61)]  # three bytes each
    assert all(len(cell_name(overrides).encode()) <= 120 for overrides in long)
    assert len({cell_name(overrides) for overrides in long}) == 4
    ours = (
        "dataset=folder",
        f"dataset.path=/data/{'x' * 60}/birds.zip",
        "generator=upsample",
        "generator.parity=parameters",
    )
    name = cell_name([*ours, "optimizer.g_learning_rate=0.001"])
    wanted = (
        "upsample-dataset=folder-dataset.path=birds.zip-generator.parity=parameters-optimizer.g_learning_rate=0.001-"
    )
    assert name.startswith(wanted)


def test_a_sweep_is_checked_whole_before_it_starts():
    wanted = plan(["training.steps=20,40", "seed=0,1", "study=s"], multirun=True)
    assert sorted(cell.directory.name for cell in wanted.cells) == [
        "training.steps=20-seed0",
        "training.steps=20-seed1",
        "training.steps=40-seed0",
        "training.steps=40-seed1",
    ]
    assert {cell.config.training.steps for cell in wanted.cells} == {20, 40}
    named = plan(["seed=0,1", "hydra.sweep.subdir=${hydra.job.override_dirname}"], multirun=True)
    assert [cell.directory.name for cell in named.cells] == ["seed=0", "seed=1"]
    with pytest.raises(ConfigError, match="two cells"):
        plan(["seed=0,0"], multirun=True)
    with pytest.raises(ConfigError, match="two cells"):
        plan(["training.steps=20,40", "hydra.sweep.subdir=run${seed}"], multirun=True)
    with pytest.raises(ConfigError, match=r"training.steps=-1"):
        plan(["training.steps=20,-1"], multirun=True)


def test_an_operator_is_the_same_wherever_it_is_named():
    """What a YAML of `generator` leaves unsaid and what `elsewhere` leaves unsaid must not differ."""
    for arm in options("generator"):
        here = plan([f"generator={arm}"], multirun=False).cells[0].config.generator.upsampling
        short = {key: getattr(here, key) for key in ("name", "kernel_size", "init")}
        named = ",".join(f"{key}:{value}" for key, value in short.items())
        there = plan([f"generator.elsewhere={{{named}}}"], multirun=False).cells[0].config.generator.elsewhere
        odd = {key for key in type(here).model_fields if getattr(here, key) != getattr(there, key)}
        text = (ROOT / "conf/generator" / f"{arm}.yaml").read_text()
        assert all(f"{key}: true" in text for key in odd), f"{arm} and elsewhere differ in {odd}"


TABLES = {"ganlab.evaluation.registry"}  # it imports nothing, and everybody may read it
GROUND = {"xla", "errors", "device", "environment", "files", "__version__"}  # what everybody may use
ALLOWED = {  # the picture of who may import whom: see docs/design.md
    "config": {"config"},
    "data": {"config", "data"},
    "nets": {"config", "nets"},
    "training": {"config", "training"},
    "evaluation": {"config", "evaluation"},
    "runs": {"config", "runs"},
    "run": {"config", "data", "nets", "training", "evaluation", "exports", "runs", "run"},
    "exports": {"config", "nets", "exports"},
    "inspection": {"cli", "config", "data", "nets", "evaluation", "run", "runs", "report", "inspection"},
    "study": {"config", "runs", "study"},
    "report": {"config", "runs", "study", "report"},
    "launch": {"cli", "config", "data", "report", "run", "runs", "study", "training", "launch"},
    "cli": {"config", "evaluation", "run", "runs", "report", "study", "cli"},
}


def imported(path):
    """Every module of the package that a file imports, in any form: `import a.b`, `from a import b`, `from . import b`."""
    package = ".".join(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for name in (f"{base}.{alias.name}" for alias in node.names):
                is_module = (ROOT / name.replace(".", "/")).with_suffix(".py").exists()
                yield name if base == "ganlab" or is_module else base


@pytest.mark.parametrize("folder", sorted({path.parent.name for path in (ROOT / "ganlab").glob("*/*.py")}))
def test_folders_import_only_what_the_picture_shows(folder):
    for path in (ROOT / "ganlab" / folder).rglob("*.py"):
        for name in imported(path):
            if name.startswith("ganlab.") and name not in TABLES and (part := name.split(".")[1]) not in GROUND:
                assert part in ALLOWED[folder], f"{path.relative_to(ROOT)} imports {name}"


def test_the_page_about_the_design_shows_this_picture():
    page = (ROOT / "docs" / "design.md").read_text().partition("<!-- rooms -->")[2].partition("<!-- end -->")[0]
    imports = {}
    for row in page.strip().splitlines()[2:]:
        rooms, free = (set(re.findall(r"`(\w+)`", column)) for column in row.strip("|").split("|"))
        imports |= {room: free | {room} for room in rooms}
    assert imports == ALLOWED


def test_a_table_that_everybody_may_read_imports_nothing_of_the_package():
    for name in TABLES:
        path = ROOT / f"{name.replace('.', '/')}.py"
        assert not [each for each in imported(path) if each.startswith("ganlab")]


def test_nobody_imports_in_a_circle():
    """Folders that import each other could not be understood one at a time."""
    edges = {
        folder: {name.split(".")[1] for path in (ROOT / "ganlab" / folder).rglob("*.py") for name in imported(path)
                 if name.startswith("ganlab.") and name not in TABLES and (ROOT / "ganlab" / name.split(".")[1]).is_dir()} - {folder}
        for folder in ALLOWED
    }  # fmt: skip
    done: list[str] = []
    while left := [folder for folder in ALLOWED if folder not in done]:
        free = [folder for folder in left if edges[folder] <= set(done)]
        assert free, f"in a circle: {', '.join(f'{one} -> {sorted(edges[one] - set(done))}' for one in left)}"
        done += free


WITHOUT_TENSORFLOW = [
    *(f"{room}" for room in ("cli", "config", "launch", "report", "runs", "study")),  # whole rooms
    "compare",
    "dashboard",
    "evaluate",
    "evaluation",
    "export",
    "inspect",
    "inspection",
    "run",
    "sample",
    "status",
    "train",
    "tune",
]
WITH = {  # of these rooms what only a process with TensorFlow imports
    "evaluation/features/classifier.py", "evaluation/features/inception.py", "evaluation/features/random.py",
    "inspection/views.py", "run/callbacks.py", "run/build.py",
}  # fmt: skip


def modules_without_tensorflow():
    for name in WITHOUT_TENSORFLOW:
        place = ROOT / "ganlab" / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]:
            if path.relative_to(ROOT / "ganlab").as_posix() not in WITH:
                yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_these_modules_do_not_import_tensorflow():
    program = "import importlib, sys\n"
    for module in modules_without_tensorflow():
        program += f"importlib.import_module('{module}')\n"
        program += f"assert not {{'tensorflow', 'keras'}} & set(sys.modules), '{module}'\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
