"""Micro-batching: requests that come while the engine is busy go together when it is free.

Nobody waits for others to arrive: an idle engine takes a single image at once, on the thread that asks, since
the way to another thread and back would take longer than the image. Requests take turns, so a bulk request
of a thousand images does not hold up a drawing.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt

from server.counters import EngineCounters
from server.errors import DeadlineExceeded, Overloaded, ShuttingDown
from server.inference.engine import Images, to_float
from server.inference.turns import Turns

# Larger batches gain little per image and make everybody in them wait.
MAX_BATCH_ROWS = 64
# Beyond it a request is refused at once: it would only be answered after its sender has given up.
MAX_QUEUED_ROWS = 2048
# What takes longer is computed on the engine's own thread: whoever asks may be an event loop.
MAX_AT_ONCE_S = 0.001


class BatchEngine(Protocol):
    """What computes a batch: (N, 28, 28) uint8 or float32 -> (N, 10) float32, each row by itself."""

    def probabilities(self, images: Images) -> npt.NDArray[np.float32]: ...


class BatchResult(NamedTuple):
    """The answer to one request."""

    probabilities: npt.NDArray[np.float32]
    """(N, 10) float32, in the order of the request's images."""
    queue_ms: float
    """Waiting, from the request to the answer: all the time that was not `engine_ms`."""
    engine_ms: float
    """In the engine, for the batches that held images of this request."""


class _Request:
    """Images on their way through the engine; `done` rows of them are answered."""

    __slots__ = ("answers", "done", "engine_s", "expires", "future", "images", "submitted")

    def __init__(self, images: Images, expires: float) -> None:
        self.images = images
        self.expires = expires
        self.future: Future[BatchResult] = Future()
        self.answers: list[npt.NDArray[np.float32]] = []
        self.done = 0
        self.engine_s = 0.0
        self.submitted = time.perf_counter()

    @property
    def waiting(self) -> int:
        return len(self.images) - self.done


class _Part(NamedTuple):
    """Some rows of a request, in the batch that is about to be computed."""

    request: _Request
    rows: int
    is_last: bool


