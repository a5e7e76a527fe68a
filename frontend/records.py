"""What the server answers, as plain values: the messages of `digits.v1` under their own names.

Times are aware datetimes in UTC, images (28, 28) uint8 arrays with 0 = background, shares in [0, 1],
durations in the unit of their name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from frontend.choices import (
    Activation,
    Architecture,
    Augmentation,
    Dataset,
    DataSourceKind,
    EvaluationState,
    Optimizer,
    TrainingPhase,
    TrainingState,
)

Pixels = npt.NDArray[np.uint8]
"""An image: (28, 28) uint8, 0 = background."""


@dataclass(frozen=True)
class DataSource:
    """Where the digits came from; `description` is a sentence for a person."""

    kind: DataSourceKind
    description: str
    sha256: str


@dataclass(frozen=True)
class DatasetInfo:
    """A data set, and whether its images are on the server's machine."""

    dataset: Dataset
    images: int
    is_available: bool


@dataclass(frozen=True)
class Datasets:
    """Every data set. While they are prepared, `data_source` is None and `data_progress` says how far."""

    datasets: tuple[DatasetInfo, ...]
    data_source: DataSource | None
    data_progress: str


@dataclass(frozen=True)
class ClassMetrics:
    """How well one digit is read; `support` is its number of images."""

    digit: int
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a version does on a data set. All figures are 0 until it has succeeded.

    `accuracy_low` and `accuracy_high` bound the 95 % interval; `loss` is the mean cross-entropy in nats;
    `confusion_matrix` is (10, 10) int64, true digit (row) x predicted digit (column);
    `expected_calibration_error` says how far confidence is from accuracy, None where it was not measured.
    """

    evaluation_id: str
    model_version: int
    dataset: Dataset
    state: EvaluationState
    failure_reason: str
    create_time: datetime
    end_time: datetime | None
    images: int
    misclassified: int
    loss: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    per_class: tuple[ClassMetrics, ...]
    confusion_matrix: npt.NDArray[np.int64]
    expected_calibration_error: float | None = None


@dataclass(frozen=True, eq=False)
class TestDigit:
    """A digit of a data set; `index` is its place in there."""

    __test__ = False  # The name is the contract's; it is no test class.

    index: int
    pixels: Pixels
    label: int


@dataclass(frozen=True)
class TestDigits:
    """A page of digits. `total_size` counts all that pass the filter; an empty token marks the last page."""

    __test__ = False

    digits: tuple[TestDigit, ...]
    next_page_token: str
    total_size: int


@dataclass(frozen=True, eq=False)
class MisclassifiedDigit:
    """A digit that a version misreads. `probabilities` are of the digits 0 to 9; `loss` is in nats."""

    index: int
    pixels: Pixels
    true_digit: int
    predicted_digit: int
    confidence: float
    probabilities: tuple[float, ...]
    loss: float


@dataclass(frozen=True)
class MisclassifiedDigits:
    """A page of misread digits. `total_size` counts all that pass the filters."""

    digits: tuple[MisclassifiedDigit, ...]
    next_page_token: str
    total_size: int
    evaluation_id: str


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
    """A tried way of training, with its defaults."""

    name: str
    title: str
    description: str
    defaults: TrainingOptions
    uses_all_data: bool


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


@dataclass(frozen=True)
class Trainings:
    """A page of runs, newest first."""

    trainings: tuple[Training, ...]
    next_page_token: str
    total_size: int


@dataclass(frozen=True)
class Provenance:
    """What a version was made from. `training_id` is empty when it was not trained on this server."""

    training_id: str
    recipe: str
    options: TrainingOptions
    data_source: DataSource | None
    training_partitions: tuple[str, ...]
    training_images: int
    validation_partitions: tuple[str, ...]
    validation_images: int
    validation_accuracy: float | None
    libraries: Mapping[str, str]
    command: str


@dataclass(frozen=True)
class Model:
    """An immutable model version. `evaluation` is on the test set of its own training.

    A prediction with less confidence than `uncertain_below` is called uncertain; 0 calls none so.
    """

    model_version: int
    is_deployed: bool
    is_shipped: bool
    create_time: datetime
    parameters: int
    artifact_bytes: int
    artifact_sha256: str
    provenance: Provenance
    evaluation: Evaluation | None
    uncertain_below: float = 0.0


@dataclass(frozen=True)
class Models:
    """A page of versions, newest first."""

    models: tuple[Model, ...]
    next_page_token: str
    total_size: int


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model reads in one image. `model_input` is the image that it saw.

    `is_uncertain`: better to ask than to believe; most scribbles and letters are flagged, few true digits.
    """

    digit: int
    confidence: float
    probabilities: tuple[float, ...]
    model_input: Pixels
    is_uncertain: bool = False


@dataclass(frozen=True)
class Timings:
    """How long each step took on the server, in milliseconds."""

    decode_ms: float
    preprocess_ms: float
    queue_ms: float
    engine_ms: float
    total_ms: float


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer to one image."""

    prediction: Prediction
    model_version: int
    timings: Timings


@dataclass(frozen=True, eq=False)
class BatchAnswer:
    """The answers to several images, in their order."""

    predictions: tuple[Prediction, ...]
    model_version: int
    timings: Timings


@dataclass(frozen=True)
class Box:
    """A rectangle in the pixels of the image that was sent: its left and upper edge, its size."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class NumberDigit:
    """One digit of a number: what the model reads, where its ink is, and in which line, from 0 at the top."""

    prediction: Prediction
    box: Box
    line: int


@dataclass(frozen=True, eq=False)
class NumberAnswer:
    """Every digit in one image, from left to right, line by line. In `text` a line feed parts the lines."""

    text: str
    digits: tuple[NumberDigit, ...]
    model_version: int
    timings: Timings
