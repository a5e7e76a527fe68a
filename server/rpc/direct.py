"""The shortest way of a prediction: from gRPC's queue to the engine and back, on one thread.

Requests that hold model inputs need nothing but the engine. They are taken from a queue of their own (see
`call_queue`), and while the engine computes some, others gather and go together. Everything else about the
same methods, files to decode, versions to load, whatever is wrong with a request, is handed to the handler
on the event loop, so that there is one place that knows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import grpc

from server.admission import Admission
from server.counters import CallCounters
from server.errors import DigitsError, UnknownMethod
from server.inference import Images
from server.logs import REQUEST_ID
from server.prediction import Answer, Predictor
from server.rpc import status
from server.rpc.access import Access
from server.rpc.call_queue import Call, CallQueue, Step
from server.rpc.direct_context import DirectContext
from server.rpc.entrance import Entrance
from server.rpc.request_id import KEY

log = logging.getLogger(__name__)

# Images that are computed together: more gain nothing, and the caller of the first waits for the last.
ROWS_TOGETHER = 16
# Where large batches are computed as well, there is a long wait for each turn, so more go together.
ROWS_IN_TURN = 64
LONG_WAIT_MS = 0.5
# Events that are met before those who wait are answered, however many more there are: refusals must not take
# all the time. A call that is let in brings four, one that is refused two: at twice the load six for each
# that is answered. Met more slowly, calls would wait inside gRPC, where admission does not see them.
STEPS_TOGETHER = 9 * ROWS_TOGETHER
# Stands for a request of which nothing came: as unreadable as a bad one.
NOTHING = b"\xff"


class Asked(NamedTuple):
    """What a request wants of the engine, when it wants nothing else."""

    images: Images
    """(N, 28, 28) uint8, or float32 in [0, 1]."""
    version: int | None
    respond: Callable[[Answer], bytes]
    """The answer as it is sent."""


class DirectMethod(NamedTuple):
    """A unary method that may be answered without the event loop."""

    handler: Any
    """The guarded handler, which answers everything, on the event loop."""
    ask: Callable[[Any], Asked | None]
    """What a request asks of the engine; None for what the handler has to see. Raises nothing."""


class _Waiting(NamedTuple):
    """A request that waits for the engine."""

    call: Call
    request: Any
    asked: Asked
    since: float
    """Of `time.perf_counter()`."""


class DirectCalls:
    """Answers the calls of a queue on a thread of its own, from `start` to `stop`."""

    def __init__(
        self,
        queue: CallQueue,
        methods: Mapping[str, DirectMethod],
        predictor: Predictor,
        access: Access | None = None,
        counters: CallCounters | None = None,
    ) -> None:
        """`methods` by their full path. On the event loop that handlers run on."""
        self._queue = queue
        self._methods = methods
        self._predictor = predictor
        self._entrance = Entrance(Admission(self.waiting, look_every=1), methods.keys(), access, counters)
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._ready: deque[_Waiting] = deque()
        self._rows_together = ROWS_TOGETHER
        # Every call that is not answered, and what to cancel with it, where there is something. This and the
        # next are changed by several threads, in single steps.
        self._under_way: dict[Call, Callable[[], object] | None] = {}
        self._handed_over: set[Call] = set()
        self._unread: set[Call] = set()
        self._thread = threading.Thread(target=self._work, name="direct", daemon=True)

    def waiting(self) -> int:
        """Calls that are not answered yet. Who has not sent a request waits for nothing."""
        return len(self._under_way) - len(self._unread)

    def unread(self) -> int:
        """Calls whose request has not come."""
        return len(self._unread)

    def beside_the_loop(self) -> int:
        """Those of them that no handler on the event loop knows of."""
        return max(0, len(self._under_way) - len(self._handed_over))

    def start(self) -> None:
        """Take up calls, once the server has started."""
        self._queue.start_taking()
        self._thread.start()

    def stop(self) -> None:
        """End the thread, once the server has stopped."""
        self._queue.shut_down()
        self._thread.join()

    # What the queue tells, on the thread.

    def came(self, call: Call) -> bool:
        """Let a call in, or refuse it."""
        try:
            call.request_id = self._entrance.let_in(call.method, call.metadata)
            if call.method not in self._methods:
                raise UnknownMethod(call.method)
        except DigitsError as error:
            call.refuse(*self._entrance.refusal(call.method, error, call.peer))
            return False
        # A bug in what one call meets must not end the thread that takes up all of them.
        except Exception as error:
            _refuse_for_bug(call, error)
            return False
        self._under_way[call] = None
        self._unread.add(call)
        return True

    def was_read(self, call: Call, data: bytes | None) -> None:
        """Put a request to those that wait for the engine, or hand it over."""
        self._unread.discard(call)
        method = self._methods[call.method]
        try:
            request = method.handler.request_deserializer(NOTHING if data is None else data)
            asked = method.ask(request)
        except Exception as error:
            self._under_way.pop(call, None)
            _refuse_for_bug(call, error)
            return
        if asked is None or len(asked.images) > ROWS_TOGETHER:
            self._hand_over(call, request)
        else:
            self._ready.append(_Waiting(call, request, asked, time.perf_counter()))

    def was_cancelled(self, call: Call) -> None:
        """Let go of a call that nobody waits for."""
        self._unread.discard(call)
        cancel = self._under_way.get(call)
        if cancel is None:
            self._under_way.pop(call, None)
        else:
            cancel()

    def _work(self) -> None:
        steps = 0
        while (step := self._queue.step(self, is_patient=not self._ready)) is not Step.END:
            steps += 1
            if self._ready and (step is Step.NOTHING or steps >= STEPS_TOGETHER):
                steps = 0
                self._answer_some()

    def _answer_some(self) -> None:
        """Answer the first of those that wait, as many as go together."""
        together = self._next()
        if not together:
            return
        images = [waiting.asked.images for waiting in together]
        try:
            answers = self._predictor.answer_together(images, together[0].asked.version)
        # Whatever it is, the handler tells it to each of them.
        except Exception:
            answers = None
        if answers is None:
            for waiting in together:
                self._hand_over(waiting.call, waiting.request)
            return
        is_long = answers[0].result.queue_ms > LONG_WAIT_MS
        self._rows_together = ROWS_IN_TURN if is_long else ROWS_TOGETHER
        for waiting, answer in zip(together, answers, strict=True):
            self._respond(waiting, answer)

    def _next(self) -> list[_Waiting]:
        """Those to be answered next, of one version. Who waits no longer is left out."""
        together: list[_Waiting] = []
        now, rows = time.monotonic(), 0
        while self._ready and rows < self._rows_together:
            if together and self._ready[0].asked.version != together[0].asked.version:
                break
            waiting = self._ready.popleft()
            if waiting.call.is_cancelled:
                self._drop(waiting)
            elif now >= waiting.call.expires:
                self._hand_over(waiting.call, waiting.request)
            else:
                together.append(waiting)
                rows += len(waiting.asked.images)
        return together

    def _respond(self, waiting: _Waiting, answer: Answer) -> None:
        call = waiting.call
        try:
            message = waiting.asked.respond(answer)
        except Exception:
            self._hand_over(call, waiting.request)
            return
        call.answer(message, ((KEY, call.request_id),))
        self._end(waiting, grpc.StatusCode.OK)

    def _drop(self, waiting: _Waiting) -> None:
        is_late = time.monotonic() >= waiting.call.expires
        self._end(waiting, grpc.StatusCode.DEADLINE_EXCEEDED if is_late else grpc.StatusCode.CANCELLED)

    def _end(self, waiting: _Waiting, code: grpc.StatusCode) -> None:
        self._under_way.pop(waiting.call, None)
        if self._counters is not None:
            method = waiting.call.method
            self._counters.begin("unary", method)
            self._counters.note("unary", method, code.name, time.perf_counter() - waiting.since)

    # Everything else is the handler's, on the event loop.

    def _hand_over(self, call: Call, request: Any) -> None:
        self._handed_over.add(call)
        self._loop.call_soon_threadsafe(self._begin, call, request)

    def _begin(self, call: Call, request: Any) -> None:
        def end(task: asyncio.Task[None]) -> None:
            # Not in the task itself: one that is cancelled before it begins does nothing at all.
            self._handed_over.discard(call)
            self._under_way.pop(call, None)

        task = self._loop.create_task(self._handle(call, request))
        task.add_done_callback(end)
        self._under_way[call] = lambda: self._loop.call_soon_threadsafe(task.cancel)
        if call.is_cancelled:
            task.cancel()

    async def _handle(self, call: Call, request: Any) -> None:
        REQUEST_ID.set(call.request_id)
        handler, context = self._methods[call.method].handler, DirectContext(call)
        try:
            # Who is refused has been told; who has gone need not be.
            with contextlib.suppress(grpc.aio.AbortError, asyncio.CancelledError):
                response = await handler.unary_unary(request, context)
                call.answer(handler.response_serializer(response), context.trailing)
        except Exception as error:
            _refuse_for_bug(call, error)


def _refuse_for_bug(call: Call, error: Exception) -> None:
    log.error("bug", exc_info=error, extra={"method": call.method})
    told = status.internal_status()
    trailing = (*status.trailing_metadata(told), (KEY, call.request_id))
    call.refuse(grpc.StatusCode.INTERNAL, told.message, trailing)
