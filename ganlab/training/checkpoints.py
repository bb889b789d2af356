"""What survives a crash: checkpoints that are whole or absent, with a manifest that says how far the records had come.

A checkpoint is a folder `step-00001200` with TensorFlow's tensor files and `manifest.json` (SHA-256 of each file). It
is written beside, flushed to the disk, and renamed into place. There is no pointer file: the newest folder whose sums
are right is the checkpoint. (`tf.train.CheckpointManager` trusts its pointer file without a checksum.)
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from ganlab import files
from ganlab.errors import in_a_line

if TYPE_CHECKING:  # what only looks at checkpoints needs no TensorFlow
    import tensorflow as tf

MANIFEST = "manifest.json"
_FORMAT = 1
_FILES = {"tensors.index", "tensors.data-00000-of-00001"}
_LARGEST = 2**33  # bytes of a file of tensors, where the networks that they are for are not known
_BESIDE = 2**24  # bytes beside the tensors' own that a checkpoint may have: names, and what TensorFlow knows of them


class CheckpointError(RuntimeError):
    """Checkpoints exist and none can be used."""


class _DamagedError(ValueError):
    """A checkpoint that cannot be used; the text says why."""


class _Manifest(BaseModel):
    """What `manifest.json` seals."""

    model_config = ConfigDict(frozen=True, strict=True)

    format: int
    step: int
    files: dict[str, str]
    tensors: dict[str, list[str | int]]
    record: dict[str, Any]


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

    folder.parent.mkdir(parents=True, exist_ok=True)
    files.make_folder(folder)
    target = _place(folder, step)
    _remove_litter(folder)
    with files.replacing(target) as beside:
        beside.mkdir()
        tf.train.Checkpoint(tensors=_escaped(tensors)).write(str(beside / "tensors"))
        files.remove(beside / "tensors_temp")  # TensorFlow's own, which it does not always remove
        parts = sorted(path for path in beside.iterdir() if path.is_file())
        manifest = {
            "format": _FORMAT,
            "step": step,
            "files": {path.name: _sha256(path, _LARGEST) for path in parts},
            "tensors": {name: [variable.dtype.name, *variable.shape] for name, variable in sorted(tensors.items())},
            "record": record,
        }
        text = json.dumps(manifest)
        sealed = {"manifest": manifest, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        (beside / MANIFEST).write_text(json.dumps(sealed))
    prune(folder, step, keep, best, counts)
    return target


def prune(
    folder: Path, step: int, keep: int, best: int | None = None, counts: Callable[[int], bool] = lambda step: True
) -> None:
    """Delete what is not to stay once the checkpoint of a step is the newest, as `save` says, and half-written ones."""
    _remove_litter(folder)
    staying = [path for path in _checkpoints(folder) if counts(_step(path))][:keep]
    for old in [path for path in _checkpoints(folder) if path not in staying and _step(path) not in (best, step)]:
        try:
            old.unlink() if old.is_symlink() else shutil.rmtree(old)
        except OSError as error:  # which names a file within
            raise files.FileError(old, f"cannot be removed ({error.strerror})", error.errno or 0) from error


def _remove_litter(folder: Path) -> None:
    for litter in folder.glob(".*step-*"):
        files.remove(litter)


def restore(
    folder: Path,
    tensors: dict[str, "tf.Variable"],
    step: int | None = None,
    unfit: Callable[[dict[str, Any]], str] = lambda record: "",
) -> Restored | None:
    """Fill `tensors` from the newest good checkpoint, or from that of a step; None if there are no checkpoints.

    A damaged one is passed over and named in the result; so is one of whose record `unfit` says why it cannot be gone
    on from. Raises CheckpointError if some exist and none is good.
    """
    damaged: list[str] = []
    for path in [path for path in _checkpoints(folder) if step in (None, _step(path))]:
        try:
            manifest = _verify(path, tensors)
            if why := unfit(manifest.record):
                raise _DamagedError(why)
            _read_all(path, tensors)
        except _DamagedError as error:
            damaged.append(f"{path.name}: {error}")
            continue
        return Restored(manifest.step, manifest.record, damaged)
    if damaged:
        raise CheckpointError(f"{folder} has no checkpoint that can be used: {'; '.join(damaged)}")
    return None


def digest(folder: Path, step: int) -> str | None:
    """What pins the checkpoint of a step: the sum of its manifest; None where it is not whole."""
    with contextlib.suppress(_DamagedError):
        path = _place(folder, step)
        manifest, seal = _manifest(path)
        _check_files(path, manifest, _LARGEST)
        return seal
    return None


def shapes(folder: Path, step: int) -> dict[str, list]:
    """The tensors of a whole checkpoint: `{name: [dtype, *shape]}`."""
    return _manifest(_place(folder, step))[0].tensors


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
        with contextlib.suppress(_DamagedError, TypeError, KeyError, ValueError):
            kept = _manifest(path)[0].record.get("best")
            return None if kept is None else int(kept["step"])
    return None


def _read_all(path: Path, tensors: dict[str, "tf.Variable"]) -> None:
    """Fill tensors from a checkpoint that holds these and no others; raises _DamagedError, also where it does not.

    Its index is asked first: a tensor of another size is never read.
    """
    import tensorflow as tf

    try:
        with _plainly(path) as prefix:
            reader = tf.train.load_checkpoint(prefix)
            shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        for name, variable in _escaped(tensors).items():
            key = f"tensors/{name}/.ATTRIBUTES/VARIABLE_VALUE"
            if shapes.get(key) != variable.shape.as_list() or types[key] != variable.dtype:
                raise _DamagedError(f"its index lacks {name.replace('|', '/')} as its manifest has it")
        _read(path, tensors).assert_consumed()
    except (AssertionError, ValueError, RuntimeError, tf.errors.OpError) as error:
        if isinstance(error, _DamagedError):
            raise
        raise _DamagedError(f"its tensors cannot be read ({in_a_line(error, 120)})") from None


def _read(path: Path, tensors: dict[str, "tf.Variable"]):
    """Fill tensors from one checkpoint; returns TensorFlow's account of which it found."""
    import tensorflow as tf

    with _plainly(path) as prefix:
        return tf.train.Checkpoint(tensors=_escaped(tensors)).read(prefix)


