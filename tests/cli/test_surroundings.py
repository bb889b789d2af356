"""What differs from one shell to the next: the home directory, the terminal's letters, variables, and how paths are typed."""

import io
import os
import pwd
import sys
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlab import compare, dashboard, device, evaluate, export, inspect, sample, status, train
from ganlab.cli.exit import one_line, path
from ganlab.cli.hydra import _parsed, plan, quoted
from ganlab.errors import ConfigError, expand
from ganlab.files import cache_folder, write_json
from ganlab.launch.sweep import _to_workers
from small_runs import TINY


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def homeless(tmp_path, monkeypatch):
    """A user whom neither HOME nor the system's list of users gives a home directory."""

    def unknown(_uid):
        raise KeyError

    for name in ("HOME", "XDG_CACHE_HOME", "GANLAB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def main_of(module, monkeypatch, capsys, *arguments):
    """The exit status, output and errors of a command in this process."""
    monkeypatch.setattr(sys, "argv", [module.__name__, *arguments])
    with pytest.raises(SystemExit) as ended:
        module.main()
    return ended.value.code, *capsys.readouterr()


def test_a_tilde_is_the_home_directory_in_every_path(home, monkeypatch):
    assert plan(["hydra.run.dir=~/x/größe"], multirun=False).cells[0].directory == home / "x" / "größe"
    assert plan(["hydra.run.dir='~/x y'"], multirun=False).cells[0].directory == home / "x y"
    wanted = plan(["hydra.sweep.dir=~/x", "seed=0,1"], multirun=True)
    assert wanted.sweep == home / "x"
    assert wanted.cells[0].directory.parent == home / "x"
    assert f"hydra.sweep.dir='{home}/x'" in _to_workers(wanted, [])
    assert plan(["resume=~/a=b"], multirun=False).resume == home / "a=b"
    assert train._read(["-cd", "~/x"]).config_dir == train._read(["--config-dir=~/x"]).config_dir == str(home / "x")
    options = inspect._read(["run=~/x", "out=~/y.png"])
    assert (options.run, options.out) == (home / "x", home / "y.png")
    final = (
        plan(["metrics=full", "metrics.final.inception_weights=~/w.h5"], multirun=False).cells[0].config.metrics.final
    )
    assert final.inception_weights == str(home / "w.h5")
    monkeypatch.setenv("GANLAB_CACHE", "~/c")
    assert cache_folder() == home / "c"
    assert path("~") == home


@pytest.mark.parametrize(
    "module", [compare, dashboard, evaluate, export, sample, status], ids=lambda each: each.__name__
)
def test_a_tilde_is_the_home_directory_in_every_argument(module, home, monkeypatch, capsys):
    code, _, errors = main_of(module, monkeypatch, capsys, "~/nowhere")
    assert code == 2
    assert errors.startswith(f"{home}/nowhere ")


def test_the_folder_of_cd_reaches_hydra_expanded(home, monkeypatch, command):
    (home / "mine" / "experiment").mkdir(parents=True)
    (home / "mine" / "experiment" / "ours.yaml").write_text("# @package _global_\ntraining:\n  steps: 5\n")
    done = command("train", "-cd", "~/mine", "--cfg", "job", "experiment=ours", "study=größe", "+hydra.foo=~/a=b")
    assert "study: größe" in done.stdout, done.stderr
    assert "steps: 5" in done.stdout
    (home / "mine" / "experiment" / "quick.yaml").write_text("# @package _global_\nstudy: mine\n")
    done = command("train", "-cd", "~/mine", "experiment=quick", "--cfg", "job")
    assert done.returncode == 2
    assert "quick.yaml has the name of a choice of ganlab's, which would be taken; rename the file" in done.stderr
    (home / "mine" / "experiment" / "quick.yaml").unlink()
    for typed in (["-cd", "~/mine", "-m"], ["-cd=~/mine"], ["--config-dir=~/mine"]):
        assert train._read(typed).config_dir == str(home / "mine")


def test_a_present_folder_that_was_removed_is_told_so(tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    code, _, errors = main_of(train, monkeypatch, capsys, "seed=1")
    assert (code, errors) == (1, "the current directory has been removed; change to another one\n")


def test_without_a_home_directory_one_line_says_what_to_set(homeless, monkeypatch, capsys):
    with pytest.raises(ConfigError, match="GANLAB_CACHE is not set, and there is no home directory"):
        cache_folder()
    code, _, errors = main_of(train, monkeypatch, capsys, "seed=1")
    assert (code, errors.count("\n")) == (2, 1)
    assert errors.startswith("GANLAB_CACHE is not set")
    assert not list(homeless.iterdir())
    for typed in ("resume=~/x", "hydra.run.dir=~/x"):
        assert main_of(train, monkeypatch, capsys, typed)[2].startswith(f"{typed} cannot be found: ")
    with pytest.raises(ConfigError, match=r"out=~/x cannot be found: .*; write out the path"):
        expand("~/x", "out=")
    with device._home():
        assert os.access(os.environ["HOME"], os.W_OK)  # else TensorFlow makes a folder named ~
    assert "HOME" not in os.environ
    monkeypatch.setenv("GANLAB_CACHE", "somewhere")
    assert cache_folder() == Path("somewhere")


@pytest.mark.parametrize(("name", "text", "said"), [
    ("TF_NUM_INTRAOP_THREADS", "auto", "TF_NUM_INTRAOP_THREADS=auto is not a whole number; use one"),
    ("TF_NUM_INTEROP_THREADS", "-1", "TF_NUM_INTEROP_THREADS=-1 is not a whole number; use one"),
    ("TF_NUM_INTRAOP_THREADS", "٣", "TF_NUM_INTRAOP_THREADS=\\u0663 is not a whole number; use one"),
    ("TF_CONFIG", '{"task": 3}', "TF_CONFIG: task=3 is not usable; see TensorFlow's guide"),
    ("TF_CONFIG", '{"cluster": ["a:1"]}', 'TF_CONFIG: cluster=["a:1"] is not usable'),
    ("TF_CONFIG", '{"task": {"index": "x"}}', "TF_CONFIG: task.index='x' is not a whole number"),
    ("TF_CONFIG", '{"task": {"index": true}}', "TF_CONFIG: index=true is not usable"),
])  # fmt: skip
def test_a_variable_that_cannot_be_read_is_named_before_anything_is_written(
    tmp_path, monkeypatch, capsys, name, text, said
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, text)
    if name == "TF_CONFIG" and "cluster" in text:
        text = text.replace("}", ', "task": {"type": "worker", "index": 0}}')
        monkeypatch.setenv(name, text)
    code, _, errors = main_of(train, monkeypatch, capsys, "-m", "seed=0,1")
    assert (code, errors.count("\n")) == (2, 1)
    assert errors.replace("٣", "\\u0663").startswith(said)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", [
    '{"cluster": null, "task": null}', '{"cluster": {"worker": null}, "task": {"type": null, "index": null}}', "{}",
])  # fmt: skip
def test_null_parts_of_tf_config_are_as_if_absent(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    assert device.check_environment() == device.worker() == 0
    assert device._workers() == {}
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", " 3 ")
    assert device.check_environment() == 3


@pytest.mark.parametrize(("encoding", "wanted"), [
    ("ascii", "3x3 0.75 +- 0.006 1578 Grosse: e, -> ?\n"), ("latin-1", "3×3 0.75 ± 0.006 1578 Große: é, -> ?\n"),
    ("utf-8", "3×3 0.75 ± 0.006 ▁▅▇█ Große: é, → 絵\n"),
])  # fmt: skip
def test_letters_that_a_terminal_lacks_are_replaced_by_their_like(monkeypatch, encoding, wanted):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    with one_line():
        print("3×3 0.75 ± 0.006 ▁▅▇█ Große: é, → 絵")
    assert written.getvalue().decode(encoding) == wanted


def test_a_folder_with_other_letters_is_told_of_on_any_terminal(tmp_path, command, settings):
    for seed in (0, 1):
        folder = tmp_path / "größe" / f"a-seed{seed}"
        folder.mkdir(parents=True)
        write_json(folder / "config.json", settings("study=größe").model_dump(mode="json"))
    for surroundings in ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        done = command("status", str(tmp_path), env=surroundings)
        assert done.returncode == 1, done.stderr
        assert "2 runs: 2 interrupted" in done.stdout
        assert done.stdout.isascii()


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="\\'\"(){}[],$:#;!`&<>^")
)


