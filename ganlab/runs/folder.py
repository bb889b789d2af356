"""The folder of a run: whose it is, what stands in it, and who may write there. No TensorFlow."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from ganlab import __version__, device, environment, files
from ganlab.config import RunConfig, differences, parse
from ganlab.environment import commit
from ganlab.errors import ConfigError, MissingSettingError, UnknownSettingError
from ganlab.files import write_json
from ganlab.runs.result import CONFIG, HELD_OUT, LOCK, LOG, RESULT, RunResult, read_result

CHECKPOINTS = "checkpoints"
GENERATOR = "generator.keras"  # the averaged generator of a finished run


def read_config(directory: Path, setting: str = "") -> RunConfig:
    """The settings of the run in a folder; raises ConfigError with one line.

    setting: what named the folder, such as `resume=`.
    """
    path = directory / CONFIG
    if not directory.is_dir():
        raise ConfigError(f"{setting}{directory} is no folder; give that of a run, which holds {CONFIG}")
    try:
        return parse(files.read_json(path))
    except FileNotFoundError:
        raise ConfigError(f"{setting}{directory} holds no {CONFIG}; give the folder of a run") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({files.why(error)}); delete it, or put the right one back") from None
    except (MissingSettingError, UnknownSettingError) as error:
        raise ConfigError(
            f"{path} was written by another version of ganlab ({error}); open it with that one, or train again with "
            f"this one, {__version__}"
        ) from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def finished(config: RunConfig, directory: Path) -> RunResult | None:
    """The result of this very run if it has ended, well or by diverging, which it would do again.

    Raises ConfigError where another run's settings stand in the folder.
    """
    if not (directory / CONFIG).exists():
        return None
    there = read_config(directory)
    if odd := differences(there, config):
        _refuse_other_data(directory, odd, config)
        found = ", ".join(f"{key}={json.dumps(old)}, now {json.dumps(new)}" for key, (old, new) in odd.items())
        raise ConfigError(f"{directory} has {found}; use another folder or study name")
    if not (directory / RESULT).exists():
        return None
    result = read_result(directory / RESULT)
    return result if result.status in ("finished", "diverged") else None


def lacks_generator(result: RunResult, directory: Path) -> bool:
    """Whether the generator of a finished run is gone, and a checkpoint is there to write it from."""
    return (
        result.status == "finished"
        and not (directory / GENERATOR).exists()
        and any((directory / CHECKPOINTS).glob("step-*"))
    )


def _refuse_other_data(directory: Path, odd: Mapping[str, tuple[Any, Any]], config: RunConfig) -> None:
    """Of a file that was written again since, everything may differ: what counts is that it is another one."""
    for key, path in (("dataset.sha256", "dataset.path"), ("dataset.held_out_sha256", "dataset.held_out_path")):
        if key in odd and all(odd[key]) and path not in odd:
            before, now = (value[:16] for value in odd[key])
            raise ConfigError(
                f"{path}={getattr(config.dataset, path.partition('.')[2])} is not the file that {directory} was made "
                f"of: its sha256 is {now}..., and was {before}...; put that one back, or use another folder or study"
            )


@contextlib.contextmanager
def claimed(directory: Path, *, wait: bool = False, stopping: Callable[[], bool] = lambda: False) -> Iterator[int]:
    """The folder, made if need be, for this process alone; freed by the system however the process ends.

    Yields the descriptor that holds it: a child that keeps it open holds the folder on. wait: until another process
    has left it, or until `stopping` says that this one is to stop, a KeyboardInterrupt; else that is a ConfigError.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        refuse_links(directory)
        lock = files.open_lock(directory / LOCK)
    except files.FileError as error:
        raise ConfigError(str(error)) from None
    except OSError as error:
        raise ConfigError(f"hydra.run.dir={directory} cannot be written ({error.strerror}); choose another") from None
    with lock:
        while not _locked_soon(lock):
            if not wait:
                raise ConfigError(f"{directory} is being written by another process; wait for it, or stop it")
            if stopping():
                raise KeyboardInterrupt
        yield lock.fileno()


FOLDERS = (CHECKPOINTS, "samples", "pictures", "evaluations", "plugins", "plugins/profile")
"""Folders in that of a run which it writes into."""


def refuse_links(directory: Path) -> None:
    """Raise FileError where a link stands in the place of a folder that a run writes into or reads from."""
    for name in FOLDERS:
        files.refuse_link(directory / name, directory)


def _locked_soon(lock: IO[bytes]) -> bool:
    """Lock a file; False if another process keeps it: one that only looks (`runs.status`) is gone in a moment."""
    for _ in range(10):
        if files.lock(lock):
            return True
        time.sleep(0.02)
    return False


def leave_nothing(directory: Path) -> None:
    """Remove what a run that was refused has written, and its folder if nothing else is in it."""
    for name in (CONFIG, HELD_OUT, LOG, LOCK):
        (directory / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        directory.rmdir()


def write_result(
    config: RunConfig, directory: Path, machine: device.Device | None, status: str, **facts: Any
) -> RunResult:
    """Write what is known of a run at its end, or at a stop, as its `result.json`.

    machine: None where it is not known. facts: fields of `RunResult`.
    """
    from importlib.metadata import version

    libraries = ("tensorflow", "keras", "numpy")
    if unknown := facts.keys() - RunResult.model_fields.keys():
        raise TypeError(f"{sorted(unknown)} are no fields of RunResult")
    tree = {
        "status": status,
        "variant": config.generator.name,
        "seed": config.seed,
        "config": config.model_dump(mode="json"),
        **facts,
        "commit": commit(),
        "versions": {"ganlab": __version__, **{name: version(name) for name in libraries}},
        "device": f"{machine.kind}: {machine.name}, {machine.precision}" if machine else None,
        "environment": environment.deciding(),
        "ended": now(),
    }
    write_json(directory / RESULT, tree)
    return read_result(directory / RESULT)


def now() -> str:
    """As ISO 8601 with the offset from UTC."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def record_measures(directory: Path, measured: dict[str, Any]) -> None:
    """Put measures that were taken later into the result of a run that has finished; raises ConfigError."""
    with claimed(directory):
        path = directory / RESULT
        result = read_result(path) if path.exists() else None
        if result is None or result.status != "finished":
            raise ConfigError(f"--record needs a finished run, and {directory} is none; let it finish first")
        protocol, own = measured["protocol"], result.protocol
        full = protocol["name"] == "full"

        def merged(before: Mapping[str, float] | None, now: Mapping[str, float]) -> dict[str, float]:
            return {name: value for name, value in (before or {}).items() if name.startswith("full/") != full} | now

        changed = {
            "metrics": merged(result.metrics, measured["metrics"]),
            "spread": merged(result.spread, measured["spread"]),
            "real_against_real": merged(result.real_against_real, measured["real_against_real"]),
            "nulls": merged(result.nulls, measured["nulls"]),
            "protocol": own | {"full": protocol} if full else protocol | {k: own[k] for k in ("full",) if k in own},
        }
        write_json(path, result.model_copy(update=changed).written())
