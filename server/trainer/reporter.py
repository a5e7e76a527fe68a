"""Tells how a training goes: a line of progress every half second, whatever the training is busy with."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from server.protocol import EpochMetrics, Phase, Progress

INTERVAL_S = 0.5
# Throughput is that of the last seconds: long enough to be steady, short enough to follow the machine's load.
THROUGHPUT_WINDOW_S = 3.0
# What saving and measuring a network takes where nothing better is known: the time left at the end of the
# last epoch.
EVALUATING_S = 3.0

Send = Callable[[str, dict[str, Any]], None]
Observe = Callable[[Progress], None]


class Reporter:
    """Sends progress while its `with` block runs. `send(event, values)` is called from two threads."""

    def __init__(self, send: Send, epochs: int, elapsed_s: float = 0.0) -> None:
        """`elapsed_s` is what earlier attempts at the same run took."""
        self._send = send
        self._lock = threading.Lock()
        self._started = time.monotonic() - elapsed_s
        self._evaluating_s = EVALUATING_S
        self._observers: list[Observe] = []
        self._progress = Progress(phase=Phase.STARTING, epochs=epochs)
        # When the training is expected to be done, in time.monotonic()'s seconds.
        self._expected_end: float | None = None
        self._trained: deque[tuple[float, int]] = deque()
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)

    def __enter__(self) -> Reporter:
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._ticker.join()

    def observe(self, observer: Observe) -> None:
        """Give every progress to `observer` too, from whichever thread tells it."""
        self._observers.append(observer)

    def expect_evaluating(self, seconds: float) -> None:
        """Say how long the time after the last epoch is expected to be."""
        with self._lock:
            self._evaluating_s = seconds

    def on(self, device: str, libraries: Mapping[str, str]) -> None:
        """Tell what the training runs on."""
        self._send("environment", {"device": device, "libraries": dict(libraries)})

    def begins_after(self, history: Sequence[EpochMetrics]) -> None:
        """Tell which epochs earlier attempts have finished."""
        self._send("history", {"history": [metrics.to_json() for metrics in history]})
        if history:
            self._note_epoch(history[-1])

    def enter(self, phase: Phase) -> None:
        """Say that another phase begins."""
        with self._lock:
            self._progress = replace(self._progress, phase=phase)
            if phase is Phase.EVALUATING:
                self._expected_end = time.monotonic() + self._evaluating_s
        self._send_progress()

    def trained(
        self,
        *,
        epoch: int,
        batch: int,
        batches: int,
        loss: float,
        accuracy: float,
        images: int,
        remaining_s: float | None,
    ) -> None:
        """Note how far it is: `images` were just learnt from, and the last epoch is `remaining_s` away."""
        now = time.monotonic()
        with self._lock:
            self._trained.append((now, images))
            while now - self._trained[0][0] > THROUGHPUT_WINDOW_S and len(self._trained) > 2:
                self._trained.popleft()
            self._expect_end(now, remaining_s)
            self._progress = replace(
                self._progress,
                epoch=epoch,
                batch=batch,
                batches=batches,
                loss=loss,
                accuracy=accuracy,
                images_per_s=self._throughput(),
            )

    def finished(self, metrics: EpochMetrics, remaining_s: float | None = None) -> None:
        """Tell the result of an epoch, and progress with it; the last epoch is `remaining_s` away."""
        self._note_epoch(metrics)
        with self._lock:
            self._expect_end(time.monotonic(), remaining_s)
        self._send("epoch", metrics.to_json())
        self._send_progress()

    def _note_epoch(self, metrics: EpochMetrics) -> None:
        with self._lock:
            self._progress = replace(
                self._progress,
                epoch=metrics.epoch,
                loss=metrics.loss,
                accuracy=metrics.accuracy,
                validation_loss=metrics.validation_loss,
                validation_accuracy=metrics.validation_accuracy,
            )

    def _expect_end(self, now: float, remaining_s: float | None) -> None:
        if remaining_s is not None:
            self._expected_end = now + remaining_s + self._evaluating_s

    def _throughput(self) -> float:
        seconds = self._trained[-1][0] - self._trained[0][0]
        # The images of the oldest entry were learnt before the window began.
        return sum(images for _, images in list(self._trained)[1:]) / seconds if seconds > 0 else 0.0

    def _tick(self) -> None:
        self._send_progress()
        while not self._stop.wait(INTERVAL_S):
            self._send_progress()

    def _send_progress(self) -> None:
        now = time.monotonic()
        with self._lock:
            remaining_s = None if self._expected_end is None else max(0.0, self._expected_end - now)
            progress = replace(self._progress, elapsed_s=now - self._started, remaining_s=remaining_s)
        self._send("progress", progress.to_json())
        for observe in self._observers:
            observe(progress)
