"""Archives on their way in: others write meanwhile, and nothing of them lies about."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live_postgres import on_both

from server.datasets import Data, Dataset
from server.samples import NewSample, Samples, SampleUse
from server.samples.sample import ALL

pytestmark = on_both


def test_others_add_samples_while_an_archive_is_read(
    samples: Samples, sample_of: Any, learnable: Any
) -> None:
    others: list[int] = []

    def archive() -> Iterator[NewSample]:
        yield sample_of(learnable.images[0], 1)
        others.append(samples.add(sample_of(learnable.images[1], 2))[1])
        yield sample_of(learnable.images[2], 3)
        # What another one has added meanwhile is known already.
        yield sample_of(learnable.images[1], 2)

    told: list[tuple[int, int, int]] = []
    # Where the lock was held for the whole of it, this would wait for ever.
    worker = threading.Thread(target=lambda: told.append(samples.add_all(archive())), daemon=True)
    worker.start()
    worker.join(60)
    assert others == [1]
    assert told == [(2, 1, 3)]
    # The newest first: those of an archive come when it is in.
    assert [sample.label for sample in samples.list(ALL, 0, 10)[0]] == [3, 1, 2]


def test_test_digits_that_become_known_while_an_archive_is_read_are_told_from_its_samples(
    samples: Samples, sample_of: Any, digits: Any, builtin_data: Data, learnable: Any
) -> None:
    test_digit = builtin_data.dataset(Dataset.BUILTIN_TEST).images[0]

    def archive() -> Iterator[NewSample]:
        yield sample_of(test_digit, 1)
        digits.there = builtin_data
        # Returns once they are known, and the samples marked that are here.
        samples.training_set()
        yield sample_of(learnable.images[0], 2)

    digits.there = None
    assert samples.add_all(archive()) == (2, 0, 2)
    assert [sample.use for sample in samples.list(ALL, 0, 10)[0]] == [SampleUse.TRAINING, SampleUse.EXCLUDED]


def test_what_a_killed_server_has_left_of_an_archive_is_gone_after_the_next_start(
    open_samples: Callable[[], Samples], tmp_path: Path
) -> None:
    folder = open_samples().folder
    left = folder / "incoming-0123456789abcdef.db"
    left.write_bytes(b"half of an archive")
    open_samples()
    assert not left.exists()


def test_an_archive_that_breaks_off_leaves_nothing(samples: Samples, sample_of: Any, learnable: Any) -> None:
    def archive() -> Iterator[NewSample]:
        for index in range(600):
            yield sample_of(learnable.images[index], 1)
        raise ValueError("the rest is damaged")

    with pytest.raises(ValueError, match="the rest is damaged"):
        samples.add_all(archive())
    assert samples.list(ALL, 0, 10) == ([], 0)
    assert not list(samples.folder.glob("incoming-*"))
