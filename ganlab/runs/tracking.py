"""A copy of a run's records for Weights & Biases or MLflow, through their own libraries.

Where to and as whom, online or not, is theirs to say, in their variables (WANDB_MODE, WANDB_PROJECT,
MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME, ...). All of it is done by a thread of its own: a service that is slow or
fails holds nobody up and ends no run. `metrics.jsonl` stays the record.
"""

import contextlib
import importlib.util
import json
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from ganlab.config import RunConfig, flatten
from ganlab.errors import ConfigError, in_a_line
from ganlab.files import read_json, write_json
from ganlab.runs.records import METRICS, trial_of

IDENTITY = "tracking.json"
"""What the services call this run: `{service: identifier}`; a run that is gone on with keeps it."""
_PATIENCE = 60.0  # seconds that a service has at the end, for what it has not sent yet


class Service(Protocol):
    """What a library must do; every call comes from one thread."""

    def start(self, config: RunConfig, directory: Path, identifier: str | None) -> str:
        """Open a run there, or go on with the one of that identifier; returns its identifier."""
        ...

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Copy numbers by tag."""

    def finish(self, status: str) -> None:
        """Send the rest, and say how the run ended."""


class Wandb:
    """Weights & Biases: a run of its own name, in the group of its arm, in the project of its study."""

    def start(self, config: RunConfig, directory: Path, identifier: str | None) -> str:
        """As in Service."""
        import wandb  # pyright: ignore[reportMissingImports]

        identifier = identifier or uuid.uuid4().hex[:12]
        self._run = wandb.init(
            project=None if "WANDB_PROJECT" in os.environ else config.study or "ganlab",
            dir=None if "WANDB_DIR" in os.environ else str(directory.absolute()),
            id=identifier,
            resume="allow",
            name=directory.resolve().name,
            group=trial_of(directory, config.seed),
            config=config.model_dump(mode="json"),
            allow_val_change=True,
            settings=wandb.Settings(console="off", disable_git=True, disable_code=True),
        )
        self._run.define_metric("*", step_metric="step")  # a run that goes on comes by some steps again
        return identifier

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """As in Service."""
        self._run.log({"step": step, **values})

    def finish(self, status: str) -> None:
        """As in Service."""
        self._run.summary["status"] = status
        self._run.finish(exit_code=0 if status in ("finished", "interrupted") else 1)


class MLflow:
    """MLflow: a run in the experiment of its study, with the settings as parameters."""

    _ENDS = {"finished": "FINISHED", "interrupted": "KILLED"}  # noqa: RUF012

    def start(self, config: RunConfig, directory: Path, identifier: str | None) -> str:
        """As in Service."""
        import mlflow  # pyright: ignore[reportMissingImports]
        from mlflow.entities import Param  # pyright: ignore[reportMissingImports]

        self._client = mlflow.MlflowClient()
        if identifier is not None:
            self._client.update_run(identifier, status="RUNNING")
            self._run = identifier
            return identifier
        experiment = mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or config.study or "ganlab")
        tags = {"arm": trial_of(directory, config.seed)}
        created = self._client.create_run(experiment.experiment_id, run_name=directory.resolve().name, tags=tags)
        self._run = str(created.info.run_id)
        settings = [Param(key, json.dumps(value)) for key, value in flatten(config.model_dump(mode="json")).items()]
        for at in range(0, len(settings), 100):  # as many as one call takes
            self._client.log_batch(self._run, params=settings[at : at + 100])
        return self._run

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """As in Service."""
        from mlflow.entities import Metric  # pyright: ignore[reportMissingImports]

        now = int(time.time() * 1000)
        self._client.log_batch(self._run, metrics=[Metric(tag, value, now, step) for tag, value in values.items()])

    def finish(self, status: str) -> None:
        """As in Service."""
        self._client.set_terminated(self._run, self._ENDS.get(status, "FAILED"))


SERVICES: dict[str, type[Service]] = {"wandb": Wandb, "mlflow": MLflow}


def check_installed(name: str) -> None:
    """Raise ConfigError where the library of `tracking=name` is missing; it is not imported."""
    if name == "none":
        return
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:  # a folder of that name, where such libraries write, is no library
        raise ConfigError(f"tracking={name} needs its library; pip install 'ganlab-keras[{name}]', or tracking=none")


class Tracker:
    """Hands a run's numbers to a service, in the order in which they come. status: how the run ended."""

    def __init__(self, service: Service, start: Callable[[Service], None], warn: Callable[[str], None]):
        self.status = "failed"
        self._service, self._start, self._warn = service, start, warn
        self._waiting: queue.SimpleQueue[tuple[int, Mapping[str, float]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Copy numbers by tag; returns at once."""
        self._waiting.put((step, dict(values)))

    def close(self) -> None:
        """Wait until everything is sent, but not for ever."""
        self._waiting.put(None)
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            self._warn(f"it has not taken everything after {_PATIENCE:.0f} s")

    def _work(self) -> None:
        try:
            self._start(self._service)
            while (numbers := self._waiting.get()) is not None:
                self._service.log(*numbers)
            self._service.finish(self.status)
        except (Exception, SystemExit) as error:
            self._warn(in_a_line(error) or type(error).__name__)


class _Nowhere:
    status = ""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""


@contextlib.contextmanager
def tracked(config: RunConfig, directory: Path, say: Callable[[str], None]) -> Iterator[Tracker | _Nowhere]:
    """While inside, what is handed to `scalars` is copied to where `config.tracking` says.

    say: told in one line where that fails; the run goes on.
    """
    if config.tracking == "none":
        yield _Nowhere()
        return
    path = directory / IDENTITY
    known: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError, TypeError):  # else it is another run there
        known = dict(read_json(path))

    def start(service: Service) -> None:
        identifier = service.start(config, directory, known.get(config.tracking))
        write_json(path, known | {config.tracking: identifier})

    def warn(why: str) -> None:
        say(f"tracking={config.tracking} failed: {why}; the run goes on without it, its numbers are in {METRICS}")

    tracker = Tracker(SERVICES[config.tracking](), start, warn)
    try:
        yield tracker
    except KeyboardInterrupt:  # whoever stops at once waits for nobody
        raise
    except BaseException:
        tracker.close()
        raise
    tracker.close()
