"""The training digits of each epoch: shuffled, varied, and ready before the network asks for them."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from server.augmentation import augment
from server.datasets import Digits
from server.recipes import Augmentation, TrainingOptions


def epochs(digits: Digits, options: TrainingOptions, first: int = 1) -> Generator[Digits, None, None]:
    """Give the digits of each epoch from `first` on, (N, 28, 28) uint8 in memory, in an order of their own.

    The next epoch is made in a thread while the network learns from the last: OpenCV and NumPy work outside
    Python's lock, so that it costs the training little. The first one is begun at once, before it is asked
    for. Close the generator to end early.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="feed")
    ready = pool.submit(make_epoch, digits, options, first) if first <= options.epochs else None
    return _one_ahead(pool, ready, digits, options, first)


def _one_ahead(
    pool: ThreadPoolExecutor,
    ready: Future[Digits] | None,
    digits: Digits,
    options: TrainingOptions,
    first: int,
) -> Generator[Digits, None, None]:
    try:
        for number in range(first, options.epochs + 1):
            assert ready is not None
            current = ready.result()
            if number < options.epochs:
                ready = pool.submit(make_epoch, digits, options, number + 1)
            yield current
    finally:
        # An epoch that nobody will learn from is not waited for.
        pool.shutdown(wait=False, cancel_futures=True)


def make_epoch(digits: Digits, options: TrainingOptions, number: int) -> Digits:
    """The digits of epoch `number` (from 1), shuffled and varied as the options say.

    They depend on the seed and the number alone, not on the epochs before.
    """
    generator = np.random.default_rng([options.seed, number])
    shuffled = digits[generator.permutation(len(digits))]  # A copy in memory: the original may be a file.
    if options.augmentation is Augmentation.NONE:
        return shuffled
    return Digits(augment(shuffled.images, generator), shuffled.labels)
