"""The formats that a generator can be written in, and the proof that what was written is the same function.

TensorFlow is imported only where it is used, so that a wrong question gets its answer at once.
"""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganlab.config import Generator, Pair, pair

TOLERANCE = 1e-5  # of one image value; float32 in another order of summation stays a tenth of it away
_REOPEN = Path(__file__).with_name("reopen.py")


class ExportError(RuntimeError):
    """A file could not be written, or is not the generator that it was made from."""


class Format(NamedTuple):
    """One line of `FORMATS`.

    write: (path, generator) -> None; what it prints is nobody's business. needs: modules of the extra `export`.
    cannot: (name of an operator, its kernel, its scale) -> why this format cannot hold it, or None.
    opens: how other people's code opens and runs the file.
    """

    suffix: str
    write: Callable[[Path, Any], None]
    opens: str
    needs: tuple[str, ...] = ()
    cannot: Callable[[str, Pair, Pair], str | None] = lambda name, kernel, scale: None


def _write_keras(path: Path, generator: Any) -> None:
    from ganlab.nets.portable import save_portable

    save_portable(path, generator)


def _write_saved_model(path: Path, generator: Any) -> None:
    from ganlab.nets.portable import portable

    # TensorFlow takes [ ] * ? in a path for a pattern: it cannot load a SavedModel from such a folder.
    portable(generator).export(path, format="tf_saved_model", verbose=False)


def _write_onnx(path: Path, generator: Any) -> None:
    _folded(generator).export(path, format="onnx", verbose=False)


def _write_litert(path: Path, generator: Any) -> None:
    import tensorflow as tf

    # Keras also allows TensorFlow's own operations, which make a file that is written and does not run.
    builtins: Any = tf.lite.OpsSet.TFLITE_BUILTINS
    only = {"supported_ops": [builtins]}
    _folded(generator).export(path, format="litert", verbose=False, target_spec=only)


def _folded(generator: Any) -> Any:
    """Nearest above all: LiteRT does not run three stages of enlarging and then convolving."""
    from ganlab.nets.portable import portable

    model = portable(generator, folded=True)
    model(np.zeros((1, *model.input_shape[1:]), np.float32))  # Keras wants a model that was called
    return model


def _not_in_onnx(name: str, kernel: Pair, scale: Pair) -> str | None:
    if name == "transpose" and any(k < s for k, s in zip(kernel, scale, strict=True)):
        return f"a transposed convolution with a kernel {_size(kernel)} below its scale {_size(scale)}"
    return None


def _not_in_litert(name: str, kernel: Pair, scale: Pair) -> str | None:
    if name == "nearest" and any(k % 2 == 0 for k in kernel):
        return f"a convolution of enlarged images, and for the even kernel {_size(kernel)} there is no other form"
    return None


FORMATS = {
    "keras": Format(".keras", _write_keras, "keras.saving.load_model({path!r})(latents)"),
    "saved_model": Format(
        ".saved_model", _write_saved_model, "model = tf.saved_model.load({path!r}); model.serve(latents)"
    ),
    "onnx": Format(
        ".onnx",
        _write_onnx,
        "onnxruntime.InferenceSession({path!r}).run(None, {{'latents': latents}})",
        ("onnx", "tf2onnx", "onnxruntime"),
        _not_in_onnx,
    ),
    "litert": Format(
        ".tflite", _write_litert, "ai_edge_litert.interpreter.Interpreter({path!r})", cannot=_not_in_litert
    ),
}


def missing(name: str) -> list[str]:
    """The modules that a format needs and that are not installed."""
    return [module for module in FORMATS[name].needs if importlib.util.find_spec(module) is None]


def refusal(name: str, generator: Generator) -> str | None:
    """What a format lacks for a generator of these settings, or None where it lacks nothing."""
    for stage, operator in zip(generator.stages, generator.operators, strict=True):
        why = FORMATS[name].cannot(operator.name, pair(operator.kernel_size), pair(stage.scale))
        if why:
            return why
    return None


def export(name: str, generator: Any, latents: np.ndarray, out: Path) -> float:
    """Write `out`, whole or not at all, and return how far its images lie from the generator's at most.

    The file is opened and run in a process of its own, without ganlab. latents: float32 [B,Z]. The difference is that
    of image values, in parts of the largest where values exceed 1. Raises ExportError where the format's tools fail,
    or where the difference is above TOLERANCE; nothing is left behind then. FileExistsError where `out` exists.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(f".{os.getpid()}.{out.name}")
    try:
        try:
            with _hushed():
                wanted = np.asarray(generator(latents, training=False))
                FORMATS[name].write(beside, generator)
        except OSError:
            raise
        except Exception as error:  # what the tools of four projects raise
            raise ExportError(f"{name} could not be written ({_first_line(error)})") from error
        found = reopen(name, beside, latents)
        difference = _difference(found, wanted)
        if not difference <= TOLERANCE:  # also where it is not a number
            raise ExportError(
                f"{name} gives other images than the generator: they differ by {difference:.2g}, "
                f"which is above {TOLERANCE:g}; nothing was kept"
            )
        if os.path.lexists(out):
            raise FileExistsError(f"{out} has appeared meanwhile and is left as it is")
        beside.rename(out)
        return difference
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            beside.unlink()


def reopen(name: str, path: Path, latents: np.ndarray) -> np.ndarray:
    """Images of a model file, [B,H,W,C], as a fresh process without ganlab makes them."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "latents.npy"), Path(folder, "images.npy")
        np.save(source, latents)
        line = [sys.executable, "-P", str(_REOPEN), name, str(path), str(source), str(target)]
        done = subprocess.run(line, capture_output=True, text=True, errors="replace")
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise ExportError(f"{name} was written and does not run ({said[-1]}); nothing was kept")
        return np.load(target)


def _difference(found: np.ndarray, wanted: np.ndarray) -> float:
    if found.shape != wanted.shape:
        return float("inf")
    return float(np.max(np.abs(found - wanted)) / max(1.0, np.max(np.abs(wanted))))


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Keep what converters print, in Python and in C++, off the terminal; what goes wrong comes as an exception."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        try:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
            with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
                yield
        finally:
            for number, old in zip((1, 2), saved, strict=True):
                os.dup2(old, number)
                os.close(old)


def _first_line(error: Exception) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if len(line) <= 200 else line[:197] + "..."


def _size(size: Pair) -> str:
    return "x".join(map(str, size))
