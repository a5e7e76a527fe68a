"""A damaged database is refused before it is used, with a sentence that says what to do."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from server.config import CannotStart
from server.database import refuse_damaged


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x10
    path.write_bytes(data)


def make_large(path: Path) -> None:
    """Enough rows for pages of every kind: inner ones, leaves, an index of several."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            "INSERT INTO deployment_requests VALUES (?, 1, '2026-01-02 03:04:05.000000')",
            [(f"{number:064d}",) for number in range(2000)],
        )
        connection.commit()


def test_a_whole_database_and_one_that_is_not_there_pass(
    old_database: Callable[[str], Path], tmp_path: Path
) -> None:
    refuse_damaged(old_database("third"))
    refuse_damaged(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_database_that_was_cut_off_is_refused(share: float, old_database: Callable[[str], Path]) -> None:
    path = old_database("third")
    make_large(path)
    os.truncate(path, int(path.stat().st_size * share) // 4096 * 4096)
    with pytest.raises(CannotStart, match=r"is damaged \(.*\): restore the latest backup"):
        refuse_damaged(path)


def test_a_flipped_bit_in_the_beginning_or_in_the_head_of_a_page_is_noticed(
    old_database: Callable[[str], Path],
) -> None:
    path = old_database("third")
    make_large(path)
    whole = path.read_bytes()
    pages = range(4096, len(whole), 4096)
    # The first byte of a page says of which kind it is.
    for place in (3, *pages):
        flip(path, place)
        with pytest.raises(CannotStart, match="is damaged"):
            refuse_damaged(path)
        path.write_bytes(whole)
    refuse_damaged(path)


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "digits.db").write_bytes(b"no database" * 1000)
    with pytest.raises(CannotStart, match="file is not a database"):
        refuse_damaged(tmp_path / "digits.db")


def test_an_empty_file_passes_only_where_nothing_was_begun(tmp_path: Path) -> None:
    (tmp_path / "digits.db").touch()
    refuse_damaged(tmp_path / "digits.db")
    with pytest.raises(CannotStart, match="0 bytes are left of it"):
        refuse_damaged(tmp_path / "digits.db", may_be_empty=False)


def test_a_server_refuses_a_damaged_database_with_one_sentence_and_leaves_it_as_it_is(
    old_database: Callable[[str], Path],
) -> None:
    path = old_database("third")
    make_large(path)
    flip(path, 4096 * 3)
    before = path.read_bytes()
    environment = os.environ | {"DIGITS_DATA": str(path.parent), "DIGITS_PORT": "0", "DIGITS_MNIST_URL": ""}

    ended = subprocess.run(
        [sys.executable, "-m", "server"], env=environment, capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "restore the latest backup with `python -m server restore FILE --replace`" in ended.stderr
    assert path.read_bytes() == before
