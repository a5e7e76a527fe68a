"""Everything the domain refuses, as one tree; `rpc/status.py` turns each branch into a gRPC status.

DigitsError
├── InvalidArgument          the request itself is wrong; names the field
│   ├── InvalidImage         undecodable, truncated, too large, wrong number of bytes
│   ├── BlankImage           an image without ink
│   ├── InvalidOption        a training option or a filter out of its range
│   ├── InvalidPageToken     a token that came from another query
│   ├── InvalidArchive       samples that cannot be read, or too many of them
│   ├── MalformedRequest     bytes that are no message
│   └── MessageTooLarge
├── Unauthenticated          nobody knows who calls
│   ├── TokenMissing
│   └── TokenUnknown
├── PermissionDenied         it is known who calls, and that is not enough
│   ├── RoleTooLow
│   └── CallerElsewhere      on another machine, where only this one is served
├── NotFound
│   ├── ModelNotFound
│   ├── UnknownModel         the same in the Open Inference Protocol's words
│   ├── TrainingNotFound
│   ├── SweepNotFound
│   ├── EvaluationNotFound
│   ├── SampleNotFound
│   └── ServiceNotFound      the health of a service that is not there
├── FailedPrecondition       right request, wrong moment
│   ├── NothingDeployed
│   ├── NoSamples            a run that learns from samples, without any
│   ├── BaseVersionGone      going on from a version whose own beginning was deleted
│   ├── DatasetUnavailable
│   ├── TrainedOnDataset     measuring a version on what it has learnt by heart
│   ├── TrainingFinished
│   ├── TrainingWaiting      stopping a run that has not begun
│   ├── SweepFinished
│   ├── ModelCorrupt         a version's files do not match their checksums
│   ├── ModelInUse           deleting a version that something still needs
│   ├── DiskReadOnly         the data folder cannot be written
│   ├── DatabaseDamaged
│   └── ReadOnly             asked of a replica, which only reads
├── Exhausted                come back later; carries the seconds to wait
│   ├── TrainingQueueFull
│   ├── SweepRunning         starting a second one
│   ├── TooManyTransfers     as many archives and exports as the server holds at once
│   └── Overloaded
├── SamplesFull              no room until something is deleted: nothing that passes by itself
├── DiskFull                 the same of the disk
├── Unavailable              come back soon; carries the seconds to wait
│   ├── DataPreparing
│   ├── ModelNotReady        NothingDeployed in the Open Inference Protocol's words
│   ├── DatabaseBusy         another process writes for too long
│   ├── DatabaseUnreachable  PostgreSQL is away, or another server owns the database now
│   ├── DiskFailing          the disk does not read or write
│   ├── ArtifactsUnreachable where machines share the versions does not answer
│   ├── WorkerLost           on a cluster: the process that had the call, or its machine, is gone
│   └── ShuttingDown
├── DeadlineExceeded         the caller no longer waits for the answer
└── Unsupported              a part of the Open Inference Protocol that is not served
    └── UnknownMethod        no service has this method
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


class MalformedRequest(InvalidArgument):
    """The bytes that came are not the method's request message."""

    def __init__(self, method: str) -> None:
        super().__init__("request", f"expected the request message of {method}, got bytes that do not parse")


class MessageTooLarge(InvalidArgument):
    """The request message is larger than any may be."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            "request",
            f"expected a message of at most {limit_bytes >> 20} MiB, got a larger one; send less at once",
            limit_bytes=str(limit_bytes),
        )


class Unauthenticated(DigitsError):
    """The call does not show who makes it."""


class TokenMissing(Unauthenticated):
    """The call carries no token, and this server asks for one."""

    def __init__(self) -> None:
        super().__init__(
            "expected one token in the metadata, `authorization: Bearer …`, got none, or several"
        )


class TokenUnknown(Unauthenticated):
    """The call carries a token that this server does not know."""

    def __init__(self) -> None:
        super().__init__("the token is not one of this server's; ask whoever runs it for one")


class PermissionDenied(DigitsError):
    """The call shows who makes it, and that one may not."""


class RoleTooLow(PermissionDenied):
    """The token's role does not allow this method."""

    def __init__(self, method: str, needed: str) -> None:
        super().__init__(f"{method} needs a token with the role {needed}", role=needed)


class CallerElsewhere(PermissionDenied):
    """The server answers callers on its own machine only, and this one is on another."""

    def __init__(self) -> None:
        super().__init__("this server answers callers on its own machine only (DIGITS_HOST on the server)")


class InvalidArchive(InvalidArgument):
    """The archive holds no samples that can be read. The message names what is wrong, and where."""

    def __init__(self, message: str) -> None:
        super().__init__("chunk", message)


