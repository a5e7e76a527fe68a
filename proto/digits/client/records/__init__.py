"""What the server answers, as plain values: the messages of `digits.v1` under their own names.

Times are aware datetimes in UTC, images (28, 28) uint8 arrays with 0 = background, shares in [0, 1],
durations in the unit of their name.
"""

from __future__ import annotations

from digits.client.records.comparison import ComparedDigit, Comparison, Reading
from digits.client.records.dataset import DatasetInfo, Datasets, DataSource, Pixels
from digits.client.records.evaluation import (
    ClassMetrics,
    Evaluation,
    LikelyLabelError,
    LikelyLabelErrors,
    MisclassifiedDigit,
    MisclassifiedDigits,
    TestDigit,
    TestDigits,
)
from digits.client.records.gate import GateComparison, GateReport
from digits.client.records.model import (
    Damage,
    Deployment,
    Deployments,
    ExportedModel,
    Model,
    Models,
    Provenance,
    UnreadableModel,
)
from digits.client.records.prediction import (
    Answer,
    BatchAnswer,
    Box,
    Explanation,
    Neighbour,
    NumberAnswer,
    NumberDigit,
    Prediction,
    Timings,
)
from digits.client.records.sample import (
    AddedSample,
    ImportedSamples,
    Sample,
    SampleAccuracy,
    SampleFilter,
    Samples,
)
from digits.client.records.sweep import Sweep, SweepRange, Sweeps, Trial
from digits.client.records.training import (
    EpochMetrics,
    OptionRange,
    Recipe,
    Recipes,
    Training,
    TrainingOptions,
    TrainingProgress,
    Trainings,
)

__all__ = [
    "AddedSample",
    "Answer",
    "BatchAnswer",
    "Box",
    "ClassMetrics",
    "ComparedDigit",
    "Comparison",
    "Damage",
    "DataSource",
    "DatasetInfo",
    "Datasets",
    "Deployment",
    "Deployments",
    "EpochMetrics",
    "Evaluation",
    "Explanation",
    "ExportedModel",
    "GateComparison",
    "GateReport",
    "ImportedSamples",
    "LikelyLabelError",
    "LikelyLabelErrors",
    "MisclassifiedDigit",
    "MisclassifiedDigits",
    "Model",
    "Models",
    "Neighbour",
    "NumberAnswer",
    "NumberDigit",
    "OptionRange",
    "Pixels",
    "Prediction",
    "Provenance",
    "Reading",
    "Recipe",
    "Recipes",
    "Sample",
    "SampleAccuracy",
    "SampleFilter",
    "Samples",
    "Sweep",
    "SweepRange",
    "Sweeps",
    "TestDigit",
    "TestDigits",
    "Timings",
    "Training",
    "TrainingOptions",
    "TrainingProgress",
    "Trainings",
    "Trial",
    "UnreadableModel",
]
