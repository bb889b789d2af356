"""A dry run lists what would be run and what it costs, and leaves nothing behind."""

import sys

import pytest

from ganlab import device, train
from ganlab.cli import hydra as cli
from ganlab.cli.hydra import plan
from ganlab.files import write_json
from ganlab.launch import dry_run
from ganlab.launch.dry_run import Cost
from ganlab.runs.result import write_result

TINY = (
    "training.steps=400",
    "generator.base_filters=4",
    "generator.stages=[[4,2],[null,2]]",
    "discriminator.filters=[4,4]",
)


COSTS = (Cost(10.0, 0.01),)


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """`typed(*arguments, costs=...)`: status and lines of a dry run whose steps take what is said; nothing may start."""
    asked = []

    def run(*arguments, costs=COSTS):
        def measure(configs, at_once):
            asked.append((len(configs), at_once))
            return dict(enumerate(costs[: len(configs)]))

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(dry_run, "measure", measure)
        monkeypatch.setattr(train, "finish", pytest.fail)
        monkeypatch.setattr(cli, "launch_cells", pytest.fail)
        before = sorted(tmp_path.rglob("*"))
        monkeypatch.setattr(sys, "argv", ["train", *arguments, "--dry-run"])
        with pytest.raises(SystemExit) as end:
            train.main()
        assert sorted(tmp_path.rglob("*")) == before
        return end.value.code, capsys.readouterr().out.splitlines()

    run.asked = asked
    return run


def test_a_sweep_is_listed_with_its_cost_and_its_chance_of_a_verdict(typed):
    costs = (Cost(10.0, 0.01), Cost(20.0, 0.02))
    code, lines = typed("-m", "study=mine", "generator=upsample,transpose", "seed=0,1,2", costs=costs)
    assert code == 0
    assert lines == [
        "6 runs in outputs/mine; nothing is started",
        *(f"  {f'{arm}-seed{seed}':<15}  to run, 4,000 steps" for arm in ("upsample", "transpose") for seed in range(3)),
        "3 seeds can give no verdict of better or worse: the smallest p value of 2 arms with 3 pairs is 0.25; "
        "6 seeds are the fewest",
        # three times 10 + 4000 x 0.01 and 20 + 4000 x 0.02
        "about 8 min one at a time: 10 ms a step (upsample), 20 ms a step (transpose), 15 s to start; "
        "measures and pictures take extra time",
    ]  # fmt: skip


def test_the_time_is_that_of_the_launcher(typed):
    two = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    _, lines = typed("-m", "seed=range(4)", *two)
    assert lines[-1].startswith("about 2 min with 2 at a time: 10 ms a step (transpose)")  # two after each other, 50 s
    assert typed.asked[-1] == (1, 2)  # one arm, whose steps are timed beside another
    _, lines = typed("-m", "seed=range(3)", *two)
    assert lines[-1].startswith("about 2 min with 2 at a time")  # the third alone
    _, lines = typed("-m", "seed=range(4)")
    assert lines[-1].startswith("about 3 min one at a time")


def test_what_has_ended_is_not_counted_and_what_was_begun_goes_on(typed, tmp_path):
    line = ("-m", "study=mine", "generator=transpose", "seed=0,1,2")
    cells = plan([*line[1:]], multirun=True).cells
    for number, cell in enumerate(cells[:2]):
        directory = tmp_path / cell.directory
        directory.mkdir(parents=True)
        write_json(directory / "config.json", cell.config.model_dump(mode="json"))
        if number == 0:
            write_result(cell.config, directory, None, "finished")
        else:
            for step in (1000, 3000):
                (directory / "checkpoints" / f"step-{step:08d}").mkdir(parents=True)
    code, lines = typed(*line)
    assert code == 0
    assert lines[1:5] == [
        "  transpose-seed0  has ended",
        "  transpose-seed1  resumes from step 3,000 of 4,000",
        "  transpose-seed2  to run, 4,000 steps",
        "one arm: there is nothing to compare it with",
    ]
    assert lines[5].startswith("about 70 s one at a time")  # 10 + 1000 x 0.01 and 10 + 4000 x 0.01
    directory = tmp_path / cells[1].directory
    _, lines = typed(f"resume={directory}")
    assert lines[1].endswith("resumes from step 3,000 of 4,000")
    for steps, status in (5000, 0), (2000, 2):  # more steps than it has taken, and fewer
        code, lines = typed(f"resume={directory}", f"training.steps={steps}")
        assert (code, bool(lines)) == (status, not status)
    for cell in cells[1:]:
        directory = tmp_path / cell.directory
        directory.mkdir(exist_ok=True)
        write_json(directory / "config.json", cell.config.model_dump(mode="json"))
        write_result(cell.config, directory, None, "diverged", error="nan")
    typed.asked.clear()
    assert typed(*line)[1][-1] == "all have ended: the command would start nothing"
    assert not typed.asked  # and no step is timed for it


def test_arms_for_which_there_was_no_time_count_as_the_mean(typed):
    costs = (Cost(10.0, 0.01), Cost(10.0, 0.03))
    _, lines = typed("-m", "generator=upsample,transpose,fir", "seed=0", costs=costs)
    assert lines[-2].startswith("about 4 min one at a time")  # 50 + 130 + 90 s
    assert lines[-1] == "2 of 3 arms were timed; the others count as their mean"


def test_other_settings_in_a_folder_are_refused_as_they_will_be(typed, tmp_path):
    (cell,) = plan(["generator=transpose", "study=mine", "training.batch_size=8"], multirun=False).cells
    directory = tmp_path / "outputs" / "mine" / "transpose-seed0"
    directory.mkdir(parents=True)
    write_json(directory / "config.json", cell.config.model_dump(mode="json"))
    code, lines = typed("-m", "study=mine", "generator=transpose", "seed=0")
    assert (code, lines) == (2, [])


def test_arms_are_timed_until_the_time_is_over(settings, monkeypatch):
    import keras

    from ganlab.run import build

    monkeypatch.setattr(device, "start", lambda *_arguments, **_settings: None)
    monkeypatch.setattr(dry_run, "chosen", lambda _config, _machine: (keras.config.dtype_policy(), "graph"))
    monkeypatch.setattr(dry_run, "time_step", lambda config, *_arguments, **_settings: (9.0, config.seed + 0.5))
    monkeypatch.setattr(build, "check_images", lambda *_arguments: None)
    monkeypatch.setattr(dry_run, "_PATIENCE", 1e9)
    configs = [settings(f"seed={place}") for place in range(3)]
    costs = dry_run.measure(configs)
    assert {place: cost.step for place, cost in costs.items()} == {0: 0.5, 1: 1.5, 2: 2.5}
    assert all(cost.begin > 9 for cost in costs.values())
    monkeypatch.setattr(dry_run, "_PATIENCE", 0.0)
    assert list(dry_run.measure(configs, at_once=2)) == [0]


@pytest.mark.slow
def test_steps_are_timed(command, tmp_path):
    line = ["train", "-m", "study=mine", *TINY, "generator=upsample,transpose", "seed=0,1", "--dry-run"]
    done = command(*line, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert done.returncode == 0, done.stderr
    assert "with 2 at a time: " in done.stdout
    assert done.stdout.count(" ms a step (") == 2
    assert not list(tmp_path.iterdir())
