"""`ganlab.tune`: best rates from made-up results, against a slow twin; what it refuses, in one line."""

import itertools
import json
import math
import re
import shlex
import statistics
import sys

import numpy as np
import pytest
import scipy.stats

from conftest import ROOT
from ganlab.cli.hydra import plan
from ganlab.launch.sweep import prospects
from ganlab.study.tuning import expected_best, is_tuning, tune_study
from ganlab.tune import main

RATES = (0.0005, 0.001, 0.002)
SEEDS = (1000, 1001)
PROTOCOL = {"n_real": 360, "n_fake": 360, "features": "pixels", "split": "held_out", "hash": "abc"}


class Sweep:
    """Writes result.json files into folders whose names say nothing."""

    def __init__(self, directory):
        self.directory, self.runs = directory, 0

    def add(self, arm, rate, seed, status="finished", protocol=PROTOCOL, optimizer=(), question=None, **metrics):
        folder = self.directory / f"{self.runs:03d}"
        folder.mkdir(parents=True)
        self.runs += 1
        config = {
            "seed": seed,
            "study": "tuning",
            "generator": {"name": arm, "upsampling": {"name": arm}},
            "optimizer": {"g_learning_rate": rate, "d_learning_rate": 0.001, **dict(optimizer)},
            "training": {"steps": 20},
            "comparison": {"question": question} if question else {},
        }
        result = {"status": status, "variant": arm, "seed": seed, "config": config}
        if status == "finished":
            result |= {"metrics": metrics, "protocol": protocol}
        (folder / "result.json").write_text(json.dumps(result))
        return folder

    def arm(self, arm, values, rates=RATES, seeds=SEEDS, metric="frechet_distance"):
        """values: a row for each rate, in it a value for each seed; None: it diverged."""
        for rate, row in zip(rates, values, strict=True):
            for seed, value in zip(seeds, row, strict=True):
                if value is None:
                    self.add(arm, rate, seed, "diverged")
                else:
                    self.add(arm, rate, seed, **{metric: value})


@pytest.fixture
def sweep(tmp_path):
    return Sweep(tmp_path / "sweep")


@pytest.fixture
def tune(sweep, monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["tune", str(sweep.directory), *arguments])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def refused(outcome):
    """The one line of a refusal."""
    code, out, err = outcome
    assert (code, out) == (2, "")
    assert err.endswith("\n") and err.count("\n") == 1
    return err


def written(sweep):
    return json.loads((sweep.directory / "tuning.json").read_text())


def cells(out, arm):
    """The words of the rows of an arm, in each table."""
    return [line.split()[1:] for line in out.splitlines() if line.startswith(f"  {arm} ")]


TRANSPOSE = [[2.0, 8.0], [3.0, 3.0], [5.0, 5.0]]  # geometric means 4, 3 and 5; the plain mean of the first is 5
UPSAMPLE = [[1.0, 4.0], [6.0, 6.0], [7.0, 7.0]]  # best at the lowest rate


def test_each_arm_has_its_best_rate_and_the_override_says_so(sweep, tune):
    sweep.arm("transpose", TRANSPOSE)
    sweep.arm("upsample", UPSAMPLE)
    code, out, err = tune()
    assert (code, err) == (0, "")
    assert "frechet_distance, smaller is better: geometric means over seeds 1000 and 1001; each of 2 arms had 3" in out
    assert "0.001 (equal)" in out
    assert cells(out, "transpose") == [["4", "3*", "5", "0.001", "1"], ["4", "3.333", "3"]]
    assert cells(out, "upsample") == [["2*", "6", "7", "0.0005", "0.5"], ["5", "3.333", "2"]]
    assert "at equal rates: transpose 3 (0.001), upsample 6 (0.001)\n" in out
    assert "each at its best: upsample 2 (0.0005), transpose 3 (0.001)\n" in out
    assert "upsample is best at the lowest rate that was tried, 0.0005: widen the grid" in out
    assert "optimizer.g_learning_rate=0.00025\n" in out and "transpose is best at" not in out
    assert "  'optimizer.g_rate_factors={upsample: 0.5}'\n" in out
    assert f"everything is in {sweep.directory / 'tuning.json'}\n" in out


