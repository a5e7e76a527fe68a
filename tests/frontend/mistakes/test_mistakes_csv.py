"""The mistakes as a file for other programs."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from digits.client.records import MisclassifiedDigit

from frontend.mistakes.csv_file import to_csv


def test_each_mistake_is_a_line_with_its_ten_probabilities() -> None:
    shares = (0.01, 0.02, 0.0, 0.0, 0.15, 0.0, 0.0, 0.0, 0.0, 0.82)
    digit = MisclassifiedDigit(247, np.zeros((28, 28), np.uint8), 4, 9, 0.82, shares, 1.8971199, 0.67, True)

    (line,) = csv.DictReader(io.StringIO(to_csv([digit]).decode()))

    assert [line["index"], line["true_digit"], line["predicted_digit"]] == ["247", "4", "9"]
    assert float(line["confidence"]) == 0.82
    assert float(line["loss"]) == pytest.approx(1.8971199)
    assert float(line["margin"]) == 0.67
    assert line["is_marked_mislabelled"] == "true"
    assert tuple(float(line[f"p{number}"]) for number in range(10)) == shares


def test_without_a_mistake_there_is_only_the_header() -> None:
    assert to_csv([]).decode().splitlines() == [
        "index,true_digit,predicted_digit,confidence,loss,p0,p1,p2,p3,p4,p5,p6,p7,p8,p9,"
        "margin,is_marked_mislabelled"
    ]
