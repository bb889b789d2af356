"""What survives a crash: checkpoints that are whole or absent, with a manifest that says how far the records had come.

A checkpoint is a folder `step-00001200` with TensorFlow's tensor files and `manifest.json` (SHA-256 of each file). It
is written beside, flushed to the disk, and renamed into place. There is no pointer file: the newest folder whose sums
are right is the checkpoint. (`tf.train.CheckpointManager` trusts its pointer file without a checksum.)
"""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

MANIFEST = "manifest.json"
_FORMAT = 1


class CheckpointError(RuntimeError):
    """Checkpoints exist and none can be used."""


class Restored(NamedTuple):
    """Where a run goes on: the step, what the manifest recorded then, and the damaged checkpoints passed over."""

    step: int
    record: dict[str, Any]
    damaged: list[str]


def save(folder: Path, step: int, tensors: dict[str, tf.Variable], record: dict[str, Any], keep: int) -> Path:
    """Write `folder/step-<step>` whole or not at all, then delete all but the newest `keep`."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"step-{step:08d}"
    beside = folder / f".{target.name}.{os.getpid()}"
    for litter in folder.glob(".step-*"):
        shutil.rmtree(litter)
    beside.mkdir()
    tf.train.Checkpoint(tensors=_escaped(tensors)).write(str(beside / "tensors"))
    files = sorted(path for path in beside.iterdir() if path.is_file())
    manifest = {
        "format": _FORMAT,
        "step": step,
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "tensors": {name: [variable.dtype.name, *variable.shape] for name, variable in sorted(tensors.items())},
        "record": record,
    }
    text = json.dumps(manifest)
    sealed = {"manifest": manifest, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    (beside / MANIFEST).write_text(json.dumps(sealed))
    for path in (*files, beside / MANIFEST, beside):
        _flush(path)
    if target.exists():
        shutil.rmtree(target)
    beside.rename(target)
    _flush(folder)
    for old in _found(folder)[keep:]:
        shutil.rmtree(old)
    return target


def restore(folder: Path, tensors: dict[str, tf.Variable]) -> Restored | None:
    """Fill `tensors` from the newest good checkpoint; None where there is none at all.

    A damaged one is passed over and named in the result. Raises CheckpointError where some exist and none is good.
    """
    damaged: list[str] = []
    for path in _found(folder):
        manifest, why = _verify(path, tensors)
        if manifest is None:
            damaged.append(f"{path.name}: {why}")
            continue
        checkpoint = tf.train.Checkpoint(tensors=_escaped(tensors))
        with (
            tempfile.TemporaryDirectory() as plain
        ):  # TensorFlow takes [ ] * ? in a path for a pattern, and finds nothing
            (Path(plain) / "step").symlink_to(path.absolute())
            checkpoint.read(f"{plain}/step/tensors").assert_consumed()
        return Restored(manifest["step"], manifest["record"], damaged)
    if damaged:
        raise CheckpointError(f"{folder} has no checkpoint that can be used: {'; '.join(damaged)}")
    return None


def newest(folder: Path) -> int | None:
    """The step of the newest checkpoint, unverified, or None."""
    found = _found(folder)
    return int(found[0].name.removeprefix("step-")) if found else None


def _found(folder: Path) -> list[Path]:
    """Checkpoint folders, newest first."""
    return sorted((path for path in folder.glob("step-*") if path.is_dir()), reverse=True)


def _verify(path: Path, tensors: dict[str, tf.Variable]) -> tuple[dict[str, Any] | None, str]:
    """The manifest of a good checkpoint, or none and the reason."""
    try:
        sealed = json.loads((path / MANIFEST).read_text())
        manifest = sealed["manifest"]
        if hashlib.sha256(json.dumps(manifest).encode()).hexdigest() != sealed["sha256"]:
            return None, "its manifest is damaged"
        for name, digest in manifest["files"].items():
            if hashlib.sha256((path / name).read_bytes()).hexdigest() != digest:
                return None, f"{name} is damaged"
    except FileNotFoundError as error:
        return None, f"{Path(error.filename).name} is missing"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return None, f"its manifest cannot be read ({type(error).__name__})"
    if manifest["format"] != _FORMAT:
        return None, f"it has format {manifest['format']}, this version reads {_FORMAT}"
    wanted = {name: [variable.dtype.name, *variable.shape] for name, variable in tensors.items()}
    if manifest["tensors"] != wanted:
        odd = sorted(name for name in wanted.keys() | manifest["tensors"].keys()
                     if wanted.get(name) != manifest["tensors"].get(name))  # fmt: skip
        return None, f"it holds other tensors than these networks ({odd[0]})"
    return manifest, ""


def _escaped(tensors: dict[str, tf.Variable]) -> dict[str, tf.Variable]:
    """TensorFlow's object graph treats a slash as a level; names stay flat."""
    return {name.replace("/", "|"): variable for name, variable in tensors.items()}


def _flush(path: Path) -> None:
    """Make the disk hold a file or a folder's entries."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
