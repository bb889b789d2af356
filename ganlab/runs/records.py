"""A run's numbers and pictures as they come: `metrics.jsonl` for programs, event files for TensorBoard.

Every (tag, step) must appear once, however TensorBoard reads, even if a run was killed and resumes from an older
checkpoint. That takes three things: what was written after the checkpoint is cut off, file names sort in the order
of writing whatever the clock did, and each session's file starts with a `SessionLog.START`, which tells a running
TensorBoard to forget the steps that are repeated.
TensorFlow is not imported: the messages and the record format are TensorBoard's own.
"""

# pyright: reportAttributeAccessIssue=false
# (protobuf makes the classes of its messages when it is imported)

import contextlib
import hashlib
import io
import itertools
import json
import os
import re
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

import numpy as np
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

from ganlab import files
from ganlab.errors import in_a_line
from ganlab.runs import grids
from ganlab.runs.result import ResultError, find_files

METRICS = "metrics.jsonl"
SPEED = "speed/images_per_second"  # the tag of every record of training
_EVENTS = re.compile(r"events\.out\.tfevents\.(\d{10})\.ganlab")
_SESSIONS = 10**8  # no run has that many: a file with a higher number is not ours and is left alone
_LARGEST = 2**30  # bytes of records that are read
_LINE = 2**20  # bytes of one record
_EVENT = 2**26  # bytes of one record of an event file
_MOST = 2**25  # bytes of the records that are kept in memory


class Mark(NamedTuple):
    """A file up to some point: its length in bytes and the SHA-256 of these, in hexadecimal."""

    bytes: int
    sha256: str


Position = Mapping[str, Mark]
"""How far a run's records had got: a mark in `metrics.jsonl` and in every event file, by name."""


class RecordsError(OSError):
    """Records that are damaged or in the way; the text names the file."""