@hypothesis.settings(deadline=None, max_examples=50)
@given(WORDS.filter(bool))
def test_a_word_of_any_script_means_itself(word):
    (override,) = _parsed([quoted(f"study={word}")])
    value = override.value()
    plain = value if isinstance(value, str) else override.get_value_element_as_str()
    assert str(value) == word or plain == word or word.isascii()  # 1e3, true, null: what YAML makes of them


@pytest.mark.parametrize(("typed", "read"), [
    ("study=größe", "größe"), ("study=цифры", "цифры"), ("study='größe'", "größe"), ("study=my größe", "my größe"),
    ("hydra.run.dir=outputs/mine/training.steps=20-seed0", "outputs/mine/training.steps=20-seed0"),
    ("generator.stages=[[4,2],[null,2]]", [[4, 2], [None, 2]]), ("x=[größe,b]", ["größe", "b"]), ("seed=3", 3),
])  # fmt: skip
def test_values_are_read_as_they_were_typed(typed, read):
    (override,) = _parsed([quoted(typed)])
    assert override.value() == read


def test_sweeps_over_words_of_other_scripts_are_sweeps():
    wanted = plan(["generator.name=größe,цифры", "hydra.sweep.subdir='${generator.name}'"], multirun=True)
    assert [cell.directory.name for cell in wanted.cells] == ["größe", "цифры"]
    for wrong in ("foo", 'seed="x', "größe=3"):
        with pytest.raises(ConfigError, match="cannot be read; write name=value"):
            plan([wrong], multirun=False)
    with pytest.raises(ConfigError, match=r"is not UTF-8; write it in a terminal that uses UTF-8"):
        plan(["study=\udcc3"], multirun=False)


