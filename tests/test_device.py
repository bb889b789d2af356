"""What a device is asked for: precisions by what it has, parts of a CPU, workers by TensorFlow's own variable."""

import gc
import subprocess
import sys

import pytest

from conftest import ROOT
from ganlab import device
from ganlab.errors import ConfigError


@pytest.mark.parametrize(
    ("capability", "chosen"),
    [(None, "float32"), ((9, 0), "mixed_bfloat16"), ((8, 0), "mixed_bfloat16"), ((7, 5), "mixed_float16")],
)
def test_auto_takes_the_best_precision_that_the_device_has(capability, chosen):
    assert device.choose_precision("auto", capability) == chosen


@pytest.mark.parametrize("asked", ["float32", "mixed_bfloat16"])
def test_a_precision_that_was_asked_for_is_taken_everywhere(asked):
    assert {device.choose_precision(asked, where) for where in (None, (7, 5), (9, 0))} == {asked}


def test_float16_needs_a_gpu():
    assert device.choose_precision("mixed_float16", (7, 0)) == "mixed_float16"
    with pytest.raises(ConfigError, match="precision=mixed_float16 needs a GPU"):
        device.choose_precision("mixed_float16", None)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", 0),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}', 1),
        ('{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "chief", "index": 0}}', 0),
        ('{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker", "index": 0}}', 1),
    ],
)
def test_the_first_worker_is_the_one_that_writes(monkeypatch, text, place):
    monkeypatch.setenv("TF_CONFIG", text)
    assert device.worker() == place


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_a_damaged_tf_config_is_one_line(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match="TF_CONFIG is not a JSON object"):
        device.worker()


@pytest.mark.slow
def test_workers_and_parts_of_a_cpu_exclude_each_other(command):
    places = '{"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, "task": {"type": "worker", "index": 0}}'
    done = command("train", "training.replicas=2", env={"TF_CONFIG": places})
    assert done.returncode == 2
    assert done.stderr == "training.replicas=2 parts of a CPU cannot be combined with TF_CONFIG's workers\n"


def test_an_emulated_bfloat16_is_known_and_compiled_with_xla(monkeypatch):
    try:
        monkeypatch.setattr(device, "_flags", lambda: {"avx2"})
        emulated = device.start("mixed_bfloat16")
        monkeypatch.setattr(device, "_flags", lambda: {"avx2", "avx512_bf16"})
        native = device.start("mixed_bfloat16")
    finally:
        single = device.start("float32")
    assert [each.emulates for each in (emulated, native, single)] == [True, False, False]
    assert [each.xla("auto", 10) for each in (emulated, native, single)] == [True, False, False]
    assert all(each.xla("xla", 10) and not each.xla("graph", 9999) for each in (emulated, native, single))


@pytest.mark.slow
def test_a_start_waits_for_no_package_that_a_run_does_not_use():
    """They take two seconds together; Keras imports scikit-learn and matplotlib wherever they are installed."""
    program = """
import sys
from ganlab.device import start
start("float32")
import ganlab.run.measuring
from ganlab.config import Digits
from ganlab.data.digits import digits
digits(Digits(name="digits", size=8, channels=1, held_out=0.2))
print(sorted({"sklearn", "matplotlib", "scipy.stats"} & set(sys.modules)))
import matplotlib.pyplot, sklearn.datasets
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_garbage_collector_does_not_look_at_tensorflow():
    assert gc.isenabled()
    assert gc.get_freeze_count() > 200_000  # since the first start, in conftest.py