class Records:
    """The only writer of a run's `metrics.jsonl` and event files, until the end of this session.

    directory: the run's; made if missing. Files in it that others wrote are left alone.
    step: the last step whose records are kept, so the one that `resume` was taken at; 0 for a new run.
    resume: None for a new run; a `position` to resume from: everything written later is cut off. An empty position
    cuts off everything: it restarts a run that was stopped before its first checkpoint.
    copy: called with the step and the numbers of each record, after they are written.

    Raises RecordsError, before anything is touched, if a file of `resume` is missing, shorter or not the same
    (`damage`), and if a new run would be mixed with the records of another.
    """

    def __init__(
        self,
        directory: Path,
        *,
        step: int = 0,
        resume: Position | None = None,
        copy: Callable[[int, Mapping[str, float]], None] = lambda step, values: None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        marks = dict(resume or {})
        sessions = {path.name: int(match[1]) for path in directory.iterdir() if (match := _EVENTS.fullmatch(path.name))}
        sessions = {name: number for name, number in sessions.items() if number < _SESSIONS or name in marks}
        existing = {name: directory / name for name in [*sessions, METRICS] if os.path.lexists(directory / name)}
        if resume is None and existing:
            raise RecordsError(f"{existing[min(existing)]} already exists; resume that run, or use another directory")
        if why := damage(directory, marks):
            raise RecordsError(why)

        for name, mark in marks.items():
            with files.open_regular(existing[name], "r+b") as file:
                file.truncate(mark.bytes)
                files.flush(file)
        # A number is never used twice, so the new file is made before others are removed: a running TensorBoard
        # remembers files by name, and would continue in the middle of one that came back.
        numbers = itertools.count(1 + max(sessions.values(), default=0))
        names = (f"events.out.tfevents.{number:010}.ganlab" for number in numbers)
        name = next(name for name in names if not os.path.lexists(directory / name))
        self._file = _Marked(directory / name, "xb")
        for other in existing.keys() - marks.keys():
            existing[other].unlink()
        self._metrics = _Marked(directory / METRICS, "ab")

        self._copy = copy
        self._directory, self._name = directory, name
        self._earlier_marks = {name: mark for name, mark in marks.items() if name != METRICS}
        self._events, self._ended = RecordWriter(self._file), False
        self._write(0, file_version="brain.Event:2")
        # TensorBoard drops this step and later ones: not the step that is done.
        self._write(step + 1 if resume else 0, session_log=SessionLog(status=SessionLog.START))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, Exception) and not self._ended:
            with contextlib.suppress(OSError):  # a full disk must not hide what went wrong
                self.finished(ok=False)
        self._file.close()
        self._metrics.close()

    def position(self) -> dict[str, Mark]:
        """How far the records have got, for a checkpoint's manifest; they are on the disk up to there.

        Take it when the records of the checkpoint's step are written, and pass it as `resume` together with that step:
        `{file name: mark}`, which JSON can hold, with a mark as a list.
        """
        marks = {METRICS: self._metrics.mark(), self._name: self._file.mark()}
        files.sync(self._directory)
        return {**self._earlier_marks, **marks}

    def scalars(self, step: int, images: int, seconds: float, values: Mapping[str, float]) -> None:
        """Record numbers by tag: one line in `metrics.jsonl`, one point for each tag in TensorBoard.

        images: real images seen so far. seconds: of training so far. The line is one flat object, `step`,
        `images`, `seconds`, then the tags. Numbers that are not finite are as Python's `json` reads
        and writes them, NaN, Infinity and -Infinity, which stricter readers refuse: an honest NaN is worth more than a
        null that may mean anything. TensorBoard holds float32.
        """
        values = {tag: float(value) for tag, value in values.items()}
        line = {"step": int(step), "images": int(images), "seconds": float(seconds)} | values
        self._metrics.write(json.dumps(line).encode() + b"\n")
        self._metrics.flush()
        summary = Summary()
        with np.errstate(over="ignore"):  # infinite if beyond float32
            for tag, value in values.items():
                summary.MergeFrom(scalar_pb(tag, value))
        self._write(step, summary=summary)
        self._copy(int(step), {name: value for name, value in line.items() if name != "step"})

    def image(self, step: int, tag: str, pixels: np.ndarray) -> None:
        """Record one picture for TensorBoard: uint8 [H,W,C], C = 1 or 3; ValueError for anything else.

        Its checksum is computed in Python, 0.1 s per 100 kB of PNG: use it for a grid now and then, not every step.
        """
        self._write(step, summary=image_pb(tag, grids.png(pixels)))

    def text(self, step: int, tag: str, markdown: str) -> None:
        """Record a text for TensorBoard: tables and fenced code are shown, HTML and inline images are not."""
        self._write(step, summary=text_pb(tag, markdown))

    def hyperparameters(self, flat: Mapping[str, float | str | bool | None], trial: str) -> None:
        """Record the settings for TensorBoard's HParams table, once per run and before its first `position`.

        flat: `{dotted name: value}`, without the seed: a group of runs would show one of its seeds at random. None
        becomes the text "null"; TypeError for a list or any other type. trial: the name `without_seed`: runs with the
        same one are a row, which shows their mean.

        Which metrics have a column is recorded once for a study, in a run of its own: TensorBoard takes one run's
        `hparams_config` for all, which would hide the other arms.
        """
        values: dict[str, Any] = {name: "null" if value is None else value for name, value in flat.items()}
        self._write(0, summary=hparams_pb(values, trial_id=trial))

    def finished(self, ok: bool) -> None:
        """Record for the HParams table that the run has ended, well or not; call it at most once, at the end.

        Not needed for a run that ends with an exception: it has ended badly. Resuming the run removes this record.
        """
        self._ended = True
        end = SessionEndInfo(status=STATUS_SUCCESS if ok else STATUS_FAILURE, end_time_secs=time.time())
        data = HParamsPluginData(session_end_info=end)
        self._write(0, summary=hparams_summary(hparams_metadata.SESSION_END_INFO_TAG, data))

    def _write(self, step: int, **content: Any) -> None:
        _append(self._events, step, **content)
        self._events.flush()  # so that a running TensorBoard sees it


