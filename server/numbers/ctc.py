"""From a scan to texts: the likeliest ones, how likely any text is, and what else each of its digits may be.

Connectionist temporal classification (A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, ICML 2006): a text
stands for every way to write it column by column, each digit as often as its columns, blanks between. A scan
is (T, 11) float32: log-probabilities of the digits 0 to 9 and BLANK for each of T columns.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BLANK = 10
# How many beginnings of texts are followed from column to column.
FOLLOWED = 16
# Log-probability: digits that are less likely in a column are not written there.
UNLIKELY = -9.0


def likeliest(scan: NDArray[np.float32], most: int) -> list[str]:
    """At most so many texts, the likeliest first: by following the likeliest beginnings.

    The order is that of the ways which were followed, of `log_likelihood` but for little.
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


def log_likelihood(scan: NDArray[np.float32], text: str) -> float:
    """The logarithm of the probability of a text. -inf: there is no room for it."""
    return float(np.logaddexp.reduce(_until(scan.astype(np.float64), text)[-1, -2:]))


def alternatives(scan: NDArray[np.float32], text: str) -> NDArray[np.float64]:
    """(n, 10): `log_likelihood` of a text of n digits, with each of them replaced by each of the ten.

    All of them take little longer than one.
    """
    columns = scan.astype(np.float64)
    until = _until(columns, text)
    after = _until(columns[::-1], text[::-1])[::-1, ::-1]
    digits = np.array([int(digit) for digit in text], np.intp)
    # Whether a digit may follow the one before it, and be followed by the next, without a blank.
    differs = np.arange(BLANK) != digits[:, None]
    none = np.zeros((1, BLANK), np.bool_)
    may_follow, may_lead = np.concatenate((none, differs[:-1])), np.concatenate((differs[1:], none))
    being = total = np.full((len(text), BLANK), -np.inf)
    for column, (before, beyond) in enumerate(zip(until[:-1], after[1:], strict=True)):
        from_digit = np.where(may_follow, np.append(-np.inf, before[1:-2:2])[:, None], -np.inf)
        started = np.logaddexp(from_digit, before[0:-1:2, None])
        being = np.logaddexp(being, started) + columns[column, :BLANK]
        to_digit = np.where(may_lead, np.append(beyond[3::2], -np.inf)[:, None], -np.inf)
        total = np.logaddexp(total, being + np.logaddexp(to_digit, beyond[2::2, None]))
    return total


def _until(columns: NDArray[np.float64], text: str) -> NDArray[np.float64]:
    """(T + 1, 2n + 1): log-probabilities of the columns so far and of being in each state after them.

    The states are the digits of a text, and blanks before, between and after them.
    """
    digits = np.array([int(digit) for digit in text], np.intp)
    states = np.full(2 * len(text) + 1, BLANK)
    states[1::2] = digits
    # A digit may follow another one without a blank, unless the two are alike.
    may_skip = np.zeros(states.shape, np.bool_)
    may_skip[3::2] = digits[1:] != digits[:-1]
    scores = np.full((len(columns) + 1, len(states)), -np.inf)
    scores[0, 0] = 0.0
    for column, before, now in zip(columns, scores[:-1], scores[1:], strict=True):
        skip = np.where(may_skip, _moved(before, 2), -np.inf)
        now[:] = np.logaddexp(np.logaddexp(before, _moved(before, 1)), skip) + column[states]
    return scores


def _moved(scores: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    """The scores of the states so many before."""
    moved = np.full(scores.shape, -np.inf)
    moved[by:] = scores[: max(len(scores) - by, 0)]
    return moved


def _either(one: float, other: float) -> float:
    """The logarithm of the sum of two probabilities."""
    high, low = (one, other) if one > other else (other, one)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
