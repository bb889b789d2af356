"""The settings of a run, frozen and validated. Everything here is checked before TensorFlow is imported.

A group of settings with a `name` is a choice: the name picks the function in the table of that name elsewhere
(`UPSAMPLERS`, `OBJECTIVES`, ...), and the other fields are its keyword arguments.
"""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from ganlab.config import plugins
from ganlab.config.base import Channels, Count, NotNegative, Pair, Positive, Settings, pair
from ganlab.config.comparison import Comparing
from ganlab.config.dataset import (
    Arrays,
    Dataset,
    DatasetSettings,
    Digits,
    Emnist,
    Folder,
    HuggingFace,
    Photos,
    Published,
    Shapes,
    Tfds,
)
from ganlab.config.discriminator import Discriminator, DiscriminatorSettings
from ganlab.config.generator import Generator, Operator, with_stages
from ganlab.config.metrics import LEAST, USUAL_FEATURES, Full, Metrics
from ganlab.config.plugins import Plugin
from ganlab.config.training import Adam, Augment, InitFrom, Objective, Penalty, PenaltySettings, Training, profiled
from ganlab.errors import ConfigError, explain, in_a_line, nearest
from ganlab.evaluation.registry import is_among, names_under

RESERVED = {
    "comparison": "where ganlab.dashboard writes a comparison",
    "forgotten": "where ganlab.status --forget moves runs to",
    "report": "where ganlab.compare writes a report",
}
"""Names of folders beside runs that no study or run may have, and what is there."""


class RunConfig(Settings):
    """Everything that decides a run's result; equal settings give equal bits on a CPU."""

    seed: Annotated[int, Field(ge=0, lt=2**31)]
    study: str | None
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]
    generator: Generator
    discriminator: Discriminator
    dataset: Dataset
    conditional: bool
    init_from: InitFrom | None = None
    objective: Objective
    penalty: Penalty
    optimizer: Adam
    augment: Augment
    training: Training
    metrics: Metrics
    tracking: Literal["none", "wandb", "mlflow"] = "none"
    comparison: Comparing = Comparing()
    plugins: tuple[Plugin, ...] = ()

    @field_validator("study")
    @classmethod
    def _folder(cls, study: str | None) -> str | None:
        if study is not None and (not study.strip("./ ") or re.search(r"[/\\]", study) or not study.isprintable()):
            raise ValueError(
                f"study={study[:40]!r} cannot name a folder of outputs/; use a word such as upsampling_digits"
            )
        if study in RESERVED:  # of all runs under outputs/
            raise ValueError(f"study={study} is {RESERVED[study]}; use another word")
        if study is not None and (size := len(study.encode())) > 255:
            raise ValueError(f"study={study[:20]}... names a folder with {size} bytes; use at most 255")
        return study

    @model_validator(mode="after")
    def _together(self) -> "RunConfig":
        self.generator.check(pair(self.dataset.size), self.dataset.channels)
        if self.discriminator.mixes_images and self.penalty.name != "none":
            raise ValueError(
                f"penalty={self.penalty.name} needs a gradient for each image, which batch normalization mixes; "
                "use penalty=none or discriminator.normalization=none"
            )
        if self.conditional and not self.dataset.classes:
            raise ValueError("conditional=true needs labels, and this dataset has none; use conditional=false")
        if self.objective.name == "wasserstein" and self.penalty.name == "none" and not self.discriminator.bounded:
            raise ValueError(
                "penalty=none leaves objective=wasserstein without a bound: scores grow forever; "
                "use penalty=interpolation or another, or discriminator.normalization=spectral"
            )
        training = self.training
        if training.batch_size % training.replicas:
            raise ValueError(
                f"training.batch_size={training.batch_size} cannot be shared by training.replicas={training.replicas}; "
                "use a multiple"
            )
        self.discriminator.check(training.batch_size // training.replicas)
        if training.profile and training.steps <= int(training.profile.partition(":")[0]):
            raise ValueError(
                f"training.profile={training.profile} begins after the last step, training.steps={training.steps}; "
                "name earlier ones"
            )
        if training.compile == "xla" and training.replicas > 1:
            raise ValueError("training.compile=xla works on one device; use graph, or training.replicas=1")
        self.check_endpoints(of_a_study=self.study is not None)
        return self

    def check_endpoints(self, *, of_a_study: bool) -> None:
        """Refuse endpoints that such runs do not measure; ValueError.

        of_a_study: whether runs like this one will be compared. In a run that stands alone, the default of an
        exploratory endpoint may be one that images of this size do not have.
        """
        size = pair(self.dataset.size)
        for title, metric in self.comparison.endpoints.items():
            if metric.startswith("full/") and self.metrics.name != "full":
                raise ValueError(f"comparison.{title}={metric} is measured with metrics=full only; add that")
            if is_among(metric, names := self._measured(size)):
                continue
            where = f"comparison.{title}={metric}"
            if not is_among(metric, self._measured(None)):
                raise ValueError(f"{where} is not measured in these runs; {nearest(metric, names)}")
            alternative = f"use comparison.{title}=null, or " if title != "quality" else ""
            if of_a_study or not alternative or metric != Comparing().endpoints[title]:
                raise ValueError(
                    f"{where} cannot be measured on images of {size[0]}x{size[1]} pixels; "
                    f"{alternative}{nearest(metric, names)}"
                )

    def _measured(self, size: Pair | None) -> list[str]:
        """The names of the measures that can decide, for images of this size, or of any size."""
        if not isinstance(self.metrics, Full):
            return names_under(None, False, size)
        final = self.metrics.final
        features = final.features or USUAL_FEATURES
        return names_under(features, self.dataset.name == "shapes", size, final.mean_over)

    @property
    def classes(self) -> int:
        """How many classes both networks are conditioned on; 0: none."""
        return (self.dataset.classes or 0) if self.conditional else 0


def parse(tree: dict[str, Any]) -> RunConfig:
    """Settings from plain values, as YAML or JSON give them; raises ConfigError with one line.

    Where `generator.stages` is null, stages that fit `dataset.size` take its place.
    """
    try:
        json.dumps(tree)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"these settings hold a value that no setting can have ({in_a_line(error)}); use plain values"
        ) from None
    present = plugins.load(tree)
    if isinstance(tree, dict):
        if "plugins" in tree:  # as a run recorded them
            plugins.require(tree["plugins"], present)
        tree = with_stages(tree) | {"plugins": present}
    try:
        return RunConfig.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        raise explain(error, tree) from None


def differences(one: RunConfig, other: RunConfig) -> dict[str, tuple[Any, Any]]:
    """Which settings differ, by dotted name: {name: (value in one, value in other)}."""
    a, b = flatten(one.model_dump(mode="json")), flatten(other.model_dump(mode="json"))
    return {key: (a.get(key), b.get(key)) for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)}


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as {dotted name: value}; lists stay whole, and a mapping without entries has none."""
    flat = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


__all__ = [
    "LEAST", "Adam", "Arrays", "Augment", "Channels", "Comparing", "ConfigError", "Count", "DatasetSettings",
    "Digits", "Discriminator", "DiscriminatorSettings", "Emnist", "Folder", "Full", "Generator", "HuggingFace",
    "InitFrom", "Metrics", "NotNegative", "Operator", "Pair", "PenaltySettings", "Photos", "Positive", "Published",
    "RunConfig", "Settings", "Shapes", "Tfds", "differences", "flatten", "pair", "parse", "profiled",
]  # fmt: skip
