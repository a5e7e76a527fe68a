"""PredictionService: from the request to the predictor and back."""

from __future__ import annotations

from digits.v1 import prediction_pb2 as pb
from digits.v1 import prediction_pb2_grpc

from server.prediction import Predictor
from server.reading import NumberReader
from server.rpc.convert import prediction as convert
from server.rpc.convert.common import chosen_version
from server.rpc.interceptors import Context


class PredictionServicer(prediction_pb2_grpc.PredictionServiceServicer):
    """Reads digits."""

    def __init__(self, predictor: Predictor, numbers: NumberReader) -> None:
        self._predictor = predictor
        self._numbers = numbers

    async def Predict(self, request: pb.PredictRequest, context: Context) -> pb.PredictResponse:
        """Read one digit."""
        result = await self._predictor.predict(
            convert.image(request.image, "image"),
            convert.preprocessing(request.preprocessing),
            convert.interpolation(request.interpolation),
            chosen_version(request.model_version),
        )
        return pb.PredictResponse(
            prediction=convert.prediction(result.prediction),
            model_version=result.model_version,
            timings=convert.timings(result.timings),
        )

    async def BatchPredict(
        self, request: pb.BatchPredictRequest, context: Context
    ) -> pb.BatchPredictResponse:
        """Read one digit from each of several images."""
        result = await self._predictor.predict_batch(
            convert.images(request),
            convert.preprocessing(request.preprocessing),
            convert.interpolation(request.interpolation),
            chosen_version(request.model_version),
        )
        return pb.BatchPredictResponse(
            predictions=[convert.prediction(prediction) for prediction in result.predictions],
            model_version=result.model_version,
            timings=convert.timings(result.timings),
        )

    async def ReadNumber(self, request: pb.ReadNumberRequest, context: Context) -> pb.ReadNumberResponse:
        """Read every digit in one image."""
        result = await self._numbers.read(request.encoded, chosen_version(request.model_version))
        return pb.ReadNumberResponse(
            text=result.text,
            digits=[convert.number_digit(digit) for digit in result.digits],
            model_version=result.model_version,
            timings=convert.timings(result.timings),
        )