def test_experiments_can_be_swept_over_and_workers_find_the_same_cells(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "größer.yaml").write_text("# @package _global_\ntraining:\n  steps: 5\n")
    line = ["experiment=debug,größer", "seed=0,1", "generator=fir,carafe", "study=x"]
    wanted = plan(line, multirun=True, config_dir=str(tmp_path))
    again = plan([*line, *_to_workers(wanted, line)], multirun=True, config_dir=str(tmp_path))
    assert {*wanted.naming} < {*_to_workers(wanted, line)}  # Hydra does not name them so by itself
    names = [
        f"{arm}-experiment={name}-seed{seed}"
        for name in ("debug", "größer")
        for arm in ("fir", "carafe")
        for seed in "01"
    ]
    assert sorted(cell.directory.name for cell in wanted.cells) == sorted(names)
    assert {cell.directory.name: cell.config for cell in wanted.cells} == {
        cell.directory.name: cell.config for cell in again.cells
    }
    steps = {
        cell.directory.name.partition("=")[2].partition("-")[0]: cell.config.training.steps for cell in wanted.cells
    }
    assert steps == {"debug": 10, "größer": 5}
    fixed = plan(["experiment=debug", "seed=0,1", "study=x"], multirun=True)  # names as they always were
    assert [cell.directory.name for cell in fixed.cells] == ["default-seed0", "default-seed1"]
    assert fixed.naming == ()


@pytest.mark.parametrize(("line", "said"), [
    ("experiment=debug,quick", "experiment=quick is a sweep itself (over generator, seed); run such experiments one after"),
    ("experiment=debug,mnist training.steps=-1", "training.steps=-1 is out of range"),
    ("experiment=debug,debug", "gives two cells the folder"),
    ("experiment=debug,mnistt", "experiment=mnistt is unknown; did you mean mnist?"),
])  # fmt: skip
def test_experiments_that_cannot_be_swept_over_are_one_line(line, said):
    with pytest.raises(ConfigError) as caught:
        plan(line.split(), multirun=True)
    assert said in str(caught.value)


@pytest.mark.parametrize(("line", "label"), [
    ("", ""), ("generator=upsample seed=3 training.steps=20", "-upsample-seed=3-steps=20"), ("seed=0", "-seed=0"),
    ("experiment=debug", "-experiment=debug"), ("generator.stages=[[4,2],[null,2]]", "-stages=4,2,null,2"),
    ("comparison.quality=coverage", ""), ("study=null", ""), ("penalty=none penalty=r1", "-penalty=r1"),
])  # fmt: skip
def test_the_folder_of_a_single_run_says_what_was_set(line, label):
    (cell,) = plan(line.split(), multirun=False).cells
    outputs, runs, day, name = cell.directory.parts
    assert (outputs, runs, len(day)) == ("outputs", "runs", 10)
    assert name[15:] == label
    assert name[:15].replace("-", "").isdecimal()


def test_a_long_label_ends_with_a_whole_setting():
    (cell,) = plan([*TINY, "generator=upsample"], multirun=False).cells
    label = cell.directory.name[15:]
    assert label == "-upsample-filters=4,4-base_filters=4-stages=4,2,null,2-batch_size=16"
    (cell,) = plan(["seed=1", f"generator.name={'x' * 99}"], multirun=False).cells
    assert len(cell.directory.name[15:]) <= 80


@pytest.mark.slow
def test_a_sweep_over_experiments_runs_in_the_folders_that_were_planned(command, tmp_path):
    (tmp_path / "größe" / "experiment").mkdir(parents=True)
    for name in ("one", "two"):
        (tmp_path / "größe" / "experiment" / f"{name}.yaml").write_text(
            f"# @package _global_\noptimizer:\n  warmup_steps: {len(name)}\n"
        )
    done = command("train", "-m", "-cd", "größe", *TINY, "study=größe", "experiment=one,two", "hydra/launcher=joblib")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 runs finished in outputs/größe" in done.stdout
    found = {folder.parent.name for folder in (tmp_path / "outputs" / "größe").glob("*/result.json")}
    assert len(found) == 2
    assert all("-experiment=one-" in name or "-experiment=two-" in name for name in found)


@pytest.mark.slow
def test_a_look_inside_works_on_an_ascii_terminal(command):
    done = command(
        "inspect", "generator.base_filters=4", "generator.stages=[[4,2],[null,2]]", env={"PYTHONIOENCODING": "ascii"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "lattice fraction" in done.stdout
