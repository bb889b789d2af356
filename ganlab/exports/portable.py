"""A generator as one file of stock Keras layers, which opens without ganlab."""

import contextlib
import inspect
import json
import zipfile
from pathlib import Path
from typing import Any

import keras

from ganlab.files import replacing
from ganlab.nets.layers import BatchNormalization
from ganlab.nets.upsampling import Upsampling


def portable(generator: keras.Model, *, folded: bool = False) -> keras.Model:
    """The same function in stock Keras layers and float32, with the weights copied: [B,Z] -> [B,H,W,C].

    folded: replace every operator that equals one transposed convolution by it.
    """
    twins = []

    def twin_of(layer: Any) -> Any:
        if isinstance(layer, Upsampling):
            return _stock(layer, folded)
        kind = keras.layers.BatchNormalization if isinstance(layer, BatchNormalization) else type(layer)
        twins.append((layer, kind.from_config(layer.get_config() | {"dtype": "float32"})))
        return twins[-1][1]

    model = keras.models.clone_model(generator, clone_function=twin_of)
    for layer, twin in twins:
        twin.set_weights(layer.get_weights())
    return model


def save_portable(path: Path, generator: keras.Model, about: str = "") -> None:
    """Write a `.keras` file that Keras 3.10 and later open, whole or not at all.

    about: a page on its use, stored as README.md in the file, which is a zip archive.

    Keras refuses files of a newer version because their layers have settings that it does not know; so settings with
    their default values are left out, and the names of functions such as `keras.ops.take`.
    """
    with replacing(path) as temporary:
        portable(generator).save(temporary)
        with zipfile.ZipFile(temporary) as file:
            parts = {name: file.read(name) for name in file.namelist()}
        parts["config.json"] = json.dumps(_without_defaults(json.loads(parts["config.json"]))).encode()
        if about:
            parts["README.md"] = about.encode()
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as file:
            for name, content in parts.items():
                file.writestr(name, content)


def _stock(layer: Any, folded: bool) -> Any:
    if folded:
        with contextlib.suppress(ValueError):  # it has no exact transposed convolution
            return layer.stock(folded=True)
    return layer.stock()


def _without_defaults(node: Any) -> Any:
    """A serialised Keras object without settings that equal the defaults of its class, and names of functions."""
    if isinstance(node, list):
        return [_without_defaults(part) for part in node]
    if not isinstance(node, dict):
        return node
    node = {key: _without_defaults(value) for key, value in node.items()}
    if str(node.get("module")).startswith("keras.src.ops."):
        node["config"].pop("name", None)
    layer_class = _class_of(node)
    if layer_class not in (None, keras.layers.Rescaling) and isinstance(
        node.get("config"), dict
    ):  # it needs all of its settings
        defaults = {
            name: parameter.default
            for name, parameter in inspect.signature(layer_class.__init__).parameters.items()
            if parameter.default is not inspect.Parameter.empty
        }
        node["config"] = {
            key: value for key, value in node["config"].items() if key not in defaults or value != defaults[key]
        }
    return node


def _class_of(node: dict[str, Any]) -> type | None:
    """The stock layer or initialiser that a node describes."""
    module = {"keras.layers": keras.layers, "keras.initializers": keras.initializers}.get(node.get("module", ""))
    return getattr(module, node.get("class_name", ""), None) if module else None
