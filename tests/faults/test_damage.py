"""Damage to a run's own files, and files that are not its own: noticed, named, and gone on from the newest good one."""

import hashlib
import json
import os
import shutil

import pytest
import tensorflow as tf

from ganlab.errors import ConfigError
from ganlab.run import resume
from ganlab.run.build import build_gan
from ganlab.run.life import run
from ganlab.run.sampler import open_sampler
from ganlab.training import checkpoints
from ganlab.training.checkpoints import CheckpointError
from small_runs import TINY, assert_same_run

EVENTS = "events.out.tfevents.0000000001.ganlab"


@pytest.fixture(scope="module")
def config():
    from ganlab.cli.hydra import plan

    return plan(["seed=3", *TINY], multirun=False).cells[0].config


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """A finished run of 4 steps with checkpoints at 2 and 4."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(config, folder, quiet=True)
    return folder


@pytest.fixture
def stopped(whole, tmp_path):
    """The same run, as a kill leaves it between its last checkpoint and its result."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    (folder / "result.json").unlink()
    return folder


@pytest.fixture(scope="module")
def restore(config):
    """`restore(folder)`: what a run with these settings would continue from there."""
    tensors = build_gan(config).tensors()
    return lambda folder: checkpoints.restore(
        folder / "checkpoints", tensors, unfit=lambda record: resume.unfit(record, config, folder)
    )


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def mark(folder, step, name):
    """Where a file of records had come at a checkpoint, in bytes."""
    manifest = json.loads((folder / f"checkpoints/step-{step:08d}/manifest.json").read_text())["manifest"]
    return manifest["record"]["records"][name][0]


