"""Somebody else's study or run: one line, no traceback, nothing outside touched, nothing that steers a terminal."""

import csv
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from attacks import ATTACKS, EPS, ESCAPES, RUN, edited

import ganlab.compare
import ganlab.dashboard
import ganlab.status
import ganlab.tune
from conftest import ROOT, some
from ganlab import files
from made_study import Made

STEERING = "\x1b\x07\x9b\u202e\ud800\udcff"


@pytest.fixture
def study(tmp_path):
    made = Made(tmp_path / "study")
    for arm in ("transpose", "upsample"):
        for seed in (0, 1):
            made.run(arm, seed, quality="frechet_distance")
    (made.directory / RUN / ".lock").touch()
    return made.directory


@pytest.fixture
def tuning(study):
    """A tuning study: every run of the study at three rates."""
    for path in list(study.iterdir()):
        for factor in (1, 2, 4):
            copy = path if factor == 1 else path.with_name(path.name.replace("-", f"-{factor}-"))
            if copy != path:
                shutil.copytree(path, copy)
            tree = json.loads((copy / "result.json").read_text())
            tree["config"]["optimizer"] = {"g_learning_rate": 0.001 * factor}
            (copy / "result.json").write_text(json.dumps(tree))
    return study


@pytest.fixture
def typed(monkeypatch, capfd):
    """`typed(module, argument ...)`: a command's exit status and what it said, on both streams."""

    def run(module, *arguments):
        monkeypatch.setattr(sys, "argv", ["ganlab", *map(str, arguments)])
        capfd.readouterr()
        try:
            module.main()
            code = 0
        except SystemExit as end:
            code = end.code
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def outside(tmp_path):
    """A folder whose files are nobody's business, and what must be in it afterwards."""
    folder = tmp_path / "outside"
    for name in ("report.html", "figures/mine.png", "figures/mine.svg", "events.out.tfevents.0000000001.ganlab",
                 "transpose/events.out.tfevents.0000000001.ganlab", "inputs.sha256", "mine", "config.json"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    before = contents(folder)
    yield folder
    assert contents(folder) == before


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_harmless(code, out, err, began):
    assert code in (0, 1, 2), err
    assert len(err.splitlines()) <= 2, err
    assert "Traceback" not in err
    assert not set(STEERING) & set(out + err)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("attack", some(ATTACKS))
def test_what_others_left_is_one_line(study, typed, attack):
    ATTACKS[attack](study)
    for module, arguments in ((ganlab.status, [study]), (ganlab.dashboard, [study, "--no-serve"])):
        began = time.monotonic()
        assert_harmless(*typed(module, *arguments), began)


@pytest.mark.slow
@pytest.mark.parametrize("attack", some(ATTACKS))
def test_what_others_left_is_compared_or_one_line(study, typed, attack):
    ATTACKS[attack](study)
    began = time.monotonic()
    assert_harmless(*typed(ganlab.compare, study), began)


def test_a_tuning_study_is_tuned(tuning, typed):
    code, out, err = typed(ganlab.tune, tuning)
    assert (code, err) == (0, "")
    assert "each of 2 arms had 3 trials" in out


@pytest.mark.parametrize("attack", some(ATTACKS))
def test_what_others_left_is_tuned_or_one_line(tuning, typed, attack):
    ATTACKS[attack](tuning)
    began = time.monotonic()
    assert_harmless(*typed(ganlab.tune, tuning), began)


def test_a_link_in_a_tuning_study_is_not_written_through(tuning, typed, outside):
    (tuning / "tuning.json").symlink_to(outside / "mine")
    assert typed(ganlab.tune, tuning)[0] == 0
    assert json.loads((tuning / "tuning.json").read_text())["metric"] == "frechet_distance"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attack", "command"),
    [
        *((name, "compare") for name in ATTACKS if "3 GB" in name or "device" in name or "2^" in name),
        ("result.json has 3 GB of nothing", "tune"),
        ("result.json is a link to a device", "tune"),
    ],
)
def test_what_others_left_takes_little_memory(study, attack, command):
    ATTACKS[attack](study)
    script = f"import sys; from ganlab.{command} import main\ntry: main()\nexcept SystemExit: pass\n"
    script += "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0], file=sys.stderr)"
    line = [sys.executable, "-c", script, study]
    done = subprocess.run(line, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=60)
    assert int(done.stderr.split()[-1]) < 2**10 * 450  # 150 MB of which are the libraries


PLACES = {
    "report": ".",
    "report/figures": "figures",
    "report/report.html": "report.html",
    "report/.PID.report.html": "mine",
    "report/.lock": "mine",
    "comparison": ".",
    "comparison/transpose": "transpose",
    "comparison/inputs.sha256": "inputs.sha256",
    "comparison/.lock": "mine",
    "comparison/.unfinished.inputs.sha256": "mine",
}