class _Marked:
    """A file of records to append to, with a running checksum: a mark needs no reading."""

    def __init__(self, path: Path, mode: str):
        self._path = path
        self._file = files.open_regular(path, mode)
        with files.open_regular(path) as existing:
            self._digest = hashlib.file_digest(existing, "sha256")
            self._length = existing.tell()

    def write(self, content: bytes) -> None:
        self._digest.update(content)
        self._length += len(content)
        with self._naming_the_file():
            self._file.write(content)

    def flush(self) -> None:
        with self._naming_the_file():
            self._file.flush()

    def mark(self) -> Mark:
        """The current end of the file, flushed to the disk."""
        with self._naming_the_file():
            files.flush(self._file)
        return Mark(self._length, self._digest.hexdigest())

    def close(self) -> None:
        """Close the file, flushed to the disk: a finished run does not repeat what follows its last checkpoint."""
        with self._naming_the_file():
            try:
                files.flush(self._file)
            finally:
                self._file.close()

    @contextlib.contextmanager
    def _naming_the_file(self) -> Iterator[None]:
        """Name the file in errors: the system's do not name an open one."""
        try:
            yield
        except OSError as error:
            raise files.FileError(self._path, f"cannot be written ({error.strerror})", error.errno or 0) from error


def damage(directory: Path, position: Position) -> str:
    """Which file of a run's records is not as it was at a position, in a line; empty if none. Changes nothing."""
    for name, mark in position.items():
        path = directory / name
        if name != METRICS and not _EVENTS.fullmatch(name):
            return f"{path} is not a file of a run's records; the checkpoint's manifest is damaged"
        needs = f"the checkpoint needs its first {mark.bytes} bytes"
        try:
            with files.open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
                if size < mark.bytes:
                    return f"{path} is {size} bytes long; {needs}"
                if _sha256(file, mark.bytes) != mark.sha256:
                    return f"{path} has changed; {needs} as they were"
        except FileNotFoundError:
            return f"{path} is missing; {needs}"
        except OSError as error:
            return f"{path} cannot be read ({files.why(error)}); {needs}"
    return ""


def _sha256(file: IO[bytes], length: int) -> str:
    digest = hashlib.sha256()
    while length > 0 and (part := file.read(min(length, 2**20))):
        digest.update(part)
        length -= len(part)
    return digest.hexdigest()


def read_records(directory: Path, tags: str = "") -> list[dict[str, Any]]:
    """What `Records.scalars` has written in a run's folder, in order: `step`, `images`, `seconds`, and values by tag.

    tags: only the records with a tag that starts with this. Empty if there is no file; raises ResultError if a record
    is damaged.
    """
    path = directory / METRICS
    try:
        with files.open_regular(path) as file:
            return [_record(line) for line in _lines(file, tags)]
    except FileNotFoundError:
        return []
    except (ValueError, OSError) as error:
        why = files.why(error) if isinstance(error, OSError) else in_a_line(error)
        raise ResultError(f"{path} is damaged ({why}); delete it, or repeat the run's command") from None


def readable_records(directory: Path, tags: str = "", last_bytes: int | None = None) -> list[dict[str, Any]]:
    """As `read_records`, for a run that may be writing: half a line and damaged lines are skipped.

    last_bytes: only read so many bytes at the end of the file.
    """
    records = []
    with contextlib.suppress(OSError, ValueError), files.open_regular(directory / METRICS) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - last_bytes) if last_bytes else 0)
        for line in _lines(file, tags):
            with contextlib.suppress(ValueError):
                records.append(_record(line))
    return records


def _lines(file: IO[bytes], tags: str) -> Iterator[bytes]:
    """The remaining lines of a file with a tag that starts with `tags`; ValueError if they are too many."""
    if (size := os.fstat(file.fileno()).st_size - file.tell()) > _LARGEST:
        raise ValueError(f"it has {size:,} bytes, more than the {_LARGEST:,} that are read")
    wanted, length = f'"{tags}'.encode(), 0
    while line := file.readline(_LINE):
        if wanted in line:
            length += len(line)
            if length > _MOST:
                raise ValueError(f"it has more than {_MOST:,} bytes of records")
            yield line


def _record(line: bytes) -> dict[str, Any]:
    """One line; ValueError if it is not a record: numbers by tag, with a step, a count of images and a time."""
    record = files.parse_json(line, finite=False)
    if not isinstance(record, dict):
        raise ValueError("a line is not a record")
    for name in ("step", "images"):
        if type(record.get(name)) is not int or not 0 <= record[name] < 2**63:
            raise ValueError(f"a record has no {name}")
    if wrong := [name for name in [*record, "seconds"] if type(record.get(name)) not in (int, float)]:
        raise ValueError(f"a record has no number {in_a_line(wrong[0], 40)}")
    return record


