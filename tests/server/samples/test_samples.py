"""Samples: kept for good, told apart from test digits, and divided once and for all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from live_postgres import on_both
from sqlalchemy import create_engine, text

from server.datasets import Data, Dataset
from server.errors import DataPreparing, SampleNotFound, SamplesFull
from server.preprocessing import decode_image, normalise
from server.samples import SampleFilter, Samples, SampleSource, SampleUse
from server.samples import samples as samples_module
from server.samples.sample import drawing_of, fingerprint, is_aside
from server.samples.table import ENOUGH

pytestmark = on_both

Open = Callable[..., Samples]


def add_many(samples: Samples, sample_of: Any, learnable: Any, count: int, start: int = 0) -> None:
    chosen = range(start, start + count)
    samples.add_all(sample_of(learnable.images[index], int(learnable.labels[index])) for index in chosen)


def test_a_sample_is_the_same_after_a_restart(open_samples: Open, sample_of: Any, learnable: Any) -> None:
    image, label = learnable.images[0], int(learnable.labels[0])
    new = sample_of(image, label, predicted_digit=3, confidence=0.75, model_version=4)
    kept, total = open_samples().add(new)
    assert total == 1
    ((again,), _) = open_samples().list(SampleFilter(), 0, 10, with_drawings=True)
    np.testing.assert_array_equal(again.pixels, image)
    assert again.drawing == new.drawing
    assert (again.label, again.predicted_digit, again.confidence) == (label, 3, 0.75)
    assert (again.model_version, again.source, again.use) == (4, SampleSource.DRAWN, SampleUse.TRAINING)
    assert (again.sample_id, again.created, again.updated) == (kept.sample_id, kept.created, None)


def test_what_was_acknowledged_is_on_the_disk_and_not_in_memory_only(
    samples: Samples, sample_of: Any, learnable: Any, database_url: str
) -> None:
    samples.add(sample_of(learnable.images[0], 1))
    # A crash at this instant leaves the files, or the other server's transactions, as they are now.
    another = create_engine(database_url)
    with another.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM samples")).scalar() == 1
    another.dispose()


def test_the_same_request_gives_the_same_sample_however_many_ask_at_once(
    samples: Samples, sample_of: Any, learnable: Any
) -> None:
    found: list[str] = []

    def add() -> None:
        kept, _ = samples.add(sample_of(learnable.images[0], 1), "request-1")
        found.append(kept.sample_id)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert sum(samples.counts().values()) == 1
    assert samples.by_request("request-1") is not None
    assert samples.by_request("request-2") is None


def test_without_a_request_id_each_call_adds_one(samples: Samples, sample_of: Any, learnable: Any) -> None:
    first, _ = samples.add(sample_of(learnable.images[0], 1))
    second, total = samples.add(sample_of(learnable.images[0], 1))
    assert total == 2
    assert first.sample_id != second.sample_id
    assert drawing_of(first.sample_id) == drawing_of(second.sample_id)


def test_there_are_no_more_than_there_may_be(
    samples: Samples, sample_of: Any, learnable: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples_module, "MAX_SAMPLES", 3)
    add_many(samples, sample_of, learnable, 3)
    with pytest.raises(SamplesFull, match="3 samples are kept"):
        samples.add(sample_of(learnable.images[3], 1))
    with pytest.raises(SamplesFull):
        samples.add_all(iter([sample_of(learnable.images[4], 1)]))
    assert sum(samples.counts().values()) == 3


def test_the_drawings_take_no_more_than_they_may_also_after_a_restart(
    open_samples: Open, sample_of: Any, learnable: Any
) -> None:
    def large(place: int) -> Any:
        # What is kept is the file as it was sent, however much of it is ink.
        sample = sample_of(learnable.images[place], 1)
        return replace(sample, drawing=sample.drawing + bytes(600 * 2**10))

    samples = open_samples(limit_mib=1)
    kept, _ = samples.add(large(0))
    with pytest.raises(SamplesFull, match=r"may take 1,048,576 \(DIGITS_SAMPLES_MIB"):
        samples.add(large(1))
    # Of an archive all are added, or none.
    with pytest.raises(SamplesFull, match="DIGITS_SAMPLES_MIB"):
        samples.add_all(iter([sample_of(learnable.images[2], 1), large(3)]))
    assert sum(samples.counts().values()) == 1

    samples = open_samples(limit_mib=1)
    with pytest.raises(SamplesFull):
        samples.add(large(1))
    samples.delete(kept.sample_id)
    samples.add(large(1))
    with pytest.raises(SamplesFull):
        samples.add(large(4))


def test_a_label_can_be_corrected_and_a_sample_forgotten(
    samples: Samples, sample_of: Any, learnable: Any
) -> None:
    kept, _ = samples.add(sample_of(learnable.images[0], 1))
    changed = samples.relabel(kept.sample_id, 7)
    assert (changed.label, changed.predicted_digit) == (7, 1)
    assert changed.updated is not None
    assert samples.training_set().labels.tolist() == [7]
    samples.delete(kept.sample_id)
    assert len(samples.training_set()) == 0
    for forget in (lambda: samples.delete(kept.sample_id), lambda: samples.relabel(kept.sample_id, 1)):
        with pytest.raises(SampleNotFound):
            forget()


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (SampleFilter(), [3, 2, 1, 0]),
        (SampleFilter(label=1), [1, 0]),
        (SampleFilter(predicted_digit=7), [2, 1]),
        (SampleFilter(is_misread=True), [3, 1]),
        (SampleFilter(is_misread=False), [2, 0]),
        (SampleFilter(label=1, is_misread=True), [1]),
        (SampleFilter(source=SampleSource.IMPORTED), []),
        (SampleFilter(use=SampleUse.TRAINING), [3, 2, 1, 0]),
        (SampleFilter(use=SampleUse.HELD_OUT), []),
    ],
)
def test_samples_are_listed_newest_first_as_a_filter_asks(
    samples: Samples, sample_of: Any, learnable: Any, chosen: SampleFilter, expected: list[int]
) -> None:
    ids = [
        samples.add(sample_of(learnable.images[index], label, predicted_digit=predicted))[0].sample_id
        for index, (label, predicted) in enumerate([(1, 1), (1, 7), (7, 7), (9, 4)])
    ]
    found, total = samples.list(chosen, 0, 10)
    assert [ids.index(sample.sample_id) for sample in found] == expected
    assert total == len(expected)
    assert all(sample.drawing is None for sample in found)


def test_a_page_with_large_drawings_ends_early(
    samples: Samples, sample_of: Any, learnable: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_many(samples, sample_of, learnable, 6)
    drawing_bytes = [len(one.drawing or b"") for one in samples.list(SampleFilter(), 0, 6, True)[0]]
    monkeypatch.setattr(samples_module, "MAX_PAGE_BYTES", sum(drawing_bytes[:3]))
    page, total = samples.list(SampleFilter(), 0, 6, with_drawings=True)
    assert (len(page), total) == (3, 6)
    monkeypatch.setattr(samples_module, "MAX_PAGE_BYTES", 1)
    assert (
        len(samples.list(SampleFilter(), 0, 6, with_drawings=True)[0]) == 1
    )  # Never none: it would not end.
    assert len(samples.list(SampleFilter(), 0, 6)[0]) == 6


def test_one_in_five_is_kept_aside_once_there_are_enough(
    samples: Samples, sample_of: Any, learnable: Any
) -> None:
    add_many(samples, sample_of, learnable, ENOUGH - 1)
    assert len(samples.held_out()) == 0
    assert len(samples.training_set()) == ENOUGH - 1
    add_many(samples, sample_of, learnable, 1, start=ENOUGH - 1)
    held_out, training = samples.held_out(), samples.training_set()
    assert len(held_out) + len(training) == ENOUGH
    assert 10 <= len(held_out) <= 30
    assert not set(held_out.ids) & set(training.ids)
    assert len(samples.measurable()) == ENOUGH


def test_equal_drawings_are_never_on_both_sides(samples: Samples, sample_of: Any, learnable: Any) -> None:
    add_many(samples, sample_of, learnable, ENOUGH)
    aside = next(image for image in learnable.images[:ENOUGH] if is_aside(fingerprint(image)))
    # Drawn again, and by somebody who calls it something else.
    for label in (1, 2, 3):
        again, _ = samples.add(sample_of(aside, label))
        assert again.use is SampleUse.HELD_OUT
    training = {drawing_of(one) for one in samples.training_set().ids}
    assert not training & {drawing_of(one) for one in samples.held_out().ids}


def test_a_test_digit_is_excluded_in_whichever_form_it_was_sent(
    samples: Samples, sample_of: Any, builtin_data: Data, png: Any
) -> None:
    samples.training_set()  # Once there is one, test digits are known.
    test = builtin_data.dataset(Dataset.BUILTIN_TEST).images
    assert samples.add(sample_of(test[0], 1))[0].use is SampleUse.EXCLUDED
    for image in (test[1], 255 - test[1]):
        encoded = png(image)
        pixels = normalise(decode_image(encoded))
        assert samples.add(sample_of(pixels, 1, encoded=encoded))[0].use is SampleUse.EXCLUDED
    # Its pixels moved: its normalised form is still the same.
    moved = np.roll(test[2], 1, axis=1)
    assert samples.add(sample_of(moved, 1))[0].use is SampleUse.EXCLUDED
    assert len(samples.training_set()) == len(samples.measurable()) == len(samples.held_out()) == 0


def test_a_test_digit_is_excluded_also_when_the_digits_came_later(
    open_samples: Open, digits: Any, sample_of: Any, builtin_data: Data, learnable: Any
) -> None:
    digits.there = None
    samples = open_samples()
    test = builtin_data.dataset(Dataset.BUILTIN_TEST).images
    kept, _ = samples.add(sample_of(test[0], 1), "request-1")
    other, _ = samples.add(sample_of(learnable.images[0], 1))
    assert kept.use is SampleUse.TRAINING
    # Nobody trains on samples that were not told from test digits.
    with pytest.raises(DataPreparing):
        samples.training_set()
    digits.there = builtin_data
    assert samples.training_set().ids == (other.sample_id,)
    excluded = samples.by_request("request-1")
    assert excluded is not None
    assert excluded[0].use is SampleUse.EXCLUDED


def test_what_is_excluded_stays_so_when_the_digits_are_gone(
    open_samples: Open, digits: Any, sample_of: Any, builtin_data: Data
) -> None:
    first = open_samples()
    test = builtin_data.dataset(Dataset.BUILTIN_TEST).images
    first.add(sample_of(test[0], 1))
    assert len(first.training_set()) == 0
    digits.there = None
    assert open_samples().counts()[SampleUse.EXCLUDED] == 1
