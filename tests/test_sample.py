"""Images from a run, and the model file that opens without ganlab."""

import argparse
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as some
from PIL import Image
from scipy import stats

from ganlab.data.sources import describe_classes
from ganlab.errors import ConfigError
from ganlab.run.life import run
from ganlab.run.sampler import Sampler, open_sampler
from ganlab.sample import draw, truncate
from ganlab.sample import main as sampling
from small_runs import TINY


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    from ganlab.cli.hydra import plan

    directory = tmp_path_factory.mktemp("sampled") / "run"
    run(plan(list(TINY), multirun=False).cells[0].config, directory, quiet=True)
    return directory


def picture(path):
    """Size and number of frames."""
    with Image.open(path) as image:
        return image.size, getattr(image, "n_frames", 1)


def sample(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["sample", *map(str, arguments)])
    sampling()


def test_a_grid_a_folder_and_a_walk(small_run, monkeypatch, tmp_path):
    sample(monkeypatch, small_run)
    assert picture(small_run / "grid-step-00000004.png")[0][0] > 300
    sample(monkeypatch, small_run, "--folder", "--count", 5, "--out", tmp_path / "five")
    assert [picture(path) for path in (tmp_path / "five").iterdir()] == [((8, 8), 1)] * 5
    sample(monkeypatch, small_run, "--walk", "--frames", 6, "--out", tmp_path / "walk.gif")
    assert picture(tmp_path / "walk.gif")[1] == 6


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nowhere"], 2, "nowhere is not a directory"),
        (["{run}", "--count", "0"], 2, "--count=0 is out of range"),
        (["{run}/samples"], 2, "has no config.json"),
    ],
)
def test_wrong_questions_get_one_line(small_run, command, arguments, status, message):
    done = command("sample", *[argument.format(run=small_run) for argument in arguments])
    assert done.returncode == status
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


# --- which images ---------------------------------------------------------------------------------------------------

CLASSES, SIZE = 5, 64  # of dataset=shapes; of the latents
DISC_TO_BAR = "0 disc, 1 square, 2 triangle, 3 cross, 4 bar"


@pytest.fixture
def drawn(tmp_path, settings, monkeypatch):
    """`drawn("--class", 3)`: what the command says and the latents [N,Z+K] that it drew, of a run without training."""
    config = settings("dataset=shapes", "dataset.size=16", "conditional=true", "generator.base_filters=4")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(config.model_dump_json())
    monkeypatch.chdir(tmp_path)
    seen, steps = [], []

    def generator(z, training):
        """Each image has one shade, its class's: 0, 51, ... 204."""
        shade = tf.argmax(z[:, SIZE:], axis=1)
        return tf.ones((1, 16, 16, 3)) * (tf.cast(shade, tf.float32) * 0.4 - 1)[:, None, None, None]

    def open_it(directory, step=None):
        steps.append(step)
        sampler = Sampler(generator, config)
        paint = sampler.generate
        sampler.generate = lambda z: seen.append(np.array(z)) or paint(z)
        return sampler, step if isinstance(step, int) else 7

    monkeypatch.setattr("ganlab.sample.open_sampler", open_it)

    def ask(*arguments):
        seen.clear()
        monkeypatch.setattr(sys, "argv", ["sample", "run", *map(str, arguments)])
        sampling()
        return np.concatenate(seen)

    ask.steps = steps
    return ask


