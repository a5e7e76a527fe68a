"""From a scan to texts: the likeliest ones, how likely any text is, and what else each of its digits may be.

Connectionist temporal classification (A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, ICML 2006): a text
stands for every way to write it column by column, each digit as often as its columns, blanks between. A scan
is (T, 11) float32: log-probabilities of the digits 0 to 9 and BLANK for each of T columns. Scans are
(V, T, 11) float32: those of one line that was seen in V ways.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

BLANK = 10
# How many beginnings of texts are followed from column to column.
FOLLOWED = 16
# Log-probability: digits that are less likely in a column are not written there.
UNLIKELY = -9.0


def likeliest(scan: NDArray[np.float32], most: int) -> list[str]:
    """At most so many texts, the likeliest first: by following the likeliest beginnings.

    The order is that of the ways which were followed, of `log_likelihoods` but for little.
    """
    # Of each beginning: the logarithms of its probability with a blank last, and with its last digit.
    followed = {"": (0.0, -math.inf)}
    for column in scan.astype(np.float64).tolist():
        digits = [digit for digit in range(BLANK) if column[digit] > UNLIKELY]
        found: dict[str, tuple[float, float]] = {}
        for text, (blank, digit_last) in followed.items():
            last = int(text[-1]) if text else BLANK
            either = _either(blank, digit_last)
            # The text with a longer last digit may have been found already, from one that is shorter.
            same = found.get(text, (-math.inf, -math.inf))[1]
            found[text] = either + column[BLANK], _either(same, digit_last + column[last])
            for digit in digits:
                # Two alike need a blank between them.
                gain = (blank if digit == last else either) + column[digit]
                longer = f"{text}{digit}"
                ends_in_blank, ends_in_digit = found.get(longer, (-math.inf, -math.inf))
                found[longer] = ends_in_blank, _either(ends_in_digit, gain)
        scores = {text: _either(*score) for text, score in found.items()}
        followed = {
            text: found[text] for text in sorted(scores, key=scores.__getitem__)[: -FOLLOWED - 1 : -1]
        }
    return list(followed)[:most]


def mean(scans: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, 11): one scan in place of V, by the means of their log-probabilities."""
    columns: NDArray[np.float64] = scans.mean(axis=0, dtype=np.float64)
    columns -= np.logaddexp.reduce(columns, axis=1, keepdims=True)
    return columns.astype(np.float32)


def log_likelihoods(scans: NDArray[np.float32], texts: Sequence[str]) -> NDArray[np.float64]:
    """(n,): the logarithms of the probabilities of n texts, means over the scans. -inf: there is no room."""
    *_, scores = _until(scans.astype(np.float64), texts)
    ends = np.array([2 * len(text) for text in texts], np.intp)
    rows = np.arange(len(texts))
    in_digit = np.where(ends > 0, scores[:, rows, ends - 1], -np.inf)
    likelihoods: NDArray[np.float64] = np.logaddexp(scores[:, rows, ends], in_digit).mean(axis=0)
    return likelihoods


def alternatives(scans: NDArray[np.float32], text: str) -> NDArray[np.float64]:
    """(n, 10): `log_likelihoods` of a text of n digits, with each of them replaced by each of the ten.

    All of them take little longer than one.
    """
    columns = scans.astype(np.float64)
    until = [scores[:, 0] for scores in _until(columns, [text])]  # (V, 2n + 1) each
    after = [scores[:, 0, ::-1] for scores in _until(columns[:, ::-1], [text[::-1]])][::-1]
    digits = np.array([int(digit) for digit in text], np.intp)
    # Whether a digit may follow the one before it, and be followed by the next, without a blank.
    differs = np.arange(BLANK) != digits[:, None]
    none = np.zeros((1, BLANK), np.bool_)
    may_follow, may_lead = np.concatenate((none, differs[:-1])), np.concatenate((differs[1:], none))
    never = np.full((len(scans), 1), -np.inf)
    being = total = np.full((len(scans), len(text), BLANK), -np.inf)
    for column, (before, beyond) in enumerate(zip(until[:-1], after[1:], strict=True)):
        last = np.concatenate((never, before[:, 1:-2:2]), axis=1)
        from_digit = np.where(may_follow, last[:, :, None], -np.inf)
        started = np.logaddexp(from_digit, before[:, 0:-1:2, None])
        being = np.logaddexp(being, started) + columns[:, column, None, :BLANK]
        following = np.concatenate((beyond[:, 3::2], never), axis=1)
        to_digit = np.where(may_lead, following[:, :, None], -np.inf)
        total = np.logaddexp(total, being + np.logaddexp(to_digit, beyond[:, 2::2, None]))
    likelihoods: NDArray[np.float64] = total.mean(axis=0)
    return likelihoods


def _until(columns: NDArray[np.float64], texts: Sequence[str]) -> Iterator[NDArray[np.float64]]:
    """Before the first and after each of T columns, (V, n, 2L + 1): log-probabilities of being in each state.

    The states are the digits of each of n texts, and blanks before, between and after them. L is the length
    of the longest; the others' states go on in blanks, which say nothing of those before.
    """
    states = np.full((len(texts), 2 * max(len(text) for text in texts) + 1), BLANK)
    for row, text in zip(states, texts, strict=True):
        row[1 : 2 * len(text) : 2] = [int(digit) for digit in text]
    # A digit may follow another one without a blank, unless the two are alike.
    may_skip = np.zeros(states.shape, np.bool_)
    may_skip[:, 3::2] = states[:, 3::2] != states[:, 1:-2:2]
    scores = np.full((len(columns), *states.shape), -np.inf)
    scores[:, :, 0] = 0.0
    yield scores
    for column in columns.swapaxes(0, 1):
        skip = np.where(may_skip, _moved(scores, 2), -np.inf)
        scores = np.logaddexp(np.logaddexp(scores, _moved(scores, 1)), skip) + column[:, states]
        yield scores


def _moved(scores: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    """The scores of the states so many before."""
    moved = np.full(scores.shape, -np.inf)
    moved[..., by:] = scores[..., : max(scores.shape[-1] - by, 0)]
    return moved


def _either(one: float, other: float) -> float:
    """The logarithm of the sum of two probabilities."""
    high, low = (one, other) if one > other else (other, one)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
