"""Somebody else's YAML files, given with -cd: whatever they say, nothing is imported, run, set, or written elsewhere."""

import sys
import time
from pathlib import Path

import pytest

from conftest import some
from ganlab import train
from ganlab.cli.foreign_yaml import LAUNCHERS
from ganlab.cli.hydra import plan
from ganlab.errors import ConfigError

TARGET = "{_target_: urllib.request.urlretrieve, url: 'file:///etc/hostname', filename: LIT}"
HANDLER = "{version: 1, handlers: {file: {class: logging.FileHandler, filename: LIT}}, root: {handlers: [file]}}"
FACTORY = (
    "{version: 1, formatters: {x: {'()': urllib.request.urlretrieve, url: 'file:///etc/hostname', filename: LIT}}}"
)

HYDRA = {  # what stands under `hydra:`
    "callback": f"callbacks: {{x: {TARGET}}}",
    "callback of a sweep only": f"callbacks: {{x: {TARGET}}}\n  mode: MULTIRUN",
    "logging factory": f"job_logging: {FACTORY}",
    "Hydra's logging factory": f"hydra_logging: {FACTORY}",
    "log file": f"job_logging: {HANDLER}",
    "Hydra's log file": f"hydra_logging: {HANDLER}",
    "variable": "job: {env_set: {PYTHONPATH: LIT}}",
    "variable copied": "job: {env_copy: [HOME]}",
    "variable copied that is not set": "job: {env_copy: [NO_SUCH_VARIABLE]}",
    "folder changed": "job: {chdir: true}",
    "name of a job": "job: {name: '../LIT'}",
    "overrides": "overrides: {task: ['hydra.run.dir=LIT']}",
    "more overrides": "overrides: {hydra: ['hydra.run.dir=LIT']}",
    "run elsewhere": "run: {dir: LIT}",
    "run at home": "run: {dir: '~/lit'}",
    "run above": "run: {dir: '../lit'}",
    "run nowhere": "run: {dir: ''}",
    "run in nothing": "run: {dir: null}",
    "run in a list": "run: {dir: [a]}",
    "run where a resolver says": "run: {dir: '${now:%Y}'}",
    "run where Hydra says": "run: {dir: '${hydra.runtime.cwd}'}",
    "copy of the settings": "output_subdir: LIT",
    "verbose": "verbose: true",
    "search path": "searchpath: ['pkg://antigravity']",
    "sweeper": f"sweeper: {TARGET}",
    "sweeper's class": "sweeper: {_target_: urllib.request.urlretrieve}",
    "sweeper's setting": "sweeper: {lit: 1}",
    "swept without end": "mode: MULTIRUN\n  sweeper: {max_batch_size: 0}",
    "params in a list": "mode: MULTIRUN\n  sweeper: {params: [1, 2]}",
    "params of a dictionary": "mode: MULTIRUN\n  sweeper: {params: {seed: {a: 1}}}",
    "params with a name that is none": "mode: MULTIRUN\n  sweeper: {params: {'seed=1 ': 1}}",
    "callback among params": f'mode: MULTIRUN\n  sweeper: {{params: {{+hydra.callbacks: "{TARGET}"}}}}',
    "folder among params": "mode: MULTIRUN\n  sweeper: {params: {hydra.sweep.dir: LIT}}",
    "launcher": f"launcher: {TARGET}",
    "launcher's class": "launcher: {_target_: urllib.request.urlretrieve}",
    "no launcher": "launcher: null",
    "all of it": "${training}",
    "what there is not": "lit: 1",
}
SWEEP = {
    "sweep elsewhere": "sweep: {dir: LIT}",
    "sweep at home": "sweep: {dir: '~/lit'}",
    "sweep above": "sweep: {dir: 'a/../../lit'}",
    "sweep nowhere": "sweep: {dir: ' '}",
    "cell elsewhere": "sweep: {subdir: LIT}",
    "cell above": "sweep: {subdir: '../lit'}",
    "cell nowhere": "sweep: {subdir: ''}",
    "cell where Hydra says": "sweep: {subdir: '${hydra.job.id}'}",
    "sweep where another resolver says": "sweep: {dir: '${oc.create:LIT}'}",
}
OF_LAUNCHERS = {
    "commands before a job": ("submitit_slurm", "setup: ['touch LIT']"),
    "flags of sbatch": ("submitit_slurm", "additional_parameters: {wrap: 'touch LIT'}"),
    "a line more for sbatch": ("submitit_slurm", 'partition: "a\\n touch LIT"'),
    "folder of pickles": ("submitit_slurm", "submitit_folder: LIT"),
    "folder of pickles here": ("submitit_local", "submitit_folder: LIT"),
    "folder of arrays": ("joblib", "temp_folder: LIT"),
    "expression": ("joblib", "pre_dispatch: '9**9**9'"),
    "million jobs": ("joblib", "n_jobs: 1000000"),
    "jobs that are none": ("joblib", "n_jobs: ${training.steps}"),
    "somebody's cluster": ("ray", "ray: {init: {address: 'ray://example.org:10001'}}"),
    "packages": ("ray", "ray: {init: {runtime_env: {pip: [lit]}}}"),
    "packages of a job": ("ray", "ray: {remote: {runtime_env: {pip: [lit]}}}"),
    "machines of a cloud": ("ray_aws", "stop_cluster: false"),
    "class of a launcher": ("joblib", "_target_: hydra._internal.core_plugins.basic_launcher.BasicLauncher"),
}
NESTED = "training:\n  steps: " + "[" * 200 + "]" * 200 + "\n"
BOMB = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
)
OTHERS = {  # whole files
    "secret": "study: x${oc.env:SECRET}\n",
    "secret by its other name": "study: ${oc.${n}:SECRET}\nn: env\n",
    "secret or something else": "study: ${oc.env:SECRET,x}\n",
    "secret in a choice": "defaults:\n  - override /generator: ${oc.env:SECRET}\n",
    "secret as a number": "training:\n  steps: ${oc.decode:${oc.env:SECRET}}\n",
    "anchors": BOMB,
    "merged anchors": "a: &a {x: 1}\nb: &b {<<: [*a, *a]}\n" + BOMB,
    "itself": "defaults:\n  - evil\n",
    "each other": "defaults:\n  - other\n",
    "what holds itself": "a: &a [*a]\n",
    "nested": NESTED,
    "nested deeply": "a: " + "[" * 100_000 + "\n",
    "nested by indentation": "".join(f"{' ' * depth}a:\n" for depth in range(200)),
    "large": "# " + "x" * 2**21 + "\n",
    "many": "a: [" + "1," * 50_000 + "]\n",
    "a list": "- 1\n- 2\n",
    "a word": "word\n",
    "an object": "a: !!python/object/apply:os.system ['touch LIT']\n",
    "another tag": "a: !x 1\n",
    "a key that is a list": "? [a, b]\n: 1\n",
    "a key that is null": "null: 1\n",
    "broken": "a: [1,\n",
    "NUL": "a: \0\n",
    "not UTF-8": b"study: \xff\xfe\n",
    "header": "# @package a b c\n",
    "package elsewhere": "# @package hydra.callbacks.x\n_target_: urllib.request.urlretrieve\n",
    "defaults that are a word": "defaults: evil\n",
    "defaults of numbers": "defaults: [1, 2]\n",
    "a choice that is none": "defaults:\n  - override /generator: nosuch\n",
    "a callback by a choice": "defaults:\n  - override /hydra/callbacks: evil\n",
    "interpolations that double": "a0: x\n" + "".join(f"a{n}: ${{a{n - 1}}}${{a{n - 1}}}\n" for n in range(1, 40)),
    "an interpolation without end": "study: ${study}\n",
    "two interpolations without end": "study: ${precision}\nprecision: ${study}\n",
    "an interpolation of nothing": "study: ${nosuch.name}\n",
    "a resolver that is not there": "study: ${nosuch:1}\n",
    "half an interpolation": "study: '${'\n",
    "a run to go on with": "resume: /tmp\n",
    "a run of one's own": "init_from: /nonexistent\n",
}


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """`foreign(text)`: a folder for -cd whose experiment `evil` has that text, seen from an empty folder."""
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.setenv("HOME", str(tmp_path))
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)

    def write(text):
        lit = str(tmp_path / "lit")
        text = text if isinstance(text, bytes) else text.replace("LIT", lit).encode()
        for folder, content in {
            "experiment/evil": text,
            "experiment/other": b"# @package _global_\ndefaults:\n  - evil\n",
            "hydra/callbacks/evil": f"x: {TARGET.replace('LIT', lit)}\n".encode(),
        }.items():
            path = tmp_path / "theirs" / f"{folder}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return str(tmp_path / "theirs")

    yield write
    assert not (tmp_path / "lit").exists()
    assert not list(place.iterdir())


