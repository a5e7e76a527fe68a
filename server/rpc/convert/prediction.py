"""Predictions, between proto and domain."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from digits.v1 import prediction_pb2

from server.errors import DigitsError, InvalidArgument, InvalidImage
from server.prediction import EncodedImage, ImageInput, Prediction, PredictionResult, RawPixels, Timings
from server.preprocessing import Interpolation, Preprocessing
from server.reading import NumberDigit
from server.rpc import status
from server.rpc.convert.common import enum_from_proto

MAX_BATCH = 1024

PREPROCESSING: Mapping[Preprocessing, int] = {
    Preprocessing.NORMALISE: prediction_pb2.PREPROCESSING_NORMALISE,
    Preprocessing.RESIZE: prediction_pb2.PREPROCESSING_RESIZE,
    Preprocessing.NONE: prediction_pb2.PREPROCESSING_NONE,
}
INTERPOLATIONS: Mapping[Interpolation, int] = {
    Interpolation.NEAREST: prediction_pb2.INTERPOLATION_NEAREST,
    Interpolation.BILINEAR: prediction_pb2.INTERPOLATION_BILINEAR,
    Interpolation.AREA: prediction_pb2.INTERPOLATION_AREA,
    Interpolation.CUBIC: prediction_pb2.INTERPOLATION_CUBIC,
}


def image(message: prediction_pb2.Image, field: str) -> ImageInput:
    """The image of a request, `field` being its path there. Raises InvalidImage when it holds none."""
    match message.WhichOneof("content"):
        case "encoded":
            return EncodedImage(message.encoded)
        case "pixels":
            return RawPixels(message.pixels)
        case _:
            raise InvalidImage(field, "expected `encoded` or `pixels`, got neither")


def images(request: prediction_pb2.BatchPredictRequest) -> list[ImageInput]:
    """The images of a batch. Raises InvalidArgument for a batch of none or too many."""
    count = len(request.images)
    if not 1 <= count <= MAX_BATCH:
        raise InvalidArgument("images", f"expected 1 to {MAX_BATCH} images, got {count}")
    return [image(message, f"images[{index}]") for index, message in enumerate(request.images)]


def preprocessing(value: int) -> Preprocessing | None:
    """How images become the model's input; None is the default for each form of image."""
    return enum_from_proto("preprocessing", value, PREPROCESSING)


def interpolation(value: int) -> Interpolation:
    """How a plain resize computes its pixels; bilinear by default."""
    return enum_from_proto("interpolation", value, INTERPOLATIONS) or Interpolation.BILINEAR


def prediction(result: Prediction) -> prediction_pb2.Prediction:
    """What the model read in one image."""
    return prediction_pb2.Prediction(
        digit=result.digit,
        confidence=result.confidence,
        probabilities=result.probabilities.tolist(),
        model_input=result.model_input.tobytes(),
        is_uncertain=result.is_uncertain,
    )


def number_digit(digit: NumberDigit) -> prediction_pb2.NumberDigit:
    """One digit of a number."""
    box = prediction_pb2.Box(x=digit.box.x, y=digit.box.y, width=digit.box.width, height=digit.box.height)
    return prediction_pb2.NumberDigit(prediction=prediction(digit.prediction), box=box, line=digit.line)


def timings(result: Timings) -> prediction_pb2.Timings:
    """How long each step took."""
    return prediction_pb2.Timings(
        decode_ms=result.decode_ms,
        preprocess_ms=result.preprocess_ms,
        queue_ms=result.queue_ms,
        engine_ms=result.engine_ms,
        total_ms=result.total_ms,
    )


def stream_response(result: PredictionResult) -> prediction_pb2.StreamPredictResponse:
    """One answer of a stream."""
    return prediction_pb2.StreamPredictResponse(
        prediction=prediction(result.prediction),
        model_version=result.model_version,
        timings=timings(result.timings),
    )


def refusal(error: DigitsError | None) -> prediction_pb2.Refusal:
    """Why a request of a stream has no prediction; None for a bug, of which nothing more is told."""
    if error is None:
        return prediction_pb2.Refusal(
            code=grpc.StatusCode.INTERNAL.value[0], reason="INTERNAL", message=status.INTERNAL_MESSAGE
        )
    return prediction_pb2.Refusal(
        code=status.status_code(error).value[0],
        reason=error.reason,
        message=status.to_message(error),
        field=error.field if isinstance(error, InvalidArgument) else "",
    )
