"""The enums of `digits.v1`, under their own names and numbers. UNSPECIFIED: not set, the server's default."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class ContractEnum(IntEnum):
    """An enum of the contract, with its numbers. A number from a newer server reads as UNSPECIFIED."""

    @classmethod
    def _missing_(cls, value: object) -> Self:
        return cls(0)


class Dataset(ContractEnum):
    """A named set of labelled digits."""

    UNSPECIFIED = 0
    MNIST_TEST = 1
    BUILTIN_DIGITS = 2
    BUILTIN_TEST = 3


class DataSourceKind(ContractEnum):
    """Where the digits on the server's machine came from."""

    UNSPECIFIED = 0
    MNIST_FILE = 1
    MNIST_DOWNLOAD = 2
    BUILTIN = 3


class EvaluationState(ContractEnum):
    """Where an evaluation stands."""

    UNSPECIFIED = 0
    RUNNING = 1
    SUCCEEDED = 2
    FAILED = 3


class MisclassifiedOrder(ContractEnum):
    """In which order misclassified digits come."""

    UNSPECIFIED = 0
    CONFIDENCE = 1
    LOSS = 2
    INDEX = 3
    RANDOM = 4
    MARGIN = 5


class ComparisonOutcome(ContractEnum):
    """How two versions read a digit; UNSPECIFIED in a filter: all that at least one misreads."""

    UNSPECIFIED = 0
    FIXED = 1
    BROKEN = 2
    BOTH_WRONG = 3


class Preprocessing(ContractEnum):
    """How an image becomes the 28x28 pixels that the model reads."""

    UNSPECIFIED = 0
    NORMALISE = 1
    RESIZE = 2
    NONE = 3


class Interpolation(ContractEnum):
    """How a plain resize computes a small pixel from the large ones."""

    UNSPECIFIED = 0
    NEAREST = 1
    BILINEAR = 2
    AREA = 3
    CUBIC = 4


class Architecture(ContractEnum):
    """The shape of the network."""

    UNSPECIFIED = 0
    MLP = 1
    CNN = 2


class Activation(ContractEnum):
    """The function of the hidden units."""

    UNSPECIFIED = 0
    RELU = 1
    SIGMOID = 2


class Optimizer(ContractEnum):
    """How gradients become steps."""

    UNSPECIFIED = 0
    ADAM = 1
    SGD = 2
    ADAGRAD = 3


class Augmentation(ContractEnum):
    """What is done to each training image anew in each epoch."""

    UNSPECIFIED = 0
    NONE = 1
    STANDARD = 2


class TrainingState(ContractEnum):
    """Where a run stands."""

    UNSPECIFIED = 0
    QUEUED = 1
    RUNNING = 2
    SUCCEEDED = 3
    FAILED = 4
    CANCELLED = 5

    @property
    def is_final(self) -> bool:
        """Whether the run has ended."""
        return self >= TrainingState.SUCCEEDED


class TrainingPhase(ContractEnum):
    """What a running training is doing."""

    UNSPECIFIED = 0
    STARTING = 1
    TRAINING = 2
    EVALUATING = 3


class SweepState(ContractEnum):
    """Where a sweep stands."""

    UNSPECIFIED = 0
    RUNNING = 1
    SUCCEEDED = 2
    FAILED = 3
    STOPPED = 4

    @property
    def is_final(self) -> bool:
        """Whether the sweep has ended."""
        return self >= SweepState.SUCCEEDED


class TrialState(ContractEnum):
    """Where a trial of a sweep stands."""

    UNSPECIFIED = 0
    WAITING = 1
    RUNNING = 2
    SUCCEEDED = 3
    FELL_BEHIND = 4
    FAILED = 5
    CANCELLED = 6

    @property
    def is_final(self) -> bool:
        """Whether the trial has ended."""
        return self >= TrialState.SUCCEEDED


class GateData(ContractEnum):
    """What a gate's comparison was measured on."""

    UNSPECIFIED = 0
    VALIDATION = 1
    SAMPLES = 2


class DeploymentAction(ContractEnum):
    """What happened to a version."""

    UNSPECIFIED = 0
    DEPLOYED = 1
    ROLLED_BACK = 2
    DELETED = 3
    UNDEPLOYED = 4


class ExportFormat(ContractEnum):
    """A form of a version that other software reads."""

    UNSPECIFIED = 0
    KERAS = 1
    SAVED_MODEL = 2
    TFLITE = 3
    ONNX = 4


class SampleSource(ContractEnum):
    """Where a sample came from; UNSPECIFIED in a filter: any."""

    UNSPECIFIED = 0
    DRAWN = 1
    IMPORTED = 2


class SampleUse(ContractEnum):
    """What a sample is used for; UNSPECIFIED in a filter: any."""

    UNSPECIFIED = 0
    TRAINING = 1
    HELD_OUT = 2
    EXCLUDED = 3
