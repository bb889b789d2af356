"""Open a model file without ganlab, and run it: `python -P reopen.py FORMAT MODEL LATENTS IMAGES`.

A script for a separate process, in any environment that can open the file: it reads latents [B,Z] from one `.npy`
file, writes images [B,H,W,C] to another, and needs neither ganlab nor, for ONNX and LiteRT, TensorFlow.
"""

import sys
from typing import Any

import numpy as np


def _keras(path, latents):
    import keras

    model: Any = keras.saving.load_model(path, compile=False)
    return keras.ops.convert_to_numpy(model(latents, training=False))


def _saved_model(path, latents):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)  # kept in a variable: otherwise its weights would be freed before it runs
    return loaded.serve(latents)["images"].numpy()


def _onnx(path, latents):
    import onnxruntime  # pyright: ignore[reportMissingImports] - of an extra

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["images"], {"latents": latents})[0]


def _litert(path, latents):
    try:
        from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingImports] - of an extra
    except ModuleNotFoundError:  # the older interpreter, which TensorFlow still includes
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    interpreter = Interpreter(path)
    return interpreter.get_signature_runner()(latents=latents)["images"]


READERS = {"keras": _keras, "saved_model": _saved_model, "onnx": _onnx, "litert": _litert}

if __name__ == "__main__":
    sys.modules["ganlab"] = None  # pyright: ignore[reportArgumentType] - importing it would now be an error
    form, model, source, target = sys.argv[1:]
    np.save(target, READERS[form](model, np.load(source)))