def refused(folder, *more, multirun=False):
    """What is said of the experiment, in one line and at once."""
    before = time.process_time()
    with pytest.raises(ConfigError) as caught:
        plan(["experiment=evil", *more], multirun=multirun, config_dir=folder)
    said = str(caught.value)
    assert "\n" not in said and "hunter2" not in said
    assert len(said) < 600
    assert time.process_time() - before < 2
    return said


def of_hydra(text):
    return (
        f"# @package _global_\nhydra:\n  {text}\n"
        if not text.startswith("$")
        else f"# @package _global_\nhydra: {text}\n"
    )


@pytest.mark.parametrize("name", some(HYDRA))
def test_hydra_is_told_nothing_that_is_not_on_the_list(foreign, name):
    folder = foreign(of_hydra(HYDRA[name]))
    refused(folder)
    if "run:" not in HYDRA[name]:
        refused(folder, "seed=0,1", multirun=True)


@pytest.mark.parametrize("text", SWEEP.values(), ids=SWEEP)
def test_the_folders_of_a_sweep_are_below_the_present_one(foreign, text):
    refused(foreign(of_hydra(text)), "seed=0,1", multirun=True)


@pytest.mark.parametrize("name", some(OF_LAUNCHERS))
def test_a_launcher_is_told_nothing_that_is_not_on_the_list(foreign, name):
    launcher, text = OF_LAUNCHERS[name]
    header = f"# @package _global_\ndefaults:\n  - override /hydra/launcher: {launcher}\n"
    refused(foreign(f"{header}hydra:\n  launcher:\n    {text}\n"), "seed=0,1", multirun=True)