def shades(path, columns):
    """The shade in the middle of each place of a grid, 128 where it is empty."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    side = (pixels.shape[1] - 6) // columns
    return pixels[6 + side // 2 - 6 :: side, 6 + side // 2 - 6 :: side]


def test_each_class_has_a_row_of_its_own(drawn, capsys):
    z = drawn()
    assert z.shape == (40, SIZE + CLASSES)
    assert z[:, SIZE:].argmax(1).tolist() == np.repeat(range(CLASSES), 8).tolist()
    assert capsys.readouterr().out.splitlines()[1] == f"a row for each class, from the top: {DISC_TO_BAR}"
    np.testing.assert_array_equal(
        shades("run/grid-step-00000007.png", 8), np.repeat([[0], [51], [102], [153], [204]], 8, axis=1)
    )


def test_rows_stay_rows_where_classes_have_other_counts(drawn, capsys):
    drawn("--count", 7, "--out", "a.png")
    np.testing.assert_array_equal(shades("a.png", 2), [[0, 0], [51, 51], [102, 128], [153, 128], [204, 128]])
    drawn("--count", 165, "--out", "b.png")  # 33 of each: more than fit into a row
    found = shades("b.png", 32)
    assert found.shape == (10, 32) and found[1].tolist() == [0] + [128] * 31 and found[2].tolist() == [51] * 32
    drawn("--count", 161, "--out", "c.png")  # 33 of the first, 32 of the others
    assert shades("c.png", 32).shape == (6, 32)
    assert f"\n1 or 2 rows for each class, from the top: {DISC_TO_BAR}" in capsys.readouterr().out


def test_one_class_or_some(drawn, capsys):
    z = drawn("--class", 3)
    assert z.shape == (64, SIZE + CLASSES) and set(z[:, SIZE:].argmax(1)) == {3}
    assert capsys.readouterr().out.splitlines()[1] == "all of class 3 cross"
    z = drawn("--class", "bar, disc", "--count", 4)
    assert z[:, SIZE:].argmax(1).tolist() == [4, 4, 0, 0]
    assert capsys.readouterr().out.splitlines()[1] == "a row for each class, from the top: 4 bar, 0 disc"
    z = drawn("--walk", "--frames", 2, "--class", 2)
    assert z.shape == (32, SIZE + CLASSES) and set(z[:, SIZE:].argmax(1)) == {2}
    np.testing.assert_allclose(z[:16, :SIZE], -z[16:, :SIZE], atol=1e-6)


def test_a_folder_names_the_classes_and_holds_nothing_of_an_earlier_one(drawn, tmp_path):
    for count in (9, 5):
        drawn("--folder", "--count", count, "--out", "there")
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == [f"{n:06}-class-{n}.png" for n in range(5)]


def test_what_lies_where_pictures_go_by_default_is_not_overwritten(small_run, monkeypatch, capsys):
    grid, images = small_run / "grid-step-00000002.png", small_run / "images-step-00000002"
    images.mkdir()
    for mine, flags in ((grid, ()), (images / "000077.png", ("--folder",))):
        mine.write_text("mine")
        with pytest.raises(SystemExit) as end:
            sample(monkeypatch, small_run, "--step", 2, "--count", 2, *flags)
        assert (end.value.code, mine.read_text(), capsys.readouterr().err.count("\n")) == (2, "mine", 1)
    grid.unlink()
    (images / "000077.png").unlink()
    images.rmdir()


def test_an_earlier_step_is_asked_for(drawn):
    for arguments in (["--step", 3], ["--step", "best"], []):
        drawn("--class", 1, "--count", 1, "--out", "a.png", *arguments)
    assert drawn.steps == [3, "best", None]


def test_the_images_are_those_of_the_step(small_run, tmp_path, capsys, monkeypatch):
    for step in (2, 4):
        sample(monkeypatch, small_run, "--step", step, "--out", tmp_path / f"{step}.png")
        assert f"at step {step}" in capsys.readouterr().out
    sample(monkeypatch, small_run, "--out", tmp_path / "newest.png")
    two, four, newest = (shades(tmp_path / f"{name}.png", 64) for name in (2, 4, "newest"))
    np.testing.assert_array_equal(four, newest)
    assert np.abs(two.astype(int) - four).max() > 0


def test_without_classes_the_latents_are_those_of_the_seed(small_run, monkeypatch, tmp_path):
    sampler, _ = open_sampler(small_run)
    seen = []
    monkeypatch.setattr(sampler, "generate", lambda z: seen.append(z) or np.zeros((len(z), 8, 8, 1), np.uint8))
    monkeypatch.setattr("ganlab.sample.open_sampler", lambda directory, step: (sampler, 4))
    for more in ((), ("--truncation", 0.5), ("--truncation", 1e9)):
        sample(monkeypatch, small_run, "--seed", 3, "--out", tmp_path / "a.png", *more)
    plain, cut, whole = seen
    np.testing.assert_array_equal(plain, sampler.latents("latents/drawn/3", 64))
    np.testing.assert_array_equal(cut, truncate(plain, 0.5))
    np.testing.assert_allclose(whole, plain, rtol=1e-6)
    assert np.abs(cut).max() <= 0.5


@pytest.mark.parametrize("name", ["z.npy", "z.npz", "one.npz"])
@pytest.mark.parametrize("kind", ["float64", "float32", "float16"])
def test_latents_of_a_file_are_drawn_as_they_are(drawn, name, kind):
    z = np.random.default_rng(0).normal(size=(6, SIZE + CLASSES)).astype(kind)
    if name == "z.npy":
        np.save(name, z)
    else:
        np.savez(name, **({"latents": z, "other": np.zeros(3)} if name == "z.npz" else {"anything": z}))
    np.testing.assert_array_equal(drawn("--latents", name), z.astype("float32"))
    np.save("plain.npy", z[:, :SIZE])
    found = drawn("--latents", "plain.npy", "--class", 2)
    np.testing.assert_array_equal(found[:, :SIZE], z[:, :SIZE].astype("float32"))
    np.testing.assert_array_equal(found[:, SIZE:], np.eye(5)[[2] * 6])


@given(z=some.floats(-37, 37, width=32), threshold=some.floats(1e-3, 100))
@example(z=2.0**-52, threshold=2.0)
def test_a_truncated_number_is_inside_and_keeps_its_sign(z, threshold):
    cut = truncate(np.array([z, 0.0, -z], np.float32), threshold)
    assert (
        cut.dtype == np.float32 and np.all(np.abs(cut) <= np.float32(threshold)) and cut[0] == -cut[2] and cut[1] == 0
    )
    assert abs(cut[0]) <= abs(z) * (1 + 1e-5) + 1e-12 and (z == 0 or np.sign(cut[0]) in (0, np.sign(z)))


@pytest.mark.parametrize("threshold", [0.04, 0.7, 2.0])
def test_truncated_numbers_have_the_truncated_normal_distribution(threshold):
    z = np.random.default_rng(0).normal(size=20_000)
    cut = truncate(z, threshold)
    assert stats.kstest(cut, stats.truncnorm(-threshold, threshold).cdf).pvalue > 0.01
    assert np.all(np.argsort(cut) == np.argsort(z))  # the same images, nearer to the middle


def test_classes_in_words(settings):
    digits, photos, cifar = (settings(f"dataset={name}", *(["dataset.size=32"] * (name == "photos")),
                                      "generator.stages=null").dataset for name in ("digits", "photos", "cifar10"))  # fmt: skip
    assert describe_classes(digits, list(range(10))) == "0 to 9"
    assert describe_classes(digits, [0, 1]) == "0, 1"
    assert describe_classes(digits, [3, 5, 6]) == "3, 5, 6"
    assert describe_classes(photos, [1, 0]) == "1 flower, 0 china"
    assert describe_classes(cifar, [7, 0]) == "7 horse, 0 airplane"


WRONG = {
    ("--class", "5"): "--class=5 is not among this run's classes; use numbers from 0 to 4",
    ("--class", "1,1"): "--class=1,1 names a class twice",
    ("--class", "x"): "--class=x is not among this run's classes; use numbers from 0 to 4, or names: disc, ",
    ("--truncation", "0"): "--truncation=0 is out of range; use a number above 0, such as 0.7",
    ("--truncation", "nan"): "--truncation=nan is out of range",
    ("--frames", "3"): "--frames=3 is for --walk",
    ("--walk", "--count", "3"): "--count=3 does not apply to a walk",
    ("--step", "x"): "argument --step: 'x' is not a step; give the number of one that has a checkpoint, or best",
    ("--out", "x.txt"): "--out=x.txt does not end in .png, as this picture must; use --out=x.png",
    ("--walk", "--out", "x.png"): "--out=x.png does not end in .gif, as this picture must; use --out=x.gif",
    ("--out", "/dev/full"): "--out=/dev/full does not end in .png",
    ("--out", "mine.png"): "--out=mine.png exists and is not a picture from ganlab",
    ("--out", "link.png"): "--out=link.png exists and is not a picture from ganlab",
    ("--walk", "--out", "mine.gif"): "--out=mine.gif exists and is not a picture from ganlab",
    ("--out", "folder.png"): "--out=folder.png is a directory",
    ("--out", "mine.png/a.png"): "mine.png, which is not a directory",
    ("--folder", "--out", "mine"): "--out=mine holds 000000.png, which is not from ganlab; give an empty folder",
    ("--folder", "--out", "mine.png"): "--out=mine.png is not a directory",
    ("--latents", "none.npy"): "--latents=none.npy is not a file",
    ("--latents", "text.npy"): "--latents=text.npy cannot be read as numbers",
    ("--latents", "objects.npy"): "--latents=objects.npy is object [1]; it must be floating-point [N,69]",
    ("--latents", "two.npz"): "--latents=two.npz holds a, b; name the array to use latents",
    ("--latents", "short.npy"): "--latents=short.npy is float64 [3, 7]; it must be floating-point [N,69]: 64 numbers "
    "and 5 of the one-hot class for each image",
    ("--latents", "plain.npy"): "--latents=plain.npy is float64 [3, 64]; add --class=K, or the one-hot class",
    ("--latents", "short.npy", "--class", "1"): "it must be floating-point [N,64]: 64 numbers for each image",
    ("--latents", "empty.npy"): "--latents=empty.npy is float64 [0, 69]",
    ("--latents", "nan.npy"): "--latents=nan.npy holds numbers that are not finite in float32",
    ("--latents", "plain.npy", "--class", "1,2"): "--class=1,2 names several classes; with --latents give one",
    ("--latents", "plain.npy", "--seed", "0"): "--seed=0 is for drawn latents",
    ("--latents", "plain.npy", "--walk"): "--walk is for drawn latents",
    ("--latents", "plain.npy", "--truncation", "1"): "--truncation=1.0 is for drawn latents",
}  # fmt: skip


@pytest.fixture
def others(tmp_path):
    """Files that ganlab did not write, and what was in each."""
    Image.new("L", (3, 3)).save(tmp_path / "mine.png")
    Image.new("L", (3, 3)).save(tmp_path / "mine.gif", comment=b"a walk of mine")
    (tmp_path / "link.png").symlink_to("/dev/full")
    (tmp_path / "mine").mkdir()
    Image.new("L", (3, 3)).save(tmp_path / "mine" / "000000.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "text.npy").write_text("text")
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    np.savez(tmp_path / "two.npz", a=np.zeros(3), b=np.zeros(3))
    np.save(tmp_path / "short.npy", np.zeros((3, 7)))
    np.save(tmp_path / "plain.npy", np.zeros((3, 64)))
    np.save(tmp_path / "empty.npy", np.zeros((0, 69)))
    np.save(tmp_path / "nan.npy", np.full((3, 69), 1e300))
    return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()}


def test_a_wrong_question_is_one_line_and_nothing_is_touched(drawn, others, tmp_path, capsys):
    for arguments, message in WRONG.items():
        with pytest.raises(SystemExit) as caught:
            drawn(*arguments)
        said = capsys.readouterr()
        assert caught.value.code == 2 and not said.out, arguments
        assert message in said.err and len(said.err.splitlines()) == 1, (arguments, said.err)
    assert not drawn.steps  # nothing was opened
    files = {path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()}
    assert {path: path.read_bytes() for path in files} == others


def test_a_picture_of_our_own_is_written_anew(drawn, tmp_path):
    for arguments in (("--out", "new/a.png"), ("--walk", "--frames", 2, "--out", "new/a.gif")):
        for _ in range(2):
            drawn(*arguments)
    with Image.open("new/a.png") as image:
        assert image.info["Description"] == "transpose, step 7, seed 0"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.gif", "a.png"]


def test_a_run_without_classes_has_no_class_to_ask_for(small_run):
    options = argparse.Namespace(
        run=small_run, count=None, frames=None, truncation=None, latents=None, walk=False, classes="3"
    )
    with pytest.raises(ConfigError, match="--class=3 needs a conditional run"):
        draw(options)


@pytest.mark.slow
def test_the_model_file_opens_without_ganlab_and_paints_the_same(small_run, tmp_path):
    sampler, _ = open_sampler(small_run)
    z = sampler.latents("latents/samples", 8)
    np.save(tmp_path / "z.npy", z)
    code = (
        "import sys, numpy as np, keras\n"
        f"model = keras.saving.load_model({str(small_run / 'generator.keras')!r})\n"
        f"np.save({str(tmp_path / 'images.npy')!r}, model.predict(np.load({str(tmp_path / 'z.npy')!r}), verbose=0))\n"
        "assert not [name for name in sys.modules if name.startswith('ganlab')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "images.npy"), sampler._generate(z).numpy(), atol=1e-5)


def test_the_model_file_says_only_what_differs_from_defaults(small_run):
    """Keras 3.10 to 3.13 refuse settings that they do not know, such as these."""
    text = zipfile.ZipFile(small_run / "generator.keras").read("config.json").decode()
    for newer in ("input_axes", "renorm", "quantization_config"):
        assert newer not in text
    assert json.loads(text)["class_name"] == "Functional"