def bad_events(directory: Path) -> dict[Path, str]:
    """The event files under a folder that TensorBoard should not open, each with the reason.

    Its readers trust the length before each record: one of 2^40 bytes crashes them. They skip anything else that may be
    wrong with a file.
    """
    reasons = {}
    for folder, _, names in files.walk(directory):
        for name in names:
            if "tfevents" in name and (why := _bad_events(folder / name)):
                reasons[folder / name] = why
    return reasons


def _bad_events(path: Path) -> str:
    try:
        with files.open_regular(path) as file:
            while len(header := file.read(12)) == 12:  # fewer: it is being written
                length, crc = struct.unpack("<QI", header)
                if masked_crc32c(header[:8]) != crc:
                    return f"is damaged at byte {file.tell() - 12:,}"
                if length > _EVENT:
                    return f"has a record of {length:,} bytes, more than the {_EVENT:,} that are read"
                file.seek(length + 4, os.SEEK_CUR)
    except OSError as error:
        return error.strerror or in_a_line(error)
    return ""


def find_runs(directory: Path) -> list[Path]:
    """The folders of runs: those with records of their own."""
    return [path.parent for path in find_files(directory, METRICS)]


def without_seed(name: str) -> str:
    """The name of a cell, or of a run's folder, without `-seed<k>`: it tells the arms of a study apart.

    Such a name holds every overridden setting; a run in a folder of its own is a trial of its own.
    """
    return re.sub(r"-seed\d+$", "", name)


def shared_tail(runs: Iterable[Path]) -> str:
    """The `-name=value` parts in which the names of all arms of these runs end: settings of the whole sweep."""
    trials = sorted({without_seed(run.name) for run in runs})
    if len(trials) < 2:
        return ""
    endings = [re.split(r"(?=-[A-Za-z_][\w.]*=)", name)[:0:-1] for name in trials]  # from the last part on
    shared = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*endings, strict=False))
    return "".join(reversed([parts[0] for parts in shared]))


def image_pb(tag: str, png: bytes) -> Summary:
    """A PNG file in the form of TensorBoard's image plugin."""
    width, height = Image.open(io.BytesIO(png)).size
    metadata = image_metadata.create_summary_metadata(display_name=None, description=None)
    return bytes_summary(tag, [str(width).encode(), str(height).encode(), png], metadata)


def bytes_summary(tag: str, content: bytes | list[bytes], metadata: Any) -> Summary:
    """Bytes for the plugin that the metadata name. (TensorBoard's own functions for these need TensorFlow.)"""
    tensor = make_tensor_proto(np.array(content, dtype=object))
    return Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=metadata)])


def hparams_summary(tag: str, data: HParamsPluginData) -> Summary:
    """A message for the HParams plugin, likewise."""
    metadata = hparams_metadata.create_summary_metadata(data)
    return Summary(value=[Summary.Value(tag=tag, tensor=hparams_metadata.NULL_TENSOR, metadata=metadata)])


def replace_events(directory: Path, summaries: Iterable[tuple[int, Summary]]) -> None:
    """Replace a folder's event files by summaries, each with its step; if that fails, the old files stay.

    A running TensorBoard forgets what it read from the old files.
    """
    files.make_folder(directory)
    old = [path for path in directory.iterdir() if _EVENTS.fullmatch(path.name)]
    # as in Records, but by the time too: an emptied folder must not reuse an old name
    number = max([int(time.time()), *(1 + int(path.name.split(".")[3]) for path in old)])
    path = directory / f"events.out.tfevents.{number:010}.ganlab"
    with files.replacing(path, alone=True) as temporary, temporary.open("wb") as file:
        events = RecordWriter(file)
        _append(events, 0, file_version="brain.Event:2")
        _append(events, 0, session_log=SessionLog(status=SessionLog.START))
        for step, summary in summaries:
            _append(events, step, summary=summary)
    for path in old:
        path.unlink()
    files.sync(directory)


def remove_events(directory: Path) -> None:
    """Remove a folder's event files, and the folder if nothing else is in it."""
    for path in [path for path in directory.iterdir() if _EVENTS.fullmatch(path.name)]:
        path.unlink()
    if not any(directory.iterdir()):
        directory.rmdir()


def _append(events: RecordWriter, step: int, **content: Any) -> None:
    events.write(Event(wall_time=time.time(), step=step, **content).SerializeToString())
