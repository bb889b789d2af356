"""The formats that a generator can be written in, and the proof that what was written is the same function.

TensorFlow is imported only where it is used, so that a wrong command is answered at once.
"""

import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganlab.config import Generator, Pair, pair
from ganlab.files import replacing

TOLERANCE = 1e-5  # of one image value; float32 in another order of summation stays a tenth of it away
_REOPEN = Path(__file__).with_name("reopen.py")


class ExportError(RuntimeError):
    """A file could not be written, or is not the generator that it was made from."""


class Interface(NamedTuple):
    """What goes into a generator and what comes out, for people who have only the file.

    title: which generator. trained_on: what images, and their licence. classes: how many, 0: none; labels: which, in
    words. bounded: whether images stay within -1 and 1.
    """

    title: str
    trained_on: str
    latent_size: int
    classes: int
    labels: str
    shape: tuple[int, ...]
    bounded: bool

    @property
    def latents(self) -> str:
        """What goes in, as a line."""
        size = f"latents: float32 [batch, {self.latent_size + self.classes}]"
        numbers = f"{self.latent_size} standard normal numbers"
        if not self.classes:
            return f"{size}, {numbers}"
        return f"{size}, {numbers} and behind them the class, one-hot; its {self.classes} classes: {self.labels}"

    @property
    def images(self) -> str:
        """What comes out, as a line."""
        values = "-1 (pixel value 0) to 1 (255)"
        reach = f"from {values}" if self.bounded else f"unbounded, made to look like images from {values}"
        return f"images: float32 [batch, {', '.join(map(str, self.shape))}], {reach}"


class Format(NamedTuple):
    """One line of `FORMATS`.

    write: (path, generator, about) -> None; what it prints is discarded; `about` goes into the file where it
    has a place for it. needs: modules of the extra `export`. cannot: (name of an operator, its kernel, its scale) ->
    why this format cannot hold it, or None. imports, opens: how other people's code opens and runs the file.
    """

    suffix: str
    write: Callable[[Path, Any, str], None]
    imports: str
    opens: str
    needs: tuple[str, ...] = ()
    cannot: Callable[[str, Pair, Pair], str | None] = lambda name, kernel, scale: None


def _write_keras(path: Path, generator: Any, about: str) -> None:
    from ganlab.exports.portable import save_portable

    save_portable(path, generator, about)


def _write_saved_model(path: Path, generator: Any, about: str) -> None:
    from ganlab.exports.portable import portable

    # TensorFlow takes [ ] * ? in a path for a pattern: it cannot load a SavedModel from such a folder.
    _archive(path, portable(generator))
    if about:
        (path / "README.md").write_text(about)


def _archive(path: Path, model: Any) -> None:
    """A SavedModel whose signature names both sides, which Keras' own export calls output_0."""
    import keras
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    archive.track(model)
    latents = tf.TensorSpec((None, model.input_shape[-1]), tf.float32, "latents")
    archive.add_endpoint("serve", lambda latents: {"images": model(latents, training=False)}, [latents])
    archive.write_out(path, verbose=False)


def _write_onnx(path: Path, generator: Any, about: str) -> None:
    import onnx  # pyright: ignore[reportMissingImports] - of an extra

    _folded(generator).export(path, format="onnx", verbose=False)
    model = onnx.load(path)
    graph = model.graph
    (latents,), (images,) = graph.input, graph.output
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = ["images" if name == images.name else name for name in names]
    images.name = "images"
    for value in (latents, images):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    graph.name = "generator"
    graph.doc_string = model.doc_string = about
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _write_litert(path: Path, generator: Any, about: str) -> None:
    import tensorflow as tf
    from tensorflow.lite.tools import flatbuffer_utils

    with tempfile.TemporaryDirectory() as folder:
        _archive(Path(folder), _folded(generator))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        # TensorFlow's own operations would make a file that is written and does not run.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        content = converter.convert()
    if about:
        model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
        model.description = about
        content = flatbuffer_utils.convert_object_to_bytearray(model)
    path.write_bytes(content)


def _folded(generator: Any) -> Any:
    """Nearest above all: LiteRT does not run three stages of enlarging and then convolving."""
    from ganlab.exports.portable import portable

    model = portable(generator, folded=True)
    model(np.zeros((1, *model.input_shape[1:]), np.float32))  # Keras wants a model that was called
    return model