@pytest.mark.parametrize("place", some(PLACES))
def test_a_link_in_a_study_is_written_through_by_no_command(study, typed, outside, place):
    path = study / place.replace("PID", str(os.getpid()))
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(outside / PLACES[place])
    for module, arguments in ((ganlab.compare, [study]), (ganlab.dashboard, [study, "--no-serve"])):
        code, _, err = typed(module, *arguments)
        assert code == 0 or (code in (1, 2) and f"{path} is a link" in err) or "cannot be read" in err, err
        assert len(err.splitlines()) < 2


def test_pictures_of_a_report_are_pictures_of_the_run(study, typed, outside):
    from ganlab.runs import grids

    secret = outside / "secret.png"
    grids.save_png(secret, np.zeros((9, 9, 1), np.uint8), about="secret")
    for arm in ("transpose", "upsample"):
        for seed in (0, 1):
            run = study / f"{arm}-seed{seed}"
            (run / "samples/step-00009999.png").symlink_to(secret)
            (run / "pictures").mkdir()
            (run / "pictures/spectrum.png").write_bytes(EPS)
    code, _, err = typed(ganlab.compare, study)
    secret.unlink()
    assert code == 0
    assert "ran" not in err.split()
    assert "step-00009999.png is a link" in err
    assert "pictures/spectrum.png is not a complete PNG" in err
    assert not [path for path in (study / "report/figures").glob("*.png") if b"secret" in path.read_bytes()]


def test_texts_of_others_steer_no_reader(study, typed):
    for path in study.glob("*/result.json"):
        tree = json.loads(path.read_text())
        tree["config"]["comparison"] = {"question": f"Why{ESCAPES}?\n# Heading", "quality": "frechet_distance"}
        if tree["variant"] == "upsample":
            tree["config"]["generator"]["name"] = "=cmd|'/c calc'!A0\n# Heading"
        path.write_text(json.dumps(tree))
    edited(status="failed", error=ESCAPES)(study)
    for code, out, err in (typed(ganlab.compare, study), typed(ganlab.status, study)):
        assert code in (0, 1)
        assert not set(STEERING) & set(out + err)
    report = study / "report"
    for path in report.iterdir():
        if path.is_file():
            assert not set(STEERING) & set(path.read_text()), path
    assert "\n# Heading" not in (report / "report.md").read_text()
    rows = list(csv.reader(io.StringIO((report / "scores.csv").read_text())))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "@", "+"))]
    assert any(cell.startswith("'=cmd") for row in rows for cell in row)


READERS = {
    "train": lambda run: [f"resume={run}"],
    "sample": lambda run: [run],
    "export": lambda run: [run],
    "evaluate": lambda run: [run],
    "status": lambda run: [run],
    "dashboard": lambda run: [run, "--no-serve"],
    "inspect": lambda run: [f"init_from={run}"],
}
CONFIGS = [name for name in ATTACKS if name.startswith("config.json ")]


@pytest.mark.parametrize("command", READERS)
def test_settings_of_others_are_read_or_refused_by_every_command(study, typed, command):
    module = importlib.import_module(f"ganlab.{command}")
    run = study / RUN
    for attack in CONFIGS:
        files.remove(run / "config.json")
        ATTACKS[attack](study)
        began = time.monotonic()
        code, out, err = typed(module, *READERS[command](run))
        assert_harmless(code, out, err, began)
        if command in ("train", "sample", "export", "evaluate"):
            assert code == 2, (attack, out, err)
            assert "config.json" in err


def test_a_link_that_leads_back_into_the_study_is_no_attack(study, typed):
    (study / "latest").symlink_to("upsample-seed1")
    (study / RUN / "up").symlink_to(study)
    for module in (ganlab.status, ganlab.compare):
        assert typed(module, study)[0] == 0


def test_an_event_file_that_ends_tensorboard_is_not_shown_to_it(study, typed):
    ATTACKS["an event of 2^40 bytes"](study)
    with ganlab.dashboard._presentable(study) as shown:
        seen = {path.relative_to(shown).as_posix() for path in shown.glob("*/*")}
    assert seen >= {f"{RUN}/result.json", "transpose-seed0/result.json"}
    assert not [name for name in seen if "tfevents" in name]


def test_what_is_being_written_is_no_damage(tmp_path):
    from ganlab.runs.records import Records, bad_events

    with Records(tmp_path) as records:
        records.scalars(1, 64, 0.1, {"loss/generator": 0.5})
    (path,) = tmp_path.glob("events*")
    whole = path.read_bytes()
    for length in (0, 5, 12, len(whole) // 2, len(whole) - 1, len(whole)):
        path.write_bytes(whole[:length])
        assert bad_events(tmp_path) == {}
    path.write_bytes(b"\x00" + whole[1:])
    assert list(bad_events(tmp_path)) == [path]
