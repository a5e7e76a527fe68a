"""Progress reports: often, whatever the training does, and honest about the time left."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from server.protocol import EpochMetrics, Phase, Progress
from server.trainer import reporter as reporter_module
from server.trainer.reporter import EVALUATING_S, INTERVAL_S, Reporter


class Clock:
    """`time.monotonic` that moves when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


class Sent:
    """What a reporter sent, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.has_three = threading.Event()

    def __call__(self, event: str, values: dict[str, Any]) -> None:
        self.events.append((event, values))
        if len(self.events) >= 3:
            self.has_three.set()

    @property
    def last(self) -> Progress:
        """The latest progress."""
        return Progress.from_json([values for event, values in self.events if event == "progress"][-1])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(reporter_module, "time", clock)
    return clock


def train(reporter: Reporter, batch: int, remaining_s: float | None = None) -> None:
    """Report a piece of training: 1,000 images, of an epoch of 10 batches."""
    reporter.trained(
        epoch=1, batch=batch, batches=10, loss=0.5, accuracy=0.8, images=1000, remaining_s=remaining_s
    )


def test_progress_is_told_while_the_training_itself_is_silent() -> None:
    sent = Sent()
    started = time.monotonic()
    with Reporter(sent, epochs=2):
        assert sent.has_three.wait(20 * INTERVAL_S)
    assert time.monotonic() - started >= 2 * INTERVAL_S
    assert {event for event, _ in sent.events} == {"progress"}
    assert sent.last.phase is Phase.STARTING
    assert sent.last.epochs == 2
    assert sent.last.remaining_s is None


def test_nothing_is_sent_after_the_end() -> None:
    sent = Sent()
    with Reporter(sent, epochs=1):
        assert [thread for thread in threading.enumerate() if thread.name == "progress"]
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_the_time_left_counts_down_between_two_reports_and_includes_the_evaluation(clock: Clock) -> None:
    sent = Sent()
    reporter = Reporter(sent, epochs=1)
    reporter.expect_evaluating(2.0)
    train(reporter, batch=1)
    reporter.enter(Phase.TRAINING)
    assert sent.last.remaining_s is None
    train(reporter, batch=5, remaining_s=5.0)
    clock.now_s += 1
    reporter.enter(Phase.TRAINING)
    assert sent.last.remaining_s == pytest.approx(4 + 2)
    reporter.finished(metrics_of(1), remaining_s=3.0)
    assert sent.last.remaining_s == pytest.approx(3 + 2)


def test_the_time_left_is_never_negative(clock: Clock) -> None:
    sent = Sent()
    reporter = Reporter(sent, epochs=1)
    reporter.enter(Phase.EVALUATING)
    assert sent.last.remaining_s == EVALUATING_S
    clock.now_s += 2 * EVALUATING_S
    reporter.finished(metrics_of(1))
    assert sent.last.remaining_s == 0.0


def test_throughput_is_that_of_the_last_seconds(clock: Clock) -> None:
    sent = Sent()
    reporter = Reporter(sent, epochs=1)
    for _ in range(10):
        clock.now_s += 1.0
        train(reporter, batch=1)
    reporter.finished(metrics_of(1))
    assert sent.last.images_per_s == pytest.approx(1000)
    for _ in range(20):
        clock.now_s += 0.25
        train(reporter, batch=2)
    reporter.finished(metrics_of(1))
    assert sent.last.images_per_s == pytest.approx(4000)


def test_a_finished_epoch_is_told_by_itself_and_in_the_progress(clock: Clock) -> None:
    sent = Sent()
    reporter = Reporter(sent, epochs=3)
    train(reporter, batch=10)
    reporter.finished(metrics_of(1))
    (epoch,) = [values for event, values in sent.events if event == "epoch"]
    assert EpochMetrics(**epoch) == metrics_of(1)
    assert (sent.last.epoch, sent.last.batch, sent.last.batches) == (1, 10, 10)
    assert (sent.last.validation_loss, sent.last.validation_accuracy) == (0.2, 0.95)


def test_a_run_that_goes_on_tells_what_earlier_attempts_finished_and_counts_their_time(clock: Clock) -> None:
    sent = Sent()
    reporter = Reporter(sent, epochs=3, elapsed_s=20.0)
    reporter.on("CPU", {"keras": "3"})
    reporter.begins_after([metrics_of(1), metrics_of(2)])
    clock.now_s += 5
    reporter.enter(Phase.TRAINING)
    told = dict(sent.events)
    assert told["environment"] == {"device": "CPU", "libraries": {"keras": "3"}}
    assert [EpochMetrics(**epoch) for epoch in told["history"]["history"]] == [metrics_of(1), metrics_of(2)]
    assert (sent.last.epoch, sent.last.validation_accuracy) == (2, 0.95)
    assert sent.last.elapsed_s == pytest.approx(25)
    assert sent.last.remaining_s is None


def test_observers_see_what_is_sent(clock: Clock) -> None:
    sent = Sent()
    reporter = Reporter(sent, epochs=1)
    seen: list[Progress] = []
    reporter.observe(seen.append)
    reporter.enter(Phase.TRAINING)
    assert seen == [sent.last]


def metrics_of(epoch: int) -> EpochMetrics:
    return EpochMetrics(
        epoch=epoch,
        loss=0.3,
        accuracy=0.9,
        validation_loss=0.2,
        validation_accuracy=0.95,
        duration_s=10.0,
    )