def test_the_file_says_all_of_it(sweep, tune):
    sweep.arm("transpose", TRANSPOSE)
    sweep.arm("upsample", UPSAMPLE)
    tune()
    tree = written(sweep)
    assert {key: tree[key] for key in ("metric", "better", "rates", "seeds", "equal_rate", "override", "factors")} == {
        "metric": "frechet_distance",
        "better": "smaller",
        "rates": list(RATES),
        "seeds": list(SEEDS),
        "equal_rate": 0.001,
        "override": "'optimizer.g_rate_factors={upsample: 0.5}'",
        "factors": {"upsample": 0.5},
    }
    first, second = tree["arms"]
    assert first["trials"][0] == {"rate": 0.0005, "value": pytest.approx(4), "values": {"1000": 2.0, "1001": 8.0}}
    assert (first["best_rate"], first["factor"], first["at_edge"]) == (0.001, 1.0, None)
    assert (second["best_rate"], second["factor"], second["at_edge"]) == (0.0005, 0.5, "lowest")
    assert (second["best"], second["at_equal_rate"]) == (pytest.approx(2), pytest.approx(6))
    assert tree["orders"] == {
        "at equal rates": [["transpose"], ["upsample"]],
        "each at its best": [["upsample"], ["transpose"]],
    }
    assert (first["undecided"], second["undecided"]) == ([0.0005, 0.002], [0.001, 0.002])
    assert len(tree["warnings"]) == 3


def test_rates_that_the_seeds_do_not_tell_apart_are_named(sweep, tune):
    values = np.array([[8.0, 8.8, 8.1], [4.0, 4.6, 4.1], [4.1, 4.5, 4.2]])
    sweep.arm("transpose", values.tolist(), seeds=(1, 2, 3))
    sweep.arm("upsample", [[9.0, 9.9, 9.2], [4.0, 4.6, 4.1], [2.0, 2.2, 2.0]], seeds=(1, 2, 3))
    _, out, _ = tune()
    assert "transpose: 3 seeds cannot tell the best rate, 0.001, from 0.002; try these with more seeds" in out
    assert "upsample: 3 seeds" not in out
    assert [arm["undecided"] for arm in written(sweep)["arms"]] == [[0.002], []]


@pytest.mark.parametrize("seed", range(5))
def test_the_least_difference_is_that_of_a_regression_on_rates_and_seeds(sweep, seed):
    rates, seeds = (0.0005, 0.001, 0.002, 0.004), range(1000, 1003)
    logs = np.random.default_rng(seed).normal([[0.3], [0.0], [0.1], [0.2]], 0.1, (4, 3))
    sweep.arm("transpose", np.exp(logs).tolist(), rates=rates, seeds=seeds)
    (arm,) = tune_study(sweep.directory, rate=0.001).arms
    design = np.array([[*(row == r for r in range(4)), *(column == c for c in (1, 2))]
                       for row in range(4) for column in range(3)], float)  # fmt: skip
    error = np.linalg.lstsq(design, logs.ravel(), rcond=None)[1].item() / 6
    least = scipy.stats.t.ppf(0.975, 6) * math.sqrt(2 * error / 3)
    best = logs.mean(1).min()
    wanted = [rate for rate, mean in zip(rates, logs.mean(1), strict=True) if 0 < mean - best <= least]
    assert list(arm.undecided) == wanted


def test_with_one_seed_every_rate_may_be_the_best_but_those_that_diverged(sweep, tune):
    sweep.arm("transpose", [[None], [2.0], [90.0]], seeds=(1,))
    _, out, _ = tune()
    assert "transpose: 1 seed cannot tell the best rate, 0.001, from 0.002; " in out


def test_a_name_that_a_shell_would_act_on_stays_a_word(sweep, tune):
    sweep.arm(name := "a'$(touch x)", UPSAMPLE)
    _, out, _ = tune()
    (typed,) = (line for line in out.splitlines() if "g_rate_factors" in line)
    assert shlex.split(typed) == [f"optimizer.g_rate_factors={{{name}: 0.5}}"]


def test_the_override_is_one_that_train_takes(sweep, tune):
    sweep.arm("transpose", TRANSPOSE[::-1])
    sweep.arm("upsample", UPSAMPLE)
    _, out, _ = tune("--rate", "0.002")
    (typed,) = (line for line in out.splitlines() if "g_rate_factors" in line)
    (cell,) = plan(shlex.split(typed), multirun=False).cells
    assert cell.config.optimizer.g_rate_factors == {"transpose": 0.5, "upsample": 0.25}


