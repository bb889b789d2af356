import fcntl
import json
import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from conftest import ROOT
from ganlab.compare import main
from ganlab.evaluation.registry import with_better_side
from ganlab.report.drawing import Drawing

PROTOCOL = {"n_real": 360, "n_fake": 360, "features": "pixels", "split": "held_out", "hash": "abc"}


def settings(generator="transpose", kernel_size=4, **changes):
    """A plain tree in the form of a run's settings; `changes` by dotted name with __ for the dot."""
    tree = {
        "seed": 0,
        "study": None,
        "generator": {"name": generator, "upsampling": {"name": generator, "kernel_size": kernel_size}},
        "penalty": {"name": "r1_r2", "weight": 0.1},
        "optimizer": {"beta_1": 0.0, "beta_2": 0.99},
        "training": {"steps": 20, "batch_size": 64},
    }
    for name, value in changes.items():
        group, key = name.split("__")
        tree[group] = tree[group] | {key: value}
    return tree


class Study:
    """Writes result.json files into folders whose names say nothing."""

    def __init__(self, directory: Path):
        self.directory, self.runs = directory, 0

    def add(self, tree, seed, status="finished", protocol=PROTOCOL, **metrics):
        folder = self.directory / f"{self.runs:03d}"
        folder.mkdir(parents=True)
        self.runs += 1
        result = {
            "status": status,
            "variant": tree["generator"]["name"],
            "seed": seed,
            "config": tree | {"seed": seed, "study": f"study{self.runs}"},
            "metrics": metrics,
            "protocol": protocol,
        }
        (folder / "result.json").write_text(json.dumps(result))
        return folder

    def arm(self, tree, values, **metrics):
        for seed, value in enumerate(values):
            self.add(tree, seed, frechet_distance=value, **{name: column[seed] for name, column in metrics.items()})


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path / "study")


@pytest.fixture
def compare(study, monkeypatch, capsys):
    blank = property(lambda drawing: '<svg viewBox="0 0 1 1"><title></title></svg>')
    monkeypatch.setattr(Drawing, "_drawn", blank)  # tests/report/test_pages.py looks at figures

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["compare", str(study.directory), *arguments])
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
    assert code == 2
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1
    return err


def sentence(out, *words):
    """The one line of a report that holds all the words."""
    (line,) = [line for line in out.splitlines() if all(word in line for word in words)]
    return line.strip()


UPSAMPLE = settings("upsample", 3)
TRANSPOSE = settings("transpose", 4)
LOW = [1.0, 1.1, 1.2, 1.0, 0.9, 1.3]
RATIOS = [1.5, 1.4, 1.6, 1.5, 1.45, 1.55]
HIGH = [low * ratio for low, ratio in zip(LOW, RATIOS, strict=True)]


def test_a_difference_is_found_and_printed_in_per_cent(study, compare):
    study.arm(UPSAMPLE, HIGH)
    study.arm(TRANSPOSE, LOW)
    code, out, err = compare()
    assert (code, err) == (0, "")
    logs = [math.log(ratio) for ratio in RATIOS]
    mean = sum(logs) / 6
    interval = scipy.stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    mean, low, high = (100 * (math.exp(value) - 1) for value in (mean, interval.low, interval.high))
    assert sentence(out, "upsample is worse than") == (
        f"upsample is worse than transpose: +{mean:.1f} %, 95 % interval +{low:.1f} % to +{high:.1f} %, "
        "p = 0.0312, 6 pairs."
    )
    assert "frechet_distance: smaller is better; primary" in out
    assert "protocol: n_real 360, n_fake 360, features pixels, split held_out, hash abc" in out


def test_what_a_killed_comparison_left_is_swept_and_nothing_else(study, compare):
    study.arm(UPSAMPLE, HIGH)
    study.arm(TRANSPOSE, LOW)
    report = study.directory / "report"
    (report / "figures").mkdir(parents=True)
    litter = ("report/.77.report.html", "report/figures/.77.effect-light.svg", "report/.unfinished.scores.csv")
    for name in (*litter, "report/.mine", ".77.report.html"):
        (study.directory / name).write_text("half")
    assert compare()[0] == 0
    assert not [name for name in litter if (study.directory / name).exists()]
    assert (report / ".mine").exists()
    assert (study.directory / ".77.report.html").exists()  # not of this folder


