"""Everything the domain refuses, as one tree; `rpc/status.py` turns each branch into a gRPC status.

DigitsError
├── InvalidArgument          the request itself is wrong; names the field
│   ├── InvalidImage         undecodable, truncated, too large, wrong number of bytes
│   ├── BlankImage           an image without ink
│   ├── InvalidOption        a training option or a filter out of its range
│   └── InvalidPageToken     a token that came from another query
├── NotFound
│   ├── ModelNotFound
│   ├── TrainingNotFound
│   └── EvaluationNotFound
├── FailedPrecondition       right request, wrong moment
│   ├── NothingDeployed
│   ├── DatasetUnavailable
│   ├── TrainedOnDataset     measuring a version on what it has learnt by heart
│   ├── TrainingFinished
│   ├── TrainingWaiting      stopping a run that has not begun
│   ├── ModelCorrupt         a version's files do not match their checksums
│   └── ReadOnly             asked of a replica, which only reads
├── Exhausted                come back later; carries the seconds to wait
│   ├── TrainingQueueFull
│   └── Overloaded
├── Unavailable              come back soon; carries the seconds to wait
│   ├── DataPreparing
│   └── ShuttingDown
└── DeadlineExceeded         the caller no longer waits for the answer
"""

from __future__ import annotations

import re


class DigitsError(Exception):
    """A refusal with a message for a person. `reason` is its stable name for programs."""

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata

    @property
    def reason(self) -> str:
        """The class name in the form of `google.rpc.ErrorInfo.reason`: BlankImage -> BLANK_IMAGE."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).upper()


class InvalidArgument(DigitsError):
    """A field of the request is wrong. `field` is its path in the request, such as `images[3].encoded`."""

    def __init__(self, field: str, message: str, **metadata: str) -> None:
        super().__init__(f"{field}: {message}", **metadata)
        self.field = field
        self.description = message


class InvalidImage(InvalidArgument):
    """The bytes are no image that can be read."""


class BlankImage(InvalidArgument):
    """The image holds no ink."""


class InvalidOption(InvalidArgument):
    """An option is outside its allowed range."""


class InvalidPageToken(InvalidArgument):
    """The page token belongs to another query, or to none."""

    def __init__(self) -> None:
        super().__init__(
            "page_token", "expected the next_page_token of the same query; start again without one"
        )


class NotFound(DigitsError):
    """The thing that was named does not exist."""


class ModelNotFound(NotFound):
    """No model version has this number."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"model_version: no version {version}; ListModels shows the versions there are",
            model_version=str(version),
        )


class TrainingNotFound(NotFound):
    """No training run has this id."""

    def __init__(self, training_id: str) -> None:
        super().__init__(
            f"training_id: no training {training_id!r}; ListTrainings shows the runs there are",
            training_id=training_id,
        )


class EvaluationNotFound(NotFound):
    """No evaluation has this id, or the version was not measured on this data set yet."""


class FailedPrecondition(DigitsError):
    """The request is right, but not in the present state."""


class NothingDeployed(FailedPrecondition):
    """A prediction was asked of the deployed version, and there is none."""

    def __init__(self) -> None:
        super().__init__("no version is deployed; deploy one with DeployModel, or name a model_version")


class DatasetUnavailable(FailedPrecondition):
    """The images of a data set are not on this machine."""


class TrainedOnDataset(FailedPrecondition):
    """The version was trained on (part of) the data it should be measured on."""


class TrainingFinished(FailedPrecondition):
    """The run has ended already: there is nothing left to cancel or to stop."""


class TrainingWaiting(FailedPrecondition):
    """The run has not begun to train: there is no epoch to keep."""

    def __init__(self, training_id: str) -> None:
        super().__init__(
            f"training_id: the training {training_id} waits and has no epoch to keep; "
            "CancelTraining takes it out of the queue",
            training_id=training_id,
        )


class ModelCorrupt(FailedPrecondition):
    """A version's files are damaged, or are no model this server can run."""


class ReadOnly(FailedPrecondition):
    """The server is a replica: it answers predictions and tells of versions, and changes nothing."""

    def __init__(self, method: str) -> None:
        super().__init__(
            f"this server is a read-only replica and has no {method}; ask the server that owns the data"
        )


class RetryLater(DigitsError):
    """A refusal that passes by itself. `retry_after_s`: seconds after which a retry makes sense."""

    def __init__(self, message: str, retry_after_s: float, **metadata: str) -> None:
        super().__init__(message, **metadata)
        self.retry_after_s = retry_after_s


class Exhausted(RetryLater):
    """A queue is full."""


class TrainingQueueFull(Exhausted):
    """One run is training and `limit` are waiting."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"one training runs and {limit} are waiting already; cancel one or try again later",
            retry_after_s=30.0,
            limit=str(limit),
        )


class Overloaded(Exhausted):
    """More predictions are waiting than the server will hold."""


class Unavailable(RetryLater):
    """The server cannot answer yet, or no longer."""


class DataPreparing(Unavailable):
    """The digits are still being read or downloaded."""


class ShuttingDown(Unavailable):
    """The server is going down: no new work is taken."""


class DeadlineExceeded(DigitsError):
    """The time that the caller gave was over before the work began: nothing was computed."""

    def __init__(self) -> None:
        super().__init__("the deadline passed while the request waited; nothing was computed")
