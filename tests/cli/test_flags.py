"""Flags of `ganlab.train`: those on its list do what they say, all others are refused by one line before Hydra runs."""

import itertools
import logging
import pickle
import sys

import pytest

from ganlab import train

LIT = "lit"


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, place):
        self.place = str(place)

    def __reduce__(self):
        return open, (self.place, "w")


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """`typed(*arguments)`: status, output and errors of ganlab.train, in an empty folder with a pickle beside it."""
    place = tmp_path / "here"
    place.mkdir()
    (tmp_path / "bomb").write_bytes(pickle.dumps(Bomb(tmp_path / LIT)))
    monkeypatch.chdir(place)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["ganlab.train", *arguments])
        with pytest.raises(SystemExit) as ended:
            train.main()
        assert not (tmp_path / LIT).exists(), "a pickle was opened"
        assert not list(place.iterdir())
        return ended.value.code, *capsys.readouterr()

    root = logging.getLogger()
    before = list(root.handlers), root.level
    yield run
    root.handlers[:], root.level = before  # --info lets Hydra log to this test's stdout


RERUN = ("--experimental-rerun", "--experimental-reru", "--exp", "--e")
BESIDE = (["-c", "job"], ["--info"], ["--info", "defaults"], ["--hydra-help"], ["-sc", "query=bash"], ["--cfg=job"], [])


@pytest.mark.parametrize(("flag", "beside"), itertools.product(RERUN, BESIDE), ids=str)
def test_no_flag_opens_a_pickle(typed, tmp_path, flag, beside):
    for line in ([*beside, flag, "../bomb"], [flag, "../bomb", *beside], [*beside, f"{flag}=../bomb"]):
        code, output, errors = typed(*line)
        assert (code, output, errors.count("\n")) == (2, "", 1), line


@pytest.mark.parametrize("line", [
    "-c bogus", "--cfg bogus", "--cfg", "-c", "--info bogus", "--info all", "--info plugins", "--info config", "-i",
    "--hydra-help", "--hydra-hel", "--cf job", "--mult seed=0,1", "--res --cfg job", "-cjob", "-cp /tmp", "-cn other",
    "--config-path=/tmp", "--config-name other", "--conf /tmp", "--shell install=bash", "--resolve seed=1",
    "--package training", "--cfg job --info defaults", "--cfg job -m", "-sc install=nosuchshell", "-sc", "-sc seed=1",
    "--no-such-flag", "-x", "--", "---", "-", "--dry", "--cfg job training.stepz=3", "--info defaults generator=nosuch",
])  # fmt: skip
def test_a_flag_that_is_not_on_the_list_is_one_line(typed, line):
    code, output, errors = typed(*line.split())
    assert (code, output, errors.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(("line", "said"), [
    ("--cfg job seed=7", "seed: 7"), ("-c job seed=7 --package training", "# @package training\nsteps: 4000"),
    ("-c=hydra", "sweeper"), ("--cfg all", "hydra:"), ("--cfg job --resolve", "final_rate: 1.0"),
    ("--info defaults", "generator/transpose"), ("--info=searchpath", "Search path"), ("-i defaults-tree", "generator"),
    ("-sc install=bash", "complete -o nospace"),
])  # fmt: skip
def test_what_the_list_has_is_shown(typed, line, said):
    code, output, errors = typed(*line.split())
    assert (code, errors) == (0, "")
    assert said in output


def test_words_are_completed(typed, monkeypatch, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "ours.yaml").touch()
    monkeypatch.setenv("COMP_LINE", f"ganlab-train --dry-run --plugin nowhere.py -cd {tmp_path} experiment=ou")
    assert typed("-sc", "query=bash") == (0, "experiment=ours\n", "")
    monkeypatch.setenv("COMP_LINE", "ganlab-train generator=up")
    code, output, errors = typed("-sc", "query=bash")
    assert (code, output.split(), errors) == (0, ["generator=upsample", "generator=upsample_bilinear"], "")


def test_going_on_with_a_run_is_no_sweep(typed):
    code, _, errors = typed("resume=somewhere", "-m")
    assert (code, errors.count("\n")) == (2, 1)
    assert errors.startswith("-m sweeps, and resume=somewhere continues one run")
