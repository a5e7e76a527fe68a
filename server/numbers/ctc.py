"""From a scan to texts: the likeliest reading, and how likely any text is.

Connectionist temporal classification (A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, ICML 2006): a text
stands for every way to write it column by column, each digit as often as its columns, blanks between. A scan
is (T, 11) float32: log-probabilities of the digits 0 to 9 and BLANK for each of T columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BLANK = 10


def likeliest(scan: NDArray[np.float32]) -> str:
    """The text of the likeliest way through a scan."""
    path = scan.argmax(axis=1)
    is_new = np.ones(len(path), np.bool_)
    is_new[1:] = path[1:] != path[:-1]
    return "".join(str(digit) for digit in path[is_new & (path != BLANK)].tolist())


def log_likelihoods(scan: NDArray[np.float32], texts: Sequence[str]) -> NDArray[np.float64]:
    """(K,): the logarithm of the probability of each of K texts, all equally long. -inf: no room for it."""
    length = len(texts[0])
    digits = np.array([[int(digit) for digit in text] for text in texts], np.intp).reshape(len(texts), length)
    states = np.full((len(texts), 2 * length + 1), BLANK)
    states[:, 1::2] = digits
    # A digit may follow another one without a blank, unless the two are alike.
    may_skip = np.zeros(states.shape, np.bool_)
    may_skip[:, 3::2] = digits[:, 1:] != digits[:, :-1]
    scores = np.full(states.shape, -np.inf)
    scores[:, 0] = 0.0
    for column in scan.astype(np.float64):
        skip = np.where(may_skip, _moved(scores, 2), -np.inf)
        scores = np.logaddexp(np.logaddexp(scores, _moved(scores, 1)), skip) + column[states]
    ends: NDArray[np.float64] = np.logaddexp.reduce(scores[:, -2:], axis=1)
    return ends


def _moved(scores: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    """The scores of the states so many before."""
    moved = np.full(scores.shape, -np.inf)
    moved[:, by:] = scores[:, : max(scores.shape[1] - by, 0)]
    return moved
