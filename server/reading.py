"""From an image to a number: decode, search for digits, have the model read all candidates, choose."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from server.errors import BlankImage, InvalidImage
from server.numbers import Judge, Line, Scanner, agree, search
from server.prediction import Answer, Prediction, Predictor, Timings
from server.preprocessing import decode_image

FIELD = "encoded"


class Box(NamedTuple):
    """A rectangle in the pixels of the image that was sent, lying within it; no side is 0."""

    x: int
    y: int
    width: int
    height: int


class NumberDigit(NamedTuple):
    """One digit of a number."""

    prediction: Prediction
    box: Box
    """Where its ink is."""
    line: int
    """The line it stands in, from 0 at the top."""


class NumberResult(NamedTuple):
    """Every digit of an image, read by one version."""

    text: str
    """The digits, lines parted by a line feed."""
    digits: tuple[NumberDigit, ...]
    """From left to right within a line, lines from the top."""
    model_version: int
    timings: Timings
    """`preprocess_ms` includes the search for digits and the choice among them."""


class _Found(NamedTuple):
    """The lines of an image, and what it took to find them."""

    lines: list[Line]
    images: npt.NDArray[np.uint8]  # (M, 28, 28): the candidates of all lines
    decode_s: float
    search_s: float


class NumberReader:
    """Reads whole numbers, with the predictor's threads and models. Use it from one event loop."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._judge = Judge()
        self._scanner = Scanner()

    async def read(self, data: bytes, version: int | None = None, expires: float = math.inf) -> NumberResult:
        """Read every digit in an encoded image. `version` None: the deployed one. `expires`: see `Predictor`.

        Raises InvalidImage, also for what is far more than a page of numbers, and BlankImage, also where
        there is ink but no digit (field `encoded`); ModelNotFound, NothingDeployed, ModelCorrupt, Overloaded,
        ShuttingDown, DeadlineExceeded.
        """
        started = time.perf_counter()
        await self._predictor.load(version)
        found = await self._predictor.in_thread(self._find, data)
        answer = await self._predictor.ask(found.images, version, expires)
        chosen_from = time.perf_counter()
        digits = await self._predictor.in_thread(_chosen, found, answer)
        ended = time.perf_counter()
        timings = Timings(
            decode_ms=found.decode_s * 1e3,
            preprocess_ms=(found.search_s + ended - chosen_from) * 1e3,
            queue_ms=answer.result.queue_ms,
            engine_ms=answer.result.engine_ms,
            total_ms=(ended - started) * 1e3,
        )
        return NumberResult(_text(digits), digits, answer.model_version, timings)

    def _find(self, data: bytes) -> _Found:
        """Everything in an image that may be a digit. Raises InvalidImage, BlankImage."""
        started = time.perf_counter()
        try:
            ink = decode_image(data)
            decoded = time.perf_counter()
            if not ink.any():
                raise BlankImage(FIELD, "expected a written number, got a picture without ink")
            lines = search(ink, self._judge, self._scanner)
        except InvalidImage as error:
            raise InvalidImage(FIELD, error.description, **error.metadata) from error
        images = np.concatenate([np.empty((0, 28, 28), np.uint8), *(line.images for line in lines)])
        if not len(images):
            raise _no_digit()
        return _Found(lines, images, decoded - started, time.perf_counter() - decoded)


def _chosen(found: _Found, answer: Answer) -> tuple[NumberDigit, ...]:
    """The candidates that are digits. Raises BlankImage when none is."""
    digits: list[NumberDigit] = []
    start = line_number = 0
    for line in found.lines:
        answers = answer.result.probabilities[start : start + len(line.images)]
        found_digits = agree(line, answers)
        for digit in found_digits:
            prediction = answer.judged(digit.probabilities, line.images[digit.place])
            box = Box(*line.boxes[line.readable[digit.place]].tolist())
            digits.append(NumberDigit(prediction, box, line_number))
        line_number += bool(found_digits)
        start += len(line.images)
    if not digits:
        raise _no_digit()
    return tuple(digits)


def _no_digit() -> BlankImage:
    return BlankImage(FIELD, "expected a written number, got ink that is no digit")


def _text(digits: Sequence[NumberDigit]) -> str:
    lines = [""] * (digits[-1].line + 1)
    for digit in digits:
        lines[digit.line] += str(digit.prediction.digit)
    return "\n".join(lines)
