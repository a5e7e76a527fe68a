"""What Ray raises reaches callers as a refusal of ours: a code that they can act on, and never a trace."""

from __future__ import annotations

import grpc
import pytest
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    GetTimeoutError,
    NodeDiedError,
    RayTaskError,
    TaskCancelledError,
    WorkerCrashedError,
)
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError

from server.cluster.failures import refusal_of_ray
from server.rpc.status import status_code

CODES = [
    (ActorDiedError(), grpc.StatusCode.UNAVAILABLE),
    (ActorUnavailableError("secret", b"0" * 16), grpc.StatusCode.UNAVAILABLE),
    (WorkerCrashedError(), grpc.StatusCode.UNAVAILABLE),
    (NodeDiedError("secret"), grpc.StatusCode.UNAVAILABLE),
    (TaskCancelledError(), grpc.StatusCode.UNAVAILABLE),
    (ReplicaUnavailableError("secret"), grpc.StatusCode.UNAVAILABLE),
    (DeploymentUnavailableError("secret"), grpc.StatusCode.UNAVAILABLE),
    (BackPressureError(num_queued_requests=1, max_queued_requests=1), grpc.StatusCode.RESOURCE_EXHAUSTED),
    (GetTimeoutError("secret"), grpc.StatusCode.DEADLINE_EXCEEDED),
    (TimeoutError("secret"), grpc.StatusCode.DEADLINE_EXCEEDED),
]


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda one: getattr(one, "name", type(one).__name__))
def test_a_failure_of_ray_has_a_code_and_tells_nothing_of_the_inside(
    error: BaseException, code: grpc.StatusCode
) -> None:
    refusal = refusal_of_ray(error)
    assert refusal is not None
    assert status_code(refusal) is code
    assert "secret" not in refusal.message


def test_what_a_process_itself_raised_is_a_bug_whatever_class_it_has() -> None:
    for cause in (ZeroDivisionError("a bug"), TimeoutError("a bug")):
        raised = RayTaskError("answer", "a trace", cause).as_instanceof_cause()
        assert refusal_of_ray(raised) is None


def test_what_is_not_of_ray_is_a_bug() -> None:
    assert refusal_of_ray(ZeroDivisionError("a bug")) is None