class NotFound(DigitsError):
    """The thing that was named does not exist. The first of the metadata says which it was."""

    resource_type = ""
    """What kind of thing was named, such as "digits.v1.Model"."""

    @property
    def resource_name(self) -> str:
        """Which one was named."""
        return next(iter(self.metadata.values()), "")


class ModelNotFound(NotFound):
    """No model version has this number."""

    resource_type = "digits.v1.Model"

    def __init__(self, version: int) -> None:
        super().__init__(
            f"model_version: no version {version}; ListModels shows the versions there are",
            model_version=str(version),
        )


class UnknownModel(NotFound):
    """A client of the Open Inference Protocol named a model or version that there is not."""

    resource_type = "digits.v1.Model"

    def __init__(self, what: str) -> None:
        # The beginning that clients of the protocol know.
        super().__init__(f"Request for unknown model: {what}", model=what)


class TrainingNotFound(NotFound):
    """No training run has this id."""

    resource_type = "digits.v1.Training"

    def __init__(self, training_id: str) -> None:
        super().__init__(
            f"training_id: no training {training_id!r}; ListTrainings shows the runs there are",
            training_id=training_id,
        )


class SweepNotFound(NotFound):
    """No sweep has this id."""

    resource_type = "digits.v1.Sweep"

    def __init__(self, sweep_id: str) -> None:
        super().__init__(
            f"sweep_id: no sweep {sweep_id!r}; ListSweeps shows the sweeps there are", sweep_id=sweep_id
        )


class EvaluationNotFound(NotFound):
    """No evaluation has this id, or the version was not measured on this data set yet."""

    resource_type = "digits.v1.Evaluation"


class ServiceNotFound(NotFound):
    """This server has no such service, so there is no health of it."""

    resource_type = "service"

    def __init__(self, service: str) -> None:
        super().__init__(
            f"service: no service {service!r}; reflection lists those there are", service=service
        )


class SampleNotFound(NotFound):
    """No sample has this id."""

    resource_type = "digits.v1.Sample"

    def __init__(self, sample_id: str) -> None:
        super().__init__(
            f"sample_id: no sample {sample_id!r}; ListSamples shows the samples there are",
            sample_id=sample_id,
        )


class FailedPrecondition(DigitsError):
    """The request is right, but not in the present state. What the metadata names is in that state."""

    @property
    def subject(self) -> str:
        """What has to change first: `name/value` of the first of the metadata, else the server itself."""
        return next((f"{name}/{value}" for name, value in self.metadata.items()), "server")


class NothingDeployed(FailedPrecondition):
    """A prediction was asked of the deployed version, and there is none."""

    def __init__(self) -> None:
        super().__init__("no version is deployed; deploy one with DeployModel, or name a model_version")


class NoSamples(FailedPrecondition):
    """A run would learn from people's own samples, and there are none to train on."""

    def __init__(self) -> None:
        super().__init__("there are no samples to train on; draw some digits and say what they are first")


class BaseVersionGone(FailedPrecondition):
    """A version was taught from another one, from which every further teaching begins, and that is gone."""

    def __init__(self, version: int, root: int) -> None:
        super().__init__(
            f"base_version: version {version} was taught from version {root}, from which teaching begins "
            "again, and that was deleted; name another base_version",
            base_version=str(version),
        )


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


class SweepFinished(FailedPrecondition):
    """The sweep has ended already: there is nothing left to stop."""

    def __init__(self, sweep_id: str, how: str) -> None:
        """`how`: what became of it, such as "has succeeded"."""
        super().__init__(
            f"sweep_id: the sweep {sweep_id} {how} already; there is nothing left to stop", sweep_id=sweep_id
        )


class ModelCorrupt(FailedPrecondition):
    """A version's files are damaged, or are no model this server can run."""


class ModelInUse(FailedPrecondition):
    """A version cannot be deleted: it is deployed, came with the software, or a run goes on from it."""

    def __init__(self, version: int, why: str) -> None:
        """`why`: the rest of the sentence that begins with "version 3"."""
        super().__init__(f"version {version} {why}", model_version=str(version))


class DiskReadOnly(FailedPrecondition):
    """The data folder cannot be written: its disk, or the folder, became read-only."""

    def __init__(self) -> None:
        super().__init__(
            "the data folder cannot be written, so nothing can be kept; have its disk made writable again. "
            "Predictions go on"
        )


class DatabaseDamaged(FailedPrecondition):
    """A part of the database that the request needs is damaged on the disk."""

    def __init__(self) -> None:
        super().__init__(
            "the database is damaged; have the server stopped and its latest backup restored "
            "(docs/operations.md). Predictions go on"
        )


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
    """One run is training, or as many as there are places for, and `limit` are waiting."""

    def __init__(self, limit: int, places: int = 1) -> None:
        training = {0: "no training runs", 1: "one training runs"}.get(places, f"{places} trainings run")
        super().__init__(
            f"{training} and {limit} are waiting already; cancel one or try again later",
            retry_after_s=30.0,
            limit=str(limit),
        )


