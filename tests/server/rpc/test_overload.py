"""More calls than can be answered in time: refused at once, told when to return, everybody else served."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import grpc
import pytest
from digits.v1 import dataset_pb2, evaluation_pb2, prediction_pb2_grpc
from digits.v1 import prediction_pb2 as pb
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

CALLS = 3000
# Below the number from which gRPC itself ends calls, far above what is answered in the time allowed.
TOGETHER = 450
DIGIT = bytes(200) + bytes([255] * 200) + bytes(384)


@pytest.fixture(scope="module")
def server(launch_server: Any) -> Any:
    """A server to be flooded."""
    return launch_server(DIGITS_MNIST="")


@pytest.fixture(scope="module")
def flooded(server: Any, seven_png: bytes) -> tuple[Counter[grpc.StatusCode], list[Any], list[float]]:
    """What became of the calls of senders that wait for nothing, their refusals, and the time health took."""
    # Files to decode: of raw pixels a client in Python cannot send more than are answered.
    codes: Counter[grpc.StatusCode] = Counter()
    refusals: list[Any] = []
    health_s: list[float] = []
    left, done = iter(range(CALLS)), threading.Semaphore(0)
    request = pb.PredictRequest(image=pb.Image(encoded=seven_png)).SerializeToString()
    with server.channel() as channel, server.channel() as other:
        predict = channel.unary_unary("/digits.v1.PredictionService/Predict")
        predict(request, timeout=60)

        def send() -> None:
            if next(left, None) is None:
                done.release()
            else:
                predict.future(request, timeout=60).add_done_callback(receive)

        def receive(call: Any) -> None:
            codes[call.code()] += 1
            if call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                refusals.append(call)
            send()

        for _ in range(TOGETHER):
            send()
        check = health_pb2_grpc.HealthStub(other).Check
        while not done.acquire(timeout=0.2):
            started = time.perf_counter()
            check(health_pb2.HealthCheckRequest(), timeout=60)
            health_s.append(time.perf_counter() - started)
        for _ in range(TOGETHER - 1):
            done.acquire()
    return codes, refusals, health_s


def test_every_call_is_answered_or_refused_and_at_least_every_fourth_is_answered(flooded: Any) -> None:
    codes, _, _ = flooded
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert sum(codes.values()) == CALLS
    assert codes[grpc.StatusCode.OK] >= CALLS / 4


def test_a_refusal_tells_its_reason_and_when_to_return(flooded: Any) -> None:
    _, refusals, _ = flooded
    metadata = dict(refusals[0].trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert info.reason == "OVERLOADED"
    assert 0 < retry.retry_delay.ToTimedelta().total_seconds() <= 5


def test_health_answers_meanwhile(flooded: Any) -> None:
    assert flooded[2]


def test_calls_that_end_before_they_are_seen_do_not_count_for_ever(server: Any) -> None:
    request = pb.PredictRequest(image=pb.Image(pixels=DIGIT)).SerializeToString()
    with server.channel() as channel:
        predict = channel.unary_unary("/digits.v1.PredictionService/Predict")
        predict(request, timeout=60)
        given_up = [predict.future(request, timeout=0.02) for _ in range(TOGETHER)]
        given_up += [predict.future(request, timeout=0.02) for _ in range(TOGETHER)]
        assert any(call.code() is grpc.StatusCode.DEADLINE_EXCEEDED for call in given_up)
        deadline = time.monotonic() + 60
        while True:
            calls = [predict.future(request, timeout=60) for _ in range(32)]
            if all(call.code() is grpc.StatusCode.OK for call in calls):
                break
            assert time.monotonic() < deadline, "calls are refused for those that ended long ago"
            time.sleep(0.1)
        # Enough for several looks at who waits.
        for _ in range(20):
            calls = [predict.future(request, timeout=60) for _ in range(16)]
            assert {call.code() for call in calls} == {grpc.StatusCode.OK}


def test_a_call_whose_deadline_passes_ends_with_deadline_exceeded(live_server: Any) -> None:
    with live_server.channel() as channel:
        service = prediction_pb2_grpc.PredictionServiceStub(channel)
        image = pb.Image(pixels=DIGIT)
        bulk = pb.BatchPredictRequest(images=[image] * 1024)
        busy = [service.BatchPredict.future(bulk, timeout=60) for _ in range(2)]
        with pytest.raises(grpc.RpcError) as raised:
            service.Predict(pb.PredictRequest(image=image), timeout=0.0005)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert all(len(call.result().predictions) == 1024 for call in busy)


def test_thousands_of_different_images_at_once_each_get_their_own_answer(stubs: Any) -> None:
    images = [pb.Image(pixels=pixels) for pixels in _different_digits(stubs, pages=3)]
    batches = [pb.BatchPredictRequest(images=images[start : start + 1000]) for start in (0, 1000, 2000)]
    expected = [
        list(prediction.probabilities)
        for batch in batches
        for prediction in stubs.prediction.BatchPredict(batch, timeout=60).predictions
    ]
    answers: dict[int, pb.PredictResponse] = {}
    numbers, together = iter(range(len(images))), threading.Semaphore(48)
    # The same images in bulk, meanwhile, so that single ones wait and go together.
    bulk = [stubs.prediction.BatchPredict.future(batch, timeout=60) for batch in batches[:2]]
    for number in numbers:
        together.acquire()
        call = stubs.prediction.Predict.future(pb.PredictRequest(image=images[number]), timeout=60)

        def receive(call: Any, number: int = number) -> None:
            if call.exception() is None:
                answers[number] = call.result()
            together.release()

        call.add_done_callback(receive)
    for _ in range(48):
        together.acquire()

    assert len(answers) == len(images) == 3000
    for number, answer in answers.items():
        assert answer.prediction.model_input == images[number].pixels
        assert list(answer.prediction.probabilities) == pytest.approx(expected[number], abs=1e-5)
    for start, call in zip((0, 1000), bulk, strict=True):
        for offset, prediction in enumerate(call.result().predictions):
            assert prediction.model_input == images[start + offset].pixels
            assert list(prediction.probabilities) == pytest.approx(expected[start + offset], abs=1e-5)


def _different_digits(stubs: Any, pages: int) -> list[bytes]:
    request = evaluation_pb2.ListTestDigitsRequest(dataset=dataset_pb2.DATASET_BUILTIN_DIGITS, page_size=1000)
    pixels: list[bytes] = []
    for _ in range(pages):
        reply = stubs.evaluation.ListTestDigits(request, timeout=60)
        pixels += [digit.pixels for digit in reply.digits]
        request.page_token = reply.next_page_token
    assert len(set(pixels)) == len(pixels)
    return pixels
