"""StreamPredict over a live channel: in order, one answer for each request, whatever one of them is like."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from digits.v1 import dataset_pb2, evaluation_pb2
from digits.v1 import prediction_pb2 as pb

Images = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def images(stubs: Any) -> Images:
    """A thousand built-in digits, each different from the others: (1000, 28, 28)."""
    request = evaluation_pb2.ListTestDigitsRequest(dataset=dataset_pb2.DATASET_BUILTIN_DIGITS, page_size=1000)
    digits = stubs.evaluation.ListTestDigits(request, timeout=60).digits
    return np.stack([np.frombuffer(digit.pixels, np.uint8).reshape(28, 28) for digit in digits])


def _pixels(image: Images, **choices: Any) -> pb.StreamPredictRequest:
    return pb.StreamPredictRequest(image=pb.Image(pixels=image.tobytes()), **choices)


def test_a_thousand_images_are_answered_in_their_order(stubs: Any, images: Images) -> None:
    replies = list(stubs.prediction.StreamPredict(map(_pixels, images), timeout=60))
    batch = stubs.prediction.BatchPredict(
        pb.BatchPredictRequest(images=[pb.Image(pixels=image.tobytes()) for image in images]), timeout=60
    )
    assert len(replies) == len(batch.predictions) == 1000
    for reply, expected in zip(replies, batch.predictions, strict=True):
        assert reply.model_version == batch.model_version
        assert reply.prediction.model_input == expected.model_input
        assert list(reply.prediction.probabilities) == pytest.approx(list(expected.probabilities), abs=1e-5)


def test_what_is_wrong_with_one_image_is_told_in_its_place_and_the_stream_goes_on(
    stubs: Any, images: Images, seven_png: bytes
) -> None:
    requests = [
        _pixels(images[0]),
        pb.StreamPredictRequest(image=pb.Image(encoded=b"nonsense")),
        pb.StreamPredictRequest(image=pb.Image(encoded=seven_png)),
        pb.StreamPredictRequest(),
        _pixels(images[1], model_version=999),
        _pixels(images[1], preprocessing=9),
        _pixels(images[1]),
    ]
    replies = list(stubs.prediction.StreamPredict(iter(requests), timeout=60))

    assert [reply.WhichOneof("outcome") for reply in replies] == [
        "prediction",
        "refusal",
        "prediction",
        "refusal",
        "refusal",
        "refusal",
        "prediction",
    ]
    assert replies[2].prediction.digit == 7
    refusals = [replies[index].refusal for index in (1, 3, 4, 5)]
    assert [(refusal.code, refusal.reason, refusal.field) for refusal in refusals] == [
        (grpc.StatusCode.INVALID_ARGUMENT.value[0], "INVALID_IMAGE", "image.encoded"),
        (grpc.StatusCode.INVALID_ARGUMENT.value[0], "INVALID_IMAGE", "image"),
        (grpc.StatusCode.NOT_FOUND.value[0], "MODEL_NOT_FOUND", ""),
        (grpc.StatusCode.INVALID_ARGUMENT.value[0], "INVALID_ARGUMENT", "preprocessing"),
    ]
    assert all(refusal.message for refusal in refusals)
    assert replies[6].prediction.model_input == images[1].tobytes()


def test_an_answer_does_not_wait_for_the_next_request(stubs: Any, images: Images) -> None:
    is_answered = threading.Event()

    def one_at_a_time() -> Iterator[pb.StreamPredictRequest]:
        for image in images[:3]:
            yield _pixels(image)
            assert is_answered.wait(60)
            is_answered.clear()

    count = 0
    for _ in stubs.prediction.StreamPredict(one_at_a_time(), timeout=60):
        count += 1
        is_answered.set()
    assert count == 3


def test_an_empty_stream_has_no_answers(stubs: Any) -> None:
    assert list(stubs.prediction.StreamPredict(iter(()), timeout=60)) == []


def test_a_server_that_goes_down_answers_what_it_has_read_and_says_that_the_rest_can_be_sent_again(
    launch_server: Any, stubs_of: Any, images: Images
) -> None:
    server = launch_server(DIGITS_MNIST="")
    stopped = threading.Event()
    sent = 0

    def endless() -> Iterator[pb.StreamPredictRequest]:
        nonlocal sent
        while not stopped.is_set():
            sent += 1
            yield _pixels(images[sent % 1000])

    answered = 0
    code = None
    exit_codes: list[int] = []
    stopper = threading.Thread(target=lambda: exit_codes.append(server.stop()))
    try:
        for reply in stubs_of(server).prediction.StreamPredict(endless(), timeout=60):
            assert reply.HasField("prediction")
            assert reply.prediction.model_input == images[(answered + 1) % 1000].tobytes()
            answered += 1
            if answered == 200:
                stopper.start()
    except grpc.RpcError as error:
        code = error.code()
    stopped.set()

    assert code is grpc.StatusCode.UNAVAILABLE
    assert 200 <= answered <= sent
    stopper.join(60)
    assert exit_codes == [0]
