"""ReadNumber over a live channel."""

from __future__ import annotations

from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from digits.v1 import dataset_pb2, evaluation_pb2
from digits.v1 import prediction_pb2 as pb

Image = Any


@pytest.fixture(scope="module")
def digits(stubs: Any) -> dict[int, Image]:
    """A real digit of each kind, 80 pixels tall: (112, 112) uint8, light on dark."""
    found = {}
    for label in range(10):
        request = evaluation_pb2.ListTestDigitsRequest(
            dataset=dataset_pb2.DATASET_BUILTIN_DIGITS, label=label, page_size=1
        )
        (digit,) = stubs.evaluation.ListTestDigits(request, timeout=60).digits
        pixels = np.frombuffer(digit.pixels, np.uint8).reshape(28, 28)
        found[label] = cv2.resize(pixels, (112, 112), interpolation=cv2.INTER_CUBIC)
    return found


def written(digits: dict[int, Image], text: str, gap: int = 20) -> Image:
    """A number, its digits `gap` pixels apart or, below 0, going into each other: light on dark."""
    canvas = np.zeros((200, 120 * len(text) + 80), np.uint8)
    x = 40
    for character in text:
        left, _, width, _ = cv2.boundingRect(digits[int(character)])
        place = canvas[44:156, x : x + width]
        np.maximum(place, digits[int(character)][:, left : left + width], out=place)
        x += width + gap
    return np.ascontiguousarray(canvas[:, : x + 40])


def png(image: Image) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def read(stubs: Any, image: Image) -> pb.ReadNumberResponse:
    reply: pb.ReadNumberResponse = stubs.prediction.ReadNumber(
        pb.ReadNumberRequest(encoded=png(image)), timeout=60
    )
    return reply


def test_a_number_is_read_digit_by_digit(stubs: Any, digits: dict[int, Image]) -> None:
    reply = read(stubs, written(digits, "20749"))
    assert reply.text == "20749"
    assert reply.model_version == 1
    assert [digit.prediction.digit for digit in reply.digits] == [2, 0, 7, 4, 9]
    for digit in reply.digits:
        prediction = digit.prediction
        assert prediction.confidence == max(prediction.probabilities)
        assert sum(prediction.probabilities) == pytest.approx(1, abs=1e-5)
        assert len(prediction.model_input) == 784
    steps = reply.timings
    assert min(steps.decode_ms, steps.preprocess_ms, steps.engine_ms) > 0
    assert steps.total_ms >= steps.decode_ms + steps.preprocess_ms + steps.engine_ms


def test_boxes_lie_around_the_ink_of_each_digit(stubs: Any, digits: dict[int, Image]) -> None:
    image = written(digits, "358")
    for digit in read(stubs, image).digits:
        box = digit.box
        inside = image[box.y : box.y + box.height, box.x : box.x + box.width]
        around = image[box.y - 4 : box.y + box.height + 4, box.x - 4 : box.x + box.width + 4]
        assert inside.sum() > 0.98 * around.sum() > 0


def test_dark_ink_on_light_paper_reads_the_same(stubs: Any, digits: dict[int, Image]) -> None:
    image = written(digits, "1860")
    on_dark, on_light = read(stubs, image), read(stubs, 255 - image)
    assert on_light.text == on_dark.text == "1860"
    assert [digit.box for digit in on_light.digits] == [digit.box for digit in on_dark.digits]


def test_lines_are_read_from_the_top_and_parted_by_a_line_feed(stubs: Any, digits: dict[int, Image]) -> None:
    upper, lower = written(digits, "204"), written(digits, "5398")
    page = np.zeros((400, lower.shape[1]), np.uint8)
    page[:200, : upper.shape[1]] = upper
    page[200:] = lower
    reply = read(stubs, page)
    assert reply.text == "204\n5398"
    assert [digit.line for digit in reply.digits] == [0, 0, 0, 1, 1, 1, 1]


def test_a_five_whose_hat_stands_apart_is_one_digit(stubs: Any) -> None:
    canvas = np.zeros((200, 200), np.uint8)
    body = np.array([[75, 62], [72, 95], [105, 92], [122, 115], [112, 142], [85, 150], [65, 142]])
    cv2.polylines(canvas, [body], False, 255, 10, cv2.LINE_AA)
    cv2.line(canvas, (92, 50), (130, 46), 255, 10, cv2.LINE_AA)
    assert cv2.connectedComponents(canvas)[0] == 3
    assert read(stubs, canvas).text == "5"


