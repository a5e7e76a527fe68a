"""From an image to a digit: decode, place the ink, ask the engine, and time each step.

Runs on an event loop and never blocks it for more than a millisecond: images are decoded on two threads of
their own, models answer on theirs unless the answer takes less time than the way there. Cancelling the task
drops what has not been computed.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from server.errors import BlankImage, DeadlineExceeded, InvalidArgument, InvalidImage
from server.inference import BatchResult, Engines, Images, joined
from server.preprocessing import Interpolation, Preprocessing, decode_image, to_model_input

SIDE = 28
DECODING_THREADS = 2
# Encoded images of a batch that one job decodes: small enough for others to come in between.
DECODE_TOGETHER = 16
# Of large ones fewer, as few as take so long.
DECODE_TOGETHER_S = 0.05

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class EncodedImage:
    """The bytes of a PNG, JPEG, WebP or BMP file."""

    data: bytes


@dataclass(frozen=True)
class RawPixels:
    """784 bytes: 28x28 uint8 row by row, 0 = background."""

    data: bytes


ImageInput = EncodedImage | RawPixels


class Prediction(NamedTuple):
    """What the model reads in one image."""

    digit: int
    confidence: float
    """Probability of `digit`, in [0, 1]."""
    probabilities: npt.NDArray[np.float32]
    """(10,) float32, by digit."""
    model_input: npt.NDArray[np.uint8]
    """(28, 28) uint8, 0 = background: the image that the model saw."""
    is_uncertain: bool
    """Whether `confidence` is below the version's `uncertain_below`."""


class Timings(NamedTuple):
    """Milliseconds. Decoding and preprocessing of a batch are added up over its images."""

    decode_ms: float
    preprocess_ms: float
    queue_ms: float
    engine_ms: float
    total_ms: float
    """From the call to the answer, waiting for a thread or a model to load included."""


class PredictionResult(NamedTuple):
    """One image read by one version."""

    model_version: int
    prediction: Prediction
    timings: Timings


class BatchPredictionResult(NamedTuple):
    """Several images, all read by the same version, in the order they were given."""

    model_version: int
    predictions: tuple[Prediction, ...]
    timings: Timings


class _Prepared(NamedTuple):
    """Model inputs, and what it took to make them."""

    images: npt.NDArray[np.uint8]  # (N, 28, 28)
    decode_s: float
    preprocess_s: float


class _Job(NamedTuple):
    """Some images of a request on a decoding thread: from `start` to `end`, or the first ones of these."""

    start: int
    end: int
    prepared: asyncio.Future[_Prepared]


class Answer(NamedTuple):
    """One version's answer to a request."""

    model_version: int
    uncertain_below: float
    result: BatchResult

    def prediction(self, index: int, model_input: npt.NDArray[np.uint8]) -> Prediction:
        """What the version read in the request's image `index`, (28, 28) uint8."""
        return self.judged(self.result.probabilities[index], model_input)

    def judged(
        self, probabilities: npt.NDArray[np.float32], model_input: npt.NDArray[np.uint8]
    ) -> Prediction:
        """What ten probabilities for an image, (28, 28) uint8, mean by this version's measure."""
        digit = int(probabilities.argmax())
        confidence = float(probabilities[digit])
        is_uncertain = confidence < self.uncertain_below
        return Prediction(digit, confidence, probabilities, model_input, is_uncertain)


