"""Images from a run, and the model file that opens without ganlab."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from ganlab.run import open_average, run
from ganlab.sample import main as sampling
from test_sweep import TINY


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    from ganlab.compose import plan

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
        (["nowhere"], 2, "nowhere is no folder"),
        (["{run}", "--count", "0"], 2, "--count=0 is out of range"),
        (["{run}/samples"], 2, "holds no config.json"),
    ],
)
def test_wrong_questions_get_one_line(small_run, command, arguments, status, message):
    done = command("sample", *[argument.format(run=small_run) for argument in arguments])
    assert done.returncode == status
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_model_file_opens_without_ganlab_and_paints_the_same(small_run, tmp_path):
    painter, _ = open_average(small_run)
    z = painter.latents("latents/samples", 8)
    np.save(tmp_path / "z.npy", z)
    code = (
        "import sys, numpy as np, keras\n"
        f"model = keras.saving.load_model({str(small_run / 'generator.keras')!r})\n"
        f"np.save({str(tmp_path / 'images.npy')!r}, model.predict(np.load({str(tmp_path / 'z.npy')!r}), verbose=0))\n"
        "assert not [name for name in sys.modules if name.startswith('ganlab')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "images.npy"), painter._generate(z).numpy(), atol=1e-5)


def test_the_model_file_says_only_what_differs_from_defaults(small_run):
    """Keras 3.10 to 3.13 refuse settings that they do not know, such as these."""
    text = zipfile.ZipFile(small_run / "generator.keras").read("config.json").decode()
    for newer in ("input_axes", "renorm", "quantization_config"):
        assert newer not in text
    assert json.loads(text)["class_name"] == "Functional"
