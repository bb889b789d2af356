import contextlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import Request, urlopen

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.custom_scalar.metadata import CONFIG_SUMMARY_TAG

import ganlab.dashboard
from conftest import ROOT
from ganlab.dashboard import check_address, main, run_tensorboard
from ganlab.errors import ConfigError
from ganlab.report import tensorboard
from ganlab.report.drawing import ARMS
from ganlab.report.tensorboard import curves_address, write_comparison
from ganlab.run.life import _hyperparameters
from ganlab.runs.records import Records, image_pb, replace_events, shared_tail, without_seed
from ganlab.runs.result import ResultError
from ganlab.runs.status import record_sweep

STEPS = range(10, 60, 10)
VALUES = {"transpose": (1.0, 2.0, 6.0), "upsample": (2.0, 3.0, 4.0)}  # of frechet_distance at step 0, by seed
QUALITY, LATTICE = "metric/frechet_distance", "metric/checkerboard_index_2"


def tree(arm, seed, **plan):
    """A plain tree in the form of a run's settings; transpose and upsample differ in the generator only."""
    kernel = {"kernel_size": 4, "init": "matched"} if arm == "transpose" else {"kernel_size": 3, "fused": True}
    return {
        "seed": seed,
        "study": "tiny",
        "generator": {"name": arm, "upsampling": {"name": arm} | kernel},
        "training": {"steps": 50, "batch_size": 64},
        "comparison": {"question": "Which is better?", "spectrum": None} | plan,
    }


def run(directory, arm, seed, value, status="finished", steps=STEPS, images=(0,), name="{arm}-seed{seed}", config=None):
    folder = directory / name.format(arm=arm, seed=seed)
    config = config or tree(arm, seed)
    with Records(folder) as records:
        flat = {f"generator.upsampling.{key}": each for key, each in config["generator"]["upsampling"].items()}
        flat |= {"generator.name": arm, "training.steps": 50}
        records.hyperparameters(flat, without_seed(folder.name))
        for step in images:
            records.image(step, "samples", np.full((8, 8, 1), step, np.uint8))
        for step in steps:
            numbers = {"loss/generator": 1.0, "speed/images_per_second": 1000.0 + seed}
            metrics = {QUALITY: value + step, LATTICE: value / 10 - step}
            records.scalars(step, 64 * step, step / 10, numbers | metrics)
        records.finished(ok=status == "finished")
    (folder / "config.json").write_text(json.dumps(config))
    last = {"frechet_distance": value + steps[-1], "checkerboard_index_2": value / 10 - steps[-1]}
    ended = last if status == "finished" else {}
    result = {"status": status, "variant": arm, "seed": seed, "config": config, "metrics": ended}
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def run_again(directory, arm, seed, *rest, **more):
    shutil.rmtree(directory / f"{arm}-seed{seed}")
    return run(directory, arm, seed, *rest, **more)


@pytest.fixture
def study(tmp_path):
    directory = tmp_path / "tiny"
    for arm, values in VALUES.items():
        for seed, value in enumerate(values):
            run(directory, arm, seed, value)
    return directory


