"""A dry run lists what would be run and what it costs, and leaves nothing behind."""

import json
import sys
import time

import pytest

from ganlab import device, train
from ganlab.cli import hydra as cli
from ganlab.cli.hydra import plan
from ganlab.errors import ConfigError
from ganlab.files import write_json
from ganlab.launch import dry_run
from ganlab.launch.dry_run import Cost
from ganlab.runs.folder import write_result

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
    _, lines = typed("-m", "seed=0,1", costs=())
    assert lines[-1] == "no step was timed within 60 s, so the cost is not known"


def test_other_settings_in_a_folder_are_refused_as_they_will_be(typed, tmp_path):
    (cell,) = plan(["generator=transpose", "study=mine", "training.batch_size=8"], multirun=False).cells
    directory = tmp_path / "outputs" / "mine" / "transpose-seed0"
    directory.mkdir(parents=True)
    write_json(directory / "config.json", cell.config.model_dump(mode="json"))
    code, lines = typed("-m", "study=mine", "generator=transpose", "seed=0")
    assert (code, lines) == (2, [])


@pytest.fixture
def children(monkeypatch, settings):
    """`children(program, at_once)`: what is measured if this program were the one that times steps."""

    def run(program, at_once):
        program = f"import json, sys, time; places = [job[0] for job in json.load(sys.stdin)['jobs']]; {program}"
        monkeypatch.setattr(dry_run, "_CHILD", (sys.executable, "-c", program))
        return dry_run.measure([settings("seed=0")] * 3, at_once)

    return run


def test_what_was_timed_before_time_ran_out_counts(children, monkeypatch):
    monkeypatch.setattr(dry_run, "_PATIENCE", 5.0)
    slow = (
        "print([places[0], 9.0, 0.5], flush=True); print('[9, 9.', end='', flush=True); time.sleep(100 * (0 in places))"
    )
    assert children(slow, 2) == {0: Cost(9.0, 0.5), 1: Cost(9.0, 0.5)}  # 2 was in the queue of 0
    assert children("time.sleep(100)", 1) == {}


def test_more_processes_than_arms_time_an_arm_again(children):
    assert children("print([places[0], 8.0, 0.25])", 4) == dict.fromkeys(range(3), Cost(8.0, 0.25))


def test_what_cannot_be_run_is_one_line(children):
    with pytest.raises(ConfigError, match=r"^dataset\.path=x does not exist; give an \.npz$"):
        children("sys.exit('a warning\\ndataset.path=x does not exist; give an .npz')", 2)


def test_one_process_times_all_its_arms(settings, monkeypatch, capsys):
    import keras

    from ganlab.run import build

    monkeypatch.setattr(device, "start", lambda *_arguments, **_settings: None)
    monkeypatch.setattr(dry_run, "chosen", lambda _config, _machine: (keras.config.dtype_policy(), "graph"))
    monkeypatch.setattr(dry_run, "time_step", lambda config, *_arguments, **_settings: (9.0, config.seed + 0.5))
    monkeypatch.setattr(build, "check_images", lambda *_arguments: None)
    dry_run._time_all([(place, settings(f"seed={place}")) for place in range(3)], time.time())
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(place, step) for place, _, step in told] == [(0, 0.5), (1, 1.5), (2, 2.5)]


@pytest.mark.slow
def test_steps_are_timed_in_processes_of_their_own(command, tmp_path):
    line = ["train", "-m", "study=mine", *TINY, "generator=upsample,transpose", "seed=0,1", "--dry-run"]
    done = command(*line, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert done.returncode == 0, done.stderr
    assert "with 2 at a time: " in done.stdout
    assert done.stdout.count(" ms a step (") == 2
    assert not list(tmp_path.iterdir())
