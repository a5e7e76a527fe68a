"""Digits in pen strokes: what their file must be, and who may see which."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.datasets.pen_strokes import WRITERS, WriterGroup, of_group, read_pen_strokes
from server.errors import DatasetUnavailable

SEVEN = {"label": 7, "strokes": [[[0, 0], [0.6, 0], [0.2, 1]], [[0.1, 0.5], [0.5, 0.5]]], "writer": "train:9"}


def write(path: Path, *digits: dict[str, Any]) -> Path:
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(digit) + "\n" for digit in digits)
    return path


def test_a_digit_has_its_label_its_strokes_and_its_writer(tmp_path: Path) -> None:
    (digit,) = read_pen_strokes(write(tmp_path / "strokes.jsonl.gz", SEVEN))
    assert (digit.label, digit.writer) == (7, 9)
    assert [stroke.shape for stroke in digit.strokes] == [(3, 2), (2, 2)]
    assert all(stroke.dtype == np.float32 for stroke in digit.strokes)
    assert digit.strokes[1].tolist() == [pytest.approx([0.1, 0.5]), pytest.approx([0.5, 0.5])]


def test_every_writer_is_on_one_side_only() -> None:
    sizes = {group: len(writers) for group, writers in WRITERS.items()}
    assert sizes == {WriterGroup.TRAIN: 20, WriterGroup.VALIDATION: 4, WriterGroup.TEST: 6}
    assert sorted(writer for writers in WRITERS.values() for writer in writers) == list(range(1, 31))


def test_a_group_has_the_digits_of_its_writers(tmp_path: Path) -> None:
    written = [{**SEVEN, "writer": f"train:{writer}"} for writer in range(1, 31)]
    digits = read_pen_strokes(write(tmp_path / "strokes.jsonl.gz", *written))
    for group, writers in WRITERS.items():
        assert [digit.writer for digit in of_group(digits, group)] == sorted(writers)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"label": 10}, "the label 10"),
        ({"writer": "train:31"}, "the writer 'train:31'"),
        ({"writer": "test:1"}, "the writer 'test:1'"),
        ({"strokes": []}, "strokes that are no lists"),
        ({"strokes": [[0.1, 0.2]]}, "strokes that are no lists"),
        ({"strokes": [[[0.1, float("nan")]]]}, "a point that is nowhere"),
    ],
)
def test_a_file_with_something_else_is_refused_with_its_line(
    tmp_path: Path, change: dict[str, Any], found: str
) -> None:
    path = write(tmp_path / "strokes.jsonl.gz", SEVEN, {**SEVEN, **change})
    with pytest.raises(DatasetUnavailable) as refusal:
        read_pen_strokes(path)
    assert refusal.value.message.startswith(f"DIGITS_PEN_STROKES={path}: expected")
    assert "in line 2" in refusal.value.message
    assert found in refusal.value.message


def test_a_file_that_is_not_there_breaks_off_or_is_empty_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.jsonl.gz", *[SEVEN] * 50).read_bytes()
    (tmp_path / "half.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "plain.jsonl.gz").write_text(json.dumps(SEVEN))
    write(tmp_path / "empty.jsonl.gz")
    for name in ("missing", "half", "plain", "empty"):
        with pytest.raises(DatasetUnavailable, match="DIGITS_PEN_STROKES="):
            read_pen_strokes(tmp_path / f"{name}.jsonl.gz")
