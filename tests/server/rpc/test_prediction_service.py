"""Predict and BatchPredict over a live channel."""

from __future__ import annotations

from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from digits.v1 import model_pb2
from digits.v1 import prediction_pb2 as pb

BLANK = bytes(784)


def _encoded(data: bytes, **choices: Any) -> pb.PredictRequest:
    return pb.PredictRequest(image=pb.Image(encoded=data), **choices)


def _pixels(data: bytes, **choices: Any) -> pb.PredictRequest:
    return pb.PredictRequest(image=pb.Image(pixels=data), **choices)


def test_a_drawn_seven_is_read_as_a_seven(stubs: Any, seven_png: bytes) -> None:
    reply = stubs.prediction.Predict(_encoded(seven_png), timeout=60)
    assert reply.prediction.digit == 7
    assert reply.prediction.confidence == max(reply.prediction.probabilities) > 0.5
    assert len(reply.prediction.probabilities) == 10
    assert sum(reply.prediction.probabilities) == pytest.approx(1.0, abs=1e-5)
    assert reply.model_version == 1


def test_the_answer_shows_what_the_model_saw_and_how_long_each_step_took(
    stubs: Any, seven_png: bytes
) -> None:
    reply = stubs.prediction.Predict(_encoded(seven_png), timeout=60)
    seen = np.frombuffer(reply.prediction.model_input, np.uint8).reshape(28, 28)
    assert seen.max() >= 250
    assert seen[0].max() == 0
    steps = reply.timings
    assert min(steps.decode_ms, steps.preprocess_ms, steps.engine_ms) > 0
    assert steps.total_ms >= steps.decode_ms + steps.preprocess_ms + steps.engine_ms


def test_raw_pixels_are_the_model_input_as_they_are(stubs: Any, seven: Any) -> None:
    reply = stubs.prediction.Predict(_pixels(seven.tobytes()), timeout=60)
    assert reply.prediction.digit == 7
    assert reply.prediction.model_input == seven.tobytes()


def test_raw_pixels_are_normalized_when_asked_for(stubs: Any, seven: Any) -> None:
    corner = np.zeros((28, 28), np.uint8)
    corner[:14, :14] = cv2.resize(seven, (14, 14), interpolation=cv2.INTER_AREA)
    request = _pixels(corner.tobytes(), preprocessing=pb.PREPROCESSING_NORMALISE)
    seen = np.frombuffer(stubs.prediction.Predict(request, timeout=60).prediction.model_input, np.uint8)
    rows = np.flatnonzero(seen.reshape(28, 28).any(axis=1))
    assert rows[-1] - rows[0] + 1 in (19, 20)


@pytest.mark.parametrize(
    "interpolation",
    [
        pb.INTERPOLATION_UNSPECIFIED,
        pb.INTERPOLATION_NEAREST,
        pb.INTERPOLATION_BILINEAR,
        pb.INTERPOLATION_AREA,
        pb.INTERPOLATION_CUBIC,
    ],
)
def test_a_plain_resize_shrinks_the_whole_image(
    stubs: Any, seven_png: bytes, seven: Any, interpolation: Any
) -> None:
    request = _encoded(seven_png, preprocessing=pb.PREPROCESSING_RESIZE, interpolation=interpolation)
    reply = stubs.prediction.Predict(request, timeout=60)
    seen = np.frombuffer(reply.prediction.model_input, np.uint8).reshape(28, 28)
    # The 7 was enlarged ten times, so shrinking the whole image brings it back where it was.
    assert np.abs(seen.astype(int) - seven).mean() < 12


def test_a_batch_is_answered_in_its_order(stubs: Any, seven: Any, seven_png: bytes) -> None:
    blot = np.zeros((28, 28), np.uint8)
    cv2.circle(blot, (14, 14), 8, 255, 2)
    images = [pb.Image(pixels=seven.tobytes()), pb.Image(pixels=blot.tobytes()), pb.Image(encoded=seven_png)]
    reply = stubs.prediction.BatchPredict(pb.BatchPredictRequest(images=images), timeout=60)
    assert [prediction.digit for prediction in reply.predictions] == [7, 0, 7]
    assert reply.predictions[1].model_input == blot.tobytes()


def _star() -> bytes:
    """Six lines through one point, as nobody writes a digit."""
    canvas = np.zeros((280, 280), np.uint8)
    for angle in np.arange(6) * np.pi / 6:
        reach = 110 * np.cos(angle), 110 * np.sin(angle)
        start, end = ((round(140 - sign * reach[0]), round(140 - sign * reach[1])) for sign in (1, -1))
        cv2.line(canvas, start, end, 255, 10, cv2.LINE_AA)
    return cv2.imencode(".png", canvas)[1].tobytes()


def test_a_scribble_is_uncertain_and_a_clear_digit_is_not(stubs: Any, seven_png: bytes) -> None:
    images = [pb.Image(encoded=_star()), pb.Image(encoded=seven_png)]
    batch = stubs.prediction.BatchPredict(pb.BatchPredictRequest(images=images), timeout=60)
    alone = [stubs.prediction.Predict(pb.PredictRequest(image=image), timeout=60) for image in images]

    assert [prediction.is_uncertain for prediction in batch.predictions] == [True, False]
    assert [reply.prediction.is_uncertain for reply in alone] == [True, False]


