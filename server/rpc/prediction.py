"""PredictionService: from the request to the predictor and back."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from digits.v1 import prediction_pb2 as pb
from digits.v1 import prediction_pb2_grpc

from server.errors import DigitsError, Overloaded, ShuttingDown
from server.explanation import Explainer
from server.prediction import SIDE, Answer, PredictionResult, Predictor
from server.reading import NumberReader
from server.rpc.convert import explanation as explanation_convert
from server.rpc.convert import prediction as convert
from server.rpc.convert.common import chosen_version, optional_digit
from server.rpc.direct import Asked
from server.rpc.interceptors import Context
from server.streams import in_order

log = logging.getLogger(__name__)

# How raw pixels are what the model takes.
AS_THEY_ARE = (pb.PREPROCESSING_UNSPECIFIED, pb.PREPROCESSING_NONE)
# Requests of one stream that are worked on together: enough to fill the engine's batches at all times.
STREAM_WINDOW = 128


class PredictionServicer(prediction_pb2_grpc.PredictionServiceServicer):
    """Reads digits. `draining` is set when the server goes down: streams end then."""

    def __init__(
        self, predictor: Predictor, numbers: NumberReader, explainer: Explainer, draining: asyncio.Event
    ) -> None:
        self._predictor = predictor
        self._numbers = numbers
        self._explainer = explainer
        self._draining = draining

    async def Predict(self, request: pb.PredictRequest, context: Context) -> pb.PredictResponse:
        """Read one digit."""
        result = await self._predictor.predict(
            convert.image(request.image, "image"),
            convert.preprocessing(request.preprocessing),
            convert.interpolation(request.interpolation),
            chosen_version(request.model_version),
            _expiry(context),
        )
        return pb.PredictResponse(
            prediction=convert.prediction(result.prediction),
            model_version=result.model_version,
            timings=convert.timings(result.timings),
        )

    def ask_predict(self, request: Any) -> Asked | None:
        """What a request of Predict asks of the engine, if it holds a model input; None otherwise."""
        if not isinstance(request, pb.PredictRequest):
            return None
        pixels = request.image.pixels
        if len(pixels) != SIDE * SIDE or request.preprocessing not in AS_THEY_ARE:
            return None
        images = np.frombuffer(pixels, np.uint8).reshape(1, SIDE, SIDE)
        if request.interpolation or request.model_version < 0 or not images.any():
            return None  # What is wrong with it, `Predict` tells.
        started = time.perf_counter()

        def respond(answer: Answer) -> bytes:
            prediction, engine_ms = answer.prediction(0, images[0]), answer.result.engine_ms
            total_ms = (time.perf_counter() - started) * 1e3
            return pb.PredictResponse(
                prediction=convert.prediction(prediction),
                model_version=answer.model_version,
                timings=pb.Timings(queue_ms=total_ms - engine_ms, engine_ms=engine_ms, total_ms=total_ms),
            ).SerializeToString()

        return Asked(images, request.model_version or None, respond)

    async def BatchPredict(
        self, request: pb.BatchPredictRequest, context: Context
    ) -> pb.BatchPredictResponse:
        """Read one digit from each of several images."""
        result = await self._predictor.predict_batch(
            convert.images(request),
            convert.preprocessing(request.preprocessing),
            convert.interpolation(request.interpolation),
            chosen_version(request.model_version),
            _expiry(context),
        )
        return pb.BatchPredictResponse(
            predictions=[convert.prediction(prediction) for prediction in result.predictions],
            model_version=result.model_version,
            timings=convert.timings(result.timings),
        )

    async def ReadNumber(self, request: pb.ReadNumberRequest, context: Context) -> pb.ReadNumberResponse:
        """Read every digit in one image."""
        version = chosen_version(request.model_version)
        result = await self._numbers.read(request.encoded, version, _expiry(context))
        return pb.ReadNumberResponse(
            text=result.text,
            digits=[convert.number_digit(digit) for digit in result.digits],
            model_version=result.model_version,
            timings=convert.timings(result.timings),
        )

    async def ExplainPrediction(
        self, request: pb.ExplainPredictionRequest, context: Context
    ) -> pb.ExplainPredictionResponse:
        """Show what a prediction rests on."""
        result = await self._explainer.explain(
            convert.image(request.image, "image"),
            convert.preprocessing(request.preprocessing),
            chosen_version(request.model_version),
            optional_digit(request, "digit"),
            explanation_convert.neighbours(request),
            _expiry(context),
        )
        return explanation_convert.explanation(result)

    async def StreamPredict(
        self, request_iterator: AsyncIterator[pb.StreamPredictRequest], context: Context
    ) -> AsyncIterator[pb.StreamPredictResponse]:
        """Read one digit from each image of a stream, in order."""
        async for response in in_order(request_iterator, self._answer, STREAM_WINDOW, self._draining):
            yield response
        if self._draining.is_set():
            raise ShuttingDown("the server is going down; send again what has no answer", retry_after_s=2.0)

    async def _answer(self, request: pb.StreamPredictRequest) -> pb.StreamPredictResponse:
        """The answer to one request of a stream: what is wrong with it is told there, and ends nothing."""
        try:
            return convert.stream_response(await self._read_patiently(request))
        except ShuttingDown:
            raise
        except DigitsError as error:
            return pb.StreamPredictResponse(refusal=convert.refusal(error))
        # As for a single call: the caller learns of a bug, and nothing of the inside.
        except Exception as error:
            log.error("bug", exc_info=error, extra={"method": "StreamPredict"})
            return pb.StreamPredictResponse(refusal=convert.refusal(None))

    async def _read_patiently(self, request: pb.StreamPredictRequest) -> PredictionResult:
        """Predict, and when too many wait, wait as well: the sender is held back instead of refused."""
        while True:
            try:
                return await self._predictor.predict(
                    convert.image(request.image, "image"),
                    convert.preprocessing(request.preprocessing),
                    convert.interpolation(request.interpolation),
                    chosen_version(request.model_version),
                )
            except Overloaded as error:
                await asyncio.sleep(error.retry_after_s)


def _expiry(context: Context) -> float:
    """The moment of `time.monotonic()` from which the caller waits no longer."""
    remaining_s: float | None = context.time_remaining()
    return math.inf if remaining_s is None else time.monotonic() + remaining_s
