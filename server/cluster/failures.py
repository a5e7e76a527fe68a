"""What Ray raises when a call does not come through, in the words of every other refusal."""

from __future__ import annotations

import grpc
from ray.exceptions import (
    AsyncioActorExit,
    GetTimeoutError,
    NodeDiedError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfMemoryError,
    PendingCallsLimitExceeded,
    RayActorError,
    RaySystemError,
    RayTaskError,
    RpcError,
    TaskCancelledError,
    WorkerCrashedError,
)
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError

from server.errors import DeadlineExceeded, DigitsError, Overloaded, WorkerLost

# What became of a process, its machine, or something that was on it. A call that was cancelled by nobody here
# was so because its process ended.
GONE = (
    # The connection to a process, where calls travel by gRPC.
    grpc.aio.AioRpcError,
    AsyncioActorExit,
    DeploymentUnavailableError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RaySystemError,
    ReplicaUnavailableError,
    RpcError,
    TaskCancelledError,
    WorkerCrashedError,
)
FULL = (BackPressureError, ObjectStoreFullError, PendingCallsLimitExceeded)
# When Ray says that too many wait, they have waited for this long already.
RETRY_AFTER_S = 0.5


def refusal_of_ray(error: BaseException) -> DigitsError | None:
    """The refusal that a failure of Ray amounts to; None for a bug in what it ran."""
    # What a process raised comes as a RayTaskError, whatever else it is too: that is no process gone.
    if isinstance(error, RayTaskError) and not isinstance(error, TaskCancelledError | RayActorError):
        return None
    if isinstance(error, FULL):
        return Overloaded(
            "more predictions wait than can be answered in time; try again after the delay in RetryInfo",
            retry_after_s=RETRY_AFTER_S,
        )
    if isinstance(error, GetTimeoutError | TimeoutError):
        return DeadlineExceeded()
    return WorkerLost() if isinstance(error, GONE) else None