def test_uncertain_is_what_the_versions_own_threshold_says(stubs: Any, seven_png: bytes) -> None:
    version = model_pb2.GetModelRequest(model_version=1)
    threshold = stubs.model.GetModel(version, timeout=60).model.uncertain_below
    for image in (_star(), seven_png):
        prediction = stubs.prediction.Predict(_encoded(image, model_version=1), timeout=60).prediction
        assert prediction.is_uncertain == (prediction.confidence < threshold)


def test_the_same_image_gives_the_same_answer_alone_and_in_a_batch(stubs: Any, seven: Any) -> None:
    image = pb.Image(pixels=seven.tobytes())
    alone = stubs.prediction.Predict(pb.PredictRequest(image=image), timeout=60).prediction
    batch = stubs.prediction.BatchPredict(pb.BatchPredictRequest(images=[image] * 100), timeout=60)
    for prediction in batch.predictions:
        assert list(prediction.probabilities) == pytest.approx(list(alone.probabilities), abs=1e-5)


def _white_png(width: int, height: int) -> bytes:
    return cv2.imencode(".png", np.full((height, width), 255, np.uint8))[1].tobytes()


REFUSED: dict[str, tuple[pb.PredictRequest, str, str]] = {
    "no image at all": (pb.PredictRequest(), "image", "expected `encoded` or `pixels`, got neither"),
    "empty bytes": (_encoded(b""), "image.encoded", "got"),
    "bytes that are no image": (
        _encoded(b"not an image"),
        "image.encoded",
        "expected PNG, JPEG, WebP or BMP",
    ),
    "more than 4 MiB": (_encoded(b"\x89PNG\r\n\x1a\n" + bytes(4 << 20)), "image.encoded", "4 MiB"),
    "more than 4096 pixels wide": (_encoded(_white_png(4097, 10)), "image.encoded", "4096"),
    "more than 4096 pixels high": (_encoded(_white_png(10, 5000)), "image.encoded", "4096"),
    "raw pixels of a wrong size": (_pixels(bytes(783)), "image.pixels", "784"),
    "no raw pixels": (_pixels(b""), "image.pixels", "784"),
    "an unknown preprocessing": (_pixels(BLANK, preprocessing=9), "preprocessing", "expected one of"),
    "an unknown interpolation": (_pixels(BLANK, interpolation=-1), "interpolation", "expected one of"),
    "a version below zero": (_pixels(BLANK, model_version=-1), "model_version", "expected a version from 1"),
}


@pytest.mark.parametrize(("request_", "field", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_request_is_refused_with_its_field_and_what_was_expected(
    stubs: Any, refused: Any, request_: pb.PredictRequest, field: str, expected: str
) -> None:
    refusal = refused(stubs.prediction.Predict, request_)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == [field]
    assert expected in refusal.message


def test_a_truncated_image_is_refused(stubs: Any, refused: Any, seven_png: bytes) -> None:
    refusal = refused(stubs.prediction.Predict, _encoded(seven_png[: len(seven_png) // 2]))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "INVALID_IMAGE"


def test_a_blank_canvas_is_refused_as_blank(stubs: Any, refused: Any) -> None:
    paper = cv2.imencode(".png", np.full((280, 280, 3), 255, np.uint8))[1].tobytes()
    refusal = refused(stubs.prediction.Predict, _encoded(paper))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "BLANK_IMAGE"
    assert refusal.fields == ["image.encoded"]


def test_an_unknown_version_is_not_found(stubs: Any, refused: Any, seven: Any) -> None:
    refusal = refused(stubs.prediction.Predict, _pixels(seven.tobytes(), model_version=999))
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert refusal.reason == "MODEL_NOT_FOUND"


def test_preprocessing_none_is_refused_for_an_encoded_image(
    stubs: Any, refused: Any, seven_png: bytes
) -> None:
    refusal = refused(stubs.prediction.Predict, _encoded(seven_png, preprocessing=pb.PREPROCESSING_NONE))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == ["preprocessing"]


def test_one_bad_image_refuses_the_batch_and_is_named(stubs: Any, refused: Any, seven: Any) -> None:
    good, bad = pb.Image(pixels=seven.tobytes()), pb.Image(encoded=b"nonsense")
    refusal = refused(stubs.prediction.BatchPredict, pb.BatchPredictRequest(images=[good, good, bad]))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == ["images[2].encoded"]


@pytest.mark.parametrize("count", [0, 1025])
def test_a_batch_of_none_or_too_many_is_refused(stubs: Any, refused: Any, seven: Any, count: int) -> None:
    images = [pb.Image(pixels=seven.tobytes())] * count
    refusal = refused(stubs.prediction.BatchPredict, pb.BatchPredictRequest(images=images))
    assert refusal.fields == ["images"]
    assert f"expected 1 to 1024 images, got {count}" in refusal.message


def test_after_all_of_it_the_server_answers_as_before(stubs: Any, refused: Any, seven: Any) -> None:
    before = stubs.prediction.Predict(_pixels(seven.tobytes()), timeout=60).prediction
    for request, _, _ in REFUSED.values():
        refused(stubs.prediction.Predict, request)
    assert stubs.prediction.Predict(_pixels(seven.tobytes()), timeout=60).prediction == before