@pytest.mark.parametrize("name", some(OTHERS))
def test_a_file_that_cannot_be_used_is_one_line_at_once(foreign, name):
    text = OTHERS[name]
    header = b"" if isinstance(text, str) and text.startswith("#") else b"# @package _global_\n"
    refused(foreign(header + (text if isinstance(text, bytes) else text.encode())))


def test_our_own_files_cannot_be_replaced(foreign):
    folder = foreign("# @package _global_\nseed: 1\n")
    Path(folder, "config.yaml").write_text("hydra:\n  searchpath: ['pkg://antigravity']\n")
    (cell,) = plan(["experiment=evil"], multirun=False, config_dir=folder).cells
    assert cell.config.seed == 1
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("more", [[], ["-m", "seed=0,1"], ["--dry-run"], ["--help"]], ids=" ".join)
def test_every_way_to_use_settings_refuses_them(foreign, monkeypatch, capsys, more):
    folder = foreign(of_hydra(HYDRA["callback"]))
    monkeypatch.setattr(sys, "argv", ["ganlab.train", "-cd", folder, "experiment=evil", *more])
    with pytest.raises(SystemExit) as ended:
        train.main()
    output, errors = capsys.readouterr()
    assert (ended.value.code, output, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("hydra.callbacks={'x': ")


def test_looking_at_settings_runs_nothing(foreign, monkeypatch, capsys):
    folder = foreign(of_hydra(HYDRA["callback"]))
    for line in (["--cfg", "all"], ["--cfg", "job"]):
        monkeypatch.setattr(sys, "argv", ["ganlab.train", "-cd", folder, "experiment=evil", *line])
        with pytest.raises(SystemExit) as ended:
            train.main()
        assert ended.value.code == 0, capsys.readouterr().err


WANTED = """\
# @package _global_
defaults:
  - override /hydra/launcher: joblib
study: theirs
hydra:
  mode: MULTIRUN
  sweep:
    dir: outputs/${study}
    subdir: ${generator.name}/${seed}
  launcher:
    n_jobs: 3
  sweeper:
    params:
      seed: 0,1
      generator: fir,carafe
"""


def test_what_is_on_the_list_is_taken(foreign):
    wanted = plan(["experiment=evil"], multirun=False, config_dir=foreign(WANTED))
    assert {str(cell.directory) for cell in wanted.cells} == {
        f"outputs/theirs/{arm}/{seed}" for arm in ("fir", "carafe") for seed in (0, 1)
    }
    assert (wanted.launcher, wanted.jobs) == ("joblib", 3)


def test_a_person_may_give_any_folder(tmp_path):
    (cell,) = plan([f"hydra.run.dir={tmp_path}/x"], multirun=False).cells
    assert cell.directory == tmp_path / "x"
    assert plan(["hydra.sweep.dir=../y", "seed=0,1"], multirun=True).sweep == Path("../y")


@pytest.mark.parametrize(
    "line",
    [
        ["hydra/launcher=joblib", "hydra.launcher.temp_folder=/tmp"],
        pytest.param(
            [
                "hydra/launcher=submitit_slurm",
                "hydra.launcher.setup=[module load cuda]",
                "hydra.launcher.timeout_min=600",
            ],
            marks=pytest.mark.slow,  # what `make test-slow` installs
        ),
        pytest.param(
            ["hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2", "hydra.launcher.ray.init.address=auto"],
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda line: line[0],
)
def test_a_person_may_give_whatever_a_launcher_takes(line):
    launcher = line[0].partition("=")[2]
    assert launcher in LAUNCHERS
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher")
    assert plan([*line, "seed=0,1"], multirun=True).launcher == launcher


def test_a_yaml_file_is_read_again_after_a_change(tmp_path):
    path = tmp_path / "experiment" / "mine.yaml"
    path.parent.mkdir()
    for steps in (5, 700):
        path.write_text(f"# @package _global_\ntraining:\n  steps: {steps}\n")
        (cell,) = plan(["experiment=mine"], multirun=False, config_dir=str(tmp_path)).cells
        assert cell.config.training.steps == steps
