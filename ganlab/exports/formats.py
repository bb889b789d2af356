"""The formats that a generator can be written in, and the check that the file is the same function.

TensorFlow is imported only where it is used, so that a wrong command fails at once.
"""

import contextlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganlab.config import Generator, pair
from ganlab.files import replacing

TOLERANCE = 1e-4
"""Of one image value, which is 1/78 of a grey level.

Another order of summation in float32 gives a hundredth of it; behind a softmax, in trained `carafe`, a tenth.
"""


class ExportError(RuntimeError):
    """A file could not be written, or is not the generator that it was written from."""


class Interface(NamedTuple):
    """A generator's inputs and outputs, for people who have only the file.

    title: which generator. trained_on: which images, and their licence. classes: how many, 0: none; labels: their
    names. bounded: whether images stay within -1 and 1.
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
        """The input, as a line."""
        size = f"latents: float32 [batch, {self.latent_size + self.classes}]"
        numbers = f"{self.latent_size} standard normal numbers"
        if not self.classes:
            return f"{size}, {numbers}"
        return f"{size}, {numbers} followed by the class, one-hot; its {self.classes} classes: {self.labels}"

    @property
    def images(self) -> str:
        """The output, as a line."""
        values = "-1 (pixel value 0) to 1 (255)"
        reach = f"from {values}" if self.bounded else f"unbounded, made to look like images from {values}"
        return f"images: float32 [batch, {', '.join(map(str, self.shape))}], {reach}"


class Format(NamedTuple):
    """One line of `FORMATS`.

    write: (path, generator, about) -> None; what it prints is discarded; `about` goes into the file if the format has a
    place for it. needs: modules of the extra `export`. imports, opens: the code that opens a file and runs it: what
    people are shown, and what the check runs.
    """

    suffix: str
    write: Callable[[Path, Any, str], None]
    imports: str
    opens: str
    needs: tuple[str, ...] = ()


def _write_keras(path: Path, generator: Any, about: str) -> None:
    from ganlab.exports.portable import save_portable

    save_portable(path, generator, about)


def _write_saved_model(path: Path, generator: Any, about: str) -> None:
    from ganlab.exports.portable import portable

    _archive(path, portable(generator))
    if about:
        (path / "README.md").write_text(about)


def _archive(path: Path, model: Any) -> None:
    """Write a SavedModel whose signature names input and output; Keras' own export calls the latter output_0."""
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
        # With TensorFlow's own operations a file would be written that does not run.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            content = converter.convert()
        except Exception as error:
            if lacking := re.search("TF Select ops: (.*)", str(error)):
                raise ExportError(f"LiteRT does not have {lacking[1]}, which another format may have") from error
            raise
    if about:
        model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
        model.description = about
        content = flatbuffer_utils.convert_object_to_bytearray(model)
    path.write_bytes(content)


def _folded(generator: Any) -> Any:
    """Needed for nearest: LiteRT does not run three stages of enlarging and then convolving."""
    from ganlab.exports.portable import portable

    model = portable(generator, folded=True)
    model(np.zeros((1, *model.input_shape[1:]), np.float32))  # Keras needs a model that has been called
    return model


_LITERT = "from ai_edge_litert.interpreter import Interpreter"
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
        f"import numpy as np\n{_LITERT}  # pip install ai-edge-litert",
        "runner = Interpreter({path!r}).get_signature_runner()\nimages = runner(latents=latents)['images']",
    ),
}


def usage(name: str, interface: Interface, path: str) -> str:
    """Runnable lines of Python that open a file, draw four latents and convert the images to uint8 pixels."""
    format_ = FORMATS[name]
    draw = [f"latents = np.random.default_rng(0).normal(size=(4, {interface.latent_size})).astype('float32')"]
    if interface.classes:
        labels = [label % interface.classes for label in range(4)]
        draw += [
            f"classes = np.eye({interface.classes}, dtype='float32')[{labels}]",
            "latents = np.concatenate([latents, classes], axis=1)",
        ]
    pixels = "pixels = np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype('uint8')"
    return "\n".join([format_.imports, "", *draw, format_.opens.format(path=path), pixels])


