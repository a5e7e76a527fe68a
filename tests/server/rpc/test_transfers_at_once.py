"""Archives that come and go at the same time: so many and no more, whoever holds them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from digits.v1 import prediction_pb2
from digits.v1 import sample_pb2 as pb
from google.rpc import error_details_pb2

from server.rpc.sample import MAX_EXPORTS, MAX_IMPORTS

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def server(launch_server: Any) -> Any:
    """A server with drawings that make an archive of more than a connection holds by itself."""
    return launch_server(DIGITS_MNIST="")


@pytest.fixture(scope="module")
def service(server: Any, stubs_of: Any) -> Any:
    """Its samples, four of 2 MB each."""
    samples = stubs_of(server).sample
    for seed in range(4):
        # A stroke on rough paper, which no PNG makes small.
        paper = np.random.default_rng(seed).integers(192, 256, (1000, 1000, 3), np.uint8)
        cv2.line(paper, (500, 200), (480, 800), (20, 20, 20), 60)
        data = cv2.imencode(".png", paper)[1].tobytes()
        request = pb.AddSampleRequest(image=prediction_pb2.Image(encoded=data), label=seed)
        samples.AddSample(request, timeout=PATIENCE_S)
    return samples


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not after {PATIENCE_S} s: {what}"
        time.sleep(0.02)


def outcome(call: Callable[[], Any]) -> grpc.StatusCode:
    """How a call ends."""
    try:
        call()
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def import_nonsense(service: Any) -> grpc.StatusCode:
    """How an import ends that is no archive: INVALID_ARGUMENT once it was let in."""
    nonsense = pb.ImportSamplesRequest(chunk=b"no archive")
    return outcome(lambda: service.ImportSamples(iter([nonsense]), timeout=PATIENCE_S))


def test_no_more_imports_come_at_once_than_may_and_a_place_is_free_when_one_is_given_up(
    service: Any, refused: Any
) -> None:
    is_over = threading.Event()

    def half_an_archive() -> Iterator[pb.ImportSamplesRequest]:
        yield pb.ImportSamplesRequest(chunk=bytes(2**20))
        is_over.wait(4 * PATIENCE_S)

    calls = [service.ImportSamples.future(half_an_archive()) for _ in range(2 * MAX_IMPORTS)]
    try:
        wait_until(lambda: sum(call.done() for call in calls) >= MAX_IMPORTS, "the rest is refused")
        coming = [call for call in calls if not call.done()]
        assert len(coming) == MAX_IMPORTS

        refusal = refused(
            lambda request, timeout: service.ImportSamples(iter([request]), timeout=timeout),
            pb.ImportSamplesRequest(chunk=b"one too many"),
        )
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "TOO_MANY_TRANSFERS",
        )
        assert refusal.message.startswith(f"{MAX_IMPORTS} imports are under way")
        assert refusal.detail(error_details_pb2.RetryInfo()).retry_delay.seconds == 2

        coming[0].cancel()
        wait_until(
            lambda: import_nonsense(service) is grpc.StatusCode.INVALID_ARGUMENT, "the place is free again"
        )
    finally:
        is_over.set()
        for call in calls:
            call.cancel()


def test_no_more_exports_go_at_once_than_may_however_slowly_they_are_read(service: Any) -> None:
    going: list[Any] = []

    def begin() -> None:
        going.append(service.ExportSamples(pb.ExportSamplesRequest(), timeout=4 * PATIENCE_S))
        next(going[-1])

    try:
        # They read the beginning, and then no more: the archive waits on the server's disk.
        for _ in range(MAX_EXPORTS):
            begin()
        assert outcome(begin) is grpc.StatusCode.RESOURCE_EXHAUSTED
        # Imports have places of their own.
        assert import_nonsense(service) is grpc.StatusCode.INVALID_ARGUMENT

        going[0].cancel()
        wait_until(lambda: outcome(begin) is grpc.StatusCode.OK, "the place is free again")
    finally:
        for call in going:
            call.cancel()
