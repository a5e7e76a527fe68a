"""Labels that are likely wrong, by what a version that never learnt them reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.evaluation.answers import Answers
from server.evaluation.marks import Marked

# Probabilities are calibrated: below this the label is more likely wrong than right.
LIKELY_WRONG_BELOW = 0.5


@dataclass(frozen=True, eq=False)
class LikelyLabelError:
    """A digit whose label is likely wrong."""

    index: int
    """Its place in the data set."""
    image: npt.NDArray[np.uint8]
    """(28, 28) uint8, 0 = background."""
    label: int
    suggested_label: int
    """The most probable digit other than the label."""
    score: float
    """How sure the version is that the label is wrong, in [0, 1]: see `label_error_scores`."""
    probabilities: npt.NDArray[np.float32]
    """(10,) float32, by digit."""
    is_marked_mislabelled: bool
    correct_label: int | None
    """What a person says it is. None when nobody said it."""


def label_error_scores(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """How sure a reader is that each label is wrong, (N,) float32 in [0, 1], and what it is instead, (N,).

    `probabilities` (N, 10) float32 are those of a reader that never learnt these labels. The score is the
    normalised margin (1 + p(likeliest other digit) - p(label)) / 2 of confident learning (Northcutt, Jiang,
    Chuang 2021; Kuan, Mueller 2022): unlike 1 - p(label) it puts a digit that is surely another one before
    a scrawl that could be any.
    """
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -1.0
    suggested = others.argmax(axis=1)
    scores = (1 + others[rows, suggested] - probabilities[rows, labels]) / 2
    # Rounding must not lead out of the range.
    return np.clip(scores, 0.0, 1.0), suggested


def likely_label_errors(
    answers: Answers, marked: Marked, offset: int, limit: int
) -> tuple[list[LikelyLabelError], int]:
    """A page of the digits whose label is more likely wrong than right, the surest first, and their number.

    Every misread digit is among them, and a few that are read as their label with less than half a certainty.
    """
    labels = np.asarray(answers.digits.labels)
    probabilities = answers.probabilities
    scores, suggested = label_error_scores(probabilities, labels)
    doubtful = np.flatnonzero(probabilities[np.arange(len(labels)), labels] < LIKELY_WRONG_BELOW)
    ranked = doubtful[np.argsort(-scores[doubtful], kind="stable")]
    page = [
        LikelyLabelError(
            index=index,
            image=np.array(answers.digits.images[index]),
            label=int(labels[index]),
            suggested_label=int(suggested[index]),
            score=float(scores[index]),
            probabilities=probabilities[index],
            is_marked_mislabelled=index in marked,
            correct_label=marked.get(index),
        )
        for index in ranked[offset : offset + limit].tolist()
    ]
    return page, len(ranked)