def opening(name: str, path: str) -> str:
    """The lines of Python that make `images` of `latents` with a model file; neither needs ganlab."""
    imports = FORMATS[name].imports
    if importlib.util.find_spec("ai_edge_litert") is None:  # the older interpreter, which TensorFlow still includes
        imports = imports.replace(_LITERT, "import tensorflow as tf\nInterpreter = tf.lite.Interpreter")
    return f"{imports}\n{FORMATS[name].opens.format(path=path)}\n"


def script(name: str, path: str) -> str:
    """A program that runs a model file on latents in one `.npy` file and writes the images to another."""
    return (
        "import sys\nimport numpy as np\n"
        "sys.modules['ganlab'] = None  # importing it would now be an error\n"
        "latents = np.load(sys.argv[1])\n"
        f"{opening(name, path)}"
        "np.save(sys.argv[2], images)\n"
    )


def page(name: str, interface: Interface, path: str) -> str:
    """A page for the file: what it is, its input and output, and how to use it."""
    lines = interface.latents, interface.images, f"trained on: {interface.trained_on}"
    facts = "".join(f"- {line}\n" for line in lines)
    return f"{interface.title}\n\n{facts}\n```python\n{usage(name, interface, path)}\n```\n"


def missing(name: str) -> list[str]:
    """The modules that a format needs but that are not installed."""
    return [module for module in FORMATS[name].needs if importlib.util.find_spec(module) is None]


def refusal(name: str, generator: Generator) -> str | None:
    """What a format lacks for a generator with these settings, or None."""
    for operator in generator.operators if name == "litert" else ():
        kernel = pair(operator.kernel_size)
        if operator.name == "nearest" and any(side % 2 == 0 for side in kernel):
            size = "x".join(map(str, kernel))
            return f"a convolution of enlarged images, and the even kernel {size} has no other form"
    return None


def export(name: str, generator: Any, latents: np.ndarray, out: Path, about: str = "") -> float:
    """Write `out`, whole or not at all, and return the largest difference of its images from the generator's.

    about: a page on its use, as from `page`; it goes into the file if the format has a place for it. The file is opened
    and run in a separate process, without ganlab. latents: float32 [B,Z]. The difference is in image values, relative
    to the largest if values exceed 1. Raises ExportError if the format's tools fail or the difference is above
    TOLERANCE; nothing is left behind then. FileExistsError if `out` exists.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        try:
            with _quiet():
                expected = np.asarray(generator(latents, training=False))
                FORMATS[name].write(temporary, generator, about)
        except OSError:
            raise
        except Exception as error:  # the tools of four projects raise anything
            raise ExportError(f"{name} could not be written ({_first_line(error)})") from error
        images = reopen(name, temporary, latents)
        difference = _difference(images, expected)
        if not difference <= TOLERANCE:  # also if it is nan
            raise ExportError(
                f"{name} does not give the generator's images: they differ by {difference:.2g}, "
                f"which is above {TOLERANCE:g}; nothing was written"
            )
        if os.path.lexists(out):
            raise FileExistsError(f"{out} was created meanwhile and is not overwritten")
    return difference


def reopen(name: str, path: Path, latents: np.ndarray) -> np.ndarray:
    """Images of a model file, [B,H,W,C], from a new process without ganlab."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "latents.npy"), Path(folder, "images.npy")
        np.save(source, latents)
        command = [sys.executable, "-P", "-c", script(name, str(path)), str(source), str(target)]
        result = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if result.returncode:
            errors = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
            raise ExportError(f"the {name} file does not run ({errors[-1]}); it was removed")
        return np.load(target)


def _difference(images: np.ndarray, expected: np.ndarray) -> float:
    if images.shape != expected.shape:
        return float("inf")
    return float(np.max(np.abs(images - expected)) / max(1.0, np.max(np.abs(expected))))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the output of converters, from Python and C++, off the terminal; errors arrive as exceptions."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with Path(os.devnull).open("w") as null:
        try:
            os.dup2(null.fileno(), 1)
            os.dup2(null.fileno(), 2)
            with contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
                yield
        finally:
            for number, descriptor in zip((1, 2), saved, strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)


def _first_line(error: Exception) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if len(line) <= 200 else line[:197] + "..."
