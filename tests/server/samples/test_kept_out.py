"""Test digits: found once, and known whatever happens to the list of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.datasets import Data, Dataset
from server.samples.kept_out import FILE, KeptOut
from server.samples.sample import fingerprint

Open = Callable[[], KeptOut]


@pytest.fixture
def open_kept_out(digits: Any, tmp_path: Path) -> Iterator[Open]:
    """`open_kept_out()`: as a start of the server does, and waits until they are known."""
    opened: list[KeptOut] = []

    def make() -> KeptOut:
        opened.append(KeptOut(digits, tmp_path, lambda known: None))
        opened[-1].wait(60)
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_every_test_digit_is_known_and_no_other(open_kept_out: Open, builtin_data: Data) -> None:
    known = open_kept_out().known
    assert known is not None
    assert all(fingerprint(image) in known for image in builtin_data.dataset(Dataset.BUILTIN_TEST).images)
    train = builtin_data.split(use_all=False).train
    assert not any(fingerprint(image) in known for image in train.images)


def test_who_is_told_that_they_are_known_is_told_which(
    open_kept_out: Open, digits: Any, tmp_path: Path
) -> None:
    found = open_kept_out().known
    told: list[Any] = []
    # From the second start on they are read at once: it may be before the first one to ask holds the object.
    again = KeptOut(digits, tmp_path, told.append)
    again.wait(60)
    again.close()
    assert told == [found]


def test_they_are_found_once_for_all_starts(open_kept_out: Open, tmp_path: Path) -> None:
    first = open_kept_out()
    written = (tmp_path / FILE).stat().st_mtime_ns
    assert open_kept_out().known == first.known
    assert (tmp_path / FILE).stat().st_mtime_ns == written


@pytest.mark.parametrize("damage", [b"", b"nothing of the kind", None], ids=["empty", "other", "cut off"])
def test_a_damaged_list_is_made_anew(open_kept_out: Open, tmp_path: Path, damage: bytes | None) -> None:
    first = open_kept_out()
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:5000] if damage is None else damage)
    assert open_kept_out().known == first.known


def test_other_digits_on_this_machine_are_noticed(
    open_kept_out: Open, digits: Any, builtin_data: Data
) -> None:
    kept_out = open_kept_out()
    before = kept_out.known

    class Fewer:
        """Digits of another source, the first hundred of the test digits."""

        source = type("Source", (), {"sha256": "another"})
        available = staticmethod(lambda: {Dataset.BUILTIN_TEST: 100})
        dataset = staticmethod(lambda dataset: builtin_data.dataset(dataset)[:100])

    digits.there = Fewer()
    kept_out.wait(60)
    assert before is not None
    assert kept_out.known is not None
    assert 100 <= len(kept_out.known) < len(before)