def test_arms_that_are_best_at_the_equal_rate_need_no_factor(sweep, tune):
    sweep.arm("transpose", TRANSPOSE)
    _, out, _ = tune()
    assert "  'optimizer.g_rate_factors={}'\n" in out and "widen" not in out
    assert plan(["optimizer.g_rate_factors={}"], multirun=False).cells


def test_of_equal_trials_the_one_nearest_to_the_equal_rate_is_best(sweep):
    sweep.arm("transpose", [[2.0, 2.0]] * 3)
    assert tune_study(sweep.directory).arms[0].best.rate == 0.001


def slow_twin(table, mean, sign):
    """{arm: (best rate, its value, expected best of each k)} from {arm: {rate: values}}, by enumeration."""
    found = {}
    for arm, trials in table.items():
        values = {rate: mean(row) if None not in row else math.inf * sign for rate, row in trials.items()}
        best = sorted(values, key=lambda rate: sign * values[rate])[0]
        expected = [
            statistics.fmean(
                sign * min(sign * values[rate] for rate in some) for some in itertools.combinations(values, k)
            )
            for k in range(1, len(values) + 1)
        ]
        found[arm] = best, values[best], expected
    return found


def root_mean(row):
    return math.prod(row) ** (1 / len(row))


@pytest.mark.parametrize(
    ("metric", "mean", "sign"),
    [
        ("frechet_distance", root_mean, 1),
        ("coverage", statistics.fmean, -1),
        ("kernel_distance", statistics.fmean, 1),
        ("checkerboard_index_2", lambda row: statistics.fmean(map(abs, row)), 1),
    ],
)
def test_the_table_is_that_of_a_slow_twin(sweep, metric, mean, sign):
    random = np.random.default_rng(3)
    rates = (0.00025, 0.0005, 0.001, 0.002, 0.004)
    low = 0.1 if metric in ("frechet_distance", "coverage") else -1.0
    table = {arm: {rate: list(random.uniform(low, 1, 3)) for rate in rates} for arm in ("fir", "transpose", "upsample")}
    table["fir"][0.002][1] = None
    for arm, trials in table.items():
        sweep.arm(arm, trials.values(), rates, (5, 6, 7), metric)
    tuning = tune_study(sweep.directory, metric)
    for arm in tuning.arms:
        rate, value, expected = slow_twin(table, mean, sign)[arm.label]
        assert (arm.best.rate, arm.best.value) == (rate, pytest.approx(value))
        assert [None if math.isinf(each) else pytest.approx(each) for each in expected] == list(arm.expected_best)
        assert arm.edge == {rates[0]: "lowest", rates[-1]: "highest"}.get(rate, "")


@pytest.mark.parametrize("losses", [[3.0], [2.0, 1.0], [0.3, -1.0, 4.0, 4.0, 2.5], [1.0, math.inf, 2.0, math.inf]])
def test_the_expected_best_is_that_of_every_draw(losses):
    for k in range(1, len(losses) + 1):
        draws = [min(draw) for draw in itertools.combinations(losses, k)]
        assert expected_best(losses, k) == pytest.approx(sum(draws) / len(draws))
    assert expected_best(losses, len(losses)) == min(losses)


def test_a_trial_with_a_diverged_run_is_the_worst(sweep, tune):
    sweep.arm("transpose", [[9.0, 9.0], [8.0, 8.0], [0.1, None]])
    sweep.arm("upsample", [[None, None], [None, 1.0], [1.0, None]])
    code, out, _ = tune()
    assert code == 0
    assert cells(out, "transpose")[0] == ["9", "8*", "failed", "0.001", "1"]
    assert cells(out, "transpose")[1] == ["failed", "8.333", "8"]
    assert cells(out, "upsample") == [["failed", "failed", "failed", "none", "-"], ["failed"] * 3]
    assert "transpose diverged or collapsed at 0.002 with seed 1001: the trial counts as the worst" in out
    assert "upsample diverged or collapsed at 0.0005 with seeds 1000 and 1001: the trial" in out
    assert "upsample has no best rate, as a run of each trial diverged or collapsed; its factor stays 1" in out
    assert "each at its best: transpose 8 (0.001), upsample failed\n" in out
    tree = written(sweep)
    assert tree["factors"] == {}
    assert (tree["arms"][1]["best"], tree["arms"][1]["at_equal_rate"], tree["arms"][1]["factor"]) == (None, None, None)
    assert tree["arms"][0]["trials"][2] == {"rate": 0.002, "value": None, "values": {"1000": 0.1, "1001": None}}


