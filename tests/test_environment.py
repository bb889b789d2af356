"""What surrounds a process: it may not change a result, or the result says so."""

import json
import os

import keras
import pytest

from ganlab import device, environment
from ganlab.errors import ConfigError

SHORT = ("training.steps=6", "training.log_every_steps=3", "training.threads=1", "training.batch_size=8",
         "generator.base_filters=8", "generator.stages=[[8,2],[null,2]]", "discriminator.filters=[8,8]",
         "metrics=none", "metrics.images=60")  # fmt: skip


def test_a_start_takes_keras_back_to_its_defaults(monkeypatch, capsys):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras.config.set_image_data_format("channels_first")
    keras.config.set_floatx("float16")
    keras.config.set_epsilon(0.1)
    try:
        device.start("float32")
    finally:
        environment.pin(keras.config)
    assert keras.config.image_data_format() == "channels_last"
    assert (keras.config.floatx(), keras.config.epsilon()) == ("float32", 1e-7)
    assert os.environ["KERAS_BACKEND"] == "tensorflow"
    assert capsys.readouterr().err == "KERAS_BACKEND=torch is not used: ganlab computes with Keras on TensorFlow\n"
    device.start("float32")
    assert capsys.readouterr().err == ""


def test_variables_that_change_numbers_are_told(monkeypatch):
    for name in environment.DECIDING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")  # as ever
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")  # changes no number
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "")  # as if it were not set
    assert environment.deciding() == {}
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert environment.deciding() == {"NVIDIA_TF32_OVERRIDE": "0", "TF_ENABLE_ONEDNN_OPTS": "0"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", ""),
        ("no JSON", ""),
        ('{"floatx": "float16", "epsilon": 0.1, "backend": "nonsense", "image_data_format": "channels_first"}', ""),
        ("[]", "is not a JSON object"),
        ('{"floatx": "foo"}', 'floatx="foo" stops Keras; use float16 or float32 or float64'),
        ('{"floatx": []}', "floatx=[] stops Keras"),
        ('{"image_data_format": 3}', "image_data_format=3 stops Keras"),
        ('{"epsilon": 1}', "epsilon=1 stops Keras"),
        (None, "cannot be read (Is a directory)"),
    ],
)
def test_a_keras_json_at_which_keras_stops_is_one_line(monkeypatch, tmp_path, text, message):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    path = tmp_path / "keras.json"
    path.mkdir() if text is None else path.write_text(text)
    if not message:
        environment.check_keras_json()
        return
    with pytest.raises(ConfigError) as caught:
        device.check_environment()
    assert message in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.slow
def test_what_stands_in_keras_json_changes_no_bit(settings, command, tmp_path):
    (tmp_path / "keras").mkdir()
    own = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1, "backend": "torch"}
    (tmp_path / "keras" / "keras.json").write_text(json.dumps(own))
    surroundings = {"KERAS_HOME": str(tmp_path / "keras"), "TF_DETERMINISTIC_OPS": "1"}
    plain = ("train", *SHORT, "generator.normalization=batch", "generator.body=residual")
    for place, more in (("usual", {}), ("odd", surroundings), ("torch", {"KERAS_BACKEND": "torch"})):
        done = command(*plain, f"hydra.run.dir={place}", env=more)
        assert done.returncode == 0, done.stderr
        assert len(done.stderr.splitlines()) == (place == "torch")
    usual, odd, torch = (
        json.loads((tmp_path / place / "result.json").read_text()) for place in ("usual", "odd", "torch")
    )
    assert usual["metrics"] == odd["metrics"] == torch["metrics"] and len(usual["metrics"]) > 5
    assert usual["parameters"] == odd["parameters"] == torch["parameters"]
    for name in ("loss/generator", "loss/discriminator"):
        logs = [[json.loads(line).get(name) for line in (tmp_path / place / "metrics.jsonl").read_text().splitlines()]
                for place in ("usual", "odd", "torch")]  # fmt: skip
        assert logs[0] == logs[1] == logs[2]
    assert odd["environment"] == usual["environment"] | {"TF_DETERMINISTIC_OPS": "1"}