class SweepRunning(Exhausted):
    """One sweep runs at a time, and one does."""

    def __init__(self, sweep_id: str) -> None:
        super().__init__(
            f"the sweep {sweep_id} runs, and one runs at a time; stop it with StopSweep, or try again later",
            retry_after_s=30.0,
            sweep_id=sweep_id,
        )


class TooManyTransfers(Exhausted):
    """As many archives come or go, or as many versions wait to be converted, as may at once."""

    def __init__(self, what: str, limit: int) -> None:
        """`what`: whatever there are too many of, such as "imports"."""
        super().__init__(
            f"{limit} {what} are under way, as many as may be; try again after the delay in RetryInfo",
            retry_after_s=2.0,
            limit=str(limit),
        )


class Overloaded(Exhausted):
    """More predictions are waiting than the server will hold."""


class SamplesFull(DigitsError):
    """As many samples are kept as there may be, or as much of drawings: some have to be deleted first."""

    def __init__(self, kept: int, limit: int, message: str = "") -> None:
        super().__init__(
            message
            or f"{kept:,} samples are kept, and there may be {limit:,}; delete some with DeleteSample",
            kept=str(kept),
            limit=str(limit),
        )

    @classmethod
    def of_bytes(cls, kept: int, limit: int) -> SamplesFull:
        """The same for what the drawings take on the disk."""
        return cls(
            kept,
            limit,
            f"the samples' drawings take {kept:,} bytes, and may take {limit:,} (DIGITS_SAMPLES_MIB on the "
            "server); delete some with DeleteSample",
        )


class DiskFull(DigitsError):
    """The disk of the data folder is full: nothing is kept, and nothing half kept, until there is room."""

    def __init__(self, whose: str = "data folder") -> None:
        super().__init__(
            f"the disk of the {whose} is full, so nothing more can be kept; have room made there, and try "
            "again. Predictions go on"
        )


class Unavailable(RetryLater):
    """The server cannot answer yet, or no longer."""


class DataPreparing(Unavailable):
    """The digits are still being read or downloaded."""


class ModelNotReady(Unavailable):
    """A client of the Open Inference Protocol asked for a prediction, and nothing is deployed."""

    def __init__(self) -> None:
        super().__init__("the model is not ready: no version is deployed", retry_after_s=5.0)


class DatabaseBusy(Unavailable):
    """The database was locked for longer than a write waits: another process holds it, or much is written."""

    def __init__(self) -> None:
        super().__init__("the database is busy with other writes; try again", retry_after_s=2.0)


class DatabaseUnreachable(Unavailable):
    """The PostgreSQL server of the database does not answer. The server's log has the reason."""

    def __init__(self) -> None:
        super().__init__(
            "the database cannot be reached; try again, and if that does not help have the server's log "
            "looked at. Predictions go on",
            retry_after_s=2.0,
        )


class DiskFailing(Unavailable):
    """The disk of the data folder answered with an error. The server's log has its words."""

    def __init__(self) -> None:
        super().__init__(
            "the disk of the data folder does not work as it should; try again, and if that does not help "
            "have the server's log looked at. Predictions go on",
            retry_after_s=10.0,
        )


class ArtifactsUnreachable(Unavailable):
    """The place where machines share the versions does not answer. The server's log has the cause."""

    def __init__(self, why: str = "", is_setting: bool = False) -> None:
        """`why`: a sentence for whoever runs the server; `is_setting`: it does not pass by itself."""
        super().__init__(
            "the place where the versions are shared cannot be reached (DIGITS_ARTIFACTS_URL on the server), "
            "so nothing of them is changed; try again. Predictions go on",
            retry_after_s=5.0,
        )
        self.why = why
        self.is_setting = is_setting


class WorkerLost(Unavailable):
    """On a cluster: the process that worked on the call is gone, and another one takes its place."""

    def __init__(self) -> None:
        super().__init__(
            "the process that worked on this call is gone, and another one takes its place; try again",
            retry_after_s=0.2,
        )


class ShuttingDown(Unavailable):
    """The server is going down: no new work is taken."""


class DeadlineExceeded(DigitsError):
    """The time that the caller gave was over before the work began: nothing was computed."""

    def __init__(self) -> None:
        super().__init__("the deadline passed while the request waited; nothing was computed")


class Unsupported(DigitsError):
    """The method or the parameter belongs to a protocol that is served here, but is not."""


class UnknownMethod(Unsupported):
    """This server has no such method."""

    def __init__(self, method: str) -> None:
        super().__init__(f"no method {method}; reflection lists those there are", method=method)
