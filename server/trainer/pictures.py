"""Pictures for TensorBoard: a confusion matrix, and a sheet of misclassified digits. (H, W, 3) uint8 RGB."""

from __future__ import annotations

import cv2
import numpy as np

from server.datasets import Digits

CELL_PX = 40
MARGIN_PX = 40
TILE_PX = 84
TITLE_PX = 20
COLUMNS = 6
ROWS = 4

_WHITE, _INK, _FAINT = (255, 255, 255), (40, 40, 40), (170, 170, 170)
# The colour of a cell that holds all of its row: right ones blue, wrong ones red.
_RIGHT, _WRONG = (47, 93, 170), (200, 50, 40)


def draw_confusion_matrix(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Rows are labels, columns predictions; `labels` and `predicted` are (N,) with values 0 to 9."""
    counts = np.zeros((10, 10), np.int64)
    np.add.at(counts, (labels.astype(np.intp), predicted.astype(np.intp)), 1)
    side = MARGIN_PX + 10 * CELL_PX
    picture = np.full((side, side, 3), 255, np.uint8)
    of_row = np.maximum(counts.sum(axis=1), 1)
    # A handful of mistakes would not show on a scale that ends at all of a row.
    shades = {True: counts.diagonal() / of_row, False: np.minimum(1.0, 20 * counts / of_row[:, None])}
    for digit in range(10):
        centre = MARGIN_PX + digit * CELL_PX + CELL_PX // 2
        _write(picture, str(digit), (centre, MARGIN_PX // 2), 0.5, _INK)
        _write(picture, str(digit), (MARGIN_PX // 2, centre), 0.5, _INK)
    for label in range(10):
        for guess in range(10):
            is_right = label == guess
            shade = float(shades[True][label] if is_right else shades[False][label, guess])
            colour = _RIGHT if is_right else _WRONG
            left, top = MARGIN_PX + guess * CELL_PX, MARGIN_PX + label * CELL_PX
            fill = tuple(round(255 + (channel - 255) * shade) for channel in colour)
            corner = (left + CELL_PX - 2, top + CELL_PX - 2)
            cv2.rectangle(picture, (left, top), corner, fill, cv2.FILLED)
            text = _WHITE if shade > 0.5 else _INK if counts[label, guess] else _FAINT
            _write(picture, str(counts[label, guess]), (left + CELL_PX // 2, top + CELL_PX // 2), 0.35, text)
    return picture


def draw_misclassified(digits: Digits, probabilities: np.ndarray) -> np.ndarray:
    """The digits that were read wrong with the most confidence, each with its label and what it was read as.

    `probabilities` is (N, 10). An empty sheet when there are none.
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != digits.labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][: COLUMNS * ROWS]
    height, width = TILE_PX + TITLE_PX, TILE_PX + 8
    sheet = np.full((ROWS * height, COLUMNS * width, 3), 255, np.uint8)
    for place, index in enumerate(worst):
        top, left = place // COLUMNS * height, place % COLUMNS * width
        title = f"{digits.labels[index]} read as {predicted[index]}"
        _write(sheet, title, (left + width // 2, top + TITLE_PX // 2), 0.35, _INK)
        tile = cv2.resize(digits.images[index], (TILE_PX, TILE_PX), interpolation=cv2.INTER_NEAREST)
        # Dark on light, as people write.
        sheet[top + TITLE_PX : top + TITLE_PX + TILE_PX, left + 4 : left + 4 + TILE_PX] = (255 - tile)[
            ..., None
        ]
    return sheet


def _write(
    picture: np.ndarray, text: str, centre: tuple[int, int], scale: float, colour: tuple[int, int, int]
) -> None:
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    place = (centre[0] - width // 2, centre[1] + height // 2)
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