def test_a_trial_with_a_collapsed_run_is_the_worst(sweep, tune):
    sweep.arm("transpose", [[9.0, 9.0], [8.0, 8.0], [7.5, 7.5]])
    sweep.arm("upsample", [[9.0, 9.0], [8.0, 8.0], [7.5, 7.5]])
    collapsed = next(p for p in sweep.directory.glob("*/result.json") if '"frechet_distance": 7.5' in p.read_text())
    tree = json.loads(collapsed.read_text())
    tree["metrics"]["coverage"] = 0.01
    collapsed.write_text(json.dumps(tree))
    _, out, _ = tune()
    assert f"{tree['variant']} diverged or collapsed at 0.002 with seed {tree['seed']}: the trial" in out
    assert cells(out, tree["variant"])[0] == ["9", "8*", "failed", "0.001", "1"]


def test_the_highest_rate_is_an_edge_too_and_the_grid_goes_on_by_its_last_step(sweep, tune):
    sweep.arm("transpose", [[9.0], [8.0], [7.0]], (0.001, 0.002, 0.008), (5,))
    _, out, _ = tune()
    assert "transpose is best at the highest rate that was tried, 0.008: widen the grid, for all arms, by" in out
    assert "optimizer.g_learning_rate=0.032\n" in out


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_unequal_trials_are_one_line(sweep, tune):
    sweep.arm("transpose", TRANSPOSE)
    sweep.arm("upsample", UPSAMPLE[:2], RATES[:2])
    line = refused(tune())
    assert "has no run of upsample with optimizer.g_learning_rate=0.002 and seed 1000 (1 more like it)" in line
    assert "arms need equal trials" in line
    assert not (sweep.directory / "tuning.json").exists()


def test_seeds_that_differ_are_one_line(sweep, tune):
    sweep.arm("transpose", TRANSPOSE)
    sweep.arm("upsample", UPSAMPLE, seeds=(1000, 1002))
    line = refused(tune())
    assert "has no run of transpose with optimizer.g_learning_rate=0.0005 and seed 1002 (5 more like it)" in line


@pytest.mark.parametrize(
    ("status", "words"), [("failed", "a run that failed"), ("interrupted", "a run that was inter")]
)
def test_runs_that_did_not_end_are_one_line(sweep, tune, status, words):
    sweep.arm("transpose", TRANSPOSE)
    sweep.arm("upsample", UPSAMPLE[:2], RATES[:2])
    sweep.add("upsample", 0.002, 1000, frechet_distance=1.0)
    sweep.add("upsample", 0.002, 1001, status)
    assert f"has {words}" in refused(tune())


def test_a_run_without_the_metric_is_one_line(sweep, tune):
    sweep.arm("transpose", TRANSPOSE)
    sweep.arm("upsample", UPSAMPLE, metric="coverage")
    assert "has a run without frechet_distance, upsample with optimizer.g_learning_rate=0.0005 and seed" in refused(
        tune()
    )
    assert refused(tune("--metric", "coverige")).startswith("--metric='coverige' is no metric of ")


def test_a_ratio_of_nothing_is_one_line(sweep, tune):
    sweep.arm("transpose", [[1.0, 0.0], *TRANSPOSE[1:]])
    assert "has metrics.frechet_distance=0.0, of which there is no ratio" in refused(tune())


def test_rates_without_a_middle_need_the_studys(sweep, tune):
    sweep.arm("transpose", TRANSPOSE[:2], RATES[:2])
    assert "has 2 rates, of which none is in the middle; name the one that the study has: --rate 0.001" in refused(
        tune()
    )
    assert "'optimizer.g_rate_factors={}'" in tune("--rate", "0.001")[1]
    assert "'optimizer.g_rate_factors={transpose: 2}'" in tune("--rate", "0.0005")[1]
    for wrong in ("0.003", "nan", "-1", "0"):
        assert "is none of the rates that were tried; choose one of: 0.0005, 0.001" in refused(tune("--rate", wrong))
    assert "invalid float value: 'x'" in refused(tune("--rate", "x"))


def test_a_study_of_one_rate_is_not_tuning(sweep, tune):
    sweep.arm("transpose", TRANSPOSE[:1], RATES[:1])
    assert "has runs of one optimizer.g_learning_rate only, 0.0005; a tuning study needs several" in refused(tune())