def _not_in_litert(name: str, kernel: Pair, scale: Pair) -> str | None:
    if name == "nearest" and any(k % 2 == 0 for k in kernel):
        return f"a convolution of enlarged images, and for the even kernel {_size(kernel)} there is no other form"
    return None


FORMATS = {
    "keras": Format(
        ".keras",
        _write_keras,
        "import keras\nimport numpy as np",
        "model = keras.saving.load_model({path!r})\nimages = model.predict(latents, verbose=0)",
    ),
    "saved_model": Format(
        ".saved_model",
        _write_saved_model,
        "import numpy as np\nimport tensorflow as tf",
        "model = tf.saved_model.load({path!r})\nimages = model.serve(latents)['images'].numpy()",
    ),
    "onnx": Format(
        ".onnx",
        _write_onnx,
        "import numpy as np\nimport onnxruntime  # pip install onnxruntime",
        "session = onnxruntime.InferenceSession({path!r})\nimages = session.run(['images'], {{'latents': latents}})[0]",
        ("onnx", "tf2onnx", "onnxruntime"),
    ),
    "litert": Format(
        ".tflite",
        _write_litert,
        "import numpy as np\nfrom ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert",
        "runner = Interpreter({path!r}).get_signature_runner()\nimages = runner(latents=latents)['images']",
        cannot=_not_in_litert,
    ),
}


def usage(name: str, face: Interface, path: str) -> str:
    """Lines of Python that open a file, draw four latents and make pixels uint8 of the images; they run as they are."""
    form = FORMATS[name]
    draw = [f"latents = np.random.default_rng(0).normal(size=(4, {face.latent_size})).astype('float32')"]
    if face.classes:
        chosen = [label % face.classes for label in range(4)]
        draw += [
            f"classes = np.eye({face.classes}, dtype='float32')[{chosen}]",
            "latents = np.concatenate([latents, classes], axis=1)",
        ]
    pixels = "pixels = np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype('uint8')"
    return "\n".join([form.imports, "", *draw, form.opens.format(path=path), pixels])


def page(name: str, face: Interface, path: str) -> str:
    """What a file says of itself: what it is, what goes in and comes out, and how it is used."""
    facts = "".join(f"- {line}\n" for line in (face.latents, face.images, f"trained on: {face.trained_on}"))
    return f"{face.title}\n\n{facts}\n```python\n{usage(name, face, path)}\n```\n"


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


def export(name: str, generator: Any, latents: np.ndarray, out: Path, about: str = "") -> float:
    """Write `out`, whole or not at all, and return how far its images lie from the generator's at most.

    about: a page on its use, such as `page` gives; it goes into the file where the format has a place for it.
    The file is opened and run in a process of its own, without ganlab. latents: float32 [B,Z]. The difference is that
    of image values, in parts of the largest where values exceed 1. Raises ExportError where the format's tools fail,
    or where the difference is above TOLERANCE; nothing is left behind then. FileExistsError where `out` exists.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as beside:
        try:
            with _hushed():
                wanted = np.asarray(generator(latents, training=False))
                FORMATS[name].write(beside, generator, about)
        except OSError:
            raise
        except Exception as error:  # what the tools of four projects raise
            raise ExportError(f"{name} could not be written ({_first_line(error)})") from error
        images = reopen(name, beside, latents)
        difference = _difference(images, wanted)
        if not difference <= TOLERANCE:  # also where it is not a number
            raise ExportError(
                f"{name} gives other images than the generator: they differ by {difference:.2g}, "
                f"which is above {TOLERANCE:g}; nothing was kept"
            )
        if os.path.lexists(out):
            raise FileExistsError(f"{out} has appeared meanwhile and is left as it is")
    return difference


def reopen(name: str, path: Path, latents: np.ndarray) -> np.ndarray:
    """Images of a model file, [B,H,W,C], as a fresh process without ganlab makes them."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "latents.npy"), Path(folder, "images.npy")
        np.save(source, latents)
        line = [sys.executable, "-P", str(_REOPEN), name, str(path), str(source), str(target)]
        done = subprocess.run(line, capture_output=True, text=True, errors="replace")
        if done.returncode:
            errors = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise ExportError(f"{name} was written and does not run ({errors[-1]}); nothing was kept")
        return np.load(target)


def _difference(images: np.ndarray, wanted: np.ndarray) -> float:
    if images.shape != wanted.shape:
        return float("inf")
    return float(np.max(np.abs(images - wanted)) / max(1.0, np.max(np.abs(wanted))))


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