@pytest.fixture
def dashboard(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["dashboard", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def served(monkeypatch):
    """A TensorBoard that is ready and ends at once."""
    monkeypatch.setattr(ganlab.dashboard, "run_tensorboard", lambda *given: given[4]("http://x/"))


def scalars(folder):
    """All that TensorBoard reads there: {tag: [(step, value), ...]}."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    found = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return {
        tag: [(event.step, make_ndarray(event.tensor_proto)) for event in found.Tensors(tag)]
        for tag in found.Tags()["tensors"]
    }


# --- what is written ------------------------------------------------------------------------------------------------


def test_a_band_is_the_median_the_lowest_and_the_highest_of_the_seeds(study):
    write_comparison(study)
    read = scalars(study / "comparison" / "transpose")
    assert read["frechet_distance/median"] == [(step, step + 2) for step in STEPS]
    assert read["frechet_distance/low"] == [(step, step + 1) for step in STEPS]
    assert read["frechet_distance/high"] == [(step, step + 6) for step in STEPS]
    assert {tag.rpartition("/")[0] for tag in read} == {"frechet_distance", "checkerboard_index_2"}


def verdict(study):
    return scalars(study / "comparison")["comparison/verdict"][0][1].item().decode()


def test_a_band_stands_where_all_finished_seeds_have_the_metric(tmp_path):
    for seed, steps in enumerate([(10, 20, 30), (20, 30, 40)]):
        run(tmp_path, "upsample", seed, 1.0, steps=steps)
        run(tmp_path, "transpose", seed, 1.0)
    run(tmp_path, "upsample", 2, 100.0, status="diverged", steps=(10, 20, 30))
    write_comparison(tmp_path)
    assert scalars(tmp_path / "comparison" / "upsample")["frechet_distance/high"] == [(20, 21), (30, 31)]


def test_the_verdict_names_the_runs_that_it_does_not_rest_on(study):
    run_again(study, "transpose", 1, 1.0, status="diverged", steps=(10, 20))
    (study / "transpose-seed2" / "result.json").unlink()
    record_sweep(study, "a command", [path.name for path in study.glob("*-seed*")] + ["fir-seed0"])
    write_comparison(study)
    for line in (
        "not in any pair: transpose, seed 2: no result",
        "counts as the worst: transpose, seed 1: diverged",
        "no result yet: fir-seed0: not started",
        "HParams averages in runs that have not finished: tick Success alone there",
    ):
        assert line in verdict(study).split("\n\n")


def test_an_endpoint_that_nobody_measured_is_open(study):
    full = "full/classifier/frechet_distance"
    for path in study.glob("*/result.json"):
        tree = json.loads(path.read_text())
        tree["config"]["comparison"]["quality"] = full
        path.write_text(json.dumps(tree))
    write_comparison(study)
    assert f"The quality endpoint {full} was not measured: its verdict is open." in verdict(study)
    assert "Against transpose, upsample is inconclusive in " in verdict(study)


def test_an_arm_none_of_whose_seeds_finished_has_no_band(study):
    for seed in range(3):
        run_again(study, "upsample", seed, 1.0, status="diverged", steps=(10, 20))
    write_comparison(study)
    assert not (study / "comparison" / "upsample").exists()


def test_nothing_is_written_again_until_a_run_changes(study):
    def contents():
        files = (path for path in (study / "comparison").rglob("events*"))
        return {str(path): path.read_bytes() for path in files}

    write_comparison(study)
    first = contents()
    write_comparison(study)
    assert contents() == first
    os.utime(study / "transpose-seed0" / "metrics.jsonl", (0, 0))  # written again, to the same length
    write_comparison(study)
    second = contents()
    assert len(second) == len(first) == 3
    assert not second.keys() & first.keys()
    run(study, "upsample", 3, 9.0)
    write_comparison(study)
    assert not contents().keys() & second.keys()
    assert scalars(study / "comparison" / "upsample")["frechet_distance/high"][0] == (10, 19)


def test_a_reader_that_is_already_looking_sees_no_step_twice(study):
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    write_comparison(study)
    looking = EventAccumulator(str(study / "comparison" / "upsample")).Reload()
    run(study, "upsample", 3, 9.0)
    write_comparison(study)
    assert [event.step for event in looking.Reload().Tensors("frechet_distance/high")] == list(STEPS)


def test_arms_that_share_a_generator_are_rows_of_their_own(tmp_path):
    for kernel in (3, 5):
        for seed in (0, 1):
            config = tree("transpose", seed)
            config["generator"]["upsampling"] = {"name": "transpose", "kernel_size": kernel}
            name = f"generator.kernel_size={kernel}-training.steps=50-seed{{seed}}"
            run(tmp_path, "transpose", seed, kernel, name=name, config=config)
    write_comparison(tmp_path)
    arms = {path.name for path in (tmp_path / "comparison").iterdir() if path.is_dir()}
    assert arms == {"generator.kernel_size=3", "generator.kernel_size=5"}


def test_two_endpoints_with_one_curve_lack_none(tmp_path):
    names = ["full/classifier/frechet_distance", "full/random/frechet_distance"]
    for arm, values in VALUES.items():
        for seed, value in enumerate(values):
            config = tree(arm, seed, quality=names[0], spectrum=names[1])
            folder = run(tmp_path, arm, seed, value, config=config)
            with (folder / "metrics.jsonl").open("a") as records:
                records.write(
                    json.dumps({"step": 50, "images": 50, "seconds": 1.0} | {f"metric/{name}": value for name in names})
                    + "\n"
                )
            result = json.loads((folder / "result.json").read_text())
            result["metrics"] |= dict.fromkeys(names, value)
            (folder / "result.json").write_text(json.dumps(result))
    write_comparison(tmp_path)


def test_two_dashboards_of_one_study_do_not_meet(study):
    def write_often(failed):
        for _ in range(15):
            os.utime(study / "transpose-seed0" / "metrics.jsonl")
            try:
                write_comparison(study)
            except Exception as error:
                failed.put(repr(error))

    context = multiprocessing.get_context("fork")
    failed = context.SimpleQueue()
    both = [context.Process(target=write_often, args=(failed,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert failed.empty()
    write_comparison(study)
    assert len(list((study / "comparison").rglob("events*"))) == 3


def test_a_comparison_that_no_longer_holds_is_taken_away(study):
    write_comparison(study)
    for path in study.glob("upsample-*/result.json"):
        path.unlink()
    with pytest.raises(ResultError, match="only one arm"):
        write_comparison(study)
    assert not (study / "comparison").exists()


@pytest.mark.parametrize("name", ["comparison/{arm}-seed{seed}", "comparison"], ids=["study", "run"])
def test_runs_in_a_folder_of_that_name_keep_their_records(tmp_path, name):
    ours = [run(tmp_path / "tiny", "transpose", 0, 1.0), run(tmp_path, "upsample", 0, 1.0, name=name)]
    before = {path: path.read_bytes() for folder in ours for path in folder.iterdir()}
    with pytest.raises(ResultError, match=r"comparison holds runs, where a comparison would be written; rename it"):
        write_comparison(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_that_came_meanwhile_is_not_taken_for_an_arm_that_is_gone(study):
    write_comparison(study)
    late = run(study / "comparison", "upsample", 9, 1.0)
    before = {path: path.read_bytes() for path in late.iterdir()}
    tensorboard._clear(study / "comparison")
    assert {path: path.read_bytes() for path in late.iterdir()} == before


def _png(directory):
    from ganlab.runs.grids import png

    return png(np.full((8, 8, 3), len(directory.name), np.uint8))


def test_events_are_replaced_whole_or_not_at_all(tmp_path):
    replace_events(tmp_path, [])
    before = sorted(tmp_path.glob("events*"))

    def broken():
        yield 0, image_pb("x", _png(tmp_path))
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        replace_events(tmp_path, broken())
    assert sorted(tmp_path.glob("*tfevents*")) == before


@given(
    st.lists(st.sampled_from(["a", "transpose", "x=1e-3"]), min_size=2, unique=True), st.sampled_from(["", "-b.c=2"])
)
def test_what_all_cells_end_in_is_no_part_of_an_arm(arms, tail):
    assert shared_tail([Path(f"{arm}{tail}-seed{seed}") for arm in arms for seed in (0, 1)]) == tail


def test_a_trial_is_the_cell_without_its_seed():
    assert without_seed("transpose-training.lr=1e-3-seed12") == "transpose-training.lr=1e-3"
    assert without_seed("14-03-22") == "14-03-22"


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("generator.upsampling.kernel_size", "3", "[3, 5]"),
        ("generator.base_size", "2", "null"),
        ("dataset.size", "8", "[8, 8]"),
        ("metrics.every_steps", "50", "null"),
    ],
)
def test_a_column_of_hparams_never_mixes_numbers_and_text(settings, name, one, other):
    """TensorBoard answers with an error where such a column is to be sorted."""
    found = [_hyperparameters(settings(f"{name}={value.replace(' ', '')}")) for value in (one, other)]
    assert [flat[name] for flat in found] == [one, other]
    first, second = ({key: type(value) for key, value in flat.items()} for flat in found)
    assert first == second
    assert found[0]["training.steps"] == settings().training.steps
    assert found[0]["training.share_fakes"] is settings().training.share_fakes
    assert found[0].keys().isdisjoint({"seed", "study", "comparison.quality"})


# --- the command line -----------------------------------------------------------------------------------------------


def test_only_the_comparison_is_written_where_that_is_asked_and_without_tensorflow(study):
    program = "import sys; from ganlab.dashboard import main; main(); assert 'tensorflow' not in sys.modules"
    line = [sys.executable, "-W", "error", "-c", program, str(study), "--no-serve"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"up to date: {study / 'comparison'}\n", "")
    assert (study / "comparison" / "upsample").is_dir()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nowhere"], "nowhere does not exist; give the folder"),
        (["{study}/transpose-seed0/result.json"], "is a file; give the folder"),
        (["{empty}"], "has no runs; give the folder"),
        (["{begun}"], "none of the 1 runs in {begun} has recorded anything yet; python -m ganlab.status {begun}"),
        (["{damaged}", "--no-serve"], "result.json is damaged"),
        (["{study}/transpose-seed0", "--no-serve"], "has only one arm"),
        (["{study}", "--port", "{taken}"], "cannot be used (address already in use); leave it out"),
        (["{study}", "--port", "70000"], "--port=70000 is not a port; use 0 to 65535"),
        (["{study}", "--host", "no.such.host.invalid"], "--host=no.such.host.invalid is not an address"),
        (["{study}", "--prot", "1"], "unrecognized arguments: --prot"),
    ],
)
def test_what_cannot_be_shown_is_one_line(study, tmp_path, dashboard, arguments, why):
    (tmp_path / "empty").mkdir()
    damaged = run(tmp_path / "damaged", "upsample", 0, 1.0)
    (damaged / "result.json").write_text("{")
    (tmp_path / "begun/transpose-seed0").mkdir(parents=True)
    (tmp_path / "begun/transpose-seed0/config.json").write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = {name: tmp_path / name for name in ("empty", "begun")}
        words |= {"study": study, "damaged": damaged, "taken": server.getsockname()[1]}
        status, out, err = dashboard(*(each.format(**words) for each in arguments))
    assert (status, out) == (2, "")
    assert why.format(**words) in err
    assert err.count("\n") == 1


# --- links ----------------------------------------------------------------------------------------------------------


def query(directory):
    return {key: values[0] for key, values in parse_qs(urlsplit(curves_address("http://x/", directory)).query).items()}


def pins(found):
    return [(card["plugin"], card.get("runId"), card["tag"]) for card in json.loads(found["pinnedCards"])]


def test_settings_of_the_whole_sweep_do_not_part_an_arm_from_its_band(tmp_path):
    tail = "-training.steps=50"
    for arm in VALUES:
        for seed in (0, 1):
            run(tmp_path, arm, seed, 1.0, name=f"{{arm}}{tail}-seed{{seed}}")
    write_comparison(tmp_path)
    grouped = re.compile(query(tmp_path)["runColorGroup"].removeprefix("regex:"))
    runs = [str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("events*")]
    colours = {name: grouped.match(name)[1] for name in runs if name != "comparison"}
    assert {name for name, colour in colours.items() if colour == "upsample"} == {
        "comparison/upsample", f"upsample{tail}-seed0", f"upsample{tail}-seed1"
    }  # fmt: skip
    assert len(set(colours.values())) == 2


def test_arms_keep_their_names_while_others_are_still_running(tmp_path):
    for kernel in (3, 5):
        for arm in VALUES:
            for seed in (0, 1):
                folder = run(tmp_path, arm, seed, 1.0, name=f"{{arm}}-generator.kernel_size={kernel}-seed{{seed}}")
                if kernel == 3:
                    (folder / "result.json").unlink()
    write_comparison(tmp_path)
    grouped = re.compile(query(tmp_path)["runColorGroup"].removeprefix("regex:"))
    bands = [f"comparison/{path.name}" for path in (tmp_path / "comparison").iterdir() if path.is_dir()]
    assert {grouped.match(name)[1] for name in bands} == {f"{arm}-generator.kernel_size=5" for arm in VALUES}


def test_an_arm_that_has_not_begun_has_its_colour_and_its_place(tmp_path):
    tail = "-training.steps=50"
    run(tmp_path, "transpose", 0, 1.0, name=f"{{arm}}{tail}-seed{{seed}}")
    record_sweep(tmp_path, "a command", [f"{arm}{tail}-seed{seed}" for arm in VALUES for seed in (0, 1)])
    assert pins(query(tmp_path))[2:] == [
        ("images", f"defaultExperimentId/{arm}{tail}-seed0", "samples") for arm in VALUES
    ]
    assert tensorboard.arm_styles(tmp_path) == {arm: ARMS[arm] for arm in VALUES}


def test_a_dashboard_that_is_open_compares_what_has_ended_and_what_is_left(study, dashboard, monkeypatch):
    results = {path: path.read_text() for path in study.glob("*/result.json")}

    def watched(*given):
        *_, ready, look = given
        ready("http://x/")
        for arms in (["transpose"], ["upsample"], []):
            for path in results if arms else ():
                if path.parent.name.startswith(arms[0]):
                    path.write_text(results[path])
            if not arms:
                (study / "forgotten").mkdir()
                (study / "transpose-seed2").rename(study / "forgotten" / "transpose-seed2")
            look("http://x/")
            look("http://x/")

    for path in results:
        path.unlink()
    monkeypatch.setattr(ganlab.dashboard, "run_tensorboard", watched)
    status, out, _ = dashboard(study)
    assert status == 0
    assert [line.split(": ")[0].rstrip(":") for line in out.splitlines()] == [
        "no comparison", "curves", "Ctrl-C ends it", "no comparison", "seed bands"
    ]  # fmt: skip
    assert "2 pairs" in verdict(study)


def test_of_the_one_study_in_a_folder_the_study_is_shown(study, dashboard):
    status, out, _ = dashboard(study.parent, "--no-serve")
    assert (status, out) == (0, f"up to date: {study / 'comparison'}\n")
    assert not (study.parent / "comparison").exists()


def test_a_folder_is_never_left_upwards(study, dashboard):
    """A run that holds the copy of another is a folder of runs, and its own folder is the one to write in."""
    whole = study / "transpose-seed0"
    run(whole, "upsample", 0, 1.0)
    status, out, _ = dashboard(whole, "--no-serve")
    assert (status, out) == (0, f"up to date: {whole / 'comparison'}\n")
    assert not (study / "comparison").exists()


def test_a_comparison_of_earlier_runs_that_others_own_is_shown_as_such(study, dashboard, served, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    write_comparison(study)
    run(study, "upsample", 3, 9.0)
    monkeypatch.setattr(tensorboard.records, "replace_events", refused)
    status, out, _ = dashboard(study)
    stale, *links, _ = out.splitlines()
    assert status == 0
    assert stale == "the comparison is from earlier runs: [Errno 13] Permission denied"
    assert [line.partition(":")[0] for line in links] == ["curves", "seed bands"]
    shutil.rmtree(study / "comparison")
    assert [line.partition(":")[0] for line in dashboard(study)[1].splitlines()[:-1]] == ["no comparison", "curves"]


def test_where_all_runs_diverged_there_is_no_link_to_bands(study, dashboard, served):
    assert "seed bands: " in dashboard(study)[1]
    for arm, values in VALUES.items():
        for seed, value in enumerate(values):
            run_again(study, arm, seed, value, status="diverged", steps=(10, 20))
    status, out, _ = dashboard(study)
    assert status == 0
    assert "no comparison" not in out
    assert "seed bands: " not in out
    assert "comparison/verdict" in scalars(study / "comparison")
    assert dashboard(study)[1] == out


def test_a_folder_whose_name_looks_like_an_option_names_its_window(study, monkeypatch):
    class Started(Exception):
        pass

    def start(line, **_):
        raise Started(line)

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(Started) as started:
        run_tensorboard(study.rename(study.with_name("-x")), "127.0.0.1", 0, 1, pytest.fail)
    assert "--window_title=-x" in started.value.args[0]


def test_runs_in_folders_of_their_own_are_called_by_their_arm(tmp_path):
    run(tmp_path, "transpose", 0, 1.0, name="2026-11-23/10-43-10")
    run(tmp_path, "upsample", 0, 1.0, name="2026-11-23/10-44-20")
    write_comparison(tmp_path)
    assert {path.name for path in (tmp_path / "comparison").iterdir() if path.is_dir()} == set(VALUES)


def test_samples_are_of_a_seed_that_all_arms_have(study):
    shutil.rmtree(study / "upsample-seed0")
    images = [run for plugin, run, _ in pins(query(study)) if plugin == "images"]
    assert images == [f"defaultExperimentId/{arm}-seed1" for arm in VALUES]


@pytest.mark.parametrize("status", ["diverged", "running"])
def test_samples_are_of_a_seed_that_finished_in_all_arms(study, status):
    early = run_again(study, "transpose", 0, 1.0, status="diverged", steps=(10,))
    if status == "running":
        (early / "result.json").unlink()
    images = [run for plugin, run, _ in pins(query(study)) if plugin == "images"]
    assert images == [f"defaultExperimentId/{arm}-seed1" for arm in VALUES]
    for path in study.glob("*/result.json"):
        path.unlink()
    images = [run for plugin, run, _ in pins(query(study)) if plugin == "images"]
    assert images == [f"defaultExperimentId/{arm}-seed0" for arm in VALUES]


def test_endpoints_are_those_of_the_study_and_losses_where_it_has_none(tmp_path):
    run(tmp_path, "upsample", 0, 1.0, config=tree("upsample", 0, quality="coverage", checkerboard=None))
    run(tmp_path, "transpose", 0, 1.0, config=tree("transpose", 0, quality="coverage", checkerboard=None))
    scalars = [tag for plugin, _, tag in pins(query(tmp_path)) if plugin == "scalars"]
    assert scalars == ["loss/generator", "loss/discriminator"]  # no run has a coverage or a spectrum


def test_an_endpoint_of_the_end_only_is_followed_by_its_quick_relative(tmp_path):
    """A final measure has one point and makes no curve: the curves of its quick relative stand for it, and say so."""
    full = "full/classifier/frechet_distance"
    for arm, values in VALUES.items():
        for seed, value in enumerate(values):
            folder = run(tmp_path, arm, seed, value, config=tree(arm, seed, quality=full))
            with (folder / "metrics.jsonl").open("a") as records:
                records.write(json.dumps({"step": 50, "images": 3200, "seconds": 5.0, f"metric/{full}": value}) + "\n")
            result = json.loads((folder / "result.json").read_text())
            result["metrics"][full] = value
            (folder / "result.json").write_text(json.dumps(result))
    write_comparison(tmp_path)
    assert scalars(tmp_path / "comparison" / "transpose")["frechet_distance/median"][0] == (10, 12)
    content = scalars(tmp_path / "comparison")[CONFIG_SUMMARY_TAG][0][1]
    (endpoints,) = Layout.FromString(content.item()).category
    assert [chart.title for chart in endpoints.chart] == [
        "checkerboard: checkerboard_index_2 (closer to 0 is better), median of the seeds",
        f"quality: frechet_distance, because {full} is measured only at the end (smaller is better), median of the seeds",
    ]
    assert [tag for plugin, _, tag in pins(query(tmp_path)) if plugin == "scalars"] == [QUALITY, LATTICE]


@pytest.mark.parametrize("text", ["{", "[]", '{"comparison": 3}'])
def test_settings_that_cannot_be_read_are_named(study, text):
    (study / "transpose-seed0" / "config.json").write_text(text)
    with pytest.raises(ConfigError, match=r"transpose-seed0/config.json cannot be read"):
        query(study)


# --- a real TensorBoard ---------------------------------------------------------------------------------------------


class Served:
    """The command, with what it says and what its TensorBoard answers."""

    def __init__(self, directory):
        line = [sys.executable, "-m", "ganlab.dashboard", str(directory), "--port", "0"]
        nobody = {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}  # asked for a page of this machine, it fails
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | nobody
        self.process = subprocess.Popen(
            line, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.lines = []
        while not self.lines or not self.lines[-1].startswith("Ctrl-C"):
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read()
            self.lines.append(line.rstrip("\n"))
        links = {name: line.split()[-1] for line in self.lines for name in ("curves", "bands") if f"{name}:" in line}
        self.curves = {key: values[0] for key, values in parse_qs(urlsplit(links["curves"]).query).items()}
        self.bands = links.get("bands")
        self.address = links["curves"].partition("?")[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=30)

    def ask(self, path, **query):
        with urlopen(f"{self.address}data/plugin/{path}?{urlencode(query)}", timeout=30) as answer:
            return json.load(answer)

    def until(self, look):
        deadline = time.monotonic() + 60
        while not (found := look()):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        return found

    def ends(self, number):
        """The exit status after a signal; nobody listens any more, and nothing was said."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        assert (out, err) == ("", "")
        with pytest.raises(OSError, match="refused"):
            urlopen(self.address, timeout=5)
        return self.process.returncode


@pytest.mark.slow
def test_tensorboard_answers_the_question_of_a_study(study):
    run(study, "transpose", 3, 5.0, images=range(0, 100, 2))
    with Served(study) as served:
        assert served.curves["smoothing"] == "0"
        grouped = re.compile(served.curves["runColorGroup"].removeprefix("regex:"))
        names = [f"comparison/{arm}" for arm in VALUES] + [f"{arm}-seed{seed}" for arm in VALUES for seed in (0, 11)]
        assert {name: grouped.match(name)[1] for name in names} == {
            name: "upsample" if "upsample" in name else "transpose" for name in names
        }
        assert pins(served.curves) == [
            ("scalars", None, QUALITY),
            ("scalars", None, LATTICE),
            *(("images", f"defaultExperimentId/{arm}-seed0", "samples") for arm in VALUES),
        ]
        assert served.bands == f"{served.address}#custom_scalars&regexInput=%5Ecomparison/"

        tags = served.until(lambda: len(served.ask("scalars/tags")) == 9 and served.ask("scalars/tags"))
        assert tags["comparison/transpose"].keys() == {
            f"{metric}/{what}"
            for metric in ("frechet_distance", "checkerboard_index_2")
            for what in ("median", "low", "high")
        }
        (endpoints,) = served.ask("custom_scalars/layout")["category"]
        assert [(chart["title"], chart["margin"]["series"]) for chart in reversed(endpoints["chart"])] == [
            (title, [{"value": f"{name}/median", "lower": f"{name}/low", "upper": f"{name}/high"}])
            for title, name in [
                ("quality: frechet_distance (smaller is better), median of the seeds", "frechet_distance"),
                ("checkerboard: checkerboard_index_2 (closer to 0 is better), median of the seeds", "checkerboard_index_2"),
            ]
        ]  # fmt: skip
        wanted = {"startIndex": 0, "sliceSize": 9, "allowedStatuses": ["STATUS_SUCCESS"], "includeMetrics": True}
        rows = served.ask("hparams/session_groups", request=json.dumps(wanted))["sessionGroups"]
        assert {row["name"]: sorted(session["name"] for session in row["sessions"]) for row in rows} == {
            "transpose": [f"transpose-seed{seed}" for seed in range(4)],
            "upsample": [f"upsample-seed{seed}" for seed in range(3)],
        }
        columns = served.ask("hparams/experiment", request="{}")
        assert {info["name"] for info in columns["hparamInfos"]} == {
            "generator.name", "generator.upsampling.name", "generator.upsampling.kernel_size",
            "generator.upsampling.fused", "generator.upsampling.init", "training.steps",
        }  # fmt: skip
        assert [(info["name"]["tag"], info["displayName"]) for info in columns["metricInfos"]] == [
            (QUALITY, "quality: frechet_distance (smaller is better)"),
            (LATTICE, "checkerboard: checkerboard_index_2 (closer to 0 is better)"),
            ("speed/images_per_second", "images per second"),
        ]
        means = {row["name"]: {m["name"]["tag"]: m["value"] for m in row["metricValues"]} for row in rows}
        assert means["upsample"][QUALITY] == pytest.approx(53)  # the mean of 2, 3 and 4, at step 50
        (verdict,) = served.ask("text/text", run="comparison", tag="comparison/verdict")
        assert "Which is better?" in verdict["text"]
        assert "upsample against transpose is inconclusive" in verdict["text"]
        shown = served.ask("images/images", run="transpose-seed3", tag="samples", sample=0)
        assert [entry["step"] for entry in shown] == list(range(0, 100, 2))
        with pytest.raises(HTTPError) as refused:
            urlopen(Request(f"{served.address}data/runs", headers={"Host": "evil.example"}), timeout=30)
        assert refused.value.code == 403
        assert refused.value.read().count(b"\n") == 1
        assert served.ends(signal.SIGINT) == 0


HOSTS = {
    "localhost": True, "LOCALHOST:6006": True, "127.0.0.1:6006": True, "[::1]:6006": True, "MACHINE:1": True,
    "10.0.0.7:6006": False, "evil.example:6006": False, "localhost.evil.example": False, "127.0.0.1.evil.example": False,
    "localhost@evil.example": False, "[::1": False, "": False, None: False,
}  # fmt: skip


@pytest.mark.parametrize("asked", HOSTS)
def test_only_names_of_this_machine_are_answered(asked):
    """Else a page elsewhere, whose name leads here, reads the runs: DNS rebinding."""
    asked_for = {} if asked is None else {"HTTP_HOST": asked.replace("MACHINE", socket.gethostname())}
    said = []

    def application(environment, start):
        return ["runs"]

    def answer(host):
        return ganlab.dashboard.guarded(application, host)(asked_for, lambda status, _: said.append(status))

    assert (answer("127.0.0.1") == ["runs"]) == HOSTS[asked]
    assert said == ([] if HOSTS[asked] else ["403 Forbidden"])
    assert answer("0.0.0.0") == answer("::") == ["runs"]
    assert (answer("10.0.0.7") == ["runs"]) == (HOSTS[asked] or asked == "10.0.0.7:6006")


@pytest.mark.slow
def test_a_tensorboard_that_is_open_shows_a_new_comparison_once(study):
    with Served(study) as served:

        def points():
            found = served.ask("scalars/scalars", run="comparison/upsample", tag="frechet_distance/high")
            return [(step, value) for _, step, value in found]

        served.until(lambda: points() == [(step, step + 4) for step in STEPS])
        run(study, "upsample", 3, 9.0, images=())
        write_comparison(study)
        served.until(lambda: points() == [(step, step + 9) for step in STEPS])
        assert len(served.ask("text/text", run="comparison", tag="comparison/verdict")) == 1
        assert served.ends(signal.SIGTERM) == 0


@pytest.mark.slow
def test_one_run_shows_its_losses_metrics_and_samples(study):
    with Served(study / "upsample-seed1") as served:
        assert pins(served.curves) == [
            ("scalars", None, "loss/generator"),
            ("scalars", None, "loss/discriminator"),
            ("scalars", None, QUALITY),
            ("scalars", None, LATTICE),
            ("images", "defaultExperimentId/.", "samples"),
        ]
        assert "runColorGroup" not in served.curves
        assert served.bands is None
        assert len(served.lines) == 2

        def gone():
            with contextlib.suppress(OSError), urlopen(served.address, timeout=5):
                return False
            return True

        served.process.kill()  # which it cannot tell its TensorBoard
        served.until(gone)


@pytest.mark.slow
def test_a_study_that_is_still_running_is_shown_all_the_same(study):
    for path in study.glob("*/result.json"):
        path.unlink()
    with Served(study) as served:
        assert served.lines[0].startswith(f"no comparison: {study} has no result.json")
        assert len(pins(served.curves)) == 4
        assert served.bands is None


@pytest.mark.slow
def test_a_tensorboard_that_cannot_start_says_why(study):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(RuntimeError, match=r"status \d.*port"):
        run_tensorboard(study, "127.0.0.1", taken.getsockname()[1], 1, pytest.fail)


@pytest.mark.parametrize(
    ("host", "told"), [("0.0.0.0", True), ("::", True), ("127.0.0.1", False), ("localhost", False), ("::1", False)]
)
def test_a_dashboard_that_others_can_reach_says_so(study, monkeypatch, capsys, host, told):
    monkeypatch.setattr(ganlab.dashboard, "run_tensorboard", lambda *_: None)
    try:
        check_address(host, 0)
    except ConfigError:
        pytest.skip("no IPv6 here")
    ganlab.dashboard.show(study, host, 0, serve=True)
    errors = capsys.readouterr().err
    assert errors.startswith(f"--host={host}: everybody who can reach this machine") == told
    assert errors.count("\n") == told


@pytest.mark.parametrize("more", [["--host", "a" * 300], ["--host", "no.such.host.invalid"], ["--port", "99999"]], ids=["host", "name", "port"])  # fmt: skip
def test_an_address_that_cannot_be_used_is_told_before_anything_is_written(study, monkeypatch, capsys, more):
    monkeypatch.setattr("ganlab.report.tensorboard.write_comparison", pytest.fail)
    monkeypatch.setattr(sys, "argv", ["dashboard", str(study), *more])
    with pytest.raises(SystemExit) as ended:
        main()
    errors = capsys.readouterr().err
    assert (ended.value.code, errors.count("\n")) == (2, 1)
