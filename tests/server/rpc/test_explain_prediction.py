"""ExplainPrediction over a live channel."""

from __future__ import annotations

import time
from typing import Any

import grpc
import numpy as np
import pytest
from digits.v1 import prediction_pb2 as pb

from server.rpc.server import ADMITTED

PATIENCE_S = 300.0


def _explain(stubs: Any, **choices: Any) -> pb.ExplainPredictionResponse:
    return stubs.prediction.ExplainPrediction(pb.ExplainPredictionRequest(**choices), timeout=60)


def test_a_drawn_seven_is_explained(stubs: Any, seven_png: bytes) -> None:
    image = pb.Image(encoded=seven_png)
    reply = _explain(stubs, image=image)
    alone = stubs.prediction.Predict(pb.PredictRequest(image=image), timeout=60)
    assert (reply.digit, reply.model_version) == (7, alone.model_version)
    assert reply.prediction == alone.prediction
    occlusion = np.array(reply.occlusion).reshape(28, 28)
    assert 0.05 < occlusion.max() <= 1
    assert occlusion.min() >= -1
    # Nothing rests on paper that is further from any ink than the covered square is wide.
    seen = np.frombuffer(reply.prediction.model_input, np.uint8).reshape(28, 28)
    rows, columns = np.nonzero(occlusion)
    inked_rows, inked_columns = np.nonzero(seen)
    for found, inked in ((rows, inked_rows), (columns, inked_columns)):
        assert found.min() > inked.min() - reply.patch_size
        assert found.max() < inked.max() + reply.patch_size
    assert reply.timings.total_ms >= reply.timings.engine_ms > 0


def test_another_digit_than_the_one_that_is_read_can_be_asked_about(stubs: Any, seven: Any) -> None:
    image = pb.Image(pixels=seven.tobytes())
    one, seven_itself = _explain(stubs, image=image, digit=1), _explain(stubs, image=image)
    assert (one.digit, one.prediction.digit, seven_itself.digit) == (1, 7, 7)
    # What makes it a seven speaks against the one.
    assert min(one.occlusion) < 0 < max(seven_itself.occlusion)
    assert _explain(stubs, image=image, digit=0).digit == 0


def test_the_training_digits_most_like_it_come_as_soon_as_they_are_prepared(stubs: Any, seven: Any) -> None:
    image = pb.Image(pixels=seven.tobytes())
    deadline = time.monotonic() + PATIENCE_S
    while not (reply := _explain(stubs, image=image)).neighbours:
        assert "ask again in a few seconds" in reply.neighbours_missing
        assert time.monotonic() < deadline, reply.neighbours_missing
        time.sleep(0.1)
    assert reply.neighbours_missing == ""
    assert [neighbour.label for neighbour in reply.neighbours] == [7] * 5
    assert {len(neighbour.pixels) for neighbour in reply.neighbours} == {784}
    distances = [neighbour.distance for neighbour in reply.neighbours]
    assert distances == sorted(distances)
    twenty = _explain(stubs, image=image, neighbours=20).neighbours
    assert list(twenty[:5]) == list(reply.neighbours)
    assert len({neighbour.index for neighbour in twenty}) == 20


def test_without_neighbours_none_are_looked_for(stubs: Any, seven: Any) -> None:
    reply = _explain(stubs, image=pb.Image(pixels=seven.tobytes()), neighbours=0)
    assert (list(reply.neighbours), reply.neighbours_missing) == ([], "none were asked for")


def test_a_replica_explains_and_says_that_it_has_no_training_digits(
    live_server: Any, launch_server: Any, stubs_of: Any, seven: Any
) -> None:
    replica = stubs_of(launch_server("--read-only", data=live_server.data))
    reply = _explain(replica, image=pb.Image(pixels=seven.tobytes()), model_version=1)
    assert (reply.digit, list(reply.neighbours)) == (7, [])
    assert reply.neighbours_missing == "a replica has no training digits; ask the server that owns the data"
    assert max(reply.occlusion) > 0.05


REFUSED = {
    "no image at all": ({}, "image"),
    "raw pixels of a wrong size": ({"image": pb.Image(pixels=bytes(783))}, "image.pixels"),
    "a blank image": ({"image": pb.Image(pixels=bytes(784))}, "image.pixels"),
    "bytes that are no image": ({"image": pb.Image(encoded=b"none")}, "image.encoded"),
    "a digit above 9": ({"digit": 10}, "digit"),
    "a digit below 0": ({"digit": -1}, "digit"),
    "too many neighbours": ({"neighbours": 21}, "neighbours"),
    "fewer than no neighbours": ({"neighbours": -1}, "neighbours"),
    "an unknown preprocessing": ({"preprocessing": 9}, "preprocessing"),
    "a version below zero": ({"model_version": -1}, "model_version"),
}


@pytest.mark.parametrize(("choices", "field"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_request_is_refused_by_name(
    stubs: Any, refused: Any, seven: Any, choices: dict[str, Any], field: str
) -> None:
    image = {} if "image" in field else {"image": pb.Image(pixels=seven.tobytes())}
    refusal = refused(stubs.prediction.ExplainPrediction, pb.ExplainPredictionRequest(**image, **choices))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == [field]


def test_an_unknown_version_is_not_found(stubs: Any, refused: Any, seven: Any) -> None:
    request = pb.ExplainPredictionRequest(image=pb.Image(pixels=seven.tobytes()), model_version=999)
    refusal = refused(stubs.prediction.ExplainPrediction, request)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")


def test_it_has_to_be_let_in_as_the_other_predictions_have() -> None:
    assert "/digits.v1.PredictionService/ExplainPrediction" in ADMITTED