class Predictor:
    """Reads digits with the deployed version or any other. What is `async` belongs to one event loop."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._pool = ThreadPoolExecutor(DECODING_THREADS, "decode")

    async def predict(
        self,
        image: ImageInput,
        preprocessing: Preprocessing | None = None,
        interpolation: Interpolation = Interpolation.BILINEAR,
        version: int | None = None,
        expires: float = math.inf,
    ) -> PredictionResult:
        """Read one image.

        `preprocessing` None: NORMALISE for an encoded image, NONE for raw pixels. `version` None: the
        deployed one. `expires`: the moment of `time.monotonic()` from which nobody waits for the answer.
        Raises InvalidImage or BlankImage (fields `image.encoded` and `image.pixels`), InvalidArgument for an
        encoded image with NONE; ModelNotFound, NothingDeployed, ModelCorrupt, Overloaded, ShuttingDown,
        DeadlineExceeded.
        """
        started = time.perf_counter()
        await self.load(version)
        (prepared,) = await self._prepare([image], ["image"], preprocessing, interpolation)
        answer = await self.ask(prepared.images, version, expires)
        (prediction,) = _predictions(answer, prepared.images)
        return PredictionResult(
            answer.model_version, prediction, _timings(started, [prepared], answer.result)
        )

    async def predict_batch(
        self,
        images: Sequence[ImageInput],
        preprocessing: Preprocessing | None = None,
        interpolation: Interpolation = Interpolation.BILINEAR,
        version: int | None = None,
        expires: float = math.inf,
    ) -> BatchPredictionResult:
        """Read several images, N ≥ 1, with one version.

        One bad image refuses all. Raises what `predict` does, for the first bad image, with fields such as
        `images[3].encoded`.
        """
        started = time.perf_counter()
        await self.load(version)
        names = [f"images[{index}]" for index in range(len(images))]
        prepared = await self._prepare(images, names, preprocessing, interpolation)
        inputs = np.concatenate([part.images for part in prepared])  # (N, 28, 28)
        answer = await self.ask(inputs, version, expires)
        predictions = _predictions(answer, inputs)
        return BatchPredictionResult(
            answer.model_version, predictions, _timings(started, prepared, answer.result)
        )

    async def load(self, version: int | None) -> None:
        """Have the version in memory before any work is put into the image: it may not even exist."""
        if not self._engines.is_loaded(version):
            await asyncio.to_thread(self._engines.load, version)

    async def ask(self, images: Images, version: int | None, expires: float = math.inf) -> Answer:
        """The answer to all images, and what there is to know of the version that gave it.

        `images`: (N, 28, 28) uint8, or float32 in [0, 1]. `expires`: see `predict`. Raises DeadlineExceeded
        when the answer would come too late.
        """
        if time.monotonic() >= expires:
            raise DeadlineExceeded
        if (answered := self._engines.answer_at_once(images, version)) is not None:
            model, result = answered
            return Answer(model.version, model.uncertain_below, result)
        while (submitted := self._engines.submit(images, version, expires)) is None:
            # Others have pushed it out of memory meanwhile.
            await asyncio.to_thread(self._engines.load, version)
        result = await asyncio.wrap_future(submitted.answer)
        return Answer(submitted.version, submitted.uncertain_below, result)

    def answer_together(self, requests: Sequence[Images], version: int | None) -> list[Answer] | None:
        """The answers to several requests, computed together on this thread; None when `ask` has to do it.

        Each is (N, 28, 28) uint8, or float32 in [0, 1], N ≥ 1. Raises NothingDeployed.
        """
        answered = self._engines.answer_here(joined(requests), version)
        if answered is None:
            return None
        model, (probabilities, queue_ms, engine_ms) = answered
        answers: list[Answer] = []
        start = 0
        for images in requests:
            end = start + len(images)
            result = BatchResult(probabilities[start:end], queue_ms, engine_ms)
            answers.append(Answer(model.version, model.uncertain_below, result))
            start = end
        return answers

    async def in_thread(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Do work on images on one of the decoding threads; what is cancelled before it begins never does."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(work, *arguments, **named))

    def close(self) -> None:
        """End the decoding threads; predictions that wait for one are cancelled."""
        self._pool.shutdown(cancel_futures=True)

    async def _prepare(
        self,
        images: Sequence[ImageInput],
        names: Sequence[str],
        preprocessing: Preprocessing | None,
        interpolation: Interpolation,
    ) -> list[_Prepared]:
        """Model inputs for all images in order, in parts; `names` are the images' paths in the request."""
        is_little = len(images) <= DECODE_TOGETHER or preprocessing in (None, Preprocessing.NONE)
        if is_little and all(isinstance(image, RawPixels) for image in images):
            # A hop to another thread would cost more than the work.
            return [_prepare(images, names, preprocessing, interpolation)]
        loop = asyncio.get_running_loop()

        def begin(start: int, end: int) -> _Job:
            some, named = images[start:end], names[start:end]
            work = partial(_prepare, some, named, preprocessing, interpolation, DECODE_TOGETHER_S)
            return _Job(start, end, loop.run_in_executor(self._pool, work))

        parts: list[_Prepared] = []
        begun = 0
        # No more at a time than there are threads: what others send comes in between.
        jobs: deque[_Job] = deque()
        try:
            while jobs or begun < len(images):
                while begun < len(images) and len(jobs) < DECODING_THREADS:
                    end = min(begun + DECODE_TOGETHER, len(images))
                    jobs.append(begin(begun, end))
                    begun = end
                # One after the other, so that it is always the first bad image that is named.
                parts.append(await jobs[0].prepared)
                job = jobs.popleft()
                done = job.start + len(parts[-1].images)
                if done < job.end:
                    jobs.appendleft(begin(done, job.end))
            return parts
        finally:
            # Emptied: a refusal that holds this frame, and the frame the refusal, would keep the pictures.
            while jobs:
                jobs.pop().prepared.cancel()