def test_digits_that_touch_are_parted(stubs: Any, digits: dict[int, Image]) -> None:
    gap = 0
    while cv2.connectedComponents((written(digits, "30", gap) > 64).astype(np.uint8))[0] > 2:
        gap -= 1
    image = written(digits, "30", gap - 4)
    reply = read(stubs, image)
    assert reply.text == "30"
    first, second = (digit.box for digit in reply.digits)
    assert abs(first.x + first.width - second.x) < 20


def test_dots_commas_and_dashes_are_passed_over(stubs: Any, digits: dict[int, Image]) -> None:
    image = written(digits, "2049", gap=50)
    is_inked = (image > 64).any(axis=0).astype(int)
    gaps = [int(end) + 25 for end in np.flatnonzero(np.diff(is_inked) == -1)]
    assert len(gaps) == 4
    cv2.circle(image, (gaps[0], 145), 6, 255, -1)
    cv2.line(image, (gaps[1] + 3, 140), (gaps[1] - 6, 162), 255, 7)
    cv2.line(image, (gaps[2] - 13, 100), (gaps[2] + 13, 100), 255, 8)
    assert read(stubs, image).text == "2049"


def test_boxes_of_a_very_large_image_are_in_its_own_pixels(stubs: Any, digits: dict[int, Image]) -> None:
    image = written(digits, "47")
    boxes = [digit.box for digit in read(stubs, image).digits]
    large = cv2.resize(image, None, fx=10, fy=10, interpolation=cv2.INTER_LINEAR)
    reply = read(stubs, large)
    assert reply.text == "47"
    for box, digit in zip(boxes, reply.digits, strict=True):
        for side in ("x", "y", "width", "height"):
            assert getattr(digit.box, side) == pytest.approx(10 * getattr(box, side), abs=30)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.full((120, 300), 255, np.uint8), "without ink"),
        (cv2.line(np.zeros((120, 300), np.uint8), (60, 60), (240, 60), 255, 6), "no digit"),
    ],
    ids=["a blank canvas", "a lone dash"],
)
def test_an_image_without_digits_is_refused_as_blank(
    stubs: Any, refused: Any, image: Image, expected: str
) -> None:
    refusal = refused(stubs.prediction.ReadNumber, pb.ReadNumberRequest(encoded=png(image)))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "BLANK_IMAGE"
    assert refusal.fields == ["encoded"]
    assert expected in refusal.message


@pytest.mark.parametrize("data", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + bytes(4 << 20)])
def test_bytes_that_are_no_image_are_refused(stubs: Any, refused: Any, data: bytes) -> None:
    refusal = refused(stubs.prediction.ReadNumber, pb.ReadNumberRequest(encoded=data))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "INVALID_IMAGE"
    assert refusal.fields == ["encoded"]


def test_a_picture_full_of_dots_is_refused_as_no_page_of_numbers(stubs: Any, refused: Any) -> None:
    dots = np.zeros((1600, 1600), np.uint8)
    for y in range(8, 1600, 16):
        for x in range(8, 1600, 16):
            dots[y - 2 : y + 3, x - 2 : x + 3] = 255
    refusal = refused(stubs.prediction.ReadNumber, pb.ReadNumberRequest(encoded=png(dots)))
    assert refusal.reason == "INVALID_IMAGE"
    assert refusal.fields == ["encoded"]
    assert "at most" in refusal.message


def test_an_unknown_version_is_not_found(stubs: Any, refused: Any, digits: dict[int, Image]) -> None:
    request = pb.ReadNumberRequest(encoded=png(written(digits, "1")), model_version=999)
    refusal = refused(stubs.prediction.ReadNumber, request)
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert refusal.reason == "MODEL_NOT_FOUND"


def test_a_version_below_zero_is_refused(stubs: Any, refused: Any, digits: dict[int, Image]) -> None:
    request = pb.ReadNumberRequest(encoded=png(written(digits, "1")), model_version=-1)
    assert refused(stubs.prediction.ReadNumber, request).fields == ["model_version"]


def test_a_call_whose_time_is_up_ends_and_the_server_goes_on(stubs: Any, digits: dict[int, Image]) -> None:
    image = written(digits, "2049")
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500), np.uint8)
    with pytest.raises(grpc.RpcError) as error:
        stubs.prediction.ReadNumber(pb.ReadNumberRequest(encoded=png(noise)), timeout=0.002)
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert read(stubs, image).text == "2049"
