"""Checkpoints, which survive a crash: each is whole or absent, with a manifest that says how far the records had got.

A checkpoint is a folder `step-00001200` with TensorFlow's tensor files and `manifest.json` (SHA-256 of each file). It
is written under a temporary name, flushed to the disk, and renamed into place. There is no pointer file: the newest
folder whose checksums are right is the checkpoint. (`tf.train.CheckpointManager` trusts its pointer file without a
checksum.)
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

if TYPE_CHECKING:  # looking at checkpoints needs no TensorFlow
    import tensorflow as tf

MANIFEST = "manifest.json"
_FORMAT = 1
_FILES = {"tensors.index", "tensors.data-00000-of-00001"}
_LARGEST = 2**33  # bytes of a file of tensors, if its networks are not known
_OVERHEAD = 2**24  # bytes that a checkpoint may have beyond its tensors: names and TensorFlow's metadata


class CheckpointError(RuntimeError):
    """Checkpoints exist, but none can be used."""


class _DamagedError(Exception):
    """A checkpoint that cannot be used; the text says why."""


class _Manifest(BaseModel):
    """The content of `manifest.json` that its checksum covers."""

    model_config = ConfigDict(frozen=True, strict=True)

    format: int
    step: int
    files: dict[str, str]
    tensors: dict[str, list[str | int]]
    record: dict[str, Any]


class Restored(NamedTuple):
    """Where a run resumes: the step, what its manifest recorded, and the damaged checkpoints that were skipped."""

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
) -> None:
    """Write `folder/step-<step>` whole or not at all, then delete checkpoints that are not kept.

    The one of step `best` is kept, and the newest `keep` of those whose steps count; a former best one between them is
    not.
    """
    import tensorflow as tf

    folder.parent.mkdir(parents=True, exist_ok=True)
    files.make_folder(folder)
    _remove_unfinished(folder)
    with files.replacing(_place(folder, step)) as temporary:
        temporary.mkdir()
        try:
            tf.train.Checkpoint(tensors=_without_slashes(tensors)).write(str(temporary / "tensors"))
        except tf.errors.OpError as error:  # such as "{{function_node ...}} <file>; No space left on device [Op:...]"
            reason = in_a_line(error.message.rpartition("; ")[2].partition(" [Op:")[0], 120)
            raise files.FileError(_place(folder, step), f"cannot be written ({reason})") from error
        files.remove(temporary / "tensors_temp")  # TensorFlow's own, which it does not always remove
        parts = sorted(path for path in temporary.iterdir() if path.is_file())
        manifest = {
            "format": _FORMAT,
            "step": step,
            "files": {path.name: _sha256(path, _LARGEST) for path in parts},
            "tensors": {name: [variable.dtype.name, *variable.shape] for name, variable in sorted(tensors.items())},
            "record": record,
        }
        text = json.dumps(manifest)
        sealed = {"manifest": manifest, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        (temporary / MANIFEST).write_text(json.dumps(sealed))
    prune(folder, step, keep, best, counts)


def prune(folder: Path, step: int, keep: int, best: int | None, counts: Callable[[int], bool]) -> None:
    """Delete checkpoints that `save` does not keep once that of `step` is the newest, and half-written ones."""
    _remove_unfinished(folder)
    to_keep = [path for path in _checkpoints(folder) if counts(_step(path))][:keep]
    superfluous = [path for path in _checkpoints(folder) if path not in to_keep and _step(path) not in (best, step)]
    for checkpoint in superfluous:
        try:
            checkpoint.unlink() if checkpoint.is_symlink() else shutil.rmtree(checkpoint)
        except OSError as error:  # it names a file inside
            raise files.FileError(checkpoint, f"cannot be removed ({error.strerror})", error.errno or 0) from error
    if superfluous:
        files.sync(folder)


def _remove_unfinished(folder: Path) -> None:
    for path in folder.glob(".*step-*"):
        files.remove(path)


def restore(
    folder: Path,
    tensors: dict[str, "tf.Variable"],
    step: int | None = None,
    unfit: Callable[[dict[str, Any]], str] = lambda record: "",
) -> Restored | None:
    """Fill `tensors` from the newest good checkpoint, or from that of a step; None if there are no checkpoints.

    A damaged one is skipped and named in the result; so is one for whose record `unfit` gives a reason not to resume
    from it. Raises CheckpointError if some exist, but none is good.
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
    """What identifies the checkpoint of a step: the checksum of its manifest; None if it is not whole."""
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
    status = _read(_place(folder, step), tensors)
    status.assert_existing_objects_matched()
    status.expect_partial()  # the others stay unread; TensorFlow would warn of that


def newest(folder: Path) -> int | None:
    """The step of the newest checkpoint, unverified, or None."""
    return max(steps(folder), default=None)


def newest_whole(folder: Path) -> tuple[int, str] | None:
    """The step and the digest of the newest checkpoint that is whole, or None."""
    return next(((step, seal) for step in reversed(steps(folder)) if (seal := digest(folder, step))), None)


def steps(folder: Path) -> list[int]:
    """The steps of the checkpoints, unverified, in ascending order."""
    return [_step(path) for path in reversed(_checkpoints(folder))]