@contextlib.contextmanager
def _plainly(path: Path) -> Iterator[str]:
    """A checkpoint as TensorFlow finds it: it takes [ ] * ? in a path for a pattern, and finds nothing."""
    with tempfile.TemporaryDirectory() as plain:
        (Path(plain) / "step").symlink_to(path.absolute())
        yield f"{plain}/step/tensors"


def _place(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}"


def _checkpoints(folder: Path) -> list[Path]:
    """Checkpoint folders, newest first."""
    files.refuse_link(folder, folder.parent)
    there = (path for path in folder.glob("step-*") if path.is_dir() and _STEP.fullmatch(path.name))
    return sorted(there, key=_step, reverse=True)


_STEP = re.compile(r"step-([0-9]{8}|[1-9][0-9]{8,17})")


def _step(path: Path) -> int:
    return int(path.name[5:])


def _manifest(path: Path) -> tuple[_Manifest, str]:
    """What stands in a manifest, and its sum; raises _DamagedError."""
    if path.is_symlink():
        raise _DamagedError(f"it {files.LINK}")
    try:
        sealed = json.loads(files.read_text(path / MANIFEST))
        manifest, seal = sealed["manifest"], sealed["sha256"]
        if hashlib.sha256(json.dumps(manifest).encode()).hexdigest() != seal:
            raise _DamagedError("its manifest is damaged")
        if manifest["format"] != _FORMAT:
            raise _DamagedError(f"it has format {manifest['format']}, this version reads {_FORMAT}")
        found = _Manifest.model_validate(manifest)
        if found.step != _step(path):
            raise _DamagedError(f"its manifest is that of step {found.step}")
    except _DamagedError:
        raise
    except FileNotFoundError:
        raise _DamagedError(f"{MANIFEST} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = files.why(error) if isinstance(error, OSError) else type(error).__name__
        raise _DamagedError(f"its manifest cannot be read ({why})") from None
    return found, seal


def _check_files(path: Path, manifest: _Manifest, most: int) -> None:
    """Raise _DamagedError for the first file of a checkpoint that is not as its manifest says.

    most: bytes that a file may have.
    """
    if manifest.files.keys() != _FILES:
        raise _DamagedError(f"its manifest names other files than {' and '.join(sorted(_FILES))}")
    for name, kept in manifest.files.items():
        try:
            if _sha256(path / name, most) != kept:
                raise _DamagedError(f"{name} is damaged")
        except FileNotFoundError:
            raise _DamagedError(f"{name} is missing") from None
        except OSError as error:
            raise _DamagedError(f"{name} cannot be read ({files.why(error)})") from None


def _sha256(path: Path, most: int) -> str:
    with files.open_regular(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > most:
            raise files.FileError(path, f"has {size:,} bytes, where at most {most:,} can be right")
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(path: Path, tensors: dict[str, "tf.Variable"]) -> _Manifest:
    """The manifest of a good checkpoint; raises _DamagedError."""
    manifest, _ = _manifest(path)
    wanted = {name: [variable.dtype.name, *variable.shape] for name, variable in tensors.items()}
    if manifest.tensors != wanted:
        odd = sorted(name for name in wanted.keys() | manifest.tensors.keys()
                     if wanted.get(name) != manifest.tensors.get(name))  # fmt: skip
        raise _DamagedError(f"it holds other tensors than these networks ({odd[0]})")
    bytes_of_all = sum(variable.dtype.size * variable.shape.num_elements() for variable in tensors.values())
    _check_files(path, manifest, 2 * bytes_of_all + _BESIDE)
    return manifest


def _escaped(tensors: dict[str, "tf.Variable"]) -> dict[str, "tf.Variable"]:
    """TensorFlow's object graph treats a slash as a level; names stay flat."""
    return {name.replace("/", "|"): variable for name, variable in tensors.items()}
