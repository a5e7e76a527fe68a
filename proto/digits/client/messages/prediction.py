"""What versions read in images."""

from __future__ import annotations

import numpy as np

from digits.client import records
from digits.client.messages.fields import pixels
from digits.v1 import prediction_pb2


def prediction(message: prediction_pb2.Prediction) -> records.Prediction:
    return records.Prediction(
        digit=message.digit,
        confidence=message.confidence,
        probabilities=tuple(message.probabilities),
        model_input=pixels(message.model_input),
        is_uncertain=message.is_uncertain,
    )


def timings(message: prediction_pb2.Timings) -> records.Timings:
    return records.Timings(
        message.decode_ms, message.preprocess_ms, message.queue_ms, message.engine_ms, message.total_ms
    )


def answer(
    message: prediction_pb2.PredictResponse | prediction_pb2.StreamPredictResponse,
) -> records.Answer:
    return records.Answer(prediction(message.prediction), message.model_version, timings(message.timings))


def batch_answer(message: prediction_pb2.BatchPredictResponse) -> records.BatchAnswer:
    return records.BatchAnswer(
        tuple(prediction(each) for each in message.predictions),
        message.model_version,
        timings(message.timings),
    )


def number_digit(message: prediction_pb2.NumberDigit) -> records.NumberDigit:
    box = message.box
    return records.NumberDigit(
        prediction(message.prediction), records.Box(box.x, box.y, box.width, box.height), message.line
    )


def number_answer(message: prediction_pb2.ReadNumberResponse) -> records.NumberAnswer:
    return records.NumberAnswer(
        message.text,
        tuple(number_digit(digit) for digit in message.digits),
        message.model_version,
        timings(message.timings),
    )


def neighbour(message: prediction_pb2.Neighbour) -> records.Neighbour:
    return records.Neighbour(message.index, pixels(message.pixels), message.label, message.distance)


def explanation(message: prediction_pb2.ExplainPredictionResponse) -> records.Explanation:
    return records.Explanation(
        prediction=prediction(message.prediction),
        digit=message.digit,
        occlusion=np.array(message.occlusion, dtype=np.float32).reshape(28, 28),
        patch_size=message.patch_size,
        neighbours=tuple(neighbour(each) for each in message.neighbours),
        neighbours_missing=message.neighbours_missing,
        model_version=message.model_version,
        timings=timings(message.timings),
    )