def best(folder: Path) -> int | None:
    """The step of the best checkpoint, as the newest whole manifest records it; None if none does."""
    for path in _checkpoints(folder):
        with contextlib.suppress(_DamagedError, TypeError, KeyError, ValueError):
            best_record = _manifest(path)[0].record.get("best")
            return None if best_record is None else int(best_record["step"])
    return None


def _read_all(path: Path, tensors: dict[str, "tf.Variable"]) -> None:
    """Fill tensors from a checkpoint that holds these and no others; raises _DamagedError, also if it does not.

    Its index is checked first: a tensor of another size is never read.
    """
    import tensorflow as tf

    try:
        with _plain_prefix(path) as prefix:
            reader = tf.train.load_checkpoint(prefix)
            shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        for name, variable in _without_slashes(tensors).items():
            key = f"tensors/{name}/.ATTRIBUTES/VARIABLE_VALUE"
            if shapes.get(key) != variable.shape.as_list() or types[key] != variable.dtype:
                raise _DamagedError(f"its index does not have {name.replace('|', '/')} as in its manifest")
        _read(path, tensors).assert_consumed()
    except (AssertionError, ValueError, RuntimeError, tf.errors.OpError) as error:
        raise _DamagedError(f"its tensors cannot be read ({in_a_line(error, 120)})") from None


def _read(path: Path, tensors: dict[str, "tf.Variable"]):
    """Fill tensors from one checkpoint; returns TensorFlow's status of what it matched."""
    import tensorflow as tf

    with _plain_prefix(path) as prefix:
        return tf.train.Checkpoint(tensors=_without_slashes(tensors)).read(prefix)


@contextlib.contextmanager
def _plain_prefix(path: Path) -> Iterator[str]:
    """A checkpoint's prefix under a plain path: TensorFlow takes [ ] * ? in a path as a pattern, and finds nothing."""
    with tempfile.TemporaryDirectory() as plain:
        (Path(plain) / "step").symlink_to(path.absolute())
        yield f"{plain}/step/tensors"


def _place(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}"


def _checkpoints(folder: Path) -> list[Path]:
    """Checkpoint folders, newest first."""
    files.refuse_link(folder, folder.parent)
    paths = (path for path in folder.glob("step-*") if path.is_dir() and _STEP.fullmatch(path.name))
    return sorted(paths, key=_step, reverse=True)


_STEP = re.compile(r"step-([0-9]{8}|[1-9][0-9]{8,17})")


def _step(path: Path) -> int:
    return int(path.name[5:])


def _manifest(path: Path) -> tuple[_Manifest, str]:
    """The content of a manifest, and its checksum; raises _DamagedError."""
    if path.is_symlink():
        raise _DamagedError(f"it {files.LINK}")
    try:
        sealed = json.loads(files.read_text(path / MANIFEST))
        manifest, seal = sealed["manifest"], sealed["sha256"]
        if hashlib.sha256(json.dumps(manifest).encode()).hexdigest() != seal:
            raise _DamagedError("its manifest is damaged")
        if manifest["format"] != _FORMAT:
            raise _DamagedError(f"it has format {manifest['format']}, but this version reads {_FORMAT}")
        checked = _Manifest.model_validate(manifest)
        if checked.step != _step(path):
            raise _DamagedError(f"its manifest is for step {checked.step}")
    except FileNotFoundError:
        raise _DamagedError(f"{MANIFEST} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = files.why(error) if isinstance(error, OSError) else type(error).__name__
        raise _DamagedError(f"its manifest cannot be read ({why})") from None
    return checked, seal


def _check_files(path: Path, manifest: _Manifest, most: int) -> None:
    """Raise _DamagedError for the first file of a checkpoint that is not as its manifest says.

    most: bytes that a file may have.
    """
    if manifest.files.keys() != _FILES:
        raise _DamagedError(f"its manifest names other files than {' and '.join(sorted(_FILES))}")
    for name, sha256 in manifest.files.items():
        try:
            if _sha256(path / name, most) != sha256:
                raise _DamagedError(f"{name} is damaged")
        except FileNotFoundError:
            raise _DamagedError(f"{name} is missing") from None
        except OSError as error:
            raise _DamagedError(f"{name} cannot be read ({files.why(error)})") from None


def _sha256(path: Path, most: int) -> str:
    with files.open_regular(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > most:
            raise files.FileError(path, f"has {size:,} bytes, more than the {most:,} that are possible")
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(path: Path, tensors: dict[str, "tf.Variable"]) -> _Manifest:
    """The manifest of a good checkpoint; raises _DamagedError."""
    manifest, _ = _manifest(path)
    wanted = {name: [variable.dtype.name, *variable.shape] for name, variable in tensors.items()}
    if manifest.tensors != wanted:
        names = wanted.keys() | manifest.tensors.keys()
        first = min(name for name in names if wanted.get(name) != manifest.tensors.get(name))
        raise _DamagedError(f"it holds other tensors than these networks ({first})")
    bytes_of_all = sum(variable.dtype.size * variable.shape.num_elements() for variable in tensors.values())
    _check_files(path, manifest, 2 * bytes_of_all + _OVERHEAD)
    return manifest


def _without_slashes(tensors: dict[str, "tf.Variable"]) -> dict[str, "tf.Variable"]:
    """TensorFlow's object graph treats a slash as a level; names stay flat."""
    return {name.replace("/", "|"): variable for name, variable in tensors.items()}
