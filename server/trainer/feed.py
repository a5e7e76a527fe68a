"""The training digits of each epoch: shuffled, varied, and ready before the network asks for them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from server.augmentation import augment
from server.datasets import Digits
from server.datasets.pen_strokes import PenDigit
from server.recipes import Augmentation, TrainingOptions
from server.trainer.bank import pen_bank
from server.trainer.non_digits import NO_DIGIT, non_digits

# Of people's samples each epoch shows so many pictures, by turns and each varied anew: enough of them that a
# few samples are learnt, and at least two of each. As many digits are repeated among them, drawn anew every
# time, so that nothing is forgotten.
SAMPLE_PICTURES = 640
SAMPLE_COPIES = 2

# So many pictures of each digit in pen strokes are drawn anew for every epoch.
PEN_COPIES = 2
# With extras, so many pictures of every kind are left unvaried, and the rest of every kind are varied. Were
# MNIST's digits always soft and shifted, and pen strokes always crisp and in place, the network would learn
# which is which, and read a crisp 7 of MNIST's as what people with pens mean by it: a 1.
LEFT_SHARE = 0.25


@dataclass(frozen=True)
class Extras:
    """What is mixed into each epoch, made anew every time."""

    pen_digits: tuple[PenDigit, ...] = ()
    """Drawn `PEN_COPIES` times each."""
    non_digits: int = 0
    """How many pictures of no digit, labelled NO_DIGIT."""
    samples: Digits | None = None
    """What people drew and labelled. With them an epoch shows a part of the digits only."""
    hard: Digits | None = None
    """With samples: pictures, varied already, that are easily forgotten. Half of the digits of an epoch are
    drawn from them."""
    varies_digits: bool = True
    """With samples: whether the repeated digits are varied as the samples are. A version that has only seen
    digits as they are would be taught all others with them, and reads its own ones worse."""


NOTHING = Extras()


def pictures(digits: int, extras: Extras = NOTHING) -> int:
    """How many pictures an epoch has that is made of so many digits and the extras."""
    others = PEN_COPIES * len(extras.pen_digits) + extras.non_digits
    return _repeated(digits, extras) + _hard_pictures(extras) + _sample_pictures(extras) + others


def _repeated(digits: int, extras: Extras) -> int:
    """How many of so many digits an epoch shows: all, but where it goes by the samples."""
    if extras.samples is None:
        return digits
    return min(digits, _sample_pictures(extras) - _hard_pictures(extras))


def _hard_pictures(extras: Extras) -> int:
    return _sample_pictures(extras) // 2 if extras.hard is not None else 0


def _sample_pictures(extras: Extras) -> int:
    if extras.samples is None:
        return 0
    return max(SAMPLE_PICTURES, SAMPLE_COPIES * len(extras.samples)) if len(extras.samples) else 0


def epochs(
    digits: Digits, options: TrainingOptions, first: int = 1, extras: Extras = NOTHING
) -> Generator[Digits, None, None]:
    """Give the digits of each epoch from `first` on, (N, 28, 28) uint8 in memory, in an order of their own.

    The next epoch is made in a thread while the network learns from the last: OpenCV and NumPy work outside
    Python's lock, so that it costs the training little. The first one is begun at once, before it is asked
    for. Close the generator to end early.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="feed")

    def make(number: int) -> Future[Digits]:
        return pool.submit(make_epoch, digits, options, number, extras)

    ready = make(first) if first <= options.epochs else None
    return _one_ahead(pool, ready, make, range(first, options.epochs + 1))


def _one_ahead(
    pool: ThreadPoolExecutor,
    ready: Future[Digits] | None,
    make: Callable[[int], Future[Digits]],
    numbers: range,
) -> Generator[Digits, None, None]:
    try:
        for number in numbers:
            assert ready is not None
            current = ready.result()
            if number < numbers[-1]:
                ready = make(number + 1)
            yield current
    finally:
        # An epoch that nobody will learn from is not waited for.
        pool.shutdown(wait=False, cancel_futures=True)


def make_epoch(digits: Digits, options: TrainingOptions, number: int, extras: Extras = NOTHING) -> Digits:
    """The digits of epoch `number` (from 1), shuffled and varied as the options say.

    They depend on the seed and the number alone, not on the epochs before.
    """
    generator = np.random.default_rng([options.seed, number])
    together = _with_extras(digits, extras, generator)
    order = generator.permutation(len(together))
    made = together[order]  # A copy in memory: the original may be a file.
    if options.augmentation is Augmentation.NONE:
        return made
    varied = augment(made, generator)
    if extras != NOTHING:
        is_left = generator.random(len(made)) < LEFT_SHARE
        # Varied once more they would be others, which may be easy.
        is_left |= order >= len(together) - _hard_pictures(extras)
        if not extras.varies_digits:
            is_left |= order < _repeated(len(digits), extras)
        varied.images[is_left] = made.images[is_left]
    return varied


def _with_extras(digits: Digits, extras: Extras, generator: np.random.Generator) -> Digits:
    parts = [digits]
    if extras.samples is not None:
        chosen = generator.choice(len(digits), _repeated(len(digits), extras), replace=False)
        parts = [digits[np.sort(chosen)], _by_turns(extras.samples, _sample_pictures(extras), generator)]
    if extras.pen_digits:
        parts.append(pen_bank(extras.pen_digits, PEN_COPIES, generator))
    if extras.non_digits:
        others = non_digits(digits, extras.non_digits, generator)
        parts.append(Digits(others, np.full(len(others), NO_DIGIT, np.uint8)))
    if extras.hard is not None:
        # Last: `make_epoch` tells them from the others by that.
        parts.append(_by_turns(extras.hard, _hard_pictures(extras), generator))
    if len(parts) == 1:
        return digits
    return Digits(
        np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts])
    )


def _by_turns(samples: Digits, count: int, generator: np.random.Generator) -> Digits:
    """So many pictures, none of them shown more often than another by two."""
    rounds = -(-count // max(len(samples), 1))
    order = [generator.permutation(len(samples)) for _ in range(rounds)]
    return samples[np.concatenate([np.empty(0, np.int64), *order])[:count]]
