"""What survives a crash: checkpoints that are whole or absent, with a manifest that says how far the records had come.

A checkpoint is a folder `step-00001200` with TensorFlow's tensor files and `manifest.json` (SHA-256 of each file). It
is written beside, flushed to the disk, and renamed into place. There is no pointer file: the newest folder whose sums
are right is the checkpoint. (`tf.train.CheckpointManager` trusts its pointer file without a checksum.)
"""

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ganlab import files

if TYPE_CHECKING:  # what only looks at checkpoints needs no TensorFlow
    import tensorflow as tf

MANIFEST = "manifest.json"
_FORMAT = 1
_UNREADABLE = (OSError, ValueError, KeyError, TypeError)


class CheckpointError(RuntimeError):
    """Checkpoints exist and none can be used."""


class _DamagedError(ValueError):
    pass


class Restored(NamedTuple):
    """Where a run goes on: the step, what the manifest recorded then, and the damaged checkpoints passed over."""

    step: int
    record: dict[str, Any]
    damaged: list[str]


def save(
    folder: Path,
    step: int,
    tensors: dict[str, "tf.Variable"],
    record: dict[str, Any],
    keep: int,
    best: int | None = None,
    counts: Callable[[int], bool] = lambda step: True,
) -> Path:
    """Write `folder/step-<step>` whole or not at all, then delete what is not to stay.

    That of the step `best` stays, and the newest `keep` of those whose steps count; a best one that was between them,
    and no longer is the best, does not.
    """
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    target = _place(folder, step)
    for litter in folder.glob(".*step-*"):
        files.remove(litter)
    with files.replacing(target) as beside:
        beside.mkdir()
        tf.train.Checkpoint(tensors=_escaped(tensors)).write(str(beside / "tensors"))
        parts = sorted(path for path in beside.iterdir() if path.is_file())
        manifest = {
            "format": _FORMAT,
            "step": step,
            "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in parts},
            "tensors": {name: [variable.dtype.name, *variable.shape] for name, variable in sorted(tensors.items())},
            "record": record,
        }
        text = json.dumps(manifest)
        sealed = {"manifest": manifest, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        (beside / MANIFEST).write_text(json.dumps(sealed))
    staying = [path for path in _checkpoints(folder) if counts(_step(path))][:keep]
    for old in [path for path in _checkpoints(folder) if path not in staying and _step(path) not in (best, step)]:
        shutil.rmtree(old)
    return target


def restore(folder: Path, tensors: dict[str, "tf.Variable"], step: int | None = None) -> Restored | None:
    """Fill `tensors` from the newest good checkpoint, or from that of a step; None if there are no checkpoints.

    A damaged one is passed over and named in the result. Raises CheckpointError if some exist and none is good.
    """
    damaged: list[str] = []
    for path in [path for path in _checkpoints(folder) if step in (None, _step(path))]:
        manifest, why = _verify(path, tensors)
        if manifest is None:
            damaged.append(f"{path.name}: {why}")
            continue
        _read(path, tensors).assert_consumed()
        return Restored(manifest["step"], manifest["record"], damaged)
    if damaged:
        raise CheckpointError(f"{folder} has no checkpoint that can be used: {'; '.join(damaged)}")
    return None


def digest(folder: Path, step: int) -> str | None:
    """What pins the checkpoint of a step: the sum of its manifest; None where it is not whole."""
    path = _place(folder, step)
    with contextlib.suppress(*_UNREADABLE):
        manifest = _manifest(path)
        if manifest["format"] == _FORMAT and not _damaged_file(path, manifest):
            return hashlib.sha256(json.dumps(manifest).encode()).hexdigest()
    return None


def shapes(folder: Path, step: int) -> dict[str, list]:
    """The tensors of a whole checkpoint: `{name: [dtype, *shape]}`."""
    return _manifest(_place(folder, step))["tensors"]


def fill(folder: Path, step: int, tensors: dict[str, "tf.Variable"]) -> None:
    """Fill some of the tensors of a whole checkpoint."""
    account = _read(_place(folder, step), tensors)
    account.assert_existing_objects_matched()
    account.expect_partial()  # the others stay there unread, of which TensorFlow warns otherwise


def newest(folder: Path) -> int | None:
    """The step of the newest checkpoint, unverified, or None."""
    return max(steps(folder), default=None)


def steps(folder: Path) -> list[int]:
    """The steps of the checkpoints, unverified, in their order."""
    return [_step(path) for path in reversed(_checkpoints(folder))]


def best(folder: Path) -> int | None:
    """The step of the best checkpoint, as the newest one whose manifest is whole records it; None where none does."""
    for path in _checkpoints(folder):
        with contextlib.suppress(*_UNREADABLE):
            kept = _manifest(path)["record"].get("best")
            return None if kept is None else int(kept["step"])
    return None


def _read(path: Path, tensors: dict[str, "tf.Variable"]):
    """Fill tensors from one checkpoint; returns TensorFlow's account of which it found."""
    import tensorflow as tf

    checkpoint = tf.train.Checkpoint(tensors=_escaped(tensors))
    with tempfile.TemporaryDirectory() as plain:  # TensorFlow takes [ ] * ? in a path for a pattern, and finds nothing
        (Path(plain) / "step").symlink_to(path.absolute())
        return checkpoint.read(f"{plain}/step/tensors")


def _place(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}"


def _checkpoints(folder: Path) -> list[Path]:
    """Checkpoint folders, newest first."""
    there = (path for path in folder.glob("step-*") if path.is_dir() and path.name[5:].isdecimal())
    return sorted(there, key=_step, reverse=True)


def _step(path: Path) -> int:
    return int(path.name[5:])


def _manifest(path: Path) -> dict[str, Any]:
    """What stands in a manifest; ValueError where its sum is another, and what reading raises."""
    sealed = json.loads((path / MANIFEST).read_text())
    manifest = sealed["manifest"]
    if hashlib.sha256(json.dumps(manifest).encode()).hexdigest() != sealed["sha256"]:
        raise _DamagedError
    return manifest


def _damaged_file(path: Path, manifest: dict[str, Any]) -> str | None:
    """The first file of a checkpoint whose sum is another."""
    for name, kept in manifest["files"].items():
        if hashlib.sha256((path / name).read_bytes()).hexdigest() != kept:
            return name
    return None


def _verify(path: Path, tensors: dict[str, "tf.Variable"]) -> tuple[dict[str, Any] | None, str]:
    """The manifest of a good checkpoint, or none and the reason."""
    try:
        manifest = _manifest(path)
        if name := _damaged_file(path, manifest):
            return None, f"{name} is damaged"
    except _DamagedError:
        return None, "its manifest is damaged"
    except FileNotFoundError as error:
        return None, f"{Path(error.filename).name} is missing"
    except _UNREADABLE as error:
        return None, f"its manifest cannot be read ({type(error).__name__})"
    if manifest["format"] != _FORMAT:
        return None, f"it has format {manifest['format']}, this version reads {_FORMAT}"
    wanted = {name: [variable.dtype.name, *variable.shape] for name, variable in tensors.items()}
    if manifest["tensors"] != wanted:
        odd = sorted(name for name in wanted.keys() | manifest["tensors"].keys()
                     if wanted.get(name) != manifest["tensors"].get(name))  # fmt: skip
        return None, f"it holds other tensors than these networks ({odd[0]})"
    return manifest, ""


def _escaped(tensors: dict[str, "tf.Variable"]) -> dict[str, "tf.Variable"]:
    """TensorFlow's object graph treats a slash as a level; names stay flat."""
    return {name.replace("/", "|"): variable for name, variable in tensors.items()}