@pytest.mark.slow
def test_a_report_that_another_process_writes_is_waited_for(study, compare):
    study.arm(UPSAMPLE, HIGH)
    study.arm(TRANSPOSE, LOW)
    assert compare()[0] == 0
    (study.directory / "report/.77.report.html").write_text("half")
    line = [sys.executable, "-P", "-m", "ganlab.compare", str(study.directory)]
    with (study.directory / "report/.lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        other = subprocess.Popen(line, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)})
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(5)
        assert (study.directory / "report/.77.report.html").exists()  # it may be of the one that writes
    assert other.wait(60) == 0
    assert not (study.directory / "report/.77.report.html").exists()


def test_the_reference_can_be_chosen(study, compare):
    study.arm(UPSAMPLE, HIGH)
    study.arm(TRANSPOSE, LOW)
    _, out, _ = compare("--reference", "upsample")
    assert "transpose is better than upsample: -33.3 %" in out
    assert "--reference='upsampel' is not an arm of" in refused(compare("--reference", "upsampel"))


def test_pairs_are_made_by_seed_not_by_order(study, compare):
    for seed in range(6):
        study.add(UPSAMPLE, seed, frechet_distance=2.0**seed * 1.5)
    for seed in reversed(range(6)):
        study.add(TRANSPOSE, seed, frechet_distance=2.0**seed)
    _, out, _ = compare()
    assert "upsample is worse than transpose: +50.0 %, 95 % interval +50.0 % to +50.0 %" in out


def test_metrics_that_are_better_when_larger_and_raw_differences(study, compare):
    more, less = [0.8, 0.82, 0.84, 0.8, 0.81, 0.83], [0.7, 0.71, 0.75, 0.7, 0.7, 0.73]
    study.arm(UPSAMPLE, LOW, coverage=more, kernel_distance=[value - 1 for value in more], odd=LOW)
    study.arm(TRANSPOSE, LOW, coverage=less, kernel_distance=[value - 1 for value in less], odd=LOW)
    _, out, _ = compare()
    raw = [a - b for a, b in zip(more, less, strict=True)]
    interval = scipy.stats.ttest_1samp(raw, 0).confidence_interval(0.95)
    numbers = f"{sum(raw) / 6:+.4g}, 95 % interval {interval.low:+.4g} to {interval.high:+.4g}, p = 0.0312, 6 pairs."
    assert f"upsample is better than transpose (exploratory): {numbers}" in out  # coverage
    assert f"upsample is worse than transpose (exploratory): {numbers}" in out  # the kernel distance, negative and all
    assert "upsample is equivalent to transpose within 5 %: +0.0 %" in out
    assert "coverage: larger is better; exploratory" in out
    assert "not compared, because neither larger nor smaller is better: odd" in out


def test_a_metric_is_compared_alike_under_every_protocol_features_and_stride(study, compare):
    bias = [-0.5, -0.52, -0.48, -0.5, -0.51, -0.49]
    full = {"full/classifier/coverage": [0.8] * 6, "full/checkerboard_index_4": bias, "full/decay_slope": bias}
    less = {"full/classifier/coverage": [0.7] * 6, "full/checkerboard_index_4": [0.1] * 6, "full/decay_slope": bias}
    study.arm(UPSAMPLE, LOW, **full)
    study.arm(TRANSPOSE, LOW, **less)
    _, out, _ = compare()
    assert "full/classifier/coverage: larger is better; exploratory\n  upsample is better than transpose (explor" in out
    worse = "upsample is worse than transpose (exploratory): farther from 0 by 0.4 (transpose +0.1, upsample -0.5)"
    assert f"full/checkerboard_index_4: closer to 0 is better; exploratory\n  {worse}" in out
    assert "not compared, because neither larger nor smaller is better: full/decay_slope" in out


def test_the_table_counts_runs_and_gives_mean_and_sd(study, compare):
    study.arm(UPSAMPLE, [1.0, 2.0, 6.0])
    study.arm(TRANSPOSE, [2.0, 2.0, 5.0])
    study.add(UPSAMPLE, 3, "diverged", protocol={})
    study.add(UPSAMPLE, 4, "interrupted", protocol={})
    study.add(TRANSPOSE, 3, "failed", protocol={})
    _, out, _ = compare()
    rows = [line.split() for line in out.splitlines()]
    assert ["arm", "runs", "finished", "diverged", "failed", "interrupted"] in rows
    assert ["upsample", "5", "3", "1", "0", "1"] in rows
    assert ["transpose", "4", "3", "0", "1", "0"] in rows
    assert ["frechet_distance", "transpose", "3", "1.7", "3", "smaller"] in rows  # mean, sd, runs
    assert ["upsample", "3", "2.6", "3"] in rows


def test_what_is_missing_is_named(study, compare):
    study.arm(UPSAMPLE, HIGH)
    study.arm(TRANSPOSE, LOW[:4])
    study.add(TRANSPOSE, 4, "diverged", protocol={}, frechet_distance=1e9)
    study.add(TRANSPOSE, 6, coverage=0.5)
    _, out, _ = compare()
    gaps = [line for line in out.splitlines() if line.startswith("not in any pair")]
    assert gaps == [
        "not in any pair: transpose, seed 5: no result",
        "not in any pair: upsample, seed 6: no result",
    ]
    assert "  not in any pair: transpose has no frechet_distance in seed 6\n" in out
    line = sentence(out, "against transpose is inconclusive")  # 5 pairs: ranks 1 to 4 against 5, 20 of 32 sums
    assert line.endswith(
        "over the 4 finished pairs only, p = 0.625 by ranks over 5 pairs; of 5 runs each, 0 of upsample and 1 of "
        "transpose diverged, and count as the worst; p <= 0.05 needs at least 6 pairs, this study has 5; no verdict, since "
        "finished runs of 1 pair have no value: measure them again; 2 of 7 seeds are left out."
    )


def test_fewer_than_two_pairs_are_no_comparison(study, compare):
    study.add(UPSAMPLE, 0, frechet_distance=1.0)
    study.add(UPSAMPLE, 1, frechet_distance=1.0)
    study.add(TRANSPOSE, 0, frechet_distance=2.0)
    study.add(TRANSPOSE, 2, frechet_distance=2.0, coverage=0.5)
    code, out, _ = compare()
    assert code == 0
    assert "upsample and transpose have 1 pair of finished runs with equal seed; a comparison needs at least 2." in out
    assert "has no verdict, since finished runs of 2 pairs have no value: measure them again." in out  # of the coverage
    assert "nan" not in out


def test_several_arms_are_adjusted_by_holm(study, compare):
    study.arm(TRANSPOSE, LOW)
    study.arm(UPSAMPLE, HIGH, coverage=[0.5] * 6)
    study.arm(settings("pixel_shuffle", 3), HIGH[:1] + [value * 1.01 for value in LOW[1:]])
    _, out, _ = compare()
    line = sentence(out, "upsample against transpose is inconclusive")  # 2/64 alone would be `worse`
    assert line.endswith(
        "p = 0.0312, 6 pairs; with 2 arms p <= 0.05 needs at least 7 pairs, this study has 6; "
        "p = 0.0625 after adjustment for 2 arms."
    )
    assert "pixel_shuffle against transpose is inconclusive" in out


def test_arms_that_share_a_name_carry_what_differs(study, compare):
    for steps in (100, 20, 20000):
        study.arm(settings(training__steps=steps), LOW)
    _, out, _ = compare()
    arms = re.findall(r"^ +transpose (training\S+)(?: +\d+){5} *$", out, re.M)  # in the table of runs
    assert arms == ["training.steps=20", "training.steps=100", "training.steps=20000"]
    assert "transpose training.steps=100 is equivalent to transpose training.steps=20 within 5 %" in out
    assert "transpose training.steps=20 is better" not in compare("--reference", "transpose training.steps=100")[1]


def test_several_settings_of_the_generator_may_differ(study, compare):
    study.arm(settings("upsample", 3), LOW)
    study.arm(settings("upsample", 5), LOW)
    study.arm(settings("transpose", 4), LOW)
    code, out, _ = compare()
    assert code == 0
    assert "upsample generator.upsampling.kernel_size=5 is equivalent to transpose" in out


@pytest.mark.parametrize(
    ("group", "one", "same", "other"),
    [
        ("penalty", {"name": "r1_r2", "weight": 0.1}, {"name": "r1_r2", "weight": 1.0}, {"name": "none"}),
        ("penalty", {"name": "r1_r2", "weight": 0.1}, {"name": "r1_r2", "weight": 1.0}, {"name": "made", "pull": 2}),
        ("dataset", {"name": "digits", "size": 8}, {"name": "digits", "size": 16}, {"name": "folder", "sha256": "1a"}),
    ],
)
def test_another_choice_brings_its_own_settings(study, compare, group, one, same, other):
    for choice in (one, same, other):
        study.arm(settings() | {group: choice}, LOW)
    code, out, _ = compare()
    assert code == 0
    for choice in (one, other):
        assert " ".join(["transpose", *(f"{group}.{key}={value}" for key, value in choice.items())]) + " " in out


def test_the_generator_and_something_else_is_refused(study, compare):
    study.arm(UPSAMPLE, LOW)
    study.arm(settings("transpose", training__steps=40), LOW)
    assert refused(compare()) == (
        f"{study.directory} has runs that differ not only in the generator but also in training.steps: 20 and 40; "
        "compare a folder of runs in which one thing differs\n"
    )


def test_two_settings_outside_the_generator_are_refused(study, compare):
    study.arm(settings(), LOW)
    study.arm(settings(optimizer__beta_1=0.5, training__steps=40), LOW)
    assert "in more than one setting: optimizer.beta_1: 0.0 and 0.5, training.steps: 20 and 40;" in refused(compare())


def test_a_run_that_did_not_finish_was_measured_under_no_protocol(study, compare):
    study.arm(UPSAMPLE, LOW)
    study.arm(TRANSPOSE, HIGH)
    study.add(TRANSPOSE, 6, "diverged", protocol=PROTOCOL | {"hash": "of another time"})
    study.add(UPSAMPLE, 6, frechet_distance=1.0)
    status, out, _ = compare()
    assert status == 0
    assert "counts as the worst: transpose, seed 6: diverged" in out
    assert "protocol: n_real 360" in out


def test_other_protocols_are_refused(study, compare):
    study.arm(UPSAMPLE, LOW)
    for seed in range(6):
        study.add(TRANSPOSE, seed, protocol=PROTOCOL | {"n_fake": 1000}, frechet_distance=1.0)
    assert "protocol.n_fake: 360 and 1000; " in refused(compare())


def test_two_runs_of_one_seed_are_refused(study, compare):
    study.arm(UPSAMPLE, LOW)
    study.arm(TRANSPOSE, LOW)
    folder = study.add(TRANSPOSE, 3, "failed", protocol={})
    line = refused(compare())
    assert "two runs of transpose with seed 3" in line
    assert str(folder / "result.json") in line


def test_nothing_to_compare(study, compare):
    assert refused(compare()) == f"{study.directory} does not exist; give a folder of runs\n"
    study.directory.mkdir()
    assert refused(compare()).startswith(f"{study.directory} has no result.json; ")
    study.arm(UPSAMPLE, LOW)
    assert refused(compare()) == f"{study.directory} has only one arm, upsample; a comparison needs two\n"
    folder = study.add(TRANSPOSE, 0)
    (folder / "result.json").write_text("{")
    assert refused(compare()).startswith(f"{folder / 'result.json'} is damaged")


def test_runs_without_metrics_are_only_counted(study, compare):
    study.add(UPSAMPLE, 0)
    study.add(TRANSPOSE, 0, "diverged", protocol={}, frechet_distance=3.0)
    code, out, _ = compare()
    assert code == 0
    assert "No finished run has metrics." in out
    line = refused(compare("--metric", "coverage"))
    assert f" is not a metric of {study.directory}; no finished run has any that can be compared" in line


def test_the_primary_metric_comes_first(study, compare):
    study.arm(UPSAMPLE, HIGH, coverage=[0.5] * 6)
    study.arm(TRANSPOSE, LOW, coverage=[0.5] * 6)
    _, out, _ = compare("--metric", "coverage")
    assert out.index("coverage: larger is better; primary") < out.index("frechet_distance: smaller is better; explor")
    assert "did you mean coverage?" in refused(compare("--metric", "covrage"))


def test_a_ratio_of_nothing_is_an_error_that_names_the_file(study, compare):
    study.arm(UPSAMPLE, LOW)
    study.arm(TRANSPOSE, [*LOW[:5], 0.0])
    line = refused(compare())
    assert "011/result.json has metrics.frechet_distance=0.0" in line


def test_labels_are_printed_as_they_are(study, compare):  # rich would take [null,32] for a style
    study.arm(settings(training__batch_size=[None, 16]), LOW)
    study.arm(settings(training__batch_size=[None, 32]), LOW)
    _, out, _ = compare()
    assert "transpose training.batch_size=[null,32] is equivalent to transpose training.batch_size=[null,16]" in out


def test_a_wrong_command_line_is_one_line(study, compare):
    assert "--what" in refused(compare("--what"))


def test_tensorflow_is_not_imported(study):
    study.arm(UPSAMPLE, HIGH)
    study.arm(TRANSPOSE, LOW)
    code = (
        "import sys, runpy\n"
        "runpy.run_module('ganlab.compare', run_name='__main__', alter_sys=True)\n"
        "print(sorted({'tensorflow', 'keras', 'scipy.stats'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(study.directory)], capture_output=True, text=True, check=True
    )
    assert "upsample is worse than transpose" in done.stdout
    assert done.stdout.endswith("[]\n")


@pytest.mark.slow
def test_a_reader_that_leaves_early_costs_nothing(study):
    """`compare DIR | head -1`: the report is written all the same. Other commands end without a complaint."""
    study.arm(UPSAMPLE, HIGH)
    study.arm(TRANSPOSE, LOW)

    def unread(*arguments):
        line = [sys.executable, *arguments]
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            process.stdout.close()
            return process.wait(), process.stderr.read()

    assert unread("-m", "ganlab.compare", str(study.directory)) == (0, "")
    assert (study.directory / "report" / "report.html").exists()
    assert unread("-c", "from ganlab.cli.exit import one_line\nwith one_line(): print(1)") == (141, "")


@pytest.mark.slow
def test_streams_that_a_shell_closed_are_missed_by_nobody(study):
    study.arm(UPSAMPLE, HIGH)
    study.arm(TRANSPOSE, LOW)
    line = f"{shlex.quote(sys.executable)} -m ganlab.compare {shlex.quote(str(study.directory))} <&- >&-"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (study.directory / "report" / "report.html").exists()
    done = subprocess.run(["sh", "-c", f"{line} 2>&- --metric=x"], check=False)
    assert done.returncode == 2


def test_a_study_says_itself_how_it_is_judged(study, compare):
    plan = {"reference": "upsample", "quality": "coverage", "margins": {"coverage": 0.5}}
    for tree in (UPSAMPLE, TRANSPOSE):
        study.arm(tree | {"comparison": plan}, LOW, coverage=[0.5, 0.6, 0.5, 0.6, 0.5, 0.6])
    code, out, _ = compare()
    assert code == 0
    assert out.index("coverage: larger is better; primary") < out.index("frechet_distance: smaller")
    assert "transpose is equivalent to upsample within 0.5: +0" in out
    assert "transpose against upsample is inconclusive (exploratory): +0.0 %" in out  # no margin for the distance
    study.add(TRANSPOSE | {"comparison": plan | {"quality": "recall"}}, 7, coverage=0.5)
    assert "comparison.quality: recall and coverage" in refused(compare())


@pytest.mark.slow
def test_seven_arms_of_twenty_seeds_take_less_than_twenty_seconds(study):
    names = [
        f"{where}{name}"
        for where in ("", "full/classifier/", "full/random/", "full/pca/")
        for name in with_better_side()
        if where or name in ("frechet_distance", "coverage", "spectral_distance")
    ]
    random = np.random.default_rng(0)
    for place, name in enumerate(("transpose", "upsample", "fir", "carafe", "pixel_shuffle", "bilinear", "nearest")):
        for seed in range(20):
            values = np.exp(random.normal(0.02 * place, 0.06, len(names)))
            study.add(settings(name, 3), seed, **dict(zip(names, map(float, values), strict=True)))
    before = os.times()
    command = [sys.executable, "-m", "ganlab.compare", str(study.directory), "--all"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = os.times()
    taken = after.children_user + after.children_system - before.children_user - before.children_system
    assert taken < 20  # of processor time: what a busy machine cannot change
    assert done.stdout.count(" against transpose ") + done.stdout.count(" than transpose") > 6 * 40
