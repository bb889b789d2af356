"""A study can forget runs: what is taken out is kept aside, and no command sees it; or leave them out, and say so."""

import fcntl
import io
import json
import re
import shlex
import shutil
import sys
import time

import pytest

from ganlab import compare, status
from ganlab.dashboard import _link, _presentable
from ganlab.errors import ConfigError, matching
from ganlab.report.drawing import Drawing
from ganlab.runs.records import find_runs
from ganlab.runs.result import find_results
from ganlab.runs.status import find_cells, read_sweep, record_sweep
from ganlab.study.compare import compare_study
from made_study import Made

ARMS = ("transpose", "upsample")


@pytest.fixture
def made(tmp_path):
    """A finished study of two arms and six seeds, as a sweep records it, with a cell that never began."""
    made = Made(tmp_path / "study")
    made.arms(ARMS, 6)
    for path in made.directory.iterdir():
        config = json.loads((path / "result.json").read_text())["config"]
        (path / "config.json").write_text(json.dumps(config))
        (path / ".lock").touch()
    record_sweep(
        made.directory, "python -m ganlab.train -m", [*sorted(p.name for p in made.directory.iterdir()), "fir-seed0"]
    )
    return made


@pytest.fixture
def typed(monkeypatch, capsys):
    """`typed(module, *arguments)`: status, lines out, lines err of a command; figures are left blank."""
    blank = property(lambda drawing: '<svg viewBox="0 0 1 1"><title></title></svg>')
    monkeypatch.setattr(Drawing, "_drawn", blank)

    def run(module, *arguments):
        monkeypatch.setattr(sys, "argv", ["ganlab", *map(str, arguments)])
        code = 0
        try:
            module.main()
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def names(made):
    return sorted(cell.name for cell in find_cells(made.directory))


def test_what_is_forgotten_is_kept_and_no_command_sees_it(made, typed):
    (made.directory / "upsample-seed5" / "note.txt").write_text("mine")
    code, out, _ = typed(status, made.directory, "--forget", "upsample-seed5", "fir-*", "--yes")
    assert code == 0, out
    (aside,) = (made.directory / "forgotten").iterdir()
    assert re.fullmatch(r"upsample-seed5-\d{8}-\d{6}", aside.name)
    assert (aside / "note.txt").read_text() == "mine"
    assert str(aside) in out
    left = [f"transpose-seed{n}" for n in range(6)] + [f"upsample-seed{n}" for n in range(5)]
    record = read_sweep(made.directory)
    assert record.cells == record.asked == names(made) == left
    assert [run.path.parent.name for run in find_results(made.directory)] == left
    assert [run.name for run in find_runs(made.directory)] == left
    assert len(compare_study(made.directory).arms[1].runs) == 5
    assert not compare_study(made.directory).pending
    # once more, of the same name, and back again
    made.run("upsample", 5)
    assert typed(status, made.directory, "--forget", "upsample-seed5", "--yes")[0] == 0
    assert len(list((made.directory / "forgotten").iterdir())) == 2
    aside.rename(made.directory / "upsample-seed5")
    assert "upsample-seed5" in names(made)


def test_a_cell_that_runs_is_refused_and_nothing_is_moved(made, typed):
    before = names(made)
    with (made.directory / "upsample-seed1" / ".lock").open("w") as lock:
        (made.directory / "upsample-seed1" / "result.json").unlink()
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, err = typed(status, made.directory, "--forget", "upsample-*", "--yes")
    assert code == 2
    assert err == "--forget upsample-seed1 is running; stop it first\n"
    assert names(made) == before


@pytest.mark.parametrize(("wanted", "words"), [
    (["upsmple-seed1"], "--forget upsmple-seed1 is not a run there; did you mean upsample-seed1? choose one of: "),
    (["upsample-seed1", "carafe-*"], "--forget carafe-* is not a run there; "),
])  # fmt: skip
def test_unknown_names_get_the_nearest(made, typed, wanted, words):
    before = names(made)
    code, _, err = typed(status, made.directory, "--forget", *wanted, "--yes")
    assert code == 2
    assert err.startswith(words)
    assert names(made) == before


