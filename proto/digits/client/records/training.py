"""Recipes and runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from digits.client.choices import (
    Activation,
    Architecture,
    Augmentation,
    Optimizer,
    TrainingPhase,
    TrainingState,
)
from digits.client.records.dataset import DataSource
from digits.client.records.gate import GateReport


@dataclass(frozen=True)
class TrainingOptions:
    """The choices of a run. In a request, what is not set is the recipe's default; in answers all are set."""

    architecture: Architecture = Architecture.UNSPECIFIED
    activation: Activation = Activation.UNSPECIFIED
    optimizer: Optimizer = Optimizer.UNSPECIFIED
    learning_rate: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    augmentation: Augmentation = Augmentation.UNSPECIFIED
    seed: int | None = None


@dataclass(frozen=True)
class OptionRange:
    """The allowed range of a numeric option, both ends included."""

    option: str
    min: float
    max: float


@dataclass(frozen=True)
class Recipe:
    """A tried way of training, with its defaults. `uses_samples`: it goes on from a version, with samples."""

    name: str
    title: str
    description: str
    defaults: TrainingOptions
    uses_all_data: bool
    uses_samples: bool = False


@dataclass(frozen=True)
class Recipes:
    """The recipes, the ranges of their numeric options by name, and the data that a run would use now."""

    recipes: tuple[Recipe, ...]
    option_ranges: Mapping[str, OptionRange]
    data_source: DataSource | None
    data_progress: str


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is. No validation figures without such data, or before the first epoch's end."""

    phase: TrainingPhase
    epoch: int
    epochs: int
    batch: int
    batches_per_epoch: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    elapsed_s: float
    remaining_s: float | None
    images_per_s: float


@dataclass(frozen=True)
class EpochMetrics:
    """The result of one finished epoch, counted from 1."""

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    duration_s: float


@dataclass(frozen=True)
class Training:
    """A run. `queue_position` is from 1, 0 when it does not wait; `model_version` is 0 without a result.

    `resumes`: how often it was cut off and went on by itself. `device` is empty before it began.
    `base_version` is what it went on from, 0 for a run that began anew; `gate` is None before it was
    measured.
    """

    training_id: str
    recipe: str
    options: TrainingOptions
    state: TrainingState
    queue_position: int
    deploy_when_done: bool
    create_time: datetime
    start_time: datetime | None
    end_time: datetime | None
    progress: TrainingProgress | None
    history: tuple[EpochMetrics, ...]
    model_version: int
    failure_reason: str
    data_source: DataSource | None
    stopped_early: bool = False
    resumes: int = 0
    device: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)
    base_version: int = 0
    samples: int = 0
    gate: GateReport | None = None


@dataclass(frozen=True)
class Trainings:
    """A page of runs, newest first."""

    trainings: tuple[Training, ...]
    next_page_token: str
    total_size: int