class MicroBatcher:
    """Feeds one engine from one thread of its own. `submit` may be called from any thread."""

    def __init__(
        self,
        engine: BatchEngine,
        max_batch_rows: int = MAX_BATCH_ROWS,
        max_queued_rows: int = MAX_QUEUED_ROWS,
        counters: EngineCounters | None = None,
    ) -> None:
        self._engine = engine
        self._counters = counters or EngineCounters()
        self._max_batch_rows = max_batch_rows
        self._max_queued_rows = max_queued_rows
        self._queue: deque[_Request] = deque()
        self._queued_rows = 0
        # Until it is known: a single image may be tried.
        self._seconds_per_row = MAX_AT_ONCE_S
        self._is_closed = False
        self._changed = threading.Condition()
        # Of whoever is in the engine: one at a time, so that one core does one thing.
        self._computing = Turns()
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
        self._thread.start()

    @property
    def queued_rows(self) -> int:
        """Images that wait."""
        return self._queued_rows

    def answer_at_once(self, images: Images) -> BatchResult | None:
        """The answer to (N, 28, 28) images, uint8 or float32 in [0, 1], computed here and now.

        None when others are before, or when it would take long: `submit` them then. Raises ValueError for
        anything but such images.
        """
        if len(images) * self._seconds_per_row > MAX_AT_ONCE_S or not self._computing.try_take():
            return None
        try:
            # Those who wait were here before.
            return None if self._queue else self._answer(images, time.perf_counter())
        finally:
            self._computing.give_up()

    def answer_here(self, images: Images) -> BatchResult | None:
        """The same, but on this thread in any case: it waits for its turn. None after `close`."""
        came = time.perf_counter()
        with self._computing:
            return self._answer(images, came)

    def _answer(self, images: Images, came: float) -> BatchResult | None:
        if self._is_closed:
            return None
        started = time.perf_counter()
        answers = self._engine.probabilities(images)
        taken_s = time.perf_counter() - started
        self._learn(len(images), taken_s)
        return BatchResult(answers, (started - came) * 1e3, taken_s * 1e3)

    def submit(self, images: Images, expires: float = math.inf) -> Future[BatchResult]:
        """Queue (N, 28, 28) images, N ≥ 1, uint8 or float32 in [0, 1]. Cancel the future, and what is not
        computed yet never is.

        `expires`: the moment of `time.monotonic()` from which nobody waits for the answer; what is not begun
        by then never is, and DeadlineExceeded comes instead. Raises ValueError for anything else; Overloaded
        when too many images wait already (a request that finds the queue empty is always taken);
        ShuttingDown after `close`.
        """
        # Here, not in the engine: a bad request must not spoil the batch that it would be put into.
        if not len(images) or images.shape[1:] != (28, 28) or images.dtype not in (np.uint8, np.float32):
            raise ValueError(
                f"expected (N, 28, 28) uint8 or float32 images, N ≥ 1, got {images.shape} {images.dtype}"
            )
        request = _Request(images, expires)
        with self._changed:
            if self._is_closed:
                raise ShuttingDown("this version answers no more; try again", retry_after_s=0.1)
            if self._queued_rows and self._queued_rows + len(images) > self._max_queued_rows:
                raise Overloaded(
                    f"{self._queued_rows} images wait, of {self._max_queued_rows} that may; try again soon",
                    retry_after_s=max(0.02, self._queued_rows * self._seconds_per_row),
                )
            self._queue.append(request)
            self._queued_rows += len(images)
            self._changed.notify()
        return request.future

    def close(self) -> None:
        """Take no more requests, answer those that are queued, and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while parts := self._next_batch():
            with self._computing:
                self._compute(parts)

    def _next_batch(self) -> list[_Part]:
        """The rows to compute next, at least one; none when the batcher was closed and the queue is empty."""
        parts: list[_Part] = []
        free = self._max_batch_rows
        with self._changed:
            while not parts:
                self._changed.wait_for(lambda: self._queue or self._is_closed)
                if not self._queue:
                    return []
                while self._queue and free:
                    request = self._queue.popleft()
                    rows = min(free, request.waiting)
                    is_last = rows == request.waiting
                    is_late = not request.done and time.monotonic() >= request.expires
                    if _is_cancelled(request.future, is_last or is_late) or is_late:
                        self._queued_rows -= request.waiting
                        if is_late and not request.future.cancelled():
                            request.future.set_exception(DeadlineExceeded())
                        continue
                    self._queued_rows -= rows
                    free -= rows
                    parts.append(_Part(request, rows, is_last))
            # What is left of large requests goes to the end: everybody else has a turn first.
            self._queue.extend(part.request for part in parts if not part.is_last)
        return parts

    def _compute(self, parts: list[_Part]) -> None:
        images = [part.request.images[part.request.done : part.request.done + part.rows] for part in parts]
        started = time.perf_counter()
        try:
            answers = self._engine.probabilities(joined(images))
        # Whatever went wrong belongs to those who asked, and to nobody else.
        except Exception as error:
            self._fail(parts, error)
            return
        ended = time.perf_counter()
        self._learn(len(answers), ended - started)
        start = 0
        for request, rows, is_last in parts:
            request.answers.append(answers[start : start + rows])
            request.done += rows
            request.engine_s += ended - started
            start += rows
            if is_last:
                request.future.set_result(_result(request, ended))

    def _learn(self, rows: int, taken_s: float) -> None:
        """Down at once, up a little at a time: others may have had the core for a moment."""
        self._seconds_per_row = min(taken_s / rows, self._seconds_per_row * 1.1)
        self._counters.note(rows, taken_s)

    def _fail(self, parts: list[_Part], error: Exception) -> None:
        with self._changed:
            for request, rows, is_last in parts:
                request.done += rows
                if not is_last:
                    self._queue.remove(request)
                    self._queued_rows -= request.waiting
        for request, _, is_last in parts:
            if is_last or request.future.set_running_or_notify_cancel():
                request.future.set_exception(error)


def _is_cancelled(future: Future[BatchResult], is_last: bool) -> bool:
    """Whether nobody wants the answer. From its last part on a request can no longer be cancelled."""
    if is_last or future.cancelled():
        return not future.set_running_or_notify_cancel()
    return False


def joined(images: Sequence[Images]) -> Images:
    """One batch; where types are mixed, as the model takes them."""
    if len(images) == 1:
        return images[0]
    if any(image.dtype != images[0].dtype for image in images):
        images = [to_float(image) for image in images]
    return cast(Images, np.concatenate(images))


def _result(request: _Request, ended: float) -> BatchResult:
    # A view into the batch would keep all of it alive for as long as one row is.
    probabilities = np.concatenate(request.answers)
    engine_ms = request.engine_s * 1e3
    return BatchResult(probabilities, (ended - request.submitted) * 1e3 - engine_ms, engine_ms)