def test_names_are_names_before_they_are_patterns():
    names = ["a[1,2]-seed0", "a1-seed0", "b-seed0", "b-seed1"]
    assert matching(names, ["a[1,2]-seed0"], "x") == ["a[1,2]-seed0"]
    assert matching(names, ["a[1,2]*"], "x") == ["a[1,2]-seed0"]
    assert matching(names, ["./b-seed0/", "b-seed?"], "x") == ["b-seed0", "b-seed1"]
    with pytest.raises(ConfigError, match=r"x c is not a run there; choose one of"):
        matching(names, ["c"], "x")


def test_names_may_be_paths_as_tab_completion_types_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["a[1,2]-seed0", "b-seed0", "b-seed1"]
    assert matching(names, ["mine/b-seed0/", "./mine/a[1,2]-seed0"], "x", "mine") == ["b-seed0", "a[1,2]-seed0"]
    assert matching(names, [f"{tmp_path}/mine/b-seed?"], "x", "mine/") == ["b-seed0", "b-seed1"]
    with pytest.raises(ConfigError, match=r"x mine/c is not a run there; .*choose one of"):
        matching(names, ["mine/c"], "x", "mine")
    with pytest.raises(ConfigError, match=r"x other/b-seed0 is not a run there; did you mean b-seed0"):
        matching(names, ["other/b-seed0"], "x", "mine")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("answer", "gone"), [("y\n", True), ("yes\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_it_asks_on_a_terminal(made, typed, monkeypatch, answer, gone):
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    code, out, _ = typed(status, made.directory, "--forget", "upsample-seed5")
    assert "upsample-seed5  finished" in out
    assert ("upsample-seed5" not in names(made)) == gone == (code == 0)


def test_a_cell_that_starts_while_the_question_stands_is_refused_and_nothing_is_moved(made, typed, monkeypatch):
    before = names(made)
    with (made.directory / "upsample-seed1" / ".lock").open("w") as lock:

        def answer(prompt):
            fcntl.flock(lock, fcntl.LOCK_EX)
            return "y"

        monkeypatch.setattr(sys, "stdin", Terminal())
        monkeypatch.setattr("builtins.input", answer)
        code, _, err = typed(status, made.directory, "--forget", "upsample-*")
    assert (code, names(made)) == (2, before)
    assert err.startswith(f"{made.directory / 'upsample-seed1'} is being written by another process; ")


def test_nobody_to_ask_is_one_line(made, typed, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    code, _, err = typed(status, made.directory, "--forget", "upsample-seed5")
    assert (code, err) == (2, "--forget asks for confirmation, but there is no terminal; add --yes\n")
    assert typed(status, made.directory, "--yes")[0] == 2
    assert "upsample-seed5" in names(made)


def test_what_links_lead_to_is_not_taken_away(made, typed, tmp_path):
    other = Made(tmp_path / "elsewhere").run("fir", 1)
    (made.directory / "linked").symlink_to(other)
    code, _, err = typed(status, made.directory, "--forget", "linked", "--yes")
    assert (code, err) == (2, f"{made.directory}/linked is a link; replace it by what it points to\n")
    code, _, err = typed(status, other, "--forget", other.name, "--yes")
    assert "is the folder itself" in err
    assert (other / "result.json").exists()


def test_runs_left_out_are_named_in_every_part_of_the_report(made, typed):
    code, out, err = typed(compare, made.directory, "--leave-out", "transpose-seed4", "upsample-seed5")
    assert code == 0, err
    said = (
        "Left out by hand, after the runs (--leave-out): 2 runs, transpose-seed4: finished; upsample-seed5: finished."
    )
    report = made.directory / "report"
    plain = [
        re.sub(r"<wbr>|\\", "", text)
        for text in (out, (report / "report.md").read_text(), (report / "report.html").read_text())
    ]
    for text in plain:
        assert said in text
        assert not re.search(r"seed \d+: no result", text)
    verdict = json.loads((report / "verdict.json").read_text())
    assert [line for line in verdict["missing"] if "left out" in line] == [
        "transpose, seed 4: left out",
        "upsample, seed 5: left out",
    ]
    assert verdict["left_out"] == ["transpose-seed4: finished", "upsample-seed5: finished"]
    assert said in verdict["cautions"]
    # another route to the same numbers: a study that never had them
    typed(status, made.directory, "--forget", "transpose-seed4", "upsample-seed5", "--yes")
    typed(compare, made.directory)
    again = json.loads((report / "verdict.json").read_text())
    assert json.dumps(again["endpoints"]) == json.dumps(verdict["endpoints"]).replace('"left out"', '"no result"')
    assert "left_out" not in again


def test_one_stray_run_is_named_with_both_ways_out_and_both_work(made, typed):
    stray = made.run("fir", 0)
    result = json.loads((stray / "result.json").read_text())
    result["config"]["training"]["steps"] = 20
    (stray / "result.json").write_text(json.dumps(result))
    code, _, err = typed(compare, made.directory)
    assert code == 2
    assert len(err.splitlines()) == 1
    left_out = re.search(r"--leave-out (\S+)", err)[1]
    assert left_out == "fir-seed0"
    assert typed(compare, made.directory, "--leave-out", left_out)[0] == 0
    line = shlex.split(re.search(r"python -m ganlab\.status (.*?)\)", err)[1])
    assert typed(status, *line, "--yes")[0] == 0
    assert typed(compare, made.directory)[0] == 0


@pytest.mark.parametrize("change", [{"protocol": {"n_real": 3}}, {"seed": 1, "config": None}, "damaged", "plan"])
def test_every_refusal_that_one_run_causes_can_be_left_out(made, typed, change):
    path = made.directory / "upsample-seed0" / "result.json"
    result = json.loads(path.read_text())
    if change == "damaged":
        path.write_text("{")
    elif change == "plan":
        result["config"]["comparison"] = {"reference": "upsample"}
        path.write_text(json.dumps(result))
    else:
        other = json.loads((made.directory / "upsample-seed1" / "result.json").read_text())["config"]
        path.write_text(json.dumps(result | change | ({"config": other} if "seed" in change else {})))
    code, _, err = typed(compare, made.directory)
    assert code == 2
    assert change == "damaged" or "--leave-out upsample-seed" in err
    assert typed(compare, made.directory, "--leave-out", "upsample-seed0")[0] == 0


def test_tensorboard_is_shown_all_but_what_was_forgotten(made, typed, tmp_path, monkeypatch):
    monkeypatch.setattr("ganlab.dashboard._LOOK", 0.02)
    with _presentable(made.directory) as shown:
        assert len(list(shown.glob("*-seed*"))) == 12
        typed(status, made.directory, "--forget", "upsample-*", "--yes")
        time.sleep(0.2)
        assert not (shown / "forgotten").exists()
    deep = tmp_path / "a" / "b" / "c"
    deep.parent.mkdir(parents=True)
    shutil.copytree(made.directory, deep)
    for folder, below in ((made.directory, ""), (made.directory.parent, made.directory.name), (tmp_path / "a", "b/c")):
        with _presentable(folder) as shown:
            assert shown != folder
            assert sorted(path.name for path in (shown / below).glob("*-seed*")) == [
                f"transpose-seed{n}" for n in range(6)
            ]
            assert not (shown / below / "forgotten").exists()
            assert (shown / below / "transpose-seed0" / "result.json").exists()
        assert not shown.exists()


def test_what_is_forgotten_under_an_open_tensorboard_goes(tmp_path):
    study, shown = tmp_path / "all" / "study", tmp_path / "shown"
    for name in ("one", "two"):
        (study / name).mkdir(parents=True)
    shown.mkdir()
    _link(study.parent, shown, [])
    assert (shown / "study").is_symlink()
    (study / "forgotten").mkdir()
    (study / "one").rename(study / "forgotten" / "one")
    _link(study.parent, shown, [study / "forgotten"])
    assert [path.name for path in (shown / "study").iterdir()] == ["two"]
    assert sorted(path.name for path in study.iterdir()) == ["forgotten", "two"]
