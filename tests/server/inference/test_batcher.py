"""Micro-batching: every row gets its own answer, nobody waits without need, a bad batch harms nobody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from server.datasets import Data, Dataset
from server.errors import DeadlineExceeded, Overloaded, ShuttingDown
from server.inference import BatchResult, Engine, MicroBatcher

Images = npt.NDArray[np.uint8]
PATIENCE_S = 60.0


class GatedEngine:
    """A real engine that computes only while its gate is open, and remembers each batch.

    `failures`: the errors to raise, by the number of the batch, from 1.
    """

    def __init__(self, engine: Engine) -> None:
        self.batches: list[Images] = []
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.failures: dict[int, Exception] = {}
        self._engine = engine

    def probabilities(self, images: Images) -> npt.NDArray[np.float32]:
        self.batches.append(images)
        self.entered.release()
        assert self.gate.wait(PATIENCE_S)
        if len(self.batches) in self.failures:
            raise self.failures[len(self.batches)]
        return self._engine.probabilities(images)


@pytest.fixture(scope="session")
def images(builtin_data: Data) -> Images:
    """All 5,000 built-in digits, each different from the others."""
    return np.array(builtin_data.dataset(Dataset.BUILTIN_DIGITS).images)


@pytest.fixture(scope="session")
def expected(artifact: Path, images: Images) -> npt.NDArray[np.float32]:
    """What the engine answers for them without any batching: (5000, 10)."""
    return Engine(artifact).probabilities(images)


@pytest.fixture
def engine(artifact: Path) -> GatedEngine:
    return GatedEngine(Engine(artifact))


@pytest.fixture
def batcher_of(engine: GatedEngine) -> Iterator[Callable[..., MicroBatcher]]:
    """`batcher_of(**limits)`: a batcher on the gated engine."""
    batchers: list[MicroBatcher] = []

    def make(**limits: int) -> MicroBatcher:
        batchers.append(MicroBatcher(engine, **limits))
        return batchers[-1]

    yield make
    engine.gate.set()
    for batcher in batchers:
        batcher.close()


@pytest.fixture
def busy(batcher_of: Callable[..., MicroBatcher], engine: GatedEngine, images: Images) -> MicroBatcher:
    """A batcher whose engine is busy with one image until the gate opens."""
    batcher = batcher_of()
    batcher.submit(images[:1])
    assert engine.entered.acquire(timeout=PATIENCE_S)
    return batcher


def answer(future: Future[BatchResult]) -> BatchResult:
    return future.result(PATIENCE_S)


def test_thousands_of_images_at_once_each_get_their_own_answer(
    artifact: Path, images: Images, expected: npt.NDArray[np.float32]
) -> None:
    batcher = MicroBatcher(Engine(artifact), max_queued_rows=10**6)
    # Of all sizes, larger than a batch too, from several threads.
    sizes = np.random.default_rng(1).choice([1, 1, 1, 1, 2, 3, 10, 63, 64, 65, 200], size=4000)
    starts = np.random.default_rng(2).integers(0, len(images) - 200, size=4000)
    futures: dict[int, Future[BatchResult]] = {}

    def send(first: int) -> None:
        for number in range(first, 4000, 8):
            start, size = starts[number], sizes[number]
            futures[number] = batcher.submit(images[start : start + size])

    threads = [threading.Thread(target=send, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batcher.close()

    assert len(futures) == 4000
    for number, future in futures.items():
        start, size = starts[number], sizes[number]
        np.testing.assert_allclose(
            answer(future).probabilities,
            expected[start : start + size],
            atol=1e-5,
            err_msg=f"request {number}",
        )


def test_a_single_request_is_taken_at_once(
    batcher_of: Callable[..., MicroBatcher], engine: GatedEngine, images: Images
) -> None:
    engine.gate.set()
    result = answer(batcher_of().submit(images[:1]))
    assert result.probabilities.shape == (1, 10)
    assert result.queue_ms >= 0
    assert result.engine_ms > 0
    assert [len(batch) for batch in engine.batches] == [1]


def test_requests_gather_while_the_engine_is_busy_and_go_together(
    busy: MicroBatcher, engine: GatedEngine, images: Images
) -> None:
    futures = [busy.submit(images[number : number + 1]) for number in range(1, 31)]
    engine.gate.set()
    wait(futures, PATIENCE_S)
    assert [len(batch) for batch in engine.batches] == [1, 30]
    np.testing.assert_array_equal(engine.batches[1], images[1:31])


def test_bytes_and_floats_that_go_together_get_the_same_answers(
    busy: MicroBatcher, engine: GatedEngine, images: Images, expected: npt.NDArray[np.float32]
) -> None:
    as_floats = [busy.submit(image[None] / np.float32(255)) for image in images[:10]]
    as_bytes = [busy.submit(image[None]) for image in images[:10]]
    engine.gate.set()
    for number, pair in enumerate(zip(as_floats, as_bytes, strict=True)):
        for future in pair:
            np.testing.assert_allclose(answer(future).probabilities[0], expected[number], atol=1e-5)
    assert [len(batch) for batch in engine.batches] == [1, 20]


def test_no_batch_is_larger_than_the_limit_in_rows(
    busy: MicroBatcher, engine: GatedEngine, images: Images, expected: npt.NDArray[np.float32]
) -> None:
    futures = [busy.submit(images[start : start + 30]) for start in (0, 30, 60)]
    engine.gate.set()
    for start, future in zip((0, 30, 60), futures, strict=True):
        np.testing.assert_allclose(answer(future).probabilities, expected[start : start + 30], atol=1e-5)
    assert [len(batch) for batch in engine.batches] == [1, 64, 26]


def test_a_large_request_is_split_and_comes_back_whole(
    batcher_of: Callable[..., MicroBatcher],
    engine: GatedEngine,
    images: Images,
    expected: npt.NDArray[np.float32],
) -> None:
    engine.gate.set()
    result = answer(batcher_of().submit(images[:1000]))
    np.testing.assert_allclose(result.probabilities, expected[:1000], atol=1e-5)
    assert [len(batch) for batch in engine.batches] == [64] * 15 + [40]


def test_a_drawing_does_not_wait_for_the_whole_of_a_large_request(
    busy: MicroBatcher, engine: GatedEngine, images: Images
) -> None:
    large = busy.submit(images[:1000])
    drawing = busy.submit(images[1000:1001])
    engine.gate.set()
    wait([large, drawing], PATIENCE_S)
    holding_it = [number for number, batch in enumerate(engine.batches) if (batch[0] == images[1000]).all()]
    assert holding_it == [2]  # After the busy one and the first part of the large one.


def test_a_cancelled_request_is_never_computed(
    busy: MicroBatcher, engine: GatedEngine, images: Images
) -> None:
    futures = [busy.submit(images[number : number + 1]) for number in range(1, 11)]
    for future in futures[::2]:
        assert future.cancel()
    engine.gate.set()
    for future in futures[1::2]:
        answer(future)
    np.testing.assert_array_equal(engine.batches[1], images[2:11:2])
    for future in futures[::2]:
        with pytest.raises(CancelledError):
            answer(future)


def test_a_large_request_cancelled_half_way_is_computed_no_further(
    batcher_of: Callable[..., MicroBatcher], engine: GatedEngine, images: Images
) -> None:
    batcher = batcher_of()
    large = batcher.submit(images[:1000])
    assert engine.entered.acquire(timeout=PATIENCE_S)
    assert large.cancel()
    engine.gate.set()
    answer(batcher.submit(images[:1]))
    assert [len(batch) for batch in engine.batches] == [64, 1]


def test_only_cancelled_requests_leave_the_batcher_waiting_for_more(
    busy: MicroBatcher, engine: GatedEngine, images: Images
) -> None:
    assert busy.submit(images[1:2]).cancel()
    engine.gate.set()
    assert answer(busy.submit(images[2:3])).probabilities.shape == (1, 10)


def test_a_failing_batch_fails_its_own_requests_and_no_other(
    busy: MicroBatcher, engine: GatedEngine, images: Images
) -> None:
    engine.failures[2] = RuntimeError("out of memory")
    first = busy.submit(images[:10])
    large = busy.submit(images[:100])  # 54 rows of it share the batch of the first.
    last = busy.submit(images[10:30])
    engine.gate.set()

    for doomed in (first, large):
        with pytest.raises(RuntimeError, match="out of memory"):
            answer(doomed)
    assert len(answer(last).probabilities) == 20
    # What was left of the large one is not computed.
    assert [len(batch) for batch in engine.batches] == [1, 64, 20]


def test_beyond_the_limit_a_request_is_refused_at_once_and_told_when_to_return(
    batcher_of: Callable[..., MicroBatcher], engine: GatedEngine, images: Images
) -> None:
    batcher = batcher_of(max_queued_rows=100)
    batcher.submit(images[:1])
    assert engine.entered.acquire(timeout=PATIENCE_S)
    waiting = [batcher.submit(images[:60]), batcher.submit(images[:40])]

    with pytest.raises(Overloaded, match="100 images wait, of 100") as refusal:
        batcher.submit(images[:1])
    assert refusal.value.retry_after_s > 0

    engine.gate.set()
    wait(waiting, PATIENCE_S)
    assert len(answer(batcher.submit(images[:100])).probabilities) == 100


def test_a_request_larger_than_the_queue_is_taken_when_nobody_waits(
    batcher_of: Callable[..., MicroBatcher], engine: GatedEngine, images: Images
) -> None:
    engine.gate.set()
    assert len(answer(batcher_of(max_queued_rows=10).submit(images[:500])).probabilities) == 500


def test_cancelled_and_failed_requests_make_room_again(
    batcher_of: Callable[..., MicroBatcher], engine: GatedEngine, images: Images
) -> None:
    batcher = batcher_of(max_queued_rows=1000)
    engine.failures[1] = RuntimeError("once")
    failing = batcher.submit(images[:1000])
    assert engine.entered.acquire(timeout=PATIENCE_S)
    cancelled = batcher.submit(images[:64])
    assert cancelled.cancel()
    engine.gate.set()
    with pytest.raises(RuntimeError, match="once"):
        answer(failing)
    # Rows that were still counted would refuse the second of these.
    engine.gate.clear()
    answers = [batcher.submit(images[:500]), batcher.submit(images[:500])]
    engine.gate.set()
    wait(answers, PATIENCE_S)


@pytest.mark.parametrize(
    "bad", [np.zeros((0, 28, 28), np.uint8), np.zeros((1, 28, 28)), np.zeros((1, 27, 28), np.uint8)]
)
def test_a_bad_request_is_refused_before_it_can_spoil_a_batch(busy: MicroBatcher, bad: Any) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, 28, 28\) uint8 or float32 images, N ≥ 1"):
        busy.submit(bad)


def test_closing_answers_what_is_queued_and_takes_no_more(
    busy: MicroBatcher, engine: GatedEngine, images: Images
) -> None:
    queued = [busy.submit(images[:200]), busy.submit(images[:1])]
    threading.Timer(0.05, engine.gate.set).start()
    busy.close()
    assert all(future.done() for future in queued)
    with pytest.raises(ShuttingDown):
        busy.submit(images[:1])


def test_the_times_of_a_request_add_up_to_its_stay(
    busy: MicroBatcher, engine: GatedEngine, images: Images
) -> None:
    started = time.perf_counter()
    future = busy.submit(images[:1])
    threading.Timer(0.05, engine.gate.set).start()
    result = answer(future)
    assert result.queue_ms >= 45
    assert result.engine_ms > 0
    assert result.queue_ms + result.engine_ms <= (time.perf_counter() - started) * 1e3


def test_an_answer_does_not_keep_its_whole_batch_in_memory(
    busy: MicroBatcher, engine: GatedEngine, images: Images
) -> None:
    futures = [busy.submit(images[number : number + 1]) for number in range(64)]
    engine.gate.set()
    assert all(answer(future).probabilities.base is None for future in futures)


def test_a_free_engine_answers_on_the_thread_that_asks(
    artifact: Path, images: Images, expected: npt.NDArray[np.float32]
) -> None:
    threads: list[int] = []

    class Watched:
        def probabilities(self, batch: Images) -> npt.NDArray[np.float32]:
            threads.append(threading.get_ident())
            return Engine(artifact).probabilities(batch)

    batcher = MicroBatcher(Watched())
    result = batcher.answer_at_once(images[:1])
    batcher.close()
    assert result is not None
    np.testing.assert_allclose(result.probabilities, expected[:1], atol=1e-5)
    assert threads == [threading.get_ident()]


def test_a_new_engine_is_not_tried_on_a_thousand_images_at_once(
    batcher_of: Callable[..., MicroBatcher], engine: GatedEngine, images: Images
) -> None:
    assert batcher_of().answer_at_once(images[:1000]) is None
    assert engine.batches == []


def test_a_busy_engine_answers_nobody_at_once(
    busy: MicroBatcher, engine: GatedEngine, images: Images
) -> None:
    assert busy.answer_at_once(images[:1]) is None
    assert len(engine.batches) == 1


def test_what_takes_long_is_not_answered_at_once(artifact: Path, images: Images) -> None:
    class Slow:
        def probabilities(self, batch: Images) -> npt.NDArray[np.float32]:
            time.sleep(0.01)
            return Engine(artifact).probabilities(batch)

    batcher = MicroBatcher(Slow())
    assert batcher.answer_at_once(images[:1]) is not None
    assert batcher.answer_at_once(images[:1]) is None
    assert len(answer(batcher.submit(images[:1])).probabilities) == 1
    batcher.close()


def test_a_closed_batcher_answers_nothing_at_once(artifact: Path, images: Images) -> None:
    batcher = MicroBatcher(Engine(artifact))
    batcher.close()
    assert batcher.answer_at_once(images[:1]) is None


def test_a_request_whose_time_is_over_is_never_computed(
    busy: MicroBatcher, engine: GatedEngine, images: Images
) -> None:
    late = busy.submit(images[1:2], expires=time.monotonic())
    large = busy.submit(images[:200], expires=time.monotonic())
    in_time = busy.submit(images[2:3], expires=time.monotonic() + PATIENCE_S)
    engine.gate.set()
    for future in (late, large):
        with pytest.raises(DeadlineExceeded):
            answer(future)
    answer(in_time)
    np.testing.assert_array_equal(engine.batches[1], images[2:3])
    # Their rows make room again.
    assert busy._queued_rows == 0


def test_a_request_that_is_cancelled_and_late_is_only_cancelled(
    busy: MicroBatcher, engine: GatedEngine, images: Images
) -> None:
    late = busy.submit(images[1:2], expires=time.monotonic())
    assert late.cancel()
    engine.gate.set()
    answer(busy.submit(images[2:3]))
    with pytest.raises(CancelledError):
        answer(late)
