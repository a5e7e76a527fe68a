"""Images read by a live server, in the way of its clients: over gRPC, as PNG files or as MNIST's pixels."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import grpc
import numpy as np
import numpy.typing as npt
from digits.v1 import model_pb2, model_pb2_grpc, prediction_pb2, prediction_pb2_grpc

Image = npt.NDArray[np.uint8]

AT_ONCE = 250
NUMBERS_AT_ONCE = 4
TIMEOUT_S = 120.0
WARM_UP_CALLS = 20


class Answers(NamedTuple):
    """What a server makes of N images."""

    digits: npt.NDArray[np.uint8]
    """(N,)"""
    probabilities: npt.NDArray[np.float32]
    """(N, 10)"""
    is_uncertain: npt.NDArray[np.bool_]
    """(N,)"""


class Reader:
    """The deployed version of the server at the other end of `channel`."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._prediction = prediction_pb2_grpc.PredictionServiceStub(channel)
        self._models = model_pb2_grpc.ModelServiceStub(channel)

    @property
    def model(self) -> model_pb2.Model:
        """What the server says of the version."""
        return self._models.GetModel(model_pb2.GetModelRequest(), timeout=TIMEOUT_S).model

    def read(
        self,
        images: Sequence[Image],
        preprocessing: prediction_pb2.Preprocessing.ValueType = prediction_pb2.PREPROCESSING_UNSPECIFIED,
        model_version: int = 0,
    ) -> Answers:
        """Read one digit in each image: those of 28x28 pixels are sent as they are, larger ones as PNG.

        `model_version` 0: the deployed one.
        """
        predictions: list[prediction_pb2.Prediction] = []
        for start in range(0, len(images), AT_ONCE):
            request = prediction_pb2.BatchPredictRequest(
                images=[_message(image) for image in images[start : start + AT_ONCE]],
                preprocessing=preprocessing,
                model_version=model_version,
            )
            predictions.extend(self._prediction.BatchPredict(request, timeout=TIMEOUT_S).predictions)
        return Answers(
            np.array([prediction.digit for prediction in predictions], np.uint8),
            np.array([prediction.probabilities for prediction in predictions], np.float32),
            np.array([prediction.is_uncertain for prediction in predictions], np.bool_),
        )

    def read_numbers(self, images: Sequence[Image]) -> list[str]:
        """Read the number in each image, sent as PNG. A refused one counts as nothing read."""
        with ThreadPoolExecutor(NUMBERS_AT_ONCE) as pool:
            return list(pool.map(self._number, images))

    def engine_ms(self, images: Sequence[Image]) -> float:
        """The median time in the engine of single images, asked for one after the other."""
        times = []
        for image in images:
            request = prediction_pb2.PredictRequest(image=_message(image))
            times.append(self._prediction.Predict(request, timeout=TIMEOUT_S).timings.engine_ms)
        return statistics.median(times[WARM_UP_CALLS:] or times)

    def _number(self, image: Image) -> str:
        request = prediction_pb2.ReadNumberRequest(encoded=png(image))
        try:
            return self._prediction.ReadNumber(request, timeout=TIMEOUT_S).text
        except grpc.RpcError as error:
            # Whoever asked would have got no number. Anything but a refused image is no result but a fault.
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            return ""


def png(image: Image) -> bytes:
    """The file of a picture."""
    return cv2.imencode(".png", image)[1].tobytes()


def _message(image: Image) -> prediction_pb2.Image:
    if image.shape == (28, 28):
        return prediction_pb2.Image(pixels=image.tobytes())
    return prediction_pb2.Image(encoded=png(image))