def reseal(folder, change):
    """A manifest that somebody has changed, with the right sum."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())["manifest"]
    change(manifest)
    digest = hashlib.sha256(json.dumps(manifest).encode()).hexdigest()
    path.write_text(json.dumps({"manifest": manifest, "sha256": digest}))


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("metrics.jsonl", "flipped"),
        (EVENTS, "cut"),
        *(
            pytest.param(name, how, marks=pytest.mark.slow)
            for name, how in (
                ("metrics.jsonl", "cut"),
                ("metrics.jsonl", "gone"),
                (EVENTS, "flipped"),
                (EVENTS, "gone"),
            )
        ),
    ],
)
@pytest.mark.slow
def test_records_damaged_after_an_older_mark_cost_a_checkpoint(config, whole, stopped, capsys, name, how):
    before, after = mark(stopped, 2, name), mark(stopped, 4, name)
    assert before < after
    if how == "flipped":
        flip(stopped / name, after - 2)
    elif how == "cut":
        os.truncate(stopped / name, after - 1)
    else:
        (stopped / name).unlink()
    if how == "gone":  # every checkpoint needs its beginning
        with pytest.raises(CheckpointError, match=rf"step-00000002: .*{name} is missing"):
            run(config, stopped)
        return
    assert run(config, stopped).status == "finished"
    said = capsys.readouterr().out
    assert f"passed over a checkpoint, step-00000004: {stopped / name} " in said
    assert "continuing from step 2" in said
    assert_same_run(whole, stopped)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["metrics.jsonl", EVENTS])
def test_a_flipped_bit_before_all_marks_is_refused_by_name(config, stopped, name):
    flip(stopped / name, 40)
    with pytest.raises(CheckpointError, match=rf"{name} has changed; the checkpoint needs its first \d+ bytes as"):
        run(config, stopped, quiet=True)


@pytest.mark.slow
def test_damage_after_the_mark_is_none(config, whole, stopped):
    for name in ("metrics.jsonl", EVENTS):
        with (stopped / name).open("ab") as file:
            file.write(b"half a line")
    run(config, stopped, quiet=True)
    assert_same_run(whole, stopped)


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [["seed=4"], ["generator.base_filters=6"], ["optimizer.beta_1=0.4"]])
def test_checkpoints_of_another_run_are_refused(config, whole, tmp_path, settings, overrides):
    other = settings("seed=3", *TINY, *overrides)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(other.model_dump(mode="json")))
    shutil.copytree(whole / "checkpoints", folder / "checkpoints")
    for name in ("metrics.jsonl", EVENTS):
        shutil.copy(whole / name, folder)
    with pytest.raises(
        CheckpointError, match=rf"it is of another run: {overrides[0].partition('=')[0]}=|other tensors"
    ):
        run(other, folder, quiet=True)
    with pytest.raises(CheckpointError, match=r"it is of another run|other tensors"):
        open_sampler(folder)


@pytest.mark.slow
@pytest.mark.parametrize("number", ["9999999999", "0999999999", "0099999999"])
def test_somebody_elses_event_file_blocks_nothing(config, whole, stopped, number):
    foreign = stopped / f"events.out.tfevents.{number}.ganlab"
    for _ in range(3):
        foreign.write_bytes(b"not ours")
        run(config, stopped, quiet=True)
        (stopped / "result.json").unlink()
    run(config, stopped, quiet=True)
    assert_same_run(whole, stopped)


def test_a_generator_that_is_gone_is_written_again(config, whole, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    before = (folder / "result.json").read_bytes()
    (folder / "generator.keras").unlink()
    run(config, folder)
    assert f"{folder}/generator.keras was missing and has been written again" in capsys.readouterr().out
    assert (folder / "generator.keras").exists()
    assert (folder / "result.json").read_bytes() == before
    (folder / "generator.keras").unlink()  # an older checkpoint is of another generator
    last = max((folder / "checkpoints").glob("step-*"))
    index = last / "tensors.index"
    index.write_bytes(index.read_bytes() + b"x")
    with pytest.raises(CheckpointError, match=last.name):
        run(config, folder)
    shutil.rmtree(last)
    run(config, folder)
    assert "and so is the checkpoint of step" in capsys.readouterr().out
    assert not (folder / "generator.keras").exists()
    shutil.rmtree(folder / "checkpoints")  # then nobody can, and nothing is trained again for it
    assert run(config, folder).status == "finished"


def test_what_a_kill_left_is_swept_and_nothing_else(config, whole, stopped):
    litter = (".config.json", ".77.result.json", ".77.generator.keras", ".unfinished.held_out.txt",
              "samples/.unfinished.step-00000004.png", "samples/.77.step-00000004.png",
              "checkpoints/.77.step-00000006/manifest.json")  # fmt: skip
    for name in litter:
        (stopped / name).parent.mkdir(exist_ok=True)
        (stopped / name).write_bytes(b"half")
    (stopped / ".77.mine").write_text("mine")
    for step in (1, 3):  # of which only `keep` are to stay
        shutil.copytree(stopped / "checkpoints/step-00000002", stopped / f"checkpoints/step-{step:08d}")
    short = config.model_copy(update={"training": config.training.model_copy(update={"keep_checkpoints": 1})})
    (stopped / "config.json").write_text(json.dumps(short.model_dump(mode="json")))
    for path in (stopped / "checkpoints").glob("step-*"):
        reseal(path, lambda manifest: manifest["record"]["config"]["training"].update(keep_checkpoints=1))
    run(short, stopped, quiet=True)
    assert not [name for name in litter[1:] if (stopped / name).exists()]
    assert (stopped / ".77.mine").exists()
    assert (stopped / ".config.json").exists()  # of no process
    assert [path.name for path in (stopped / "checkpoints").iterdir()] == ["step-00000004"]


FOLDERS = ("samples", "checkpoints", "pictures", "evaluations", "plugins")
FILES = (".lock", "log.txt", "metrics.jsonl", EVENTS, "config.json", "result.json", ".unfinished.held_out.txt",
         "samples/step-00000004.png", "samples/.unfinished.step-00000004.png", "generator.keras", "held_out.txt",
         "checkpoints/step-00000004", "checkpoints/step-00000004/manifest.json")  # fmt: skip


@pytest.mark.parametrize(
    "name", ["samples", ".lock", *(pytest.param(name, marks=pytest.mark.slow) for name in (*FOLDERS[1:], *FILES[1:]))]
)
def test_a_run_is_written_and_read_through_no_link(config, stopped, tmp_path, name):
    outside = tmp_path / "outside"
    path = stopped / name
    if path.exists():
        path.rename(outside)
    elif name in FOLDERS:
        outside.mkdir()
    else:
        outside.write_bytes(b"mine")
    path.symlink_to(outside)
    before = {each: each.read_bytes() for each in [outside, *outside.rglob("*")] if each.is_file()}
    try:
        run(config, stopped, quiet=True)
    except (ConfigError, CheckpointError, OSError) as error:
        assert f"{path} is a link" in str(error) or "it is a link" in str(error), error  # noqa: PT017
    assert {each: each.read_bytes() for each in [outside, *outside.rglob("*")] if each.is_file()} == before
    if name in FOLDERS:
        with pytest.raises(ConfigError, match="is a link; replace it by what it points to"):
            open_sampler(stopped)


FIRST = "checkpoints/step-00000004"
MANIFESTS = {
    "a list": lambda manifest: manifest.update(files=[1]),
    "a path above": lambda manifest: manifest.update(files={"../../config.json": "0"}),
    "an absolute path": lambda manifest: manifest.update(files={"/etc/passwd": "0"}),
    "no tensors": lambda manifest: manifest.update(tensors=[]),
    "a null": lambda manifest: manifest.update(record=None),
    "another step": lambda manifest: manifest.update(step=7),
    "a text for a step": lambda manifest: manifest.update(step="4"),
    "no seconds": lambda manifest: manifest["record"].update(seconds=None),
    "records of another shape": lambda manifest: manifest["record"].update(records=[1]),
    "records above": lambda manifest: manifest["record"].update(records={"../x": [0, ""]}),
    "a best that is none": lambda manifest: manifest["record"].update(best="x"),
    "settings that are none": lambda manifest: manifest["record"].update(config=[1]),
    "another format": lambda manifest: manifest.update(format={"a": 1}),
}


@pytest.mark.parametrize(
    "how",
    [*MANIFESTS, "not JSON", "a number", "nested", "huge", "a pipe", "a device", "a folder"],
)
def test_a_manifest_of_another_shape_is_passed_over_by_name(config, whole, stopped, restore, capsys, how):
    path = stopped / FIRST / "manifest.json"
    if how in MANIFESTS:
        reseal(path.parent, MANIFESTS[how])
    else:
        path.unlink()
        {
            "not JSON": lambda: path.write_bytes(b"\xff{"),
            "a number": lambda: path.write_text("7"),
            "nested": lambda: path.write_text("[" * 10**5),
            "huge": lambda: (path.touch(), os.truncate(path, 600 * 2**20)),
            "a pipe": lambda: os.mkfifo(path),
            "a device": lambda: path.symlink_to("/dev/zero"),
            "a folder": path.mkdir,
        }[how]()
    restored = restore(stopped)
    assert restored.step == 2
    (line,) = restored.damaged
    assert line.startswith("step-00000004: ")
    if how == "a list":  # the whole way once
        assert open_sampler(stopped)[1] == 2
        assert capsys.readouterr().err == f"{stopped}: passed over a checkpoint, {line}\n"
        assert run(config, stopped).status == "finished"
        said = [each for each in capsys.readouterr().out.splitlines() if "passed over" in each]
        assert said == [f"passed over a checkpoint, {line}"]
        assert_same_run(whole, stopped)


def tensors_of(folder):
    reader = tf.train.load_checkpoint(str(folder / "tensors"))
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith("tensors/")]
    return {name.split("/")[1]: reader.get_tensor(name) for name in names}


@pytest.mark.parametrize("how", ["missing", pytest.param("huge", marks=pytest.mark.slow), "another type", "noise"])
def test_tensors_that_are_not_as_the_manifest_says_are_passed_over(stopped, restore, how):
    """The sums are right: somebody has written this checkpoint."""
    folder = stopped / FIRST
    tensors = tensors_of(folder)
    first = sorted(name for name in tensors if name.startswith("generator"))[0]
    if how == "missing":
        del tensors[first]
    else:
        tensors[first] = {"huge": tf.zeros([784 * 2**18 // (1 if how == "huge" else 10**6)])}.get(
            how, tf.cast(tensors[first], tf.float64)
        )
    if how == "noise":
        (folder / "tensors.index").write_bytes(os.urandom(2000))
    else:
        tf.train.Checkpoint(tensors={name: tf.Variable(value) for name, value in tensors.items()}).write(
            str(folder / "tensors")
        )
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("tensors.*")}
    reseal(folder, lambda manifest: manifest.update(files=sums))
    restored = restore(stopped)
    assert restored.step == 2
    assert [line.partition(": ")[0] for line in restored.damaged] == ["step-00000004"]


def test_a_checkpoint_of_an_earlier_version_is_one_clear_line(config, stopped):
    for path in (stopped / "checkpoints").iterdir():
        reseal(path, lambda manifest: manifest["record"].pop("config"))
    with pytest.raises(
        CheckpointError, match="of an earlier version, which did not record its settings; finish the run"
    ):
        run(config, stopped, quiet=True)
    assert open_sampler(stopped)[1] == 4
    assert checkpoints.steps(stopped / "checkpoints") == [2, 4]
