"""From a scan to texts: the likeliest reading, and how likely any text is.

Connectionist temporal classification (A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, ICML 2006): a text
stands for every way to write it column by column, each digit as often as its columns, blanks between. A scan
is (T, 11) float32: log-probabilities of the digits 0 to 9 and BLANK for each of T columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLANK = 10


class Reading(NamedTuple):
    """The likeliest way through a scan."""

    text: str
    digits: NDArray[np.float64]
    """(n, 10): for each digit of the text the log-probabilities of all ten, the mean over its columns."""


def likeliest(scan: NDArray[np.float32]) -> Reading:
    """What is read along the likeliest way through a scan."""
    path = scan.argmax(axis=1)
    is_new = np.ones(len(path), np.bool_)
    is_new[1:] = path[1:] != path[:-1]
    starts = np.flatnonzero(is_new)
    is_digit = path[starts] != BLANK
    columns = scan[:, :BLANK].astype(np.float64)
    columns -= np.logaddexp.reduce(columns, axis=1, keepdims=True) if len(columns) else 0.0
    lengths = np.diff(np.append(starts, len(path)))
    sums = np.add.reduceat(columns, starts) if len(starts) else np.empty((0, BLANK))
    means = sums / np.maximum(lengths, 1)[:, None]
    text = "".join(str(digit) for digit in path[starts][is_digit].tolist())
    return Reading(text, means[is_digit])


def log_likelihood(scan: NDArray[np.float32], text: str) -> float:
    """The logarithm of the probability of a text. -inf: there is no room for it."""
    digits = np.array([int(digit) for digit in text], np.intp)
    states = np.full(2 * len(text) + 1, BLANK)
    states[1::2] = digits
    # A digit may follow another one without a blank, unless the two are alike.
    may_skip = np.zeros(states.shape, np.bool_)
    may_skip[3::2] = digits[1:] != digits[:-1]
    scores = np.full(states.shape, -np.inf)
    scores[0] = 0.0
    for column in scan.astype(np.float64):
        skip = np.where(may_skip, _moved(scores, 2), -np.inf)
        scores = np.logaddexp(np.logaddexp(scores, _moved(scores, 1)), skip) + column[states]
    return float(np.logaddexp.reduce(scores[-2:]))


def _moved(scores: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    """The scores of the states so many before."""
    moved = np.full(scores.shape, -np.inf)
    moved[by:] = scores[: max(len(scores) - by, 0)]
    return moved
