"""PredictionService: reading digits."""

from __future__ import annotations

from collections.abc import Sequence

from digits.client import records
from digits.client.call import Duplex, Kind, Rpc, Terms, Unary, unary
from digits.client.choices import Interpolation, Preprocessing
from digits.client.errors import ClientError
from digits.client.failures import refusal
from digits.client.messages import prediction as messages
from digits.v1 import prediction_pb2 as pb

PREDICT = Rpc("PredictionService/Predict", pb.PredictResponse)
BATCH_PREDICT = Rpc("PredictionService/BatchPredict", pb.BatchPredictResponse)
STREAM_PREDICT = Rpc("PredictionService/StreamPredict", pb.StreamPredictResponse)
READ_NUMBER = Rpc("PredictionService/ReadNumber", pb.ReadNumberResponse)
EXPLAIN_PREDICTION = Rpc("PredictionService/ExplainPrediction", pb.ExplainPredictionResponse)


def predict(
    image: bytes,
    *,
    preprocessing: Preprocessing = Preprocessing.UNSPECIFIED,
    interpolation: Interpolation = Interpolation.UNSPECIFIED,
    model_version: int = 0,
    timeout_s: float | None = None,
) -> Unary[records.Answer]:
    """Read the digit in an encoded image (PNG, JPEG, WebP or BMP). Version 0 is the deployed one."""
    return _predict(pb.Image(encoded=image), preprocessing, interpolation, model_version, timeout_s)


def predict_pixels(
    pixels: records.Pixels,
    *,
    preprocessing: Preprocessing = Preprocessing.UNSPECIFIED,
    interpolation: Interpolation = Interpolation.UNSPECIFIED,
    model_version: int = 0,
    timeout_s: float | None = None,
) -> Unary[records.Answer]:
    """Read the digit in a (28, 28) uint8 image, 0 = background; as it is, unless told otherwise."""
    image = pb.Image(pixels=pixels.tobytes())
    return _predict(image, preprocessing, interpolation, model_version, timeout_s)


def predict_batch(
    images: Sequence[bytes],
    *,
    preprocessing: Preprocessing = Preprocessing.UNSPECIFIED,
    interpolation: Interpolation = Interpolation.UNSPECIFIED,
    model_version: int = 0,
    timeout_s: float | None = None,
) -> Unary[records.BatchAnswer]:
    """Read one digit from each of up to 1,024 encoded images, all with the same version."""
    request = pb.BatchPredictRequest(
        images=[pb.Image(encoded=image) for image in images],
        preprocessing=pb.Preprocessing.ValueType(preprocessing),
        interpolation=pb.Interpolation.ValueType(interpolation),
        model_version=model_version,
    )
    return unary(BATCH_PREDICT, request, messages.batch_answer, _terms(timeout_s))


def stream_predict(
    *,
    preprocessing: Preprocessing = Preprocessing.UNSPECIFIED,
    interpolation: Interpolation = Interpolation.UNSPECIFIED,
    model_version: int = 0,
    timeout_s: float | None = None,
) -> Duplex[bytes, records.Answer | ClientError]:
    """Read one digit from each encoded image of a stream, in its order, for bulk.

    What is wrong with one image is its answer, a ClientError that is not raised, and the stream goes on.
    """

    def request(image: bytes) -> pb.StreamPredictRequest:
        return pb.StreamPredictRequest(
            image=pb.Image(encoded=image),
            preprocessing=pb.Preprocessing.ValueType(preprocessing),
            interpolation=pb.Interpolation.ValueType(interpolation),
            model_version=model_version,
        )

    def outcome(message: pb.StreamPredictResponse) -> records.Answer | ClientError:
        return refusal(message.refusal) if message.HasField("refusal") else messages.answer(message)

    return Duplex(STREAM_PREDICT, request, outcome, Terms(Kind.STREAM, timeout_s))


def read_number(
    image: bytes, *, model_version: int = 0, timeout_s: float | None = None
) -> Unary[records.NumberAnswer]:
    """Read every digit in an encoded image (PNG, JPEG, WebP or BMP). Version 0 is the deployed one."""
    request = pb.ReadNumberRequest(encoded=image, model_version=model_version)
    return unary(READ_NUMBER, request, messages.number_answer, _terms(timeout_s))


def explain_prediction(
    image: bytes,
    *,
    preprocessing: Preprocessing = Preprocessing.UNSPECIFIED,
    model_version: int = 0,
    digit: int | None = None,
    neighbours: int | None = None,
    timeout_s: float | None = None,
) -> Unary[records.Explanation]:
    """What the reading of an encoded image rests on. `digit`: the one to explain, by default what is read."""
    return _explain(pb.Image(encoded=image), preprocessing, model_version, digit, neighbours, timeout_s)


def explain_pixels(
    pixels: records.Pixels,
    *,
    preprocessing: Preprocessing = Preprocessing.UNSPECIFIED,
    model_version: int = 0,
    digit: int | None = None,
    neighbours: int | None = None,
    timeout_s: float | None = None,
) -> Unary[records.Explanation]:
    """What the reading of a (28, 28) uint8 image rests on; as it is, unless told otherwise."""
    image = pb.Image(pixels=pixels.tobytes())
    return _explain(image, preprocessing, model_version, digit, neighbours, timeout_s)


def _predict(
    image: pb.Image,
    preprocessing: Preprocessing,
    interpolation: Interpolation,
    model_version: int,
    timeout_s: float | None,
) -> Unary[records.Answer]:
    request = pb.PredictRequest(
        image=image,
        preprocessing=pb.Preprocessing.ValueType(preprocessing),
        interpolation=pb.Interpolation.ValueType(interpolation),
        model_version=model_version,
    )
    return unary(PREDICT, request, messages.answer, _terms(timeout_s))


def _explain(
    image: pb.Image,
    preprocessing: Preprocessing,
    model_version: int,
    digit: int | None,
    neighbours: int | None,
    timeout_s: float | None,
) -> Unary[records.Explanation]:
    request = pb.ExplainPredictionRequest(
        image=image,
        preprocessing=pb.Preprocessing.ValueType(preprocessing),
        model_version=model_version,
        digit=digit,
        neighbours=neighbours,
    )
    return unary(EXPLAIN_PREDICTION, request, messages.explanation, _terms(timeout_s))


def _terms(timeout_s: float | None) -> Terms:
    return Terms(Kind.PREDICT, timeout_s, is_repeatable=True)