def test_runs_with_factors_are_not_tuned_again(sweep, tune):
    sweep.add("transpose", 0.001, 0, optimizer={"g_rate_factors": {"transpose": 2.0}}, frechet_distance=1.0)
    assert "has runs with optimizer.g_rate_factors.transpose=2.0; tune without factors" in refused(tune())


@pytest.mark.parametrize("rate", [None, "0.1", True, 0, -1.0, [1], 1e-300, 10**400])
def test_runs_without_a_rate_are_one_line(sweep, tune, rate):
    sweep.add("transpose", rate, 0, frechet_distance=1.0)
    assert "has runs without optimizer.g_learning_rate; give the folder of a sweep over it" in refused(tune())


def test_runs_without_a_name_of_the_generator_are_one_line(sweep, tune):
    path = sweep.add("transpose", 0.001, 0, frechet_distance=1.0) / "result.json"
    tree = json.loads(path.read_text())
    del tree["config"]["generator"]["name"]
    path.write_text(json.dumps(tree))
    assert "has runs without generator.name; give the folder of a sweep over generator" in refused(tune())


def test_more_than_one_difference_between_arms_is_one_line(sweep, tune):
    sweep.arm("transpose", TRANSPOSE)
    for rate, seed in itertools.product(RATES, SEEDS):
        sweep.add("upsample", rate, seed, optimizer={"d_learning_rate": 0.01}, frechet_distance=1.0)
    line = refused(tune())
    assert "differ not only in the generator but also in optimizer.d_learning_rate: 0.01 and 0.001" in line


def test_two_arms_of_one_name_cannot_have_factors_of_their_own(sweep, tune):
    for beta in (0.0, 0.5):
        for rate, seed in itertools.product(RATES, SEEDS):
            sweep.add("transpose", rate, seed, optimizer={"beta_1": beta}, frechet_distance=1.0)
    assert "has 2 arms named transpose, and factors go by name" in refused(tune())


def test_two_runs_of_one_trial_are_one_line_without_a_flag_that_is_not_there(sweep, tune):
    sweep.arm("transpose", TRANSPOSE)
    sweep.add("transpose", 0.001, 1000, frechet_distance=1.0)
    line = refused(tune())
    assert "has two runs of transpose with seed 1000 and equal settings" in line
    assert "--forget 006" in line and "--leave-out" not in line


def test_other_protocols_are_one_line(sweep, tune):
    sweep.arm("transpose", TRANSPOSE)
    sweep.arm("upsample", UPSAMPLE[:2], RATES[:2])
    for seed in SEEDS:
        sweep.add("upsample", 0.002, seed, protocol=PROTOCOL | {"n_fake": 100}, frechet_distance=1.0)
    line = refused(tune())
    assert "protocol.n_fake: 100 and 360" in line and "--leave-out" not in line


def test_runs_judged_differently_are_one_line(sweep, tune):
    sweep.arm("transpose", TRANSPOSE)
    sweep.add("transpose", 0.001, 1002, question="why?", frechet_distance=1.0)
    line = refused(tune())
    assert (
        "the runs have different plans for their comparison, comparison.question: " in line
        and "--leave-out" not in line
    )


def test_a_study_with_seeds_of_the_tuning_is_refused(sweep, tune, tmp_path):
    sweep.arm("transpose", TRANSPOSE)
    sweep.arm("upsample", UPSAMPLE)
    study = Sweep(tmp_path / "study")
    study.add("transpose", 0.001, 0, frechet_distance=1.0)
    assert tune("--study", str(study.directory))[0] == 0
    study.add("transpose", 0.001, 1001, frechet_distance=1.0)
    line = refused(tune("--study", str(study.directory)))
    assert line.startswith(f"{study.directory} has runs with seeds of {sweep.directory}, 1001; what was tuned")
    assert "nowhere does not exist" in refused(tune("--study", "nowhere"))


def test_a_folder_without_runs_is_one_line(sweep, tune):
    sweep.directory.mkdir()
    assert "has no result.json; give the folder of a study" in refused(tune())


def test_an_archive_says_what_its_folder_says(sweep, tune, monkeypatch, capsys, tmp_path):
    sweep.arm("transpose", TRANSPOSE)
    sweep.arm("upsample", UPSAMPLE)
    packed = tmp_path / "kept" / "trials.tar.xz"
    code, said, err = tune("--archive", str(packed))
    assert (code, err) == (0, "")
    said, _, places = said.partition("everything is in ")
    assert places == f"{sweep.directory}/tuning.json\nall runs are in {packed}\n"
    monkeypatch.setattr(sys, "argv", ["tune", str(packed)])
    main()
    assert capsys.readouterr().out == said
    assert [path.name for path in packed.parent.iterdir()] == [packed.name]


