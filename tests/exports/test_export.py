"""Exports: every file is the generator that it was made from, opens without ganlab, and is whole or not there."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganlab.cli.choices import options
from ganlab.data.batches import to_pixels
from ganlab.errors import ConfigError
from ganlab.export import export
from ganlab.exports import formats as exports
from ganlab.exports.portable import save_portable
from ganlab.run.build import build_gan
from ganlab.run.life import run
from ganlab.run.sampler import open_sampler
from small_runs import TINY

STAGES = "generator.stages=[[4,2],[4,2],[null,2]]"  # three: LiteRT holds two of nearest even unfolded


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    """`small_run(arm)`: the folder of a short run, trained once for these settings."""
    from ganlab.cli.hydra import plan

    made = {}

    def of(arm, *more):
        if (arm, *more) not in made:
            made[arm, *more] = tmp_path_factory.mktemp(arm) / "run"
            line = [f"generator={arm}", "metrics=none", STAGES, *TINY[1:-2], "training.steps=2", TINY[-1], *more]
            run(plan(line, multirun=False).cells[0].config, made[arm, *more], quiet=True)
        return made[arm, *more]

    return of


@pytest.fixture
def network(settings):
    """`network("generator=upsample")`: an untrained generator and 16 latents."""

    def of(*overrides):
        config = settings(*TINY[:-2], STAGES, TINY[-1], *overrides)
        latents = np.random.default_rng(0).normal(size=(16, config.generator.latent_size)).astype(np.float32)
        return build_gan(config).generator, latents

    return of


tools_of_others = pytest.mark.filterwarnings("ignore::FutureWarning")  # Keras asks for np.object on behalf of tf2onnx


@pytest.fixture
def nearby(monkeypatch):
    """Files are opened in this process, by the same lines: a fresh one starts TensorFlow again."""

    def opened(name, path, latents):
        names = {"latents": latents}
        exec(exports.opening(name, str(path)), names)
        return names["images"]

    monkeypatch.setattr(exports, "reopen", opened)


@pytest.mark.parametrize("name", ["keras", "saved_model"])
@pytest.mark.parametrize("arm", ["upsample", "transpose"])
def test_an_export_is_the_same_function(network, nearby, arm, name, tmp_path):
    out = tmp_path / ("new" + exports.FORMATS[name].suffix)
    assert exports.export(name, *network(f"generator={arm}"), out) <= exports.TOLERANCE
    assert [path.name for path in tmp_path.iterdir()] == [out.name]  # nothing half made beside it


@pytest.mark.parametrize("name", ["keras", pytest.param("saved_model", marks=pytest.mark.slow)])
def test_so_is_one_of_a_residual_generator(network, nearby, name, tmp_path):
    model = network("generator=pixel_shuffle", "generator.body=residual", "generator.normalization=batch")
    assert exports.export(name, *model, tmp_path / ("new" + exports.FORMATS[name].suffix)) <= exports.TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("arm", options("generator"))
def test_every_arm_is_layers_of_keras_alone(network, nearby, arm, tmp_path):
    """So that what is written opens without ganlab; the kind with most layers is opened below in a process without it."""
    path = tmp_path / "a.keras"
    assert exports.export("keras", *network(f"generator={arm}"), path) <= exports.TOLERANCE
    loaded = keras.saving.load_model(path)
    assert {type(layer).__module__.partition(".")[0] for layer in loaded.layers} == {"keras"}


KINDS = ("upsample", "transpose_k3", "pixel_shuffle", "carafe")  # one of each way that an operator is written


@pytest.mark.slow
@tools_of_others
@pytest.mark.parametrize("name", exports.FORMATS)
@pytest.mark.parametrize("arm", KINDS)
def test_every_kind_in_every_format_is_the_same_function(network, nearby, arm, name, tmp_path):
    out = tmp_path / ("new" + exports.FORMATS[name].suffix)
    assert exports.export(name, *network(f"generator={arm}"), out) <= exports.TOLERANCE


@pytest.mark.slow
@tools_of_others
@pytest.mark.parametrize(("arm", "name"), [("carafe", name) for name in exports.FORMATS] + [("upsample", "litert")])
def test_every_format_opens_without_ganlab(small_run, arm, name, tmp_path):
    """In a process of its own. LiteRT has kernels of its own for transposed convolutions."""
    out = tmp_path / ("new" + exports.FORMATS[name].suffix)
    output = export(small_run(arm), name, out)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert float(output.splitlines()[1].split()[-1]) <= exports.TOLERANCE


@pytest.mark.slow
def test_the_command_says_where_it_is_and_nothing_else(small_run, command):
    done = command("export", str(small_run("upsample")))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (small_run("upsample") / "generator-step-00000002.keras").exists()
    heading, _, code = done.stdout.partition("to use it, in Python:\n\n")
    assert len(heading.splitlines()) == 4 and "latents: float32 [batch, 64], 64 standard normal numbers\n" in heading
    code += "assert pixels.shape == (4, 8, 8, 1) and pixels.dtype == np.uint8\n"
    elsewhere = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True)
    assert elsewhere.returncode == 0, elsewhere.stderr


CONDITIONAL, LINEAR = ("conditional=true",), ("generator.output=linear", "dataset.channels=3")
SLOW = [pytest.param(name, marks=[pytest.mark.slow, tools_of_others]) for name in ("onnx", "litert")]


@pytest.mark.parametrize("name", ["keras", pytest.param("saved_model", marks=pytest.mark.slow), *SLOW])
@pytest.mark.parametrize("more", [CONDITIONAL, LINEAR], ids=" ".join)
def test_the_printed_usage_works_as_it_is_pasted(small_run, nearby, name, more, tmp_path):
    directory, out = small_run("transpose", *more), tmp_path / ("new's" + exports.FORMATS[name].suffix)
    if name == "litert" and importlib.util.find_spec("ai_edge_litert") is None:
        pytest.skip("the code that is printed needs ai-edge-litert")
    output = export(directory, name, out)
    heading, _, code = output.partition("to use it, in Python:\n\n")
    names = {}
    exec(code, names)
    sampler, _ = open_sampler(directory)
    np.testing.assert_allclose(names["images"], sampler.generator(names["latents"], training=False), atol=1e-4)
    np.testing.assert_array_equal(names["pixels"], to_pixels(names["images"]))
    if more == CONDITIONAL:
        assert "64 standard normal numbers followed by the class, one-hot; its 10 classes: 0 to 9" in heading
        assert names["latents"][:, 64:].argmax(1).tolist() == [0, 1, 2, 3]
        assert "images: float32 [batch, 8, 8, 1], from -1 (pixel value 0) to 1 (255)" in heading
    else:
        assert "images: float32 [batch, 8, 8, 3], unbounded" in heading


def test_a_saved_model_names_what_goes_in_and_comes_out(small_run, nearby, tmp_path):
    export(small_run("transpose", *CONDITIONAL), "saved_model", tmp_path / "new")
    served = tf.saved_model.load(str(tmp_path / "new")).signatures["serving_default"]
    assert served.structured_input_signature[1]["latents"].shape.as_list() == [None, 74]
    assert served.structured_outputs["images"].shape.as_list() == [None, 8, 8, 1]
    page = (tmp_path / "new" / "README.md").read_text()
    assert "tf.saved_model.load('new')" in page and "10 classes: 0 to 9" in page


def test_a_keras_file_holds_its_page(small_run, nearby, tmp_path):
    export(small_run("transpose", *CONDITIONAL), "keras", tmp_path / "new.keras")
    page = zipfile.ZipFile(tmp_path / "new.keras").read("README.md").decode()
    assert "10 classes: 0 to 9" in page and "keras.saving.load_model('new.keras')" in page
    assert re.search(
        r"\n- trained on: 1,438 images of scikit-learn's load_digits.*; licence CC BY 4.0, sha256 \w{64}\n", page
    )
    shutil.copytree(small_run("transpose", *CONDITIONAL), tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    export(tmp_path / "run", "keras", tmp_path / "again.keras")
    page = zipfile.ZipFile(tmp_path / "again.keras").read("README.md").decode()
    assert "\n- trained on: dataset=digits; licence not recorded, as the run had not finished\n" in page


@pytest.mark.slow
@tools_of_others
def test_onnx_names_what_goes_in_and_comes_out(small_run, nearby, tmp_path):
    import onnx
    import onnxruntime

    export(small_run("transpose", *CONDITIONAL), "onnx", tmp_path / "new.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "new.onnx")
    assert [(each.name, each.shape) for each in session.get_inputs()] == [("latents", ["batch", 74])]
    assert [(each.name, each.shape) for each in session.get_outputs()] == [("images", ["batch", 8, 8, 1])]
    assert "10 classes: 0 to 9" in onnx.load(tmp_path / "new.onnx").doc_string


@pytest.mark.slow
@tools_of_others
def test_litert_names_what_goes_in_and_comes_out(small_run, nearby, tmp_path):
    export(small_run("transpose", *CONDITIONAL), "litert", tmp_path / "new.tflite")
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(str(tmp_path / "new.tflite"))
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["latents"], "outputs": ["images"]}}
    assert b"10 classes: 0 to 9" in (tmp_path / "new.tflite").read_bytes()


def test_a_file_that_is_another_function_is_an_error_and_is_removed(network, nearby, tmp_path, monkeypatch):
    generator, latents = network("generator=upsample")
    honest = exports.FORMATS["keras"]

    def crooked(path, generator, about):
        weights = generator.get_weights()
        generator.set_weights([weight + np.float32(1e-3) for weight in weights])
        honest.write(path, generator, about)

    monkeypatch.setitem(exports.FORMATS, "keras", honest._replace(write=crooked))
    with pytest.raises(exports.ExportError, match="does not give the generator's images: they differ by"):
        exports.export("keras", generator, latents, tmp_path / "a.keras")
    assert not list(tmp_path.iterdir())


def test_rounding_of_a_trained_carafe_is_not_another_function(network, tmp_path, monkeypatch):
    """Its softmax multiplies rounding: after 1500 steps on digits, ONNX differs by 1.2e-5."""
    generator, latents = network("generator=carafe")
    monkeypatch.setattr(exports, "reopen", lambda *_: np.asarray(generator(latents, training=False)) + 2e-5)
    assert exports.export("keras", generator, latents, tmp_path / "a.keras") == pytest.approx(2e-5, rel=0.1)


def test_functions_in_a_keras_file_have_no_names_of_their_own(network, tmp_path):
    """Keras 3.10 cannot give them one; `carafe` has `take` and `matmul`."""
    save_portable(tmp_path / "a.keras", network("generator=carafe")[0])
    text = zipfile.ZipFile(tmp_path / "a.keras").read("config.json").decode()
    assert '"class_name": "Take", "config": {"axis": 1}' in text and '"class_name": "Matmul", "config": {}' in text


def test_a_file_that_does_not_run_is_an_error_and_is_removed(network, tmp_path, monkeypatch):
    generator, latents = network("generator=transpose")
    broken = exports.FORMATS["onnx"]._replace(write=lambda path, generator, about: path.write_bytes(b"no model"))
    monkeypatch.setitem(exports.FORMATS, "onnx", broken)
    with pytest.raises(exports.ExportError, match="file does not run"):
        exports.export("onnx", generator, latents, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_a_converter_that_fails_is_one_line(network, tmp_path, monkeypatch, capfd):
    def fail(path, generator, about):
        print("chatter")
        os.write(2, b"chatter of native code")
        path.mkdir()
        raise ValueError("first line\nsecond line")

    generator, latents = network("generator=transpose")
    monkeypatch.setitem(exports.FORMATS, "saved_model", exports.FORMATS["saved_model"]._replace(write=fail))
    with pytest.raises(exports.ExportError, match=r"^saved_model could not be written \(first line\)$"):
        exports.export("saved_model", generator, latents, tmp_path / "a")
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is not a directory"),
        (["."], "has no config.json"),
        ([".", "--format", "tflite"], "--format=tflite is unknown; did you mean litert?"),
        ([".", "--format", "saved_model", "--out", "a[b]"], "a[b] cannot hold a SavedModel: TensorFlow takes [ ] and"),
        ([".", "--out", "there.keras"], "--out=there.keras exists and is not overwritten"),
        ([".", "--out", "model.h5"], "--out=model.h5 does not have the suffix of keras files; use model.keras"),
    ],
)
def test_wrong_questions_get_one_line(command, tmp_path, arguments, message):
    (tmp_path / "there.keras").write_text("mine")
    done = command("export", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / "there.keras").read_text() == "mine"


def test_a_run_without_a_checkpoint_is_named(settings, tmp_path):
    (tmp_path / "config.json").write_text(settings(*TINY).model_dump_json())
    with pytest.raises(ConfigError, match="has no checkpoint yet; wait for step 2"):
        export(tmp_path, "keras", None)
    (tmp_path / "result.json").write_text("{}")  # a copy without its networks
    with pytest.raises(ConfigError, match=r"has a result.json, but no checkpoints; copy them"):
        export(tmp_path, "keras", None)


def test_a_run_that_is_read_only_is_refused(small_run, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match=r"--out=.*run is read-only\); give another name"):
        export(small_run("transpose", *CONDITIONAL), "keras", None)


def test_an_extra_that_is_absent_is_named(settings, tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(settings(*TINY).model_dump_json())
    monkeypatch.setattr(exports.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs onnx, tf2onnx, onnxruntime; pip install 'ganlab-keras\[export\]'"):
        export(tmp_path, "onnx", None)


EVEN_NEAREST = ("generator=upsample", "generator.upsampling.kernel_size=2", "generator.upsampling.implementation=plain")


def test_what_a_format_cannot_hold_is_refused_before_any_work(settings, tmp_path):
    config = settings(*TINY, *EVEN_NEAREST)
    (tmp_path / "config.json").write_text(config.model_dump_json())
    with pytest.raises(ConfigError, match=r"--format=litert cannot hold generator=.*use --format=keras"):
        export(tmp_path, "litert", None)
    for other in exports.FORMATS.keys() - {"litert"}:
        assert exports.refusal(other, config.generator) is None
    assert not any(exports.refusal("litert", settings(f"generator={arm}").generator) for arm in options("generator"))


@pytest.mark.slow
@tools_of_others
def test_what_is_refused_cannot_be_done(network, tmp_path):
    """When this fails, the tools have learned it: take the refusal out."""
    with pytest.raises(exports.ExportError, match=r"^litert could not be written \(LiteRT does not have Conv2D"):
        exports.export("litert", *network(*EVEN_NEAREST), tmp_path / "a.tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@tools_of_others
@pytest.mark.parametrize("size", [1, 2])
def test_a_kernel_below_its_scale_is_written_for_all(network, nearby, tmp_path, size):
    """ONNX has no transposed convolution with such a kernel: zeros go on up to the scale."""
    small = ("generator=transpose", f"generator.upsampling.kernel_size={size}", "generator.stages=[[4,2],[null,4]]")
    for name, form in exports.FORMATS.items():
        model = network(*small, "dataset.size=16")
        assert exports.export(name, *model, tmp_path / f"a{form.suffix}") <= exports.TOLERANCE


def test_nearest_is_folded_for_those_who_need_it(network):
    generator, latents = network("generator=upsample")
    model = exports._folded(generator)
    assert {type(layer).__name__ for layer in model.layers if layer.weights} == {"Dense", "Conv2DTranspose"}
    np.testing.assert_allclose(model(latents), generator(latents, training=False), atol=1e-5)
