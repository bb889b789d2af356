"""A copy of a run's records for Weights & Biases or MLflow, through their own libraries.

Their own variables decide where to, as whom, and whether online (WANDB_MODE, WANDB_PROJECT, MLFLOW_TRACKING_URI,
MLFLOW_EXPERIMENT_NAME, ...). A separate thread does all of it: a slow or failing service neither delays nor ends a run.
`metrics.jsonl` remains the record.
"""

import contextlib
import importlib.util
import json
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from ganlab.config import RunConfig, flatten
from ganlab.errors import ConfigError, in_a_line
from ganlab.files import alone_in, read_json, write_json
from ganlab.runs.records import METRICS, without_seed

IDENTITY = "tracking.json"
"""The services' identifiers for this run: `{service: identifier}`; a resumed run keeps them. Under `failed`, why the
last session was not copied."""
_FAILED = "failed"
_PATIENCE = 60.0  # seconds that a service has at the end to send the rest


class Wandb:
    """Weights & Biases: a run with its own name, in the group of its arm, in the project of its study.

    As with every service, all calls come from one thread.
    """

    def start(self, config: RunConfig, directory: Path, identifier: str | None) -> str:
        """Open a run there, or continue the one with that identifier; returns its identifier."""
        import wandb  # pyright: ignore[reportMissingImports]

        identifier = identifier or uuid.uuid4().hex[:12]
        self._run = wandb.init(
            project=None if "WANDB_PROJECT" in os.environ else config.study or "ganlab",
            dir=None if "WANDB_DIR" in os.environ else str(directory.absolute()),
            id=identifier,
            resume="allow",
            name=directory.resolve().name,
            group=without_seed(directory.resolve().name),
            config=config.model_dump(mode="json"),
            allow_val_change=True,
            settings=wandb.Settings(console="off", disable_git=True, disable_code=True),
        )
        self._run.define_metric("*", step_metric="step")  # a resumed run repeats some steps
        return identifier

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Copy numbers by tag."""
        self._run.log({"step": step, **values})

    def finish(self, status: str) -> None:
        """Send the rest, and report how the run ended."""
        self._run.summary["status"] = status
        self._run.finish(exit_code=0 if status in ("finished", "interrupted") else 1)


class MLflow:
    """MLflow: a run in the experiment of its study, with the settings as parameters."""

    _ENDS = {"finished": "FINISHED", "interrupted": "KILLED"}  # noqa: RUF012

    def start(self, config: RunConfig, directory: Path, identifier: str | None) -> str:
        """As in Wandb."""
        import mlflow  # pyright: ignore[reportMissingImports]
        from mlflow.entities import Param  # pyright: ignore[reportMissingImports]

        with alone_in(directory.absolute().parent):  # the first to come makes the database, and must not meet others
            self._client = mlflow.MlflowClient()
            if identifier is not None:
                self._client.update_run(identifier, status="RUNNING")
                self._run = identifier
                return identifier
            experiment = mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or config.study or "ganlab")
        tags = {"arm": without_seed(directory.resolve().name)}
        created = self._client.create_run(experiment.experiment_id, run_name=directory.resolve().name, tags=tags)
        self._run = str(created.info.run_id)
        settings = [Param(key, json.dumps(value)) for key, value in flatten(config.model_dump(mode="json")).items()]
        for at in range(0, len(settings), 100):  # as many as one call takes
            self._client.log_batch(self._run, params=settings[at : at + 100])
        return self._run

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """As in Wandb."""
        from mlflow.entities import Metric  # pyright: ignore[reportMissingImports]

        now = int(time.time() * 1000)
        self._client.log_batch(self._run, metrics=[Metric(tag, value, now, step) for tag, value in values.items()])

    def finish(self, status: str) -> None:
        """As in Wandb."""
        self._client.set_terminated(self._run, self._ENDS.get(status, "FAILED"))


Service = Wandb | MLflow
SERVICES: dict[str, type[Service]] = {"wandb": Wandb, "mlflow": MLflow}


def failure(directory: Path) -> str:
    """Why the last session of a run was not copied to a service, in a line; empty if it was, or had none."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return in_a_line(dict(read_json(directory / IDENTITY)).get(_FAILED, ""))
    return ""


def check_installed(name: str) -> None:
    """Raise ConfigError if the library of `tracking=name` is missing; it is not imported."""
    if name == "none":
        return
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:  # a folder of that name, where such libraries write, is not the library
        raise ConfigError(f"tracking={name} needs its library; pip install 'ganlab-keras[{name}]', or tracking=none")


class Tracker:
    """While inside, passes a run's numbers, in order, to the service that `config.tracking` names, if it names one.

    status: how the run ended. say: gets a line if that fails; the run continues.
    """

    def __init__(self, config: RunConfig, directory: Path, say: Callable[[str], None]):
        self.status = "failed"
        self._config, self._directory, self._say = config, directory, say
        self._queue: queue.SimpleQueue[tuple[int, Mapping[str, float]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)

    def __enter__(self) -> Self:
        if self._config.tracking != "none":
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait until everything is sent, but not forever; an immediate stop does not wait."""
        if not self._thread.is_alive() or (kind and issubclass(kind, KeyboardInterrupt)):
            return
        self._queue.put(None)
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            self._warn(f"it has not accepted everything after {_PATIENCE:.0f} s")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Copy numbers by tag; returns at once."""
        if self._thread.is_alive():
            self._queue.put((step, dict(values)))

    def _work(self) -> None:
        name = self._config.tracking
        service, identifiers = SERVICES[name](), self._identifiers()
        try:
            identifier = service.start(self._config, self._directory, identifiers.get(name))
            write_json(self._directory / IDENTITY, identifiers | {name: identifier})
            while (numbers := self._queue.get()) is not None:
                service.log(*numbers)
            service.finish(self.status)
        except (Exception, SystemExit) as error:
            self._warn(in_a_line(error) or type(error).__name__)

    def _identifiers(self) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError, TypeError):  # else the service starts a new run
            return {
                name: value for name, value in dict(read_json(self._directory / IDENTITY)).items() if name != _FAILED
            }
        return {}

    def _warn(self, why: str) -> None:
        line = f"tracking={self._config.tracking} failed: {why}"
        self._say(f"{line}; the run continues without it, its numbers are in {METRICS}")
        with contextlib.suppress(OSError):
            write_json(self._directory / IDENTITY, self._identifiers() | {_FAILED: line})
