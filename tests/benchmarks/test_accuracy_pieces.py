"""What `make accuracy` measures with, on little data."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import accuracy
import cv2
import non_digits
import number_strings
import numpy as np
import pytest
import teach
from digits.v1 import evaluation_pb2, evaluation_pb2_grpc
from reader import Reader
from results import save, table

from server.datasets import Data, Dataset, Digits
from server.datasets.pen_strokes import PenDigit

SEED = 5
# Bars of three to twelve columns: each is one piece of ink, and its width tells which it is.
BARS = np.zeros((10, 28, 28), np.uint8)
for _label in range(10):
    BARS[_label, 4:24, 9 : 12 + _label] = 255
LABELS = np.arange(10, dtype=np.uint8)
# A 0, a 1 and a 7, as two people write them alike.
_TURN = np.linspace(0, 2 * np.pi, 40)
STROKES = {
    0: np.stack([0.3 + 0.3 * np.sin(_TURN), 0.5 - 0.5 * np.cos(_TURN)], axis=1),
    1: np.array([[0.0, 0.0], [0.0, 1.0]]),
    7: np.array([[0.0, 0.0], [0.6, 0.0], [0.2, 1.0]]),
}
PEN_DIGITS = [
    PenDigit(label, (stroke.astype(np.float32),), writer)
    for writer in (5, 6)
    for label, stroke in STROKES.items()
]
COUNTS = accuracy.Counts(digits=60, non_digits=12, numbers=3, timed=3)


def pieces(image: np.ndarray) -> int:
    """How many pieces of ink there are."""
    return cv2.connectedComponents((image >= number_strings.INK).astype(np.uint8))[0] - 1


@pytest.fixture(scope="module")
def channel(live_server: Any) -> Any:
    channel = live_server.channel()
    yield channel
    channel.close()


@pytest.fixture(scope="module")
def digits(live_server: Any, channel: Any) -> Digits:
    """Real digits, as the live server has prepared them."""
    service = evaluation_pb2_grpc.EvaluationServiceStub(channel)
    deadline = time.monotonic() + 60
    while not service.ListDatasets(evaluation_pb2.ListDatasetsRequest(), timeout=10).HasField("data_source"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return Data.open(live_server.data / "datasets").dataset(Dataset.BUILTIN_TEST)


def test_numbers_have_two_to_five_digits_at_the_size_of_a_canvas() -> None:
    for make in (number_strings.apart, number_strings.touching, number_strings.overlapping):
        numbers = make(BARS, LABELS, 40, SEED)
        assert {len(text) for _, text in numbers} == {2, 3, 4, 5}
        for image, _ in numbers:
            rows = np.flatnonzero((image >= number_strings.INK).any(axis=1))
            assert image.dtype == np.uint8
            # 20 rows of MNIST's, and up to four more because the digits dance.
            assert rows[-1] - rows[0] + 1 in range(4 * 20 - 2, 4 * 24 + 3)
            assert not image[0].any()
            assert not image[:, -1].any()


def test_digits_that_stand_apart_are_so_many_pieces_in_their_order() -> None:
    for image, text in number_strings.apart(BARS, LABELS, 40, SEED):
        is_ink = (image >= number_strings.INK).any(axis=0).astype(int)
        starts, ends = np.flatnonzero(np.diff(is_ink) == 1), np.flatnonzero(np.diff(is_ink) == -1)
        assert "".join(str(round(width / 4) - 3) for width in ends - starts) == text
        assert (starts[1:] - ends[:-1] >= 4 * number_strings.GAPS[0] - 4).all()


def test_digits_that_touch_are_one_piece() -> None:
    for image, _ in number_strings.touching(BARS, LABELS, 40, SEED):
        assert pieces(image) == 1


def test_touching_real_digits_share_ink_though_their_boxes_would_not_say_so(digits: Digits) -> None:
    def together(numbers: list[number_strings.Number]) -> int:
        return sum(pieces(image) for image, _ in numbers)

    apart, overlapping, touching = (
        together(make(digits.images, digits.labels, 60, SEED))
        for make in (number_strings.apart, number_strings.overlapping, number_strings.touching)
    )
    assert touching < overlapping < apart


def test_numbers_in_pen_strokes_are_one_persons_and_apart() -> None:
    for image, text in number_strings.pen(PEN_DIGITS, 30, SEED):
        assert pieces(image) == len(text)
        assert set(text) <= set("017")
        rows = np.flatnonzero(image.any(axis=1))
        assert 60 < rows[-1] - rows[0] + 1 < 230


def test_a_seed_makes_the_same_again_and_another_one_something_else() -> None:
    for make in (
        lambda seed: [image for image, _ in number_strings.touching(BARS, LABELS, 5, seed)],
        lambda seed: [image for image, _ in number_strings.pen(PEN_DIGITS, 5, seed)],
        lambda seed: non_digits.letters(5, seed),
        lambda seed: non_digits.scribbles(5, seed),
    ):
        first, again, other = ([image.tobytes() for image in make(seed)] for seed in (1, 1, 2))
        assert first == again != other


def test_what_is_no_digit_lies_somewhere_on_a_canvas_and_is_no_speck() -> None:
    for image in non_digits.letters(60, SEED) + non_digits.scribbles(60, SEED):
        assert (image.shape, image.dtype, image.max()) == ((280, 280), np.uint8, 255)
        rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
        assert 55 <= max(rows[-1] - rows[0], columns[-1] - columns[0]) <= 235


def test_everything_is_measured_on_a_live_server(channel: Any, digits: Digits) -> None:
    report = accuracy.measure(Reader(channel), digits, PEN_DIGITS, COUNTS)

    told = set(accuracy.TARGETS).difference(accuracy.TEACHING)
    assert told | {"plain_resize_anywhere_accuracy", "expected_calibration_error"} <= set(report.measured)
    assert report.measured["mnist_test_accuracy"] > 0.9
    assert report.measured["pen_centred_accuracy"] > 0.6
    assert report.measured["strings_apart_exact"] > 0
    assert report.measured["parameters"] < 1e6
    assert "95 %: " in report.notes["mnist_test_accuracy"]


def test_without_data_the_rows_say_what_to_set(channel: Any) -> None:
    report = accuracy.measure(Reader(channel), None, None, COUNTS)
    accuracy.measure_teaching(report, None, None, teach.QUICK)

    assert {"non_digits_flagged", "engine_ms", "model_bytes"} <= set(report.measured)
    told = table(report.results, accuracy.TARGETS, True, report.notes)
    lines = {line.split()[0]: line for line in told.split("\n")}
    for name in ("mnist_test_accuracy", "strings_touching_exact", "expected_calibration_error"):
        assert lines[name].endswith("not measured: set DIGITS_MNIST")
    drawings = ("pen_centred_accuracy", "plain_resize_anywhere_accuracy", "pen_strings_exact")
    for name in (*drawings, *accuracy.TEACHING):
        assert lines[name].endswith("not measured: set DIGITS_PEN_STROKES")
    assert set(accuracy.TARGETS) <= set(lines)


def test_a_table_says_whether_targets_are_met() -> None:
    targets = {"a": (">=", 0.9), "b": ("<=", 2.0), "c": (">=", 1.0)}
    told = table({"a": 0.95, "b": 3.0, "c": None, "d": 7.0}, targets, True, {"c": "not measured: no data"})
    met, missed, absent, free = told.split("\n")
    assert met.split() == ["a", "0.9500", ">=", "0.9", "met"]
    assert missed.split() == ["b", "3.0000", "<=", "2", "MISSED"]
    assert absent.split() == ["c", "not", "measured:", "no", "data"]
    assert free.split() == ["d", "7.0000"]
    assert "met" not in table({"a": 0.95}, targets, is_judged=False)


def test_results_replace_their_own_names_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "build" / "accuracy.json"
    save({"mine": 1.0, "gone": 2.0}, path)
    save({"of another benchmark": 3.0}, path)
    save({"mine": 4.0}, path, unmeasured=["gone"])
    assert json.loads(path.read_text()) == {"mine": 4.0, "of another benchmark": 3.0}