def test_an_archive_that_cannot_be_read_or_written_is_one_line(sweep, tune, monkeypatch, capsys, tmp_path):
    sweep.arm("transpose", TRANSPOSE)
    assert "does not end in .tar.xz" in refused(tune("--archive", str(tmp_path / "trials.zip")))
    assert not (sweep.directory / "tuning.json").exists()
    (tmp_path / "broken.tar.xz").write_bytes(b"no archive")
    monkeypatch.setattr(sys, "argv", ["tune", str(tmp_path / "broken.tar.xz")])
    with pytest.raises(SystemExit) as stop:
        main()
    assert "broken.tar.xz" in refused((stop.value.code, *capsys.readouterr()))


# --- the sweep --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", sorted((ROOT / "conf" / "experiment").glob("tuning_*.yaml")), ids=lambda path: path.stem
)
def test_every_tuning_experiment_tries_a_quarter_to_four_times_the_rate_of_its_study_on_other_seeds(path):
    """Equal trials for the arms of the study, the budget no smaller than a quarter of it."""
    tuning = plan([f"experiment={path.stem}"], multirun=False).cells
    study = plan([f"experiment={path.stem.replace('tuning', 'upsampling')}"], multirun=False).cells

    def arms(cells):
        return {cell.config.generator.name for cell in cells}

    assert arms(tuning) == arms(study)
    assert not {cell.config.seed for cell in tuning} & {cell.config.seed for cell in study}
    (equal,) = {cell.config.optimizer.g_learning_rate for cell in study}
    rates = sorted({cell.config.optimizer.g_learning_rate for cell in tuning})
    assert rates == pytest.approx([equal * factor for factor in (0.25, 0.5, 1, 2, 4)])
    seeds = {cell.config.seed for cell in tuning}
    assert len(tuning) == len(arms(study)) * len(rates) * len(seeds)
    same = ("dataset", "discriminator", "objective", "penalty", "augment", "metrics")
    for name in same:
        assert getattr(tuning[0].config, name) == getattr(study[0].config, name), name
    assert tuning[0].config.comparison.quality == study[0].config.comparison.quality
    assert tuning[0].config.training.steps >= study[0].config.training.steps / 4
    assert tuning[0].directory.parent.name == path.stem


@pytest.mark.slow
def test_a_sweep_over_rates_says_which_command_comes_next():
    (line,) = prospects(plan(["experiment=tuning_digits"], multirun=False))
    assert line.endswith("python -m ganlab.tune outputs/tuning_digits will say which is best for each")
    assert not any("ganlab.tune" in line for line in prospects(plan(["experiment=quick"], multirun=False)))
    one, other = {"generator.name": "a", "optimizer.g_learning_rate": 1}, {"generator.name": "b"}
    assert is_tuning([one, other | {"optimizer.g_learning_rate": 2}])
    assert not is_tuning([one, other | {"optimizer.g_learning_rate": 1}])
    assert not is_tuning([one, one | {"optimizer.g_learning_rate": 2}])


@pytest.mark.slow
def test_a_tuning_from_its_sweep_to_its_override(command, tmp_path):
    """The two commands of the pages on the smallest networks."""
    small = ["training.steps=2", "training.batch_size=8", "generator.base_filters=4", "generator.stages=[[4,2],[null,2]]",
             "discriminator.filters=[4,4]", "metrics=quick", "metrics.images=60", "comparison.quality=frechet_distance",
             "comparison.spectrum=null", "comparison.checkerboard=null", "generator=transpose,upsample", "seed=1000",
             "optimizer.g_learning_rate=0.0005,0.001,0.002", "hydra/launcher=basic"]  # fmt: skip
    done = command("train", "experiment=tuning_digits", *small)
    assert done.returncode == 0, done.stderr
    assert "best rates:   python -m ganlab.tune outputs/tuning_digits\n" in done.stdout
    found = command("tune", "outputs/tuning_digits")
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("At which rate is each operator at its best on 8x8 digits?\n")
    assert re.search(r"'optimizer\.g_rate_factors=\{.*\}'", found.stdout)
    assert "--study" in command("tune", "--help").stdout
