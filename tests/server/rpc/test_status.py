"""Every refusal of the domain has its gRPC status, with details that programs can read."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from server import errors
from server.rpc.status import (
    DETAILS_KEY,
    internal_status,
    status_code,
    to_message,
    to_status,
    trailing_metadata,
)

CASES: list[tuple[errors.DigitsError, grpc.StatusCode, str]] = [
    (errors.InvalidImage("image.encoded", "bad"), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_IMAGE"),
    (errors.BlankImage("image.encoded", "blank"), grpc.StatusCode.INVALID_ARGUMENT, "BLANK_IMAGE"),
    (errors.InvalidOption("options.epochs", "bad"), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_OPTION"),
    (errors.InvalidPageToken(), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"),
    (errors.MalformedRequest("M"), grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST"),
    (errors.MessageTooLarge(1 << 20), grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_TOO_LARGE"),
    (errors.TokenMissing(), grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING"),
    (errors.TokenUnknown(), grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN"),
    (errors.RoleTooLow("M", "train"), grpc.StatusCode.PERMISSION_DENIED, "ROLE_TOO_LOW"),
    (errors.ServiceNotFound("x"), grpc.StatusCode.NOT_FOUND, "SERVICE_NOT_FOUND"),
    (errors.UnknownMethod("M"), grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD"),
    (errors.InvalidArchive("bad"), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARCHIVE"),
    (errors.SampleNotFound("x"), grpc.StatusCode.NOT_FOUND, "SAMPLE_NOT_FOUND"),
    (errors.SamplesFull(5, 5), grpc.StatusCode.RESOURCE_EXHAUSTED, "SAMPLES_FULL"),
    (errors.UnknownModel("cats"), grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL"),
    (errors.ModelInUse(1, "is deployed"), grpc.StatusCode.FAILED_PRECONDITION, "MODEL_IN_USE"),
    (errors.ModelNotReady(), grpc.StatusCode.UNAVAILABLE, "MODEL_NOT_READY"),
    (errors.ModelNotFound(7), grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND"),
    (errors.TrainingNotFound("x"), grpc.StatusCode.NOT_FOUND, "TRAINING_NOT_FOUND"),
    (errors.EvaluationNotFound("none"), grpc.StatusCode.NOT_FOUND, "EVALUATION_NOT_FOUND"),
    (errors.NothingDeployed(), grpc.StatusCode.FAILED_PRECONDITION, "NOTHING_DEPLOYED"),
    (errors.NoSamples(), grpc.StatusCode.FAILED_PRECONDITION, "NO_SAMPLES"),
    (errors.BaseVersionGone(5, 3), grpc.StatusCode.FAILED_PRECONDITION, "BASE_VERSION_GONE"),
    (errors.DatasetUnavailable("no"), grpc.StatusCode.FAILED_PRECONDITION, "DATASET_UNAVAILABLE"),
    (errors.TrainedOnDataset("no"), grpc.StatusCode.FAILED_PRECONDITION, "TRAINED_ON_DATASET"),
    (errors.TrainingFinished("no"), grpc.StatusCode.FAILED_PRECONDITION, "TRAINING_FINISHED"),
    (errors.TrainingWaiting("t"), grpc.StatusCode.FAILED_PRECONDITION, "TRAINING_WAITING"),
    (errors.ModelCorrupt("no"), grpc.StatusCode.FAILED_PRECONDITION, "MODEL_CORRUPT"),
    (errors.ReadOnly("StartTraining"), grpc.StatusCode.FAILED_PRECONDITION, "READ_ONLY"),
    (errors.TrainingQueueFull(8), grpc.StatusCode.RESOURCE_EXHAUSTED, "TRAINING_QUEUE_FULL"),
    (errors.TooManyTransfers("imports", 8), grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_TRANSFERS"),
    (errors.Overloaded("busy", 0.5), grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
    (errors.DiskReadOnly(), grpc.StatusCode.FAILED_PRECONDITION, "DISK_READ_ONLY"),
    (errors.DatabaseDamaged(), grpc.StatusCode.FAILED_PRECONDITION, "DATABASE_DAMAGED"),
    (errors.DiskFull(), grpc.StatusCode.RESOURCE_EXHAUSTED, "DISK_FULL"),
    (errors.DatabaseBusy(), grpc.StatusCode.UNAVAILABLE, "DATABASE_BUSY"),
    (errors.DatabaseUnreachable(), grpc.StatusCode.UNAVAILABLE, "DATABASE_UNREACHABLE"),
    (errors.ArtifactsUnreachable(), grpc.StatusCode.UNAVAILABLE, "ARTIFACTS_UNREACHABLE"),
    (errors.WorkerLost(), grpc.StatusCode.UNAVAILABLE, "WORKER_LOST"),
    (errors.CallerElsewhere(), grpc.StatusCode.PERMISSION_DENIED, "CALLER_ELSEWHERE"),
    (errors.SweepNotFound("x"), grpc.StatusCode.NOT_FOUND, "SWEEP_NOT_FOUND"),
    (errors.SweepFinished("x", "has succeeded"), grpc.StatusCode.FAILED_PRECONDITION, "SWEEP_FINISHED"),
    (errors.SweepRunning("x"), grpc.StatusCode.RESOURCE_EXHAUSTED, "SWEEP_RUNNING"),
    (errors.DiskFailing(), grpc.StatusCode.UNAVAILABLE, "DISK_FAILING"),
    (errors.DataPreparing("wait", 1.5), grpc.StatusCode.UNAVAILABLE, "DATA_PREPARING"),
    (errors.DeadlineExceeded(), grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
    (errors.ShuttingDown("bye", 2.0), grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN"),
]


@pytest.mark.parametrize(("error", "code", "reason"), CASES, ids=[reason for _, _, reason in CASES])
def test_a_refusal_has_its_code_and_its_reason(
    error: errors.DigitsError, code: grpc.StatusCode, reason: str
) -> None:
    assert status_code(error) is code
    status = to_status(error)
    assert status.code == code.value[0]
    assert status.message == error.message
    info = _detail(status, error_details_pb2.ErrorInfo())
    assert (info.reason, info.domain) == (reason, "digits")


def test_every_leaf_of_the_error_tree_is_in_the_table_above() -> None:
    assert {type(error) for error, _, _ in CASES} == set(_leaves(errors.DigitsError))


def test_a_bad_field_is_named_in_bad_request() -> None:
    status = to_status(errors.InvalidOption("options.epochs", "expected 1 to 100, got 0"))
    violation = _detail(status, error_details_pb2.BadRequest()).field_violations[0]
    assert violation.field == "options.epochs"
    assert violation.description == "expected 1 to 100, got 0"


def test_what_passes_by_itself_says_when_to_retry() -> None:
    status = to_status(errors.Overloaded("busy", retry_after_s=0.5))
    assert _detail(status, error_details_pb2.RetryInfo()).retry_delay.ToMilliseconds() == 500


def test_a_bug_tells_a_fixed_text_and_nothing_of_the_inside() -> None:
    status = internal_status()
    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    assert status.message == "an error inside the server; its log tells more"


@pytest.mark.parametrize("letter", ["x", "é", "…", "😀", "\udc80"])
@pytest.mark.parametrize(
    "refuse",
    [
        errors.SampleNotFound,
        errors.UnknownModel,
        lambda text: errors.InvalidArgument(text, text, limit=text),
        lambda text: errors.ModelCorrupt(text, model=text),
        lambda text: errors.EvaluationNotFound(text, model=text, dataset=text),
    ],
)
def test_a_refusal_that_names_a_thing_of_any_length_fits_into_the_headers(
    refuse: Callable[[str], errors.DigitsError], letter: str
) -> None:
    error = refuse(letter * 100_000)
    ((key, details),) = trailing_metadata(to_status(error))
    assert key == DETAILS_KEY
    message = to_message(error)
    assert message.endswith("…")
    # What is no plain letter takes three bytes in the one, and three bytes four in the other.
    assert 3 * len(message.encode()) + len(details) * 4 / 3 < 8 * 1024 - 500


def test_a_text_that_fits_is_told_as_it_is() -> None:
    for text in ("x" * 600, "é" * 300, "😀" * 150, "short", ""):
        assert to_message(errors.ModelCorrupt(text)) == text


def _detail(status: status_pb2.Status, message):  # type: ignore[no-untyped-def]
    for detail in status.details:
        if detail.Is(message.DESCRIPTOR):
            detail.Unpack(message)
            return message
    raise AssertionError(f"no {message.DESCRIPTOR.full_name} among the details")


def _leaves(branch: type[errors.DigitsError]) -> list[type[errors.DigitsError]]:
    # What is told of an error is told of its kinds elsewhere too.
    below = [one for one in branch.__subclasses__() if one.__module__ == errors.__name__]
    return [leaf for one in below for leaf in _leaves(one)] if below else [branch]
