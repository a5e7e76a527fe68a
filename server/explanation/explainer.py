"""From an image to what its reading rests on: the reading, the map, the training digits most like it."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from server.errors import DeadlineExceeded
from server.explanation.neighbours import Neighbour, Neighbours, NotReady
from server.explanation.occlusion import PATCH, covered, spread
from server.prediction import ImageInput, Prediction, Predictor, Timings
from server.preprocessing import Preprocessing

NOT_HERE = "a replica has no training digits; ask the server that owns the data"
NOT_ASKED_FOR = "none were asked for"


class Explanation(NamedTuple):
    """What a prediction rests on."""

    prediction: Prediction
    digit: int
    """The digit that is explained."""
    occlusion: npt.NDArray[np.float32]
    """(28, 28) float32, in [-1, 1]: by how much the probability of `digit` falls when the ink is covered."""
    patch_size: int
    """Side of the square that was covered, in pixels."""
    neighbours: tuple[Neighbour, ...]
    """The training digits most alike, the nearest first."""
    neighbours_missing: str
    """Why there are none, for a person. Empty when there are."""
    model_version: int
    timings: Timings


class Explainer:
    """Explains readings, with the predictor's threads and models. Use it from one event loop."""

    def __init__(self, predictor: Predictor, neighbours: Neighbours | None) -> None:
        """`neighbours` None: there are no training digits here, and never will be."""
        self._predictor = predictor
        self._neighbours = neighbours

    def close(self) -> None:
        """Prepare no more neighbours."""
        if self._neighbours is not None:
            self._neighbours.close()

    async def explain(
        self,
        image: ImageInput,
        preprocessing: Preprocessing | None = None,
        version: int | None = None,
        digit: int | None = None,
        neighbours: int = 5,
        expires: float = math.inf,
    ) -> Explanation:
        """Read an image, and tell what the reading rests on.

        `digit` None: the one that is read. Everything else is as in `Predictor.predict`, which tells what it
        raises as well.
        """
        started = time.perf_counter()
        read = await self._predictor.predict(image, preprocessing, version=version, expires=expires)
        prediction = read.prediction
        explained = prediction.digit if digit is None else digit
        # By its number: what is deployed may change in between.
        images, has_ink = await self._predictor.in_thread(covered, prediction.model_input)
        answer = await self._predictor.ask(images, read.model_version, expires)
        falls = np.zeros(has_ink.shape, np.float32)
        falls[has_ink] = prediction.probabilities[explained] - answer.result.probabilities[:, explained]
        found, missing = await self._find(read.model_version, prediction.model_input, neighbours, expires)
        timings = read.timings._replace(
            queue_ms=read.timings.queue_ms + answer.result.queue_ms,
            engine_ms=read.timings.engine_ms + answer.result.engine_ms,
            total_ms=(time.perf_counter() - started) * 1e3,
        )
        return Explanation(
            prediction, explained, spread(falls), PATCH, found, missing, read.model_version, timings
        )

    async def _find(
        self, version: int, image: npt.NDArray[np.uint8], count: int, expires: float
    ) -> tuple[tuple[Neighbour, ...], str]:
        """The neighbours, or why there are none."""
        if self._neighbours is None:
            return (), NOT_HERE
        if not count:
            return (), NOT_ASKED_FOR
        if time.monotonic() >= expires:
            raise DeadlineExceeded
        try:
            return await self._predictor.in_thread(self._neighbours.nearest, version, image, count), ""
        except NotReady as error:
            return (), str(error)
