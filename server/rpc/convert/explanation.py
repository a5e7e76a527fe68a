"""Explanations of predictions, between proto and domain."""

from __future__ import annotations

from digits.v1 import prediction_pb2 as pb

from server.errors import InvalidArgument
from server.explanation import Explanation, Neighbour
from server.rpc.convert import prediction as prediction_convert

DEFAULT_NEIGHBOURS = 5
MAX_NEIGHBOURS = 20


def neighbours(request: pb.ExplainPredictionRequest) -> int:
    """How many training digits are asked for. Raises InvalidArgument for too many."""
    if not request.HasField("neighbours"):
        return DEFAULT_NEIGHBOURS
    if not 0 <= request.neighbours <= MAX_NEIGHBOURS:
        raise InvalidArgument(
            "neighbours", f"expected 0 to {MAX_NEIGHBOURS}, or unset, got {request.neighbours}"
        )
    return request.neighbours


def explanation(result: Explanation) -> pb.ExplainPredictionResponse:
    """What a prediction rests on."""
    return pb.ExplainPredictionResponse(
        prediction=prediction_convert.prediction(result.prediction),
        digit=result.digit,
        occlusion=result.occlusion.ravel().tolist(),
        patch_size=result.patch_size,
        neighbours=[_neighbour(one) for one in result.neighbours],
        neighbours_missing=result.neighbours_missing,
        model_version=result.model_version,
        timings=prediction_convert.timings(result.timings),
    )


def _neighbour(neighbour: Neighbour) -> pb.Neighbour:
    return pb.Neighbour(
        index=neighbour.index,
        pixels=neighbour.image.tobytes(),
        label=neighbour.label,
        distance=neighbour.distance,
    )
