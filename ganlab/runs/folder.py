"""The folder of a run: which run it belongs to, what it holds, and who may write there. No TensorFlow."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ganlab import __version__, files
from ganlab.config import RunConfig, differences, parse
from ganlab.errors import ConfigError, MissingSettingError, UnknownSettingError
from ganlab.runs.result import CONFIG, HELD_OUT, LOCK, LOG, RESULT, RunResult, read_result

CHECKPOINTS = "checkpoints"
GENERATOR = "generator.keras"  # the averaged generator of a finished run


def read_config(directory: Path, setting: str = "") -> RunConfig:
    """The settings of the run in a folder; raises ConfigError with one line.

    setting: the prefix that named the folder, such as `resume=`.
    """
    path = directory / CONFIG
    if not directory.is_dir():
        raise ConfigError(f"{setting}{directory} is not a directory; give that of a run, which holds {CONFIG}")
    try:
        return parse(files.read_json(path))
    except FileNotFoundError:
        raise ConfigError(f"{setting}{directory} has no {CONFIG}; give the folder of a run") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({files.why(error)}); delete it, or restore it") from None
    except (MissingSettingError, UnknownSettingError) as error:
        raise ConfigError(
            f"{path} was written by another version of ganlab ({error}); use that version, or train again with "
            f"this one, {__version__}"
        ) from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def finished(config: RunConfig, directory: Path) -> RunResult | None:
    """The result of this run if it has finished or diverged, which it would do again.

    Raises ConfigError if the folder holds another run's settings.
    """
    if not (directory / CONFIG).exists():
        return None
    existing = read_config(directory)
    if changes := differences(existing, config):
        _refuse_other_data(directory, changes, config)
        text = ", ".join(f"{key}={json.dumps(old)}, now {json.dumps(new)}" for key, (old, new) in changes.items())
        raise ConfigError(f"{directory} has {text}; use another folder or study name")
    if not (directory / RESULT).exists():
        return None
    result = read_result(directory / RESULT)
    return result if result.status in ("finished", "diverged") else None


def last_step(config: RunConfig, result: RunResult) -> int:
    """The step at which a finished run ended, by the images that it has seen."""
    images_per_step = config.training.batch_size * config.training.discriminator_steps
    return config.training.steps if result.images_seen is None else result.images_seen // images_per_step


def lacks_generator(result: RunResult, directory: Path) -> bool:
    """Whether the generator of a finished run is missing, and there is a checkpoint to write it from."""
    return (
        result.status == "finished"
        and not (directory / GENERATOR).exists()
        and any((directory / CHECKPOINTS).glob("step-*"))
    )


def _refuse_other_data(directory: Path, changes: Mapping[str, tuple[Any, Any]], config: RunConfig) -> None:
    """Raise ConfigError if a file of images was rewritten, which may change any other setting too."""
    for key, path in (("dataset.sha256", "dataset.path"), ("dataset.held_out_sha256", "dataset.held_out_path")):
        if key in changes and all(changes[key]) and path not in changes:
            before, now = (value[:16] for value in changes[key])
            raise ConfigError(
                f"{path}={getattr(config.dataset, path.partition('.')[2])} is not the file that {directory} was "
                f"trained on: its sha256 is {now}..., not {before}...; restore that file, or use another "
                "folder or study"
            )


@contextlib.contextmanager
def claimed(directory: Path, *, wait: bool = False, stopping: Callable[[], bool] = lambda: False) -> Iterator[int]:
    """Claim a folder, made if missing, for this process alone; the system frees it however the process ends.

    Yields the descriptor of the lock: a child that keeps it open keeps the claim. wait: until another process has left
    the folder, or until `stopping` returns True, then a KeyboardInterrupt; without it, a claimed folder is a
    ConfigError.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        refuse_links(directory)
        lock = files.open_lock(directory / LOCK)
    except files.FileError as error:
        raise ConfigError(str(error)) from None
    except OSError as error:
        raise ConfigError(
            f"hydra.run.dir={directory} cannot be written ({error.strerror}); choose another folder"
        ) from None
    with lock:
        while not _lock_soon(lock):
            if not wait:
                raise ConfigError(f"{directory} is being written by another process; wait for it, or stop it")
            if stopping():
                raise KeyboardInterrupt
        yield lock.fileno()


FOLDERS = (CHECKPOINTS, "samples", "pictures", "evaluations", "plugins", "plugins/profile")
"""Subfolders that a run writes into."""


def refuse_links(directory: Path) -> None:
    """Raise FileError if a folder that a run writes into or reads from is a link."""
    for name in FOLDERS:
        files.refuse_link(directory / name, directory)


def _lock_soon(lock: IO[bytes]) -> bool:
    """Lock a file; False if another process keeps it locked, not if one only looks (`runs.status`)."""
    for _ in range(10):
        if files.lock(lock):
            return True
        time.sleep(0.02)
    return False


def remove_refused_run(directory: Path) -> None:
    """Remove the files of a run that was refused, and its folder if nothing else is in it."""
    for name in (CONFIG, HELD_OUT, LOG, LOCK):
        (directory / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        directory.rmdir()


def finished_result(directory: Path) -> RunResult:
    """The result of a finished run, to record measures in; raises ConfigError."""
    path = directory / RESULT
    result = read_result(path) if path.exists() else None
    if result is None or result.status != "finished":
        raise ConfigError(f"--record needs a finished run, but {directory} has not finished; let it finish first")
    return result


def record_measures(directory: Path, measured: dict[str, Any]) -> None:
    """Add measures that were taken later to the result of a finished run; raises ConfigError."""
    with claimed(directory):
        result = finished_result(directory)
        protocol, earlier = measured["protocol"], result.protocol
        full = protocol["name"] == "full"

        kept = {"full": earlier["full"]} if "full" in earlier else {}
        update: dict[str, Any] = {"protocol": earlier | {"full": protocol} if full else protocol | kept}
        for name in ("metrics", "spread", "real_against_real", "nulls"):
            before = (getattr(result, name) or {}).items()
            update[name] = {key: value for key, value in before if key.startswith("full/") != full} | measured[name]
        if full:
            update |= {name: measured.get(name, {}) for name in ("draws", "ladder")}
        files.write_json(directory / RESULT, result.model_copy(update=update).written())