def _prepare(
    images: Sequence[ImageInput],
    names: Sequence[str],
    preprocessing: Preprocessing | None,
    interpolation: Interpolation,
    for_s: float = math.inf,
) -> _Prepared:
    """Model inputs for some images, or, where that takes longer than `for_s`, for the first ones.

    Raises InvalidArgument that names the first bad one.
    """
    if preprocessing in (None, Preprocessing.NONE) and all(map(_is_model_input, images)):
        # All in one copy: a thousand of them would hold up the event loop for milliseconds one by one.
        joined = b"".join(image.data for image in images)
        inputs = np.frombuffer(joined, np.uint8).reshape(-1, SIDE, SIDE)
        if inputs.any(axis=(1, 2)).all():  # The slow way names the first one without ink.
            return _Prepared(inputs, 0.0, 0.0)
    inputs = np.empty((len(images), SIDE, SIDE), np.uint8)
    decode_s = preprocess_s = 0.0
    for index, (image, name) in enumerate(zip(images, names, strict=True)):
        if decode_s + preprocess_s > for_s:
            return _Prepared(inputs[:index], decode_s, preprocess_s)
        is_raw = isinstance(image, RawPixels)
        chosen = preprocessing or (Preprocessing.NONE if is_raw else Preprocessing.NORMALISE)
        if chosen is Preprocessing.NONE and not is_raw:
            raise InvalidArgument("preprocessing", f"NONE is for raw pixels, and {name} is an encoded image")
        started = time.perf_counter()
        try:
            ink = _raw(image.data) if is_raw else decode_image(image.data)
            decoded = time.perf_counter()
            inputs[index] = to_model_input(ink, chosen, interpolation)
        except (InvalidImage, BlankImage) as error:
            field = f"{name}.{'pixels' if is_raw else 'encoded'}"
            raise type(error)(field, error.description, **error.metadata) from error
        decode_s += 0.0 if is_raw else decoded - started
        preprocess_s += time.perf_counter() - decoded
    return _Prepared(inputs, decode_s, preprocess_s)


def _is_model_input(image: ImageInput) -> bool:
    return isinstance(image, RawPixels) and len(image.data) == SIDE * SIDE


def _raw(data: bytes) -> npt.NDArray[np.uint8]:
    """(28, 28) uint8 out of 784 bytes. Raises InvalidImage."""
    if len(data) != SIDE * SIDE:
        raise InvalidImage("pixels", f"expected 784 bytes, 28x28 pixels row by row, got {len(data)}")
    return np.frombuffer(data, np.uint8).reshape(SIDE, SIDE)


def _predictions(answer: Answer, model_inputs: npt.NDArray[np.uint8]) -> tuple[Prediction, ...]:
    """What one version read in (N, 28, 28) images."""
    return tuple(answer.prediction(index, image) for index, image in enumerate(model_inputs))


def _timings(started: float, prepared: Sequence[_Prepared], result: BatchResult) -> Timings:
    return Timings(
        decode_ms=sum(part.decode_s for part in prepared) * 1e3,
        preprocess_ms=sum(part.preprocess_s for part in prepared) * 1e3,
        queue_ms=result.queue_ms,
        engine_ms=result.engine_ms,
        total_ms=(time.perf_counter() - started) * 1e3,
    )
